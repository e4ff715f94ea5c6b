/* protect.h - directions that training must leave alone, and what it did to them.
 *
 * A target W [out, in] may have an orthonormal U [out, k] (outputs) and V [in, k]
 * (inputs):
 *
 *     A <- A - t (A V) V^T    B <- B - t U (U^T B)    strength t; at 1 U^T B A and B A V are 0
 *
 * and the same for the factors' gradients. The leak is how much of dW = s B A lies
 * inside: ||U U^T dW||^2 / ||dW||^2, ||dW V V^T||^2 / ||dW||^2, from Gram matrices of the
 * factors, never from dW. All arithmetic in double. */
#ifndef RS_PROTECT_H
#define RS_PROTECT_H

#include "learn/lora.h"

typedef struct rs_protection rs_protection;

typedef struct rs_leak {
    double out, in; /* of the squares of all targets that have U, or V, together */
    double most;    /* the largest share of one target, either side */
} rs_leak;

/* Nothing protected yet. l: borrowed. */
rs_status rs_protection_new(const rs_runtime *rt, const rs_lora *l, rs_protection **out,
                            rs_err *err) RS_MUST_USE;
void rs_protection_free(rs_protection *p); /* NULL is fine */
/* Of pair i; u [rows, k], v [cols, k], either may be NULL. Copied; made orthonormal where
 * a file's rounding left them short of it (bfloat16). RS_E_INVALID: they are not near
 * it. */
rs_status rs_protect(rs_protection *p, int i, const float *u, const float *v, int64_t k,
                     rs_err *err) RS_MUST_USE;
bool rs_protects(const rs_protection *p); /* anything at all */
uint64_t rs_protection_bytes(const rs_protection *p); /* memory; NULL: 0 */

void rs_project_factors(rs_protection *p, double strength);
void rs_project_gradients(rs_protection *p, double strength);
rs_leak rs_leak_of(rs_protection *p); /* 0 where dW is 0 */

#endif
