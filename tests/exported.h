/* exported.h - a model folder exported to a GGUF that is open, and the logits of both. */
#ifndef EXPORTED_H
#define EXPORTED_H

#include "model/export.h"
#include "model/forward.h"
#include "tests/files.h"
#include "tests/t.h"

enum { MAX_NOTES = 2048 };

typedef struct exported {
    rs_runtime rt;
    rs_checkpoint *from, *file;
    rs_config *config;
    rs_export_result result;
    char notes[MAX_NOTES];
    const char *out;
} exported;

UNUSED void keep_note(void *ctx, const char *text)
{
    char *notes = ctx;
    size_t n = strlen(notes);
    snprintf(notes + n, MAX_NOTES - n, "%s\n", text);
}

UNUSED rs_status export_how(exported *e, const char *model, rs_export_options o,
                            int threads, uint64_t memory)
{
    *e = (exported){.out = o.out};
    o.note = keep_note;
    o.note_ctx = e->notes;
    rs_options ro = {.threads = threads, .memory_bytes = memory};
    RS_TRY(rs_init(&ro, &e->rt, &t_err));
    RS_TRY(rs_checkpoint_open(model, &e->from, &t_err));
    RS_TRY(rs_config_load(e->from, &e->config, &t_err));
    RS_TRY(rs_export(&e->rt, e->from, e->config, &o, &e->result, &t_err));
    return rs_checkpoint_open(o.out, &e->file, &t_err);
}

UNUSED rs_status export_as(exported *e, const char *model, const char *out, rs_dtype d)
{
    rs_export_options o = {.out = out, .dtype = d, .name = "a model"};
    return export_how(e, model, o, 2, 1 << 28);
}

UNUSED void done(exported *e)
{
    rs_checkpoint_close(e->from);
    rs_checkpoint_close(e->file);
    rs_config_free(e->config);
    rs_quit(&e->rt);
}

UNUSED const char *golden_model(const char *name)
{
    char below[64];
    snprintf(below, sizeof below, "models/%s", name);
    return t_golden(below);
}

/* The logits of all n ids; NULL: t_err. */
UNUSED float *logits_of(const rs_runtime *rt, const rs_checkpoint *c,
                        const rs_config *config, const int32_t *ids, int64_t n)
{
    rs_model *m;
    rs_kv *kv;
    rs_forward_options o = {.want = RS_WANT_ALL};
    float *logits = malloc(sizeof *logits * (size_t)n * (size_t)config->vocab);
    bool ok = rs_model_load(rt, c, config, NULL, NULL, &m, &t_err) == RS_OK &&
              rs_kv_new(config, NULL, &kv, &t_err) == RS_OK &&
              rs_forward(rt, m, kv, ids, n, &o, logits, &t_err) == RS_OK;
    if (!ok) return free(logits), NULL;
    rs_kv_free(kv);
    rs_model_free(m);
    return logits;
}

/* A model folder of one's own: the fixture's config and the tensors of `header`. */
UNUSED const char *odd_folder(const char *model, const char *config_from, const char *to)
{
    const char *folder = t_folder();
    char path[1024];
    rs_err e;
    if (rs_os_copy(in_folder(golden_model(model), "model.safetensors"),
                   in_folder(folder, "model.safetensors"), &e) != RS_OK)
        return NULL;
    snprintf(path, sizeof path, "%s/config.json", golden_model(model));
    rs_buf text = get_file(path);
    const char *config = replaced(text.data, config_from, to);
    if (!config) return NULL;
    put_text(in_folder(folder, "config.json"), config);
    return in_folder(folder, ".");
}

#endif
