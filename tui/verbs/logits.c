/* ringside logits: the raw output of a model for given ids, as safetensors. */
#include "base/bytes.h"
#include "base/os.h"
#include "tui/verbs/score.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct logits_opts {
    const char *model, *ids, *out;
    bool hidden, force;
} logits_opts;

static const ui_opt opts[] = {
    {"--model", UI_OPT_STRING, "M", "the model", offsetof(logits_opts, model)},
    {"--ids", UI_OPT_STRING, "2,9,4", "token ids", offsetof(logits_opts, ids)},
    {"--out", UI_OPT_STRING, "F", "safetensors file", offsetof(logits_opts, out)},
    {"--hidden", UI_OPT_FLAG, NULL, "also the hidden states after every layer",
     offsetof(logits_opts, hidden)},
    {"--force", UI_OPT_FLAG, NULL, "replace an existing file",
     offsetof(logits_opts, force)},
    {NULL, UI_OPT_FLAG, NULL, NULL, 0},
};

/* Hidden states as the pass meets them: [n_layers + 2][n, hidden]. */
typedef struct states {
    float *at;
    int64_t n, hidden;
} states;

static void keep(void *ctx, int where, int64_t first, int64_t n, const float *rows)
{
    states *s = ctx;
    float *block = s->at + (where + 1) * s->n * s->hidden;
    memcpy(block + first * s->hidden, rows, (size_t)(n * s->hidden) * sizeof *rows);
}

static void describe(rs_buf *h, const char *name, int64_t rows, int64_t cols,
                     uint64_t *at)
{
    uint64_t bytes = (uint64_t)(rows * cols) * sizeof(float);
    rs_buf_printf(
        h,
        ",\"%s\":{\"dtype\":\"F32\",\"shape\":[%lld,%lld],\"data_offsets\":[%llu,%llu]}",
        name, (long long)rows, (long long)cols, (unsigned long long)*at,
        (unsigned long long)(*at + bytes));
    *at += bytes;
}

static void describe_hidden(rs_buf *h, const rs_config *c, int64_t n, uint64_t *at)
{
    for (int i = -1; i <= c->n_layers; i++) {
        char name[32];
        snprintf(name, sizeof name, i < 0 ? "hidden.embed" : "hidden.layer.%d", i);
        if (i == c->n_layers) snprintf(name, sizeof name, "hidden.norm");
        describe(h, name, n, c->hidden, at);
    }
}

static rs_status write_out(const char *path, const rs_config *c, int64_t n,
                           const float *logits, const states *s, rs_err *err)
{
    rs_buf file = {0}, h = {0};
    uint64_t at = 0;
    unsigned char length[8];
    rs_buf_puts(&h, "{\"__metadata__\":{\"format\":\"pt\"}");
    describe(&h, "logits", n, c->vocab, &at);
    if (s->at) describe_hidden(&h, c, n, &at);
    rs_buf_putc(&h, '}');
    while (h.len % 8)
        rs_buf_putc(&h, ' ');
    rs_put_le64(length, h.len);
    rs_buf_add(&file, length, 8);
    rs_buf_add(&file, rs_buf_str(&h), h.len);
    rs_buf_add(&file, logits, (size_t)(n * c->vocab) * sizeof(float));
    if (s->at)
        rs_buf_add(&file, s->at,
                   (size_t)((c->n_layers + 2) * n * c->hidden) * sizeof(float));
    rs_status st = file.failed || h.failed
                       ? rs_fail(err, RS_E_NOMEM, "no memory for %s", path)
                       : rs_os_write_file(path, file.data, file.len, err);
    rs_buf_free(&file);
    rs_buf_free(&h);
    return st;
}

static rs_status run_model(ui_common *c, const logits_opts *o, const ui_model *m,
                           const rs_ids *ids, rs_err *err)
{
    rs_kv *kv = NULL;
    states s = {NULL, ids->n, m->config->hidden};
    float *logits = malloc((size_t)(ids->n * m->config->vocab) * sizeof *logits);
    if (o->hidden)
        s.at =
            calloc((size_t)((m->config->n_layers + 2) * ids->n * s.hidden), sizeof *s.at);
    rs_forward_options f = {
        .want = RS_WANT_ALL, .trace = s.at ? keep : NULL, .trace_ctx = &s};
    rs_status st = logits && (s.at || !o->hidden)
                       ? rs_kv_new(m->config, NULL, &kv, err)
                       : rs_fail(err, RS_E_NOMEM, "no memory for the logits");
    if (st == RS_OK)
        st = rs_forward(&c->rt, m->model, kv, ids->at, ids->n, &f, logits, err);
    if (st == RS_OK) st = write_out(o->out, m->config, ids->n, logits, &s, err);
    rs_kv_free(kv);
    free(logits);
    free(s.at);
    return st;
}

static rs_status work(ui_common *c, const logits_opts *o, const rs_ids *ids, rs_buf *said,
                      rs_err *err)
{
    ui_model m;
    if (!o->force && rs_os_kind(o->out) != RS_PATH_NONE)
        return rs_fail(err, RS_E_EXISTS, "%s exists; --force replaces it", o->out);
    RS_TRY(ui_model_open(c, o->model, UI_MODEL_WEIGHTS, NULL, &m, err));
    rs_status s = run_model(c, o, &m, ids, err);
    rs_buf_puts(said, "{\"out\":");
    rs_buf_json(said, o->out, strlen(o->out));
    rs_buf_printf(said, ",\"tokens\":%lld,\"vocab\":%d}", (long long)ids->n,
                  m.config->vocab);
    ui_model_close(&m);
    return s;
}

static int run(ui_common *c, void *options, int n_args, char **args)
{
    (void)n_args, (void)args;
    const logits_opts *o = options;
    rs_ids ids = {0};
    rs_buf said = {0};
    rs_err err;
    ui_progress show;
    if (!o->model || !o->ids || !o->out)
        return ui_usage("logits", "usage: ringside logits --model M --ids 2,9,4 --out F");
    if (!ui_parse_ids(o->ids, &ids)) {
        rs_ids_free(&ids);
        return ui_usage("logits", "--ids %s is not a list of ids like 2,9,4", o->ids);
    }
    ui_progress_begin(&show, c, "logits");
    rs_status s = work(c, o, &ids, &said, &err);
    ui_progress_end(&show, s, &err, rs_buf_str(&said));
    rs_buf_putc(&said, '\n');
    if (s == RS_OK && c->json) ui_print(&said);
    rs_buf_free(&said);
    rs_ids_free(&ids);
    return s == RS_OK ? UI_EXIT_OK : ui_fail("logits", &err);
}

const ui_verb ui_verb_logits = {
    .name = "logits",
    .usage = "--model M --ids 2,9,4 --out F [--hidden]",
    .summary = "logits of every position as a safetensors file",
    .details = "The file holds `logits` [T, vocab], float32, after the soft-cap; with "
               "--hidden also "
               "`hidden.embed`, `hidden.layer.N` and `hidden.norm` [T, hidden].",
    .opts = opts,
    .opts_size = sizeof(logits_opts),
    .run = run,
};
