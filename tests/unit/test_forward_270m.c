/* A published model: Gemma 3 270M from its GGUF (RS_GEMMA270), against the float32 reference
 * of fixtures/gemma3-270m. Skipped where either is absent. */
#include "base/json.h"
#include "tests/forward.h"

enum { LONGEST = 2048 };

static int64_t listed_ids(const rs_json *list, int32_t *ids)
{
    int64_t n = 0;
    for (const rs_json *v = rs_json_first(list); v && n < LONGEST; v = rs_json_next(v))
        ids[n++] = (int32_t)rs_json_number(v);
    return n;
}

/* --- log-probabilities, top logits, residual stream --- */

typedef struct stream_check {
    const rs_json *points; /* of layers.json, for this prompt; NULL: none */
    int64_t positions[8];
    int hidden, n_layers;
    double worst;
} stream_check;

/* The norm of the residual stream at the listed positions, relative. */
static void check_stream(void *ctx, int where, int64_t first, int64_t n,
                         const float *rows)
{
    stream_check *c = ctx;
    const rs_json *point = rs_json_first(c->points);
    for (int i = -1; i < where && point; i++)
        point = rs_json_next(point);
    const rs_json *l2 = rs_json_first(rs_json_get(point, "l2"));
    for (int k = 0; l2; l2 = rs_json_next(l2), k++) {
        int64_t at = c->positions[k] - first;
        if (at < 0 || at >= n) continue;
        double sum = 0;
        for (int i = 0; i < c->hidden; i++) {
            double v = (double)rows[at * c->hidden + i];
            sum += v * v;
        }
        double off = fabs(sqrt(sum) / rs_json_number(l2) - 1);
        c->worst = t_max(c->worst, off);
    }
}

static const rs_json *points_of(const rs_json *layers, const char *id, stream_check *c)
{
    for (const rs_json *v = rs_json_first(layers); v; v = rs_json_next(v)) {
        if (strcmp(rs_json_string(rs_json_get(v, "prompt")), id) != 0) continue;
        int k = 0;
        const rs_json *p = rs_json_first(rs_json_get(v, "positions"));
        for (; p && k < 8; p = rs_json_next(p))
            c->positions[k++] = (int64_t)rs_json_number(p);
        return rs_json_get(v, "points");
    }
    return NULL;
}

static void check_prompt(const subject *s, const rs_json *prompt, const rs_json *layers)
{
    int32_t ids[LONGEST];
    const char *id = rs_json_string(rs_json_get(prompt, "id"));
    int64_t n = listed_ids(rs_json_get(prompt, "token_ids"), ids), V = s->config->vocab;
    float *logits = malloc((size_t)(n * V) * sizeof *logits);
    rs_kv *kv;
    stream_check c = {.hidden = s->config->hidden, .n_layers = s->config->n_layers};
    c.points = points_of(layers, id, &c);
    rs_forward_options o = {
        .want = RS_WANT_ALL, .trace = c.points ? check_stream : NULL, .trace_ctx = &c};
    T_OK(rs_kv_new(s->config, NULL, &kv, &t_err));
    T_OK(rs_forward(&s->rt, s->model, kv, ids, n, &o, logits, &t_err));
    const rs_json *want = rs_json_first(rs_json_get(prompt, "logprobs"));
    for (int64_t t = 0; want; want = rs_json_next(want), t++) {
        double lp = rs_logprob(logits + t * V, V, ids[t + 1], NULL);
        if (!(fabs(lp - rs_json_number(want)) <= 1e-4))
            T_FAIL("%s, token %d: log p %.6f, expected %.6f", id, (int)t, lp,
                   rs_json_number(want));
    }
    const rs_json *last = rs_json_get(prompt, "last");
    const rs_json *top = rs_json_first(rs_json_get(last, "top5_ids"));
    const rs_json *value = rs_json_first(rs_json_get(last, "top5_logits"));
    for (; top && value; top = rs_json_next(top), value = rs_json_next(value))
        T_NEAR((double)logits[(n - 1) * V + (int64_t)rs_json_number(top)],
               rs_json_number(value), 1e-4, 0);
    double lse;
    (void)rs_logprob(logits + (n - 1) * V, V, 0, &lse);
    T_NEAR(lse, rs_json_number(rs_json_get(last, "logsumexp")), 1e-4, 0);
    if (!(c.worst <= 1e-5)) T_FAIL("%s: the stream's norm is off by %.3g", id, c.worst);
    rs_kv_free(kv);
    free(logits);
}

static rs_json *fixture(const char *name)
{
    char below[128];
    rs_json *doc = NULL;
    snprintf(below, sizeof below, "fixtures/gemma3-270m/%s", name);
    const char *path = t_shared(below);
    if (!path || rs_json_read_file(path, 8 << 20, &doc, &t_err) != RS_OK) return NULL;
    return doc;
}

/* Both files are there; else the test is skipped before it has opened anything. */
static const char *real_model(void)
{
    return t_shared("fixtures/gemma3-270m") ? t_gemma270() : NULL;
}

static void prompts(void)
{
    const char *gguf = real_model();
    if (!gguf) T_NO_GEMMA270();
    rs_json *doc = fixture("prompts.json"), *layers = fixture("layers.json");
    subject s;
    T_TRUE(doc && layers);
    T_OK(open_subject(gguf, 2, NULL, &s));
    for (const rs_json *p = rs_json_first(doc); p && t_result == T_PASSED;
         p = rs_json_next(p))
        check_prompt(&s, p, layers);
    close_subject(&s);
    rs_json_free(doc);
    rs_json_free(layers);
}

/* --- perplexity --- */

/* Minus log-probability summed over a window; bos is put in front. */
static double window_nll(const subject *s, const int32_t *ids, int64_t n)
{
    int64_t V = s->config->vocab;
    int32_t row[LONGEST];
    row[0] = (int32_t)s->config->bos;
    memcpy(row + 1, ids, (size_t)n * sizeof *ids);
    float *logits = malloc((size_t)((n + 1) * V) * sizeof *logits);
    rs_kv *kv;
    rs_forward_options o = {.want = RS_WANT_ALL};
    double sum = NAN;
    if (rs_kv_new(s->config, NULL, &kv, &t_err) == RS_OK &&
        rs_forward(&s->rt, s->model, kv, row, n + 1, &o, logits, &t_err) == RS_OK) {
        sum = 0;
        for (int64_t t = 0; t < n; t++)
            sum -= rs_logprob(logits + t * V, V, row[t + 1], NULL);
        rs_kv_free(kv);
    }
    free(logits);
    return sum;
}

static void perplexity(void)
{
    const char *gguf = real_model();
    if (!gguf) T_NO_GEMMA270();
    rs_json *doc = fixture("perplexity.json");
    subject s;
    T_TRUE(doc);
    T_OK(open_subject(gguf, 2, NULL, &s));
    for (const rs_json *p = rs_json_first(doc); p; p = rs_json_next(p)) {
        int32_t ids[LONGEST];
        int64_t n = listed_ids(rs_json_get(p, "token_ids"), ids);
        double nll = 0;
        for (int64_t at = 0; at < n; at += 1023)
            nll += window_nll(&s, ids + at, n - at < 1023 ? n - at : 1023);
        T_NEAR(nll, rs_json_number(rs_json_get(p, "nll")), 0, 1e-6);
    }
    close_subject(&s);
    rs_json_free(doc);
}

T_MAIN(T_TEST(prompts), T_TEST(perplexity))
