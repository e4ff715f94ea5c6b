/* A training as a run: the same bytes for any threads, every interruption and every kill;
 * how a blend is drawn; what is refused; what is written, merged by this program's own
 * merge. */
#include "learn/train_internal.h"
#include "live/live.h"
#include "model/forward.h"
#include "tests/files.h"
#include "tests/t.h"

#include "base/rng.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CORPORA = 3, EACH = 5, MOST = 24, STEPS = 7, ADAPTED = 3 };

typedef struct subject {
    rs_runtime rt;
    rs_checkpoint *file;
    rs_config *config;
    rs_model *model;
    rs_lora *lora;
    rs_protection *protection;
    int32_t ids[CORPORA][EACH][MOST];
    rs_example examples[CORPORA][EACH];
    rs_train_corpus corpora[CORPORA];
} subject;

/* Sequences of many lengths; the last of each corpus is for validation. */
static void make_corpora(subject *s)
{
    static const char *const names[] = {"/some/where/sea.txt", "gothic", "folk"};
    static const double weights[] = {2, 1, 0.5};
    for (int c = 0; c < CORPORA; c++) {
        for (int i = 0; i < EACH; i++) {
            int64_t n = 5 + (c * 7 + i * 5) % (MOST - 5);
            for (int64_t t = 0; t < n; t++)
                s->ids[c][i][t] =
                    (int32_t)(3 +
                              rs_rng_at(9, (uint64_t)(c * EACH + i), (uint64_t)t) % 300);
            s->examples[c][i] = (rs_example){s->ids[c][i], NULL, n};
        }
        s->corpora[c] = (rs_train_corpus){.name = names[c],
                                          .train = s->examples[c],
                                          .n_train = EACH - 1,
                                          .valid = s->examples[c] + EACH - 1,
                                          .n_valid = 1,
                                          .weight = weights[c]};
    }
}

/* The first two inputs and outputs of every matrix are protected. */
static bool protect(subject *s)
{
    for (int i = 0; i < s->lora->n; i++) {
        const rs_lora_pair *p = &s->lora->pairs[i];
        float *u = calloc((size_t)(2 * p->rows), sizeof *u);
        float *v = calloc((size_t)(2 * p->cols), sizeof *v);
        u[0] = u[3] = v[0] = v[3] = 1;
        bool good = rs_protect(s->protection, i, u, v, 2, &t_err) == RS_OK;
        free(u);
        free(v);
        if (!good) return false;
    }
    return true;
}

static bool open_subject(subject *s, const char *model, int threads)
{
    rs_options o = {.threads = threads, .memory_bytes = 1 << 30};
    rs_lora_options lo = {.rank = ADAPTED, .alpha = 6, .seed = 5};
    *s = (subject){0};
    make_corpora(s);
    return rs_init(&o, &s->rt, &t_err) == RS_OK &&
           rs_checkpoint_open(model, &s->file, &t_err) == RS_OK &&
           rs_config_load(s->file, &s->config, &t_err) == RS_OK &&
           rs_model_load(&s->rt, s->file, s->config, NULL, NULL, &s->model, &t_err) ==
               RS_OK &&
           rs_lora_new(s->file, s->config, &lo, &s->lora, &t_err) == RS_OK &&
           rs_protection_new(&s->rt, s->lora, &s->protection, &t_err) == RS_OK &&
           protect(s);
}

static void close_subject(subject *s)
{
    rs_protection_free(s->protection);
    rs_lora_free(s->lora);
    rs_model_free(s->model);
    rs_config_free(s->config);
    rs_checkpoint_close(s->file);
    rs_quit(&s->rt);
}

static const char tiny[] = "tests/golden/models/gemma4_e4b";

static rs_train_options options_of(const char *out)
{
    return (rs_train_options){.adamw = {.rate = 0.01,
                                        .beta1 = 0.9,
                                        .beta2 = 0.999,
                                        .eps = 1e-8,
                                        .decay = 0.01,
                                        .warmup = 2,
                                        .steps = STEPS,
                                        .clip = 1},
                              .batch = 3,
                              .seed = 4,
                              .strength = 1,
                              .valid_every = 3,
                              .out = out,
                              .base_name = "base"};
}

static rs_status train(subject *s, const rs_train_options *o, rs_train_result *r)
{
    return rs_train_run(&s->rt, s->model, s->lora, s->protection, s->corpora, CORPORA, o,
                        r, &t_err);
}

/* From nothing, as another process would. */
static rs_status train_anew(int threads, const rs_train_options *o, rs_train_result *r)
{
    subject s;
    if (!open_subject(&s, tiny, threads)) return t_err.code;
    rs_status st = train(&s, o, r);
    close_subject(&s);
    return st;
}

static bool same_file(const char *a, const char *b, const char *name)
{
    char x[600], y[600];
    rs_buf p = {0}, q = {0};
    snprintf(x, sizeof x, "%s/%s", a, name);
    snprintf(y, sizeof y, "%s/%s", b, name);
    bool same = rs_os_read_file(x, 64 << 20, &p, &t_err) == RS_OK &&
                rs_os_read_file(y, 64 << 20, &q, &t_err) == RS_OK && p.len == q.len &&
                p.len > 0 && memcmp(p.data, q.data, p.len) == 0;
    rs_buf_free(&p);
    rs_buf_free(&q);
    return same;
}

static bool same_adapters(const char *a, const char *b)
{
    return same_file(a, b, "adapter_model.safetensors") &&
           same_file(a, b, "adapter_config.json") && same_file(a, b, "README.md");
}

/* Nothing but the adapter is left beside `out`. */
static bool is_clean(const char *out)
{
    char path[600];
    snprintf(path, sizeof path, "%s.partial", out);
    bool clean = rs_os_kind(path) == RS_PATH_NONE;
    snprintf(path, sizeof path, "%s.training", out);
    return clean && rs_os_kind(path) == RS_PATH_NONE;
}

/* --- the same bytes --- */

static void any_threads(void)
{
    const char *folder = t_folder(), *one = in_folder(folder, "one");
    rs_train_result a, b;
    rs_train_options o = options_of(one);
    T_OK(train_anew(1, &o, &a));
    T_TRUE(is_clean(one) && a.resumed_at < 0);
    for (int threads = 2; threads <= 5; threads++) {
        o.out = in_folder(folder, "many");
        o.force = true;
        T_OK(train_anew(threads, &o, &b));
        T_TRUE(same_adapters(one, o.out));
        T_TRUE(memcmp(a.steps, b.steps, STEPS * sizeof *a.steps) == 0);
        T_STR(a.hash, b.hash);
        free(b.steps);
    }
    free(a.steps);
}

/* Says no at the left-th call. */
typedef struct stopper {
    uint64_t left; /* 0: never */
} stopper;

static bool go_on(void *ctx, const rs_progress *p)
{
    stopper *s = ctx;
    (void)p;
    return s->left == 0 || --s->left > 0;
}

static double tick(void)
{
    static double t;
    return t += 1;
}

static void stopped_and_gone_on_with(void)
{
    const char *folder = t_folder(), *one = in_folder(folder, "one"),
               *two = in_folder(folder, "two");
    rs_train_result whole, r;
    rs_train_options o = options_of(one);
    T_OK(train_anew(2, &o, &whole));
    o.out = two;
    o.progress = go_on;
    int stops = 0;
    for (uint64_t at = 1; at < 400; at += 13) {
        stopper stop = {at}, never = {0};
        o.progress_ctx = &stop;
        o.now = at % 2 ? tick : NULL;
        o.resume = false;
        rs_status st = train_anew(1 + (int)(at % 3), &o, &r);
        if (st == RS_OK) { /* it had ended before */
            free(r.steps);
            T_OK(rs_os_remove_tree(two, &t_err));
            continue;
        }
        stops++;
        T_EQ(st, RS_E_CANCELLED);
        T_TRUE(strstr(t_err.msg, "--resume goes on") && rs_os_kind(two) == RS_PATH_NONE);
        o.progress_ctx = &never;
        o.resume = true;
        T_OK(train_anew(1 + (int)(at % 2), &o, &r));
        T_TRUE(r.resumed_at >= 0 && same_adapters(one, two) && is_clean(two));
        T_TRUE(memcmp(whole.steps, r.steps, STEPS * sizeof *r.steps) == 0);
        free(r.steps);
        T_OK(rs_os_remove_tree(two, &t_err));
    }
    T_TRUE(stops >= 20);
    free(whole.steps);
}

static int run_and_exit(const rs_train_options *o)
{
    rs_train_result r;
    rs_status st = train_anew(1, o, &r);
    return st == RS_OK ? 0 : 1;
}

/* Killed before each of its writes, syncs and renames; the next run goes on from what it
 * left. */
static void killed_at_its_writes(void)
{
    const char *folder = t_folder(), *one = in_folder(folder, "one"),
               *two = in_folder(folder, "two");
    rs_train_result r;
    rs_train_options o = options_of(one);
    o.now = tick; /* a state after every step */
    long before = rs_os_write_calls();
    T_OK(train_anew(1, &o, &r));
    long calls = rs_os_write_calls() - before;
    free(r.steps);
    o.out = two;
    int kills = 0, resumed = 0;
    for (long at = 1; at <= calls; at++) {
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
            rs_os_faults(at, 0, true);
            _exit(run_and_exit(&o));
        }
        int status = 0;
        T_TRUE(waitpid(pid, &status, 0) == pid);
        kills += WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
        bool whole = rs_os_kind(two) == RS_PATH_FOLDER; /* only after its rename */
        o.resume = true;
        if (!whole) {
            T_OK(train_anew(2, &o, &r));
            resumed += r.resumed_at > 0;
            free(r.steps);
        }
        o.resume = false;
        T_TRUE(same_adapters(one, two));
        T_OK(rs_os_remove_tree(two, &t_err));
    }
    printf("  killed %d times in %ld calls, resumed %d times\n", kills, calls, resumed);
    T_TRUE(kills >= calls - 2 && resumed > calls / 2);
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Killed again and again at whatever it is doing, until a run comes through. */
static void killed_at_random(void)
{
    const char *folder = t_folder(), *one = in_folder(folder, "one"),
               *two = in_folder(folder, "two");
    rs_train_result r;
    rs_train_options o = options_of(one);
    double began = seconds();
    T_OK(train_anew(1, &o, &r));
    double took = seconds() - began;
    free(r.steps);
    o.out = two;
    o.now = tick;
    o.resume = true;
    int kills = 0;
    for (uint64_t round = 0; round < 3; round++) {
        for (uint64_t k = 0; rs_os_kind(two) == RS_PATH_NONE; k++) {
            double share = (double)(rs_rng_at(round, 1, k) >> 11) * 0x1p-53;
            double wait = took * (0.05 + 0.4 * share) * (1 + 0.1 * (double)k);
            fflush(stdout);
            pid_t pid = fork();
            if (pid == 0) _exit(run_and_exit(&o));
            struct timespec t = {(time_t)wait, (long)((wait - floor(wait)) * 1e9)};
            nanosleep(&t, NULL);
            kill(pid, SIGKILL);
            int status = 0;
            T_TRUE(waitpid(pid, &status, 0) == pid && k < 200);
            kills += WIFSIGNALED(status);
        }
        T_TRUE(same_adapters(one, two));
        T_OK(rs_os_remove_tree(two, &t_err));
    }
    printf("  killed %d times at random\n", kills);
    T_TRUE(kills >= 3);
}

/* --- states of others, damaged ones --- */

static void other_work_is_refused(void)
{
    const char *out = in_folder(t_folder(), "a");
    char state[600];
    rs_train_result r;
    rs_train_options o = options_of(out);
    stopper stop = {150};
    o.progress = go_on;
    o.progress_ctx = &stop;
    T_EQ(train_anew(1, &o, &r), RS_E_CANCELLED);
    stop.left = 0;
    o.resume = true;
    snprintf(state, sizeof state, "%s.training/state", out);
    rs_buf kept_state = get_file(state);
    rs_train_options others[6] = {o, o, o, o, o, o};
    rs_string_pair fact = {"model", "other"};
    others[0].seed = 99;
    others[1].adamw.rate = 0.02;
    others[2].projecting = RS_PROJECT_GRADIENT;
    others[3].batch = 2;
    others[4].adamw.steps = STEPS + 1;
    others[5].facts = &fact;
    others[5].n_facts = 1;
    for (int i = 0; i < 6; i++)
        T_FAILS(train_anew(1, &others[i], &r), RS_E_MISMATCH, "is of other work");
    subject s;
    T_TRUE(open_subject(&s, tiny, 1));
    s.ids[1][2][3] ^= 1;
    T_FAILS(train(&s, &o, &r), RS_E_MISMATCH, "is of other work");
    close_subject(&s);
    for (size_t at = 40; at < kept_state.len; at += kept_state.len / 5) {
        kept_state.data[at] ^= 1;
        put_file(state, kept_state.data, kept_state.len);
        T_FAILS(train_anew(1, &o, &r), RS_E_FORMAT, "is damaged");
        kept_state.data[at] ^= 1;
    }
    put_file(state, kept_state.data, kept_state.len / 2);
    T_TRUE(train_anew(1, &o, &r) != RS_OK);
    put_file(state, kept_state.data, kept_state.len);
    T_OK(train_anew(1, &o, &r));
    T_TRUE(r.resumed_at > 0 && is_clean(out));
    free(r.steps);
    o.resume = false;
    T_FAILS(train_anew(1, &o, &r), RS_E_EXISTS, "exists");
}

/* --- a blend --- */

static void blend(void)
{
    subject s;
    int64_t drawn[CORPORA] = {0}, last[EACH] = {0};
    T_TRUE(open_subject(&s, tiny, 1));
    rs_train_options o = options_of("nowhere");
    rs_training t = {.corpora = s.corpora, .n_corpora = CORPORA, .o = &o};
    rs_training again = t;
    T_OK(rs_blend_open(&t, &t_err));
    T_OK(rs_blend_open(&again, &t_err));
    bool shuffled = false;
    for (int q = 0; q < 7000; q++) {
        int corpus;
        const rs_example *e = rs_blend_next(&t, &corpus);
        drawn[corpus]++;
        if (corpus != 1) continue;
        int64_t i = e - s.corpora[1].train, epoch = (drawn[1] - 1) / (EACH - 1);
        T_TRUE(i >= 0 && i < EACH - 1); /* never what is for validation */
        T_EQ(last[i], epoch);           /* each once in every epoch */
        last[i]++;
        shuffled |= i != (drawn[1] - 1) % (EACH - 1);
    }
    T_TRUE(shuffled);
    T_NEAR((double)drawn[0], 4000, 150, 0);
    T_NEAR((double)drawn[1], 2000, 150, 0);
    T_NEAR((double)drawn[2], 1000, 100, 0);
    rs_blend_skip(&t, 1234);
    rs_blend_skip(&again, 0);
    for (int q = 0; q < 1234; q++) {
        int corpus;
        rs_blend_next(&again, &corpus);
    }
    for (int q = 0; q < 50; q++) {
        int a, b;
        T_TRUE(rs_blend_next(&t, &a) == rs_blend_next(&again, &b) && a == b);
    }
    rs_blend_close(&t);
    rs_blend_close(&again);
    close_subject(&s);
}

/* What it tells on the way: losses of corpora that make up the step's, validations. */
typedef struct listener {
    int steps, validations;
    bool good;
    double last_valid;
} listener;

static void listen_to(void *ctx, const rs_train_step *s)
{
    listener *l = ctx;
    double sum = 0;
    int64_t tokens = 0;
    for (int c = 0; c < CORPORA; c++) {
        if (s->corpora[c].tokens == 0) continue;
        sum += s->corpora[c].loss * (double)s->corpora[c].tokens;
        tokens += s->corpora[c].tokens;
    }
    l->good &= tokens > 0 && fabs(sum / (double)tokens - s->loss) < 1e-9;
    if (s->is_validation) {
        l->good &= s->step % 3 == 0 || s->step == STEPS;
        l->last_valid = s->loss;
        l->validations++;
    } else {
        l->good &= s->step == l->steps++ && s->norm > 0 && s->leak.most < 1e-12;
    }
}

static void what_is_told(void)
{
    subject s;
    rs_train_result r;
    listener l = {.good = true};
    T_TRUE(open_subject(&s, tiny, 2));
    rs_train_options o = options_of(in_folder(t_folder(), "a"));
    o.told = listen_to;
    o.told_ctx = &l;
    T_OK(train(&s, &o, &r));
    T_TRUE(l.good);
    T_EQ(l.steps, STEPS);
    T_EQ(l.validations, 4); /* before steps 0, 3 and 6, and at the end */
    T_TRUE(l.last_valid > 0);
    for (int i = 0; i < s.lora->n;
         i++) { /* the protected rows and columns: nothing at all */
        const rs_lora_pair *p = &s.lora->pairs[i];
        for (int k = 0; k < ADAPTED; k++) {
            T_TRUE(p->a[k * p->cols] == 0 && p->a[k * p->cols + 1] == 0);
            T_TRUE(p->b[k] == 0 && p->b[ADAPTED + k] == 0);
        }
    }
    free(r.steps);
    close_subject(&s);
}

/* --- refusals --- */

static void refusals(void)
{
    subject s;
    rs_train_result r;
    T_TRUE(open_subject(&s, tiny, 1));
    const char *out = in_folder(t_folder(), "a");
    rs_train_options o = options_of(out), bad = o;
    s.corpora[1].n_train = 0;
    T_FAILS(train(&s, &o, &r), RS_E_INVALID, "gothic has no sequence to learn from");
    s.corpora[1].n_train = EACH - 1;
    s.ids[2][1][3] = 400;
    T_FAILS(train(&s, &o, &r), RS_E_INVALID, "folk, sequence 2: token 3 is id 400");
    s.ids[2][1][3] = 5;
    s.ids[2][4][3] = -1;
    T_FAILS(train(&s, &o, &r), RS_E_INVALID,
            "folk, validation sequence 1: token 3 is id -1");
    s.ids[2][4][3] = 5;
    int32_t none[MOST];
    memset(none, -1, sizeof none);
    s.examples[0][0].labels = none;
    T_FAILS(train(&s, &o, &r), RS_E_INVALID, "sequence 1: a sequence of");
    s.examples[0][0].labels = NULL;
    s.corpora[0].weight = NAN;
    T_FAILS(train(&s, &o, &r), RS_E_INVALID, "has weight nan");
    s.corpora[0].weight = 2;
    bad.adamw.warmup = STEPS + 1;
    T_FAILS(train(&s, &bad, &r), RS_E_INVALID, "is no training");
    bad = o;
    bad.strength = 1.5;
    T_FAILS(train(&s, &bad, &r), RS_E_INVALID, "a strength above 1");
    bad = o;
    bad.in_order = true;
    T_FAILS(train(&s, &bad, &r), RS_E_INVALID, "in the order of the file");
    T_TRUE(is_clean(out) && rs_os_kind(out) == RS_PATH_NONE);
    bad = o;
    bad.adamw.rate = 1e30;
    bad.adamw.warmup = 0;
    bad.adamw.clip = 0;
    T_FAILS(train(&s, &bad, &r), RS_E_INVALID, "of step 1 ");
    T_TRUE(is_clean(out) && rs_os_kind(out) == RS_PATH_NONE);
    close_subject(&s);
}

/* --- our own merge reads it --- */

static const char sparring[] = "recipes/sparring/it";

/* Logits of a pass with the adapter beside the model. */
static bool unmerged_logits(subject *s, const int32_t *ids, int64_t n, float *logits)
{
    rs_work *w;
    rs_sequence *q;
    int64_t H = s->config->hidden;
    float *normed = malloc((size_t)(n * H) * sizeof *normed);
    if (rs_work_new(&s->rt, s->model, n, &w, &t_err) != RS_OK ||
        rs_sequence_new(s->config, n, true, &q, &t_err) != RS_OK ||
        rs_sequence_set(q, ids, NULL, n, &t_err) != RS_OK ||
        rs_work_adapt(w, s->lora, &t_err) != RS_OK ||
        rs_forward_embed(w, q, &t_err) != RS_OK)
        return false;
    for (int i = 0; i < s->config->n_layers; i++)
        if (rs_forward_layer(w, q, i, &t_err) != RS_OK) return false;
    for (int64_t t = 0; t < n; t++)
        s->rt.kernels->linear->rms_norm(q->x[s->config->n_layers] + t * H,
                                        s->model->final_norm, s->config->rms_eps,
                                        normed + t * H, H);
    rs_product p = {&s->model->head,  normed,
                    logits,           H,
                    s->config->vocab, (float)s->config->final_softcap};
    bool good = rs_linear(&s->rt, RS_LINEAR_FAST, &p, 1, n, &t_err) == RS_OK;
    free(normed);
    rs_sequence_free(q);
    rs_work_free(w);
    return good;
}

static rs_status merged_logits(const rs_runtime *rt, const char *adapter,
                               const int32_t *ids, int64_t n, float *logits)
{
    char text[1200];
    rs_recipe *recipe;
    rs_plan *plan;
    rs_live *live;
    rs_kv *kv;
    rs_plan_options how = {0};
    rs_forward_options all = {.want = RS_WANT_ALL};
    snprintf(text, sizeof text,
             "{\"ringside\":1,\"models\":{\"it\":{\"path\":\"%s\"},\"a\":{\"adapter\":\"%"
             "s\"}},"
             "\"stages\":[{\"name\":\"m\",\"method\":\"task_arithmetic\",\"base\":\"it\","
             "\"inputs\":[{\"from\":\"a\"}]}],\"output\":{\"dtype\":\"float32\"}}",
             sparring, adapter);
    RS_TRY(rs_recipe_parse(text, strlen(text), ".", "round trip", &recipe, &t_err));
    RS_TRY(rs_plan_build(rt, recipe, &how, &plan, &t_err));
    RS_TRY(rs_live_open(rt, plan, NULL, NULL, NULL, &live, &t_err));
    RS_TRY(rs_kv_new(rs_live_model(live)->config, NULL, &kv, &t_err));
    rs_status s = rs_forward(rt, rs_live_model(live), kv, ids, n, &all, logits, &t_err);
    rs_kv_free(kv);
    rs_live_close(live);
    rs_recipe_free(recipe);
    return s;
}

static void our_merge_reads_it(void)
{
    subject s;
    rs_train_result r;
    const char *out = in_folder(t_folder(), "a");
    T_TRUE(open_subject(&s, sparring, 2));
    int64_t n = s.examples[1][3].n, size = n * s.config->vocab;
    float *before = malloc((size_t)size * sizeof *before),
          *beside = malloc((size_t)size * sizeof *beside),
          *merged = malloc((size_t)size * sizeof *merged);
    T_TRUE(unmerged_logits(&s, s.ids[1][3], n, before));
    rs_train_options o = options_of(out);
    T_OK(train(&s, &o, &r));
    T_TRUE(unmerged_logits(&s, s.ids[1][3], n, beside));
    T_OK(merged_logits(&s.rt, out, s.ids[1][3], n, merged));
    double off = 0, moved = 0;
    for (int64_t i = 0; i < size; i++) {
        double d = fabs((double)beside[i] - (double)merged[i]);
        if (!(d <= off)) off = d;
        moved = fmax(moved, fabs((double)beside[i] - (double)before[i]));
    }
    printf("  logits: merged %.1e from unmerged, training moved them by %.1f\n", off,
           moved);
    T_TRUE(off <= 2e-4 && moved > 0.5);
    free(before);
    free(beside);
    free(merged);
    free(r.steps);
    close_subject(&s);
}

T_MAIN(T_TEST(any_threads), T_TEST(stopped_and_gone_on_with),
       T_TEST(killed_at_its_writes), T_TEST(killed_at_random),
       T_TEST(other_work_is_refused), T_TEST(blend), T_TEST(what_is_told),
       T_TEST(refusals), T_TEST(our_merge_reads_it))
