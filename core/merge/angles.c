/* The angle between the two sides of a slerp, whole tensor by whole tensor (or row by row):
 * made on demand, kept with the plan, and the same whatever the threads, since sums go over
 * fixed pieces and blocks. */
#include "merge/eval.h"

#include <stdlib.h>

static rs_status no_memory(rs_err *err)
{
    return rs_fail(err, RS_E_NOMEM, "no memory to merge a tensor");
}

/* Angles in the making. Every thread that needs them takes pieces until none is left, and
 * then waits for those that others still have: a tensor is read once, however many threads
 * meet it first. Behind the cache's mutex, but for the sums, of which each piece has its own. */
typedef struct rs_making {
    _Atomic(rs_angles *) *slot;
    const rs_node *nd;
    bool rowwise, over; /* over: made or failed */
    int64_t pieces, next;
    int at_work, users;
    rs_err error;
    double (*sums)[3]; /* one a piece, or a row */
    struct rs_making *other;
} making;

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

static rs_status sum_piece(const rs_eval *at, const making *m, int64_t piece)
{
    rs_eval e = *at;
    int64_t all = e.p->tensors[e.i].base->n_elements;
    int64_t length = m->rowwise ? rs_eval_row_length(&e) : RS_REDUCE;
    e.first = piece * length;
    e.n = all - e.first < length ? all - e.first : length;
    return sum_range(&e, m->nd, m->sums[piece]);
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

static rs_angles *angles_of_sums(const making *m)
{
    int64_t n = m->rowwise ? m->pieces : 1;
    rs_angles *a = malloc(sizeof *a + (size_t)n * sizeof a->at[0]);
    double all[3] = {0};
    if (!a) return NULL;
    atomic_init(&a->refs, 1);
    a->n = n;
    for (int64_t i = 0; i < m->pieces; i++) {
        if (m->rowwise)
            a->at[i] = rs_angle_of_sums(m->sums[i][0], m->sums[i][1], m->sums[i][2]);
        for (int k = 0; k < 3; k++)
            all[k] += m->sums[i][k];
    }
    if (!m->rowwise) a->at[0] = rs_angle_of_sums(all[0], all[1], all[2]);
    return a;
}

/* --- together; these hold the cache's mutex but for the sums --- */

static making *begin(const rs_plan *p, const rs_node *nd, int i,
                     _Atomic(rs_angles *) *slot)
{
    const rs_tensor *t = p->sources->base_tensor[i];
    making *m = calloc(1, sizeof *m);
    if (!m) return NULL;
    m->slot = slot;
    m->nd = nd;
    m->rowwise = nd->stage->rowwise && t->n_dims >= 2 && t->dim[0] > 1;
    m->pieces = m->rowwise ? t->dim[0] : (t->n_elements + RS_REDUCE - 1) / RS_REDUCE;
    m->sums = calloc((size_t)m->pieces + 1, sizeof *m->sums);
    if (!m->sums) return free(m), NULL;
    m->other = p->cache->making;
    return p->cache->making = m;
}

/* All pieces are summed, or one has failed and nobody is at work any more. */
static void end(making *m, const rs_eval *e)
{
    struct rs_plan_cache *c = e->p->cache;
    making **link = &c->making;
    rs_angles *a = m->error.code == RS_OK ? angles_of_sums(m) : NULL;
    if (a) a->key = rs_angle_key(e->p, m->nd, e->i);
    if (!a && m->error.code == RS_OK) no_memory(&m->error);
    atomic_store(m->slot, a);
    while (*link != m)
        link = &(*link)->other;
    *link = m->other;
    m->over = true;
    pthread_cond_broadcast(&c->made);
}

static void take_pieces(making *m, const rs_eval *e)
{
    struct rs_plan_cache *c = e->p->cache;
    while (m->next < m->pieces && m->error.code == RS_OK) {
        int64_t piece = m->next++;
        m->at_work++;
        pthread_mutex_unlock(&c->angle_mutex);
        rs_err error = {.code = RS_OK};
        rs_eval mine = *e;
        mine.err = &error;
        rs_status s = sum_piece(&mine, m, piece);
        pthread_mutex_lock(&c->angle_mutex);
        m->at_work--;
        if (s != RS_OK) m->error = error;
    }
}

static rs_status take_part(making *m, const rs_eval *e)
{
    struct rs_plan_cache *c = e->p->cache;
    m->users++;
    take_pieces(m, e);
    if (m->at_work == 0 && !m->over) end(m, e);
    while (!m->over)
        pthread_cond_wait(&c->made, &c->angle_mutex);
    rs_status s = m->error.code;
    if (s != RS_OK && e->err) *e->err = m->error;
    if (--m->users == 0) {
        free(m->sums);
        free(m);
    }
    return s;
}

static rs_status make_angles(const rs_eval *e, const rs_node *nd,
                             _Atomic(rs_angles *) *slot)
{
    struct rs_plan_cache *c = e->p->cache;
    rs_status s = RS_OK;
    pthread_mutex_lock(&c->angle_mutex);
    if (!atomic_load(slot)) {
        making *m = c->making;
        while (m && m->slot != slot)
            m = m->other;
        if (!m) m = begin(e->p, nd, e->i, slot);
        s = m ? take_part(m, e) : no_memory(e->err);
    }
    pthread_mutex_unlock(&c->angle_mutex);
    return s;
}

uint64_t rs_angle_key(const rs_plan *p, const rs_node *nd, int i)
{
    uint64_t h = rs_mix(rs_node_hash(p, nd->side[0], i), rs_node_hash(p, nd->side[1], i));
    if (nd->base) h = rs_mix(h, rs_node_hash(p, nd->base, i));
    return rs_mix(h, nd->stage->rowwise);
}

rs_status rs_angles_ready(const rs_eval *e, const rs_node *nd)
{
    size_t at = (size_t)nd->i_slerp * (size_t)e->p->sources->n_tensors + (size_t)e->i;
    _Atomic(rs_angles *) *slot = &e->p->cache->angles[at];
    if (!atomic_load(slot)) RS_TRY(make_angles(e, nd, slot));
    return check_angles(e->p, nd, e->i, atomic_load(slot), e->err);
}
