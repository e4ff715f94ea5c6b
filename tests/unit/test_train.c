/* Training against PEFT's: losses, norms, rates, first gradients and final factors; then
 * what it promises by itself: protection, the same bytes for any threads, blends. */
#include "learn/subspace.h"
#include "learn/train.h"
#include "store/subspace_file.h"
#include "tests/files.h"
#include "tests/t.h"

#include "base/json.h"

enum { STEPS = 12, BATCH = 2, MOST = 48 };

typedef struct subject {
    rs_runtime rt;
    rs_checkpoint *file, *inputs;
    rs_config *config;
    rs_model *model;
    rs_lora *lora;
    rs_protection *protection;
    int32_t ids[STEPS * BATCH][MOST], labels[STEPS * BATCH][MOST];
    rs_example examples[STEPS * BATCH];
    const bool *layers; /* [n_layers] that are trained, or NULL */
} subject;

static bool is_trained(void *ctx, const char *name, int layer)
{
    const subject *s = ctx;
    return (!s->layers || s->layers[layer]) && !strstr(name, "per_layer");
}

static bool open_model(subject *s, const char *model, int threads, int rank)
{
    rs_options o = {.threads = threads, .memory_bytes = 1 << 30};
    rs_lora_options lo = {.rank = rank,
                          .alpha = 2.0 * rank,
                          .seed = 1,
                          .wants = is_trained,
                          .wants_ctx = s};
    return rs_init(&o, &s->rt, &t_err) == RS_OK &&
           rs_checkpoint_open(model, &s->file, &t_err) == RS_OK &&
           rs_config_load(s->file, &s->config, &t_err) == RS_OK &&
           rs_model_load(&s->rt, s->file, s->config, NULL, NULL, &s->model, &t_err) ==
               RS_OK &&
           rs_lora_new(s->file, s->config, &lo, &s->lora, &t_err) == RS_OK &&
           rs_protection_new(&s->rt, s->lora, &s->protection, &t_err) == RS_OK;
}

static void close_subject(subject *s)
{
    rs_protection_free(s->protection);
    rs_lora_free(s->lora);
    rs_model_free(s->model);
    rs_config_free(s->config);
    rs_checkpoint_close(s->inputs);
    rs_checkpoint_close(s->file);
    rs_quit(&s->rt);
}

/* --- the fixtures --- */

static bool read_all(const rs_checkpoint *c, const char *name, float *to, int64_t n)
{
    const rs_tensor *t = rs_checkpoint_find(c, name);
    return t && t->n_elements == n &&
           rs_checkpoint_read_f32(c, t, 0, n, to, &t_err) == RS_OK;
}

static bool read_examples(subject *s)
{
    const rs_tensor *ids = rs_checkpoint_find(s->inputs, "ids"),
                    *mask = rs_checkpoint_find(s->inputs, "mask");
    int64_t raw[2][MOST];
    if (!ids || !mask || ids->n_dims != 3 || ids->dim[0] != STEPS ||
        ids->dim[1] != BATCH || ids->dim[2] > MOST)
        return false;
    int64_t n = ids->dim[2];
    for (int i = 0; i < STEPS * BATCH; i++) {
        uint64_t at = (uint64_t)(i * n) * 8;
        if (rs_checkpoint_read_raw(s->inputs, ids, at, (size_t)n * 8, raw[0], &t_err) ||
            rs_checkpoint_read_raw(s->inputs, mask, at, (size_t)n * 8, raw[1], &t_err))
            return false;
        for (int64_t t = 0; t < n; t++) {
            s->ids[i][t] = (int32_t)raw[0][t];
            s->labels[i][t] = raw[1][t] && t > 0 ? (int32_t)raw[0][t] : -1;
        }
        s->examples[i] = (rs_example){s->ids[i], s->labels[i], n};
    }
    return true;
}

static void name_of(const rs_lora_pair *p, const char *before, const char *after,
                    char out[256])
{
    snprintf(out, 256, "%s.%.*s.%s", before, (int)(strlen(p->weight) - 7), p->weight,
             after);
}

static bool read_start(subject *s)
{
    for (int i = 0; i < s->lora->n; i++) {
        char name[256];
        const rs_lora_pair *p = &s->lora->pairs[i];
        name_of(p, "start", "lora_A.weight", name);
        if (!read_all(s->inputs, name, p->a, s->lora->rank * p->cols)) return false;
        name_of(p, "start", "lora_B.weight", name);
        if (!read_all(s->inputs, name, p->b, s->lora->rank * p->rows)) return false;
    }
    return true;
}

static bool read_bases(subject *s)
{
    for (int i = 0; i < s->lora->n; i++) {
        char name[256];
        const rs_lora_pair *p = &s->lora->pairs[i];
        name_of(p, "basis", "U", name);
        const rs_tensor *t = rs_checkpoint_find(s->inputs, name);
        if (!t) return false;
        float *u = malloc(t->n_bytes), *v = malloc((size_t)(p->cols * t->dim[1]) * 4);
        bool good = read_all(s->inputs, name, u, p->rows * t->dim[1]);
        name_of(p, "basis", "V", name);
        good = good && read_all(s->inputs, name, v, p->cols * t->dim[1]) &&
               rs_protect(s->protection, i, u, v, t->dim[1], &t_err) == RS_OK;
        free(u);
        free(v);
        if (!good) return false;
    }
    return true;
}

typedef struct variant {
    const char *model, *inputs, *name;
    bool projects;
    double decay;
    bool some_layers;
    int pairs;
} variant;

#define FIXTURE "tests/golden/lora_train/"

static const variant variants[] = {
    {"tests/golden/models/gemma3", FIXTURE "gemma3_inputs.safetensors", "gemma3_plain",
     false, 0, false, 28},
    {"tests/golden/models/gemma3", FIXTURE "gemma3_inputs.safetensors", "gemma3_decay",
     false, 0.01, false, 28},
    {"tests/golden/models/gemma3", FIXTURE "gemma3_inputs.safetensors", "gemma3_project",
     true, 0, false, 28},
    {"recipes/sparring/it", FIXTURE "sparring_it_inputs.safetensors", "sparring_it_plain",
     false, 0, false, 52},
    {"recipes/sparring/it", FIXTURE "sparring_it_inputs.safetensors", "sparring_it_decay",
     false, 0.01, true, 26},
    {"recipes/sparring/it", FIXTURE "sparring_it_inputs.safetensors",
     "sparring_it_project", true, 0, true, 26},
};

static bool open_variant(subject *s, const variant *v, int threads)
{
    static const bool odd[8] = {false, true, false, true, false, true, false, true};
    *s = (subject){.layers = v->some_layers ? odd : NULL};
    return open_model(s, v->model, threads, 4) &&
           rs_checkpoint_open(v->inputs, &s->inputs, &t_err) == RS_OK &&
           read_examples(s) && read_start(s) && (!v->projects || read_bases(s));
}

static rs_train_options options_of(const variant *v, const char *out)
{
    return (rs_train_options){.adamw = {.rate = 0.003,
                                        .beta1 = 0.9,
                                        .beta2 = 0.999,
                                        .eps = 1e-8,
                                        .decay = v->decay,
                                        .warmup = 3,
                                        .steps = STEPS,
                                        .clip = 1},
                              .batch = BATCH,
                              .in_order = true,
                              .strength = 1,
                              .out = out,
                              .base_name = "base",
                              .force = true};
}

static rs_status train(subject *s, const rs_train_options *o, rs_train_result *r)
{
    rs_train_corpus c = {
        .name = "fixture", .train = s->examples, .n_train = STEPS * BATCH, .weight = 1};
    return rs_train_run(&s->rt, s->model, s->lora, s->protection, &c, 1, o, r, &t_err);
}

static double number_at(const rs_json *run, const char *list, int i)
{
    const rs_json *v = rs_json_first(rs_json_get(run, list));
    while (i-- > 0)
        v = rs_json_next(v);
    return v ? rs_json_number(v) : NAN;
}

/* max |a - b| over both factors of all pairs, absolute or of a tensor's largest. */
static double worst_factor(const subject *s, const rs_checkpoint *want,
                           const char *before, bool gradients, bool relative)
{
    double worst = 0;
    for (int i = 0; i < 2 * s->lora->n; i++) {
        const rs_lora_pair *p = &s->lora->pairs[i / 2];
        char name[256];
        int64_t n = s->lora->rank * (i % 2 ? p->rows : p->cols);
        const float *have = gradients ? (i % 2 ? p->db : p->da) : (i % 2 ? p->b : p->a);
        float *to = malloc((size_t)n * sizeof *to);
        double off = 0, top = 0;
        name_of(p, before, i % 2 ? "lora_B.weight" : "lora_A.weight", name);
        if (!read_all(want, name, to, n)) off = NAN;
        for (int64_t k = 0; k < n; k++) {
            double d = fabs((double)have[k] - (double)to[k]);
            off = t_max(off, d);
            top = t_max(top, fabs((double)to[k]));
        }
        free(to);
        if (relative && off > 0) off /= top;
        worst = t_max(worst, off);
    }
    return worst;
}

static void rates_are(const rs_json *run, const rs_adamw *o)
{
    for (int i = 0; i < STEPS; i++)
        T_NEAR(rs_adamw_rate(o, i), number_at(run, "learning_rates", i), 1e-18, 1e-14);
}

static void as_peft_trains(void)
{
    rs_json *report;
    T_OK(rs_json_read_file(FIXTURE "report.json", 1 << 20, &report, &t_err));
    const char *out = in_folder(t_folder(), "adapter");
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) {
        const variant *v = &variants[i];
        const rs_json *run = rs_json_get(report, v->name);
        subject s;
        rs_train_result r;
        rs_checkpoint *want;
        char path[256];
        double of_loss = 0, of_norm = 0;
        T_TRUE(run && open_variant(&s, v, 2));
        T_EQ(s.lora->n, v->pairs);
        rs_train_options o = options_of(v, out);
        rates_are(run, &o.adamw);
        T_OK(train(&s, &o, &r));
        for (int k = 0; k < STEPS; k++) {
            double loss = fabs(r.steps[k].loss - number_at(run, "losses", k));
            double norm = fabs(r.steps[k].norm / number_at(run, "grad_norms", k) - 1);
            of_loss = t_max(of_loss, loss);
            of_norm = t_max(of_norm, norm);
        }
        snprintf(path, sizeof path, FIXTURE "%s.safetensors", v->name);
        T_OK(rs_checkpoint_open(path, &want, &t_err));
        double final = worst_factor(&s, want, "final", false, false);
        printf("  %s: loss %.1e, norm %.1e, factors %.1e\n", v->name, of_loss, of_norm,
               final);
        T_TRUE(of_loss <= 8e-6 && of_norm <= 6e-6 && final <= 5e-6);
        free(r.steps);
        rs_checkpoint_close(want);
        close_subject(&s);
    }
    rs_json_free(report);
}

/* Of step 0, whose learning rate is 0: a run of it alone leaves its gradients behind. */
static void first_gradients(void)
{
    subject s;
    rs_train_result r;
    rs_checkpoint *want;
    T_TRUE(open_variant(&s, &variants[0], 2));
    rs_train_options o = options_of(&variants[0], in_folder(t_folder(), "adapter"));
    o.adamw.steps = 1;
    o.adamw.warmup = 1;
    T_OK(train(&s, &o, &r));
    T_OK(rs_checkpoint_open(FIXTURE "gemma3_plain.safetensors", &want, &t_err));
    double off = worst_factor(&s, want, "grad_step1", true, true);
    printf("  first gradients: %.1e\n", off);
    T_TRUE(off <= 4e-5);
    free(r.steps);
    rs_checkpoint_close(want);
    close_subject(&s);
}

/* --- protection, over 200 steps --- */

enum { LONG = 200, LOOK = 25 };

typedef struct watch {
    const subject *s;
    const rs_subspace_file *file;
    rs_projecting how;
    double most, dense; /* largest shares: as reported, and of dW itself in double */
    double out, in;     /* at the end */
} watch;

/* Norms of U^T D or D V and of D, for D = B A [rows, cols] in double. */
static double dense_share(const float *q, int64_t k, const double *d, int64_t rows,
                          int64_t cols, bool of_rows)
{
    double part = 0, all = 0;
    int64_t along = of_rows ? rows : cols, across = of_rows ? cols : rows;
    for (int64_t i = 0; i < rows * cols; i++)
        all += d[i] * d[i];
    for (int64_t j = 0; j < across; j++)
        for (int64_t c = 0; c < k; c++) {
            double sum = 0;
            for (int64_t i = 0; i < along; i++)
                sum += (double)q[i * k + c] * d[of_rows ? i * cols + j : j * cols + i];
            part += sum * sum;
        }
    return all > 0 ? part / all : part;
}

static double worst_dense(const watch *w)
{
    double worst = 0;
    const rs_lora *l = w->s->lora;
    for (int i = 0; i < l->n; i += 3) {
        const rs_lora_pair *p = &l->pairs[i];
        const rs_subspace_entry *e = rs_subspace_find(w->file, p->weight);
        float *u = malloc((size_t)(p->rows * e->rank) * sizeof *u);
        float *v = malloc((size_t)(p->cols * e->rank) * sizeof *v);
        double *d = calloc((size_t)(p->rows * p->cols), sizeof *d);
        if (rs_subspace_read(w->file, e, u, v, NULL, &t_err) != RS_OK) worst = NAN;
        for (int64_t r = 0; r < p->rows; r++)
            for (int64_t c = 0; c < p->cols; c++)
                for (int k = 0; k < l->rank; k++)
                    d[r * p->cols + c] +=
                        (double)p->b[r * l->rank + k] * (double)p->a[k * p->cols + c];
        double out = dense_share(u, e->rank, d, p->rows, p->cols, true);
        double in = dense_share(v, e->rank, d, p->rows, p->cols, false);
        worst = t_max(worst, out);
        worst = t_max(worst, in);
        free(u);
        free(v);
        free(d);
    }
    return worst;
}

static void look(void *ctx, const rs_train_step *step)
{
    watch *w = ctx;
    if (step->is_validation) return;
    w->most = t_max(w->most, step->leak.most);
    w->out = step->leak.out;
    w->in = step->leak.in;
    if (step->step % LOOK != LOOK - 1) return;
    double dense = worst_dense(w);
    w->dense = t_max(w->dense, dense);
}

static bool protect_all(subject *s, const rs_subspace_file *f)
{
    for (int i = 0; i < s->lora->n; i++) {
        const rs_lora_pair *p = &s->lora->pairs[i];
        const rs_subspace_entry *e = rs_subspace_find(f, p->weight);
        if (!e || rs_subspace_fits(f, e, p->rows, p->cols, &t_err) != RS_OK) return false;
        float *u = malloc((size_t)(p->rows * e->rank) * sizeof *u);
        float *v = malloc((size_t)(p->cols * e->rank) * sizeof *v);
        bool good = rs_subspace_read(f, e, u, v, NULL, &t_err) == RS_OK &&
                    rs_protect(s->protection, i, u, v, e->rank, &t_err) == RS_OK;
        free(u);
        free(v);
        if (!good) return false;
    }
    return true;
}

static void make_subspace(const char *out)
{
    rs_runtime rt;
    rs_checkpoint *from, *to;
    rs_config *c;
    rs_subspace_result r;
    T_OK(rs_init(NULL, &rt, &t_err));
    T_OK(rs_checkpoint_open("recipes/sparring/pt", &from, &t_err));
    T_OK(rs_checkpoint_open("recipes/sparring/it", &to, &t_err));
    T_OK(rs_config_load(to, &c, &t_err));
    rs_subspace_options o = {.rank = 16, .exact = true, .out = out};
    T_OK(rs_subspace_run(&rt, from, to, c, &o, &r, &t_err));
    rs_config_free(c);
    rs_checkpoint_close(from);
    rs_checkpoint_close(to);
    rs_quit(&rt);
}

static double mean_loss(const rs_train_result *r, int from)
{
    double sum = 0;
    for (int i = from; i < from + 20; i++)
        sum += r->steps[i].loss / 20;
    return sum;
}

static void what_leaks_in_200_steps(void)
{
    static const char *const names[] = {"exact", "gradient"};
    const char *folder = t_folder(), *path = in_folder(folder, "space.safetensors");
    watch w[2];
    rs_subspace_file *f;
    make_subspace(path);
    T_OK(rs_subspace_open(path, &f, &t_err));
    for (int how = 0; how < 2; how++) {
        subject s;
        rs_train_result r;
        T_TRUE(open_variant(&s, &variants[3], 2) && protect_all(&s, f));
        w[how] = (watch){.s = &s, .file = f, .how = (rs_projecting)how};
        rs_train_options o = options_of(&variants[3], in_folder(folder, "adapter"));
        o.adamw.steps = LONG;
        o.batch = 1;
        o.in_order = false;
        o.projecting = (rs_projecting)how;
        o.told = look;
        o.told_ctx = &w[how];
        T_OK(train(&s, &o, &r));
        printf(
            "  %s: at most %.1e of |dW| in one matrix (%.1e from dW itself); at the end "
            "%.2g %% and %.2g %% of its squares\n",
            names[how], sqrt(w[how].most), sqrt(w[how].dense), w[how].out * 100,
            w[how].in * 100);
        T_TRUE(mean_loss(&r, LONG - 20) < mean_loss(&r, 0) - 0.5);
        free(r.steps);
        close_subject(&s);
    }
    rs_subspace_close(f);
    T_TRUE(sqrt(w[0].most) <= 1e-6 && sqrt(w[0].dense) <= 1e-6);
    T_TRUE(w[1].out > 1e-3 && w[1].in > 1e-3);         /* what exact is there for */
    T_NEAR(sqrt(w[1].most), sqrt(w[1].dense), 0.2, 0); /* the latter looks at fewer */
}

/* Directions that bfloat16 rounded are made orthonormal; what is none is refused. */
static void bases(void)
{
    subject s;
    float u[64 * 4], v[64 * 4];
    T_TRUE(open_variant(&s, &variants[2], 1));
    const rs_lora_pair *p = &s.lora->pairs[0];
    char name[256];
    name_of(p, "basis", "U", name);
    T_TRUE(read_all(s.inputs, name, u, p->rows * 4));
    name_of(p, "basis", "V", name);
    T_TRUE(read_all(s.inputs, name, v, p->cols * 4));
    for (int64_t i = 0; i < p->rows * 4; i++)
        u[i] *= 1 + (float)(i % 7 - 3) * 1e-3f;
    T_OK(rs_protect(s.protection, 0, u, v, 4, &t_err));
    for (int64_t i = 0; i < p->rows * s.lora->rank; i++)
        p->b[i] = (float)(i % 11) - 5;
    for (int round = 0; round < 2; round++)
        rs_project_factors(s.protection, 1);
    T_TRUE(rs_leak_of(s.protection).most < 1e-12);
    for (int64_t i = 0; i < p->rows; i++)
        u[i * 4 + 1] = u[i * 4];
    T_FAILS(rs_protect(s.protection, 0, u, v, 4, &t_err), RS_E_INVALID,
            "not orthonormal");
    T_FAILS(rs_protect(s.protection, 0, u, v, 65, &t_err), RS_E_INVALID, "do not fit");
    close_subject(&s);
}

/* 64 columns whose products are 0.09: each one small, but together they are one direction
 * with eigenvalue 1 + 63 x 0.09 = 6.7, from where no polishing leads. With 0.03 (2.9) it does. */
static void many_small_products(void)
{
    enum { K = 64, WIDE = 512 };
    static const double products[] = {0.09, 0.03};
    for (int c = 0; c < 2; c++) {
        subject s;
        float v[WIDE * K] = {0};
        T_TRUE(open_variant(&s, &variants[3], 1));
        int i = 0;
        while (i < s.lora->n && (s.lora->pairs[i].cols <= K || s.lora->pairs[i].cols > WIDE))
            i++;
        T_TRUE(i < s.lora->n);
        for (int k = 0; k < K; k++) {
            v[k * K + k] = (float)sqrt(1 - products[c]);
            v[K * K + k] = (float)sqrt(products[c]);
        }
        if (c == 0)
            T_FAILS(rs_protect(s.protection, i, NULL, v, K, &t_err), RS_E_INVALID,
                    "not orthonormal: their products are off by 0.09");
        else
            T_OK(rs_protect(s.protection, i, NULL, v, K, &t_err));
        v[0] = NAN; /* seen, although numbers come after it */
        T_FAILS(rs_protect(s.protection, i, NULL, v, K, &t_err), RS_E_INVALID,
                "not orthonormal");
        close_subject(&s);
    }
}

/* What is no number stays so in the largest share, wherever it is. */
static void a_leak_that_is_no_number(void)
{
    subject s;
    float u[64 * 4], v[192 * 4];
    T_TRUE(open_variant(&s, &variants[2], 1));
    for (int i = 0; i < s.lora->n; i++) {
        const rs_lora_pair *p = &s.lora->pairs[i];
        memset(u, 0, sizeof u);
        T_TRUE(p->rows >= 4 && p->cols <= 192);
        memset(v, 0, sizeof v);
        v[0] = v[5] = v[10] = v[15] = 1;
        T_OK(rs_protect(s.protection, i, NULL, v, 4, &t_err));
        for (int64_t k = 0; k < p->rows * s.lora->rank; k++)
            p->b[k] = 1;
    }
    T_TRUE(rs_leak_of(s.protection).most > 0);
    s.lora->pairs[0].a[0] = NAN;
    T_TRUE(isnan(rs_leak_of(s.protection).most));
    close_subject(&s);
}

T_MAIN(T_TEST(as_peft_trains), T_TEST(first_gradients), T_TEST(what_leaks_in_200_steps),
       T_TEST(bases), T_TEST(many_small_products), T_TEST(a_leak_that_is_no_number))
