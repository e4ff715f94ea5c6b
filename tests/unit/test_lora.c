/* Factors beside a model: passes and gradients are those of the merged model, for every
 * family, and torch's. */
#include "learn/gradients.h"
#include "learn/lora.h"
#include "learn/work_internal.h"
#include "tests/t.h"

#include "base/rng.h"
#include "model/family.h"

enum { TOKENS = 20 };

typedef struct subject {
    rs_runtime rt;
    rs_checkpoint *file;
    rs_config *config;
    rs_model *model;
    rs_lora *lora;
    rs_work *work;
    rs_sequence *seq;
    rs_gradients *g;
    float *merged[4096]; /* by pair */
} subject;

static bool all_matrices(void *ctx, const char *name, int layer)
{
    (void)ctx, (void)name, (void)layer;
    return true;
}

static bool open_subject(subject *s, const char *model, int rank, int threads)
{
    rs_options o = {.threads = threads, .memory_bytes = 1 << 30};
    rs_lora_options lo = {
        .rank = rank, .alpha = 2.0 * rank, .seed = 7, .wants = all_matrices};
    *s = (subject){0};
    return rs_init(&o, &s->rt, &t_err) == RS_OK &&
           rs_checkpoint_open(model, &s->file, &t_err) == RS_OK &&
           rs_config_load(s->file, &s->config, &t_err) == RS_OK &&
           rs_model_load(&s->rt, s->file, s->config, NULL, NULL, &s->model, &t_err) ==
               RS_OK &&
           rs_lora_new(s->file, s->config, &lo, &s->lora, &t_err) == RS_OK &&
           rs_gradients_new(&s->rt, s->config, &s->g, &t_err) == RS_OK &&
           rs_work_new(&s->rt, s->model, 64, &s->work, &t_err) == RS_OK &&
           rs_sequence_new(s->config, 64, true, &s->seq, &t_err) == RS_OK;
}

static void close_subject(subject *s)
{
    for (int i = 0; i < s->lora->n; i++)
        free(s->merged[i]);
    rs_sequence_free(s->seq);
    rs_work_free(s->work);
    rs_gradients_free(s->g);
    rs_lora_free(s->lora);
    rs_model_free(s->model);
    rs_config_free(s->config);
    rs_checkpoint_close(s->file);
    rs_quit(&s->rt);
}

/* Both factors at random, so that every gradient is more than 0. */
static void fill(rs_lora *l)
{
    for (int64_t i = 0; i < l->floats; i++) {
        double u = (double)(rs_rng_at(3, 5, (uint64_t)i) >> 11) * 0x1p-53;
        l->values[i] = (float)(0.1 * (2 * u - 1));
    }
}

static bool take_tokens(subject *s, int64_t n)
{
    int32_t ids[64];
    for (int64_t t = 0; t < n; t++)
        ids[t] = (int32_t)(3 + t * 31 % (s->config->vocab - 20));
    return rs_sequence_set(s->seq, ids, NULL, n, &t_err) == RS_OK;
}

static rs_matrix *matrix_at(const subject *s, rs_place at)
{
    return (rs_matrix *)(void *)((char *)&s->model->layers[at.layer] + at.offset);
}

/* W + s B A in place of each W, in float32. */
static bool merge(subject *s)
{
    const rs_lora *l = s->lora;
    for (int i = 0; i < l->n; i++) {
        const rs_lora_pair *p = &l->pairs[i];
        const rs_tensor *t = rs_checkpoint_find(s->file, p->weight);
        float *w = s->merged[i] = malloc((size_t)t->n_elements * sizeof *w);
        if (rs_checkpoint_read_f32(s->file, t, 0, t->n_elements, w, &t_err) != RS_OK)
            return false;
        for (int64_t r = 0; r < p->rows; r++)
            for (int64_t c = 0; c < p->cols; c++) {
                double sum = 0;
                for (int k = 0; k < l->rank; k++)
                    sum += (double)p->b[r * l->rank + k] * (double)p->a[k * p->cols + c];
                w[r * p->cols + c] += (float)((double)l->scale * sum);
            }
        *matrix_at(s, p->at) = (rs_matrix){RS_DTYPE_F32, p->rows, p->cols, w};
    }
    return true;
}

/* Every merged weight an ulp up or down: what the last rounding of W could do. */
static void nudge(subject *s)
{
    for (int i = 0; i < s->lora->n; i++) {
        const rs_lora_pair *p = &s->lora->pairs[i];
        for (int64_t k = 0; k < p->rows * p->cols; k++) {
            bool up = rs_rng_at(11, (uint64_t)i, (uint64_t)k) & 1;
            s->merged[i][k] = nextafterf(s->merged[i][k], up ? INFINITY : -INFINITY);
        }
    }
}

/* max |a - b| / max |b|, or NaN. */
static double apart(const float *a, const float *b, int64_t n)
{
    double off = 0, top = 0;
    for (int64_t i = 0; i < n; i++) {
        double d = fabs((double)a[i] - (double)b[i]);
        off = t_max(off, d);
        top = t_max(top, fabs((double)b[i]));
    }
    return top > 0 ? off / top : off;
}

static int64_t size_of(const rs_config *c, int layer, const rs_slot *slot)
{
    int64_t cols = slot->cols == RS_SIZE_NONE ? 1 : rs_slot_size(c, layer, slot->cols);
    return rs_slot_size(c, layer, slot->rows) * cols;
}

/* Worst difference of two sets of gradients of all tensors. */
static double worst_gradient(const rs_config *c, const rs_gradients *a,
                             const rs_gradients *b)
{
    double worst = 0;
    for (int layer = -1; layer < c->n_layers; layer++) {
        const rs_slot *s = layer < 0 ? c->family->model_slots : c->family->layer_slots;
        for (int i = 0; s[i].tail; i++) {
            const float *x = rs_gradients_of(a, layer, &s[i]);
            if (!x) continue;
            double d =
                apart(x, rs_gradients_of(b, layer, &s[i]), size_of(c, layer, &s[i]));
            worst = t_max(worst, d);
        }
    }
    return worst;
}

static const rs_slot *slot_at(const rs_config *c, rs_place at)
{
    const rs_slot *s = c->family->layer_slots;
    while (s->offset != at.offset)
        s++;
    return s;
}

/* dA = s B^T dW and dB = s dW A^T, dW the gradient of the matrix itself. */
static double worst_factor(const subject *s)
{
    double worst = 0;
    const rs_lora *l = s->lora;
    for (int i = 0; i < l->n; i++) {
        const rs_lora_pair *p = &l->pairs[i];
        const float *dw = rs_gradients_of(s->g, p->at.layer, slot_at(s->config, p->at));
        float *da = calloc((size_t)(l->rank * p->cols), sizeof *da);
        float *db = calloc((size_t)(l->rank * p->rows), sizeof *db);
        for (int64_t r = 0; r < p->rows; r++)
            for (int64_t c = 0; c < p->cols; c++)
                for (int k = 0; k < l->rank; k++) {
                    float d = l->scale * dw[r * p->cols + c];
                    da[k * p->cols + c] += p->b[r * l->rank + k] * d;
                    db[r * l->rank + k] += p->a[k * p->cols + c] * d;
                }
        double of_a = apart(p->da, da, l->rank * p->cols);
        double of_b = apart(p->db, db, l->rank * p->rows);
        free(da);
        free(db);
        worst = t_max(worst, of_a);
        worst = t_max(worst, of_b);
    }
    return worst;
}

static void every_family_is_the_merged_model(void)
{
    static const char *const models[] = {
        "gemma2", "gemma3",  "gemma4_e2b", "gemma4_e4b", "gemma4_v64",
        "llama",  "mistral", "qwen2",      "qwen3",      "gemma4_e4b_mm"};
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        subject s, m, n;
        char path[200];
        double loss, merged_loss, nudged_loss;
        snprintf(path, sizeof path, "tests/golden/models/%s", models[i]);
        subject *const all[] = {&s, &m, &n};
        for (int k = 0; k < 3; k++) {
            T_TRUE(open_subject(all[k], path, 3, 2) && take_tokens(all[k], TOKENS));
            fill(all[k]->lora);
        }
        T_TRUE(merge(&m) && merge(&n));
        nudge(&n);
        rs_sink of_s = rs_gradients_sink(s.g), of_m = rs_gradients_sink(m.g),
                of_n = rs_gradients_sink(n.g);
        T_OK(rs_work_adapt(s.work, s.lora, &t_err));
        T_OK(rs_backward_all(s.work, s.seq, 1, &of_s, &loss, &t_err));
        T_OK(rs_backward_all(m.work, m.seq, 1, &of_m, &merged_loss, &t_err));
        T_OK(rs_backward_all(n.work, n.seq, 1, &of_n, &nudged_loss, &t_err));
        double weights = worst_gradient(s.config, s.g, m.g), factors = worst_factor(&s);
        double noise = worst_gradient(s.config, n.g, m.g);
        printf("  %s: %d pairs, gradients %.1e (an ulp of W: %.1e), factors %.1e\n",
               models[i], s.lora->n, weights, noise, factors);
        T_NEAR(loss, merged_loss, 0, 2e-6);
        T_TRUE(weights <= 4 * noise && noise < 2e-3 && factors <= 1e-5);
        for (int k = 0; k < 3; k++)
            close_subject(all[k]);
    }
}

/* A way back that adds to no weight: the factors' gradients are the same bits, and two
 * passes add up. */
static void frozen_weights_change_nothing(void)
{
    subject s;
    double loss;
    T_TRUE(open_subject(&s, "tests/golden/models/gemma4_e4b", 3, 1));
    fill(s.lora);
    size_t bytes = (size_t)s.lora->floats * sizeof(float);
    float *with = malloc(bytes);
    T_TRUE(take_tokens(&s, TOKENS));
    rs_sink all = rs_gradients_sink(s.g), none = rs_sink_none();
    T_OK(rs_work_adapt(s.work, s.lora, &t_err));
    T_OK(rs_backward_all(s.work, s.seq, 1, &all, &loss, &t_err));
    memcpy(with, s.lora->gradients, bytes);
    memset(s.lora->gradients, 0, bytes);
    T_OK(rs_backward_all(s.work, s.seq, 1, &none, &loss, &t_err));
    T_TRUE(memcmp(with, s.lora->gradients, bytes) == 0);
    T_OK(rs_backward_all(s.work, s.seq, 1, &none, &loss, &t_err));
    for (int64_t i = 0; i < s.lora->floats; i++)
        T_NEAR(s.lora->gradients[i], 2 * with[i], 1e-7, 1e-5);
    free(with);
    close_subject(&s);
}

static int kept_layers(const subject *s)
{
    int kept = 0;
    for (int i = 0; i < s->config->n_layers; i++)
        kept += rs_work_for(s->work, i) != s->work;
    return kept;
}

/* Insides of no, of one and of all layers kept from the way forward: the same bits, in a
 * second and shorter sequence too. */
static void kept_insides_are_those_made_again(void)
{
    static const char *const models[] = {"tests/golden/models/gemma4_e4b",
                                         "tests/golden/models/gemma2",
                                         "tests/golden/models/qwen2"};
    for (int m = 0; m < 3; m++) {
        subject s;
        double loss[2], same;
        T_TRUE(open_subject(&s, models[m], 3, 2));
        fill(s.lora);
        size_t bytes = (size_t)s.lora->floats * sizeof(float);
        float *first = malloc(bytes);
        rs_sink all = rs_gradients_sink(s.g);
        T_OK(rs_work_adapt(s.work, s.lora, &t_err));
        for (int b = 0; b < 3; b++) {
            for (uint64_t room = 1024; b == 1 && kept_layers(&s) == 0; room *= 2)
                rs_work_keep(s.work, room);
            if (b == 2) rs_work_keep(s.work, 1 << 30);
            T_EQ(kept_layers(&s), b == 2 ? s.config->n_layers : b);
            memset(s.lora->gradients, 0, bytes);
            for (int k = 0; k < 2; k++) {
                T_TRUE(take_tokens(&s, k ? TOKENS / 2 : TOKENS));
                T_OK(rs_backward_all(s.work, s.seq, 1, &all, &same, &t_err));
                if (b == 0) loss[k] = same;
                T_TRUE(loss[k] == same);
            }
            if (b == 0) memcpy(first, s.lora->gradients, bytes);
            T_TRUE(memcmp(first, s.lora->gradients, bytes) == 0);
        }
        free(first);
        close_subject(&s);
    }
}

static void threads_give_the_same_bytes(void)
{
    static const int64_t lengths[] = {2, 7, 8, 20, 63};
    for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++) {
        subject one, other;
        rs_sink none = rs_sink_none();
        double loss, same;
        T_TRUE(open_subject(&one, "recipes/sparring/it", 8, 1));
        fill(one.lora);
        T_TRUE(take_tokens(&one, lengths[k]));
        T_OK(rs_work_adapt(one.work, one.lora, &t_err));
        T_OK(rs_backward_all(one.work, one.seq, 1, &none, &loss, &t_err));
        for (int threads = 2; threads <= 3; threads++) {
            T_TRUE(open_subject(&other, "recipes/sparring/it", 8, threads));
            fill(other.lora);
            T_TRUE(take_tokens(&other, lengths[k]));
            T_OK(rs_work_adapt(other.work, other.lora, &t_err));
            T_OK(rs_backward_all(other.work, other.seq, 1, &none, &same, &t_err));
            T_TRUE(loss == same);
            T_TRUE(memcmp(one.lora->gradients, other.lora->gradients,
                          (size_t)one.lora->floats * sizeof(float)) == 0);
            close_subject(&other);
        }
        close_subject(&one);
    }
}

/* Rows of logits at a time are the vocabulary's alone, whatever memory there is: the same
 * bits of loss, factors and weights. */
static void memory_gives_the_same_bytes(void)
{
    static const int64_t lengths[] = {20, 63};
    for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++) {
        subject of[2];
        double loss[2];
        for (int m = 0; m < 2; m++) {
            subject *s = &of[m];
            T_TRUE(open_subject(s, "recipes/sparring/it", 8, 1));
            fill(s->lora);
            rs_work_free(s->work);
            s->rt.memory_bytes = m ? 1 << 20 : 1 << 30;
            T_OK(rs_work_new(&s->rt, s->model, 64, &s->work, &t_err));
            T_OK(rs_work_adapt(s->work, s->lora, &t_err));
            T_TRUE(take_tokens(s, lengths[k]));
            rs_sink all = rs_gradients_sink(s->g);
            T_OK(rs_backward_all(s->work, s->seq, 1, &all, &loss[m], &t_err));
        }
        T_EQ(of[0].work->loss_rows, of[1].work->loss_rows);
        T_TRUE(loss[0] == loss[1]);
        T_TRUE(worst_gradient(of[0].config, of[0].g, of[1].g) == 0);
        T_TRUE(memcmp(of[0].lora->gradients, of[1].lora->gradients,
                      (size_t)of[0].lora->floats * sizeof(float)) == 0);
        close_subject(&of[0]);
        close_subject(&of[1]);
    }
}

static void the_start(void)
{
    subject s;
    T_TRUE(open_subject(&s, "tests/golden/models/gemma4_e4b_mm", 2, 1));
    T_EQ(s.lora->n, 6 * 9 - 3 * 2); /* three layers share K and V */
    for (int i = 0; i < s.lora->n; i++) {
        const rs_lora_pair *p = &s.lora->pairs[i];
        double side = 1 / sqrt((double)p->cols), mean = 0, most = 0;
        T_TRUE(i == 0 || p->at.layer >= p[-1].at.layer);
        T_TRUE(rs_lora_at(s.lora, p->at) == p);
        for (int64_t k = 0; k < 2 * p->cols; k++) {
            mean += (double)p->a[k] / (double)(2 * p->cols);
            most = t_max(most, fabs((double)p->a[k]));
        }
        T_TRUE(most <= side && most > 0.8 * side && fabs(mean) < 0.4 * side);
        for (int64_t k = 0; k < 2 * p->rows; k++)
            T_TRUE(p->b[k] == 0);
    }
    close_subject(&s);
}

static bool nobody(void *ctx, const char *name, int layer)
{
    (void)ctx, (void)name, (void)layer;
    return false;
}

static void refusals(void)
{
    subject s;
    rs_lora *l;
    T_TRUE(open_subject(&s, "tests/golden/models/gemma3", 2, 1));
    rs_lora_options o = {.rank = 17, .alpha = 1};
    T_FAILS(rs_lora_new(s.file, s.config, &o, &l, &t_err), RS_E_INVALID,
            "a rank of 17 is not from 1 to 16");
    o.rank = 0;
    T_FAILS(rs_lora_new(s.file, s.config, &o, &l, &t_err), RS_E_INVALID, "a rank of 0");
    static const double alphas[] = {INFINITY, NAN, 0, -1};
    for (int i = 0; i < 4; i++) {
        o = (rs_lora_options){.rank = 2, .alpha = alphas[i]};
        T_FAILS(rs_lora_new(s.file, s.config, &o, &l, &t_err), RS_E_INVALID,
                "is not a number above 0");
    }
    o = (rs_lora_options){.rank = 2, .alpha = 1, .wants = nobody};
    T_FAILS(rs_lora_new(s.file, s.config, &o, &l, &t_err), RS_E_INVALID,
            "none of the model's matrices is selected");
    close_subject(&s);
}

T_MAIN(T_TEST(every_family_is_the_merged_model), T_TEST(frozen_weights_change_nothing),
       T_TEST(kept_insides_are_those_made_again), T_TEST(threads_give_the_same_bytes), T_TEST(memory_gives_the_same_bytes),
       T_TEST(the_start), T_TEST(refusals))
