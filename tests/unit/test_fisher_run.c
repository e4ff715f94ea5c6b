/* Fisher files: against torch's, and against themselves: memory, threads, cancel and resume
 * give the same bytes. */
#include "tests/scholar.h"

#include "base/os.h"
#include "model/family.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void the_families(void)
{
    static const struct {
        const char *model, *grads;
        int n, of_fixture;
        double limit;
    } all[] = {
        {"tests/golden/models/gemma3", "gemma3", 54, 54, 2e-4},
        {"tests/golden/models/gemma4_e4b", "gemma4_e4b", 92, 92, 2e-4},
        {"tests/golden/models/llama", "llama", 30, 30, 2e-4},
        {"tests/golden/models/qwen3", "qwen3", 35, 35, 2e-4},
        {"recipes/sparring/it", "sparring_it", 127, 12, 5e-5},
    };
    const char *folder = t_folder();
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        scholar s;
        char path[512], grads[128];
        rs_fisher_result r;
        fisher_file f;
        snprintf(grads, sizeof grads, "tests/golden/grad/%s.safetensors", all[i].grads);
        T_TRUE(open_scholar(&s, all[i].model, grads, 2));
        rs_fisher_options o = {.out = in(folder, "f.safetensors", path), .force = true};
        T_OK(run(&s, &o, &r));
        T_EQ(r.n_tensors, all[i].n);
        T_OK(open_fisher(&f, path, &s));
        T_EQ(rs_checkpoint_count(f.have), all[i].n);
        comparison c = compare_all(s.p.want, "fisher.", in_file, &f);
        printf("  %s: %d tensors, worst %.1e of %s\n", all[i].model, c.n, c.worst, c.name);
        T_EQ(c.n, all[i].of_fixture);
        T_TRUE(c.worst <= all[i].limit);
        close_fisher(&f);
        close_pupil(&s.p);
    }
}

/* By the token: the sums over four sequences, divided by the tokens that count. */
static void by_the_token(void)
{
    scholar s;
    rs_fisher_result r;
    fisher_file mean, token;
    char path[512];
    const char *folder = t_folder();
    T_TRUE(open_scholar(&s, "tests/golden/models/llama",
                        "tests/golden/grad/llama.safetensors", 2));
    rs_fisher_options o = {.out = in(folder, "mean.safetensors", path)};
    T_OK(run(&s, &o, &r));
    T_OK(open_fisher(&mean, path, &s));
    o.out = in(folder, "token.safetensors", path);
    o.per_token = true;
    T_OK(run(&s, &o, &r));
    T_OK(open_fisher(&token, path, &s));
    T_EQ(r.tokens, 20 + 16 + 12 + 10);
    T_STR(rs_checkpoint_metadata(mean.have, "scale"), "per_sequence");
    T_STR(rs_checkpoint_metadata(token.have, "scale"), "per_token");
    for (int i = 0; i < rs_checkpoint_count(mean.have); i++) {
        const char *name = rs_checkpoint_at(mean.have, i)->name;
        const float *a = in_file(&mean, name), *b = in_file(&token, name);
        T_TRUE(a && b);
        for (int64_t k = 0; k < mean.n; k++)
            T_NEAR(b[k], (double)a[k] * N_SEQ / (double)r.tokens, 1e-37, 2e-7);
    }
    close_fisher(&mean);
    close_fisher(&token);
    close_pupil(&s.p);
}

/* --- the same bytes --- */

typedef struct stopper {
    int64_t at; /* the step that says stop, from 1; 0: none */
    int64_t steps;
    uint64_t done, total; /* as the last step told */
} stopper;

static bool step(void *ctx, const rs_progress *p)
{
    stopper *s = ctx;
    s->done = p->done;
    s->total = p->total;
    return ++s->steps != s->at;
}

static double tick(void)
{
    static double t;
    return t += 1;
}

/* The smallest budget with which a run goes through: hardly more than what does not depend
 * on it. */
static rs_status run_in_least_memory(scholar *s, const rs_fisher_options *o,
                                     rs_fisher_result *r)
{
    uint64_t low = 1 << 20, high = 256 << 20;
    while (high - low > 1 << 14) {
        s->p.m.rt.memory_bytes = (low + high) / 2;
        bool enough = run(s, o, r) == RS_OK;
        *(enough ? &high : &low) = s->p.m.rt.memory_bytes;
    }
    s->p.m.rt.memory_bytes = high;
    return run(s, o, r);
}

/* Steps of a run over four sequences and six layers: forward, the loss, three a layer back. */
enum { LAYERS = 6, FORWARD = N_SEQ * (LAYERS + 1), A_LAYER = 3 * N_SEQ };

/* Stopped at this step, with states after each layer or without; then it goes on where it
 * was, to the bytes of `whole`. */
static void stop_and_go_on(scholar *s, rs_fisher_options o, const char *whole, int64_t at,
                           int64_t all_steps)
{
    rs_fisher_result r;
    stopper stop = {.at = at}, never = {0};
    int64_t done = o.now && at > FORWARD ? (at - 1 - FORWARD) / A_LAYER : 0;
    o.progress_ctx = &stop;
    T_FAILS(run(s, &o, &r), RS_E_CANCELLED, "cancelled");
    T_EQ(stop.steps, at);
    T_TRUE(rs_os_kind(o.out) == RS_PATH_NONE);
    o.resume = true;
    o.progress_ctx = &never;
    T_OK(run(s, &o, &r));
    T_EQ(r.resumed_at, done > 0 ? LAYERS - done : -1);
    T_EQ(never.steps, all_steps - done * A_LAYER);
    T_TRUE(same_files(whole, o.out));
    T_OK(rs_os_unlink(o.out, &t_err));
}

static void memory_threads_and_resume(void)
{
    const char *folder = t_folder();
    char one[512], two[512];
    rs_fisher_result r;
    scholar s;
    for (int kind = 0; kind < 2; kind++) {
        stopper count = {0};
        T_TRUE(open_e4b(&s, 1));
        T_EQ(s.p.m.config->n_layers, LAYERS);
        rs_fisher_options o = {.kind = (rs_fisher_kind)kind,
                               .out = in(folder, "one.safetensors", one),
                               .force = true,
                               .bf16 = kind == 1,
                               .progress = step,
                               .progress_ctx = &count};
        T_OK(run(&s, &o, &r));
        T_EQ(r.spilled, 0);
        T_EQ(r.resumed_at, -1);
        T_EQ(r.tokens, 20 + 16 + 12 + 10);
        T_TRUE(count.steps >= FORWARD + LAYERS * A_LAYER);
        close_pupil(&s.p);
        T_TRUE(open_e4b(&s, 3));
        int64_t all_steps = count.steps;
        o.out = in(folder, "two.safetensors", two);
        T_OK(run_in_least_memory(&s, &o, &r));
        T_TRUE(r.spilled > 0);
        T_TRUE(same_files(one, two));
        T_OK(rs_os_unlink(two, &t_err));
        for (int64_t at = 1; at <= all_steps && t_result == T_PASSED; at += 9) {
            o.now = at % 2 ? tick : NULL;
            stop_and_go_on(&s, o, one, at, all_steps);
        }
        close_pupil(&s.p);
    }
}

/* --- what is told of layers --- */

typedef struct listener {
    rs_fisher_mean m[256];
    char name[256][96];
    int layer[256], n, calls;
} listener;

static void hear(void *ctx, int layer, const rs_fisher_mean *m, int n)
{
    listener *l = ctx;
    l->calls++;
    for (int i = 0; i < n && l->n < 256; i++) {
        l->m[l->n] = m[i];
        l->layer[l->n] = layer;
        snprintf(l->name[l->n++], 96, "%s", m[i].name);
    }
}

static void check_heard(const listener *l, const char *path, const scholar *s)
{
    fisher_file f;
    T_EQ(l->calls, LAYERS);
    T_TRUE(l->n > 6 * LAYERS);
    T_OK(open_fisher(&f, path, s));
    for (int i = 0; i < l->n; i++) {
        T_TRUE(i == 0 || l->layer[i] <= l->layer[i - 1]); /* the last layer first */
        const float *v = in_file(&f, l->name[i]);
        double sum = 0, max = 0;
        T_TRUE(v != NULL);
        for (int64_t k = 0; k < f.n; k++) {
            sum += (double)v[k];
            max = t_max(max, (double)v[k]);
        }
        T_EQ(l->m[i].n, f.n);
        T_NEAR(l->m[i].mean, sum / (double)f.n, 0, 1e-12);
        T_TRUE(l->m[i].max == max);
    }
    close_fisher(&f);
}

/* Means are those of the file; a run that goes on begins with the layers that are done. */
static void layers_are_told_of(void)
{
    const char *folder = t_folder();
    char path[512];
    rs_fisher_result r;
    scholar s;
    T_TRUE(open_e4b(&s, 2));
    for (int bf16 = 0; bf16 < 2; bf16++) {
        listener whole = {0}, first = {0}, rest = {0};
        stopper stop = {.at = FORWARD + 3 * A_LAYER + 2};
        rs_fisher_options o = {.out = in(folder, "one.safetensors", path),
                               .force = true,
                               .bf16 = bf16,
                               .now = tick,
                               .told = hear,
                               .told_ctx = &whole};
        T_OK(run(&s, &o, &r));
        check_heard(&whole, path, &s);
        T_OK(rs_os_unlink(path, &t_err));
        o.told_ctx = &first;
        o.progress = step;
        o.progress_ctx = &stop;
        T_FAILS(run(&s, &o, &r), RS_E_CANCELLED, "cancelled");
        T_EQ(first.calls, 3);
        o.told_ctx = &rest;
        o.progress = NULL;
        o.resume = true;
        T_OK(run(&s, &o, &r));
        T_EQ(r.resumed_at, LAYERS - 3);
        check_heard(&rest, path, &s);
        T_EQ(rest.n, whole.n);
        for (int i = 0; i < rest.n; i++)
            T_TRUE(rest.m[i].mean == whole.m[i].mean);
    }
    close_pupil(&s.p);
}

/* Killed before every so many-th write, sync and rename: the next run goes on from what the
 * killed one left, to the same bytes. */
static void killed_at_its_writes(void)
{
    const char *folder = t_folder();
    char one[512], two[512];
    rs_fisher_result r;
    scholar s;
    T_TRUE(open_e4b(&s, 1));
    rs_fisher_options o = {.out = in(folder, "one.safetensors", one), .now = tick};
    long before = rs_os_write_calls();
    T_OK(run(&s, &o, &r));
    long calls = rs_os_write_calls() - before;
    o.out = in(folder, "two.safetensors", two);
    int kills = 0, resumed[LAYERS + 1] = {0}; /* 0: begun anew; else 1 + the layer */
    for (long at = 1; at <= calls; at += 1 + calls / 40) {
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
            rs_os_faults(at, 0, true);
            _exit(run(&s, &o, &r) == RS_OK ? 0 : 1);
        }
        int status = 0;
        T_TRUE(waitpid(pid, &status, 0) == pid);
        kills += WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
        bool whole = rs_os_kind(two) == RS_PATH_FILE; /* only after its rename */
        o.resume = true;
        if (!whole) {
            T_OK(run(&s, &o, &r));
            T_TRUE(r.resumed_at >= -1 && r.resumed_at < LAYERS);
            resumed[r.resumed_at + 1]++;
        }
        o.resume = false;
        T_TRUE(same_files(one, two));
        T_OK(rs_os_unlink(two, &t_err));
    }
    printf("  killed %d times in %ld calls\n", kills, calls);
    T_TRUE(kills >= 30);
    for (int i = 0; i <= LAYERS; i++)
        if (resumed[i] < 1) T_FAIL("no run was resumed at layer %d", i - 1);
    close_pupil(&s.p);
}

/* --- a selection: the same numbers, and no step further down than it needs --- */

typedef struct selection {
    const char *part; /* of the names that are taken */
    int n;            /* tensors */
    int lowest;       /* layer that the way back reaches; LAYERS: none */
    int tables;       /* steps of the tables */
} selection;

static bool takes(void *ctx, const char *name, int layer)
{
    (void)layer;
    return strstr(name, ((const selection *)ctx)->part) != NULL;
}

static void check_selection(scholar *s, const selection *sel, int layers,
                            fisher_file *whole, const char *path)
{
    rs_fisher_result r;
    stopper count = {0};
    fisher_file f;
    rs_fisher_options o = {.out = path,
                           .force = true,
                           .wants = takes,
                           .wants_ctx = (void *)sel,
                           .progress = step,
                           .progress_ctx = &count};
    T_OK(run(s, &o, &r));
    T_EQ(r.n_tensors, sel->n);
    T_EQ(count.steps, N_SEQ * (layers + 1 + 3 * (layers - sel->lowest)) + sel->tables);
    T_EQ(count.done, count.steps);
    T_EQ(count.total, count.steps);
    T_OK(open_fisher(&f, path, s));
    T_EQ(rs_checkpoint_count(f.have), sel->n);
    for (int i = 0; i < sel->n; i++) {
        const char *name = rs_checkpoint_at(f.have, i)->name;
        const float *a = in_file(&f, name), *b = in_file(whole, name);
        double sum = 0;
        T_TRUE(a && b && memcmp(a, b, (size_t)f.n * sizeof *a) == 0);
        for (int64_t k = 0; k < f.n; k++)
            sum += (double)a[k];
        T_TRUE(sum > 0);
    }
    close_fisher(&f);
}

static void selections(void)
{
    static const selection e4b[] = {
        {"layers.4.mlp.up_proj", 1, 4, 0}, {"layers.0.input_layernorm", 1, 0, 0},
        {"layers.5.", 13, 5, 0},           {"model.norm.", 1, LAYERS, 0},
        {"embed_tokens.", 1, 0, 1},        {"embed_tokens_per_layer", 1, 0, 1},
        {"per_layer_model_projection", 1, 0, 0}},
                           llama[] = {{"lm_head", 1, 3, 1},
                                      {"model.norm.", 1, 3, 0},
                                      {"embed_tokens", 1, 0, 1},
                                      {"layers.2.self_attn", 4, 2, 0}};
    static const struct {
        const char *model, *grads;
        int layers, n;
        const selection *of;
    } models[] = {{"tests/golden/models/gemma4_e4b",
                   "tests/golden/grad/gemma4_e4b.safetensors", LAYERS, 7, e4b},
                  {"tests/golden/models/llama", "tests/golden/grad/llama.safetensors", 3,
                   4, llama}};
    const char *folder = t_folder();
    char one[512], two[512];
    for (int m = 0; m < 2; m++) {
        scholar s;
        fisher_file whole;
        rs_fisher_result r;
        T_TRUE(open_scholar(&s, models[m].model, models[m].grads, 2));
        T_EQ(s.p.m.config->n_layers, models[m].layers);
        rs_fisher_options o = {.out = in(folder, "one.safetensors", one), .force = true};
        T_OK(run(&s, &o, &r));
        T_OK(open_fisher(&whole, one, &s));
        for (int i = 0; i < models[m].n; i++)
            check_selection(&s, &models[m].of[i], models[m].layers, &whole,
                            in(folder, "two.safetensors", two));
        close_fisher(&whole);
        close_pupil(&s.p);
    }
}

static bool only_q(void *ctx, const char *name, int layer)
{
    (void)ctx;
    return layer == 2 && strstr(name, "q_proj") != NULL;
}

static void refusals(void)
{
    const char *folder = t_folder();
    char path[512];
    rs_fisher_result r;
    scholar s;
    T_TRUE(open_e4b(&s, 1));
    rs_fisher_options o = {.out = in(folder, "q.safetensors", path), .wants = only_q};
    T_OK(run(&s, &o, &r));
    T_EQ(r.n_tensors, 1);
    T_FAILS(run(&s, &o, &r), RS_E_EXISTS, "--force replaces it");
    o.force = true;
    T_FAILS(rs_fisher_run(&s.p.m.rt, s.p.m.file, s.p.m.config, s.examples, 0, &o, &r, &t_err),
            RS_E_INVALID, "no sequence");
    s.ids[1][3] = 9999;
    T_FAILS(run(&s, &o, &r), RS_E_INVALID, "sequence 2: token 3 is id 9999");
    s.ids[1][3] = 5;
    rs_string_pair pairs[28];
    char key[28][8];
    for (int i = 0; i < 28; i++) {
        snprintf(key[i], sizeof key[i], "key%d", i);
        pairs[i] = (rs_string_pair){key[i], "v"};
    }
    o.metadata = pairs;
    o.n_metadata = 28;
    T_FAILS(run(&s, &o, &r), RS_E_INVALID, "28 pairs of metadata: a Fisher file takes 27");
    o.n_metadata = 27;
    T_OK(run(&s, &o, &r));
    fisher_file f;
    T_OK(open_fisher(&f, path, &s));
    T_STR(rs_checkpoint_metadata(f.have, "kind"), "sequence");
    T_STR(rs_checkpoint_metadata(f.have, "key26"), "v");
    close_fisher(&f);
    s.p.m.rt.memory_bytes = 1 << 20;
    T_FAILS(run(&s, &o, &r), RS_E_NOMEM, "--memory");
    close_pupil(&s.p);
}

T_MAIN(T_TEST(the_families), T_TEST(by_the_token), T_TEST(selections),
       T_TEST(memory_threads_and_resume), T_TEST(layers_are_told_of),
       T_TEST(killed_at_its_writes), T_TEST(refusals))
