/* ringside grad: gradients of all tensors, for checking. */
#include "learn/backward.h"
#include "learn/gradients.h"
#include "store/tensor_file.h"
#include "tui/verbs/learn_data.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct grad_opts {
    const char *model, *ids, *jsonl, *out, *chat_template;
    bool raw, force;
} grad_opts;

static const ui_opt opts[] = {
    {"--model", UI_OPT_STRING, "M", "the model", offsetof(grad_opts, model)},
    {"--ids", UI_OPT_STRING, "2,9,4", "one sequence of token ids",
     offsetof(grad_opts, ids)},
    {"--jsonl", UI_OPT_STRING, "F", "JSON lines: text, prompt, messages or ids",
     offsetof(grad_opts, jsonl)},
    {"--out", UI_OPT_STRING, "F", "the safetensors file", offsetof(grad_opts, out)},
    {"--raw", UI_OPT_FLAG, NULL, "prompts as plain text, no chat format",
     offsetof(grad_opts, raw)},
    {"--chat-template", UI_OPT_STRING, "NAME", "chat format instead of the model's own",
     offsetof(grad_opts, chat_template)},
    {"--force", UI_OPT_FLAG, NULL, "replace an existing file",
     offsetof(grad_opts, force)},
    {NULL, UI_OPT_FLAG, NULL, NULL, 0},
};

typedef struct totals {
    double loss;
    int64_t tokens;
} totals;

static rs_status read_data(const grad_opts *o, const ui_model *m, ui_examples *e,
                           rs_err *err)
{
    if (o->jsonl)
        return ui_examples_read(m->config, m->tokenizer, m->chat, o->jsonl, true, o->raw, NULL,
                                m->config->max_positions, 0, e, err);
    rs_ids ids = {0};
    (void)ui_parse_ids(o->ids, &ids); /* checked before */
    *e = (ui_examples){.at = calloc(1, sizeof *e->at), .n = 1};
    if (!e->at) return rs_fail(err, RS_E_NOMEM, "no memory for a sequence");
    e->at[0] = (rs_example){ids.at, NULL, ids.n};
    return RS_OK;
}

static rs_status backward(ui_common *c, const ui_model *m, const ui_examples *e,
                          rs_gradients *g, ui_progress *show, totals *t, rs_err *err)
{
    int64_t longest = 2;
    for (int i = 0; i < e->n; i++)
        if (e->at[i].n > longest) longest = e->at[i].n;
    rs_work *w;
    rs_sequence *s = NULL;
    rs_sink sink = rs_gradients_sink(g);
    RS_TRY(rs_work_new(&c->rt, m->model, longest, &w, err));
    rs_status st = rs_sequence_new(m->config, longest, true, &s, err);
    for (int i = 0; i < e->n && st == RS_OK; i++) {
        double loss = 0;
        st = rs_sequence_set(s, e->at[i].ids, e->at[i].labels, e->at[i].n, err);
        if (st == RS_OK) st = rs_backward_all(w, s, 1, &sink, &loss, err);
        t->loss += loss;
        t->tokens += st == RS_OK ? s->n_counted : 0;
        rs_progress p = {(uint64_t)i + 1, (uint64_t)e->n, "sequences", "gradients"};
        if (st == RS_OK && !ui_progress_step(show, &p))
            st = rs_fail(err, RS_E_CANCELLED, "cancelled after %d of %d sequences", i + 1,
                         e->n);
    }
    rs_sequence_free(s);
    rs_work_free(w);
    return st;
}

/* The tensors of the file that have a gradient, under their names. */
static int list_tensors(const rs_checkpoint *f, const ui_model *m, const rs_gradients *g,
                        rs_write_tensor *list, const float **values)
{
    int n = 0;
    for (int i = 0; i < rs_checkpoint_count(f); i++) {
        const rs_tensor *t = rs_checkpoint_at(f, i);
        int layer;
        const rs_slot *slot = rs_slot_of(m->config, t->name, &layer);
        const float *v = slot ? rs_gradients_of(g, layer, slot) : NULL;
        if (!v) continue;
        list[n] = (rs_write_tensor){t->name, RS_DTYPE_F32, t->n_dims, {0}};
        memcpy(list[n].dim, t->dim, sizeof t->dim);
        values[n++] = v;
    }
    return n;
}

static rs_status write_out(const grad_opts *o, const ui_model *m, const rs_gradients *g,
                           rs_err *err)
{
    rs_checkpoint *f;
    RS_TRY(rs_checkpoint_open(m->path, &f, err));
    size_t count = (size_t)rs_checkpoint_count(f) + 1;
    rs_write_tensor *list = calloc(count, sizeof *list);
    const float **values = calloc(count, sizeof *values);
    rs_tensor_file *out = NULL;
    rs_status s =
        list && values ? RS_OK : rs_fail(err, RS_E_NOMEM, "no memory for a list");
    rs_write_plan plan = {.tensors = list, .force = o->force};
    if (s == RS_OK) plan.n_tensors = list_tensors(f, m, g, list, values);
    if (s == RS_OK) s = rs_tensor_file_new(o->out, &plan, false, &out, err);
    for (int i = 0; i < plan.n_tensors && s == RS_OK; i++) {
        size_t bytes = sizeof(float);
        for (int d = 0; d < list[i].n_dims; d++)
            bytes *= (size_t)list[i].dim[d];
        s = rs_tensor_file_write(out, i, 0, values[i], bytes, err);
    }
    if (s == RS_OK) s = rs_tensor_file_finish(out, err);
    rs_tensor_file_free(out);
    free(list);
    free(values);
    rs_checkpoint_close(f);
    return s;
}

static rs_status work(ui_common *c, const grad_opts *o, ui_progress *show, totals *t,
                      rs_err *err)
{
    ui_model m;
    ui_examples e = {0};
    rs_gradients *g = NULL;
    int parts = UI_MODEL_WEIGHTS | (o->jsonl ? UI_MODEL_TOKENIZER : 0);
    RS_TRY(ui_model_open(c, o->model, parts, o->chat_template, &m, err));
    rs_status s = read_data(o, &m, &e, err);
    if (s == RS_OK) s = rs_gradients_new(&c->rt, m.config, &g, err);
    if (s == RS_OK) s = backward(c, &m, &e, g, show, t, err);
    if (s == RS_OK) s = write_out(o, &m, g, err);
    rs_gradients_free(g);
    ui_examples_free(&e);
    ui_model_close(&m);
    return s;
}

static int check_words(const grad_opts *o)
{
    rs_ids ids = {0};
    if (!o->model || !o->out || !o->ids == !o->jsonl)
        return ui_usage(
            "grad", "usage: ringside grad --model M (--ids 2,9,4 | --jsonl F) --out F");
    bool good = !o->ids || ui_parse_ids(o->ids, &ids);
    rs_ids_free(&ids);
    return good ? UI_EXIT_OK
                : ui_usage("grad", "--ids %s is not a list of ids like 2,9,4", o->ids);
}

static int run(ui_common *c, void *options, int n_args, char **args)
{
    (void)n_args, (void)args;
    const grad_opts *o = options;
    int wrong = check_words(o);
    if (wrong) return wrong;
    rs_err err;
    ui_progress show;
    totals t = {0};
    rs_buf said = {0};
    ui_progress_begin(&show, c, "grad");
    rs_status s = work(c, o, &show, &t, &err);
    rs_buf_puts(&said, "{\"loss\":");
    rs_buf_json_double(&said, t.loss);
    rs_buf_printf(&said, ",\"tokens\":%" PRId64 "}", t.tokens);
    ui_progress_end(&show, s, &err, rs_buf_str(&said));
    rs_buf_putc(&said, '\n');
    if (s == RS_OK && c->json) ui_print(&said);
    rs_buf_free(&said);
    return s == RS_OK ? UI_EXIT_OK : ui_fail("grad", &err);
}

const ui_verb ui_verb_grad = {
    .name = "grad",
    .usage = "--model M (--ids 2,9,4 | --jsonl F) --out F",
    .summary = "gradients of the summed loss, as a safetensors file",
    .details =
        "The loss is the negative log-likelihood summed over all counted tokens of all "
        "sequences; the tensors have the model's names, a tied head is the "
        "embedding's. --json prints {\"loss\":..,\"tokens\":..}.",
    .opts = opts,
    .opts_size = sizeof(grad_opts),
    .run = run,
};
