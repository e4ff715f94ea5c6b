#include "learn/subspace.h"

#include "base/arena.h"
#include "model/family.h"
#include "store/tensor_file.h"
#include "tensor/svd.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct matrix {
    const rs_tensor *to, *from, *weight; /* weight: or NULL */
    int rank;
} matrix;

typedef struct work {
    const rs_runtime *rt;
    const rs_checkpoint *from, *to;
    const rs_subspace_options *o;
    rs_arena arena;
    matrix *all;
    int n, steps, all_steps;
    float *d, *e; /* the largest matrix's difference, and one of the sides */
    double squares, kept;
} work;

static rs_status no_memory(rs_err *err)
{
    return rs_fail(err, RS_E_NOMEM, "no memory for a list of matrices");
}

/* The matrix of another file that has t's name. */
static rs_status find(const work *w, const rs_checkpoint *c, const rs_tensor *t,
                      const rs_tensor **out, rs_err *err)
{
    char a[96], b[96];
    *out = rs_checkpoint_find(c, t->name);
    if (!*out)
        return rs_fail(err, RS_E_MISMATCH, "%s has no tensor %s", rs_checkpoint_path(c),
                       t->name);
    rs_tensor_shape(t, a, sizeof a);
    rs_tensor_shape(*out, b, sizeof b);
    if ((*out)->n_dims == 2 && (*out)->dim[0] == t->dim[0] && (*out)->dim[1] == t->dim[1])
        return RS_OK;
    return rs_fail(err, RS_E_MISMATCH, "%s is %s in %s and %s in %s", t->name, a,
                   rs_checkpoint_path(w->to), b, rs_checkpoint_path(c));
}

static rs_status match(const work *w, const rs_tensor *t, matrix *out, rs_err *err)
{
    *out = (matrix){.to = t};
    RS_TRY(find(w, w->from, t, &out->from, err));
    return w->o && w->o->weight ? find(w, w->o->weight, t, &out->weight, err) : RS_OK;
}

static rs_status add_matrix(work *w, const rs_tensor *t, rs_err *err)
{
    return match(w, t, &w->all[w->n++], err);
}

static rs_status list_matrices(work *w, const rs_config *c, rs_err *err)
{
    int count = rs_checkpoint_count(w->to);
    int64_t most = 0;
    w->all = rs_arena_array(&w->arena, (size_t)count + 1, sizeof *w->all);
    if (!w->all) return no_memory(err);
    for (int i = 0; i < count; i++) {
        const rs_tensor *t = rs_checkpoint_at(w->to, i);
        int layer;
        const rs_slot *s = rs_slot_of(c, t->name, &layer);
        if (!s || layer < 0 || s->form != RS_FORM_MATRIX) continue;
        if (w->o->wants && !w->o->wants(w->o->wants_ctx, t->name, layer)) continue;
        RS_TRY(add_matrix(w, t, err));
        if (t->n_elements > most) most = t->n_elements;
    }
    if (w->n == 0)
        return rs_fail(err, RS_E_INVALID, "none of the model's matrices is selected");
    w->d = malloc((size_t)most * sizeof *w->d);
    w->e = malloc((size_t)most * sizeof *w->e);
    return w->d && w->e ? RS_OK : no_memory(err);
}

/* d sqrt(F), F into e. */
static rs_status weigh(work *w, const matrix *m, rs_err *err)
{
    int64_t n = m->to->n_elements;
    RS_TRY(rs_checkpoint_read_f32(w->o->weight, m->weight, 0, n, w->e, err));
    for (int64_t i = 0; i < n; i++) {
        if (!(w->e[i] >= 0 && w->e[i] < INFINITY))
            return rs_fail(err, RS_E_INVALID,
                           "%s: %s, element %" PRId64
                           " is %g: a weight must be finite and not negative",
                           rs_checkpoint_path(w->o->weight), m->to->name, i,
                           (double)w->e[i]);
        w->d[i] *= sqrtf(w->e[i]);
    }
    return RS_OK;
}

static rs_status difference(work *w, const matrix *m, rs_err *err)
{
    int64_t n = m->to->n_elements;
    RS_TRY(rs_checkpoint_read_f32(w->to, m->to, 0, n, w->d, err));
    RS_TRY(rs_checkpoint_read_f32(w->from, m->from, 0, n, w->e, err));
    for (int64_t i = 0; i < n; i++)
        w->d[i] -= w->e[i];
    return m->weight ? weigh(w, m, err) : RS_OK;
}

static rs_status step(work *w, const matrix *m, rs_err *err)
{
    rs_progress p = {(uint64_t)++w->steps, (uint64_t)w->all_steps, "matrices",
                     m->to->name};
    if (!w->o->progress || w->o->progress(w->o->progress_ctx, &p)) return RS_OK;
    return rs_fail(err, RS_E_CANCELLED, "cancelled at matrix %d of %d", w->steps,
                   w->all_steps);
}

static int64_t smaller_side(const matrix *m)
{
    return m->to->dim[0] < m->to->dim[1] ? m->to->dim[0] : m->to->dim[1];
}

static rs_status rank_by_energy(work *w, matrix *m, rs_err *err)
{
    int64_t n = smaller_side(m);
    double *s = malloc((size_t)n * sizeof *s);
    rs_status st = s ? difference(w, m, err) : no_memory(err);
    if (st == RS_OK)
        st = rs_svd_values(w->rt, w->d, m->to->dim[0], m->to->dim[1], s, err);
    if (st == RS_OK) m->rank = rs_svd_rank_of(s, n, w->o->energy);
    free(s);
    return st == RS_OK ? step(w, m, err) : rs_err_prefix(err, "%s", m->to->name);
}

static rs_status choose_ranks(work *w, rs_err *err)
{
    for (int i = 0; i < w->n; i++) {
        matrix *m = &w->all[i];
        m->rank = w->o->rank < smaller_side(m) ? w->o->rank : (int)smaller_side(m);
        if (w->o->rank == 0) RS_TRY(rank_by_energy(w, m, err));
    }
    return RS_OK;
}

/* Three tensors for each matrix. */
static rs_status open_file(work *w, rs_tensor_file **f, rs_err *err)
{
    rs_write_tensor *t = rs_arena_array(&w->arena, 3 * (size_t)w->n, sizeof *t);
    if (!t) return no_memory(err);
    for (int i = 0; i < w->n; i++) {
        const matrix *m = &w->all[i];
        size_t n = strlen(m->to->name);
        if (n > 7 && strcmp(m->to->name + n - 7, ".weight") == 0) n -= 7;
        int64_t long_side[3] = {m->to->dim[0], 0, m->to->dim[1]};
        for (int k = 0; k < 3; k++) {
            const char *name =
                rs_arena_printf(&w->arena, "%.*s.%c", (int)n, m->to->name, "USV"[k]);
            if (!name) return no_memory(err);
            rs_write_tensor *own = &t[3 * i + k];
            *own = (rs_write_tensor){name, RS_DTYPE_F32, k == 1 ? 1 : 2, {0}};
            own->dim[0] = k == 1 ? m->rank : long_side[k];
            if (k != 1) own->dim[1] = m->rank;
        }
    }
    rs_write_plan plan = {.tensors = t,
                          .n_tensors = 3 * w->n,
                          .metadata = w->o->metadata,
                          .n_metadata = w->o->n_metadata,
                          .force = w->o->force};
    return rs_tensor_file_new(w->o->out, &plan, false, f, err);
}

static rs_status decompose(work *w, const matrix *m, rs_svd *s, rs_err *err)
{
    int64_t rows = m->to->dim[0], cols = m->to->dim[1];
    RS_TRY(difference(w, m, err));
    rs_status st =
        w->o->exact || w->o->rank == 0
            ? rs_svd_exact(w->rt, w->d, rows, cols, m->rank, s, err)
            : rs_svd_random(w->rt, w->d, rows, cols, m->rank, w->o->seed, s, err);
    return st == RS_OK ? st : rs_err_prefix(err, "%s", m->to->name);
}

static rs_status write_matrix(work *w, int i, rs_tensor_file *f, rs_err *err)
{
    rs_svd s;
    const matrix *m = &w->all[i];
    RS_TRY(decompose(w, m, &s, err));
    size_t k = (size_t)s.rank * sizeof(float);
    rs_status st = rs_tensor_file_write(f, 3 * i, 0, s.u, (size_t)s.rows * k, err);
    if (st == RS_OK) st = rs_tensor_file_write(f, 3 * i + 1, 0, s.s, k, err);
    if (st == RS_OK)
        st = rs_tensor_file_write(f, 3 * i + 2, 0, s.v, (size_t)s.cols * k, err);
    w->squares += s.squares;
    w->kept += s.kept;
    if (st == RS_OK && w->o->done)
        w->o->done(w->o->done_ctx, m->to->name, s.rank,
                   s.squares > 0 ? s.kept / s.squares : 1, (double)s.s[0]);
    rs_svd_free(&s);
    return st == RS_OK ? step(w, m, err) : st;
}

static rs_status run(work *w, const rs_config *c, rs_subspace_result *r, rs_err *err)
{
    rs_tensor_file *f;
    RS_TRY(list_matrices(w, c, err));
    w->all_steps = w->o->rank == 0 ? 2 * w->n : w->n;
    RS_TRY(choose_ranks(w, err));
    RS_TRY(open_file(w, &f, err));
    rs_status s = RS_OK;
    for (int i = 0; i < w->n && s == RS_OK; i++)
        s = write_matrix(w, i, f, err);
    if (s == RS_OK) s = rs_tensor_file_finish(f, err);
    rs_tensor_file_discard(f);
    if (s != RS_OK) return s;
    *r = (rs_subspace_result){.n_tensors = w->n,
                              .least_rank = w->all[0].rank,
                              .most_rank = w->all[0].rank,
                              .kept = w->squares > 0 ? w->kept / w->squares : 1};
    for (int i = 1; i < w->n; i++) {
        if (w->all[i].rank < r->least_rank) r->least_rank = w->all[i].rank;
        if (w->all[i].rank > r->most_rank) r->most_rank = w->all[i].rank;
    }
    return RS_OK;
}

rs_status rs_subspace_run(const rs_runtime *rt, const rs_checkpoint *from,
                          const rs_checkpoint *to, const rs_config *c,
                          const rs_subspace_options *o, rs_subspace_result *result,
                          rs_err *err)
{
    work w = {.rt = rt, .from = from, .to = to, .o = o};
    rs_status s = run(&w, c, result, err);
    rs_arena_free(&w.arena);
    free(w.d);
    free(w.e);
    return s;
}

static rs_status values(work *w, const matrix *m, double *s, rs_err *err)
{
    w->d = malloc((size_t)m->to->n_elements * sizeof *w->d);
    w->e = malloc((size_t)m->to->n_elements * sizeof *w->e);
    if (!s || !w->d || !w->e) return no_memory(err);
    RS_TRY(difference(w, m, err));
    free(w->e);
    w->e = NULL;
    return rs_svd_values(w->rt, w->d, m->to->dim[0], m->to->dim[1], s, err);
}

rs_status rs_subspace_values(const rs_runtime *rt, const rs_checkpoint *from,
                             const rs_checkpoint *to, const char *name, double **s,
                             int64_t *n, rs_err *err)
{
    work w = {.rt = rt, .from = from, .to = to};
    const rs_tensor *t = rs_checkpoint_find(to, name);
    matrix m;
    *s = NULL;
    *n = 0;
    if (!t || t->n_dims != 2)
        return rs_fail(err, RS_E_NOT_FOUND, "%s has no matrix %s", rs_checkpoint_path(to),
                       name);
    RS_TRY(match(&w, t, &m, err));
    *n = smaller_side(&m);
    *s = malloc((size_t)*n * sizeof **s);
    rs_status st = values(&w, &m, *s, err);
    free(w.d);
    free(w.e);
    if (st == RS_OK) return st;
    free(*s);
    *s = NULL;
    return rs_err_prefix(err, "%s", name);
}
