/* Fisher files: against torch's, and against themselves: memory, threads, cancel and resume
 * give the same bytes. */
#include "learn/backward.h"
#include "learn/fisher.h"
#include "tests/t.h"

#include "base/os.h"
#include "model/family.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_IDS = 512, MAX_SEQ = 4 };

typedef struct subject {
    rs_runtime rt;
    rs_checkpoint *file, *want;
    rs_config *config;
    int32_t ids[MAX_SEQ][MAX_IDS];
    rs_example examples[MAX_SEQ];
} subject;

static bool open_subject(subject *s, const char *model, const char *golden, int threads,
                         uint64_t memory)
{
    rs_options o = {.threads = threads, .memory_bytes = memory};
    *s = (subject){0};
    if (rs_init(&o, &s->rt, &t_err) != RS_OK ||
        rs_checkpoint_open(model, &s->file, &t_err) != RS_OK ||
        rs_checkpoint_open(golden, &s->want, &t_err) != RS_OK ||
        rs_config_load(s->file, &s->config, &t_err) != RS_OK)
        return false;
    for (int i = 0; i < MAX_SEQ; i++) {
        char name[16];
        int64_t raw[MAX_IDS];
        snprintf(name, sizeof name, "ids.%d", i);
        const rs_tensor *t = rs_checkpoint_find(s->want, name);
        if (!t || t->n_elements > MAX_IDS ||
            rs_checkpoint_read_raw(s->want, t, 0, (size_t)t->n_bytes, raw, &t_err) !=
                RS_OK)
            return false;
        for (int64_t k = 0; k < t->n_elements; k++)
            s->ids[i][k] = (int32_t)raw[k];
        s->examples[i] = (rs_example){s->ids[i], NULL, t->n_elements};
    }
    return true;
}

static void close_subject(subject *s)
{
    rs_config_free(s->config);
    rs_checkpoint_close(s->file);
    rs_checkpoint_close(s->want);
    rs_quit(&s->rt);
}

/* Which rows of a tensor the fixture holds, or NULL: all. */
static int64_t *rows_of(const subject *s, const rs_tensor *t)
{
    char name[200];
    snprintf(name, sizeof name, "rows.%s", t->name + 7);
    const rs_tensor *rows = rs_checkpoint_find(s->want, name);
    int64_t *row = rows ? calloc((size_t)rows->n_elements + 1, sizeof *row) : NULL;
    if (row && rs_checkpoint_read_raw(s->want, rows, 0, (size_t)rows->n_bytes, row,
                                      &t_err) != RS_OK)
        row[0] = INT64_MAX;
    return row;
}

/* Every tensor of the fixture against the file: max |a - b| / max |b| over one tensor. */
static double worst_of(const subject *s, const char *path, int *n, const char **name)
{
    rs_checkpoint *have;
    double worst = 0;
    *n = 0;
    if (rs_checkpoint_open(path, &have, &t_err) != RS_OK) return INFINITY;
    for (int i = 0; i < rs_checkpoint_count(s->want); i++) {
        const rs_tensor *t = rs_checkpoint_at(s->want, i);
        if (strncmp(t->name, "fisher.", 7) != 0) continue;
        const rs_tensor *own = rs_checkpoint_find(have, t->name + 7);
        float *b = calloc((size_t)t->n_elements + 1, sizeof *b);
        float *a = own ? calloc((size_t)own->n_elements + 1, sizeof *a) : NULL;
        int64_t *row = rows_of(s, t);
        if (!own || (!row && own->n_elements != t->n_elements) ||
            rs_checkpoint_read_f32(have, own, 0, own->n_elements, a, &t_err) != RS_OK ||
            rs_checkpoint_read_f32(s->want, t, 0, t->n_elements, b, &t_err) != RS_OK)
            return INFINITY;
        double off = 0, top = 0;
        int64_t cols = t->n_dims > 1 ? t->dim[1] : 1;
        for (int64_t k = 0; k < t->n_elements; k++) {
            int64_t at = row ? row[k / cols] * cols + k % cols : k;
            off = fmax(off, fabs((double)a[at] - (double)b[k]));
            top = fmax(top, fabs((double)b[k]));
        }
        free(row);
        free(a);
        free(b);
        ++*n;
        double ratio = off > 0 ? off / top : off;
        if (!(ratio <= worst)) worst = ratio, *name = t->name;
    }
    rs_checkpoint_close(have);
    return worst;
}

static rs_status run(subject *s, const rs_fisher_options *o, rs_fisher_result *r)
{
    return rs_fisher_run(&s->rt, s->file, s->config, s->examples, MAX_SEQ, o, r, &t_err);
}

static const char *in(const char *folder, const char *name, char path[512])
{
    snprintf(path, 512, "%s/%s", folder, name);
    return path;
}

static bool same_files(const char *a, const char *b)
{
    rs_buf x = {0}, y = {0};
    bool same = rs_os_read_file(a, 64 << 20, &x, &t_err) == RS_OK &&
                rs_os_read_file(b, 64 << 20, &y, &t_err) == RS_OK && x.len == y.len &&
                x.len > 0 && memcmp(x.data, y.data, x.len) == 0;
    rs_buf_free(&x);
    rs_buf_free(&y);
    return same;
}

static void the_families(void)
{
    static const struct {
        const char *model, *grads;
        double limit;
    } all[] = {
        {"tests/golden/models/gemma3", "tests/golden/grad/gemma3.safetensors", 2e-4},
        {"tests/golden/models/gemma4_e4b", "tests/golden/grad/gemma4_e4b.safetensors",
         2e-4},
        {"tests/golden/models/llama", "tests/golden/grad/llama.safetensors", 2e-4},
        {"tests/golden/models/qwen3", "tests/golden/grad/qwen3.safetensors", 2e-4},
        {"recipes/sparring/it", "tests/golden/grad/sparring_it.safetensors", 5e-5},
    };
    const char *folder = t_folder();
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        subject s;
        char path[512];
        rs_fisher_result r;
        int n;
        const char *name = "";
        T_TRUE(open_subject(&s, all[i].model, all[i].grads, 2, 1 << 30));
        rs_fisher_options o = {.out = in(folder, "f.safetensors", path), .force = true};
        T_OK(run(&s, &o, &r));
        double worst = worst_of(&s, path, &n, &name);
        printf("  %s: %d tensors, worst %.1e of %s\n", all[i].model, n, worst, name);
        T_TRUE(n >= 3 && worst <= all[i].limit);
        close_subject(&s);
    }
}

/* --- the same bytes --- */

typedef struct stopper {
    uint64_t left; /* steps until it says stop; 0: never */
} stopper;

static bool step(void *ctx, const rs_progress *p)
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

static void memory_threads_and_resume(void)
{
    static const char model[] = "tests/golden/models/gemma4_e4b",
                      grads[] = "tests/golden/grad/gemma4_e4b.safetensors";
    const char *folder = t_folder();
    char one[512], two[512];
    rs_fisher_result r;
    subject s;
    for (int kind = 0; kind < 2; kind++) {
        T_TRUE(open_subject(&s, model, grads, 1, 1 << 30));
        rs_fisher_options o = {.kind = (rs_fisher_kind)kind,
                               .out = in(folder, "one.safetensors", one),
                               .force = true,
                               .bf16 = kind == 1,
                               .progress = step};
        stopper never = {0};
        o.progress_ctx = &never;
        T_OK(run(&s, &o, &r));
        T_EQ(r.spilled, 0);
        T_EQ(r.tokens, 20 + 16 + 12 + 10);
        close_subject(&s);
        /* the smallest budget: hardly more than what does not depend on it */
        T_TRUE(open_subject(&s, model, grads, 3, 1 << 30));
        o.out = in(folder, "two.safetensors", two);
        uint64_t low = 1 << 20, high = 256 << 20;
        while (high - low > 1 << 14) {
            s.rt.memory_bytes = (low + high) / 2;
            bool enough = run(&s, &o, &r) == RS_OK;
            *(enough ? &high : &low) = s.rt.memory_bytes;
        }
        s.rt.memory_bytes = high;
        T_OK(run(&s, &o, &r));
        T_TRUE(r.spilled > 0);
        T_TRUE(same_files(one, two));
        T_OK(rs_os_unlink(two, &t_err));
        /* stopped at every tenth step, with and without states, it goes on where it was */
        for (uint64_t at = 1; at < 110; at += 9) {
            stopper stop = {at};
            o.progress_ctx = &stop;
            o.resume = false;
            o.now = at % 2 ? tick : NULL;
            rs_status st = run(&s, &o, &r);
            if (st == RS_OK) continue;
            T_EQ(st, RS_E_CANCELLED);
            T_TRUE(rs_os_kind(two) == RS_PATH_NONE);
            o.resume = true;
            o.progress_ctx = &never;
            T_OK(run(&s, &o, &r));
            T_TRUE(same_files(one, two));
            T_TRUE(o.now || r.resumed_at < 0);
            T_OK(rs_os_unlink(two, &t_err));
        }
        close_subject(&s);
    }
}

/* Killed before every so many-th write, sync and rename: the next run goes on from what the
 * killed one left, to the same bytes. */
static void killed_at_its_writes(void)
{
    const char *folder = t_folder();
    char one[512], two[512];
    rs_fisher_result r;
    subject s;
    T_TRUE(open_subject(&s, "tests/golden/models/gemma4_e4b",
                        "tests/golden/grad/gemma4_e4b.safetensors", 1, 1 << 30));
    rs_fisher_options o = {.out = in(folder, "one.safetensors", one), .now = tick};
    long before = rs_os_write_calls();
    T_OK(run(&s, &o, &r));
    long calls = rs_os_write_calls() - before;
    o.out = in(folder, "two.safetensors", two);
    int kills = 0;
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
        if (!whole) T_OK(run(&s, &o, &r));
        o.resume = false;
        T_TRUE(same_files(one, two));
        T_OK(rs_os_unlink(two, &t_err));
    }
    printf("  killed %d times in %ld calls\n", kills, calls);
    T_TRUE(kills >= 30);
    close_subject(&s);
}

/* --- kind position, from its definition, in double --- */

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

static void brute_all(subject *s, brute *b)
{
    rs_model *m;
    rs_work *w;
    rs_sequence *seq;
    double loss;
    rs_sink sink = {b, brute_matrix, brute_vector, brute_lookup};
    T_OK(rs_model_load(&s->rt, s->file, s->config, NULL, NULL, &m, &t_err));
    T_OK(rs_work_new(&s->rt, m, MAX_IDS, &w, &t_err));
    T_OK(rs_sequence_new(s->config, MAX_IDS, true, &seq, &t_err));
    for (int i = 0; i < MAX_SEQ; i++) {
        T_OK(rs_sequence_set(seq, s->examples[i].ids, NULL, s->examples[i].n, &t_err));
        T_OK(rs_backward_all(w, seq, 1, &sink, &loss, &t_err));
    }
    rs_sequence_free(seq);
    rs_work_free(w);
    rs_model_free(m);
}

static void kind_position(void)
{
    static const char *const models[][2] = {
        {"tests/golden/models/gemma4_e4b", "tests/golden/grad/gemma4_e4b.safetensors"},
        {"tests/golden/models/llama", "tests/golden/grad/llama.safetensors"}};
    const char *folder = t_folder();
    for (int k = 0; k < 2; k++) {
        char path[512];
        subject s;
        rs_fisher_result r;
        rs_checkpoint *have;
        T_TRUE(open_subject(&s, models[k][0], models[k][1], 2, 1 << 30));
        brute b = {.c = s.config};
        brute_all(&s, &b);
        rs_fisher_options o = {.kind = RS_FISHER_POSITION,
                               .out = in(folder, "p.safetensors", path),
                               .force = true};
        T_OK(run(&s, &o, &r));
        T_OK(rs_checkpoint_open(path, &have, &t_err));
        for (int i = 0; i < rs_checkpoint_count(have); i++) {
            const rs_tensor *t = rs_checkpoint_at(have, i);
            int layer;
            int64_t cols;
            const rs_slot *slot = rs_slot_of(s.config, t->name, &layer);
            double *want = brute_at(&b, (rs_place){layer, slot->offset}, &cols), top = 0;
            float *v = calloc((size_t)t->n_elements + 1, sizeof *v);
            T_OK(rs_checkpoint_read_f32(have, t, 0, t->n_elements, v, &t_err));
            for (int64_t e = 0; e < t->n_elements; e++)
                top = fmax(top, want[e] / MAX_SEQ);
            for (int64_t e = 0; e < t->n_elements; e++)
                T_NEAR(v[e], want[e] / MAX_SEQ, 1e-5 * top, 0);
            free(v);
            free(want);
        }
        rs_checkpoint_close(have);
        close_subject(&s);
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
    subject s;
    T_TRUE(open_subject(&s, "tests/golden/models/gemma4_e4b",
                        "tests/golden/grad/gemma4_e4b.safetensors", 1, 1 << 30));
    rs_fisher_options o = {.out = in(folder, "q.safetensors", path), .wants = only_q};
    T_OK(run(&s, &o, &r));
    T_EQ(r.n_tensors, 1);
    T_FAILS(run(&s, &o, &r), RS_E_EXISTS, "--force replaces it");
    o.force = true;
    T_FAILS(rs_fisher_run(&s.rt, s.file, s.config, s.examples, 0, &o, &r, &t_err),
            RS_E_INVALID, "no sequence");
    s.ids[1][3] = 9999;
    T_FAILS(run(&s, &o, &r), RS_E_INVALID, "sequence 2: token 3 is id 9999");
    s.ids[1][3] = 5;
    s.rt.memory_bytes = 1 << 20;
    T_FAILS(run(&s, &o, &r), RS_E_NOMEM, "--memory");
    close_subject(&s);
}

T_MAIN(T_TEST(the_families), T_TEST(kind_position), T_TEST(memory_threads_and_resume),
       T_TEST(killed_at_its_writes), T_TEST(refusals))
