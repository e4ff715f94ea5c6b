/* subspace_file.h - directions on disk: for matrices W [out, in] of a model an orthonormal
 * U [out, r] and V [in, r], as core/learn/subspace.h writes them and others may.
 *
 * `<tensor>.U`, `<tensor>.V` and, if it is there, `<tensor>.S` (the first r singular values, or
 * more), <tensor> being the model's name without ".weight"; U or V may be absent. Floats of
 * any type. Metadata names both models by content hash (content_hash.h) where the file is
 * ours. Opening reads and checks the header: shapes, equal ranks, no rank above a side. Other
 * tensors in it are ignored; a file without any U or V is RS_E_MISMATCH. Immutable; any number
 * of threads may read. */
#ifndef RS_SUBSPACE_FILE_H
#define RS_SUBSPACE_FILE_H

#include "base/arena.h"
#include "base/map.h"
#include "store/checkpoint.h"

typedef struct rs_subspace_entry {
    const char *module;     /* "model.layers.3.mlp.up_proj", as in the file */
    const char *weight;     /* the same with ".weight" */
    const rs_tensor *u, *v; /* [out, rank], [in, rank]; one of them may be NULL */
    const rs_tensor *s;     /* [rank] or more, or NULL */
    int rank;               /* at least 1 */
} rs_subspace_entry;

typedef struct rs_subspace_file {
    rs_arena arena;
    rs_checkpoint *file;
    const char *path;                /* as it was opened */
    const char *from_hash, *to_hash; /* of the models, 32 hex digits; NULL: not stated */
    rs_subspace_entry *entries;      /* in the order of the file */
    int n_entries;
    rs_map by_module;
} rs_subspace_file;

rs_status rs_subspace_open(const char *path, rs_subspace_file **out,
                           rs_err *err) RS_MUST_USE;
void rs_subspace_close(rs_subspace_file *f); /* NULL is fine */

/* The entry of a model's tensor, its name with or without ".weight"; or NULL. */
const rs_subspace_entry *rs_subspace_find(const rs_subspace_file *f, const char *name);
/* Do U and V, those that are there, fit W [rows, cols]? RS_E_MISMATCH says both shapes. */
rs_status rs_subspace_fits(const rs_subspace_file *f, const rs_subspace_entry *e,
                           int64_t rows, int64_t cols, rs_err *err) RS_MUST_USE;
/* As float32, row-major: u [out * rank], v [in * rank], s [rank]; what is NULL is not read,
 * what the entry has not is RS_E_MISMATCH. RS_E_INVALID, with tensor and index, for NaN,
 * infinity, columns of U or V whose length is neither 1 (to 1 %) nor 0, and columns that are
 * not orthogonal: the squares of their products with each other add up to more than about
 * 0.01, as four fixed vectors of signs see it. */
rs_status rs_subspace_read(const rs_subspace_file *f, const rs_subspace_entry *e,
                           float *u, float *v, float *s, rs_err *err) RS_MUST_USE;

#endif
