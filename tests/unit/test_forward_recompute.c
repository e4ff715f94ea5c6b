/* Recomputation after a change of weights against a fresh pass. */
#include "tests/forward.h"

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

T_MAIN(T_TEST(recompute_gemma4), T_TEST(recompute_gemma3), T_TEST(recompute_shallow),
       T_TEST(recompute_after_truncation), T_TEST(recompute_after_abandoning),
       T_TEST(recompute_everything))
