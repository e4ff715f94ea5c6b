#include "store/subspace_file.h"

#include "base/rng.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_RANK = 1 << 16, PROBES = 4 };

static rs_status no_memory(const char *path, rs_err *err)
{
    return rs_fail(err, RS_E_NOMEM, "no memory for the subspace %.200s", path);
}

/* --- the header --- */

/* 'U', 'S' or 'V' where the name ends so, else 0. */
static char side_of(const char *name, size_t n)
{
    if (n < 3 || name[n - 2] != '.' || !strchr("USV", name[n - 1])) return 0;
    return name[n - 1];
}

static rs_status entry_of(rs_subspace_file *f, const char *name, size_t n,
                          rs_subspace_entry **out, rs_err *err)
{
    int64_t i = rs_map_get(&f->by_module, name, n);
    if (i >= 0) return *out = &f->entries[i], RS_OK;
    rs_subspace_entry *e = *out = &f->entries[f->n_entries];
    e->module = rs_arena_strndup(&f->arena, name, n);
    e->weight = rs_arena_printf(&f->arena, "%.*s.weight", (int)n, name);
    if (!e->module || !e->weight ||
        !rs_map_put(&f->by_module, e->module, n, f->n_entries, NULL))
        return no_memory(f->path, err);
    f->n_entries++;
    return RS_OK;
}

static rs_status add_tensor(rs_subspace_file *f, const rs_tensor *t, rs_err *err)
{
    size_t n = strlen(t->name);
    rs_subspace_entry *e;
    char side = side_of(t->name, n), shape[200];
    if (!side) return RS_OK;
    rs_tensor_shape(t, shape, sizeof shape);
    if (!rs_dtype_of(t->dtype)->is_float || t->n_dims != (side == 'S' ? 1 : 2))
        return rs_fail(err, RS_E_MISMATCH, "subspace %s: %s is no %s of floats", f->path,
                       shape, side == 'S' ? "vector" : "matrix");
    RS_TRY(entry_of(f, t->name, n - 2, &e, err));
    *(side == 'U' ? &e->u : side == 'V' ? &e->v : &e->s) = t;
    return RS_OK;
}

static rs_status check_side(const rs_subspace_file *f, const rs_tensor *t, rs_err *err)
{
    int64_t rank = t->dim[1];
    if (rank >= 1 && rank <= t->dim[0] && rank <= MAX_RANK) return RS_OK;
    return rs_fail(err, RS_E_MISMATCH,
                   "subspace %s: %s is [%" PRId64 ", %" PRId64 "], %" PRId64
                   " directions of %" PRId64 " dimensions",
                   f->path, t->name, t->dim[0], rank, rank, t->dim[0]);
}

static rs_status check_entry(const rs_subspace_file *f, rs_subspace_entry *e, rs_err *err)
{
    const rs_tensor *one = e->u ? e->u : e->v;
    if (!one)
        return rs_fail(err, RS_E_MISMATCH, "subspace %s has %s and neither .U nor .V",
                       f->path, e->s->name);
    if (e->u) RS_TRY(check_side(f, e->u, err));
    if (e->v) RS_TRY(check_side(f, e->v, err));
    if (e->u && e->v && e->u->dim[1] != e->v->dim[1])
        return rs_fail(err, RS_E_MISMATCH,
                       "subspace %s: %s is [%" PRId64 ", %" PRId64 "] and %s is [%" PRId64
                       ", %" PRId64 "], their ranks differ",
                       f->path, e->u->name, e->u->dim[0], e->u->dim[1], e->v->name,
                       e->v->dim[0], e->v->dim[1]);
    if (e->s && e->s->dim[0] < one->dim[1])
        return rs_fail(err, RS_E_MISMATCH,
                       "subspace %s: %s is [%" PRId64 "] and %s is [%" PRId64 ", %" PRId64
                       "]: too few values for its directions",
                       f->path, e->s->name, e->s->dim[0], one->name, one->dim[0],
                       one->dim[1]);
    e->rank = (int)one->dim[1];
    return RS_OK;
}

static rs_status read_header(rs_subspace_file *f, rs_err *err)
{
    int n = rs_checkpoint_count(f->file);
    f->from_hash = rs_checkpoint_metadata(f->file, "from_hash");
    f->to_hash = rs_checkpoint_metadata(f->file, "to_hash");
    f->entries = rs_arena_array(&f->arena, (size_t)n + 1, sizeof *f->entries);
    if (!f->entries) return no_memory(f->path, err);
    for (int i = 0; i < n; i++)
        RS_TRY(add_tensor(f, rs_checkpoint_at(f->file, i), err));
    for (int i = 0; i < f->n_entries; i++)
        RS_TRY(check_entry(f, &f->entries[i], err));
    if (f->n_entries) return RS_OK;
    return rs_fail(err, RS_E_MISMATCH,
                   "%s is no subspace: none of its %d tensors is called .U or .V",
                   f->path, n);
}

static rs_status open_parts(rs_subspace_file *f, const char *path, rs_err *err)
{
    f->path = rs_arena_strdup(&f->arena, path);
    if (!f->path) return no_memory(path, err);
    RS_TRY(rs_checkpoint_open(path, &f->file, err));
    return read_header(f, err);
}

rs_status rs_subspace_open(const char *path, rs_subspace_file **out, rs_err *err)
{
    *out = NULL;
    rs_subspace_file *f = calloc(1, sizeof *f);
    if (!f) return no_memory(path, err);
    rs_status s = open_parts(f, path, err);
    if (s == RS_OK)
        *out = f;
    else
        rs_subspace_close(f);
    return s;
}

void rs_subspace_close(rs_subspace_file *f)
{
    if (!f) return;
    rs_checkpoint_close(f->file);
    rs_map_free(&f->by_module);
    rs_arena_free(&f->arena);
    free(f);
}

/* --- one entry --- */

const rs_subspace_entry *rs_subspace_find(const rs_subspace_file *f, const char *name)
{
    size_t n = strlen(name);
    if (n > 7 && strcmp(name + n - 7, ".weight") == 0) n -= 7;
    int64_t i = rs_map_get(&f->by_module, name, n);
    return i < 0 ? NULL : &f->entries[i];
}

rs_status rs_subspace_fits(const rs_subspace_file *f, const rs_subspace_entry *e,
                           int64_t rows, int64_t cols, rs_err *err)
{
    bool u_fits = !e->u || e->u->dim[0] == rows, v_fits = !e->v || e->v->dim[0] == cols;
    if (u_fits && v_fits) return RS_OK;
    const rs_tensor *t = u_fits ? e->v : e->u;
    return rs_fail(err, RS_E_MISMATCH,
                   "subspace %s: %s is [%" PRId64 ", %" PRId64
                   "], the model's %s is [%" PRId64 ", %" PRId64 "]",
                   f->path, t->name, t->dim[0], t->dim[1], e->weight, rows, cols);
}

static rs_status read_values(const rs_subspace_file *f, const rs_subspace_entry *e,
                             const rs_tensor *t, char side, float *dst, rs_err *err)
{
    if (!t)
        return rs_fail(err, RS_E_MISMATCH, "subspace %s has no %s.%c", f->path, e->module,
                       side);
    int64_t cols = side == 'S' ? 1 : e->rank, n = side == 'S' ? e->rank : t->n_elements;
    RS_TRY(rs_checkpoint_read_f32(f->file, t, 0, n, dst, err));
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(dst[i]))
            return rs_fail(err, RS_E_INVALID,
                           "subspace %s: %s[%" PRId64 ", %" PRId64 "] is %s", f->path,
                           t->name, i / cols, i % cols,
                           isnan(dst[i]) ? "NaN" : "infinite");
    return RS_OK;
}

/* Of a basis Q that is scaled by S, or transposed, Q Q^T would be no projection. */
static rs_status check_lengths(const rs_subspace_file *f, const rs_tensor *t,
                               const double *square, rs_err *err)
{
    for (int64_t j = 0; j < t->dim[1]; j++)
        if (square[j] != 0 && !(fabs(sqrt(square[j]) - 1) <= 0.01))
            return rs_fail(err, RS_E_INVALID,
                           "subspace %s: column %" PRId64
                           " of %s has length %g: directions are orthonormal",
                           f->path, j, t->name, sqrt(square[j]));
    return RS_OK;
}

/* (Q^T Q - D) z for a z of signs, D the squares of the lengths. Room for off, z [rank]. */
static void probe_products(const rs_tensor *t, const float *q, const double *square,
                           int probe, double *off)
{
    int64_t rank = t->dim[1];
    double *sign = off + rank;
    for (int64_t j = 0; j < rank; j++) {
        sign[j] = rs_rng_at(0, (uint64_t)probe, (uint64_t)j) >> 63 ? 1 : -1;
        off[j] = -square[j] * sign[j];
    }
    for (int64_t i = 0; i < t->dim[0]; i++) {
        const float *row = q + i * rank;
        double sum = 0;
        for (int64_t j = 0; j < rank; j++)
            sum += (double)row[j] * sign[j];
        for (int64_t j = 0; j < rank; j++)
            off[j] += (double)row[j] * sum;
    }
}

/* The products of different columns as a matrix E: for signs z the mean of |E z|^2 is the sum
 * of E's squares, so a few of them tell whether many small products add up, in the time that
 * it takes to read Q. Of bfloat16, 256 columns are off by 0.02. */
static rs_status check_products(const rs_subspace_file *f, const rs_tensor *t,
                                const float *q, const double *square, double *off,
                                rs_err *err)
{
    for (int probe = 0; probe < PROBES; probe++) {
        int64_t worst = 0;
        double all = 0;
        probe_products(t, q, square, probe, off);
        for (int64_t j = 0; j < t->dim[1]; j++) {
            all += off[j] * off[j];
            if (fabs(off[j]) > fabs(off[worst])) worst = j;
        }
        if (!(sqrt(all) <= 0.1))
            return rs_fail(err, RS_E_INVALID,
                           "subspace %s: column %" PRId64
                           " of %s is not orthogonal to the others (off by %.2g of %.2g "
                           "altogether): directions are orthonormal",
                           f->path, worst, t->name, fabs(off[worst]), sqrt(all));
    }
    return RS_OK;
}

static rs_status check_basis(const rs_subspace_file *f, const rs_tensor *t,
                             const float *q, rs_err *err)
{
    int64_t rank = t->dim[1];
    double *square = calloc((size_t)rank * 3, sizeof *square);
    if (!square) return no_memory(f->path, err);
    for (int64_t i = 0; i < t->dim[0]; i++)
        for (int64_t j = 0; j < rank; j++)
            square[j] += (double)q[i * rank + j] * (double)q[i * rank + j];
    rs_status s = check_lengths(f, t, square, err);
    if (s == RS_OK) s = check_products(f, t, q, square, square + rank, err);
    free(square);
    return s;
}

static rs_status read_side(const rs_subspace_file *f, const rs_subspace_entry *e,
                           const rs_tensor *t, char side, float *dst, rs_err *err)
{
    RS_TRY(read_values(f, e, t, side, dst, err));
    return check_basis(f, t, dst, err);
}

rs_status rs_subspace_read(const rs_subspace_file *f, const rs_subspace_entry *e,
                           float *u, float *v, float *s, rs_err *err)
{
    if (u) RS_TRY(read_side(f, e, e->u, 'U', u, err));
    if (v) RS_TRY(read_side(f, e, e->v, 'V', v, err));
    return s ? read_values(f, e, e->s, 'S', s, err) : RS_OK;
}
