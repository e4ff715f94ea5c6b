#include "merge/contrast.h"

#include "base/arena.h"
#include "merge/fisher.h"
#include "store/tensor_file.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FILES = 4, PIECE = 1 << 20 };

typedef enum side { SIDE_A, SIDE_B, SIDE_SUM } side;

typedef struct contrast {
    const rs_runtime *rt;
    const rs_checkpoint *const *file;
    const rs_contrast_options *o;
    rs_arena arena;
    const rs_tensor *(*tensor)[FILES]; /* [n] */
    int64_t *n_elements;               /* [n] */
    bool *use;                         /* [n], all */
    int n;
    int64_t all;  /* elements */
    side side;    /* what a pass over values reads */
    double by[2]; /* 1 / largest of A and B; 0: nothing */
    double median;
    double sum;
    int64_t undecided;
} contrast;

/* --- the files --- */

static rs_status same_tensor(const contrast *c, int file, const rs_tensor *t,
                             const rs_tensor **out, rs_err *err)
{
    char a[96], b[96];
    *out = rs_checkpoint_find(c->file[file], t->name);
    if (!*out)
        return rs_fail(err, RS_E_MISMATCH, "%s has no tensor %s",
                       rs_checkpoint_path(c->file[file]), t->name);
    rs_tensor_shape(t, a, sizeof a);
    rs_tensor_shape(*out, b, sizeof b);
    bool same = (*out)->n_dims == t->n_dims;
    for (int d = 0; same && d < t->n_dims; d++)
        same = (*out)->dim[d] == t->dim[d];
    if (same) return RS_OK;
    return rs_fail(err, RS_E_MISMATCH, "%s is %s in %s and %s in %s", t->name, a,
                   rs_checkpoint_path(c->file[0]), b, rs_checkpoint_path(c->file[file]));
}

static rs_status list_tensors(contrast *c, rs_err *err)
{
    c->n = rs_checkpoint_count(c->file[0]);
    c->tensor = rs_arena_array(&c->arena, (size_t)c->n + 1, sizeof *c->tensor);
    c->n_elements = rs_arena_array(&c->arena, (size_t)c->n + 1, sizeof *c->n_elements);
    c->use = rs_arena_array(&c->arena, (size_t)c->n + 1, sizeof *c->use);
    if (!c->tensor || !c->n_elements || !c->use)
        return rs_fail(err, RS_E_NOMEM, "no memory for a list of %d tensors", c->n);
    for (int f = 1; f < FILES; f++)
        if (rs_checkpoint_count(c->file[f]) != c->n)
            return rs_fail(err, RS_E_MISMATCH, "%s has %d tensors and %s %d",
                           rs_checkpoint_path(c->file[0]), c->n,
                           rs_checkpoint_path(c->file[f]),
                           rs_checkpoint_count(c->file[f]));
    for (int i = 0; i < c->n; i++) {
        c->tensor[i][0] = rs_checkpoint_at(c->file[0], i);
        for (int f = 1; f < FILES; f++)
            RS_TRY(same_tensor(c, f, c->tensor[i][0], &c->tensor[i][f], err));
        c->n_elements[i] = c->tensor[i][0]->n_elements;
        c->use[i] = true;
        c->all += c->n_elements[i];
    }
    if (c->all > 0) return RS_OK;
    return rs_fail(err, RS_E_INVALID, "%s holds no numbers",
                   rs_checkpoint_path(c->file[0]));
}

/* --- values --- */

static rs_status read_one(const contrast *c, int i, int f, int64_t first, int64_t n,
                          float *to, rs_err *err)
{
    RS_TRY(rs_checkpoint_read_f32(c->file[f], c->tensor[i][f], first, n, to, err));
    for (int64_t k = 0; k < n; k++)
        if (!(to[k] >= 0 && to[k] < INFINITY))
            return rs_fail(err, RS_E_INVALID,
                           "%s: %s, element %" PRId64
                           " is %g: a Fisher must be finite and not negative",
                           rs_checkpoint_path(c->file[f]), c->tensor[i][0]->name,
                           first + k, (double)to[k]);
    return RS_OK;
}

/* What the prompt adds to one model's Fisher; spare [n]. */
static rs_status read_difference(const contrast *c, int i, side s, int64_t first,
                                 int64_t n, float *to, float *spare, rs_err *err)
{
    int plus = s == SIDE_A ? RS_CONTRAST_A_PLUS : RS_CONTRAST_B_PLUS;
    RS_TRY(read_one(c, i, plus, first, n, to, err));
    RS_TRY(read_one(c, i, plus + 1, first, n, spare, err));
    for (int64_t k = 0; k < n; k++)
        to[k] = to[k] > spare[k] ? to[k] - spare[k] : 0;
    return RS_OK;
}

/* F_A + F_B as the median and the mask see it. */
static float sum_of(const contrast *c, float a, float b)
{
    return (float)((double)a * c->by[0] + (double)b * c->by[1]);
}

static rs_status read_values(void *ctx, int i, int64_t first, int64_t n, float *dst,
                             rs_err *err)
{
    const contrast *c = ctx;
    float *spare = malloc((size_t)(2 * n) * sizeof *spare);
    if (!spare) return rs_fail(err, RS_E_NOMEM, "no memory for a piece of a Fisher");
    side one = c->side == SIDE_B ? SIDE_B : SIDE_A;
    rs_status s = read_difference(c, i, one, first, n, dst, spare, err);
    if (s == RS_OK && c->side == SIDE_SUM) {
        s = read_difference(c, i, SIDE_B, first, n, spare, spare + n, err);
        for (int64_t k = 0; s == RS_OK && k < n; k++)
            dst[k] = sum_of(c, dst[k], spare[k]);
    }
    free(spare);
    return s;
}

static const char *name_of(void *ctx, int i)
{
    const contrast *c = ctx;
    return c->tensor[i][0]->name;
}

/* --- the three numbers --- */

static rs_status largest(contrast *c, side s, const rs_pass *pass, double *out,
                         rs_err *err)
{
    rs_values v = {c, read_values, name_of, c->n, c->n_elements};
    rs_moments *m = calloc((size_t)c->n + 1, sizeof *m);
    if (!m) return rs_fail(err, RS_E_NOMEM, "no memory for a pass over a Fisher file");
    c->side = s;
    rs_status st = rs_fisher_moments(pass, &v, c->use, m, err);
    *out = 0;
    for (int i = 0; st == RS_OK && i < c->n; i++)
        if ((double)m[i].max > *out) *out = (double)m[i].max;
    free(m);
    return st;
}

static rs_status weigh_up(contrast *c, rs_contrast_result *r, rs_err *err)
{
    rs_pass pass = {c->rt->kernels->merge, c->rt->pool, c->o->progress,
                    c->o->progress_ctx,    "contrast",  0};
    rs_values v = {c, read_values, name_of, c->n, c->n_elements};
    rs_order middle;
    RS_TRY(largest(c, SIDE_A, &pass, &r->largest_a, err));
    RS_TRY(largest(c, SIDE_B, &pass, &r->largest_b, err));
    c->by[0] = r->largest_a > 0 ? 1 / r->largest_a : 0;
    c->by[1] = r->largest_b > 0 ? 1 / r->largest_b : 0;
    c->side = SIDE_SUM;
    RS_TRY(rs_fisher_order(&pass, &v, c->use, c->all, 0.5, &middle, err));
    c->median = rs_order_value(&middle);
    r->median = c->median;
    return RS_OK;
}

/* --- the mask --- */

static void decide(contrast *c, float *a, const float *b, int64_t n)
{
    for (int64_t k = 0; k < n; k++) {
        double s = (double)sum_of(c, a[k], b[k]), fa = (double)a[k] * c->by[0],
               fb = (double)b[k] * c->by[1];
        bool says = s > 0 && s >= c->median;
        a[k] = says ? (float)(fa / (fa + fb + 1e-30)) : 0.5f;
        c->undecided += !says;
        c->sum += (double)a[k];
    }
}

static rs_status write_piece(contrast *c, int i, int64_t first, int64_t n, float *memory,
                             rs_tensor_file *out, rs_err *err)
{
    float *a = memory, *b = a + PIECE, *spare = b + PIECE;
    RS_TRY(read_difference(c, i, SIDE_A, first, n, a, spare, err));
    RS_TRY(read_difference(c, i, SIDE_B, first, n, b, spare, err));
    decide(c, a, b, n);
    return rs_tensor_file_write(out, i, (uint64_t)first * sizeof *a, a,
                                (size_t)n * sizeof *a, err);
}

static rs_status write_all(contrast *c, rs_tensor_file *out, float *memory, rs_err *err)
{
    int64_t done = 0;
    for (int i = 0; i < c->n; i++) {
        for (int64_t at = 0; at < c->n_elements[i]; at += PIECE) {
            int64_t left = c->n_elements[i] - at, n = left < PIECE ? left : PIECE;
            RS_TRY(write_piece(c, i, at, n, memory, out, err));
            done += n;
            rs_progress p = {(uint64_t)done, (uint64_t)c->all, "elements",
                             c->tensor[i][0]->name};
            if (c->o->progress && !c->o->progress(c->o->progress_ctx, &p))
                return rs_fail(err, RS_E_CANCELLED, "cancelled at %s",
                               c->tensor[i][0]->name);
        }
    }
    return rs_tensor_file_finish(out, err);
}

static rs_status write_mask(contrast *c, rs_err *err)
{
    rs_tensor_file *out = NULL;
    rs_write_tensor *t = rs_arena_array(&c->arena, (size_t)c->n + 1, sizeof *t);
    float *memory = malloc(3 * (size_t)PIECE * sizeof *memory);
    rs_status s = t && memory ? RS_OK : rs_fail(err, RS_E_NOMEM, "no memory for a mask");
    for (int i = 0; s == RS_OK && i < c->n; i++) {
        const rs_tensor *own = c->tensor[i][0];
        t[i] = (rs_write_tensor){own->name, RS_DTYPE_F32, own->n_dims, {0}};
        memcpy(t[i].dim, own->dim, sizeof t[i].dim);
    }
    rs_write_plan plan = {.tensors = t,
                          .n_tensors = c->n,
                          .metadata = c->o->metadata,
                          .n_metadata = c->o->n_metadata,
                          .force = c->o->force};
    if (s == RS_OK) s = rs_tensor_file_new(c->o->out, &plan, false, &out, err);
    if (s == RS_OK) s = write_all(c, out, memory, err);
    if (out) rs_tensor_file_discard(out);
    free(memory);
    return s;
}

rs_status rs_contrast_run(const rs_runtime *rt, const rs_checkpoint *const files[4],
                          const rs_contrast_options *o, rs_contrast_result *result,
                          rs_err *err)
{
    contrast c = {.rt = rt, .file = files, .o = o};
    *result = (rs_contrast_result){0};
    rs_status s = list_tensors(&c, err);
    if (s == RS_OK) s = weigh_up(&c, result, err);
    if (s == RS_OK) s = write_mask(&c, err);
    result->n_tensors = c.n;
    result->n = c.all;
    result->undecided = c.all ? (double)c.undecided / (double)c.all : 0;
    result->mean = c.all ? c.sum / (double)c.all : 0;
    rs_arena_free(&c.arena);
    return s;
}
