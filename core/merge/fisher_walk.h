/* fisher_walk.h - a pass over the values of a Fisher, piece by piece, by the pass's threads.
 * Inside core/merge. Pieces are numbered, so results that are kept by piece and added in
 * their order do not depend on the threads. */
#ifndef RS_FISHER_WALK_H
#define RS_FISHER_WALK_H

#include "merge/fisher.h"

enum { RS_PIECE = 1 << 20 };

typedef struct rs_piece {
    int tensor;
    int64_t first, n;
} rs_piece;

typedef struct rs_walk rs_walk;
/* Works on one piece that has been read. Returns false to stop, with the worker's status. */
typedef bool (*rs_piece_fn)(rs_walk *w, int64_t i, const rs_piece *p, const float *f,
                            int worker);

struct rs_walk {
    const rs_pass *pass;
    const rs_values *values;
    rs_piece *pieces;
    int64_t n_pieces;
    float **buffer; /* [threads] */
    rs_piece_fn fn;
    void *ctx;
    rs_status *status; /* [threads] */
    rs_err *errors;    /* [threads] */
};

/* The pieces of the tensors of use. After a failure there is nothing to close. */
rs_status rs_walk_open(rs_walk *w, const rs_pass *pass, const rs_values *v,
                       const bool *use, rs_err *err) RS_MUST_USE;
rs_status rs_walk_run(rs_walk *w, rs_piece_fn fn, void *ctx, rs_err *err) RS_MUST_USE;
void rs_walk_close(rs_walk *w);

#endif
