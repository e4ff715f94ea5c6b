/* Normalisers: what makes p of a Fisher value (fisher.h). */
#include "merge/fisher_walk.h"

#include "tensor/half.h"

#include <math.h>

/* --- normalisers --- */

static rs_status make_quantile(const rs_pass *pass, const rs_values *v, const bool *use,
                               int64_t n, double q, rs_norm *out, rs_err *err)
{
    rs_order o;
    RS_TRY(rs_fisher_order(pass, v, use, n, q, &o, err));
    double value = rs_order_value(&o);
    out->flat = value == 0;
    out->factor = out->flat ? 0 : 1 / value;
    return RS_OK;
}

static double quantile_of(rs_normaliser kind)
{
    switch (kind) {
    case RS_NORM_P90:
        return 0.90;
    case RS_NORM_P95:
        return 0.95;
    case RS_NORM_P99:
        return 0.99;
    case RS_NORM_P999:
        return 0.999;
    default:
        return -1;
    }
}

static rs_status check_factor(const rs_norm *n, rs_err *err)
{
    if (fabs(n->factor) < 1e37) return RS_OK;
    return rs_fail(err, RS_E_INVALID,
                   "the Fisher's values are too small for float32: their %s is %g",
                   rs_normaliser_name(n->kind), 1 / n->factor);
}

rs_status rs_norm_make(const rs_pass *pass, const rs_values *v, const bool *use,
                       const rs_moments *m, rs_normaliser kind, rs_norm *out, rs_err *err)
{
    *out = (rs_norm){.kind = kind};
    if (m->n == 0) return RS_OK;
    switch (kind) {
    case RS_NORM_NONE:
        out->factor = 1;
        break;
    case RS_NORM_MEAN:
        out->factor = m->sum > 0 ? (double)m->n / m->sum : 0;
        break;
    case RS_NORM_MAX:
        out->factor = m->max > 0 ? 1 / (double)m->max : 0;
        break;
    case RS_NORM_RANK:
        return rs_ranks_new(pass, v, use, m->n, &out->ranks, err);
    case RS_NORM_LOG:
        out->flat = m->least == m->max;
        out->lo = m->least > 0 ? rs_merge_log(m->least) : 0;
        out->factor = out->flat ? 0 : 1 / (rs_merge_log(m->max) - out->lo);
        break;
    default:
        RS_TRY(make_quantile(pass, v, use, m->n, quantile_of(kind), out, err));
    }
    return check_factor(out, err);
}

void rs_norm_free(rs_norm *n)
{
    rs_ranks_free(n->ranks);
    *n = (rs_norm){0};
}

static double clip01(double v)
{
    return v < 0 ? 0 : v > 1 ? 1 : v;
}

double rs_norm_value(const rs_norm *n, float f)
{
    if (n->flat) return f > 0 ? 1 : 0;
    double p = n->factor * (double)f;
    switch (n->kind) {
    case RS_NORM_RANK:
        return n->ranks ? rs_rank_value(n->ranks, f) : 0;
    case RS_NORM_LOG: /* outside the population F may lie beyond its ends */
        return f > 0 ? clip01((rs_merge_log(f) - n->lo) * n->factor) : 0;
    case RS_NORM_NONE:
    case RS_NORM_MEAN:
    case RS_NORM_MAX:
        return p;
    default:
        return p > 1 ? 1 : p;
    }
}

void rs_norm_apply(const rs_norm *n, const rs_merge_kernels *k, const float *f, float *p,
                   int64_t count)
{
    if (n->flat || n->kind == RS_NORM_RANK) {
        for (int64_t i = 0; i < count; i++)
            p[i] = (float)rs_norm_value(n, f[i]);
        return;
    }
    switch (n->kind) {
    case RS_NORM_LOG:
        k->norm_log(n->lo, n->factor, f, p, count);
        break;
    case RS_NORM_NONE:
    case RS_NORM_MEAN:
    case RS_NORM_MAX:
        k->norm_scale((float)n->factor, f, p, count);
        break;
    default:
        k->norm_min1((float)n->factor, f, p, count);
    }
}

float rs_norm_inverse(const rs_norm *n, double cut)
{
    uint32_t from = 0, to = 0x7f800000u; /* p is monotone in the bits of F >= 0 */
    while (from < to) {
        uint32_t mid = from + (to - from) / 2;
        if (rs_norm_value(n, rs_float_of(mid)) >= cut)
            to = mid;
        else
            from = mid + 1;
    }
    return rs_float_of(from);
}
