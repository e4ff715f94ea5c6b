/* Fisher statistics on demand, kept with the sources: moments of each tensor once, and what
 * each normaliser over each population needs. All calls hold the sources' mutex while they
 * work, so a second thread that wants the same waits for it. */
#include "merge/plan_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static rs_status read_values(void *ctx, int tensor, int64_t first, int64_t n, float *dst,
                             rs_err *err)
{
    const rs_reading *r = ctx;
    return rs_checkpoint_read_f32(r->f->file, r->f->tensor[tensor], first, n, dst, err);
}

static const char *value_name(void *ctx, int tensor)
{
    const rs_reading *r = ctx;
    return r->f->tensor[tensor]->name;
}

static rs_status no_memory(rs_err *err)
{
    return rs_fail(err, RS_E_NOMEM, "no memory for the statistics of a Fisher file");
}

rs_values rs_reading_values(rs_reading *r, int64_t *sizes)
{
    for (int i = 0; i < r->s->n_tensors; i++)
        sizes[i] = r->f->tensor[i] ? r->f->tensor[i]->n_elements : 0;
    return (rs_values){r, read_values, value_name, r->s->n_tensors, sizes};
}

static bool in_population(const rs_sources *s, const rs_src_fisher *f, int i,
                          rs_over over, const bool *targets)
{
    if (!f->tensor[i]) return false;
    const rs_role *role = &s->role[i];
    switch (over) {
    case RS_OVER_LAYERS:
        return role->layer >= 0 && role->kind < RS_N_LAYER_KINDS;
    case RS_OVER_ALL:
        return true;
    case RS_OVER_TARGETS:
        return targets && targets[i];
    }
    return false;
}

static rs_status measure(const rs_pass *pass, rs_src_fisher *f, const rs_values *v,
                         const bool *use, rs_err *err)
{
    bool *todo = calloc((size_t)v->n_tensors + 1, sizeof *todo), any = false;
    rs_moments *m = calloc((size_t)v->n_tensors + 1, sizeof *m);
    rs_status s = todo && m ? RS_OK : no_memory(err);
    for (int i = 0; i < v->n_tensors && s == RS_OK; i++)
        any |= todo[i] = use[i] && !f->measured[i];
    if (s == RS_OK && any) s = rs_fisher_moments(pass, v, todo, m, err);
    for (int i = 0; i < v->n_tensors && s == RS_OK; i++)
        if (todo[i]) f->moments[i] = m[i], f->measured[i] = true;
    free(todo);
    free(m);
    return s == RS_OK ? s : rs_err_prefix(err, "%s", f->path);
}

static rs_status make_norms(const rs_pass *pass, const rs_sources *s, rs_view *view,
                            const rs_values *v, rs_err *err)
{
    const rs_moments *m = view->fisher->moments;
    rs_moments all = {0};
    int n = s->n_tensors;
    for (int i = 0; i < n; i++)
        if (view->use[i]) rs_moments_add(&all, &m[i]);
    view->n_values = all.n;
    if (!view->per_tensor) {
        for (int i = 0; i < n; i++)
            view->norm_of[i] = &view->norms[0];
        return rs_norm_make(pass, v, view->use, &all, view->normaliser, &view->norms[0],
                            err);
    }
    bool *one = calloc((size_t)n + 1, sizeof *one);
    rs_status status = one ? RS_OK : no_memory(err);
    for (int i = 0; i < n && status == RS_OK; i++) {
        view->norm_of[i] = &view->norms[i];
        one[i] = true;
        if (view->fisher->tensor[i])
            status =
                rs_norm_make(pass, v, one, &m[i], view->normaliser, &view->norms[i], err);
        one[i] = false;
    }
    free(one);
    return status;
}

static rs_status fill_view(const rs_pass *pass, rs_sources *s, rs_src_fisher *f,
                           rs_view *view, rs_err *err)
{
    size_t n = (size_t)s->n_tensors + 1;
    rs_reading r = {s, f};
    int64_t *sizes = calloc(n, sizeof *sizes);
    int *layer_of = calloc(n, sizeof *layer_of);
    bool *measured = calloc(n, sizeof *measured);
    view->norms = calloc(view->per_tensor ? n : 1, sizeof *view->norms);
    view->norm_of = calloc(n, sizeof *view->norm_of);
    view->layer_fisher =
        calloc((size_t)s->config->n_layers + 1, sizeof *view->layer_fisher);
    bool fine = sizes && layer_of && measured && view->norms && view->norm_of &&
                view->layer_fisher;
    rs_status status = fine ? RS_OK : no_memory(err);
    if (status == RS_OK) {
        rs_values v = rs_reading_values(&r, sizes);
        /* A norm of its own for every tensor, also outside the population. */
        for (int i = 0; i < s->n_tensors; i++) {
            measured[i] = view->per_tensor ? f->tensor[i] != NULL : view->use[i];
            layer_of[i] = view->use[i] ? s->role[i].layer : -1;
        }
        status = measure(pass, f, &v, measured, err);
        if (status == RS_OK) status = make_norms(pass, s, view, &v, err);
        if (status == RS_OK)
            rs_layer_fisher(f->moments, layer_of, s->n_tensors, s->config->n_layers,
                            view->layer_fisher);
    }
    free(sizes);
    free(layer_of);
    free(measured);
    return status;
}

static void free_view(rs_view *v, int n_tensors)
{
    for (int i = 0; v->norms && i < (v->per_tensor ? n_tensors : 1); i++)
        rs_norm_free(&v->norms[i]);
    free(v->norms);
    free(v->norm_of);
    free(v->layer_fisher);
    free(v->use);
    free(v);
}

void rs_view_keep(rs_sources *s, rs_view *v)
{
    pthread_mutex_lock(&s->mutex);
    v->users++;
    pthread_mutex_unlock(&s->mutex);
}

void rs_view_drop(rs_sources *s, rs_view *v)
{
    pthread_mutex_lock(&s->mutex);
    if (--v->users == 0) {
        rs_view **link = &s->views;
        while (*link != v)
            link = &(*link)->next;
        *link = v->next;
        free_view(v, s->n_tensors);
    }
    pthread_mutex_unlock(&s->mutex);
}

static rs_status find_or_make(const rs_pass *pass, rs_sources *s, rs_src_fisher *f,
                              const rs_dampen_spec *d, bool *use, rs_view **out,
                              rs_err *err)
{
    uint64_t population = 0;
    for (int i = 0; i < s->n_tensors; i++)
        if (use[i]) population = rs_mix(population, (uint64_t)i);
    for (rs_view *v = s->views; v; v = v->next)
        if (v->fisher == f && v->normaliser == d->normaliser &&
            v->per_tensor == d->per_tensor && v->population == population)
            return free(use), *out = v, RS_OK;
    rs_view *v = calloc(1, sizeof *v);
    if (!v) return free(use), no_memory(err);
    *v = (rs_view){.fisher = f,
                   .normaliser = d->normaliser,
                   .over = d->over,
                   .per_tensor = d->per_tensor,
                   .population = population,
                   .use = use};
    rs_status status = fill_view(pass, s, f, v, err);
    if (status != RS_OK) return free_view(v, s->n_tensors), status;
    v->next = s->views;
    s->views = v;
    *out = v;
    return RS_OK;
}

rs_status rs_view_get(const rs_pass *pass, rs_sources *s, int i_fisher,
                      const rs_dampen_spec *d, const bool *targets, rs_view **out,
                      rs_err *err)
{
    rs_src_fisher *f = &s->fishers[i_fisher];
    bool *use = calloc((size_t)s->n_tensors + 1, sizeof *use);
    if (!use) return no_memory(err);
    for (int i = 0; i < s->n_tensors; i++)
        use[i] = in_population(s, f, i, d->over, targets);
    pthread_mutex_lock(&s->mutex);
    rs_status status = find_or_make(pass, s, f, d, use, out, err);
    if (status == RS_OK) (*out)->users++;
    pthread_mutex_unlock(&s->mutex);
    return status;
}

rs_status rs_view_cut(const rs_pass *pass, rs_sources *s, const rs_view *v, double q,
                      double *cut, rs_err *err)
{
    rs_reading r = {s, v->fisher};
    int64_t *sizes = calloc((size_t)s->n_tensors + 1, sizeof *sizes);
    *cut = INFINITY; /* of no values: nothing is cut off */
    if (!sizes) return no_memory(err);
    rs_values values = rs_reading_values(&r, sizes);
    rs_status status =
        v->n_values == 0
            ? RS_OK
            : rs_fisher_cut(pass, &values, v->use, v->n_values, v->norm_of, q, cut, err);
    free(sizes);
    return status;
}
