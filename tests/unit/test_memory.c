/* What a merge and an export really take: each case runs in a process of its own with the
 * least budget that it accepts, and the peak of its resident memory must lie within. The
 * files are such that what a case is about (vocabulary, factors, ranks, angles, threads) is
 * more than what is left of the program's own share. */
#include "merge/execute.h"
#include "merge/export_merge.h"
#include "merge/memory.h"
#include "tests/gguf_model.h"
#include "tests/synthetic.h"

#include <sys/mman.h>
#include <sys/resource.h>

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
enum { SANITIZED = 1 };
#elif defined __has_feature
enum { SANITIZED = __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) };
#else
enum { SANITIZED = 0 };
#endif

/* Many rows, few columns: 2^20 x 16 in the embedding, 8192 x 16 in the MLPs. */
static const char config[] =
    "{\"architectures\":[\"Gemma3ForCausalLM\"],\"model_type\":\"gemma3_text\","
    "\"hidden_size\":16,\"intermediate_size\":8192,\"num_hidden_layers\":2,"
    "\"num_attention_heads\":1,\"num_key_value_heads\":1,\"head_dim\":16,\"vocab_size\":"
    "1048576,\"query_pre_attn_scalar\":16,\"rms_norm_eps\":1e-6,\"sliding_window\":512,"
    "\"max_position_embeddings\":4096,\"hidden_activation\":\"gelu_pytorch_tanh\"}";

/* A test has no screen and calls no BLAS: it needs less of the program's own share. */
enum { OWN_BYTES = 6 << 20 };

#define STAGE(base, inputs, more)                                                        \
    "{\"name\":\"s\",\"method\":\"task_arithmetic\",\"base\":\"" base                    \
    "\",\"inputs\":[" inputs "],\"scale\":0.5" more "}"

/* --- in a process of its own --- */

typedef struct job {
    const char *folder, *recipe; /* the recipe's text; its paths are of the folder */
    const char *out;
    bool to_gguf;
    int threads;
    uint64_t chunk_bytes;
} job;

typedef struct outcome { /* shared between the processes */
    rs_status status;
    rs_err err;
    uint64_t budget, peak;
} outcome;

static rs_status open_plan(const job *j, uint64_t budget, rs_runtime *rt, rs_recipe **r,
                           rs_plan **p, rs_err *err)
{
    rs_options o = {.threads = j->threads, .memory_bytes = budget};
    RS_TRY(rs_init(&o, rt, err));
    RS_TRY(rs_recipe_parse(j->recipe, strlen(j->recipe), j->folder, "recipe", r, err));
    return rs_plan_build(rt, *r, NULL, p, err);
}

/* With all threads, or the least that is accepted. */
static rs_status find_budget(const job *j, uint64_t *budget, rs_err *err)
{
    rs_runtime rt;
    rs_recipe *r = NULL;
    rs_plan *p = NULL;
    rs_memory m = {0};
    uint64_t offered = j->threads > 1 ? (uint64_t)1 << 40 : 1;
    RS_TRY(open_plan(j, offered, &rt, &r, &p, err));
    uint64_t before = j->to_gguf ? rs_memory_of_gguf(p) : rs_memory_of_folder(p);
    rs_status s = rs_memory_fit(&rt, p, j->chunk_bytes, before, &m, err);
    *budget = m.bytes;
    rs_plan_free(p);
    rs_recipe_free(r);
    rs_quit(&rt);
    return s == RS_E_NOMEM ? RS_OK : s;
}

static rs_status work(const job *j, outcome *o)
{
    rs_runtime rt;
    rs_recipe *r = NULL;
    rs_plan *p = NULL;
    rs_execute_result merged;
    rs_export_result exported;
    const char *out = in_folder(j->folder, j->out);
    rs_execute_options x = {.out = out, .chunk_bytes = j->chunk_bytes};
    rs_export_options e = {.out = out, .dtype = RS_DTYPE_BF16};
    RS_TRY(find_budget(j, &o->budget, &o->err));
    RS_TRY(open_plan(j, o->budget, &rt, &r, &p, &o->err));
    return j->to_gguf ? rs_export_merge(&rt, p, &e, &exported, &o->err)
                      : rs_execute(&rt, p, &x, &merged, &o->err);
}

static bool ran_within(const job *j)
{
    struct rusage use = {0};
    int status = 0;
    outcome *o =
        mmap(NULL, sizeof *o, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pid = o == MAP_FAILED ? -1 : fork();
    if (pid == 0) {
        o->status = work(j, o);
        _exit(0);
    }
    if (pid < 0 || wait4(pid, &status, 0, &use) != pid || status != 0) return false;
    o->peak = (uint64_t)use.ru_maxrss << 10;
    bool good = o->status == RS_OK && o->peak <= o->budget &&
                o->peak <= o->budget - RS_PROGRAM_BYTES + OWN_BYTES;
    if (o->status != RS_OK) printf("  %s\n", o->err.msg);
    printf("  %s with %d thread%s: peak %.1f MB of %.1f MB\n", j->out, j->threads,
           j->threads > 1 ? "s" : "", (double)o->peak / 1e6, (double)o->budget / 1e6);
    munmap(o, sizeof *o);
    return good;
}

/* What a test prepares leaves no memory behind either. */
static bool made(bool (*make)(const char *folder), const char *folder)
{
    int status = 0;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        bool good = make(folder);
        fflush(stdout);
        _exit(good ? 0 : 1);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static bool fine(rs_status s)
{
    if (s != RS_OK) printf("  %s\n", t_err.msg);
    return s == RS_OK;
}

#define T_BEGIN()                                                                        \
    if (SANITIZED) T_SKIP("a sanitizer's own memory is no merge's")

/* --- folders --- */

static bool make_model(const char *folder)
{
    return fine(synthetic_model(in_folder(folder, "model"), config, &t_err));
}

static bool make_two(const char *folder)
{
    return make_model(folder) &&
           fine(synthetic_model(in_folder(folder, "other"), config, &t_err));
}

static bool make_adapters(const char *folder)
{
    static const char *const names[] = {"a", "b", "c"};
    bool good = make_model(folder);
    for (int i = 0; good && i < 3; i++)
        good = fine(synthetic_adapter(in_folder(folder, names[i]), config, 256, &t_err));
    return good;
}

static void adapters_and_threads(void)
{
    T_BEGIN();
    const char *folder = t_folder();
    static const char recipe[] =
        "{\"ringside\":1,\"models\":{\"m\":{\"path\":\"model\"},\"a\":{\"adapter\":\"a\"}"
        ","
        "\"b\":{\"adapter\":\"b\"},\"c\":{\"adapter\":\"c\"}},\"stages\":[" STAGE(
            "m", "{\"from\":\"a\"},{\"from\":\"b\"},{\"from\":\"c\"}", "") "]}";
    T_TRUE(made(make_adapters, folder));
    job j = {folder, recipe, "one", false, 1, 0};
    T_TRUE(ran_within(&j));
    j = (job){folder, recipe, "chosen", false, 8, 0};
    T_TRUE(ran_within(&j));
    j = (job){folder, recipe, "small-chunks", false, 32, 64 << 10};
    T_TRUE(ran_within(&j));
    j = (job){folder, recipe, "one.gguf", true, 1, 0};
    T_TRUE(ran_within(&j));
    j = (job){folder, recipe, "many.gguf", true, 16, 0};
    T_TRUE(ran_within(&j));
    T_OK(rs_os_remove_tree(folder, &t_err));
}

static void slerp_by_rows(void)
{
    T_BEGIN();
    const char *folder = t_folder();
    static const char recipe[] =
        "{\"ringside\":1,\"models\":{\"m\":{\"path\":\"model\"},\"o\":{\"path\":"
        "\"other\"}},"
        "\"stages\":[{\"name\":\"s\",\"method\":\"slerp\",\"t\":0.5,\"rowwise\":true,"
        "\"inputs\":[{\"from\":\"m\"},{\"from\":\"o\"}]}]}";
    T_TRUE(made(make_two, folder));
    job j = {folder, recipe, "one", false, 1, 0};
    T_TRUE(ran_within(&j));
    j = (job){folder, recipe, "many", false, 8, 0};
    T_TRUE(ran_within(&j));
    T_OK(rs_os_remove_tree(folder, &t_err));
}

/* --- Fisher --- */

static bool fill_fisher(rs_writer *w, const synthetic *s)
{
    enum { N = 1 << 18 };
    float *f = malloc(N * sizeof *f);
    rs_rng r = rs_rng_stream(2, 0);
    bool good = f != NULL;
    for (int i = 0; good && i < N; i++)
        f[i] = 1e-9f * (float)(1 + (rs_rng_next(&r) >> 44));
    for (int i = 0; good && i < s->n; i++) {
        uint64_t n = (uint64_t)s->at[i].dim[0] *
                     (uint64_t)(s->at[i].n_dims == 2 ? s->at[i].dim[1] : 1);
        for (uint64_t at = 0; good && at < n; at += N)
            good = fine(
                rs_writer_write(w, i, 4 * at, f, 4 * (n - at < N ? n - at : N), &t_err));
    }
    free(f);
    return good;
}

static bool make_fisher(const char *folder)
{
    char hash[33];
    rs_writer *w;
    synthetic *s = calloc(1, sizeof *s);
    if (!s || !make_model(folder) ||
        !fine(synthetic_adapter(in_folder(folder, "a"), config, 4, &t_err)) ||
        !fine(synthetic_config(in_folder(folder, "fisher"), config, &s->config, &t_err)))
        return false;
    for (int l = -1; l < s->config->n_layers; l++)
        synthetic_slots(s, l);
    for (int i = 0; i < s->n; i++)
        s->at[i].dtype = RS_DTYPE_F32;
    rs_write_plan plan = {.tensors = s->at, .n_tensors = s->n};
    return fine(rs_writer_new(in_folder(folder, "fisher"), &plan, &w, &t_err)) &&
           fill_fisher(w, s) && fine(rs_writer_finish(w, hash, &t_err));
}

static void ranks_of_a_fisher(void)
{
    T_BEGIN();
    const char *folder = t_folder();
    static const char recipe[] =
        "{\"ringside\":1,\"models\":{\"m\":{\"path\":\"model\"},\"a\":{\"adapter\":\"a\"}"
        "},"
        "\"measures\":{\"f\":{\"fisher\":\"fisher\",\"scale\":\"per_token\"}},\"stages\":"
        "[" STAGE(
            "m", "{\"from\":\"a\"}",
            ",\"dampen\":{\"by\":\"f\",\"normaliser\":\"rank\",\"over\":\"all\"}") "]}";
    T_TRUE(made(make_fisher, folder));
    job j = {folder, recipe, "one", false, 1, 0};
    T_TRUE(ran_within(&j));
    j = (job){folder, recipe, "one.gguf", true, 1, 0};
    T_TRUE(ran_within(&j));
    T_OK(rs_os_remove_tree(folder, &t_err));
}

/* --- a GGUF base with a large vocabulary --- */

enum { ALPHABET = 64, PIECES = 1 << 18, CONTROLS = 3, BYTES = 256 };

/* Piece i: control, a byte, or one to three letters of 64: like Gemma's, about two ways to
 * make each. */
static size_t piece(int i, char text[16], int *type)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-";
    if (i < CONTROLS) {
        static const char *const names[] = {"<pad>", "<eos>", "<bos>"};
        *type = 3;
        return (size_t)sprintf(text, "%s", names[i]);
    }
    if (i < CONTROLS + BYTES) {
        *type = 6;
        return (size_t)sprintf(text, "<0x%02X>", (unsigned)(i - CONTROLS));
    }
    *type = 1;
    size_t n = 0;
    for (int k = i - CONTROLS - BYTES + 1; k > 0; k = (k - 1) / ALPHABET)
        text[n++] = letters[(k - 1) % ALPHABET];
    return n;
}

static void put_vocabulary(gguf_build *g)
{
    char text[16];
    int type;
    gb_string(g, "tokenizer.ggml.model", "llama");
    gb_bool(g, "tokenizer.ggml.add_space_prefix", false);
    gb_int(g, "tokenizer.ggml.bos_token_id", 2);
    gb_int(g, "tokenizer.ggml.eos_token_id", 1);
    gb_array(g, "tokenizer.ggml.tokens", RS_GGUF_STRING, PIECES);
    for (int i = 0; i < PIECES; i++)
        gb_text(&g->keys, text, piece(i, text, &type));
    gb_array(g, "tokenizer.ggml.scores", RS_GGUF_F32, PIECES);
    for (int i = 0; i < PIECES; i++) {
        float score = (float)-i;
        rs_buf_add(&g->keys, &score, sizeof score);
    }
    gb_array(g, "tokenizer.ggml.token_type", RS_GGUF_I32, PIECES);
    for (int i = 0; i < PIECES; i++) {
        (void)piece(i, text, &type);
        gb_u32(&g->keys, (uint32_t)type);
    }
}

static bool make_gguf(const char *folder)
{
    rs_checkpoint *hf;
    rs_config *c;
    rs_buf json = {0};
    gguf_build g = GGUF_BUILD;
    const char *from = t_golden("models/gemma3");
    if (!fine(rs_checkpoint_open(from, &hf, &t_err)) ||
        !fine(rs_config_load(hf, &c, &t_err)))
        return false;
    gm_model(&g, "gemma3", hf, c);
    put_vocabulary(&g);
    gb_save(&g, in_folder(folder, "base.gguf"));
    return t_result == T_PASSED &&
           fine(rs_os_read_file(t_golden("models/gemma3/config.json"), 1 << 20, &json,
                                &t_err)) &&
           fine(synthetic_adapter(in_folder(folder, "a"), rs_buf_str(&json), 4, &t_err));
}

static void a_large_vocabulary(void)
{
    T_BEGIN();
    const char *folder = t_folder();
    static const char of_gguf[] = "{\"ringside\":1,\"models\":{\"m\":{\"path\":\"base."
                                  "gguf\"},\"a\":{\"adapter\":\"a\"}}"
                                  ",\"stages\":[" STAGE("m", "{\"from\":\"a\"}", "") "]}";
    static const char of_folder[] =
        "{\"ringside\":1,\"models\":{\"m\":{\"path\":\"one\"},\"a\":{\"adapter\":\"a\"}},"
        "\"stages\":[" STAGE("m", "{\"from\":\"a\"}", "") "]}";
    T_TRUE(made(make_gguf, folder));
    job j = {folder, of_gguf, "one", false, 1, 0};
    T_TRUE(ran_within(&j));
    j = (job){folder, of_gguf, "one.gguf", true, 1, 0};
    T_TRUE(ran_within(&j));
    j = (job){folder, of_folder, "again", false, 1, 0};
    T_TRUE(ran_within(&j));
    j = (job){folder, of_folder, "again.gguf", true, 1, 0};
    T_TRUE(ran_within(&j));
    T_OK(rs_os_remove_tree(folder, &t_err));
}

T_MAIN(T_TEST(adapters_and_threads), T_TEST(slerp_by_rows), T_TEST(ranks_of_a_fisher),
       T_TEST(a_large_vocabulary))
