/* The forward pass against Hugging Face's float32 logits and hidden states, and against
 * itself: pieces, batches, threads, instruction sets, recomputation. */
#include "model/forward.h"
#include "tests/t.h"

#include "base/os.h"
#include "tensor/convert.h"

enum { MAX_IDS = 512 };

typedef struct subject {
    rs_runtime rt;
    rs_checkpoint *file;
    rs_config *config;
    rs_model *model;
} subject;

static rs_status open_subject(const char *path, int threads, const char *isa, subject *s)
{
    rs_options o = {.threads = threads, .memory_bytes = 1 << 30, .isa = isa};
    *s = (subject){0};
    RS_TRY(rs_init(&o, &s->rt, &t_err));
    RS_TRY(rs_checkpoint_open(path, &s->file, &t_err));
    RS_TRY(rs_config_load(s->file, &s->config, &t_err));
    return rs_model_load(&s->rt, s->file, s->config, NULL, NULL, &s->model, &t_err);
}

static void close_subject(subject *s)
{
    rs_model_free(s->model);
    rs_config_free(s->config);
    rs_checkpoint_close(s->file);
    rs_quit(&s->rt);
}

/* A float32 or int64 tensor of a fixture as floats. */
static float *array(const rs_checkpoint *c, const char *name, int64_t *n)
{
    const rs_tensor *t = rs_checkpoint_find(c, name);
    if (!t) return NULL;
    float *p = calloc((size_t)t->n_elements + 1, sizeof *p);
    *n = t->n_elements;
    if (t->dtype == RS_DTYPE_I64) {
        int64_t *raw = malloc((size_t)t->n_bytes + 8);
        if (rs_checkpoint_read_raw(c, t, 0, (size_t)t->n_bytes, raw, &t_err) != RS_OK)
            exit(1);
        for (int64_t i = 0; i < *n; i++)
            p[i] = (float)raw[i];
        free(raw);
    } else if (rs_checkpoint_read_f32(c, t, 0, *n, p, &t_err) != RS_OK) {
        exit(1);
    }
    return p;
}

static int64_t ids_of(const rs_checkpoint *c, int i, int32_t *ids)
{
    char name[32];
    int64_t n = 0;
    snprintf(name, sizeof name, "ids.%d", i);
    float *f = array(c, name, &n);
    for (int64_t k = 0; f && k < n && k < MAX_IDS; k++)
        ids[k] = (int32_t)f[k];
    free(f);
    return n;
}

static double worst(const float *a, const float *b, int64_t n)
{
    double w = 0;
    for (int64_t i = 0; i < n; i++) {
        double d = fabs((double)a[i] - (double)b[i]);
        if (!(d <= w)) w = d;
    }
    return w;
}

static double largest(const float *a, int64_t n)
{
    double w = 0;
    for (int64_t i = 0; i < n; i++)
        w = fmax(w, fabs((double)a[i]));
    return w;
}

/* --- logits and hidden states --- */

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
    if (w > h->worst) h->worst = w;
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

/* --- against itself --- */

static int64_t long_ids(const subject *s, int32_t *ids, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        ids[i] = (int32_t)(20 + (i * 37 + i * i * 11) % 350);
    ids[0] = s->config->bos >= 0 ? s->config->bos : 2;
    return n;
}

/* Logits of the last of n tokens, fed in pieces of `piece`. */
static void run_pieces(const subject *s, const int32_t *ids, int64_t n, int64_t piece,
                       float *logits)
{
    rs_kv *kv;
    T_OK(rs_kv_new(s->config, NULL, &kv, &t_err));
    rs_forward_options o = {.want = RS_WANT_LAST};
    for (int64_t at = 0; at < n; at += piece) {
        int64_t k = n - at < piece ? n - at : piece;
        T_OK(rs_forward(&s->rt, s->model, kv, ids + at, k, &o, logits, &t_err));
    }
    T_EQ(rs_kv_length(kv), n);
    rs_kv_free(kv);
}

static void decode_equals_prefill(void)
{
    static const char *const models[] = {
        "tests/golden/models/gemma4_e4b", "tests/golden/models/gemma4_e2b",
        "tests/golden/models/gemma3",     "tests/golden/models/gemma2",
        "tests/golden/models/llama",      "tests/golden/models/mistral",
        "tests/golden/models/qwen2",      "recipes/sparring/it"};
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        subject s;
        int32_t ids[MAX_IDS];
        T_OK(open_subject(models[i], 2, NULL, &s));
        int64_t n = long_ids(&s, ids, 400), V = s.config->vocab;
        float *a = malloc((size_t)V * sizeof *a), *b = malloc((size_t)V * sizeof *b);
        run_pieces(&s, ids, n, n, a);
        static const int64_t pieces[] = {1, 7, 64, 399};
        for (int k = 0; k < 4; k++) {
            run_pieces(&s, ids, n, pieces[k], b);
            double w = worst(a, b, V);
            if (!(w <= 2e-4))
                T_FAIL("%s in pieces of %d: off by %.3g", models[i], (int)pieces[k], w);
        }
        free(a);
        free(b);
        close_subject(&s);
    }
}

/* A prefill of all but the last token, that one through rs_forward_batch. */
static void batch_after_prefill(void)
{
    subject s;
    int32_t ids[MAX_IDS];
    T_OK(open_subject("recipes/sparring/it", 2, NULL, &s));
    int64_t n = long_ids(&s, ids, 200), V = s.config->vocab;
    float *a = malloc((size_t)V * sizeof *a), *b = malloc((size_t)V * sizeof *b);
    run_pieces(&s, ids, n, n, a);
    for (int keep = 0; keep < 2; keep++) {
        rs_kv *kv;
        rs_kv_options o = {.keep_inputs = keep};
        T_OK(rs_kv_new(s.config, &o, &kv, &t_err));
        T_OK(rs_forward(&s.rt, s.model, kv, ids, n - 1, NULL, NULL, &t_err));
        T_OK(rs_forward_batch(&s.rt, s.model, &kv, ids + n - 1, 1, b, &t_err));
        double w = worst(a, b, V);
        if (!(w <= 2e-4)) T_FAIL("keep_inputs %d: off by %.3g", keep, w);
        rs_kv_free(kv);
    }
    free(a);
    free(b);
    close_subject(&s);
}

/* Logits after decoding `n` tokens one by one, as one of `width` sequences in a batch. */
static void run_batch(const subject *s, int width, int64_t n, float *logits)
{
    rs_kv *kv[16];
    int32_t ids[MAX_IDS], row[16];
    long_ids(s, ids, n);
    int64_t V = s->config->vocab;
    float *all = malloc((size_t)(V * width) * sizeof *all);
    for (int i = 0; i < width; i++)
        T_OK(rs_kv_new(s->config, NULL, &kv[i], &t_err));
    for (int64_t t = 0; t < n; t++) {
        for (int i = 0; i < width; i++)
            row[i] = i == width / 2 ? ids[t] : 30 + i + (int)t;
        T_OK(rs_forward_batch(&s->rt, s->model, kv, row, width, all, &t_err));
    }
    memcpy(logits, all + V * (width / 2), (size_t)V * sizeof *logits);
    for (int i = 0; i < width; i++)
        rs_kv_free(kv[i]);
    free(all);
}

static void batch_does_not_show(void)
{
    subject s;
    T_OK(open_subject("recipes/sparring/it", 2, NULL, &s));
    size_t bytes = (size_t)s.config->vocab * sizeof(float);
    float *one = malloc(bytes), *other = malloc(bytes);
    run_batch(&s, 1, 24, one);
    static const int widths[] = {2, 3, 16};
    for (int i = 0; i < 3; i++) {
        run_batch(&s, widths[i], 24, other);
        if (memcmp(one, other, bytes) != 0) T_FAIL("differs in a batch of %d", widths[i]);
    }
    free(one);
    free(other);
    close_subject(&s);
}

static void threads_do_not_show(void)
{
    float *first = NULL;
    static const int threads[] = {1, 2, 7};
    for (int i = 0; i < 3; i++) {
        subject s;
        int32_t ids[MAX_IDS];
        T_OK(open_subject("recipes/sparring/it", threads[i], NULL, &s));
        size_t bytes = (size_t)s.config->vocab * sizeof(float);
        float *now = malloc(bytes);
        int64_t n = long_ids(&s, ids, 150);
        run_pieces(&s, ids, n, 149, now);
        if (!first) {
            first = now;
        } else {
            T_TRUE(memcmp(first, now, bytes) == 0);
            free(now);
        }
        close_subject(&s);
    }
    free(first);
}

static void instruction_sets_agree(void)
{
    static const char *const isas[] = {"base", "avx2", "avx512"};
    float *first = NULL;
    int tried = 0;
    for (int i = 0; i < 3; i++) {
        subject s;
        int32_t ids[MAX_IDS];
        if (open_subject("recipes/sparring/it", 2, isas[i], &s) != RS_OK) continue;
        float *now = malloc((size_t)s.config->vocab * sizeof *now);
        run_pieces(&s, ids, long_ids(&s, ids, 100), 99, now);
        if (first) {
            T_TRUE(worst(first, now, s.config->vocab) <= 2e-4);
            free(now);
        } else {
            first = now;
        }
        tried++;
        close_subject(&s);
    }
    free(first);
    T_TRUE(tried >= 1);
}

static void truncated_goes_on(void)
{
    subject s;
    int32_t ids[MAX_IDS];
    T_OK(open_subject("recipes/sparring/it", 2, NULL, &s));
    int64_t n = long_ids(&s, ids, 300), V = s.config->vocab;
    float *a = malloc((size_t)V * sizeof *a), *b = malloc((size_t)V * sizeof *b);
    rs_kv *kv;
    rs_forward_options o = {.want = RS_WANT_LAST};
    T_OK(rs_kv_new(s.config, NULL, &kv, &t_err));
    T_OK(rs_forward(&s.rt, s.model, kv, ids, n, &o, a, &t_err));
    T_OK(rs_kv_truncate(kv, 180, &t_err));
    T_OK(rs_forward(&s.rt, s.model, kv, ids + 180, n - 180, &o, b, &t_err));
    T_TRUE(worst(a, b, V) <= 2e-4);
    T_FAILS(rs_kv_truncate(kv, n + 1, &t_err), RS_E_INVALID, "cannot be cut");
    rs_kv_free(kv);
    free(a);
    free(b);
    close_subject(&s);
}

static bool stop_at_once(void *ctx, const rs_progress *p)
{
    (void)ctx, (void)p;
    return false;
}

typedef struct countdown {
    int left;
} countdown;

static bool stop_after(void *ctx, const rs_progress *p)
{
    countdown *c = ctx;
    return p->done <= p->total && c->left-- > 0;
}

/* A long addition is abandoned after its sliding layers have moved on: the cache must be as
 * before, for every place to stop. */
static void abandoned_leaves_no_trace(void)
{
    subject s;
    enum { BEFORE = 300, MORE = 900 };
    static int32_t ids[BEFORE + MORE];
    T_OK(open_subject("recipes/sparring/it", 2, NULL, &s));
    long_ids(&s, ids, BEFORE + MORE);
    int64_t V = s.config->vocab;
    float *a = malloc((size_t)V * sizeof *a), *b = malloc((size_t)V * sizeof *b);
    run_pieces(&s, ids, BEFORE + 1, BEFORE, a);
    for (int stop = 0; stop < 26; stop += 5) {
        rs_kv *kv;
        countdown left = {stop};
        rs_forward_options o = {
            .want = RS_WANT_LAST, .progress = stop_after, .progress_ctx = &left};
        T_OK(rs_kv_new(s.config, NULL, &kv, &t_err));
        T_OK(rs_forward(&s.rt, s.model, kv, ids, BEFORE, NULL, NULL, &t_err));
        T_FAILS(rs_forward(&s.rt, s.model, kv, ids + BEFORE, MORE, &o, b, &t_err),
                RS_E_CANCELLED, "cancelled");
        T_EQ(rs_kv_length(kv), BEFORE);
        o.progress = NULL;
        T_OK(rs_forward(&s.rt, s.model, kv, ids + BEFORE, 1, &o, b, &t_err));
        if (memcmp(a, b, (size_t)V * sizeof *a) != 0)
            T_FAIL("differs, stopped after %d", stop);
        rs_kv_free(kv);
    }
    free(a);
    free(b);
    close_subject(&s);
}

/* --- recomputation --- */

/* Changes a matrix of a layer: one before its K/V, or one after. */
static void change(const subject *s, int layer, bool before_kv)
{
    const rs_layer_weights *l = &s->model->layers[layer];
    const rs_matrix *w = before_kv && l->k.data ? &l->k : layer % 2 ? &l->q : &l->up;
    uint16_t *bits = (uint16_t *)(uintptr_t)w->data;
    for (int64_t i = 0; i < w->rows * w->cols; i += 3)
        bits[i] ^= 0x10;
}

typedef struct bench { /* a cache under test and a fresh run beside it */
    subject s;
    int32_t ids[MAX_IDS];
    int64_t n, V;
    float *fresh, *got;
    rs_kv *kv;
} bench;

static rs_status begin(bench *b, const char *path, int64_t n, bool keep, rs_want want)
{
    RS_TRY(open_subject(path, 2, NULL, &b->s));
    b->n = long_ids(&b->s, b->ids, n);
    b->V = b->s.config->vocab;
    b->fresh = malloc((size_t)b->V * sizeof *b->fresh);
    b->got = malloc((size_t)b->V * sizeof *b->got);
    rs_kv_options o = {.keep_inputs = keep};
    rs_forward_options f = {.want = want};
    RS_TRY(rs_kv_new(b->s.config, &o, &b->kv, &t_err));
    return rs_forward(&b->s.rt, b->s.model, b->kv, b->ids, b->n, &f, b->got, &t_err);
}

static void end(bench *b)
{
    rs_kv_free(b->kv);
    free(b->fresh);
    free(b->got);
    close_subject(&b->s);
}

static double off_from_fresh(bench *b)
{
    run_pieces(&b->s, b->ids, b->n, b->n, b->fresh);
    return worst(b->fresh, b->got, b->V);
}

static rs_status recompute(bench *b, int first, bool kv_changed)
{
    return rs_kv_recompute(&b->s.rt, b->s.model, b->kv, first, kv_changed, NULL, NULL,
                           b->got, &t_err);
}

/* One change in every layer, top to bottom and back; also the tokens that follow. */
static void check_recompute(const char *path, rs_want want)
{
    bench b;
    T_OK(begin(&b, path, 300, true, want));
    int L = b.s.config->n_layers;
    for (int step = 0; step < 4 * L; step++) {
        int layer = step < L ? L - 1 - step : (step * 5) % L;
        bool before_kv = step % 3 == 0;
        change(&b.s, layer, before_kv);
        T_OK(recompute(&b, layer, before_kv));
        double off = off_from_fresh(&b);
        if (!(off <= 2e-4))
            T_FAIL("%s, step %d, layer %d: off by %.3g", path, step, layer, off);
        if (step % 4 != 3) continue; /* one more token, by the batch's way */
        b.ids[b.n++] = 40 + step;
        T_OK(rs_forward_batch(&b.s.rt, b.s.model, &b.kv, b.ids + b.n - 1, 1, b.got,
                              &t_err));
        off = off_from_fresh(&b);
        if (!(off <= 2e-4))
            T_FAIL("%s, step %d, a token later: off by %.3g", path, step, off);
    }
    end(&b);
}

static void recompute_gemma4(void)
{
    check_recompute("recipes/sparring/it", RS_WANT_LAST);
}
static void recompute_gemma3(void)
{
    check_recompute("tests/golden/models/gemma3", RS_WANT_LAST);
}
static void recompute_shallow(void)
{
    check_recompute("recipes/sparring/it", RS_WANT_NOTHING);
}

/* Cut back to a token that was never carried to the top, then a change up there. */
static void recompute_after_truncation(void)
{
    bench b;
    T_OK(begin(&b, "recipes/sparring/it", 300, true, RS_WANT_LAST));
    b.n = 120;
    T_OK(rs_kv_truncate(b.kv, b.n, &t_err));
    change(&b.s, 7, false);
    T_OK(recompute(&b, 7, false));
    T_TRUE(off_from_fresh(&b) <= 2e-4);
    T_OK(recompute(&b, 100, false)); /* only the head: the same logits again */
    T_TRUE(off_from_fresh(&b) <= 2e-4);
    end(&b);
}

static void recompute_after_abandoning(void)
{
    bench b;
    T_OK(begin(&b, "recipes/sparring/it", 300, true, RS_WANT_LAST));
    change(&b.s, 3, true);
    T_FAILS(rs_kv_recompute(&b.s.rt, b.s.model, b.kv, 3, true, stop_at_once, NULL, b.got,
                            &t_err),
            RS_E_CANCELLED, "cancelled");
    T_FAILS(rs_forward(&b.s.rt, b.s.model, b.kv, b.ids, 1, NULL, NULL, &t_err),
            RS_E_INVALID, "stale from layer 3");
    change(&b.s, 6, false);
    T_OK(recompute(&b, 6, false)); /* makes up for layer 3 */
    T_TRUE(off_from_fresh(&b) <= 2e-4);
    end(&b);
}

/* From the embeddings, with and without kept inputs, also after it was abandoned. */
static void recompute_everything(void)
{
    for (int keep = 0; keep < 2; keep++) {
        bench b;
        countdown some = {9};
        T_OK(begin(&b, "recipes/sparring/it", 300, keep, RS_WANT_LAST));
        uint16_t *bits = (uint16_t *)(uintptr_t)b.s.model->embed.data;
        for (int64_t i = 0; i < b.s.model->embed.rows * b.s.model->embed.cols; i += 5)
            bits[i] ^= 0x8;
        T_FAILS(rs_kv_recompute(&b.s.rt, b.s.model, b.kv, -1, false, stop_after, &some,
                                b.got, &t_err),
                RS_E_CANCELLED, "cancelled");
        T_EQ(rs_kv_length(b.kv), b.n);
        T_OK(recompute(&b, 5, false));
        T_TRUE(off_from_fresh(&b) <= 2e-4);
        b.ids[b.n++] = 77;
        T_OK(rs_forward_batch(&b.s.rt, b.s.model, &b.kv, b.ids + b.n - 1, 1, b.got,
                              &t_err));
        T_TRUE(off_from_fresh(&b) <= 2e-4);
        end(&b);
    }
}

static void refusals(void)
{
    subject s;
    T_OK(open_subject("recipes/sparring/it", 1, NULL, &s));
    rs_kv *kv;
    rs_kv_options few = {.max_tokens = 4};
    T_OK(rs_kv_new(s.config, &few, &kv, &t_err));
    int32_t ids[] = {2, 5, 4096, 7, 8, 9};
    T_FAILS(rs_forward(&s.rt, s.model, kv, ids, 3, NULL, NULL, &t_err), RS_E_INVALID,
            "outside the vocabulary of 4096");
    ids[2] = 6;
    T_FAILS(rs_forward(&s.rt, s.model, kv, ids, 6, NULL, NULL, &t_err), RS_E_INVALID,
            "at most 4");
    T_FAILS(rs_kv_recompute(&s.rt, s.model, kv, 1, true, NULL, NULL, NULL, &t_err),
            RS_E_INVALID, "keep");
    rs_kv *twice[] = {kv, kv};
    T_FAILS(rs_forward_batch(&s.rt, s.model, twice, ids, 2, NULL, &t_err), RS_E_INVALID,
            "same cache");
    rs_kv_free(kv);
    close_subject(&s);
}

/* --- binding and loading --- */

/* The multimodal folder's index holds the unused K/V of sharers: they are left alone, and so
 * are towers. A missing tensor is named. */
static void binding(void)
{
    subject s;
    rs_checkpoint *inert;
    rs_model *m;
    T_OK(open_subject("tests/golden/models/gemma4_e4b_mm", 1, NULL, &s));
    T_OK(rs_checkpoint_open("tests/golden/models/gemma4_e4b_mm/model-inert.safetensors",
                            &inert, &t_err));
    for (int i = 0; i < rs_checkpoint_count(inert); i++) {
        const rs_tensor *t = rs_checkpoint_at(inert, i);
        bool used = true;
        T_OK(rs_model_bind(s.model, t->name, t->dtype, t->n_dims, t->dim, &s, &used,
                           &t_err));
        T_TRUE(!used);
    }
    T_OK(rs_model_new(s.config, &m, &t_err));
    T_FAILS(rs_model_complete(m, &t_err), RS_E_MISMATCH, "embed_tokens.weight");
    int64_t dim[] = {400, 31};
    T_FAILS(rs_model_bind(m, "model.embed_tokens.weight", RS_DTYPE_BF16, 2, dim, &s, NULL,
                          &t_err),
            RS_E_MISMATCH, "[400, 31]");
    dim[1] = 32;
    T_FAILS(rs_model_bind(m, "model.embed_tokens.weight", RS_DTYPE_I8, 2, dim, &s, NULL,
                          &t_err),
            RS_E_UNSUPPORTED, "i8");
    rs_model_free(m);
    rs_checkpoint_close(inert);
    close_subject(&s);
}

static void loading_can_be_cancelled(void)
{
    subject s;
    rs_model *m;
    T_OK(open_subject("recipes/sparring/it", 1, NULL, &s));
    T_FAILS(rs_model_load(&s.rt, s.file, s.config, stop_at_once, NULL, &m, &t_err),
            RS_E_CANCELLED, "cancelled");
    T_TRUE(m == NULL);
    close_subject(&s);
}

T_MAIN(T_TEST(gemma4_e4b), T_TEST(gemma4_e2b), T_TEST(gemma4_v64),
       T_TEST(gemma4_multimodal), T_TEST(gemma3), T_TEST(gemma2), T_TEST(llama), T_TEST(mistral),
       T_TEST(qwen2), T_TEST(qwen3), T_TEST(sparring_it),
       T_TEST(sparring_pt), T_TEST(decode_equals_prefill), T_TEST(batch_after_prefill),
       T_TEST(batch_does_not_show), T_TEST(threads_do_not_show),
       T_TEST(instruction_sets_agree), T_TEST(truncated_goes_on),
       T_TEST(abandoned_leaves_no_trace), T_TEST(recompute_gemma4),
       T_TEST(recompute_gemma3), T_TEST(recompute_shallow),
       T_TEST(recompute_after_truncation), T_TEST(recompute_after_abandoning),
       T_TEST(recompute_everything), T_TEST(refusals), T_TEST(binding),
       T_TEST(loading_can_be_cancelled))
