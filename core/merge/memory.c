#include "merge/memory.h"

#include "base/os.h"
#include "merge/eval.h"
#include "store/content_hash.h"
#include "store/gguf.h"

#include <stdio.h>

enum {
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

/* A pass over a Fisher by one thread, where some stage needs one. */
static uint64_t pass_of(const rs_plan *p)
{
    for (int k = 0; k < p->n_stages; k++) {
        const rs_node *nd = p->stage_nodes[k];
        if (nd && nd->type == RS_NODE_TASK &&
            (nd->stage->dampen.kind != RS_DAMPEN_NONE || nd->stage->mask.per_layer))
            return RS_PASS_BYTES;
    }
    return 0;
}

/* Beside the angles the sums that they are made of, as large, for the tensor in the making;
 * where threads go through the tensors, for the one before it too. */
static uint64_t angles_of(const rs_plan *p, int workers)
{
    uint64_t sum = 0, most = 0;
    for (int k = 0; k < p->n_stages; k++) {
        const rs_node *nd = p->stage_nodes[k];
        if (!nd || nd->type != RS_NODE_SLERP || !nd->stage->rowwise) continue;
        for (int i = 0; i < p->sources->n_tensors; i++) {
            const rs_tensor *t = p->sources->base_tensor[i];
            if (t->n_dims < 2) continue;
            uint64_t rows = (uint64_t)t->dim[0] * sizeof(rs_angle);
            sum += rows;
            if (rows > most) most = rows;
        }
    }
    return sum + (workers > 1 ? 2 : 1) * most;
}

/* A GGUF's header stays in memory as long as the file is open, with a number for each of its
 * strings: 9 MB for a vocabulary of 262,144 pieces. */
static uint64_t header_of(const rs_checkpoint *c)
{
    const rs_gguf *g = c ? rs_checkpoint_gguf(c) : NULL;
    uint64_t sum = g ? rs_gguf_data_start(g) : 0;
    for (int i = 0; g && i < rs_gguf_n_keys(g); i++)
        if (rs_gguf_key_at(g, i)->string_at)
            sum += (uint64_t)rs_gguf_key_at(g, i)->count * sizeof(uint32_t);
    return sum;
}

static uint64_t headers_of(const rs_plan *p)
{
    uint64_t sum = 0;
    for (int m = 0; m < p->sources->n_models; m++)
        sum += header_of(p->sources->models[m].file);
    for (int f = 0; f < p->sources->n_measures; f++)
        sum += header_of(p->sources->fishers[f].file);
    return sum;
}

/* L and R of all masks on a tensor. */
static uint64_t masks_of(const rs_plan *p, int i)
{
    uint64_t sum = 0;
    for (int k = 0; k < p->n_stages && rs_plan_has_masks(p); k++) {
        const rs_node *nd = p->stage_nodes[k];
        if (nd && nd->type == RS_NODE_TASK) sum += rs_mask_memory(p, nd, i).held;
    }
    return sum;
}

/* Of the largest, each worker being at another's making or all at the same. */
static uint64_t making_of(const rs_plan *p, int workers)
{
    uint64_t most = 0;
    for (int k = 0; k < p->n_stages && rs_plan_has_masks(p); k++) {
        const rs_node *nd = p->stage_nodes[k];
        if (!nd || nd->type != RS_NODE_TASK) continue;
        for (int i = 0; i < p->sources->n_tensors; i++) {
            rs_mask_bytes b = rs_mask_memory(p, nd, i);
            if (b.making + b.worker > most) most = b.making + b.worker;
        }
    }
    return (uint64_t)workers * most;
}

static uint64_t factors_of(const rs_plan *p, int i)
{
    uint64_t n = 0;
    for (int m = 0; m < p->sources->n_models; m++) {
        const rs_src_adapter *a = &p->sources->adapters[m];
        if (!a->adapter || !a->pair[i]) continue;
        n += (uint64_t)(a->pair[i]->a->n_elements + a->pair[i]->b->n_elements);
    }
    return n * sizeof(float) + masks_of(p, i);
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

/* --- what is there before the tensors, and gone by then --- */

/* Slots of a hash table that is at most half full. */
static uint64_t slots_for(uint64_t n)
{
    uint64_t slots = 1024;
    while (slots < 2 * n)
        slots *= 2;
    return slots;
}

/* tokenizer.json out of a GGUF: the vocabulary, its merges, their sorted copy and the text
 * (each piece once, each merge as long as its piece). Where a GGUF has scores and no merges,
 * there are about two ways to make a piece: 1.96 for Gemma, 1.91 for Llama 2. */
static uint64_t tokenizer_of(const rs_gguf *g)
{
    const rs_gguf_value *tokens = rs_gguf_get(g, "tokenizer.ggml.tokens");
    const rs_gguf_value *list = rs_gguf_get(g, "tokenizer.ggml.merges");
    if (!tokens || !tokens->string_at || tokens->count == 0) return 0;
    uint64_t n = (uint64_t)tokens->count, m = list ? (uint64_t)list->count : 2 * n;
    size_t last = 0;
    (void)rs_gguf_string_at(tokens, tokens->count - 1, &last);
    uint64_t text = tokens->string_at[n - 1] + last - 8 * (n - 1); /* without lengths */
    uint64_t pieces = text + 12 * n + 8 * slots_for(n);
    uint64_t merges = 16 * slots_for(m) + 8 * m + 20 * m;
    return pieces + merges + text + 20 * n + text / n * m + 18 * m;
}

uint64_t rs_memory_of_folder(const rs_plan *p)
{
    const rs_gguf *g = rs_checkpoint_gguf(p->sources->models[p->sources->base].file);
    return g ? tokenizer_of(g) : 0; /* a folder's files are copied in pieces */
}

/* Keys are written from memory: those of a GGUF as they are, those of a tokenizer.json out of
 * its text and what is read from it, together about three times the file. */
uint64_t rs_memory_of_gguf(const rs_plan *p)
{
    const rs_checkpoint *c = p->sources->models[p->sources->base].file;
    char path[4096];
    uint64_t size = 0;
    int fd;
    if (rs_checkpoint_gguf(c)) return 2 * rs_gguf_data_start(rs_checkpoint_gguf(c));
    if (!rs_path_join(path, sizeof path, rs_checkpoint_folder(c), "tokenizer.json") ||
        rs_os_kind(path) != RS_PATH_FILE || rs_os_open(path, &fd, &size, NULL) != RS_OK)
        return 0;
    rs_os_close(fd);
    return 3 * size;
}

/* --- what each thread has --- */

static int larger(int a, int b)
{
    return a > b ? a : b;
}

static uint64_t larger_bytes(uint64_t a, uint64_t b)
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
    m->there = RS_PROGRAM_BYTES + (uint64_t)p->sources->n_tensors * TENSOR_BYTES +
               headers_of(p) + m->statistics;
    m->bytes = m->there + angles_of(p, m->workers) + most_factors(p, m->workers) +
               making_of(p, m->workers) +
               (uint64_t)m->workers * of_thread(p, m->chunk_bytes);
    uint64_t first = larger_bytes(m->before, pass_of(p));
    m->bytes = larger_bytes(m->bytes, m->there + first);
}

static rs_status too_much(const rs_runtime *rt, const rs_plan *p, const rs_memory *m,
                          rs_err *err)
{
    char why[200] = "";
    if (m->statistics > m->bytes / 2)
        snprintf(why, sizeof why,
                 " (%.1f MB of it for the ranks of a Fisher: the normalisers mean, log "
                 "and p99 need none)",
                 (double)m->statistics / 1e6);
    else if (m->before > m->bytes / 2)
        snprintf(why, sizeof why, " (%.1f MB of it for the base's tokenizer)",
                 (double)m->before / 1e6);
    return rs_fail(err, RS_E_NOMEM,
                   "merging %d tensors needs %.1f MB of memory with one thread%s and may "
                   "use %.1f MB: raise --memory",
                   p->sources->n_tensors, (double)m->bytes / 1e6, why,
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
                        uint64_t before, rs_memory *out, rs_err *err)
{
    uint64_t whole = largest_tensor(p), want = chunk_bytes ? chunk_bytes : CHUNK_BYTES;
    rs_memory m = {.workers = rt->threads > 0 ? rt->threads : 1,
                   .chunk_bytes = want < whole ? want : whole,
                   .before = before};
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
    uint64_t budget = rt->memory_bytes;
    *workers = 1;
    if (m.statistics > 0 && m.there + RS_PASS_BYTES > budget)
        return too_much(rt, p, &m, err);
    if (budget > m.there + RS_PASS_BYTES) {
        uint64_t fit = (budget - m.there) / RS_PASS_BYTES;
        *workers = fit > (uint64_t)rt->threads ? rt->threads : (int)fit;
    }
    return RS_OK;
}
