#include "model/generate.h"

#include "model/generate_text.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct rs_generator {
    const rs_runtime *rt;
    const rs_model *model;
    const rs_tokenizer *tokenizer;
    rs_ids
        ids; /* prompt and new ones; those past the cache's length are still to be read */
    int64_t n_prompt, max_new, min_tokens;
    bool ignore_eos;
    int32_t *stop_ids;
    int n_stop_ids;
    rs_kv *kv;
    rs_sampler *sampler;
    float *logits; /* [vocab], of the token behind the cache, if has_logits */
    bool has_logits;
    bool
        is_stale; /* a recomputation was abandoned: do it from this layer before all else */
    int stale_first;
    bool stale_kv;
    rs_text_flow text;
    rs_stop stop;
};

const char *rs_stop_name(rs_stop s)
{
    static const char *const names[] = {"none", "eos", "length", "string"};
    return names[s];
}

/* ---- making one ---- */

static rs_status check_prompt(const rs_model *m, const int32_t *prompt, int64_t n,
                              const rs_generate_params *p, rs_err *err)
{
    int64_t vocab = m->config->vocab;
    if (n < 1) return rs_fail(err, RS_E_INVALID, "the prompt has no tokens");
    for (int64_t i = 0; i < n; i++)
        if (prompt[i] < 0 || prompt[i] >= vocab)
            return rs_fail(err, RS_E_INVALID,
                           "the prompt's token %" PRId64 " has the id %" PRId32
                           ", the model has %" PRId64,
                           i, prompt[i], vocab);
    if (p->max_tokens < 0 || p->min_tokens < 0)
        return rs_fail(err, RS_E_INVALID, "the number of tokens to write is negative");
    if (n >= m->config->max_positions)
        return rs_fail(err, RS_E_INVALID,
                       "the prompt has %" PRId64
                       " tokens, the model takes %d with the answer",
                       n, m->config->max_positions);
    return RS_OK;
}

static rs_status take_params(rs_generator *g, const rs_generate_params *p, rs_err *err)
{
    int64_t room = g->model->config->max_positions - g->n_prompt;
    g->max_new = p->max_tokens > 0 && p->max_tokens < room ? p->max_tokens : room;
    g->min_tokens = p->min_tokens;
    g->ignore_eos = p->ignore_eos;
    size_t n = p->n_stop_ids > 0 ? (size_t)p->n_stop_ids : 0;
    g->stop_ids = malloc((n + 1) * sizeof *g->stop_ids);
    if (!g->stop_ids) return rs_fail(err, RS_E_NOMEM, "no memory for a text");
    for (size_t i = 0; i < n; i++) /* ids that the model does not have are never drawn */
        if (p->stop_ids[i] >= 0 && p->stop_ids[i] < g->model->config->vocab)
            g->stop_ids[g->n_stop_ids++] = p->stop_ids[i];
    return rs_text_flow_init(&g->text, p->stop_strings, p->n_stop_strings, err);
}

static rs_status set_up(rs_generator *g, const int32_t *prompt,
                        const rs_generate_params *p, rs_err *err)
{
    const rs_config *c = g->model->config;
    RS_TRY(take_params(g, p, err));
    g->logits = malloc((size_t)c->vocab * sizeof *g->logits);
    bool ok = g->logits != NULL;
    for (int64_t i = 0; ok && i < g->n_prompt; i++)
        ok = rs_ids_add(&g->ids, prompt[i]);
    if (!ok) return rs_fail(err, RS_E_NOMEM, "no memory for a text");
    RS_TRY(rs_sampler_new(&p->sampler, c->vocab, &g->sampler, err));
    rs_kv_options o = {.max_tokens = g->n_prompt + g->max_new,
                       .keep_inputs = p->keep_inputs};
    return rs_kv_new(c, &o, &g->kv, err);
}

rs_status rs_generator_new(const rs_runtime *rt, const rs_model *m, const rs_tokenizer *t,
                           const int32_t *prompt, int64_t n_prompt,
                           const rs_generate_params *p, rs_generator **out, rs_err *err)
{
    *out = NULL;
    RS_TRY(check_prompt(m, prompt, n_prompt, p, err));
    rs_generator *g = calloc(1, sizeof *g);
    if (!g) return rs_fail(err, RS_E_NOMEM, "no memory for a text");
    g->rt = rt;
    g->model = m;
    g->tokenizer = t;
    g->n_prompt = n_prompt;
    rs_status s = set_up(g, prompt, p, err);
    if (s != RS_OK)
        rs_generator_free(g);
    else
        *out = g;
    return s;
}

void rs_generator_free(rs_generator *g)
{
    if (!g) return;
    rs_ids_free(&g->ids);
    free(g->stop_ids);
    rs_kv_free(g->kv);
    rs_sampler_free(g->sampler);
    free(g->logits);
    rs_text_flow_free(&g->text);
    free(g);
}

/* ---- logits ---- */

static rs_status recompute(rs_generator *g, int first, bool first_kv,
                           rs_progress_fn progress, void *ctx, rs_err *err)
{
    bool all_read = rs_kv_length(g->kv) == g->ids.n;
    g->has_logits = false;
    rs_status s = rs_kv_recompute(g->rt, g->model, g->kv, first, first_kv, progress, ctx,
                                  all_read ? g->logits : NULL, err);
    g->is_stale = s != RS_OK;
    g->stale_first = first;
    g->stale_kv = first_kv;
    g->has_logits = s == RS_OK && all_read;
    return s;
}

/* Reads what is to be read and is not the one token of a running text. */
static rs_status read_pending(rs_generator *g, rs_progress_fn progress, void *ctx,
                              rs_err *err)
{
    if (g->is_stale)
        RS_TRY(recompute(g, g->stale_first, g->stale_kv, progress, ctx, err));
    int64_t have = rs_kv_length(g->kv), n = g->ids.n - have;
    if (g->has_logits || n == 0) return RS_OK;
    rs_forward_options o = {
        .want = RS_WANT_LAST, .progress = progress, .progress_ctx = ctx};
    RS_TRY(rs_forward(g->rt, g->model, g->kv, g->ids.at + have, n, &o, g->logits, err));
    g->has_logits = true;
    return RS_OK;
}

rs_status rs_generator_weights_changed(rs_generator *g, int first, bool first_changed_kv,
                                       rs_progress_fn progress, void *ctx, rs_err *err)
{
    if (rs_kv_length(g->kv) == 0) return RS_OK;
    if (g->is_stale && g->stale_first < first) {
        first = g->stale_first;
        first_changed_kv = g->stale_kv;
    } else if (g->is_stale && g->stale_first == first) {
        first_changed_kv |= g->stale_kv;
    }
    return recompute(g, first, first_changed_kv, progress, ctx, err);
}

/* Is the newest token all that has to be read? Those of all such texts go as one batch. */
static bool is_running(const rs_generator *g)
{
    int64_t have = rs_kv_length(g->kv);
    return !g->is_stale && !g->has_logits && have >= g->n_prompt && g->ids.n - have == 1;
}

typedef struct batch {
    rs_kv **kv;
    int32_t *ids;
    float *logits;
    int n;
} batch;

static void free_batch(batch *b)
{
    free(b->kv);
    free(b->ids);
    free(b->logits);
}

static bool fill_batch(batch *b, rs_generator *const *g, int n, size_t vocab)
{
    b->kv = malloc((size_t)n * sizeof *b->kv);
    b->ids = malloc((size_t)n * sizeof *b->ids);
    if (!b->kv || !b->ids) return false;
    for (int i = 0; i < n; i++) {
        if (g[i]->stop != RS_STOP_NONE || !is_running(g[i])) continue;
        b->kv[b->n] = g[i]->kv;
        b->ids[b->n++] = g[i]->ids.at[g[i]->ids.n - 1];
    }
    if (b->n > 1) b->logits = malloc((size_t)b->n * vocab * sizeof *b->logits);
    return b->n < 2 || b->logits;
}

/* The batch's logits into the texts that it was made of, in the same order. */
static void hand_out(const batch *b, rs_generator *const *g, int n, size_t vocab)
{
    int row = 0;
    for (int i = 0; i < n; i++) {
        if (g[i]->stop != RS_STOP_NONE || g[i]->has_logits) continue;
        if (rs_kv_length(g[i]->kv) != g[i]->ids.n) continue;
        if (b->logits)
            memcpy(g[i]->logits, b->logits + (size_t)row * vocab, vocab * sizeof(float));
        row++;
        g[i]->has_logits = true;
    }
}

static rs_status read_running(rs_generator *const *g, int n, rs_err *err)
{
    const rs_generator *any = g[0];
    size_t vocab = (size_t)any->model->config->vocab;
    batch b = {0};
    rs_status s = fill_batch(&b, g, n, vocab)
                      ? RS_OK
                      : rs_fail(err, RS_E_NOMEM, "no memory for a batch of %d texts", n);
    if (s == RS_OK && b.n > 0) {
        float *logits = b.logits;
        for (int i = 0; i < n && !logits; i++)
            if (g[i]->stop == RS_STOP_NONE && is_running(g[i])) logits = g[i]->logits;
        s = rs_forward_batch(any->rt, any->model, b.kv, b.ids, b.n, logits, err);
        if (s == RS_OK) hand_out(&b, g, n, vocab);
    }
    free_batch(&b);
    return s;
}

rs_status rs_generator_prefill(rs_generator *g, rs_progress_fn progress, void *ctx,
                               rs_err *err)
{
    if (is_running(g)) return read_running(&g, 1, err); /* as a step would read it */
    return read_pending(g, progress, ctx, err);
}

/* ---- one token ---- */

static bool is_stop_id(const rs_generator *g, int32_t id)
{
    for (int i = 0; i < g->n_stop_ids; i++)
        if (g->stop_ids[i] == id) return true;
    return false;
}

static rs_status draw(rs_generator *g, rs_token_event *e, rs_err *err)
{
    int64_t n_new = g->ids.n - g->n_prompt;
    double lse;
    (void)rs_logprob(g->logits, g->model->config->vocab, 0, &lse);
    if (g->ignore_eos || n_new < g->min_tokens)
        for (int i = 0; i < g->n_stop_ids; i++)
            g->logits[g->stop_ids[i]] = -INFINITY;
    e->id = rs_sampler_draw(g->sampler, g->logits, g->ids.at, g->ids.n, NULL, NULL);
    if (e->id < 0)
        return rs_fail(err, RS_E_INVALID,
                       "there is no token to draw after %" PRId64
                       " tokens: no logit is a finite number",
                       g->ids.n);
    e->logprob = g->logits[e->id] - lse;
    if (!rs_ids_add(&g->ids, e->id))
        return rs_fail(err, RS_E_NOMEM, "no memory for a text");
    g->has_logits = false;
    return RS_OK;
}

static rs_status take_token(rs_generator *g, rs_token_event *e, rs_err *err)
{
    size_t shown = g->text.shown;
    RS_TRY(draw(g, e, err));
    bool eos = is_stop_id(g, e->id), full = g->ids.n - g->n_prompt >= g->max_new;
    bool cut = g->tokenizer && rs_text_flow_add(&g->text, g->tokenizer, e->id);
    if (!cut && (eos || full)) cut = rs_text_flow_end(&g->text);
    if (g->text.text.failed || g->text.run.failed)
        return rs_fail(err, RS_E_NOMEM, "no memory for a text");
    g->stop = eos    ? RS_STOP_EOS
              : cut  ? RS_STOP_STRING
              : full ? RS_STOP_LENGTH
                     : RS_STOP_NONE;
    e->text = rs_buf_str(&g->text.text) + shown;
    e->n_text = g->text.shown - shown;
    e->stop = g->stop;
    return RS_OK;
}

rs_status rs_generator_step_all(rs_generator *const *g, int n, rs_token_event *e,
                                rs_err *err)
{
    for (int i = 0; i < n; i++) {
        e[i] = (rs_token_event){.id = -1, .text = "", .stop = g[i]->stop};
        if (g[i]->model != g[0]->model)
            return rs_fail(err, RS_E_INVALID, "a batch holds texts of different models");
    }
    for (int i = 0; i < n; i++)
        if (g[i]->stop == RS_STOP_NONE && !is_running(g[i]))
            RS_TRY(read_pending(g[i], NULL, NULL, err));
    if (n > 0) RS_TRY(read_running(g, n, err));
    for (int i = 0; i < n; i++)
        if (g[i]->stop == RS_STOP_NONE) RS_TRY(take_token(g[i], &e[i], err));
    return RS_OK;
}

rs_status rs_generator_step(rs_generator *g, rs_token_event *e, rs_err *err)
{
    if (g->stop != RS_STOP_NONE)
        return rs_fail(err, RS_E_INVALID, "the text has ended (%s)",
                       rs_stop_name(g->stop));
    return rs_generator_step_all(&g, 1, e, err);
}

/* ---- what there is ---- */

rs_stop rs_generator_stopped(const rs_generator *g)
{
    return g->stop;
}

const int32_t *rs_generator_ids(const rs_generator *g, int64_t *n_prompt, int64_t *n_all)
{
    if (n_prompt) *n_prompt = g->n_prompt;
    if (n_all) *n_all = g->ids.n;
    return g->ids.at;
}

const char *rs_generator_text(const rs_generator *g, size_t *n)
{
    if (n) *n = g->text.shown;
    return rs_buf_str(&g->text.text);
}
