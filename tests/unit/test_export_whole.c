/* A GGUF appears under its name only when it is whole: cancelled, taken meanwhile, on a full
 * disk; and what a GGUF cannot say is refused. */
#include "store/gguf_write.h"
#include "tests/exported.h"

#include <errno.h>

static bool nothing_at(const char *out)
{
    char partial[1024];
    snprintf(partial, sizeof partial, "%s.partial", out);
    return rs_os_kind(out) == RS_PATH_NONE && rs_os_kind(partial) == RS_PATH_NONE;
}

static void only_whole_files_get_the_name(void)
{
    exported e;
    const char *folder = t_folder(), *out = in_folder(folder, "x.gguf");
    const char *model = golden_model("qwen3");
    rs_export_options o = {.out = out, .dtype = RS_DTYPE_BF16, .progress = stop_at_once};
    T_FAILS(export_how(&e, model, o, 1, 1 << 28), RS_E_CANCELLED, "cancelled");
    done(&e);
    T_TRUE(nothing_at(out));
    o.progress = NULL;
    o.dtype = RS_DTYPE_Q6_K;
    T_FAILS(export_how(&e, model, o, 1, 1 << 28), RS_E_INVALID, "q6_k");
    done(&e);
    o.dtype = RS_DTYPE_BF16;
    T_OK(export_how(&e, model, o, 1, 1 << 28));
    done(&e);
    T_FAILS(export_how(&e, model, o, 1, 1 << 28), RS_E_EXISTS, "--force");
    done(&e);
    o.force = true;
    T_OK(export_how(&e, model, o, 1, 1 << 28));
    done(&e);
    T_FAILS(export_how(&e, out, o, 1, 1 << 28), RS_E_EXISTS, "what this export reads");
    done(&e);
    o.out = in_folder(folder, "diary.txt");
    put_text(o.out, "Dear diary");
    T_FAILS(export_how(&e, model, o, 1, 1 << 28), RS_E_EXISTS, "is no GGUF");
    done(&e);
    o.out = folder;
    T_FAILS(export_how(&e, model, o, 1, 1 << 28), RS_E_EXISTS, "is a folder");
    done(&e);
    o.out = in_folder(folder, "link.gguf");
    T_EQ(symlink(out, o.out), 0);
    T_FAILS(export_how(&e, model, o, 1, 1 << 28), RS_E_EXISTS, "symbolic link");
    done(&e);
}

typedef struct intruder {
    const char *path, *text;
} intruder;

/* Somebody else takes the name while the export runs. */
static bool intrude(void *ctx, const rs_progress *p)
{
    const intruder *i = ctx;
    (void)p;
    put_text(i->path, i->text);
    return true;
}

static void a_name_that_is_taken_meanwhile(void)
{
    exported e;
    const char *out = in_folder(t_folder(), "x.gguf");
    char partial[1024];
    snprintf(partial, sizeof partial, "%s.partial", out);
    intruder who = {out, "Dear diary"};
    rs_export_options o = {
        .out = out, .dtype = RS_DTYPE_BF16, .progress = intrude, .progress_ctx = &who};
    for (int forced = 0; forced < 2; forced++) {
        unlink(out);
        o.force = forced;
        T_FAILS(export_how(&e, golden_model("qwen3"), o, 1, 1 << 28), RS_E_EXISTS,
                forced ? "is no GGUF" : "appeared in the meantime");
        T_TRUE(strstr(t_err.msg, "stays as ") && strstr(t_err.msg, "x.gguf.partial/"));
        done(&e);
        T_STR(get_file(out).data, "Dear diary");
        rs_checkpoint *c; /* what was made is whole */
        T_OK(rs_checkpoint_open(in_folder(partial, "model.gguf"), &c, &t_err));
        rs_checkpoint_close(c);
        T_OK(rs_os_remove_tree(partial, &t_err));
    }
    unlink(out);
    who.text = "GGUF of another kind";
    T_OK(export_how(&e, golden_model("qwen3"), o, 1, 1 << 28));
    done(&e);
}

/* The writer alone: nothing gets the name before every byte is there; the file is as long as
 * its header says, though its last tensor ends in the middle of a line. */
static void every_byte_once(void)
{
    static const rs_write_tensor list[2] = {{"a", RS_DTYPE_F32, 1, {3}},
                                            {"b", RS_DTYPE_F32, 1, {2}}};
    static const float v[3] = {1, 2, 3};
    const char *out = in_folder(t_folder(), "x.gguf");
    rs_gguf_keys keys = {0};
    rs_gguf_writer *w;
    rs_checkpoint *c;
    rs_gguf_put_string(&keys, "general.architecture", "none", 4);
    T_OK(rs_gguf_writer_new(out, &keys, list, 2, false, &w, &t_err));
    T_OK(rs_gguf_writer_write(w, 0, 0, v, 12, &t_err));
    T_OK(rs_gguf_writer_write(w, 1, 0, v, 4, &t_err));
    T_FAILS(rs_gguf_writer_finish(w, &t_err), RS_E_BUG,
            "4 of the 8 bytes of tensor b were written");
    T_TRUE(rs_os_kind(out) == RS_PATH_NONE);
    T_OK(rs_gguf_writer_write(w, 1, 4, v, 4, &t_err));
    T_FAILS(rs_gguf_writer_write(w, 1, 0, v, 4, &t_err), RS_E_BUG, "written twice");
    uint64_t bytes = rs_gguf_writer_bytes(w);
    rs_gguf_writer_free(w);
    T_TRUE(nothing_at(out));
    T_OK(rs_gguf_writer_new(out, &keys, list, 2, false, &w, &t_err));
    T_OK(rs_gguf_writer_write(w, 0, 0, v, 12, &t_err));
    T_OK(rs_gguf_writer_write(w, 1, 0, v, 8, &t_err));
    rs_os_faults(1, EIO, false);
    T_FAILS(rs_gguf_writer_finish(w, &t_err), RS_E_IO, "sync");
    rs_os_faults(0, 0, false);
    T_TRUE(rs_os_kind(out) == RS_PATH_NONE);
    T_OK(rs_gguf_writer_finish(w, &t_err));
    rs_gguf_writer_free(w);
    rs_gguf_keys_free(&keys);
    T_EQ(get_file(out).len, bytes);
    T_EQ(bytes % 32, 0);
    T_OK(rs_checkpoint_open(out, &c, &t_err));
    rs_checkpoint_close(c);
}

/* Each call that writes fails once: an error, no file; the old file stays until the last. */
static void full_disk_at_every_write(void)
{
    exported e;
    const char *out = in_folder(t_folder(), "x.gguf");
    const char *model = golden_model("gemma3");
    rs_export_options o = {.out = out, .dtype = RS_DTYPE_Q8_0};
    rs_status s = RS_E_IO;
    int n = 0, n_kept = 0;
    char partial[1024];
    snprintf(partial, sizeof partial, "%s.partial", out);
    for (; s != RS_OK; n++) {
        rs_os_faults(n + 1, ENOSPC, false);
        s = export_how(&e, model, o, 1, 1 << 28);
        rs_os_faults(0, 0, false);
        done(&e);
        if (s == RS_OK) break;
        T_EQ(s, RS_E_IO);
        bool may_be_there = strstr(t_err.msg, "may not survive") != NULL;
        T_TRUE(may_be_there || rs_os_kind(out) == RS_PATH_NONE);
        unlink(out);
        T_TRUE(n < 2000);
        if (!strstr(t_err.msg, "stays as")) continue;
        n_kept++;
        T_OK(rs_os_remove_tree(partial, &t_err));
    }
    T_EQ(n_kept, 1);
    T_TRUE(n > 50);
}

/* Overwrites one number of a bf16 tensor of a folder. */
static void poke(const char *folder, const char *name, uint16_t bits)
{
    rs_checkpoint *c;
    T_OK(rs_checkpoint_open(folder, &c, &t_err));
    const rs_tensor *t = rs_checkpoint_find(c, name);
    T_TRUE(t && t->dtype == RS_DTYPE_BF16);
    FILE *f = fopen(rs_checkpoint_file(c, 0), "r+b");
    T_TRUE(f && fseek(f, (long)t->offset + 6, SEEK_SET) == 0);
    T_TRUE(fwrite(&bits, 2, 1, f) == 1 && fclose(f) == 0);
    rs_checkpoint_close(c);
}

static void what_cannot_be_said_is_refused(void)
{
    exported e;
    const char *out = in_folder(t_folder(), "x.gguf");
    const char *up = "model.layers.1.mlp.up_proj.weight";
    /* one layer more than there are tensors for */
    const char *odd =
        odd_folder("llama", "\"num_hidden_layers\": 3", "\"num_hidden_layers\": 4");
    T_TRUE(odd);
    T_FAILS(export_as(&e, odd, out, RS_DTYPE_BF16), RS_E_MISMATCH,
            "no tensor layers.3.self_attn.q_proj.weight");
    done(&e);
    /* a wrong shape */
    odd = odd_folder("llama", "\"intermediate_size\": 64", "\"intermediate_size\": 96");
    T_TRUE(odd);
    T_FAILS(export_as(&e, odd, out, RS_DTYPE_BF16), RS_E_MISMATCH,
            "the config asks for [32, 96]");
    done(&e);
    odd = odd_folder("llama", "\"use_cache\": true", "\"use_cache\": false");
    T_TRUE(odd);
    poke(odd, up, 0x7fc0);
    T_FAILS(export_as(&e, odd, out, RS_DTYPE_BF16), RS_E_INVALID,
            "blk.1.ffn_up.weight: the value nan at element 3 ");
    done(&e);
    poke(odd, up, 0x4b80); /* 16777216 */
    T_FAILS(export_as(&e, odd, out, RS_DTYPE_F16), RS_E_INVALID, "stored as f16");
    done(&e);
    T_FAILS(export_as(&e, odd, out, RS_DTYPE_Q8_0), RS_E_INVALID,
            "1.67772e+07 at element 3 of 2048 cannot be stored as q8_0");
    done(&e);
    T_TRUE(nothing_at(out));
    T_OK(export_as(&e, odd, out, RS_DTYPE_BF16));
    done(&e);
}

T_MAIN(T_TEST(only_whole_files_get_the_name), T_TEST(a_name_that_is_taken_meanwhile),
       T_TEST(every_byte_once), T_TEST(full_disk_at_every_write),
       T_TEST(what_cannot_be_said_is_refused))
