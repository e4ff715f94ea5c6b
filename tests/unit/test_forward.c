/* The forward pass against Hugging Face's float32 logits and hidden states. */
#include "tests/forward.h"

typedef struct hidden_check {
    const rs_checkpoint *fixture;
    int n_layers, hidden;
    double worst; /* relative to the layer's largest */
} hidden_check;

static void check_hidden(void *ctx, int where, int64_t first, int64_t n,
                         const float *rows)
{
    hidden_check *h = ctx;
    char name[48];
    snprintf(name, sizeof name, where < 0 ? "hidden.embed" : "hidden.layer.%d", where);
    if (where == h->n_layers) snprintf(name, sizeof name, "hidden.norm");
    int64_t all;
    float *want = array(h->fixture, name, &all);
    if (!want) {
        h->worst = INFINITY;
        return;
    }
    double w = worst(rows, want + first * h->hidden, n * h->hidden) / largest(want, all);
    h->worst = t_max(h->worst, w);
    free(want);
}

static void check_fixture(const char *model, const char *fixture, double limit)
{
    subject s;
    rs_checkpoint *f;
    char path[256];
    snprintf(path, sizeof path, "models/%s", model);
    T_OK(open_subject(t_golden(path), 2, NULL, &s));
    snprintf(path, sizeof path, "logits/%s.safetensors", fixture);
    T_OK(rs_checkpoint_open(t_golden(path), &f, &t_err));
    for (int i = 0; i < 3; i++) {
        int32_t ids[MAX_IDS];
        int64_t n = ids_of(f, i, ids), all;
        char name[32];
        snprintf(name, sizeof name, "logits.%d", i);
        float *want = array(f, name, &all);
        T_TRUE(want != NULL);
        T_EQ(all, n * s.config->vocab);
        float *got = malloc((size_t)all * sizeof *got);
        rs_kv *kv;
        T_OK(rs_kv_new(s.config, NULL, &kv, &t_err));
        hidden_check h = {f, s.config->n_layers, s.config->hidden, 0};
        rs_forward_options o = {
            .want = RS_WANT_ALL, .trace = i == 1 ? check_hidden : NULL, .trace_ctx = &h};
        T_OK(rs_forward(&s.rt, s.model, kv, ids, n, &o, got, &t_err));
        double w = worst(got, want, all);
        if (!(w <= limit)) T_FAIL("%s sequence %d: logits off by %.3g", model, i, w);
        if (!(h.worst <= 1e-5)) T_FAIL("%s: hidden states off by %.3g", model, h.worst);
        rs_kv_free(kv);
        free(got);
        free(want);
    }
    rs_checkpoint_close(f);
    close_subject(&s);
}

static void gemma4_e4b(void)
{
    check_fixture("gemma4_e4b", "gemma4_e4b", 2e-4);
}
static void gemma4_e2b(void)
{
    check_fixture("gemma4_e2b", "gemma4_e2b", 2e-4);
}
static void gemma4_v64(void)
{
    check_fixture("gemma4_v64", "gemma4_v64", 2e-4);
}
static void gemma4_multimodal(void)
{
    check_fixture("gemma4_e4b_mm", "gemma4_e4b", 2e-4);
}
static void gemma3(void)
{
    check_fixture("gemma3", "gemma3", 9e-5);
}
static void gemma2(void)
{
    check_fixture("gemma2", "gemma2", 9e-5);
}
static void llama(void)
{
    check_fixture("llama", "llama", 9e-5);
}
static void mistral(void)
{
    check_fixture("mistral", "mistral", 9e-5);
}
static void qwen2(void)
{
    check_fixture("qwen2", "qwen2", 9e-5);
}
static void qwen3(void)
{
    check_fixture("qwen3", "qwen3", 9e-5);
}

static void check_sparring(const char *which, double limit, double logprob_limit)
{
    subject s;
    rs_checkpoint *f;
    char path[256];
    snprintf(path, sizeof path, "recipes/sparring/%s", which);
    T_OK(open_subject(path, 2, NULL, &s));
    snprintf(path, sizeof path, "logits/sparring_%s.safetensors", which);
    T_OK(rs_checkpoint_open(t_golden(path), &f, &t_err));
    int64_t V = s.config->vocab;
    for (int i = 0; i < 3; i++) {
        int32_t ids[MAX_IDS];
        int64_t n = ids_of(f, i, ids), n8, np, na;
        char name[32];
        snprintf(name, sizeof name, "logits_last8.%d", i);
        float *last8 = array(f, name, &n8);
        snprintf(name, sizeof name, "logprob_next.%d", i);
        float *next = array(f, name, &np);
        snprintf(name, sizeof name, "argmax.%d", i);
        float *top = array(f, name, &na);
        float *got = malloc((size_t)(n * V) * sizeof *got);
        rs_kv *kv;
        T_OK(rs_kv_new(s.config, NULL, &kv, &t_err));
        rs_forward_options o = {.want = RS_WANT_ALL};
        T_OK(rs_forward(&s.rt, s.model, kv, ids, n, &o, got, &t_err));
        double w = worst(got + (n - 8) * V, last8, 8 * V);
        if (!(w <= limit)) T_FAIL("sequence %d: logits off by %.3g", i, w);
        for (int64_t t = 0; t < np; t++) {
            double lp = rs_logprob(got + t * V, V, ids[t + 1], NULL);
            if (!(fabs(lp - (double)next[t]) <= logprob_limit))
                T_FAIL("sequence %d, token %d: log p %.6f, expected %.6f", i, (int)t, lp,
                       (double)next[t]);
        }
        for (int64_t t = 0; t < na; t++) {
            int64_t best = 0;
            for (int64_t v = 1; v < V; v++)
                if (got[t * V + v] > got[t * V + best]) best = v;
            T_EQ(best, (int64_t)top[t]);
        }
        rs_kv_free(kv);
        free(got);
        free(last8);
        free(next);
        free(top);
    }
    rs_checkpoint_close(f);
    close_subject(&s);
}

static void sparring_it(void)
{
    check_sparring("it", 6e-4, 3e-4);
}
static void sparring_pt(void)
{
    check_sparring("pt", 4e-4, 2e-4);
}

T_MAIN(T_TEST(gemma4_e4b), T_TEST(gemma4_e2b), T_TEST(gemma4_v64),
       T_TEST(gemma4_multimodal), T_TEST(gemma3), T_TEST(gemma2), T_TEST(llama),
       T_TEST(mistral), T_TEST(qwen2), T_TEST(qwen3), T_TEST(sparring_it),
       T_TEST(sparring_pt))
