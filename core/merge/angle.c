#include "merge/angle.h"

#include <math.h>

enum { BLOCK = 4096 };

static const double pi = 3.14159265358979323846;

/* Taylor around 0 after reduction to [-pi/2, pi/2]; the first term left out is below 2e-18. */
double rs_sin(double x)
{
    static const double pi_low = 1.2246467991473532e-16; /* what pi lacks */
    double turns = floor(x / pi + 0.5), z, s;
    x = (x - turns * pi) - turns * pi_low;
    z = x * x;
    s = 1.0 / 51090942171709440000.0; /* 1/21! */
    s = s * z - 1.0 / 121645100408832000.0;
    s = s * z + 1.0 / 355687428096000.0;
    s = s * z - 1.0 / 1307674368000.0;
    s = s * z + 1.0 / 6227020800.0;
    s = s * z - 1.0 / 39916800.0;
    s = s * z + 1.0 / 362880.0;
    s = s * z - 1.0 / 5040.0;
    s = s * z + 1.0 / 120.0;
    s = s * z - 1.0 / 6.0;
    s = x + x * z * s;
    return fmod(turns, 2.0) == 0.0 ? s : -s;
}

/* atan z = 2 atan(z/(1 + sqrt(1 + z^2))), three times, then the series. */
static double arc_tangent(double z)
{
    for (int i = 0; i < 3; i++)
        z = z / (1.0 + sqrt(1.0 + z * z));
    double q = z * z, s = 1.0 / 21.0;
    s = 1.0 / 19.0 - s * q;
    s = 1.0 / 17.0 - s * q;
    s = 1.0 / 15.0 - s * q;
    s = 1.0 / 13.0 - s * q;
    s = 1.0 / 11.0 - s * q;
    s = 1.0 / 9.0 - s * q;
    s = 1.0 / 7.0 - s * q;
    s = 1.0 / 5.0 - s * q;
    s = 1.0 / 3.0 - s * q;
    return 8.0 * (z - z * q * s);
}

double rs_atan2(double y, double x)
{
    if (y == 0 && x == 0) return 0;
    return y <= x ? arc_tangent(y / x) : pi / 2 - arc_tangent(x / y);
}

static double root(double v)
{
    return v > 0 ? sqrt(v) : 0;
}

rs_angle rs_angle_of_sums(double minus, double plus, double mixed)
{
    double quarter = (minus + plus) / 4;
    rs_angle r = {root(quarter + mixed / 2), root(quarter - mixed / 2), 0};
    if (r.norm_a == 0 || r.norm_b == 0) return r;
    double difference = mixed / (r.norm_a + r.norm_b), square = difference * difference;
    r.theta = 2 * rs_atan2(root(minus - square), root(plus - square));
    return r;
}

rs_slerp rs_slerp_of(const rs_angle *angle, double t, bool norm_lerp, double flat_below)
{
    double sine = rs_sin(angle->theta);
    rs_slerp s = {1 - t, t, true, false};
    if (angle->norm_a == 0 || angle->norm_b == 0) return s;
    if (sine < flat_below || sine <= 0) {
        s.opposite = angle->theta > pi / 2;
        return s;
    }
    s.is_lerp = false;
    s.c_a = rs_sin((1 - t) * angle->theta) / sine;
    s.c_b = rs_sin(t * angle->theta) / sine;
    if (norm_lerp) {
        double norm = (1 - t) * angle->norm_a + t * angle->norm_b;
        s.c_a *= norm / angle->norm_a;
        s.c_b *= norm / angle->norm_b;
    }
    return s;
}

void rs_angle_sums(const rs_merge_kernels *k, const float *a, const float *b, int64_t n,
                   double sums[3])
{
    for (int64_t at = 0; at < n; at += BLOCK) {
        double part[3];
        k->angle_sums(a + at, b + at, n - at < BLOCK ? n - at : BLOCK, part);
        for (int i = 0; i < 3; i++)
            sums[i] += part[i];
    }
}

void rs_slerp_apply(const rs_merge_kernels *k, const rs_slerp *s, double t,
                    const float *a, const float *b, float *y, int64_t n)
{
    /* a + t (b - a) leaves equal numbers as they are; at t = 1 only the sum is exact. */
    if (s->is_lerp && t != 1)
        k->lerp(a, b, (float)t, y, n);
    else
        k->blend(a, b, (float)s->c_a, (float)s->c_b, y, n);
}
