/* The forward pass against itself: pieces, batches, threads, instruction sets, truncation and
 * abandoning leave no trace; what it refuses. */
#include "tests/forward.h"

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
    for (int i = 0; i < 3; i++) {
        subject s;
        int32_t ids[MAX_IDS];
        const rs_kernels *k;
        if (rs_kernels_pick(isas[i], &k, &t_err) != RS_OK) {
            printf("  not on this machine: %s\n", isas[i]);
            T_TRUE(i > 0 && strstr(t_err.msg, isas[i]) != NULL);
            continue;
        }
        T_OK(open_subject("recipes/sparring/it", 2, isas[i], &s));
        float *now = malloc((size_t)s.config->vocab * sizeof *now);
        run_pieces(&s, ids, long_ids(&s, ids, 100), 99, now);
        if (first) {
            T_TRUE(worst(first, now, s.config->vocab) <= 2e-4);
            free(now);
        } else {
            first = now;
        }
        close_subject(&s);
    }
    free(first);
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

T_MAIN(T_TEST(decode_equals_prefill), T_TEST(batch_after_prefill),
       T_TEST(batch_does_not_show), T_TEST(threads_do_not_show),
       T_TEST(instruction_sets_agree), T_TEST(truncated_goes_on),
       T_TEST(abandoned_leaves_no_trace), T_TEST(refusals))
