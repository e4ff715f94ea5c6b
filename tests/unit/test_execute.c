/* The executor: the same bytes whatever threads, chunks and instruction set; folds against
 * PEFT; nothing under the final name after a failure at any write. */
#include "merge/execute.h"
#include "tests/synthetic.h"
#include "tests/t.h"

#include "base/hash.h"
#include "base/os.h"
#include "store/checkpoint.h"

#include <errno.h>
#include <signal.h>
#include <sys/stat.h>

enum { PATH = 1024 };

static rs_status merge_recipe(const rs_recipe *r, const char *out, int threads,
                              uint64_t chunk, const char *isa, rs_execute_result *result)
{
    rs_runtime rt;
    rs_plan *plan = NULL;
    rs_options o = {.threads = threads, .memory_bytes = 256 << 20, .isa = isa};
    RS_TRY(rs_init(&o, &rt, &t_err));
    rs_plan_options po = {0};
    rs_status s = rs_plan_build(&rt, r, &po, &plan, &t_err);
    rs_execute_options e = {.out = out, .chunk_bytes = chunk, .force = true};
    if (s == RS_OK) s = rs_execute(&rt, plan, &e, result, &t_err);
    rs_plan_free(plan);
    rs_quit(&rt);
    return s;
}

static rs_status merge_text(const char *text, const char *folder, const char *out,
                            rs_execute_result *result)
{
    rs_recipe *r;
    RS_TRY(rs_recipe_parse(text, strlen(text), folder, "the test's recipe", &r, &t_err));
    rs_status s = merge_recipe(r, out, 2, 0, NULL, result);
    rs_recipe_free(r);
    return s;
}

static void same_bytes(void)
{
    static const struct {
        int threads;
        uint64_t chunk;
        const char *isa;
    } ways[] = {{1, 0, NULL},      {2, 0, NULL},       {7, 0, NULL},      {2, 4096, NULL},
                {2, 100000, NULL}, {1, 1 << 30, NULL}, {2, 7777, "base"}, {2, 0, "base"},
                {2, 0, "avx2"},    {2, 5000, "avx2"},  {2, 0, "avx512"}};
    const char *folder = t_folder();
    char out[PATH], file[PATH + 32], first[33] = "", now[33], hash[33] = "";
    rs_recipe *r;
    T_OK(rs_recipe_load("tests/golden/demo/luchador-miniature.json", &r, &t_err));
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        rs_execute_result result;
        snprintf(out, sizeof out, "%s/out", folder);
        rs_status s =
            merge_recipe(r, out, ways[i].threads, ways[i].chunk, ways[i].isa, &result);
        if (s == RS_E_UNSUPPORTED && ways[i].isa) continue; /* not this processor's */
        T_OK(s);
        snprintf(file, sizeof file, "%s/model.safetensors", out);
        rs_buf bytes = {0};
        T_OK(rs_os_read_file(file, 1 << 28, &bytes, &t_err));
        rs_hash_hex(rs_hash(bytes.data, bytes.len), now);
        rs_buf_free(&bytes);
        if (!*first) strcpy(first, now);
        if (!*hash) strcpy(hash, result.hash);
        if (strcmp(first, now) != 0)
            T_FAIL("%d threads, chunk %llu, isa %s: other bytes", ways[i].threads,
                   (unsigned long long)ways[i].chunk, ways[i].isa ? ways[i].isa : "best");
        T_STR(hash, result.hash);
    }
    rs_recipe_free(r);
    T_OK(rs_os_remove_tree(folder, &t_err));
}

/* However many threads meet a tensor first, its angle is made by one reading. */
static void angles_are_read_once(void)
{
    static const char slerp[] =
        "{\"ringside\":1,\"name\":\"s\",\"models\":{\"a\":{\"path\":\"gemma4_e4b\"},"
        "\"b\":{\"path\":\"gemma4_e4b_mm\"}},\"stages\":[{\"name\":\"h\",\"method\":"
        "\"slerp\",\"inputs\":[{\"from\":\"a\"},{\"from\":\"b\"}],\"t\":0.5}],"
        "\"output\":{\"stage\":\"h\",\"dtype\":\"bfloat16\"}}";
    const char *folder = t_folder();
    char out[PATH];
    uint64_t read[6];
    rs_execute_result result[6];
    rs_recipe *r;
    T_OK(rs_recipe_parse(slerp, strlen(slerp), "tests/golden/models", "the recipe", &r,
                         &t_err));
    snprintf(out, sizeof out, "%s/out", folder);
    for (int i = 0; i < 6; i++) {
        uint64_t before = rs_os_bytes_read();
        T_OK(merge_recipe(r, out, i ? 8 : 1, 1024, NULL, &result[i]));
        read[i] = rs_os_bytes_read() - before;
        T_STR(result[i].hash, result[0].hash);
        T_EQ(read[i], read[0]);
    }
    rs_recipe_free(r);
    T_OK(rs_os_remove_tree(folder, &t_err));
}

/* Largest difference relative to the expected tensor's largest number. */
static double off_by(const rs_checkpoint *got, const rs_checkpoint *want,
                     const rs_tensor *w)
{
    const rs_tensor *g = rs_checkpoint_find(got, w->name);
    if (!g || g->n_elements != w->n_elements) return INFINITY;
    size_t n = (size_t)w->n_elements;
    float *a = malloc(n * sizeof *a), *b = malloc(n * sizeof *b);
    if (rs_checkpoint_read_f32(got, g, 0, w->n_elements, a, &t_err) != RS_OK ||
        rs_checkpoint_read_f32(want, w, 0, w->n_elements, b, &t_err) != RS_OK)
        return INFINITY;
    double worst = 0, top = 0;
    for (size_t i = 0; i < n; i++) {
        worst = t_max(worst, fabs((double)a[i] - (double)b[i]));
        top = t_max(top, fabs((double)b[i]));
    }
    free(a);
    free(b);
    return worst / top;
}

static void fold_like_peft(const char *name, const char *model)
{
    const char *root = t_folder();
    char text[2 * PATH], out[PATH], path[PATH], cwd[PATH / 2];
    rs_execute_result result;
    T_TRUE(getcwd(cwd, sizeof cwd) != NULL);
    snprintf(out, sizeof out, "%s/out", root);
    snprintf(
        text, sizeof text,
        "{\"ringside\":1,\"name\":\"fold\",\"models\":{\"m\":{\"path\":\"models/%s\"},"
        "\"a\":{\"adapter\":\"peft_merge/%s/adapter\"}},\"stages\":[{\"name\":\"f\","
        "\"method\":\"task_arithmetic\",\"base\":\"m\",\"inputs\":[{\"from\":\"a\"}]}],"
        "\"output\":{\"stage\":\"f\",\"dtype\":\"float32\"}}",
        model, name);
    snprintf(path, sizeof path, "%s/tests/golden", cwd);
    T_OK(merge_text(text, path, out, &result));
    rs_checkpoint *got, *want;
    T_OK(rs_checkpoint_open(out, &got, &t_err));
    snprintf(path, sizeof path, "peft_merge/%s/merged.safetensors", name);
    T_OK(rs_checkpoint_open(t_golden(path), &want, &t_err));
    int compared = 0;
    for (int i = 0; i < rs_checkpoint_count(want); i++) {
        const rs_tensor *w = rs_checkpoint_at(want, i);
        if (strncmp(w->name, "check.", 6) == 0) continue;
        double off = off_by(got, want, w);
        if (!(off <= 7e-7)) T_FAIL("%s: %s is off by %.3g", name, w->name, off);
        compared++;
    }
    T_TRUE(compared > 0);
    T_EQ(result.n_changed, compared);
    rs_checkpoint_close(got);
    rs_checkpoint_close(want);
    T_OK(rs_os_remove_tree(root, &t_err));
}

static void peft_plain(void)
{
    fold_like_peft("plain", "gemma4_e4b");
}
static void peft_rslora(void)
{
    fold_like_peft("rslora", "gemma3");
}
static void peft_patterns(void)
{
    fold_like_peft("patterns", "gemma4_e4b");
}
static void peft_rslora_patterns(void)
{
    fold_like_peft("rslora_patterns", "gemma3");
}

/* The sharded multimodal folder: towers and inert tensors byte for byte. */
static void towers_stay(void)
{
    static const char text[] =
        "{\"ringside\":1,\"name\":\"mm\",\"models\":{\"m\":{\"path\":\"gemma4_e4b_mm\"},"
        "\"o\":{\"path\":\"gemma4_e4b\"}},\"stages\":[{\"name\":\"f\",\"method\":"
        "\"slerp\","
        "\"inputs\":[{\"from\":\"m\"},{\"from\":\"m\"}],\"t\":0.5}],"
        "\"output\":{\"stage\":\"f\",\"dtype\":\"bfloat16\"}}";
    const char *root = t_folder();
    char out[PATH];
    rs_execute_result result;
    snprintf(out, sizeof out, "%s/out", root);
    T_OK(merge_text(text, "tests/golden/models", out, &result));
    rs_checkpoint *got, *base;
    T_OK(rs_checkpoint_open(out, &got, &t_err));
    T_OK(rs_checkpoint_open("tests/golden/models/gemma4_e4b_mm", &base, &t_err));
    T_EQ(rs_checkpoint_count(got), rs_checkpoint_count(base));
    for (int i = 0; i < rs_checkpoint_count(base); i++) {
        const rs_tensor *b = rs_checkpoint_at(base, i);
        const rs_tensor *g = rs_checkpoint_find(got, b->name);
        T_TRUE(g != NULL && g->n_bytes == b->n_bytes);
        char *x = malloc((size_t)b->n_bytes + 1), *y = malloc((size_t)b->n_bytes + 1);
        T_OK(rs_checkpoint_read_raw(base, b, 0, (size_t)b->n_bytes, x, &t_err));
        T_OK(rs_checkpoint_read_raw(got, g, 0, (size_t)b->n_bytes, y, &t_err));
        if (memcmp(x, y, (size_t)b->n_bytes) != 0) T_FAIL("%s changed", b->name);
        free(x);
        free(y);
    }
    rs_checkpoint_close(got);
    rs_checkpoint_close(base);
    T_OK(rs_os_remove_tree(root, &t_err));
}

/* --- failures --- */

static const char small[] =
    "{\"ringside\":1,\"name\":\"small\",\"models\":{\"m\":{\"path\":\"models/"
    "gemma4_e4b\"},"
    "\"a\":{\"adapter\":\"peft_merge/plain/"
    "adapter\"}},\"stages\":[{\"name\":\"f\",\"method\":"
    "\"task_arithmetic\",\"base\":\"m\",\"inputs\":[{\"from\":\"a\"}]}],"
    "\"output\":{\"stage\":\"f\",\"dtype\":\"bfloat16\"}}";

static bool whole(const char *folder)
{
    char path[PATH + 32];
    rs_checkpoint *c;
    if (rs_checkpoint_open(folder, &c, NULL) != RS_OK) return false;
    rs_checkpoint_close(c);
    snprintf(path, sizeof path, "%s/README.md", folder);
    return rs_os_kind(path) == RS_PATH_FILE;
}

/* Ends a merge by SIGKILL at its n-th write. true: it was killed there. */
static bool killed_at(long n, const char *out)
{
    pid_t pid = fork();
    if (pid == 0) {
        rs_execute_result r;
        rs_os_faults(n, 0, true);
        _exit(merge_text(small, "tests/golden", out, &r) == RS_OK ? 0 : 1);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static void kill_at_every_write(void)
{
    const char *root = t_folder();
    char out[PATH];
    snprintf(out, sizeof out, "%s/out", root);
    int kills = 0;
    for (long n = 1; n < 10000; n++) {
        bool killed = killed_at(n, out);
        bool there = rs_os_kind(out) != RS_PATH_NONE;
        if (there && !whole(out)) T_FAIL("killed at write %ld: half a folder", n);
        if (there) T_OK(rs_os_remove_tree(out, &t_err));
        if (!killed) break;
        kills++;
    }
    T_TRUE(kills > 10);
    T_OK(rs_os_remove_tree(root, &t_err));
}

static void full_disk_at_every_write(void)
{
    const char *root = t_folder();
    char out[PATH], partial[PATH + 16];
    snprintf(out, sizeof out, "%s/out", root);
    snprintf(partial, sizeof partial, "%s.partial", out);
    bool done = false;
    for (long n = 1; n < 10000 && !done; n++) {
        rs_execute_result r;
        rs_os_faults(n, ENOSPC, false);
        rs_status s = merge_text(small, "tests/golden", out, &r);
        rs_os_faults(0, 0, false);
        done = s == RS_OK;
        if (done) break;
        T_EQ(s, RS_E_IO);
        T_TRUE(strstr(t_err.msg, "No space left") != NULL);
        if (strstr(t_err.msg, "stays as")) { /* it failed at the rename */
            T_TRUE(whole(partial));
            T_OK(rs_os_remove_tree(partial, &t_err));
        }
        if (rs_os_kind(out) != RS_PATH_NONE) {
            T_TRUE(whole(out)); /* the failure came after the rename */
            T_OK(rs_os_remove_tree(out, &t_err));
        }
    }
    T_TRUE(done);
    T_OK(rs_os_remove_tree(root, &t_err));
}

static bool refuse(void *ctx, const rs_progress *p)
{
    (void)ctx;
    return p->done < 3000000;
}

static void cancelled_leaves_nothing(void)
{
    const char *root = t_folder();
    char out[PATH], partial[PATH + 16];
    rs_recipe *r;
    rs_runtime rt;
    rs_plan *plan;
    rs_options o = {.threads = 2, .memory_bytes = 256 << 20};
    rs_plan_options po = {0};
    T_OK(rs_recipe_load("tests/golden/demo/luchador-miniature.json", &r, &t_err));
    T_OK(rs_init(&o, &rt, &t_err));
    T_OK(rs_plan_build(&rt, r, &po, &plan, &t_err));
    snprintf(out, sizeof out, "%s/out", root);
    snprintf(partial, sizeof partial, "%s.partial", out);
    rs_execute_options e = {.out = out, .progress = refuse, .chunk_bytes = 65536};
    rs_execute_result result;
    T_FAILS(rs_execute(&rt, plan, &e, &result, &t_err), RS_E_CANCELLED, "cancelled");
    T_EQ(rs_os_kind(out), RS_PATH_NONE);
    T_EQ(rs_os_kind(partial), RS_PATH_NONE);
    T_OK(rs_os_mkdir(out, &t_err));
    rs_err ignored;
    char file[PATH + 16];
    snprintf(file, sizeof file, "%s/notes.txt", out);
    T_OK(rs_os_write_file(file, "mine", 4, &ignored));
    e.progress = NULL;
    T_FAILS(rs_execute(&rt, plan, &e, &result, &t_err), RS_E_EXISTS, "exists");
    rs_plan_free(plan);
    rs_recipe_free(r);
    rs_quit(&rt);
    T_OK(rs_os_remove_tree(root, &t_err));
}

/* --- bases that are not what they should be --- */

/* The tiny gemma3 with one tensor stored as another type, or under a second name too. */
static void write_odd(const char *folder, const char *odd, rs_dtype d, const char *twin)
{
    rs_checkpoint *c;
    rs_writer *w;
    rs_buf config = {0};
    char hash[33];
    T_OK(rs_checkpoint_open(t_golden("models/gemma3"), &c, &t_err));
    int n = rs_checkpoint_count(c);
    rs_write_tensor *list = calloc((size_t)n + 1, sizeof *list);
    for (int i = 0; i < n; i++) {
        const rs_tensor *t = rs_checkpoint_at(c, i);
        bool here = strcmp(t->name, odd) == 0;
        list[i] = (rs_write_tensor){t->name, here ? d : t->dtype, t->n_dims, {0}};
        memcpy(list[i].dim, t->dim, sizeof list[i].dim);
        if (here && twin) list[n] = list[i], list[n].name = twin;
    }
    rs_write_plan plan = {.tensors = list, .n_tensors = n + (twin != NULL)};
    T_OK(rs_writer_new(folder, &plan, &w, &t_err));
    for (int i = 0; i < plan.n_tensors; i++) {
        const rs_tensor *t = rs_checkpoint_find(c, i < n ? list[i].name : odd);
        uint64_t bytes = 0;
        T_TRUE(rs_dtype_bytes(list[i].dtype, t->n_elements, &bytes));
        char *data = calloc(1, (size_t)t->n_bytes + (size_t)bytes);
        T_OK(rs_checkpoint_read_raw(c, t, 0, (size_t)t->n_bytes, data, &t_err));
        T_OK(rs_writer_write(w, i, 0, data, (size_t)bytes, &t_err));
        free(data);
    }
    T_OK(
        rs_os_read_file(t_golden("models/gemma3/config.json"), 1 << 20, &config, &t_err));
    T_OK(rs_writer_file(w, "config.json", config.data, config.len, &t_err));
    T_OK(rs_writer_finish(w, hash, &t_err));
    rs_writer_free(w);
    rs_buf_free(&config);
    free(list);
    rs_checkpoint_close(c);
}

static const char down[] = "model.layers.0.mlp.down_proj.weight";
static const char fold[] =
    "{\"ringside\":1,\"name\":\"odd\",\"models\":{\"base\":{\"path\":\"odd\"},"
    "\"a\":{\"adapter\":\"a\"}},\"stages\":[{\"name\":\"fuel\",\"method\":"
    "\"task_arithmetic\",\"base\":\"base\",\"inputs\":[{\"from\":\"a\"}]}],"
    "\"output\":{\"stage\":\"fuel\",\"dtype\":\"bfloat16\"}}";

static void make_adapter(const char *root)
{
    rs_buf config = {0};
    char path[PATH];
    T_OK(
        rs_os_read_file(t_golden("models/gemma3/config.json"), 1 << 20, &config, &t_err));
    snprintf(path, sizeof path, "%s/a", root);
    T_OK(synthetic_adapter(path, rs_buf_str(&config), 2, &t_err));
    rs_buf_free(&config);
}

static void refuse_base(rs_dtype d, const char *twin, rs_status status, const char *words)
{
    char root[512], path[PATH];
    rs_execute_result r;
    snprintf(root, sizeof root, "%s", t_folder());
    make_adapter(root);
    snprintf(path, sizeof path, "%s/odd", root);
    write_odd(path, down, d, twin);
    snprintf(path, sizeof path, "%s/out", root);
    T_FAILS(merge_text(fold, root, path, &r), status, words);
    T_EQ(rs_os_kind(path), RS_PATH_NONE);
    T_OK(rs_os_remove_tree(root, &t_err));
}

static void odd_bases_are_refused(void)
{
    refuse_base(RS_DTYPE_I8, NULL, RS_E_UNSUPPORTED, "stores as i8");
    refuse_base(RS_DTYPE_BF16, "language_model.model.layers.0.mlp.down_proj.weight",
                RS_E_FORMAT, "are the same tensor");
}

/* Whole numbers go through a slerp as the first model has them. */
static void whole_numbers_are_copied(void)
{
    static const char slerp[] =
        "{\"ringside\":1,\"name\":\"odd\",\"models\":{\"base\":{\"path\":\"odd\"},"
        "\"b\":{\"path\":\"odd2\"}},\"stages\":[{\"name\":\"heal\",\"method\":\"slerp\","
        "\"inputs\":[{\"from\":\"base\"},{\"from\":\"b\"}],\"t\":0.5}],"
        "\"output\":{\"stage\":\"heal\",\"dtype\":\"bfloat16\"}}";
    char root[512], path[PATH], from[PATH];
    rs_execute_result r;
    rs_checkpoint *a, *b;
    snprintf(root, sizeof root, "%s", t_folder());
    snprintf(from, sizeof from, "%s/odd", root);
    write_odd(from, down, RS_DTYPE_I8, NULL);
    snprintf(path, sizeof path, "%s/odd2", root);
    write_odd(path, down, RS_DTYPE_I8, NULL);
    snprintf(path, sizeof path, "%s/out", root);
    T_OK(merge_text(slerp, root, path, &r));
    T_OK(rs_checkpoint_open(from, &a, &t_err));
    T_OK(rs_checkpoint_open(path, &b, &t_err));
    const rs_tensor *x = rs_checkpoint_find(a, down), *y = rs_checkpoint_find(b, down);
    T_TRUE(x && y && x->n_bytes == y->n_bytes && x->n_bytes < 65536);
    static char one[65536], two[65536];
    T_OK(rs_checkpoint_read_raw(a, x, 0, (size_t)x->n_bytes, one, &t_err));
    T_OK(rs_checkpoint_read_raw(b, y, 0, (size_t)y->n_bytes, two, &t_err));
    T_TRUE(memcmp(one, two, (size_t)x->n_bytes) == 0);
    rs_checkpoint_close(a);
    rs_checkpoint_close(b);
    T_OK(rs_os_remove_tree(root, &t_err));
}

T_MAIN(T_TEST(same_bytes), T_TEST(angles_are_read_once), T_TEST(peft_plain),
       T_TEST(peft_rslora), T_TEST(peft_patterns), T_TEST(peft_rslora_patterns),
       T_TEST(towers_stay), T_TEST(kill_at_every_write), T_TEST(full_disk_at_every_write),
       T_TEST(cancelled_leaves_nothing), T_TEST(odd_bases_are_refused),
       T_TEST(whole_numbers_are_copied))
