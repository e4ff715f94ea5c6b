#include "merge/memory.h"

#include "store/content_hash.h"

#include <stdio.h>

enum {
    PROGRAM = 24 << 20,     /* code, libraries, files' headers, small tables */
    TENSOR_BYTES = 4 << 10, /* of tables for each tensor, about */
    READ_BYTES = 512 << 10, /* of a reading's own buffer */
    CHUNK_BYTES = 2 << 20,
    MIN_CHUNK = 64 << 10
};

/* --- what is there once --- */

/* Ranks of one Fisher as a stage wants them; all values: the population may be less. */
static uint64_t ranks_of(const rs_plan *p, const rs_node *nd)
{
    const rs_dampen_spec *d = &nd->stage->dampen;
    uint64_t sum = 0;
    int64_t n = 0;
    bool low_bits = false;
    if (d->kind == RS_DAMPEN_NONE || d->kind == RS_DAMPEN_TASK) return 0;
    if (d->normaliser != RS_NORM_RANK) return 0;
    for (int i = 0; i < p->sources->n_tensors; i++) {
        const rs_tensor *t = p->sources->fishers[nd->fisher].tensor[i];
        if (!t) continue;
        sum += rs_ranks_bytes(t->n_elements, t->dtype != RS_DTYPE_BF16);
        low_bits |= t->dtype != RS_DTYPE_BF16;
        n += t->n_elements;
    }
    if (d->per_tensor) return sum;
    /* More values than are ranked one by one may be left after the population's choice. */
    return rs_ranks_bytes(n < RS_EXACT_RANKS ? n : RS_EXACT_RANKS, low_bits);
}

static uint64_t statistics_of(const rs_plan *p)
{
    uint64_t sum = 0;
    for (int k = 0; k < p->n_stages; k++) {
        const rs_node *nd = p->stage_nodes[k];
        if (nd && nd->type == RS_NODE_TASK) sum += ranks_of(p, nd);
    }
    return sum;
}

static uint64_t angles_of(const rs_plan *p)
{
    uint64_t sum = 0;
    for (int k = 0; k < p->n_stages; k++) {
        const rs_node *nd = p->stage_nodes[k];
        if (!nd || nd->type != RS_NODE_SLERP || !nd->stage->rowwise) continue;
        for (int i = 0; i < p->sources->n_tensors; i++) {
            const rs_tensor *t = p->sources->base_tensor[i];
            if (t->n_dims >= 2) sum += (uint64_t)t->dim[0] * sizeof(rs_angle);
        }
    }
    return sum;
}

static uint64_t factors_of(const rs_plan *p, int i)
{
    uint64_t n = 0;
    for (int m = 0; m < p->sources->n_models; m++) {
        const rs_src_adapter *a = &p->sources->adapters[m];
        if (!a->adapter || !a->pair[i]) continue;
        n += (uint64_t)(a->pair[i]->a->n_elements + a->pair[i]->b->n_elements);
    }
    return n * sizeof(float);
}

/* The most that is held at once where threads go through the tensors in order and one may
 * lag behind, by time and not by chunks, while the others make two of the usual size. */
static uint64_t most_factors(const rs_plan *p, int workers)
{
    uint64_t most = 0, sum = 0, chunks = 0;
    uint64_t window = workers > 1 ? 2 * (uint64_t)workers : 0;
    for (int first = 0, next = 0; first < p->sources->n_tensors; first++) {
        while (next < p->sources->n_tensors && chunks <= window) {
            sum += factors_of(p, next);
            chunks += p->tensors[next++].out_bytes / CHUNK_BYTES + 1;
        }
        if (sum > most) most = sum;
        sum -= factors_of(p, first);
        chunks -= p->tensors[first].out_bytes / CHUNK_BYTES + 1;
    }
    return most;
}

/* --- what each thread has --- */

static int larger(int a, int b)
{
    return a > b ? a : b;
}

/* Tiles that rs_eval_node takes at once besides its result: as eval.c takes them. */
static int tiles_of(const rs_node *nd)
{
    int most = 1;
    switch (nd->type) {
    case RS_NODE_MODEL:
    case RS_NODE_FOLDED:
        return 1;
    case RS_NODE_TASK:
        for (int i = 0; i < nd->n_terms; i++)
            if (nd->terms[i].node) most = larger(most, 1 + tiles_of(nd->terms[i].node));
        return larger(tiles_of(nd->base), 2 + most);
    case RS_NODE_SLERP:
        most = larger(tiles_of(nd->side[0]), tiles_of(nd->side[1]));
        return nd->base ? 2 + larger(most, tiles_of(nd->base)) : 1 + most;
    }
    return most;
}

static uint64_t of_thread(const rs_plan *p, uint64_t chunk_bytes)
{
    uint64_t tiles = (uint64_t)(1 + tiles_of(p->root)) * RS_TILE * sizeof(float);
    /* A leaf of the hash is read back where chunks are pieces of it. */
    return tiles + READ_BYTES + RS_HASH_LEAF + chunk_bytes;
}

/* --- fitting --- */

static void add_up(const rs_plan *p, rs_memory *m)
{
    m->statistics = statistics_of(p);
    m->once = PROGRAM + (uint64_t)p->sources->n_tensors * TENSOR_BYTES + m->statistics +
              angles_of(p) + most_factors(p, m->workers);
    m->bytes = m->once + (uint64_t)m->workers * of_thread(p, m->chunk_bytes);
}

static rs_status too_much(const rs_runtime *rt, const rs_plan *p, const rs_memory *m,
                          rs_err *err)
{
    char ranks[200] = "";
    if (m->statistics > m->bytes / 2)
        snprintf(ranks, sizeof ranks,
                 " (%.1f MB of it for the ranks of a Fisher: the normalisers mean, log "
                 "and p99 need none)",
                 (double)m->statistics / 1e6);
    return rs_fail(err, RS_E_NOMEM,
                   "merging %d tensors needs %.1f MB of memory with one thread%s and may "
                   "use %.1f MB: raise --memory",
                   p->sources->n_tensors, (double)m->bytes / 1e6, ranks,
                   (double)rt->memory_bytes / 1e6);
}

static uint64_t largest_tensor(const rs_plan *p)
{
    uint64_t most = 1;
    for (int i = 0; i < p->sources->n_tensors; i++)
        if (p->tensors[i].out_bytes > most) most = p->tensors[i].out_bytes;
    return most;
}

rs_status rs_memory_fit(const rs_runtime *rt, const rs_plan *p, uint64_t chunk_bytes,
                        rs_memory *out, rs_err *err)
{
    uint64_t whole = largest_tensor(p), want = chunk_bytes ? chunk_bytes : CHUNK_BYTES;
    rs_memory m = {.workers = rt->threads > 0 ? rt->threads : 1,
                   .chunk_bytes = want < whole ? want : whole};
    add_up(p, &m);
    while (m.bytes > rt->memory_bytes && !chunk_bytes && m.chunk_bytes > MIN_CHUNK) {
        m.chunk_bytes /= 2;
        add_up(p, &m);
    }
    while (m.bytes > rt->memory_bytes && m.workers > 1) {
        m.workers--;
        add_up(p, &m);
    }
    *out = m;
    return m.bytes <= rt->memory_bytes ? RS_OK : too_much(rt, p, &m, err);
}

rs_status rs_memory_pass(const rs_runtime *rt, const rs_plan *p, int *workers,
                         rs_err *err)
{
    rs_memory m = {.workers = 1, .chunk_bytes = MIN_CHUNK};
    add_up(p, &m);
    uint64_t once = m.once, budget = rt->memory_bytes;
    *workers = 1;
    if (m.statistics > 0 && once + RS_PASS_BYTES > budget)
        return m.bytes += RS_PASS_BYTES, too_much(rt, p, &m, err);
    if (budget > once + RS_PASS_BYTES) {
        uint64_t fit = (budget - once) / RS_PASS_BYTES;
        *workers = fit > (uint64_t)rt->threads ? rt->threads : (int)fit;
    }
    return RS_OK;
}
