/* optimiser.h - AdamW over one array of numbers, exactly as torch's (docs/method.md).
 *
 * Arithmetic is in double, what is kept between steps in float32. Results do not depend
 * on the number of threads. */
#ifndef RS_OPTIMISER_H
#define RS_OPTIMISER_H

#include "tensor/runtime.h"

typedef enum rs_schedule { RS_SCHEDULE_COSINE, RS_SCHEDULE_CONSTANT } rs_schedule;

typedef struct rs_adamw {
    double rate, beta1, beta2, eps, decay;
    rs_schedule schedule;
    int64_t warmup, steps;
    double clip; /* of the norm of all gradients together; 0: none */
} rs_adamw;

/* Learning rate of step s = 0, 1, ..: rate s / warmup while s < warmup, then the whole,
 * or rate (1 + cos(pi (s - warmup) / (steps - warmup))) / 2. */
double rs_adamw_rate(const rs_adamw *o, int64_t step);
double rs_norm_of(const float *x, int64_t n);
/* What gradients of this norm are multiplied by: min(1, clip / (norm + 1e-6)). */
double rs_adamw_clip(const rs_adamw *o, double norm);

typedef struct rs_moments {
    float *values, *first, *second; /* [n] */
    int64_t n;
} rs_moments;

/* Step s with gradients g [n], multiplied by `by`. */
void rs_adamw_step(const rs_runtime *rt, const rs_adamw *o, int64_t step, const float *g,
                   double by, const rs_moments *m);

#endif
