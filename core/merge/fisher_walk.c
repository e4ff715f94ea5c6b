#include "merge/fisher_walk.h"

#include <stdlib.h>

int rs_pass_workers(const rs_pass *pass)
{
    int all = rs_pool_threads(pass->pool);
    return pass->workers > 0 && pass->workers < all ? pass->workers : all;
}

static bool do_piece(void *ctx, int64_t i, int worker)
{
    rs_walk *w = ctx;
    const rs_piece *p = &w->pieces[i];
    const rs_pass *pass = w->pass;
    rs_status *s = &w->status[worker];
    if (worker == 0 && pass->progress) {
        uint64_t piece_bytes = RS_PIECE * sizeof(float);
        rs_progress now = {(uint64_t)i * piece_bytes, (uint64_t)w->n_pieces * piece_bytes,
                           "bytes", pass->what};
        if (!pass->progress(pass->progress_ctx, &now)) {
            *s = rs_fail(&w->errors[worker], RS_E_CANCELLED, "cancelled");
            return false;
        }
    }
    *s = w->values->read(w->values->ctx, p->tensor, p->first, p->n, w->buffer[worker],
                         &w->errors[worker]);
    if (*s != RS_OK) return false;
    return w->fn(w, i, p, w->buffer[worker], worker);
}

static rs_status cut_into_pieces(rs_walk *w, const rs_values *v, const bool *use,
                                 rs_err *err)
{
    int64_t n = 0;
    for (int t = 0; t < v->n_tensors; t++)
        if (use[t]) n += (v->n_elements[t] + RS_PIECE - 1) / RS_PIECE;
    w->pieces = calloc((size_t)n + 1, sizeof *w->pieces);
    if (!w->pieces)
        return rs_fail(err, RS_E_NOMEM, "no memory for a pass over a Fisher file");
    for (int t = 0; t < v->n_tensors; t++)
        for (int64_t at = 0; use[t] && at < v->n_elements[t]; at += RS_PIECE) {
            int64_t left = v->n_elements[t] - at;
            w->pieces[w->n_pieces++] =
                (rs_piece){t, at, left < RS_PIECE ? left : RS_PIECE};
        }
    return RS_OK;
}

void rs_walk_close(rs_walk *w)
{
    int threads = rs_pass_workers(w->pass);
    for (int i = 0; w->buffer && i < threads; i++)
        free(w->buffer[i]);
    free(w->buffer);
    free(w->pieces);
    free(w->status);
    free(w->errors);
}

rs_status rs_walk_open(rs_walk *w, const rs_pass *pass, const rs_values *v,
                       const bool *use, rs_err *err)
{
    size_t threads = (size_t)rs_pass_workers(pass);
    *w = (rs_walk){.pass = pass, .values = v};
    w->buffer = calloc(threads, sizeof *w->buffer);
    w->status = calloc(threads, sizeof *w->status);
    w->errors = calloc(threads, sizeof *w->errors);
    bool fine = w->buffer && w->status && w->errors;
    for (size_t i = 0; i < threads && fine; i++)
        fine = (w->buffer[i] = malloc(RS_PIECE * sizeof(float))) != NULL;
    rs_status s =
        fine ? cut_into_pieces(w, v, use, err)
             : rs_fail(err, RS_E_NOMEM, "no memory for a pass over a Fisher file");
    if (s != RS_OK) rs_walk_close(w);
    return s;
}

rs_status rs_walk_run(rs_walk *w, rs_piece_fn fn, void *ctx, rs_err *err)
{
    w->fn = fn;
    w->ctx = ctx;
    int threads = rs_pass_workers(w->pass);
    if (rs_pool_run_few(w->pass->pool, threads, w->n_pieces, do_piece, w)) return RS_OK;
    for (int i = 0; i < threads; i++)
        if (w->status[i] != RS_OK) {
            if (err) *err = w->errors[i];
            return w->status[i];
        }
    return rs_fail(err, RS_E_BUG, "a pass over a Fisher file ended early");
}
