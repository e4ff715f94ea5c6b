/* The angle between the two sides of a slerp, whole tensor by whole tensor (or row by row):
 * made on demand, kept with the plan, and the same whatever the threads, since sums go over
 * fixed pieces and blocks. */
#include "merge/eval.h"

#include <stdlib.h>

static rs_status no_memory(rs_err *err)
{
    return rs_fail(err, RS_E_NOMEM, "no memory to merge a tensor");
}

typedef struct reduction {
    rs_team team;
    const rs_node *nd;
    double (*sums)[3]; /* one a piece, or a row */
    bool rowwise;
} reduction;

/* A piece's sums: blocks of 4,096 from the start of the piece, which is a multiple of them;
 * tiles of a reduction are 16 blocks. */
static rs_status sum_range(const rs_eval *whole_piece, const rs_node *nd, double sums[3])
{
    rs_workspace *ws = whole_piece->ws;
    float *a = rs_workspace_grab(ws), *b = a ? rs_workspace_grab(ws) : NULL;
    float *base = b && nd->base ? rs_workspace_grab(ws) : NULL;
    int grabbed = (a != NULL) + (b != NULL) + (base != NULL);
    rs_status s = b && (base || !nd->base) ? RS_OK : no_memory(whole_piece->err);
    for (int64_t at = 0; at < whole_piece->n && s == RS_OK; at += RS_TILE) {
        rs_eval e = *whole_piece;
        e.first += at;
        e.n = whole_piece->n - at < RS_TILE ? whole_piece->n - at : RS_TILE;
        s = rs_eval_sides(&e, nd, a, b, base);
        if (s == RS_OK) rs_angle_sums(e.k, a, b, e.n, sums);
    }
    while (grabbed-- > 0)
        rs_workspace_release(ws);
    return s;
}

static bool do_sums(void *ctx, int64_t piece, int worker)
{
    reduction *r = ctx;
    rs_team *w = &r->team;
    int64_t all = w->p->tensors[w->i].base->n_elements;
    rs_eval e = rs_eval_at(w->rt, w->p, w->ws[worker], w->i, 0, 0, &w->errors[worker]);
    int64_t length = r->rowwise ? rs_eval_row_length(&e) : RS_REDUCE;
    e.first = piece * length;
    e.n = all - e.first < length ? all - e.first : length;
    w->status[worker] = sum_range(&e, r->nd, r->sums[piece]);
    return w->status[worker] == RS_OK;
}

static rs_status no_way(const rs_plan *p, const rs_node *nd, int i, rs_err *err)
{
    return rs_fail(
        err, RS_E_INVALID,
        "stage \"%s\": the two sides of %s point in opposite directions, and the recipe "
        "says \"opposite\": \"error\"",
        nd->name, p->tensors[i].name);
}

static rs_status check_angles(const rs_plan *p, const rs_node *nd, int i,
                              const rs_angles *a, rs_err *err)
{
    if (!nd->stage->opposite_error) return RS_OK;
    for (int64_t r = 0; r < a->n; r++) {
        rs_slerp s = rs_slerp_of(&a->at[r], 0.5, false, nd->stage->flat_below);
        if (s.opposite) return no_way(p, nd, i, err);
    }
    return RS_OK;
}

static rs_angles *finish_angles(const reduction *r, int64_t pieces)
{
    int64_t n = r->rowwise ? pieces : 1;
    rs_angles *a = malloc(sizeof *a + (size_t)n * sizeof a->at[0]);
    double all[3] = {0};
    if (!a) return NULL;
    atomic_init(&a->refs, 1);
    a->n = n;
    for (int64_t i = 0; i < pieces; i++) {
        if (r->rowwise)
            a->at[i] = rs_angle_of_sums(r->sums[i][0], r->sums[i][1], r->sums[i][2]);
        for (int k = 0; k < 3; k++)
            all[k] += r->sums[i][k];
    }
    if (!r->rowwise) a->at[0] = rs_angle_of_sums(all[0], all[1], all[2]);
    return a;
}

static rs_status make_angles(const rs_runtime *rt, const rs_plan *p, const rs_node *nd,
                             int i, bool use_pool, rs_angles **out, rs_err *err)
{
    const rs_tensor *t = p->sources->base_tensor[i];
    reduction r = {.nd = nd};
    r.rowwise = nd->stage->rowwise && t->n_dims >= 2 && t->dim[0] > 1;
    int64_t pieces = r.rowwise ? t->dim[0] : (t->n_elements + RS_REDUCE - 1) / RS_REDUCE;
    rs_pool *pool = use_pool && pieces > 1 ? rt->pool : NULL;
    r.sums = calloc((size_t)pieces + 1, sizeof *r.sums);
    rs_status s = r.sums ? rs_team_open(&r.team, rt, p, i, pool, err) : no_memory(err);
    if (s == RS_OK && !rs_pool_run(pool, pieces, do_sums, &r))
        s = rs_team_error(&r.team, err);
    if (s == RS_OK && !(*out = finish_angles(&r, pieces))) s = no_memory(err);
    rs_team_close(&r.team);
    free(r.sums);
    return s;
}

uint64_t rs_angle_key(const rs_plan *p, const rs_node *nd, int i)
{
    uint64_t h = rs_mix(rs_node_hash(p, nd->side[0], i), rs_node_hash(p, nd->side[1], i));
    if (nd->base) h = rs_mix(h, rs_node_hash(p, nd->base, i));
    return rs_mix(h, nd->stage->rowwise);
}

rs_status rs_angles_ready(const rs_runtime *rt, const rs_plan *p, const rs_node *nd,
                          int i, bool use_pool, rs_err *err)
{
    size_t at = (size_t)nd->i_slerp * (size_t)p->sources->n_tensors + (size_t)i;
    _Atomic(rs_angles *) *slot = &p->cache->angles[at];
    rs_angles *now = atomic_load(slot), *made = NULL;
    if (!now) {
        RS_TRY(make_angles(rt, p, nd, i, use_pool, &made, err));
        made->key = rs_angle_key(p, nd, i);
        if (atomic_compare_exchange_strong(slot, &now, made))
            now = made;
        else
            free(made); /* another thread was faster: the same numbers */
    }
    return check_angles(p, nd, i, now, err);
}
