#include "learn/optimiser.h"

#include <math.h>

enum { CHUNK = 1 << 14 };

double rs_adamw_rate(const rs_adamw *o, int64_t step)
{
    const double pi = 3.14159265358979323846;
    if (step < o->warmup) return o->rate * (double)step / (double)o->warmup;
    if (o->schedule == RS_SCHEDULE_CONSTANT) return o->rate;
    double along = (double)(step - o->warmup) / (double)(o->steps - o->warmup);
    return o->rate * (1 + cos(pi * along)) / 2;
}

double rs_norm_of(const float *x, int64_t n)
{
    double all = 0;
    for (int64_t first = 0; first < n; first += CHUNK) {
        double sum = 0;
        for (int64_t i = first; i < first + CHUNK && i < n; i++)
            sum += (double)x[i] * (double)x[i];
        all += sum;
    }
    return sqrt(all);
}

double rs_adamw_clip(const rs_adamw *o, double norm)
{
    double by = o->clip > 0 ? o->clip / (norm + 1e-6) : 1;
    return by < 1 ? by : 1;
}

typedef struct stepping {
    const rs_adamw *o;
    const rs_moments *m;
    const float *g;
    double by, rate, size, root; /* size: rate / (1 - beta1^t); root: (1 - beta2^t)^1/2 */
} stepping;

static bool step_chunk(void *ctx, int64_t chunk, int worker)
{
    (void)worker;
    const stepping *s = ctx;
    const rs_adamw *o = s->o;
    const rs_moments *m = s->m;
    int64_t first = chunk * CHUNK, end = first + CHUNK < m->n ? first + CHUNK : m->n;
    for (int64_t i = first; i < end; i++) {
        double g = (double)s->g[i] * s->by, x = (double)m->values[i];
        double a = (double)m->first[i], b = (double)m->second[i];
        x -= s->rate * o->decay * x;
        a += (1 - o->beta1) * (g - a);
        b = o->beta2 * b + (1 - o->beta2) * g * g;
        m->first[i] = (float)a;
        m->second[i] = (float)b;
        m->values[i] = (float)(x - s->size * a / (sqrt(b) / s->root + o->eps));
    }
    return true;
}

void rs_adamw_step(const rs_runtime *rt, const rs_adamw *o, int64_t step, const float *g,
                   double by, const rs_moments *m)
{
    double t = (double)(step + 1), rate = rs_adamw_rate(o, step);
    stepping s = {.o = o, .m = m, .g = g, .by = by, .rate = rate};
    s.size = rate / (1 - pow(o->beta1, t));
    s.root = sqrt(1 - pow(o->beta2, t));
    rs_pool_run(rt->pool, (m->n + CHUNK - 1) / CHUNK, step_chunk, &s);
}
