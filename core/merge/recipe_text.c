#include "merge/recipe_internal.h"

#include <string.h>

/* The canonical text. Members of one object or list on a line of their own at the outer
 * levels, inline within: short enough to read, one line a model and an input, so that
 * differences between two versions are lines. */

typedef struct writer {
    const rs_recipe *r;
    rs_buf *out;
    const char *folder; /* NULL: paths as they are */
    bool first;         /* no member of the object at hand is written yet */
} writer;

static void put(writer *w, const char *s)
{
    rs_buf_puts(w->out, s);
}

static void put_string(writer *w, const char *s)
{
    rs_buf_json(w->out, s, strlen(s));
}

static void next_line(writer *w, int indent)
{
    put(w, w->first ? "\n" : ",\n");
    rs_buf_printf(w->out, "%*s", indent, "");
    w->first = false;
}

static void next_inline(writer *w)
{
    if (!w->first) put(w, ", ");
    w->first = false;
}

static void put_key(writer *w, const char *key)
{
    put_string(w, key);
    put(w, ": ");
}

static void line_key(writer *w, int indent, const char *key)
{
    next_line(w, indent);
    put_key(w, key);
}

static void inline_key(writer *w, const char *key)
{
    next_inline(w);
    put_key(w, key);
}

static void inline_string(writer *w, const char *key, const char *s)
{
    inline_key(w, key);
    put_string(w, s);
}

static void inline_number(writer *w, const char *key, double v)
{
    inline_key(w, key);
    rs_buf_json_double(w->out, v);
}

static void put_path(void *ctx, const char *path, rs_buf *b)
{
    const writer *w = ctx;
    char moved[4096];
    const char *shown = path;
    if (w->folder) {
        rs_path_rebase(w->r->folder, w->folder, path, moved, sizeof moved);
        shown = moved;
    }
    rs_buf_json(b, shown, strlen(shown));
}

static void inline_path(writer *w, const char *key, const char *path)
{
    inline_key(w, key);
    put_path(w, path, w->out);
}

static void inline_make(writer *w, const rs_make *m)
{
    if (!m) return;
    inline_key(w, "make");
    rs_make_write(m, put_path, w, w->out);
}

static void open_inline(writer *w)
{
    put(w, "{");
    w->first = true;
}

static void close_inline(writer *w)
{
    put(w, "}");
    w->first = false;
}

static void put_names(writer *w, const rs_names *n)
{
    put(w, "[");
    for (int i = 0; i < n->n; i++) {
        if (i) put(w, ", ");
        put_string(w, n->at[i]);
    }
    put(w, "]");
}

/* --- models and measures --- */

static void write_model(writer *w, const rs_model_entry *e)
{
    line_key(w, 4, e->name);
    if (e->later && !e->path && !e->adapter) {
        put(w, e->later);
        return;
    }
    open_inline(w);
    if (e->path) inline_path(w, "path", e->path);
    if (e->adapter) inline_path(w, "adapter", e->adapter);
    if (e->on) inline_string(w, "on", e->on);
    inline_make(w, e->make);
    close_inline(w);
}

static void write_measure(writer *w, const rs_measure_entry *e)
{
    line_key(w, 4, e->name);
    open_inline(w);
    inline_path(w, e->type == RS_MEASURE_FISHER ? "fisher" : "subspace", e->path);
    if (e->scale) inline_string(w, "scale", e->scale);
    inline_make(w, e->make);
    close_inline(w);
}

static void write_entries(writer *w)
{
    const rs_recipe *r = w->r;
    if (r->n_models) {
        line_key(w, 2, "models");
        open_inline(w);
        for (int i = 0; i < r->n_models; i++)
            write_model(w, &r->models[i]);
        put(w, "\n  }");
    }
    if (r->n_measures) {
        line_key(w, 2, "measures");
        open_inline(w);
        for (int i = 0; i < r->n_measures; i++)
            write_measure(w, &r->measures[i]);
        put(w, "\n  }");
    }
}

/* --- stages --- */

static void inline_pairs(writer *w, const char *key, const rs_pairs *p)
{
    if (p->n == 0) return;
    inline_key(w, key);
    open_inline(w);
    for (int i = 0; i < p->n; i++)
        inline_number(w, p->at[i].key, p->at[i].value);
    close_inline(w);
}

static void put_rows(writer *w, const rs_rows *rows)
{
    put(w, "[");
    for (int i = 0; i < rows->n; i++) {
        const rs_row *row = &rows->at[i];
        char op[2] = {row->op, 0};
        put(w, i ? ", [" : "[");
        put_string(w, row->selector);
        rs_buf_printf(w->out, ", \"%s\", ", op);
        rs_buf_json_double(w->out, row->value);
        put(w, "]");
    }
    put(w, "]");
}

static void inline_names(writer *w, const char *key, const rs_names *n)
{
    if (n->n == 0) return;
    inline_key(w, key);
    put_names(w, n);
}

static void write_gain(writer *w, const rs_gain_spec *g)
{
    bool factors = g->master != 1 || g->layers.n || g->kinds.n || g->cells.n ||
                   g->mute.n || g->solo.n || g->lock.n;
    if (!factors && g->rows.n == 0) return;
    line_key(w, 6, "gain");
    if (!factors) {
        put_rows(w, &g->rows);
        return;
    }
    open_inline(w);
    if (g->master != 1) inline_number(w, "master", g->master);
    inline_pairs(w, "layers", &g->layers);
    inline_pairs(w, "kinds", &g->kinds);
    inline_pairs(w, "cells", &g->cells);
    if (g->rows.n) inline_key(w, "rows"), put_rows(w, &g->rows);
    inline_names(w, "mute", &g->mute);
    inline_names(w, "solo", &g->solo);
    inline_names(w, "lock", &g->lock);
    close_inline(w);
}

static void write_t(writer *w, const rs_t_spec *t)
{
    line_key(w, 6, "t");
    if (!t->layers.n && !t->kinds.n && !t->cells.n && !t->rows.n) {
        rs_buf_json_double(w->out, t->fallback);
        return;
    }
    open_inline(w);
    inline_number(w, "default", t->fallback);
    inline_pairs(w, "layers", &t->layers);
    inline_pairs(w, "kinds", &t->kinds);
    inline_pairs(w, "cells", &t->cells);
    if (t->rows.n) inline_key(w, "rows"), put_rows(w, &t->rows);
    close_inline(w);
}

static void write_dampen(writer *w, const rs_dampen_spec *d)
{
    static const char *const overs[] = {"layers", "all", "targets"};
    if (d->kind == RS_DAMPEN_NONE && !d->by) return;
    line_key(w, 6, "dampen");
    open_inline(w);
    if (d->by) inline_string(w, "by", d->by);
    if (d->task) inline_string(w, "task", d->task);
    inline_string(w, "kind", rs_dampen_name(d->kind));
    if (d->lambda != 1) inline_number(w, "lambda", d->lambda);
    if (d->parameter != 1) inline_number(w, "parameter", d->parameter);
    if (d->layer != 1) inline_number(w, "layer", d->layer);
    if (d->q != 0.99) inline_number(w, "q", d->q);
    if (d->normaliser != rs_normaliser_default(d->kind))
        inline_string(w, "normaliser", rs_normaliser_name(d->normaliser));
    if (d->over != RS_OVER_LAYERS) inline_string(w, "over", overs[d->over]);
    if (d->per_tensor) inline_string(w, "scope", "tensor");
    if (d->clamp) inline_key(w, "clamp"), put(w, "true");
    close_inline(w);
}

static void line_string(writer *w, const char *key, const char *value)
{
    line_key(w, 6, key);
    put_string(w, value);
}

static void write_mask(writer *w, const rs_mask_spec *m)
{
    if (!m->by) return;
    line_key(w, 6, "mask");
    open_inline(w);
    inline_string(w, "by", m->by);
    inline_string(w, "side", rs_mask_side_name(m->side));
    if (m->strength != 1) inline_number(w, "strength", m->strength);
    if (m->per_layer) inline_key(w, "per_layer"), put(w, "true");
    close_inline(w);
    if (m->last) line_string(w, "order", "mask_last");
}

static void write_inputs(writer *w, const rs_stage *s)
{
    line_key(w, 6, "inputs");
    put(w, "[");
    w->first = true;
    for (int i = 0; i < s->n_inputs; i++) {
        next_line(w, 8);
        open_inline(w);
        inline_string(w, "from", s->inputs[i].from);
        if (s->inputs[i].weight != 1) inline_number(w, "weight", s->inputs[i].weight);
        close_inline(w);
    }
    put(w, "\n      ]");
    w->first = false;
}

static void line_number(writer *w, const char *key, double v)
{
    line_key(w, 6, key);
    rs_buf_json_double(w->out, v);
}

static void write_task_arithmetic(writer *w, const rs_stage *s)
{
    line_string(w, "base", s->base);
    write_inputs(w, s);
    if (s->normalize) line_key(w, 6, "normalize"), put(w, "true");
    if (s->scale != 1) line_number(w, "scale", s->scale);
    write_mask(w, &s->mask);
    write_dampen(w, &s->dampen);
    write_gain(w, &s->gain);
}

static void write_slerp(writer *w, const rs_stage *s)
{
    if (s->base) line_string(w, "base", s->base);
    write_inputs(w, s);
    write_t(w, &s->t);
    if (s->space_delta) line_string(w, "space", "delta");
    if (s->norm_lerp) line_string(w, "norm", "lerp");
    if (s->rowwise) line_key(w, 6, "rowwise"), put(w, "true");
    if (s->vectors_slerp) line_string(w, "vectors", "slerp");
    if (s->opposite_error) line_string(w, "opposite", "error");
    if (s->flat_below != 1e-6) line_number(w, "flat_below", s->flat_below);
}

static void write_stage(writer *w, const rs_stage *s)
{
    next_line(w, 4);
    if (s->method == RS_METHOD_LATER) {
        put(w, s->later);
        return;
    }
    open_inline(w);
    line_string(w, "name", s->name);
    line_string(w, "method", s->method_name);
    if (s->method == RS_METHOD_SLERP)
        write_slerp(w, s);
    else
        write_task_arithmetic(w, s);
    put(w, "\n    }");
    w->first = false;
}

static void write_stages(writer *w)
{
    line_key(w, 2, "stages");
    put(w, "[");
    w->first = true;
    for (int i = 0; i < w->r->n_stages; i++)
        write_stage(w, &w->r->stages[i]);
    put(w, "\n  ]");
    w->first = false;
}

/* --- the document --- */

static const char *dtype_word(rs_dtype d)
{
    return d == RS_DTYPE_F32 ? "float32" : d == RS_DTYPE_F16 ? "float16" : "bfloat16";
}

static void write_budget(writer *w)
{
    const rs_recipe *r = w->r;
    if (r->budget <= 0) return;
    line_key(w, 2, "budget");
    open_inline(w);
    inline_number(w, "damage", r->budget);
    if (r->budget_of) inline_string(w, "of", r->budget_of);
    close_inline(w);
}

static void write_output(writer *w)
{
    const rs_recipe *r = w->r;
    line_key(w, 2, "output");
    open_inline(w);
    inline_string(w, "stage", r->output_stage);
    inline_string(w, "dtype", dtype_word(r->output_dtype));
    if (r->stochastic) inline_string(w, "rounding", "stochastic");
    if (r->seed) inline_number(w, "seed", (double)r->seed);
    if (r->shard_bytes != 5000000000)
        inline_number(w, "shard_bytes", (double)r->shard_bytes);
    close_inline(w);
}

void rs_recipe_text(const rs_recipe *r, const char *folder, rs_buf *out)
{
    writer w = {.r = r, .out = out, .folder = folder, .first = true};
    put(&w, "{");
    line_key(&w, 2, "ringside");
    put(&w, "1");
    line_key(&w, 2, "name");
    put_string(&w, r->name);
    if (r->notes && r->notes[0]) line_key(&w, 2, "notes"), put_string(&w, r->notes);
    if (r->tags.n) line_key(&w, 2, "tags"), put_names(&w, &r->tags);
    write_entries(&w);
    write_stages(&w);
    write_budget(&w);
    write_output(&w);
    put(&w, "\n}\n");
}
