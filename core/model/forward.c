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
    return rs_fail(err, RS_E_INVALID, "the cache is stale from layer %d on: recompute it first",
                   kv->stale_from);
}

static int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }

/* Logits of `count` rows of h, which holds the normed stream from row `from` on. */
static rs_status head(rs_pass *p, int64_t from, int64_t count, float *logits, rs_err *err)
{
    const rs_config *c = p->m->config;
    for (int64_t i = from; i < from + count; i++)
        p->rt->kernels->linear->rms_norm(p->x + i * c->hidden, p->m->final_norm, c->rms_eps,
                                         p->h + i * c->hidden, c->hidden);
    if (!logits) return RS_OK;
    rs_product product = {&p->m->head, p->h + from * c->hidden, logits, c->hidden, c->vocab,
                          (float)c->final_softcap};
    return rs_linear(p->rt, p->mode, &product, 1, count, err);
}

/* What a trip over many chunks reports and asks. */
typedef struct trip {
    const rs_forward_options *o;
    uint64_t done, total;
} trip;

static rs_status step(trip *t, int64_t rows, rs_err *err)
{
    t->done += (uint64_t)rows;
    if (!t->o->progress) return RS_OK;
    rs_progress g = {t->done, t->total, "tokens", "layers"};
    if (t->o->progress(t->o->progress_ctx, &g)) return RS_OK;
    return rs_fail(err, RS_E_CANCELLED, "the forward pass was cancelled");
}

static void tell(const rs_pass *p, const rs_forward_options *o, int where, const float *rows)
{
    if (o->trace) o->trace(o->trace_ctx, where, p->position[0], p->n, rows);
}

/* The chunk's rows through the layers from `first` on; x is the input of `first`. */
static rs_status layers(rs_pass *p, int first, trip *t, rs_err *err)
{
    for (int i = first; i < p->m->config->n_layers; i++) {
        RS_TRY(rs_pass_layer(p, i, err));
        tell(p, t->o, i, p->x);
        RS_TRY(step(t, p->n, err));
    }
    return RS_OK;
}

static rs_status finish_chunk(rs_pass *p, bool is_last, const rs_forward_options *o,
                              float *logits, rs_err *err)
{
    if (o->want == RS_WANT_ALL || o->trace) {
        RS_TRY(head(p, 0, p->n, o->want == RS_WANT_ALL ? logits : NULL, err));
        tell(p, o, p->m->config->n_layers, p->h);
    }
    if (o->want != RS_WANT_LAST || !is_last) return RS_OK;
    return head(p, p->n - 1, 1, logits, err);
}

static rs_status forward_chunk(rs_pass *p, int64_t position, bool is_last, trip *t,
                               float *logits, rs_err *err)
{
    RS_TRY(rs_pass_start(p, position, err));
    tell(p, t->o, -1, p->x);
    RS_TRY(layers(p, 0, t, err));
    return finish_chunk(p, is_last, t->o, logits, err);
}

rs_status rs_forward(const rs_runtime *rt, const rs_model *m, rs_kv *kv, const int32_t *ids,
                     int64_t n, const rs_forward_options *o, float *logits, rs_err *err)
{
    static const rs_forward_options nothing = {0};
    if (!o) o = &nothing;
    if (n <= 0) return RS_OK;
    RS_TRY(check_fresh(kv, err));
    RS_TRY(check_ids(m, ids, n, err));
    int64_t start = kv->length, chunk = min64(n, CHUNK);
    rs_pass p = {.rt = rt, .m = m, .mode = n == 1 ? RS_LINEAR_FIXED : RS_LINEAR_FAST,
                 .kv = &kv, .one_sequence = true};
    RS_TRY(rs_pass_new(&p, chunk, start + n, err));
    trip t = {o, 0, (uint64_t)n * (uint64_t)m->config->n_layers};
    rs_status s = RS_OK;
    for (int64_t at = 0; at < n && s == RS_OK; at += chunk) {
        p.n = min64(chunk, n - at);
        p.ids = ids + at;
        s = rs_kv_reserve(kv, p.n, err);
        float *to = logits && o->want == RS_WANT_ALL ? logits + at * m->config->vocab : logits;
        if (s == RS_OK) s = forward_chunk(&p, start + at, at + p.n == n, &t, to, err);
        if (s == RS_OK) kv->length += p.n;
    }
    rs_pass_free(&p);
    if (s != RS_OK) kv->length = start;
    return s;
}

rs_status rs_forward_batch(const rs_runtime *rt, const rs_model *m, rs_kv *const *kv,
                           const int32_t *ids, int n_seq, float *logits, rs_err *err)
{
    static const rs_forward_options nothing = {0};
    int64_t longest = 0;
    RS_TRY(check_ids(m, ids, n_seq, err));
    for (int i = 0; i < n_seq; i++) {
        RS_TRY(check_fresh(kv[i], err));
        RS_TRY(rs_kv_reserve(kv[i], 1, err));
        if (kv[i]->length > longest) longest = kv[i]->length;
    }
    rs_pass p = {.rt = rt, .m = m, .mode = RS_LINEAR_FIXED, .kv = kv, .ids = ids};
    RS_TRY(rs_pass_new(&p, n_seq, longest + 1, err));
    trip t = {&nothing, 0, 0};
    rs_status s = rs_pass_start(&p, 0, err);
    if (s == RS_OK) s = layers(&p, 0, &t, err);
    if (s == RS_OK && logits) s = head(&p, 0, n_seq, logits, err);
    for (int i = 0; i < n_seq && s == RS_OK; i++) kv[i]->length++;
    rs_pass_free(&p);
    return s;
}

/* --- recomputation --- */

static rs_status recompute_chunk(rs_pass *p, int first, int64_t at, bool is_last, trip *t,
                                 float *logits, rs_err *err)
{
    rs_kv *kv = p->kv[0];
    int64_t H = kv->config->hidden;
    p->ids = kv->ids + at;
    RS_TRY(rs_pass_start(p, at, err));
    if (first > 0)
        memcpy(p->x, kv->inputs[first] + at * H, (size_t)(p->n * H) * sizeof(float));
    RS_TRY(layers(p, first > 0 ? first : 0, t, err));
    return logits ? finish_chunk(p, is_last, t->o, logits, err) : RS_OK;
}

rs_status rs_kv_recompute(const rs_runtime *rt, const rs_model *m, rs_kv *kv, int first,
                          bool first_changed_kv, rs_progress_fn progress, void *ctx,
                          float *logits, rs_err *err)
{
    (void)first_changed_kv; /* layer `first` runs again anyway, for its output */
    if (!kv->keep_inputs)
        return rs_fail(err, RS_E_INVALID, "this cache does not keep the layers' inputs");
    if (first > kv->stale_from) first = kv->stale_from;
    if (first < 0) first = 0;
    if (kv->length == 0) return RS_OK;
    if (first == kv->config->n_layers && !logits) return RS_OK;
    if (first == kv->config->n_layers) first--; /* only the logits are wanted */
    rs_forward_options o = {.want = RS_WANT_LAST, .progress = progress, .progress_ctx = ctx};
    int64_t n = kv->length, chunk = min64(n, CHUNK);
    rs_pass p = {.rt = rt, .m = m, .mode = RS_LINEAR_FAST, .kv = &kv, .one_sequence = true};
    RS_TRY(rs_pass_new(&p, chunk, n, err));
    kv->stale_from = first;
    trip t = {&o, 0, (uint64_t)n * (uint64_t)(m->config->n_layers - first)};
    rs_status s = RS_OK;
    for (int64_t at = 0; at < n && s == RS_OK; at += chunk) {
        p.n = min64(chunk, n - at);
        s = recompute_chunk(&p, first, at, at + p.n == n, &t, logits, err);
    }
    rs_pass_free(&p);
    if (s == RS_OK) kv->stale_from = kv->config->n_layers;
    return s;
}

double rs_logprob(const float *logits, int64_t vocab, int32_t id, double *lse)
{
    float top = logits[0];
    for (int64_t i = 1; i < vocab; i++)
        if (logits[i] > top) top = logits[i];
    double sum = 0;
    for (int64_t i = 0; i < vocab; i++) sum += exp((double)logits[i] - (double)top);
    double all = (double)top + log(sum);
    if (lse) *lse = all;
    return (double)logits[id] - all;
}
