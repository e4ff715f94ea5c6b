/* The backward pass against torch's gradients and Fishers (tests/golden/grad; limits as that
 * fixture's README states them), for every tensor of every family that it has. */
#include "learn/backward.h"
#include "learn/gradients.h"
#include "tests/t.h"

enum { MAX_IDS = 512 };

typedef struct subject {
    rs_runtime rt;
    rs_checkpoint *file, *want;
    rs_config *config;
    rs_model *model;
    rs_gradients *g;
    rs_work *work;
} subject;

static bool open_subject(subject *s, const char *model, const char *golden, int threads)
{
    rs_options o = {.threads = threads, .memory_bytes = 1 << 30};
    *s = (subject){0};
    if (rs_init(&o, &s->rt, &t_err) != RS_OK ||
        rs_checkpoint_open(model, &s->file, &t_err) != RS_OK ||
        rs_checkpoint_open(golden, &s->want, &t_err) != RS_OK ||
        rs_config_load(s->file, &s->config, &t_err) != RS_OK ||
        rs_model_load(&s->rt, s->file, s->config, NULL, NULL, &s->model, &t_err) !=
            RS_OK ||
        rs_gradients_new(&s->rt, s->config, &s->g, &t_err) != RS_OK ||
        rs_work_new(&s->rt, s->model, MAX_IDS, &s->work, &t_err) != RS_OK)
        return false;
    return true;
}

static void close_subject(subject *s)
{
    rs_work_free(s->work);
    rs_gradients_free(s->g);
    rs_model_free(s->model);
    rs_config_free(s->config);
    rs_checkpoint_close(s->file);
    rs_checkpoint_close(s->want);
    rs_quit(&s->rt);
}

static int64_t ids_named(const subject *s, const char *name, int32_t *ids)
{
    const rs_tensor *t = rs_checkpoint_find(s->want, name);
    int64_t raw[MAX_IDS];
    if (!t || t->n_elements > MAX_IDS ||
        rs_checkpoint_read_raw(s->want, t, 0, (size_t)t->n_bytes, raw, &t_err) != RS_OK)
        return 0;
    for (int64_t i = 0; i < t->n_elements; i++)
        ids[i] = (int32_t)raw[i];
    return t->n_elements;
}

/* Gradients of one sequence into s->g; its loss. labels NULL: the ids. */
static double backward(subject *s, const int32_t *ids, const int32_t *labels, int64_t n)
{
    rs_sequence *seq;
    double loss = NAN;
    rs_sink sink = rs_gradients_sink(s->g);
    if (rs_sequence_new(s->config, n, true, &seq, &t_err) != RS_OK) return NAN;
    rs_gradients_zero(s->g);
    if (rs_sequence_set(seq, ids, labels, n, &t_err) != RS_OK ||
        rs_backward_all(s->work, seq, 1, &sink, &loss, &t_err) != RS_OK)
        loss = NAN;
    rs_sequence_free(seq);
    return loss;
}

/* Every tensor of the fixture that begins with prefix, against values: max |a - b| / max |b|
 * over one tensor. rows: the fixture may hold chosen rows only ("rows.NAME"). */
static double worst_of(const subject *s, const char *prefix,
                       const float *(*value)(const void *ctx, int layer, const rs_slot *),
                       const void *ctx, int *n_tensors, const char **worst_name)
{
    double worst = 0;
    *n_tensors = 0;
    for (int i = 0; i < rs_checkpoint_count(s->want); i++) {
        const rs_tensor *t = rs_checkpoint_at(s->want, i);
        if (strncmp(t->name, prefix, strlen(prefix)) != 0) continue;
        const char *name = t->name + strlen(prefix);
        int layer;
        const rs_slot *slot = rs_slot_of(s->config, name, &layer);
        const float *have = slot ? value(ctx, layer, slot) : NULL;
        if (!have) return INFINITY;
        char rows_name[200];
        snprintf(rows_name, sizeof rows_name, "rows.%s", name);
        const rs_tensor *rows = rs_checkpoint_find(s->want, rows_name);
        int64_t *row = calloc((size_t)t->n_elements + 1, sizeof *row),
                cols = t->n_dims > 1 ? t->dim[1] : 1;
        float *want = calloc((size_t)t->n_elements + 1, sizeof *want);
        if (rs_checkpoint_read_f32(s->want, t, 0, t->n_elements, want, &t_err) != RS_OK ||
            (rows && rs_checkpoint_read_raw(s->want, rows, 0, (size_t)rows->n_bytes, row,
                                            &t_err) != RS_OK))
            return INFINITY;
        double off = 0, top = 0;
        for (int64_t k = 0; k < t->n_elements; k++) {
            int64_t at = rows ? row[k / cols] * cols + k % cols : k;
            double d = fabs((double)have[at] - (double)want[k]);
            if (!(d <= off)) off = d;
            top = fmax(top, fabs((double)want[k]));
        }
        free(row);
        free(want);
        ++*n_tensors;
        double ratio = off > 0 ? off / top : off; /* all zeros are to be zeros */
        if (!(ratio <= worst)) worst = ratio, *worst_name = t->name;
    }
    return worst;
}

static const float *gradient(const void *ctx, int layer, const rs_slot *slot)
{
    return rs_gradients_of(ctx, layer, slot);
}

/* Means of squared gradients, tensor by tensor in the order of their slots. */
typedef struct squares {
    const subject *s;
    float **at; /* [(n_layers + 1) * 32] */
} squares;

static const rs_slot *slots(const subject *s, int layer)
{
    return layer < 0 ? s->config->family->model_slots : s->config->family->layer_slots;
}

static const float *square(const void *ctx, int layer, const rs_slot *slot)
{
    const squares *q = ctx;
    int row = layer < 0 ? q->s->config->n_layers : layer;
    return q->at[row * 32 + (slot - slots(q->s, layer))];
}

static int64_t size_of(const subject *s, int layer, const rs_slot *slot)
{
    int64_t cols =
        slot->cols == RS_SIZE_NONE ? 1 : rs_slot_size(s->config, layer, slot->cols);
    return rs_slot_size(s->config, layer, slot->rows) * cols;
}

static squares squares_new(const subject *s)
{
    return (squares){s, calloc((size_t)(s->config->n_layers + 1) * 32, sizeof(float *))};
}

static void squares_add(squares *q, double weight)
{
    for (int row = 0; row <= q->s->config->n_layers; row++) {
        int layer = row < q->s->config->n_layers ? row : -1;
        const rs_slot *slot = slots(q->s, layer);
        for (int i = 0; slot[i].tail; i++) {
            const float *g = rs_gradients_of(q->s->g, layer, &slot[i]);
            if (!g) continue;
            int64_t n = size_of(q->s, layer, &slot[i]);
            float **at = &q->at[row * 32 + i];
            if (!*at) *at = calloc((size_t)n, sizeof(float));
            for (int64_t k = 0; k < n; k++)
                (*at)[k] += (float)(weight * (double)g[k] * (double)g[k]);
        }
    }
}

static void squares_scale(squares *q, double by)
{
    for (int row = 0; row <= q->s->config->n_layers; row++) {
        int layer = row < q->s->config->n_layers ? row : -1;
        const rs_slot *slot = slots(q->s, layer);
        for (int i = 0; slot[i].tail; i++) {
            float *at = q->at[row * 32 + i];
            for (int64_t k = 0; at && k < size_of(q->s, layer, &slot[i]); k++)
                at[k] = (float)((double)at[k] * by);
        }
    }
}

static void squares_free(squares *q)
{
    for (int i = 0; i < (q->s->config->n_layers + 1) * 32; i++)
        free(q->at[i]);
    free(q->at);
}

typedef struct golden {
    const char *model, *grads;
    double loss, limit; /* of gradients and Fishers, relative */
} golden;

static const golden families[] = {
    {"tests/golden/models/gemma3", "tests/golden/grad/gemma3.safetensors",
     215.5991082433165, 2e-4},
    {"tests/golden/models/gemma4_e4b", "tests/golden/grad/gemma4_e4b.safetensors",
     182.91135370150857, 2e-4},
    {"tests/golden/models/llama", "tests/golden/grad/llama.safetensors",
     191.72735758510032, 2e-4},
    {"tests/golden/models/qwen3", "tests/golden/grad/qwen3.safetensors",
     201.29677840356135, 2e-4},
    {"recipes/sparring/it", "tests/golden/grad/sparring_it.safetensors",
     322.55389109008416, 1e-4},
};

static void gradients_and_fishers_of_the_families(void)
{
    for (size_t f = 0; f < sizeof families / sizeof *families; f++) {
        const golden *c = &families[f];
        subject s;
        int32_t ids[MAX_IDS];
        int n_tensors;
        const char *name = "";
        T_TRUE(open_subject(&s, c->model, c->grads, 2));
        squares fisher = squares_new(&s);
        for (int i = 0; i < 4; i++) {
            char key[16];
            snprintf(key, sizeof key, "ids.%d", i);
            int64_t n = ids_named(&s, key, ids);
            T_TRUE(n > 1);
            double loss = backward(&s, ids, NULL, n);
            squares_add(&fisher, 0.25);
            if (i > 0) continue;
            T_NEAR(loss, c->loss, 0, 2e-7);
            double worst = worst_of(&s, "grad.", gradient, s.g, &n_tensors, &name);
            printf("  %s: %d gradients, worst %.1e of %s\n", c->model, n_tensors, worst,
                   name);
            T_TRUE(n_tensors >= 12 && worst <= c->limit);
        }
        double worst = worst_of(&s, "fisher.", square, &fisher, &n_tensors, &name);
        printf("  %s: %d Fishers, worst %.1e of %s\n", c->model, n_tensors, worst, name);
        T_TRUE(worst <= c->limit);
        squares_free(&fisher);
        close_subject(&s);
    }
}

/* One backward pass for each position of sequences 0 and 1: the mean over the tokens. */
static void fisher_of_tokens(void)
{
    static const golden two[] = {
        {"tests/golden/models/gemma4_e4b", "tests/golden/grad/gemma4_e4b.safetensors", 0,
         2e-4},
        {"recipes/sparring/it", "tests/golden/grad/sparring_it.safetensors", 0, 4e-5}};
    for (int f = 0; f < 2; f++) {
        subject s;
        int32_t ids[MAX_IDS], labels[MAX_IDS];
        int n_tensors, tokens = 0;
        const char *name = "";
        T_TRUE(open_subject(&s, two[f].model, two[f].grads, 2));
        squares fisher = squares_new(&s);
        const char *keys[] = {f ? "ids.short" : "ids.0", f ? NULL : "ids.1"};
        for (int i = 0; i < 2 && keys[i]; i++) {
            int64_t n = ids_named(&s, keys[i], ids);
            T_TRUE(n > 1);
            for (int64_t t = 1; t < n; t++, tokens++) {
                for (int64_t k = 0; k < n; k++)
                    labels[k] = k == t ? ids[k] : -1;
                T_TRUE(backward(&s, ids, labels, n) > 0);
                squares_add(&fisher, 1);
            }
        }
        squares_scale(&fisher, 1.0 / tokens);
        double worst = worst_of(&s, "fisher_token.", square, &fisher, &n_tensors, &name);
        printf("  %s: %d Fishers of %d tokens, worst %.1e of %s\n", two[f].model,
               n_tensors, tokens, worst, name);
        T_TRUE(n_tensors > 0 && worst <= two[f].limit);
        squares_free(&fisher);
        close_subject(&s);
    }
}

/* Every label at every position, weighed by its probability: what --labels model estimates. */
static void fisher_expected_over_labels(void)
{
    subject s;
    int32_t ids[MAX_IDS], labels[MAX_IDS];
    int n_tensors;
    const char *name = "";
    T_TRUE(open_subject(&s, "tests/golden/models/gemma4_v64",
                        "tests/golden/grad/gemma4_v64_expected.safetensors", 2));
    int64_t n = ids_named(&s, "ids", ids);
    T_EQ(n, 4);
    squares fisher = squares_new(&s);
    ids[n] = 0; /* what follows the last position: any id, it is never read */
    for (int64_t t = 1; t <= n; t++)
        for (int32_t y = 0; y < s.config->vocab; y++) {
            for (int64_t k = 0; k <= n; k++)
                labels[k] = k == t ? y : -1;
            double loss = backward(&s, ids, labels, n + 1);
            squares_add(&fisher, 0.25 * exp(-loss));
        }
    double worst =
        worst_of(&s, "fisher_expected_all4.", square, &fisher, &n_tensors, &name);
    printf("  %d expected Fishers, worst %.1e of %s\n", n_tensors, worst, name);
    T_TRUE(n_tensors > 30 && worst <= 3e-5);
    squares_free(&fisher);
    close_subject(&s);
}

/* torch drops the lookup's gradient of the padding row; the head's part of it stays. */
static void the_padding_row(void)
{
    subject s;
    int32_t ids[MAX_IDS];
    int n_tensors;
    const char *name = "";
    T_TRUE(open_subject(&s, "tests/golden/models/gemma4_e4b",
                        "tests/golden/grad/gemma4_e4b.safetensors", 1));
    int64_t n = ids_named(&s, "pad.ids", ids);
    T_TRUE(n > 1 && backward(&s, ids, NULL, n) > 0);
    double worst = worst_of(&s, "pad.grad_row0.", gradient, s.g, &n_tensors, &name);
    printf("  padding: %d rows, worst %.1e of %s\n", n_tensors, worst, name);
    T_TRUE(n_tensors == 2 && worst <= 2e-4);
    close_subject(&s);
}

/* A step of another size or with other threads gives the same gradients. */
static void threads_and_scale(void)
{
    subject one, two;
    int32_t ids[MAX_IDS];
    const char *model = "tests/golden/models/gemma4_e4b",
               *grads = "tests/golden/grad/gemma4_e4b.safetensors";
    T_TRUE(open_subject(&one, model, grads, 1) && open_subject(&two, model, grads, 3));
    int64_t n = ids_named(&one, "ids.0", ids);
    T_NEAR(backward(&one, ids, NULL, n), backward(&two, ids, NULL, n), 0, 1e-12);
    for (int layer = -1; layer < one.config->n_layers; layer++) {
        const rs_slot *a = slots(&one, layer), *b = slots(&two, layer);
        for (int i = 0; a[i].tail; i++) {
            const float *x = rs_gradients_of(one.g, layer, &a[i]),
                        *y = rs_gradients_of(two.g, layer, &b[i]);
            int64_t size = size_of(&one, layer, &a[i]);
            for (int64_t k = 0; x && k < size; k++)
                T_NEAR(x[k], y[k], 1e-4, 1e-3);
        }
    }
    close_subject(&one);
    close_subject(&two);
}

static void wrong_sequences_are_refused(void)
{
    subject s;
    rs_sequence *seq;
    T_TRUE(open_subject(&s, "tests/golden/models/gemma3",
                        "tests/golden/grad/gemma3.safetensors", 1));
    static const int32_t ids[] = {2, 5, 384}, none[] = {2, -1, -1};
    T_OK(rs_sequence_new(s.config, 3, true, &seq, &t_err));
    T_FAILS(rs_sequence_set(seq, ids, NULL, 3, &t_err), RS_E_INVALID,
            "token 2 is id 384, outside the vocabulary of 384");
    T_FAILS(rs_sequence_set(seq, ids, NULL, 1, &t_err), RS_E_INVALID,
            "a sequence of 1 tokens");
    T_FAILS(rs_sequence_set(seq, ids, none, 2, &t_err), RS_E_INVALID,
            "has none that counts");
    T_FAILS(rs_sequence_set(seq, none, NULL, 4, &t_err), RS_E_INVALID, "2 to 3");
    rs_sequence_free(seq);
    close_subject(&s);
}

T_MAIN(T_TEST(gradients_and_fishers_of_the_families), T_TEST(fisher_of_tokens),
       T_TEST(fisher_expected_over_labels), T_TEST(the_padding_row),
       T_TEST(threads_and_scale), T_TEST(wrong_sequences_are_refused))
