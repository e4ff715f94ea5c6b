/* The folder writer: what it writes, that order and threads do not matter, and that nothing
 * but a whole folder ever stands under the final name. */
#include "base/json.h"
#include "base/rng.h"
#include "store/content_hash.h"
#include "store/writer.h"
#include "tests/files.h"
#include "tests/t.h"

#include <errno.h>
#include <signal.h>

static const char *dir;

enum { N_TENSORS = 5 };

/* Mixed types and sizes; "big" has several leaves of the hash, the last one partial. */
static const rs_write_tensor tensors[N_TENSORS] = {
    {"model.norm.weight", RS_DTYPE_BF16, 1, {3}},
    {"model.big.weight", RS_DTYPE_BF16, 2, {1024, 1100}},
    {"model.scale", RS_DTYPE_F32, 0, {0}},
    {"model.none", RS_DTYPE_F16, 2, {0, 5}},
    {"model.ids", RS_DTYPE_U8, 1, {7}},
};

static const rs_string_pair metadata[] = {{"format", "np"}, {"ringside", "{\"a\": 1}"}};

static rs_write_plan plan_of(uint64_t shard_bytes)
{
    return (rs_write_plan){.tensors = tensors,
                           .n_tensors = N_TENSORS,
                           .metadata = metadata,
                           .n_metadata = 2,
                           .shard_bytes = shard_bytes};
}

static uint64_t size_of(int i)
{
    static const uint64_t sizes[N_TENSORS] = {6, 2 * 1024 * 1100, 4, 0, 7};
    return sizes[i];
}

static unsigned char byte_at(int i, uint64_t at, int variant)
{
    return (unsigned char)(rs_rng_at(77, (uint64_t)(i + 10 * variant), at / 8) >>
                           (at % 8 * 8));
}

static unsigned char *bytes_of(int i, int variant)
{
    unsigned char *b = kept(malloc(size_of(i) + 1));
    for (uint64_t k = 0; k < size_of(i); k++)
        b[k] = byte_at(i, k, variant);
    return b;
}

/* Writes every tensor in pieces of `piece` bytes. */
static rs_status write_all(rs_writer *w, uint64_t piece, int variant)
{
    for (int i = 0; i < N_TENSORS; i++) {
        const unsigned char *b = bytes_of(i, variant);
        for (uint64_t at = 0; at < size_of(i); at += piece) {
            uint64_t n = size_of(i) - at < piece ? size_of(i) - at : piece;
            RS_TRY(rs_writer_write(w, i, at, b + at, (size_t)n, &t_err));
        }
    }
    return RS_OK;
}

static rs_status write_folder(const char *out, const rs_write_plan *plan, uint64_t piece,
                              int variant, char hash[33])
{
    rs_writer *w;
    RS_TRY(rs_writer_new(out, plan, &w, &t_err));
    rs_status s = rs_writer_file(w, "config.json", "{}", 2, &t_err);
    if (s == RS_OK) s = write_all(w, piece, variant);
    if (s == RS_OK) s = rs_writer_finish(w, hash, &t_err);
    rs_writer_free(w);
    return s;
}

/* Whether the folder is whole and holds this variant's bytes. */
static bool holds(const char *out, int variant)
{
    rs_checkpoint *c;
    if (rs_os_kind(in_folder(out, "config.json")) != RS_PATH_FILE) return false;
    if (rs_checkpoint_open(out, &c, &t_err) != RS_OK) return false;
    bool ok = rs_checkpoint_count(c) == N_TENSORS;
    for (int i = 0; ok && i < N_TENSORS; i++) {
        const rs_tensor *t = rs_checkpoint_find(c, tensors[i].name);
        unsigned char *got = kept(malloc(size_of(i) + 1));
        ok = t && t->dtype == tensors[i].dtype && t->n_bytes == size_of(i) &&
             rs_checkpoint_read_raw(c, t, 0, (size_t)size_of(i), got, &t_err) == RS_OK &&
             memcmp(got, bytes_of(i, variant), (size_t)size_of(i)) == 0;
    }
    rs_checkpoint_close(c);
    return ok;
}

static int entries(const char *folder)
{
    rs_buf names = {0};
    int n = -1;
    if (rs_os_list(folder, &names, &n, &t_err) != RS_OK) n = -1;
    rs_buf_free(&names);
    return n;
}

/* ---- what is written ---- */

static void one_shard(void)
{
    dir = t_folder();
    const char *out = in_folder(dir, "deep/er/out");
    char hash[33];
    rs_write_plan plan = plan_of(0);
    T_OK(write_folder(out, &plan, 1 << 30, 0, hash));
    T_TRUE(holds(out, 0));
    T_EQ(entries(out), 2); /* model.safetensors, config.json */
    T_EQ(entries(in_folder(dir, "deep/er")), 1);
    rs_buf f = get_file(in_folder(out, "model.safetensors"));
    T_EQ(rs_le64(f.data) % 8, 0);
    const char *expected =
        "{\"__metadata__\":{\"format\":\"pt\",\"ringside\":\"{\\\"a\\\": 1}\"},"
        "\"model.norm.weight\":{\"dtype\":\"BF16\",\"shape\":[3],\"data_offsets\":[4,10]}"
        ","
        "\"model.big.weight\":{\"dtype\":\"BF16\",\"shape\":[1024,1100],"
        "\"data_offsets\":[10,2252810]},"
        "\"model.scale\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},"
        "\"model.none\":{\"dtype\":\"F16\",\"shape\":[0,5],\"data_offsets\":[2252810,"
        "2252810]},"
        "\"model.ids\":{\"dtype\":\"U8\",\"shape\":[7],\"data_offsets\":[2252810,2252817]"
        "}}";
    T_EQ(strncmp(f.data + 8, expected, strlen(expected)), 0);
    for (size_t i = strlen(expected); i < rs_le64(f.data); i++)
        T_EQ(f.data[8 + i], ' ');
}

static void several_shards(void)
{
    dir = t_folder();
    const char *out = in_folder(dir, "out/");
    char hash[33];
    rs_write_plan plan = plan_of(10);
    T_OK(write_folder(out, &plan, 4096, 0, hash));
    T_TRUE(holds(in_folder(dir, "out"), 0));
    rs_json *index = NULL;
    T_OK(rs_json_read_file(in_folder(out, "model.safetensors.index.json"), 10000, &index,
                           &t_err));
    const rs_json *map = rs_json_get(index, "weight_map");
    T_EQ(rs_json_count(map), N_TENSORS);
    T_STR(rs_json_string(rs_json_get(map, "model.norm.weight")),
          "model-00001-of-00004.safetensors");
    T_STR(rs_json_string(rs_json_get(map, "model.big.weight")),
          "model-00002-of-00004.safetensors");
    T_STR(rs_json_string(rs_json_get(map, "model.none")),
          "model-00003-of-00004.safetensors");
    T_STR(rs_json_string(rs_json_get(map, "model.ids")),
          "model-00004-of-00004.safetensors");
    T_TRUE(rs_json_number(rs_json_get(rs_json_get(index, "metadata"), "total_size")) ==
           2252817);
    rs_json_free(index);
    T_EQ(entries(out), 6);
}

static void adapters_have_their_stem(void)
{
    dir = t_folder();
    char hash[33];
    rs_write_plan plan = plan_of(0);
    plan.stem = "adapter_model";
    T_OK(write_folder(in_folder(dir, "out"), &plan, 100000, 0, hash));
    T_EQ(rs_os_kind(in_folder(dir, "out/adapter_model.safetensors")), RS_PATH_FILE);
}

static void an_empty_plan_is_a_folder_too(void)
{
    dir = t_folder();
    char hash[33];
    rs_writer *w;
    rs_write_plan plan = {0};
    T_OK(rs_writer_new(in_folder(dir, "out"), &plan, &w, &t_err));
    T_OK(rs_writer_finish(w, hash, &t_err));
    rs_writer_free(w);
    rs_checkpoint *c;
    T_OK(rs_checkpoint_open(in_folder(dir, "out"), &c, &t_err));
    T_EQ(rs_checkpoint_count(c), 0);
    rs_checkpoint_close(c);
}

/* ---- order and threads ---- */

typedef struct writing {
    rs_writer *w;
    uint64_t piece;
    int64_t n_pieces[N_TENSORS];
    const unsigned char *bytes[N_TENSORS];
    int64_t scramble;
    rs_status status;
} writing;

static bool write_piece(void *ctx, int64_t chunk, int worker)
{
    writing *j = ctx;
    (void)worker;
    int64_t k = chunk * j->scramble; /* prime to the number of pieces */
    int64_t all = 0;
    for (int i = 0; i < N_TENSORS; i++)
        all += j->n_pieces[i];
    k %= all;
    int i = 0;
    while (k >= j->n_pieces[i])
        k -= j->n_pieces[i++];
    uint64_t at = (uint64_t)k * j->piece, left = size_of(i) - at;
    rs_err e;
    return rs_writer_write(j->w, i, at, j->bytes[i] + at,
                           (size_t)(left < j->piece ? left : j->piece), &e) == RS_OK;
}

static void bytes_do_not_depend_on_threads(void)
{
    static const uint64_t pieces[] = {977, 65536, 1 << 20, 1500000, 1 << 30};
    char first[33] = "", hash[33];
    rs_buf whole = {0};
    dir = t_folder();
    for (int threads = 1; threads <= 7; threads += 3) {
        rs_pool *pool;
        T_OK(rs_pool_new(threads, &pool, &t_err));
        for (int p = 0; p < 5; p++) {
            char name[32];
            snprintf(name, sizeof name, "out-%d-%d", threads, p);
            rs_write_plan plan = plan_of(0);
            writing j = {.piece = pieces[p], .scramble = 1};
            int64_t all = 0;
            for (int i = 0; i < N_TENSORS; i++) {
                j.bytes[i] = bytes_of(i, 0);
                j.n_pieces[i] = (int64_t)((size_of(i) + j.piece - 1) / j.piece);
                all += j.n_pieces[i];
            }
            while (j.scramble * 7 % all != 1 % all && j.scramble < all)
                j.scramble++;
            if (j.scramble == all) j.scramble = 1;
            T_OK(rs_writer_new(in_folder(dir, name), &plan, &j.w, &t_err));
            T_TRUE(rs_pool_run(pool, all, write_piece, &j));
            T_OK(rs_writer_finish(j.w, hash, &t_err));
            rs_writer_free(j.w);
            if (!first[0]) memcpy(first, hash, sizeof first);
            T_STR(hash, first);
            rs_buf f = get_file(in_folder(in_folder(dir, name), "model.safetensors"));
            if (!whole.data) whole = f;
            T_TRUE(f.len == whole.len && memcmp(f.data, whole.data, f.len) == 0);
        }
        rs_pool_free(pool);
    }
}

/* ---- the content hash ---- */

static bool stop_and_count(void *ctx, const rs_progress *p)
{
    ++*(int *)ctx;
    return p->done > p->total;
}

static void the_hash_is_of_the_contents(void)
{
    dir = t_folder();
    char one[33], many[33], other[33], read[33], memory[33];
    rs_write_plan plan = plan_of(0), sharded = plan_of(10);
    rs_runtime rt;
    rs_checkpoint *c;
    T_OK(write_folder(in_folder(dir, "one"), &plan, 5000, 0, one));
    T_OK(write_folder(in_folder(dir, "many"), &sharded, 1 << 22, 0, many));
    T_OK(write_folder(in_folder(dir, "other"), &plan, 1 << 22, 1, other));
    T_STR(one, many); /* shards and pieces do not matter */
    T_TRUE(strcmp(one, other) != 0);
    for (int threads = 1; threads <= 3; threads += 2) {
        T_OK(rs_init(&(rs_options){.threads = threads}, &rt, &t_err));
        T_OK(rs_checkpoint_open(in_folder(dir, "many"), &c, &t_err));
        T_OK(rs_checkpoint_content_hash(&rt, c, NULL, NULL, read, &t_err));
        T_STR(read, one);
        int calls = 0;
        T_FAILS(rs_checkpoint_content_hash(&rt, c, stop_and_count, &calls, read, &t_err),
                RS_E_CANCELLED, "cancelled");
        T_EQ(calls, 1);
        rs_checkpoint_close(c);
        rs_quit(&rt);
    }
    rs_hashed_tensor t[N_TENSORS];
    for (int i = 0; i < N_TENSORS; i++) {
        t[i] = (rs_hashed_tensor){
            tensors[i].name, tensors[i].dtype, tensors[i].n_dims, tensors[i].dim, {0, 0}};
        T_TRUE(rs_content_tensor(bytes_of(i, 0), size_of(i), &t[i].hash));
    }
    T_OK(rs_content_hash(t, N_TENSORS, memory, &t_err));
    T_STR(memory, one);
}

/* ---- what stands in the way ---- */

static void existing_folders_are_safe(void)
{
    dir = t_folder();
    const char *out = in_folder(dir, "out");
    char hash[33];
    rs_write_plan plan = plan_of(0), force = plan_of(0);
    force.force = true;
    T_OK(rs_os_mkdir(out, &t_err));
    T_OK(write_folder(out, &plan, 1 << 22, 0, hash)); /* an empty folder is no obstacle */
    T_FAILS(write_folder(out, &plan, 1 << 22, 1, hash), RS_E_EXISTS,
            "exists: choose another");
    T_TRUE(holds(out, 0));
    put_text(in_folder(out, "notes.txt"), "mine");
    T_OK(write_folder(out, &force, 1 << 22, 1, hash));
    T_TRUE(holds(out, 1));
    T_EQ(rs_os_kind(in_folder(out, "notes.txt")),
         RS_PATH_NONE); /* the whole folder changed */
    T_EQ(entries(dir), 1);
    const char *home = in_folder(dir, "home");
    T_OK(rs_os_mkdir(home, &t_err));
    put_text(in_folder(home, "letter.txt"), "dear");
    T_FAILS(write_folder(home, &force, 1 << 22, 1, hash), RS_E_EXISTS, "holds no model");
    put_text(in_folder(dir, "file"), "x");
    T_FAILS(write_folder(in_folder(dir, "file"), &force, 1 << 22, 1, hash), RS_E_EXISTS,
            "exists and is a file");
    T_EQ(entries(dir), 3);
}

static void bad_plans_are_refused(void)
{
    dir = t_folder();
    rs_writer *w;
    static const struct {
        rs_write_tensor t;
        rs_status status;
        const char *says;
    } cases[] = {
        {{"", RS_DTYPE_F32, 1, {1}}, RS_E_INVALID, "cannot be a tensor's name"},
        {{"__metadata__", RS_DTYPE_F32, 1, {1}},
         RS_E_INVALID,
         "cannot be a tensor's name"},
        {{"a\xff", RS_DTYPE_F32, 1, {1}}, RS_E_INVALID, "cannot be a tensor's name"},
        {{"q", RS_DTYPE_Q4_K, 1, {256}},
         RS_E_UNSUPPORTED,
         "safetensors has no type q4_k"},
        {{"m", RS_DTYPE_F32, 1, {-1}}, RS_E_INVALID, "m has an impossible shape"},
        {{"m", RS_DTYPE_F32, 2, {1ll << 40, 1ll << 40}},
         RS_E_INVALID,
         "impossible shape"},
        {{"m", RS_DTYPE_F32, 1, {1ll << 55}}, RS_E_IO, "but the disk has only"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rs_write_plan plan = {.tensors = &cases[i].t, .n_tensors = 1};
        T_FAILS(rs_writer_new(in_folder(dir, "out"), &plan, &w, &t_err), cases[i].status,
                cases[i].says);
        T_TRUE(w == NULL);
    }
    const rs_write_tensor twice[2] = {{"a", RS_DTYPE_F32, 1, {1}},
                                      {"a", RS_DTYPE_F32, 1, {1}}};
    rs_write_plan plan = {.tensors = twice, .n_tensors = 2};
    T_FAILS(rs_writer_new(in_folder(dir, "out"), &plan, &w, &t_err), RS_E_INVALID,
            "tensor a is planned twice");
    plan.n_tensors = 1;
    static const char *const names[] = {"", "/", ".", "..", "a/.."};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        T_FAILS(rs_writer_new(names[i], &plan, &w, &t_err), RS_E_INVALID,
                "cannot be the name of a new folder");
    T_EQ(entries(dir), 0);
}

static void too_many_shards_are_refused(void)
{
    dir = t_folder();
    rs_writer *w;
    rs_write_tensor t[600];
    static char names[600][8];
    for (int i = 0; i < 600; i++) {
        snprintf(names[i], sizeof names[i], "t%d", i);
        t[i] = (rs_write_tensor){names[i], RS_DTYPE_U8, 1, {10}};
    }
    rs_write_plan plan = {.tensors = t, .n_tensors = 600, .shard_bytes = 10};
    T_FAILS(rs_writer_new(in_folder(dir, "out"), &plan, &w, &t_err), RS_E_INVALID,
            "600 shards of at most 10 bytes");
}

static void every_byte_once(void)
{
    dir = t_folder();
    rs_writer *w;
    char hash[33];
    rs_write_plan plan = plan_of(0);
    T_OK(rs_writer_new(in_folder(dir, "out"), &plan, &w, &t_err));
    T_EQ(rs_writer_bytes(w), 2252817);
    const unsigned char *b = bytes_of(1, 0);
    T_FAILS(rs_writer_write(w, 9, 0, b, 1, &t_err), RS_E_BUG, "tensor 9 of 5");
    T_FAILS(rs_writer_write(w, 0, 4, b, 3, &t_err), RS_E_BUG, "which has 6");
    T_FAILS(rs_writer_write(w, 0, UINT64_MAX, b, 3, &t_err), RS_E_BUG, "which has 6");
    T_OK(rs_writer_write(w, 1, 100, b, 2000, &t_err));
    T_FAILS(rs_writer_write(w, 1, 0, b, 1 << 20, &t_err), RS_E_BUG, "written twice");
    T_FAILS(rs_writer_finish(w, hash, &t_err), RS_E_BUG,
            "6 of the 6 bytes of tensor model.norm.weight were not written");
    T_FAILS(rs_writer_file(w, "../x", "", 0, &t_err), RS_E_INVALID,
            "cannot be a file's name");
    T_FAILS(rs_writer_file(w, "a/b", "", 0, &t_err), RS_E_INVALID,
            "cannot be a file's name");
    T_FAILS(rs_writer_copy(w, "x", in_folder(dir, "none"), &t_err), RS_E_NOT_FOUND,
            "none");
    T_EQ(entries(dir), 1);
    rs_writer_free(w);
    T_EQ(entries(dir), 0); /* giving up leaves nothing */
    rs_writer_free(NULL);
}

static void stale_parts_go_and_live_ones_stay(void)
{
    dir = t_folder();
    const char *out = in_folder(dir, "out");
    char hash[33];
    rs_writer *w, *second;
    rs_write_plan plan = plan_of(0);
    T_OK(rs_os_mkdir(in_folder(dir, "out.partial/sub"), &t_err));
    put_text(in_folder(dir, "out.partial/model.safetensors"), "somebody else's");
    T_FAILS(rs_writer_new(out, &plan, &w, &t_err), RS_E_EXISTS,
            "not what an interrupted run left");
    T_EQ(entries(in_folder(dir, "out.partial")), 2); /* untouched */
    put_text(in_folder(dir, "out.partial/.ringside-partial"), "");
    T_OK(rs_writer_new(out, &plan, &w, &t_err));
    T_EQ(entries(in_folder(dir, "out.partial")), 2); /* the shard and the mark */
    T_FAILS(rs_writer_new(out, &plan, &second, &t_err), RS_E_EXISTS,
            "another process is writing");
    T_OK(rs_writer_file(w, "config.json", "{}", 2, &t_err));
    T_OK(rs_writer_copy(w, "copy.json", in_folder(dir, "out.partial/config.json"),
                        &t_err));
    T_OK(write_all(w, 1 << 22, 0));
    T_OK(rs_writer_finish(w, hash, &t_err));
    rs_writer_free(w);
    T_TRUE(holds(out, 0));
    T_EQ(rs_os_kind(in_folder(out, "copy.json")), RS_PATH_FILE);
}

/* ---- failures and deaths ---- */

/* A small plan: each call of the write side is tried as the one that fails. */
static rs_status write_small(const char *out, bool force, int variant, char hash[33])
{
    rs_write_plan plan = plan_of(10);
    plan.force = force;
    return write_folder(out, &plan, 1 << 20, variant, hash);
}

static void every_failure_is_clean(void)
{
    static const int errors[] = {ENOSPC, EIO};
    dir = t_folder();
    const char *out = in_folder(dir, "out");
    char hash[33];
    long before = rs_os_write_calls();
    T_OK(write_small(out, false, 0, hash));
    long calls = rs_os_write_calls() - before;
    T_TRUE(calls > 20);
    int open_before = count_open_files();
    for (long k = 1; k <= calls; k++) {
        T_OK(rs_os_remove_tree(out, &t_err));
        rs_os_faults(k, errors[k % 2], false);
        rs_status s = write_small(out, false, 0, hash);
        rs_os_faults(0, 0, false);
        T_EQ(s, RS_E_IO);
        T_TRUE(strstr(t_err.msg, strerror(errors[k % 2])) != NULL);
        T_EQ(count_open_files(), open_before);
        if (k < calls - 2) {
            T_EQ(entries(dir), 0); /* the rename and two calls after it come last */
        } else if (k == calls - 2) {
            T_EQ(entries(dir), 1);
            T_TRUE(holds(in_folder(dir, "out.partial"), 0));
            T_TRUE(strstr(t_err.msg, "stays as") && strstr(t_err.msg, "out.partial"));
            T_FAILS(write_small(out, false, 0, hash), RS_E_EXISTS, "move it away");
            T_TRUE(holds(in_folder(dir, "out.partial"), 0));
            T_OK(rs_os_rename(in_folder(dir, "out.partial"), out, &t_err));
        } else
            T_TRUE(holds(out, 0) && strstr(t_err.msg, "may not survive a power cut"));
    }
}

static void a_failed_replacement_keeps_the_old(void)
{
    dir = t_folder();
    const char *out = in_folder(dir, "out");
    char hash[33];
    int n_kept = 0;
    T_OK(write_small(out, false, 0, hash));
    for (long k = 1;; k++) {
        rs_os_faults(k, ENOSPC, false);
        rs_status s = write_small(out, true, 1, hash);
        bool reached = true;
        rs_os_faults(0, 0, false);
        if (s == RS_OK) reached = holds(out, 1);
        T_TRUE(reached && (holds(out, 0) || holds(out, 1)));
        if (holds(out, 1)) break; /* from here on only the old one's removal can fail */
        bool kept = strstr(t_err.msg, "stays as") != NULL;
        T_EQ(entries(dir), kept ? 2 : 1);
        T_TRUE(!kept || holds(in_folder(dir, "out.partial"), 1));
        if (kept) T_OK(rs_os_remove_tree(in_folder(dir, "out.partial"), &t_err));
        n_kept += kept;
        T_EQ(s, RS_E_IO);
    }
    T_EQ(n_kept, 2); /* the mark of the old one, and the exchange */
}

/* Runs the writer in a child that is killed at its k-th call. true: it lived. */
static bool killed_at(long k, const char *out, bool force, int variant)
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        char hash[33];
        rs_os_faults(k, 0, true);
        _exit(write_small(out, force, variant, hash) == RS_OK ? 0 : 1);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void death_leaves_all_or_nothing(void)
{
    dir = t_folder();
    const char *out = in_folder(dir, "out");
    int whole = 0;
    for (long k = 1;; k++) {
        bool lived = killed_at(k, out, false, 0);
        bool is_there = rs_os_kind(out) != RS_PATH_NONE;
        T_TRUE(!is_there || holds(out, 0));
        T_TRUE(!lived || is_there);
        whole += is_there;
        T_OK(rs_os_remove_tree(out, &t_err)); /* the partial folder stays for the next */
        if (lived) break;
        T_TRUE(k < 1000);
    }
    /* killed after the rename at least once, and not killed; what a run finds to clear away
     * shifts the calls, so not every place is met */
    T_TRUE(whole >= 2);
}

static void death_while_replacing_keeps_one(void)
{
    dir = t_folder();
    const char *out = in_folder(dir, "out");
    char hash[33];
    T_OK(write_small(out, false, 0, hash));
    bool changed = false;
    for (long k = 1;; k++) {
        bool lived = killed_at(k, out, true, 1);
        T_TRUE(holds(out, 0) || holds(out, 1));
        T_TRUE(!(changed && holds(out, 0)));
        changed |= holds(out, 1);
        if (lived) break;
        T_TRUE(k < 1000);
    }
    T_TRUE(changed && holds(out, 1));
    T_EQ(entries(dir), 1);
}

T_MAIN(T_TEST(one_shard), T_TEST(several_shards), T_TEST(adapters_have_their_stem),
       T_TEST(an_empty_plan_is_a_folder_too), T_TEST(bytes_do_not_depend_on_threads),
       T_TEST(the_hash_is_of_the_contents), T_TEST(existing_folders_are_safe),
       T_TEST(bad_plans_are_refused), T_TEST(too_many_shards_are_refused),
       T_TEST(every_byte_once), T_TEST(stale_parts_go_and_live_ones_stay),
       T_TEST(every_failure_is_clean), T_TEST(a_failed_replacement_keeps_the_old),
       T_TEST(death_leaves_all_or_nothing), T_TEST(death_while_replacing_keeps_one))
