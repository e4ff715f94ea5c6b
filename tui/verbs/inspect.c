/* ringside inspect PATH: what a file or folder is, from its headers alone. */
#include "merge/adapter.h"
#include "model/names.h"
#include "store/gguf.h"
#include "tui/verbs/verbs.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef struct inspect_opts {
    bool tensors;
} inspect_opts;

static const ui_opt opts[] = {
    {"--tensors", UI_OPT_FLAG, NULL, "list every tensor",
     offsetof(inspect_opts, tensors)},
    {NULL, UI_OPT_FLAG, NULL, NULL, 0},
};

typedef enum subject_kind {
    IS_MODEL,
    IS_ADAPTER,
    IS_MEASURE,
    IS_TENSORS,
    IS_SUBSPACE,
    IS_CONTRAST
} subject_kind;

typedef struct subject {
    rs_checkpoint *file;
    rs_config *config;   /* of a model */
    rs_adapter *adapter; /* of an adapter */
    subject_kind kind;
    const char
        *why_no_config; /* the sentence, where a model's config is not understood */
    rs_err config_err;
    char identity[33];
    int64_t n_elements, n_inert;
    int count[RS_N_DTYPES];
} subject;

/* --- looking --- */

static bool has_lora(const rs_checkpoint *c)
{
    for (int i = 0; i < rs_checkpoint_count(c); i++)
        if (strstr(rs_checkpoint_at(c, i)->name, "lora_A")) return true;
    return false;
}

static bool is_measure(const rs_checkpoint *c)
{
    return rs_checkpoint_metadata(c, "kind") || rs_checkpoint_metadata(c, "scale");
}

static bool is_of_kind(const rs_checkpoint *c, const char *which)
{
    const char *kind = rs_checkpoint_metadata(c, "kind");
    return kind && strcmp(kind, which) == 0;
}

static void count_tensors(subject *s)
{
    for (int i = 0; i < rs_checkpoint_count(s->file); i++) {
        const rs_tensor *t = rs_checkpoint_at(s->file, i);
        s->n_elements += t->n_elements;
        s->count[t->dtype]++;
        if (s->config && rs_role_of(s->config, t->name).inert) s->n_inert++;
    }
}

static rs_status look(const char *path, subject *s, rs_err *err)
{
    *s = (subject){.kind = IS_TENSORS};
    RS_TRY(rs_checkpoint_open(path, &s->file, err));
    if (has_lora(s->file)) {
        s->kind = IS_ADAPTER;
        RS_TRY(rs_adapter_open(path, &s->adapter, err));
    } else if (rs_checkpoint_layout(s->file) == RS_LAYOUT_FILE) {
        s->kind = is_of_kind(s->file, "subspace")   ? IS_SUBSPACE
                  : is_of_kind(s->file, "contrast") ? IS_CONTRAST
                  : is_measure(s->file)             ? IS_MEASURE
                                                    : IS_TENSORS;
    } else {
        s->kind = IS_MODEL;
        if (rs_config_load(s->file, &s->config, &s->config_err) != RS_OK)
            s->why_no_config = s->config_err.msg;
    }
    count_tensors(s);
    return rs_checkpoint_identity(s->file, s->identity, err);
}

static void release(subject *s)
{
    rs_adapter_close(s->adapter);
    rs_config_free(s->config);
    rs_checkpoint_close(s->file);
}

static const char *kind_name(const subject *s)
{
    static const char *const names[] = {"model", "adapter", "fisher", "tensors",
                                        "subspace", "contrast mask"};
    bool gguf = rs_checkpoint_layout(s->file) == RS_LAYOUT_GGUF;
    return gguf ? "gguf" : names[s->kind];
}

/* --- for people --- */

static void put_dtypes(rs_buf *b, const subject *s, const char *between)
{
    bool first = true;
    for (int d = 0; d < RS_N_DTYPES; d++) {
        if (s->count[d] == 0) continue;
        rs_buf_printf(b, "%s%d %s", first ? "" : between, s->count[d],
                      rs_dtype_name((rs_dtype)d));
        first = false;
    }
}

static void full_layers(const rs_config *c, rs_buf *b)
{
    int n = 0;
    for (int i = 0; i < c->n_layers; i++)
        n += c->layers[i].is_full;
    if (n == 0 || n == c->n_layers) {
        rs_buf_puts(b, n ? ", full attention in all" : ", sliding in all");
        return;
    }
    rs_buf_puts(b, ", full attention at");
    for (int i = 0; i < c->n_layers; i++)
        if (c->layers[i].is_full) rs_buf_printf(b, " %d", i);
}

static void config_text(const rs_config *c, rs_buf *b)
{
    int sharers = 0;
    for (int i = 0; i < c->n_layers; i++)
        sharers += c->layers[i].is_sharer;
    rs_buf_printf(b, "family     %s\nlayers     %d", c->model_type, c->n_layers);
    full_layers(c, b);
    if (sharers) rs_buf_printf(b, "; %d read another's K and V", sharers);
    rs_buf_printf(b, "\nsizes      hidden %d, mlp %d, vocabulary %d", c->hidden,
                  c->layers[0].intermediate, c->vocab);
    if (c->ple_width) rs_buf_printf(b, ", per-layer input %d", c->ple_width);
    rs_buf_printf(b, "\nheads      %d of %d, %d for K and V", c->n_heads,
                  c->layers[0].head_dim, c->layers[0].n_kv_heads);
    if (c->sliding_window) rs_buf_printf(b, ", window %d", c->sliding_window);
    rs_buf_putc(b, '\n');
    rs_buf_printf(b, "head       %s",
                  c->tied_head ? "tied to the embeddings" : "of its own");
    if (c->final_softcap > 0) rs_buf_printf(b, ", soft-cap %g", c->final_softcap);
    rs_buf_putc(b, '\n');
}

static void adapter_text(const rs_adapter *a, rs_buf *b)
{
    rs_buf_printf(b, "adapter    LoRA rank %d, alpha %g%s, %d pairs\n", a->rank, a->alpha,
                  a->rslora ? ", rsLoRA" : "", a->n_pairs);
    if (a->base_name && *a->base_name) {
        rs_buf_puts(b, "made on    ");
        ui_put_clean(b, a->base_name);
        rs_buf_putc(b, '\n');
    }
}

static void metadata_text(const rs_checkpoint *c, rs_buf *b)
{
    for (int i = 0; i < rs_checkpoint_n_metadata(c) && i < 12; i++) {
        const char *key, *value;
        rs_checkpoint_metadata_at(c, i, &key, &value);
        if (strcmp(key, "format") == 0 || strcmp(key, "ringside.recipe") == 0) continue;
        if (strncmp(key, "tokenizer.", 10) == 0 || strlen(value) > 200) continue;
        ui_put_clean(b, key);
        rs_buf_puts(b, " = ");
        ui_put_clean(b, value);
        rs_buf_putc(b, '\n');
    }
}

static void tensors_text(const subject *s, rs_buf *b)
{
    rs_buf_putc(b, '\n');
    for (int i = 0; i < rs_checkpoint_count(s->file); i++) {
        const rs_tensor *t = rs_checkpoint_at(s->file, i);
        char shape[128];
        rs_tensor_shape(t, shape, sizeof shape);
        ui_put_clean(b, t->name);
        for (size_t n = strlen(t->name); n < 56; n++)
            rs_buf_putc(b, ' ');
        rs_buf_printf(b, " %s%s\n", shape,
                      s->config && rs_role_of(s->config, t->name).inert ? " inert" : "");
    }
}

static void text(const char *path, const subject *s, const inspect_opts *o, rs_buf *b)
{
    ui_put_clean(b, path);
    rs_buf_printf(b, "\nwhat       %s", kind_name(s));
    if (rs_checkpoint_n_files(s->file) > 1)
        rs_buf_printf(b, " in %d files", rs_checkpoint_n_files(s->file));
    rs_buf_putc(b, '\n');
    if (s->config) config_text(s->config, b);
    if (s->why_no_config) rs_buf_printf(b, "config     %s\n", s->why_no_config);
    if (s->adapter) adapter_text(s->adapter, b);
    rs_buf_printf(b, "tensors    %d: ", rs_checkpoint_count(s->file));
    put_dtypes(b, s, ", ");
    if (s->n_inert) rs_buf_printf(b, "; %" PRId64 " are read by nothing", s->n_inert);
    rs_buf_printf(b, "\nnumbers    %" PRId64 " in %.1f MB\nidentity   %s\n",
                  s->n_elements, (double)rs_checkpoint_bytes(s->file) / 1e6, s->identity);
    metadata_text(s->file, b);
    if (o->tensors) tensors_text(s, b);
}

/* --- for programs --- */

static void config_json(const rs_config *c, rs_buf *b)
{
    rs_buf_puts(b, ",\"family\":");
    rs_buf_json(b, c->model_type, strlen(c->model_type));
    rs_buf_printf(b, ",\"layers\":%d,\"hidden\":%d,\"vocab\":%d,\"tied\":%s", c->n_layers,
                  c->hidden, c->vocab, c->tied_head ? "true" : "false");
}

static void tensor_json(const rs_tensor *t, rs_buf *b)
{
    rs_buf_puts(b, "{\"name\":");
    rs_buf_json(b, t->name, strlen(t->name));
    rs_buf_printf(b, ",\"dtype\":\"%s\",\"shape\":[", rs_dtype_name(t->dtype));
    for (int d = 0; d < t->n_dims; d++)
        rs_buf_printf(b, "%s%" PRId64, d ? "," : "", t->dim[d]);
    rs_buf_puts(b, "]}");
}

static void json(const char *path, const subject *s, const inspect_opts *o, rs_buf *b)
{
    rs_buf_puts(b, "{\"path\":");
    rs_buf_json(b, path, strlen(path));
    rs_buf_printf(b,
                  ",\"what\":\"%s\",\"files\":%d,\"tensors\":%d,\"parameters\":%" PRId64
                  ",\"bytes\":%" PRIu64 ",\"identity\":\"%s\"",
                  kind_name(s), rs_checkpoint_n_files(s->file),
                  rs_checkpoint_count(s->file), s->n_elements,
                  rs_checkpoint_bytes(s->file), s->identity);
    if (s->config) config_json(s->config, b);
    if (s->adapter)
        rs_buf_printf(b, ",\"rank\":%d,\"alpha\":%g,\"rslora\":%s,\"pairs\":%d",
                      s->adapter->rank, s->adapter->alpha,
                      s->adapter->rslora ? "true" : "false", s->adapter->n_pairs);
    if (o->tensors) {
        rs_buf_puts(b, ",\"list\":[");
        for (int i = 0; i < rs_checkpoint_count(s->file); i++) {
            if (i) rs_buf_putc(b, ',');
            tensor_json(rs_checkpoint_at(s->file, i), b);
        }
        rs_buf_putc(b, ']');
    }
    rs_buf_puts(b, "}\n");
}

static int run(ui_common *c, void *options, int n_args, char **args)
{
    (void)n_args;
    char path[4096];
    rs_err err;
    subject s = {0};
    rs_status st = ui_resolve(NULL, args[0], path, &err);
    if (st == RS_OK) st = look(path, &s, &err);
    if (st == RS_OK) {
        rs_buf b = {0};
        if (c->json)
            json(args[0], &s, options, &b);
        else
            text(args[0], &s, options, &b);
        ui_print(&b);
        rs_buf_free(&b);
    }
    release(&s);
    return st == RS_OK ? UI_EXIT_OK : ui_fail("inspect", &err);
}

const ui_verb ui_verb_inspect = {
    .name = "inspect",
    .usage = "PATH [--tensors]",
    .summary =
        "what a model, adapter, GGUF, Fisher or other safetensors file is, from headers",
    .opts = opts,
    .opts_size = sizeof(inspect_opts),
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
