/* make_order.c - what the products of a recipe are made from, and in which order. Nodes are
 * the recipe's models and measures; arrows lead to what a node is made from. */
#include "merge/make.h"

#include "merge/recipe_internal.h"
#include "merge/suggest.h"

#include <stdio.h>
#include <string.h>

enum { NODES = 2 * RS_RECIPE_ENTRIES, ARROWS = 8 };

static int node_of(const rs_recipe *r, const char *name)
{
    const rs_model_entry *e = rs_recipe_model(r, name);
    return e ? (int)(e - r->models) : -1;
}

static int measure_node(const rs_recipe *r, const char *name)
{
    const rs_measure_entry *e = rs_recipe_measure(r, name);
    return e ? r->n_models + (int)(e - r->measures) : -1;
}

static const char *node_name(const rs_recipe *r, int node)
{
    return node < r->n_models ? r->models[node].name
                              : r->measures[node - r->n_models].name;
}

static const rs_make *make_of(const rs_recipe *r, int node)
{
    return node < r->n_models ? r->models[node].make
                              : r->measures[node - r->n_models].make;
}

static const char *path_of(const rs_recipe *r, int node)
{
    return node < r->n_models ? r->models[node].adapter
                              : r->measures[node - r->n_models].path;
}

typedef struct arrows {
    int to[ARROWS], n;
} arrows;

static void add(arrows *a, int node)
{
    if (node >= 0 && a->n < ARROWS) a->to[a->n++] = node;
}

static void arrows_of_make(const rs_recipe *r, const rs_make *m, arrows *a)
{
    for (const rs_make_key *k = rs_make_keys(m->type); k->name; k++) {
        const char *name = rs_make_reference(m, k);
        if (!name) continue;
        add(a, k->holds == RS_HOLDS_MODEL ? node_of(r, name) : measure_node(r, name));
    }
}

static void arrows_of(const rs_recipe *r, int node, arrows *a)
{
    const rs_make *m = make_of(r, node);
    a->n = 0;
    if (m) arrows_of_make(r, m, a);
    if (node < r->n_models && r->models[node].on) add(a, node_of(r, r->models[node].on));
}

/* --- the walk --- */

typedef struct walk {
    const rs_recipe *r;
    char state[NODES]; /* 0 not seen, 1 on the way, 2 done */
    rs_made *out;   /* may be NULL */
    int n;
} walk;

static void take(walk *w, int node)
{
    const rs_recipe *r = w->r;
    const rs_make *m = make_of(r, node);
    if (!m || !w->out || w->n == RS_MADE) return;
    w->out[w->n++] = (rs_made){.name = node_name(r, node),
                                  .path = path_of(r, node),
                                  .make = m,
                                  .node = node};
}

/* At most as deep as there are nodes. */
static rs_status visit(walk *w, int node, rs_err *err)
{
    arrows a;
    if (w->state[node] == 2) return RS_OK;
    if (w->state[node] == 1)
        return rs_fail(err, RS_E_INVALID, "\"%s\" would be made from itself",
                       node_name(w->r, node));
    w->state[node] = 1;
    arrows_of(w->r, node, &a);
    for (int i = 0; i < a.n; i++)
        RS_TRY(visit(w, a.to[i], err));
    w->state[node] = 2;
    take(w, node);
    return RS_OK;
}

static rs_status not_made(const rs_recipe *r, const char *name, rs_err *err)
{
    const char *known[2 * RS_RECIPE_ENTRIES];
    char hint[256];
    int n = 0;
    for (int i = 0; i < r->n_models + r->n_measures; i++)
        if (make_of(r, i)) known[n++] = node_name(r, i);
    rs_did_you_mean(hint, sizeof hint, name, known, n);
    return rs_fail(err, RS_E_NOT_FOUND, "the recipe \"%s\" has no \"make\" for \"%s\"%s",
                   r->name, name, hint);
}

rs_status rs_made_list(const rs_recipe *r, const char *only, rs_made *out, int *n,
                      rs_err *err)
{
    walk w = {.r = r, .out = out};
    *n = 0;
    bool found = !only;
    for (int i = 0; i < r->n_models + r->n_measures; i++) {
        if (!make_of(r, i) || (only && strcmp(only, node_name(r, i)) != 0)) continue;
        found = true;
        RS_TRY(visit(&w, i, err));
    }
    *n = w.n;
    return found ? RS_OK : not_made(r, only, err);
}

bool rs_made_needs(const rs_recipe *r, const rs_made *a, const rs_made *b)
{
    walk w = {.r = r};
    if (visit(&w, a->node, NULL) != RS_OK) return false;
    return a->node != b->node && w.state[b->node] == 2;
}

/* --- checking --- */

static rs_status check_model(const rs_reader *p, const char *name, const char *where)
{
    const rs_model_entry *e = rs_recipe_model(p->r, name);
    if (!e) return rs_read_reference(p, name, 0, where);
    if (e->path || e->on) return RS_OK;
    return rs_fail(p->err, RS_E_INVALID,
                   "%s: \"%s\" is an adapter, no model: with \"on\" it would be one",
                   where, name);
}

static rs_status check_names(const rs_reader *p, const rs_make *m, const char *owner)
{
    for (const rs_make_key *k = rs_make_keys(m->type); k->name; k++) {
        char where[600];
        const char *name = rs_make_reference(m, k);
        if (!name) continue;
        snprintf(where, sizeof where, "%s: %s \"%.200s\": make: %s", p->what,
                 m->type == RS_MAKE_ADAPTER ? "model" : "measure", owner, k->name);
        if (k->holds == RS_HOLDS_MODEL)
            RS_TRY(check_model(p, name, where));
        else
            RS_TRY(rs_read_measure(p, name,
                                   k->holds == RS_HOLDS_FISHER ? RS_MEASURE_FISHER
                                                               : RS_MEASURE_SUBSPACE,
                                   where));
    }
    return RS_OK;
}

static bool is_same(const rs_make *a, const rs_make *b)
{
    rs_buf s = {0}, t = {0};
    rs_make_write(a, NULL, NULL, &s);
    rs_make_write(b, NULL, NULL, &t);
    bool same = a->type == b->type && !s.failed && !t.failed &&
                strcmp(rs_buf_str(&s), rs_buf_str(&t)) == 0;
    rs_buf_free(&s);
    rs_buf_free(&t);
    return same;
}

/* A file cannot be two things: each would be made over the other, again and again. */
static rs_status check_paths(const rs_reader *p)
{
    const rs_recipe *r = p->r;
    const char *at[NODES];
    int n = r->n_models + r->n_measures;
    char plain[4096];
    for (int a = 0; a < n; a++) {
        if (!make_of(r, a)) continue;
        bool is_plain = rs_path_plain(r->folder, path_of(r, a), plain, sizeof plain);
        at[a] = is_plain ? rs_recipe_str(p->r, plain) : path_of(r, a);
        if (!at[a]) return rs_read_no_memory(p);
        for (int b = 0; b < a; b++)
            if (make_of(r, b) && strcmp(at[a], at[b]) == 0 &&
                !is_same(make_of(r, a), make_of(r, b)))
                return rs_fail(p->err, RS_E_INVALID,
                               "%s: \"%s\" and \"%s\" would both be made at %s", p->what,
                               node_name(r, b), node_name(r, a), path_of(r, a));
    }
    return RS_OK;
}

rs_status rs_check_makes(const rs_reader *p)
{
    const rs_recipe *r = p->r;
    int n;
    RS_TRY(check_paths(p));
    for (int i = 0; i < r->n_models + r->n_measures; i++)
        if (make_of(r, i)) RS_TRY(check_names(p, make_of(r, i), node_name(r, i)));
    if (rs_made_list(r, NULL, NULL, &n, p->err) == RS_OK) return RS_OK;
    return rs_err_prefix(p->err, "%s", p->what);
}
