/* The backward pass against torch's gradients and Fishers (tests/golden/grad; limits as that
 * fixture's README states them), for every tensor of every family that it has. */
#include "base/json.h"
#include "tests/learn.h"

#include <float.h>

static const float *gradient(void *ctx, const char *name)
{
    const pupil *p = ctx;
    int layer;
    const rs_slot *slot = rs_slot_of(p->m.config, name, &layer);
    return slot ? rs_gradients_of(p->g, layer, slot) : NULL;
}

/* --- means of squared gradients --- */

enum { MAX_SLOTS = 32 };

/* Tensor by tensor in the order of their slots, what is outside the layers last. */
typedef struct squares {
    const pupil *p;
    double **at; /* [(n_layers + 1) * MAX_SLOTS] */
    float *said; /* what square() gave last */
} squares;

static squares squares_new(const pupil *p)
{
    size_t n = (size_t)(p->m.config->n_layers + 1) * MAX_SLOTS;
    return (squares){.p = p, .at = calloc(n, sizeof(double *))};
}

static void squares_free(squares *q)
{
    for (int i = 0; i < (q->p->m.config->n_layers + 1) * MAX_SLOTS; i++)
        free(q->at[i]);
    free(q->at);
    free(q->said);
}

static double **square_at(const squares *q, int layer, int slot)
{
    int row = layer < 0 ? q->p->m.config->n_layers : layer;
    return &q->at[row * MAX_SLOTS + slot];
}

/* Adds weight times the squares of the gradients as they are. */
static void squares_add(squares *q, double weight)
{
    const rs_config *c = q->p->m.config;
    for (int layer = -1; layer < c->n_layers; layer++) {
        const rs_slot *slot = slots_of(c, layer);
        for (int i = 0; slot[i].tail; i++) {
            const float *g = rs_gradients_of(q->p->g, layer, &slot[i]);
            if (!g) continue;
            int64_t n = slot_elements(c, layer, &slot[i]);
            double **at = square_at(q, layer, i);
            if (!*at) *at = calloc((size_t)n, sizeof **at);
            for (int64_t k = 0; k < n; k++)
                (*at)[k] += weight * (double)g[k] * (double)g[k];
        }
    }
}

static const double *squares_of(const squares *q, const char *name, int64_t *n)
{
    int layer;
    const rs_config *c = q->p->m.config;
    const rs_slot *slot = rs_slot_of(c, name, &layer);
    *n = slot ? slot_elements(c, layer, slot) : 0;
    return slot ? *square_at(q, layer, (int)(slot - slots_of(c, layer))) : NULL;
}

static const float *square(void *ctx, const char *name)
{
    squares *q = ctx;
    int64_t n;
    const double *at = squares_of(q, name, &n);
    if (!at) return NULL;
    free(q->said);
    q->said = malloc((size_t)n * sizeof *q->said);
    for (int64_t k = 0; k < n; k++)
        q->said[k] = (float)at[k];
    return q->said;
}

/* Every position of a sequence by itself, a pass back for each; how many. */
static int add_positions(squares *q, pupil *p, const int32_t *ids, int64_t n, double weight)
{
    int32_t labels[MAX_IDS];
    for (int64_t t = 1; t < n; t++) {
        for (int64_t k = 0; k < n; k++)
            labels[k] = k == t ? ids[k] : -1;
        if (!(gradients_of(p, ids, labels, n, 1) > 0)) return 0;
        squares_add(q, weight);
    }
    return (int)n - 1;
}

/* --- against torch --- */

#define GRAD "tests/golden/grad/"

typedef struct golden {
    const char *model, *grads, *report;
    int n;                    /* tensors in the fixture */
    double gradient, squared; /* limits, relative */
} golden;

static const golden families[] = {
    {"tests/golden/models/gemma3", GRAD "gemma3.safetensors", "gemma3", 54, 2e-4, 2e-4},
    {"tests/golden/models/gemma4_e4b", GRAD "gemma4_e4b.safetensors", "gemma4_e4b", 92,
     2e-4, 2e-4},
    {"tests/golden/models/llama", GRAD "llama.safetensors", "llama", 30, 2e-4, 2e-4},
    {"tests/golden/models/qwen3", GRAD "qwen3.safetensors", "qwen3", 35, 2e-4, 2e-4},
    {"recipes/sparring/it", GRAD "sparring_it.safetensors", "sparring_it", 12, 1e-4, 5e-5},
};

static void is_within(const char *what, const golden *f, const comparison *c, double limit)
{
    printf("  %s: %d %s, worst %.1e of %s\n", f->model, c->n, what, c->worst, c->name);
    T_TRUE(c->worst <= limit);
}

static void check_family(const golden *f, const rs_json *report)
{
    pupil p;
    int32_t ids[MAX_IDS];
    T_OK(open_pupil(&p, f->model, f->grads, 2));
    squares fisher = squares_new(&p);
    const rs_json *length = rs_json_first(rs_json_get(report, "lengths"));
    for (int i = 0; i < 4; i++, length = rs_json_next(length)) {
        char key[16];
        snprintf(key, sizeof key, "ids.%d", i);
        int64_t n = ids_named(p.want, key, ids);
        T_TRUE(length != NULL);
        T_EQ(n, rs_json_number(length));
        double loss = gradients_of(&p, ids, NULL, n, 1);
        squares_add(&fisher, 0.25);
        if (i > 0) continue;
        T_NEAR(loss, rs_json_number(rs_json_get(report, "loss_f64")), 0, 2e-7);
        comparison c = compare_all(p.want, "grad.", gradient, &p);
        T_EQ(c.n, f->n);
        is_within("gradients", f, &c, f->gradient);
    }
    comparison c = compare_all(p.want, "fisher.", square, &fisher);
    T_EQ(c.n, f->n);
    is_within("Fishers", f, &c, f->squared);
    squares_free(&fisher);
    close_pupil(&p);
}

static void gradients_and_fishers_of_the_families(void)
{
    rs_json *report;
    T_OK(rs_json_read_file(GRAD "report.json", 1 << 20, &report, &t_err));
    for (size_t f = 0; f < sizeof families / sizeof *families; f++)
        check_family(&families[f], rs_json_get(report, families[f].report));
    rs_json_free(report);
}

/* One backward pass for each position of sequences 0 and 1: the mean over the tokens. */
static void fisher_of_tokens(void)
{
    static const golden f = {"tests/golden/models/gemma4_e4b", GRAD "gemma4_e4b.safetensors",
                             NULL, 92, 0, 2e-4};
    pupil p;
    int32_t ids[MAX_IDS];
    T_OK(open_pupil(&p, f.model, f.grads, 2));
    squares fisher = squares_new(&p);
    int64_t tokens = ids_named(p.want, "ids.0", ids) + ids_named(p.want, "ids.1", ids) - 2;
    for (int i = 0; i < 2; i++) {
        int64_t n = ids_named(p.want, i ? "ids.1" : "ids.0", ids);
        T_TRUE(n > 1);
        T_EQ(add_positions(&fisher, &p, ids, n, 1.0 / (double)tokens), n - 1);
    }
    comparison c = compare_all(p.want, "fisher_token.", square, &fisher);
    T_EQ(c.n, f.n);
    is_within("Fishers by the token", &f, &c, f.squared);
    squares_free(&fisher);
    close_pupil(&p);
}

/* Sums over a tensor, of all tensors of a list; how many are within the limit. */
static int sums_within(const rs_json *list, const squares *q, double limit)
{
    int within = 0;
    for (const rs_json *t = rs_json_first(list); t; t = rs_json_next(t)) {
        int64_t n;
        const double *at = squares_of(q, rs_json_key(t), &n);
        double sum = 0, want = rs_json_number(t);
        for (int64_t k = 0; at && k < n; k++)
            sum += at[k];
        if (fabs(sum - want) <= limit * want)
            within++;
        else
            printf("  %s: the sum is %.9g, not %.9g\n", rs_json_key(t), sum, want);
    }
    return within;
}

/* Of sparring the fixture holds rows of twelve tensors, and sums of all 127. */
static void sums_of_all_of_sparring(void)
{
    enum { ALL = 127 };
    pupil p;
    rs_json *norms;
    int32_t ids[MAX_IDS];
    T_OK(rs_json_read_file(GRAD "sparring_it_norms.json", 1 << 20, &norms, &t_err));
    T_OK(open_pupil(&p, "recipes/sparring/it", GRAD "sparring_it.safetensors", 2));
    squares first = squares_new(&p), fisher = squares_new(&p), token = squares_new(&p);
    for (int i = 0; i < 4; i++) {
        char key[16];
        snprintf(key, sizeof key, "ids.%d", i);
        int64_t n = ids_named(p.want, key, ids);
        double loss = gradients_of(&p, ids, NULL, n, 1);
        if (i == 0) T_NEAR(loss, rs_json_number(rs_json_get(norms, "loss")), 0, 1e-6);
        if (i == 0) squares_add(&first, 1);
        squares_add(&fisher, 0.25);
    }
    int64_t n = ids_named(p.want, "ids.short", ids);
    T_TRUE(n > 1);
    T_EQ(add_positions(&token, &p, ids, n, 1.0 / (double)(n - 1)), n - 1);
    T_EQ(sums_within(rs_json_get(norms, "grad_squared_norm"), &first, 2e-5), ALL);
    T_EQ(sums_within(rs_json_get(norms, "fisher_sum"), &fisher, 2e-5), ALL);
    T_EQ(sums_within(rs_json_get(norms, "fisher_token_sum"), &token, 2e-5), ALL);
    static const golden f = {.model = "recipes/sparring/it"};
    comparison c = compare_all(p.want, "fisher_token.", square, &token);
    T_EQ(c.n, 4);
    is_within("Fishers by the token", &f, &c, 4e-5);
    squares_free(&first);
    squares_free(&fisher);
    squares_free(&token);
    rs_json_free(norms);
    close_pupil(&p);
}

/* Every label at every position, weighed by its probability: what --labels model estimates. */
static void fisher_expected_over_labels(void)
{
    static const golden f = {"tests/golden/models/gemma4_v64",
                             GRAD "gemma4_v64_expected.safetensors", NULL, 66, 0, 3e-5};
    pupil p;
    int32_t ids[MAX_IDS], labels[MAX_IDS];
    T_OK(open_pupil(&p, f.model, f.grads, 2));
    int64_t n = ids_named(p.want, "ids", ids);
    T_EQ(n, 4);
    squares all4 = squares_new(&p), first3 = squares_new(&p);
    ids[n] = 0; /* what follows the last position: any id, it is never read */
    for (int64_t t = 1; t <= n; t++)
        for (int32_t y = 0; y < p.m.config->vocab; y++) {
            for (int64_t k = 0; k <= n; k++)
                labels[k] = k == t ? y : -1;
            double probability = exp(-gradients_of(&p, ids, labels, n + 1, 1));
            squares_add(&all4, probability / 4);
            if (t < n) squares_add(&first3, probability / 3);
        }
    comparison c = compare_all(p.want, "fisher_expected_all4.", square, &all4);
    T_EQ(c.n, f.n);
    is_within("expected Fishers", &f, &c, f.squared);
    c = compare_all(p.want, "fisher_expected_first3.", square, &first3);
    T_EQ(c.n, f.n);
    is_within("expected Fishers of three", &f, &c, f.squared);
    squares_free(&all4);
    squares_free(&first3);
    close_pupil(&p);
}

/* torch drops the lookup's gradient of the padding row; the head's part of it stays. */
static void the_padding_row(void)
{
    static const golden f = {"tests/golden/models/gemma4_e4b", GRAD "gemma4_e4b.safetensors",
                             NULL, 2, 2e-4, 0};
    pupil p;
    int32_t ids[MAX_IDS];
    T_OK(open_pupil(&p, f.model, f.grads, 1));
    int64_t n = ids_named(p.want, "pad.ids", ids);
    T_TRUE(n > 1 && gradients_of(&p, ids, NULL, n, 1) > 0);
    comparison c = compare_all(p.want, "pad.grad_row0.", gradient, &p);
    T_EQ(c.n, f.n);
    is_within("padding rows", &f, &c, f.gradient);
    close_pupil(&p);
}

/* --- against itself --- */

/* To the bit, but for what is smaller than a normal float. */
static bool is_same(float a, float b)
{
    return a == b || (fabsf(a) < FLT_MIN && fabsf(b) < FLT_MIN);
}

/* Gradients of `b` are those of `a` times `by`, a power of two; how many tensors were
 * compared, 0 if one differs. */
static int same_but_scaled(const pupil *a, const pupil *b, float by)
{
    int n_tensors = 0;
    const rs_config *c = a->m.config;
    for (int layer = -1; layer < c->n_layers; layer++) {
        const rs_slot *slot = slots_of(c, layer);
        for (int i = 0; slot[i].tail; i++) {
            const float *x = rs_gradients_of(a->g, layer, &slot[i]),
                        *y = rs_gradients_of(b->g, layer, &slot[i]);
            int64_t n = slot_elements(c, layer, &slot[i]);
            if (!x != !y) return 0;
            for (int64_t k = 0; x && k < n; k++)
                if (!is_same(x[k] * by, y[k])) {
                    printf("  %s of layer %d: %.9g and %.9g\n", slot[i].tail, layer,
                           (double)(x[k] * by), (double)y[k]);
                    return 0;
                }
            n_tensors += x != NULL;
        }
    }
    return n_tensors;
}

/* Other threads give the same bits; half the scale gives half of each. */
static void threads_and_scale(void)
{
    pupil one, two;
    int32_t ids[MAX_IDS];
    const char *model = "tests/golden/models/gemma4_e4b",
               *grads = GRAD "gemma4_e4b.safetensors";
    T_OK(open_pupil(&one, model, grads, 1));
    T_OK(open_pupil(&two, model, grads, 3));
    int64_t n = ids_named(one.want, "ids.0", ids);
    double loss = gradients_of(&one, ids, NULL, n, 1);
    T_TRUE(loss > 0 && loss == gradients_of(&two, ids, NULL, n, 1));
    T_EQ(same_but_scaled(&one, &two, 1), 92);
    T_TRUE(loss == gradients_of(&two, ids, NULL, n, 0.5));
    T_EQ(same_but_scaled(&one, &two, 0.5F), 92);
    close_pupil(&one);
    close_pupil(&two);
}

static void wrong_sequences_are_refused(void)
{
    subject s;
    rs_sequence *seq;
    T_OK(open_subject("tests/golden/models/gemma3", 1, NULL, &s));
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
       T_TEST(sums_of_all_of_sparring), T_TEST(fisher_expected_over_labels),
       T_TEST(the_padding_row), T_TEST(threads_and_scale),
       T_TEST(wrong_sequences_are_refused))
