/* recipe_spread.c - how the Fisher of tensors lies, for people and programs. */
#include "merge/selector.h"
#include "tui/verbs/recipe_arg.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void ui_mark_name(const rs_mark *m, const rs_dampen_spec *d, char dst[32])
{
    if (m->kind == RS_MARK_HARD)
        snprintf(dst, 32, "hard q %g", d->q);
    else
        snprintf(dst, 32, "%s", rs_normaliser_name((rs_normaliser)m->normaliser));
}

static const rs_dampen_spec *spec_of(const rs_plan *p)
{
    const rs_stage *s = rs_recipe_fuel(rs_plan_recipe(p));
    return s ? &s->dampen : NULL;
}

/* --- for programs --- */

static void put(rs_buf *b, const char *key, double v)
{
    rs_buf_printf(b, ",\"%s\":", key);
    rs_buf_json_double(b, v);
}

static void mark_json(const rs_plan *p, const rs_spread *s, const rs_mark *m,
                      const char *key, rs_buf *b)
{
    char name[32];
    if (m->kind == RS_MARK_NONE) {
        rs_buf_printf(b, ",\"%s\":null", key);
        return;
    }
    ui_mark_name(m, spec_of(p), name);
    rs_buf_printf(b, ",\"%s\":{\"by\":\"%s\"", key, name);
    put(b, "at", m->at);
    put(b, "above", m->above);
    put(b, "share", s->n > 0 ? m->above / s->n : NAN);
    if (m == &s->cut) put(b, "d", rs_spread_d(spec_of(p)));
    rs_buf_putc(b, '}');
}

static void spread_json(const rs_plan *p, const rs_spread *s, rs_buf *b)
{
    const char *name = rs_plan_at(p, s->i_tensor)->name;
    rs_buf_puts(b, "{\"tensor\":");
    rs_buf_json(b, name, strlen(name));
    put(b, "n", s->n);
    put(b, "zeros", s->zeros);
    put(b, "mean", s->mean);
    put(b, "max", s->max);
    put(b, "unit", s->unit);
    mark_json(p, s, &s->cut, "cut", b);
    mark_json(p, s, &s->other, "other", b);
    rs_buf_puts(b, ",\"bins\":[");
    for (int i = s->first; i < s->first + s->count; i++) {
        rs_buf_puts(b, i > s->first ? ",[" : "[");
        rs_buf_json_double(b, rs_spread_edge(i));
        rs_buf_printf(b, ",%llu]", (unsigned long long)s->bin[i]);
    }
    rs_buf_puts(b, "]}");
}

/* --- for people --- */

static void mark_text(const rs_plan *p, const rs_spread *s, const rs_mark *m, rs_buf *b)
{
    char name[32];
    if (m->kind == RS_MARK_NONE) return;
    ui_mark_name(m, spec_of(p), name);
    rs_buf_printf(b, "%-12s F %.4g, %.4g of mean F; %.4g %% lie there or above",
                  m == &s->cut ? "cut" : "beside it", m->at, m->at / s->unit,
                  s->n > 0 ? 100 * m->above / s->n : 0);
    rs_buf_printf(b, "   (%s", name);
    if (m == &s->cut) rs_buf_printf(b, ", d %.3f there", rs_spread_d(spec_of(p)));
    rs_buf_puts(b, ")\n");
}

static void spread_text(const rs_plan *p, const rs_spread *s, rs_buf *b)
{
    uint64_t most = 1;
    for (int i = s->first; i < s->first + s->count; i++)
        if (s->bin[i] > most) most = s->bin[i];
    ui_put_clean(b, rs_plan_at(p, s->i_tensor)->name);
    rs_buf_printf(b, "\nnumbers      %.0f, %.0f of them 0; mean %.4g, largest %.4g\n",
                  s->n, s->zeros, s->mean, s->max);
    mark_text(p, s, &s->cut, b);
    mark_text(p, s, &s->other, b);
    for (int i = s->first; i < s->first + s->count; i++) {
        int bar = (int)(40.0 * (double)s->bin[i] / (double)most + 0.5);
        rs_buf_printf(b, "%11.4g  %10llu  ", rs_spread_edge(i),
                      (unsigned long long)s->bin[i]);
        for (int k = 0; k < bar; k++)
            rs_buf_putc(b, '#');
        rs_buf_putc(b, '\n');
    }
}

/* --- all that a selector takes --- */

typedef struct request {
    const rs_plan *p;
    const rs_selector *selector;
    ui_progress show;
    bool json;
    rs_buf *out;
} request;

static rs_status spread_all(request *q, rs_spreads *spreads, int *n, rs_err *err)
{
    rs_spread s;
    for (int i = 0; i < rs_plan_count(q->p); i++) {
        const rs_plan_tensor *t = rs_plan_at(q->p, i);
        if (!rs_selector_matches(q->selector, rs_plan_config(q->p), &t->role, t->name) ||
            !rs_spread_is_there(q->p, i))
            continue;
        RS_TRY(rs_spreads_tensor(spreads, i, ui_progress_step, &q->show, &s, err));
        if (*n) rs_buf_puts(q->out, q->json ? "," : "\n");
        ++*n;
        if (q->json)
            spread_json(q->p, &s, q->out);
        else
            spread_text(q->p, &s, q->out);
    }
    return RS_OK;
}

static rs_status answer(ui_common *c, request *q, const char *selector, rs_err *err)
{
    int n = 0;
    rs_spreads *spreads;
    RS_TRY(rs_spreads_open(&c->rt, q->p, ui_progress_step, &q->show, &spreads, err));
    if (q->json) rs_buf_puts(q->out, "{\"tensors\":[");
    rs_status s = spread_all(q, spreads, &n, err);
    if (q->json) rs_buf_puts(q->out, "]}\n");
    rs_spreads_close(spreads);
    if (s != RS_OK || n) return s;
    return rs_fail(err, RS_E_INVALID, "\"%s\" takes no tensor that the Fisher holds",
                   selector);
}

rs_status ui_recipe_spread(ui_common *c, const rs_plan *p, const char *selector,
                           rs_buf *out, rs_err *err)
{
    rs_arena arena = {0};
    request q = {.p = p, .json = c->json, .out = out};
    rs_status s = rs_selector_parse(&arena, selector, &q.selector, err);
    if (s == RS_OK) {
        ui_progress_begin(&q.show, c, "damage");
        s = answer(c, &q, selector, err);
        ui_progress_end(&q.show, s, err, NULL);
    }
    rs_arena_free(&arena);
    return s;
}
