/* What one thread has at hand while it merges: a stack of tiles, and what belongs to the tensor
 * whose turn it is: factors of adapters, masks (eval.h). */
#include "merge/eval.h"

#include <stdlib.h>

static rs_status no_memory(rs_err *err)
{
    return rs_fail(err, RS_E_NOMEM, "no memory to merge a tensor");
}

rs_status rs_workspace_new(const rs_runtime *rt, rs_workspace **out, rs_err *err)
{
    (void)rt;
    *out = calloc(1, sizeof **out);
    return *out ? RS_OK : no_memory(err);
}

static void drop_held(rs_workspace *ws)
{
    for (int i = 0; i < ws->n_factors; i++)
        rs_held_drop(ws->sources, ws->factors[i]);
    for (int i = 0; i < ws->n_masks; i++)
        rs_mask_drop(ws->sources, ws->masks[i].mask);
    ws->n_masks = 0;
    rs_sources_drop(ws->sources);
    ws->sources = NULL;
    ws->n_factors = 0;
}

void rs_workspace_free(rs_workspace *ws)
{
    if (!ws) return;
    for (int i = 0; i < RS_MAX_BUFFERS; i++)
        free(ws->buffer[i]);
    drop_held(ws);
    free(ws->masks);
    free(ws);
}

float *rs_workspace_grab(rs_workspace *ws)
{
    if (ws->used == RS_MAX_BUFFERS) return NULL;
    float **b = &ws->buffer[ws->used];
    if (!*b) *b = aligned_alloc(64, RS_TILE * sizeof(float));
    if (*b) ws->used++;
    return *b;
}

void rs_workspace_release(rs_workspace *ws)
{
    ws->used--;
}

int rs_workspace_mark(const rs_workspace *ws)
{
    return ws->used;
}

void rs_workspace_back_to(rs_workspace *ws, int mark)
{
    ws->used = mark;
}

void rs_workspace_turn(const rs_eval *e)
{
    rs_workspace *ws = e->ws;
    rs_sources *s = e->p->sources;
    if (ws->sources == s && ws->i_tensor == e->i) return;
    drop_held(ws);
    ws->sources = s;
    ws->i_tensor = e->i;
    atomic_fetch_add(&s->refs, 1);
}

rs_status rs_workspace_factors(const rs_eval *e, const rs_src_adapter *ad,
                               const rs_held **out)
{
    rs_workspace *ws = e->ws;
    rs_sources *s = e->p->sources;
    rs_workspace_turn(e);
    for (int f = 0; f < ws->n_factors; f++)
        if (ws->factors[f]->pair == ad->pair[e->i]) return *out = ws->factors[f], RS_OK;
    if (ws->n_factors == RS_MAX_FACTORS) rs_held_drop(s, ws->factors[--ws->n_factors]);
    RS_TRY(rs_held_take(s, ad, ad->pair[e->i], &ws->factors[ws->n_factors], e->err));
    *out = ws->factors[ws->n_factors++];
    return RS_OK;
}
