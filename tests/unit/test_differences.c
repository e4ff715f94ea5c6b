/* Gradients against central differences in float64: the backward pass of every family, for
 * every kind of parameter, against a forward pass that shares nothing with it
 * (tests/double_model.h, itself first held against Hugging Face's logits).
 *
 * Of each tensor three slopes of the loss are taken: at the element where our gradient is
 * largest, at one that the seed chooses, and along a random direction of all elements at once,
 * every one by +1 or -1, which no wrong element escapes. With D(h) the central difference,
 * the slope is (4 D(h) - D(2 h)) / 3, and |D(2 h) - D(h)| / 3, the error of D(h), bounds what
 * that leaves; it has to stay far below what is compared. */
#include "base/rng.h"
#include "learn/backward.h"
#include "learn/gradients.h"
#include "tests/double_model.h"

enum { TOKENS = 14, SEED = 11, MAX_IDS = 512 };
#define STEP 1e-5

typedef struct subject {
    rs_runtime rt;
    rs_checkpoint *file;
    rs_config *config;
    rs_model *model;
    rs_gradients *g;
    double_model twin, nudged; /* weights; and each off by half of float32's last place */
    int32_t ids[TOKENS], labels[TOKENS];
} subject;

static rs_status open_subject(subject *s, const char *model)
{
    char path[256];
    rs_options o = {.threads = 2, .memory_bytes = 1 << 30};
    *s = (subject){0};
    snprintf(path, sizeof path, "models/%s", model);
    RS_TRY(rs_init(&o, &s->rt, &t_err));
    RS_TRY(rs_checkpoint_open(t_golden(path), &s->file, &t_err));
    RS_TRY(rs_config_load(s->file, &s->config, &t_err));
    RS_TRY(rs_model_load(&s->rt, s->file, s->config, NULL, NULL, &s->model, &t_err));
    RS_TRY(rs_gradients_new(&s->rt, s->config, &s->g, &t_err));
    RS_TRY(dm_load(&s->twin, s->file, s->config, &t_err));
    RS_TRY(dm_load(&s->nudged, s->file, s->config, &t_err));
    for (int i = 0; i < (s->config->n_layers + 1) * DM_SLOTS; i++)
        for (int64_t k = 0; k < s->nudged.size[i]; k++)
            s->nudged.at[i][k] *=
                1 +
                (rs_rng_at(SEED, (uint64_t)i, (uint64_t)k) >> 63 ? 0x1p-24 : -0x1p-24);
    return RS_OK;
}

static void close_subject(subject *s)
{
    dm_free(&s->twin);
    dm_free(&s->nudged);
    rs_gradients_free(s->g);
    rs_model_free(s->model);
    rs_config_free(s->config);
    rs_checkpoint_close(s->file);
    rs_quit(&s->rt);
}

/* --- the twin is right --- */

static double logits_off(const subject *s, const rs_checkpoint *f, int i)
{
    char name[32];
    int64_t raw[MAX_IDS], V = s->config->vocab;
    int32_t ids[MAX_IDS];
    snprintf(name, sizeof name, "ids.%d", i);
    const rs_tensor *t = rs_checkpoint_find(f, name);
    if (!t || t->n_elements > MAX_IDS ||
        rs_checkpoint_read_raw(f, t, 0, (size_t)t->n_bytes, raw, &t_err) != RS_OK)
        return INFINITY;
    for (int64_t k = 0; k < t->n_elements; k++)
        ids[k] = (int32_t)raw[k];
    snprintf(name, sizeof name, "logits.%d", i);
    const rs_tensor *want = rs_checkpoint_find(f, name);
    if (!want || want->n_elements != t->n_elements * V) return INFINITY;
    float *w = malloc((size_t)want->n_elements * sizeof *w);
    double *z = malloc((size_t)V * sizeof *z), off = 0;
    if (rs_checkpoint_read_f32(f, want, 0, want->n_elements, w, &t_err) != RS_OK)
        off = INFINITY;
    double_pass p;
    dm_forward(&p, &s->twin, ids, t->n_elements);
    for (int64_t k = 0; k < t->n_elements; k++) {
        dm_head(&p, k, z);
        for (int64_t v = 0; v < V; v++) {
            double d = fabs(z[v] - (double)w[k * V + v]);
            off = t_max(off, d);
        }
    }
    dm_pass_free(&p);
    free(w), free(z);
    return off;
}

static const char *const models[] = {"gemma2",     "gemma3",     "gemma4_e2b",
                                     "gemma4_e4b", "gemma4_v64", "llama",
                                     "mistral",    "qwen2",      "qwen3"};
enum { N_MODELS = sizeof models / sizeof *models };

/* Hugging Face's logits are float32: what is left is their rounding, which a float64 run of
 * theirs put at 3.7e-5. */
static void the_twin_against_hugging_face(void)
{
    for (int i = 0; i < N_MODELS; i++) {
        subject s;
        rs_checkpoint *f;
        char path[256];
        T_OK(open_subject(&s, models[i]));
        snprintf(path, sizeof path, "logits/%s.safetensors", models[i]);
        T_OK(rs_checkpoint_open(t_golden(path), &f, &t_err));
        double off = 0;
        for (int k = 0; k < 3; k++) {
            double d = logits_off(&s, f, k);
            off = t_max(off, d);
        }
        printf("  %s: logits off by %.1e\n", models[i], off);
        T_TRUE(off <= 4e-5);
        rs_checkpoint_close(f);
        close_subject(&s);
    }
}

/* --- slopes --- */

/* Tokens that come twice, none of them the padding, whose row torch leaves alone; two labels
 * that do not count. */
static void choose_ids(subject *s)
{
    for (int t = 0; t < TOKENS; t++) {
        uint64_t r = rs_rng_at(SEED, 1, (uint64_t)t);
        s->ids[t] = 3 + (int32_t)(r % (uint64_t)(s->config->vocab - 3));
    }
    s->ids[0] = s->config->bos >= 0 ? s->config->bos : 1;
    s->ids[9] = s->ids[4];
    s->ids[11] = s->ids[4];
    for (int t = 0; t < TOKENS; t++)
        s->labels[t] = t == 0 || t == 3 || t == 8 ? -1 : s->ids[t];
}

static rs_status backward(subject *s, double *loss)
{
    rs_work *w;
    rs_sequence *q = NULL;
    rs_sink sink = rs_gradients_sink(s->g);
    RS_TRY(rs_work_new(&s->rt, s->model, TOKENS, &w, &t_err));
    rs_status st = rs_sequence_new(s->config, TOKENS, true, &q, &t_err);
    if (st == RS_OK) st = rs_sequence_set(q, s->ids, s->labels, TOKENS, &t_err);
    if (st == RS_OK) st = rs_backward_all(w, q, 1, &sink, loss, &t_err);
    rs_sequence_free(q);
    rs_work_free(w);
    return st;
}

/* A way through the elements of one tensor: one of them, or each by its sign. */
typedef struct way {
    const double_model *m;
    int at; /* index of the tensor */
    int64_t n, one /* or -1 */;
} way;

static double sign_of(const way *w, int64_t i)
{
    if (w->one >= 0) return i == w->one;
    return rs_rng_at(SEED, 1000 + (uint64_t)w->at, (uint64_t)i) >> 63 ? 1 : -1;
}

static double loss_at(const subject *s, const way *w, double h)
{
    double *at = w->m->at[w->at], *kept = malloc((size_t)w->n * sizeof *kept);
    memcpy(kept, at, (size_t)w->n * sizeof *kept);
    for (int64_t i = 0; i < w->n; i++)
        at[i] += h * sign_of(w, i);
    double loss = dm_loss(w->m, s->ids, s->labels, TOKENS);
    memcpy(at, kept, (size_t)w->n * sizeof *kept);
    free(kept);
    return loss;
}

/* *truncated: bound of what the series leaves */
static double slope(const subject *s, const way *w, double *truncated)
{
    double h = w->one >= 0 ? STEP : STEP / sqrt((double)w->n);
    double near = (loss_at(s, w, h) - loss_at(s, w, -h)) / (2 * h);
    double far = (loss_at(s, w, 2 * h) - loss_at(s, w, -2 * h)) / (4 * h);
    *truncated = fabs(far - near) / 3;
    return (4 * near - far) / 3;
}

/* Each relative to the tensor's largest gradient, or along all elements to their length. */
typedef struct worst {
    double off, truncated, rounding;
    int tensors;
    char name[96];
} worst;

static void push_up(double *to, double value)
{
    *to = t_max(*to, value);
}

static void compare(const subject *s, way w, const float *g, double top, const char *name,
                    worst *all)
{
    double truncated, ours = 0, want = slope(s, &w, &truncated);
    for (int64_t i = 0; i < w.n; i++)
        ours += (double)g[i] * sign_of(&w, i);
    double off = fabs(ours - want) / top;
    if (!(off <= all->off))
        snprintf(all->name, sizeof all->name, "%s %s", name,
                 w.one < 0 ? "(all)" : "(one)");
    push_up(&all->off, off);
    push_up(&all->truncated, truncated / top);
    w.m = &s->nudged;
    push_up(&all->rounding, fabs(slope(s, &w, &truncated) - want) / top);
}

static void check_tensor(const subject *s, int layer, int slot, worst *all)
{
    const rs_slot *k = &dm_slots(s->config, layer)[slot];
    const float *g = rs_gradients_of(s->g, layer, k);
    int at = dm_index(&s->twin, layer, slot);
    int64_t n = s->twin.size[at], largest = 0;
    double squares = 0;
    for (int64_t i = 0; i < n; i++) {
        if (fabsf(g[i]) > fabsf(g[largest])) largest = i;
        squares += (double)g[i] * (double)g[i];
    }
    int64_t chosen = (int64_t)(rs_rng_at(SEED, (uint64_t)at, (uint64_t)n) % (uint64_t)n);
    double top = fabs((double)g[largest]);
    char name[64];
    snprintf(name, sizeof name, "%d.%s", layer, k->tail);
    compare(s, (way){&s->twin, at, n, largest}, g, top, name, all);
    compare(s, (way){&s->twin, at, n, chosen}, g, top, name, all);
    compare(s, (way){&s->twin, at, n, -1}, g, sqrt(squares), name, all);
    all->tensors++;
}

/* Every slot that has a gradient, of every layer; *missing: the first that no layer has. */
static void check_all(const subject *s, worst *all, const char **missing)
{
    for (int outer = 0; outer < 2; outer++) {
        const rs_slot *k = dm_slots(s->config, outer ? -1 : 0);
        for (int slot = 0; k[slot].tail; slot++) {
            int before = all->tensors;
            for (int layer = outer ? -1 : 0; layer < (outer ? 0 : s->config->n_layers);
                 layer++)
                if (rs_gradients_of(s->g, layer, &dm_slots(s->config, layer)[slot]))
                    check_tensor(s, layer, slot, all);
            bool tied = k[slot].when == RS_WHEN_UNTIED && s->config->tied_head;
            bool none = tied || k[slot].form == RS_FORM_SCALAR;
            if (all->tensors == before && !none) *missing = k[slot].tail;
        }
    }
}

/* What float32 leaves: gradients whose sums partly cancel lose more. How much is measured by
 * the slopes of the twin with every weight off by half of float32's last place: ours, rounded
 * at some ten steps a layer, forward and back, may be 8 times that off, and no more than limit. */
static void check_model(const char *model, double limit)
{
    subject s;
    double loss;
    const char *missing = NULL;
    T_OK(open_subject(&s, model));
    choose_ids(&s);
    T_OK(backward(&s, &loss));
    T_NEAR(loss, dm_loss(&s.twin, s.ids, s.labels, TOKENS), 0, 1e-6);
    worst all = {0};
    check_all(&s, &all, &missing);
    printf("  %s: %d tensors, worst %.1e of %s, rounding %.1e, truncated %.1e\n", model,
           all.tensors, all.off, all.name, all.rounding, all.truncated);
    if (missing) T_FAIL("%s: no gradient of %s was checked", model, missing);
    T_TRUE(all.off <= limit && all.off <= 8 * all.rounding);
    T_TRUE(all.truncated <= 1e-6);
    close_subject(&s);
}

static void gemma2(void)
{
    check_model("gemma2", 1e-5);
}
static void gemma3(void)
{
    check_model("gemma3", 1e-5);
}
static void gemma4_e2b(void)
{
    check_model("gemma4_e2b", 1e-5);
}
static void gemma4_e4b(void)
{
    check_model("gemma4_e4b", 5e-5);
}
static void gemma4_v64(void)
{
    check_model("gemma4_v64", 5e-5);
}
static void llama(void)
{
    check_model("llama", 1e-5);
}
static void mistral(void)
{
    check_model("mistral", 1e-5);
}
static void qwen2(void)
{
    check_model("qwen2", 1e-5);
}
static void qwen3(void)
{
    check_model("qwen3", 1e-5);
}

T_MAIN(T_TEST(the_twin_against_hugging_face), T_TEST(gemma2), T_TEST(gemma3),
       T_TEST(gemma4_e2b), T_TEST(gemma4_e4b), T_TEST(gemma4_v64), T_TEST(llama),
       T_TEST(mistral), T_TEST(qwen2), T_TEST(qwen3))
