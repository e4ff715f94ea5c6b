#include "model/forward.h"

#include "model/pass_internal.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { CHUNK = 256 }; /* tokens of a prefill that go through the layers together */

static rs_status check_ids(const rs_model *m, const int32_t *ids, int64_t n, rs_err *err)
{
    for (int64_t i = 0; i < n; i++)
        if (ids[i] < 0 || ids[i] >= m->config->vocab)
            return rs_fail(err, RS_E_INVALID,
                           "token %" PRId64 " is id %d, outside the vocabulary of %d", i,
                           (int)ids[i], m->config->vocab);
    return RS_OK;
}

static rs_status check_fresh(const rs_kv *kv, rs_err *err)
{
    if (kv->stale_from == kv->config->n_layers) return RS_OK;
    return rs_fail(err, RS_E_INVALID,
                   "the cache is stale from layer %d on: recompute it first",
                   kv->stale_from);
}

static int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Logits of `count` rows of h, which holds the normed stream from row `from` on. */
static rs_status head(rs_pass *p, int64_t from, int64_t count, float *logits, rs_err *err)
{
    const rs_config *c = p->m->config;
    for (int64_t i = from; i < from + count; i++)
        p->rt->kernels->linear->rms_norm(p->x + i * c->hidden, p->m->final_norm,
                                         c->rms_eps, p->h + i * c->hidden, c->hidden);
    if (!logits) return RS_OK;
    rs_product product = {&p->m->head, p->h + from * c->hidden, logits, c->hidden,
                          c->vocab,    (float)c->final_softcap};
    return rs_linear(p->rt, p->mode, &product, 1, count, err);
}

/* One call's way over its tokens, in chunks. */
typedef struct trip {
    const rs_forward_options *o;
    int64_t n, done; /* tokens */
    int from;        /* the first layer that is run */
    float *logits;
} trip;

/* Progress in tokens, a share of a chunk for each layer. */
static rs_status report(const trip *t, const rs_pass *p, int layer, rs_err *err)
{
    if (!t->o->progress) return RS_OK;
    int64_t share = p->n * (layer + 1 - t->from) / (p->m->config->n_layers - t->from);
    rs_progress g = {(uint64_t)(t->done + share), (uint64_t)t->n, "tokens",
                     "forward pass"};
    if (t->o->progress(t->o->progress_ctx, &g)) return RS_OK;
    return rs_fail(err, RS_E_CANCELLED, "the forward pass was cancelled");
}

static void tell(const rs_pass *p, const rs_forward_options *o, int where,
                 const float *rows)
{
    if (o->trace) o->trace(o->trace_ctx, where, p->position[0], p->n, rows);
}

/* The chunk's rows through the layers; x is the input of the first. Above the last layer
 * with K/V only the rows from `carry` on matter. */
static rs_status layers(rs_pass *p, int64_t carry, const trip *t, rs_err *err)
{
    int top = rs_pass_kv(p, 0)->top;
    rs_pass view = rs_pass_view(p, carry);
    for (int i = t->from; i < p->m->config->n_layers; i++) {
        if (i > top && view.n == 0) break;
        RS_TRY(i > top ? rs_pass_layer(&view, i, 0, err)
                       : rs_pass_layer(p, i, i == top ? carry : 0, err));
        tell(p, t->o, i, p->x);
        RS_TRY(report(t, p, i, err));
    }
    return RS_OK;
}

/* How many of the chunk's first rows need not be carried to the end. */
static int64_t rows_before_wanted(const rs_pass *p, const trip *t)
{
    bool all = t->o->trace || (t->logits && t->o->want == RS_WANT_ALL);
    bool last = t->logits && t->o->want == RS_WANT_LAST && t->done + p->n == t->n;
    return all ? 0 : last ? p->n - 1 : p->n;
}

static rs_status run_chunk(rs_pass *p, const trip *t, rs_err *err)
{
    int64_t carry = rows_before_wanted(p, t), vocab = p->m->config->vocab;
    RS_TRY(layers(p, carry, t, err));
    if (carry == p->n) return RS_OK;
    bool all = t->logits && t->o->want == RS_WANT_ALL;
    float *to = all ? t->logits + t->done * vocab : t->logits;
    if (carry > 0 || all || !t->logits) {
        RS_TRY(head(p, carry, p->n - carry, to, err));
    } else { /* traced: every row is normed, the last one's logits are wanted */
        RS_TRY(head(p, 0, p->n, NULL, err));
        if (t->done + p->n == t->n) RS_TRY(head(p, p->n - 1, 1, to, err));
    }
    tell(p, t->o, p->m->config->n_layers, p->h);
    return RS_OK;
}

/* --- new tokens --- */

static rs_status append(rs_pass *p, rs_kv *kv, const int32_t *ids, trip *t, rs_err *err)
{
    for (int64_t chunk = p->n; t->done < t->n; t->done += p->n) {
        p->n = min64(chunk, t->n - t->done);
        p->ids = ids + t->done;
        RS_TRY(rs_kv_reserve(kv, p->n, err));
        RS_TRY(rs_pass_start(p, kv->length, err));
        tell(p, t->o, -1, p->x);
        RS_TRY(run_chunk(p, t, err));
        kv->length += p->n;
    }
    return RS_OK;
}

static rs_status check_room(const rs_kv *kv, int64_t n, rs_err *err)
{
    if (n <= kv->max_tokens - kv->length) return RS_OK;
    return rs_fail(err, RS_E_INVALID,
                   "%" PRId64 " tokens do not fit behind %" PRId64
                   ": this cache takes at most %" PRId64,
                   n, kv->length, kv->max_tokens);
}

rs_status rs_forward(const rs_runtime *rt, const rs_model *m, rs_kv *kv,
                     const int32_t *ids, int64_t n, const rs_forward_options *o,
                     float *logits, rs_err *err)
{
    static const rs_forward_options nothing = {0};
    if (!o) o = &nothing;
    if (n <= 0) return RS_OK;
    RS_TRY(check_fresh(kv, err));
    RS_TRY(check_ids(m, ids, n, err));
    RS_TRY(check_room(kv, n, err));
    int64_t start = kv->length;
    rs_pass p = {
        .rt = rt, .m = m, .mode = RS_LINEAR_FAST, .kv = &kv, .one_sequence = true};
    RS_TRY(rs_pass_new(&p, min64(n, CHUNK), start + n, err));
    trip t = {o, n, 0, 0, o->want == RS_WANT_NOTHING ? NULL : logits};
    rs_status s = rs_kv_mark(kv, n, err);
    if (s == RS_OK) {
        s = append(&p, kv, ids, &t, err);
        if (s == RS_OK)
            rs_kv_settle(kv);
        else
            rs_kv_undo(kv, start);
    }
    rs_pass_free(&p);
    return s;
}

static rs_status check_batch(rs_kv *const *kv, int n_seq, rs_err *err)
{
    for (int i = 0; i < n_seq; i++) {
        RS_TRY(check_fresh(kv[i], err));
        for (int k = 0; k < i; k++)
            if (kv[k] == kv[i])
                return rs_fail(err, RS_E_INVALID,
                               "sequences %d and %d of a batch have the same cache", k,
                               i);
    }
    return RS_OK;
}

rs_status rs_forward_batch(const rs_runtime *rt, const rs_model *m, rs_kv *const *kv,
                           const int32_t *ids, int n_seq, float *logits, rs_err *err)
{
    static const rs_forward_options nothing = {0};
    int64_t longest = 0;
    if (n_seq <= 0) return RS_OK;
    RS_TRY(check_ids(m, ids, n_seq, err));
    RS_TRY(check_batch(kv, n_seq, err));
    for (int i = 0; i < n_seq; i++) {
        RS_TRY(rs_kv_reserve(kv[i], 1, err));
        if (kv[i]->length > longest) longest = kv[i]->length;
    }
    rs_pass p = {.rt = rt, .m = m, .mode = RS_LINEAR_FIXED, .kv = kv, .ids = ids};
    RS_TRY(rs_pass_new(&p, n_seq, longest + 1, err));
    trip t = {&nothing, n_seq, 0, 0, logits};
    rs_status s = rs_pass_start(&p, 0, err);
    if (s == RS_OK) s = layers(&p, 0, &t, err);
    if (s == RS_OK && logits) s = head(&p, 0, n_seq, logits, err);
    for (int i = 0; i < n_seq && s == RS_OK; i++)
        kv[i]->length++;
    rs_pass_free(&p);
    return s;
}

/* --- recomputation --- */

/* Everything from the ids on, for a cache that keeps no inputs or has no good ones. */
static rs_status rebuild(rs_pass *p, rs_kv *kv, trip *t, rs_err *err)
{
    int64_t n = kv->length;
    rs_kv_restart(kv);
    rs_status s = append(p, kv, kv->ids, t, err);
    kv->length = n; /* where it failed, the cache stays stale from the first layer on */
    return s;
}

/* From the kept inputs of layer t->from on: all tokens, or the last one where no K/V above
 * changes. */
static rs_status rerun(rs_pass *p, rs_kv *kv, trip *t, rs_err *err)
{
    for (int64_t chunk = p->n; t->done < t->n; t->done += p->n) {
        int64_t at = kv->length - t->n + t->done;
        p->n = min64(chunk, t->n - t->done);
        p->ids = kv->ids + at;
        rs_pass_restart(p, at, t->from);
        RS_TRY(run_chunk(p, t, err));
    }
    return RS_OK;
}

/* A change joins what an abandoned recomputation left undone: the lower layer counts. */
static void join_stale(rs_kv *kv, int first, bool changed_kv)
{
    if (first < kv->stale_from) {
        kv->stale_from = first;
        kv->stale_kv = changed_kv;
    } else if (first == kv->stale_from) {
        kv->stale_kv |= changed_kv;
    }
}

static rs_status recompute(rs_pass *p, rs_kv *kv, trip *t, rs_err *err)
{
    int first = kv->stale_from;
    t->n = kv->length;
    if (first < 0 || !kv->keep_inputs) return rebuild(p, kv, t, err);
    bool only_last = first > kv->top || (first == kv->top && !kv->stale_kv);
    if (first > kv->top && !kv->deep[kv->length - 1]) first = kv->top;
    t->from = first;
    if (only_last) {
        memset(kv->deep, 0,
               (size_t)kv->length); /* above top the others are out of date */
        if (!t->logits) return RS_OK;
        t->n = p->n = 1;
    }
    return rerun(p, kv, t, err);
}

rs_status rs_kv_recompute(const rs_runtime *rt, const rs_model *m, rs_kv *kv, int first,
                          bool first_changed_kv, rs_progress_fn progress, void *ctx,
                          float *logits, rs_err *err)
{
    int n_layers = kv->config->n_layers;
    if (!kv->keep_inputs && first > 0 && kv->stale_from > 0)
        return rs_fail(
            err, RS_E_INVALID,
            "this cache does not keep the layers' inputs: it can be recomputed "
            "from the first layer only, not from layer %d",
            first);
    if (first > n_layers - 1) first = n_layers - 1; /* the last norm or the head */
    join_stale(kv, first, first_changed_kv);
    rs_status s = RS_OK;
    if (kv->length > 0) {
        rs_forward_options o = {
            .want = RS_WANT_LAST, .progress = progress, .progress_ctx = ctx};
        rs_pass p = {
            .rt = rt, .m = m, .mode = RS_LINEAR_FAST, .kv = &kv, .one_sequence = true};
        trip t = {&o, kv->length, 0, 0, logits};
        RS_TRY(rs_pass_new(&p, min64(kv->length, CHUNK), kv->length, err));
        s = recompute(&p, kv, &t, err);
        rs_pass_free(&p);
    }
    if (s != RS_OK) return s;
    kv->stale_from = n_layers;
    kv->stale_kv = false;
    return RS_OK;
}

double rs_logprob(const float *logits, int64_t vocab, int32_t id, double *lse)
{
    float top = logits[0];
    for (int64_t i = 1; i < vocab; i++)
        if (logits[i] > top) top = logits[i];
    double sum = 0;
    for (int64_t i = 0; i < vocab; i++)
        sum += exp((double)logits[i] - (double)top);
    double all = (double)top + log(sum);
    if (lse) *lse = all;
    return (double)logits[id] - all;
}
