/* Fisher files of kind position against their definition, summed in double. */
#include "model/family.h"
#include "tests/scholar.h"

typedef struct brute {
    const rs_config *c;
    double *acc[40][32]; /* layer + 1, slot */
} brute;

static double *brute_at(brute *b, rs_place at, int64_t *cols)
{
    const rs_slot *s =
        at.layer < 0 ? b->c->family->model_slots : b->c->family->layer_slots;
    int i = 0;
    while (s[i].offset != at.offset)
        i++;
    int64_t rows = rs_slot_size(b->c, at.layer, s[i].rows);
    *cols = s[i].cols == RS_SIZE_NONE ? 1 : rs_slot_size(b->c, at.layer, s[i].cols);
    double **acc = &b->acc[at.layer + 1][i];
    if (!*acc) *acc = calloc((size_t)(rows * *cols), sizeof **acc);
    return *acc;
}

static rs_status brute_matrix(void *ctx, rs_place at, const float *dy, int64_t ldy,
                              const float *x, int64_t ldx, int64_t n, rs_err *err)
{
    (void)err;
    int64_t cols;
    double *acc = brute_at(ctx, at, &cols);
    for (int64_t t = 0; t < n; t++)
        for (int64_t r = 0; r < ldy; r++)
            for (int64_t c = 0; c < cols; c++)
                acc[r * cols + c] +=
                    pow((double)dy[t * ldy + r] * (double)x[t * ldx + c], 2);
    return RS_OK;
}

static rs_status brute_vector(void *ctx, rs_place at, const float *rows, int64_t n,
                              int64_t width, rs_err *err)
{
    (void)err;
    int64_t cols;
    double *acc = brute_at(ctx, at, &cols);
    for (int64_t i = 0; i < n * width; i++)
        acc[i % width] += pow((double)rows[i], 2);
    return RS_OK;
}

static rs_status brute_lookup(void *ctx, rs_place at, const int32_t *ids,
                              const float *rows, int64_t ld, float scale, int64_t n,
                              int64_t width, rs_err *err)
{
    (void)err;
    int64_t cols;
    double *acc = brute_at(ctx, at, &cols);
    for (int64_t t = 0; t < n; t++)
        for (int64_t i = 0; i < width && ids[t] >= 0; i++)
            acc[ids[t] * cols + i] += pow((double)scale * (double)rows[t * ld + i], 2);
    return RS_OK;
}

static void brute_all(scholar *s, brute *b)
{
    rs_sequence *seq;
    double loss;
    rs_sink sink = {b, brute_matrix, brute_vector, brute_lookup};
    T_OK(rs_sequence_new(s->p.m.config, MAX_IDS, true, &seq, &t_err));
    for (int i = 0; i < N_SEQ; i++) {
        T_OK(rs_sequence_set(seq, s->examples[i].ids, NULL, s->examples[i].n, &t_err));
        T_OK(rs_backward_all(s->p.work, seq, 1, &sink, &loss, &t_err));
    }
    rs_sequence_free(seq);
}

static void check_positions(const scholar *s, fisher_file *f, brute *b)
{
    for (int i = 0; i < rs_checkpoint_count(f->have); i++) {
        const char *name = rs_checkpoint_at(f->have, i)->name;
        int layer;
        int64_t cols;
        const rs_slot *slot = rs_slot_of(s->p.m.config, name, &layer);
        double *want = brute_at(b, (rs_place){layer, slot->offset}, &cols), top = 0;
        const float *v = in_file(f, name);
        T_TRUE(v != NULL);
        for (int64_t e = 0; e < f->n; e++)
            top = t_max(top, want[e] / N_SEQ);
        for (int64_t e = 0; e < f->n; e++)
            T_NEAR(v[e], want[e] / N_SEQ, 1e-5 * top, 0);
        free(want);
    }
}

static void kind_position(void)
{
    static const struct {
        const char *model, *grads;
        int n;
    } models[] = {{"tests/golden/models/gemma4_e4b",
                   "tests/golden/grad/gemma4_e4b.safetensors", 92},
                  {"tests/golden/models/llama", "tests/golden/grad/llama.safetensors", 30}};
    const char *folder = t_folder();
    for (int k = 0; k < 2; k++) {
        char path[512];
        scholar s;
        rs_fisher_result r;
        fisher_file f;
        T_TRUE(open_scholar(&s, models[k].model, models[k].grads, 2));
        brute b = {.c = s.p.m.config};
        brute_all(&s, &b);
        rs_fisher_options o = {.kind = RS_FISHER_POSITION,
                               .out = in(folder, "p.safetensors", path),
                               .force = true};
        T_OK(run(&s, &o, &r));
        T_OK(open_fisher(&f, path, &s));
        T_EQ(rs_checkpoint_count(f.have), models[k].n);
        check_positions(&s, &f, &b);
        close_fisher(&f);
        close_pupil(&s.p);
    }
}

T_MAIN(T_TEST(kind_position))
