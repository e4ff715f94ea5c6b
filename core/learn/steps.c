#include "learn/work_internal.h"

#include <math.h>

/* y = r w x with r = (mean x^2 + eps)^-1/2:
 *     dx = r w dy - x r^3 mean(w dy x),   dw = dy x r */
void rs_norm_back(const float *x, const float *w, double eps, const float *dy, float beta,
                  float *dx, float *gw, int64_t n)
{
    double squares = 0, along = 0;
    for (int64_t i = 0; i < n; i++) {
        double g = w ? (double)dy[i] * (double)w[i] : (double)dy[i];
        squares += (double)x[i] * (double)x[i];
        along += g * (double)x[i];
    }
    double r = 1 / sqrt(squares / (double)n + eps);
    double back = along * r * r * r / (double)n;
    for (int64_t i = 0; i < n; i++) {
        double y = (double)dy[i], g = w ? y * (double)w[i] : y, at = (double)x[i];
        double add = r * g - at * back;
        dx[i] = (float)(beta != 0 ? (double)dx[i] + add : add);
        gw[i] = (float)(y * at * r);
    }
}
