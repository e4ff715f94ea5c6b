#include "model/bpe.h"

#include <stdlib.h>
#include <string.h>

enum { SHORT_WORD = 32 };

static uint64_t pair_key(uint32_t a, uint32_t b)
{
    return (uint64_t)a << 32 | b;
}

static uint32_t hash_slot(uint64_t key, uint32_t n_slots)
{
    key *= 0x9e3779b97f4a7c15u;
    return (uint32_t)((key ^ key >> 29) >> 20) & (n_slots - 1);
}

/* The slot of the pair, or the free one where it belongs. */
static rs_merge *merge_slot(rs_merge *slots, uint32_t n_slots, int32_t left,
                            int32_t right)
{
    uint32_t i = hash_slot(pair_key((uint32_t)left, (uint32_t)right), n_slots);
    while (slots[i].left >= 0 && (slots[i].left != left || slots[i].right != right))
        i = (i + 1) & (n_slots - 1);
    return &slots[i];
}

const rs_merge *rs_bpe_find(const rs_bpe *b, int32_t left, int32_t right)
{
    if (b->n_slots == 0) return NULL;
    const rs_merge *m = merge_slot(b->slots, b->n_slots, left, right);
    return m->left >= 0 ? m : NULL;
}

static bool grow_merges(rs_bpe *b)
{
    uint32_t n = b->n_slots ? b->n_slots * 2 : 1024;
    rs_merge *slots = malloc((size_t)n * sizeof *slots);
    if (!slots) return false;
    for (uint32_t i = 0; i < n; i++)
        slots[i].left = -1;
    for (uint32_t i = 0; i < b->n_slots; i++) {
        const rs_merge *m = &b->slots[i];
        if (m->left >= 0) *merge_slot(slots, n, m->left, m->right) = *m;
    }
    free(b->slots);
    b->slots = slots;
    b->n_slots = n;
    return true;
}

bool rs_bpe_add(rs_bpe *b, int32_t left, int32_t right, uint32_t rank, int32_t result)
{
    if ((uint64_t)(b->n + 1) * 2 > b->n_slots && !grow_merges(b)) return false;
    rs_merge *m = merge_slot(b->slots, b->n_slots, left, right);
    if (m->left < 0) b->n++;
    *m = (rs_merge){left, right, rank, result};
    return true;
}

/* ---- which characters may stand beside each other in a piece ---- */

static uint64_t *joint_slot(uint64_t *slots, uint32_t n_slots, uint64_t key)
{
    uint32_t i = hash_slot(key, n_slots);
    while (slots[i] && slots[i] != key)
        i = (i + 1) & (n_slots - 1);
    return &slots[i];
}

static bool grow_joints(rs_bpe *b)
{
    uint32_t n = b->n_joint_slots ? b->n_joint_slots * 2 : 1024;
    uint64_t *slots = calloc(n, sizeof *slots);
    if (!slots) return false;
    for (uint32_t i = 0; i < b->n_joint_slots; i++)
        if (b->joints[i]) *joint_slot(slots, n, b->joints[i]) = b->joints[i];
    free(b->joints);
    b->joints = slots;
    b->n_joint_slots = n;
    return true;
}

bool rs_bpe_add_joint(rs_bpe *b, uint32_t a, uint32_t c)
{
    if (a < 128 && c < 128) {
        b->ascii_joints[a][c / 64] |= (uint64_t)1 << c % 64;
        return true;
    }
    if ((uint64_t)(b->n_joints + 1) * 2 > b->n_joint_slots && !grow_joints(b))
        return false;
    uint64_t key = pair_key(a, c), *slot = joint_slot(b->joints, b->n_joint_slots, key);
    if (*slot == 0) b->n_joints++;
    *slot = key; /* never 0: one of the two is at least 128 */
    return true;
}

bool rs_bpe_may_join(const rs_bpe *b, uint32_t a, uint32_t c)
{
    if (b->never_cut) return true;
    if (a < 128 && c < 128) return b->ascii_joints[a][c / 64] >> c % 64 & 1;
    return b->n_joint_slots && *joint_slot(b->joints, b->n_joint_slots, pair_key(a, c));
}

/* ---- short words: look through all pairs for each merge ---- */

static void merge_short(const rs_bpe *b, int32_t *ids, int64_t *n_ids)
{
    const rs_merge *pair[SHORT_WORD];
    int n = (int)*n_ids;
    for (int i = 0; i + 1 < n; i++)
        pair[i] = rs_bpe_find(b, ids[i], ids[i + 1]);
    for (;;) {
        int best = -1;
        for (int i = 0; i + 1 < n; i++)
            if (pair[i] && (best < 0 || pair[i]->rank < pair[best]->rank)) best = i;
        if (best < 0) break;
        ids[best] = pair[best]->result;
        n--;
        size_t behind = (size_t)(n - best - 1);
        memmove(ids + best + 1, ids + best + 2, behind * sizeof *ids);
        if (behind) memmove(pair + best, pair + best + 1, behind * sizeof *pair);
        if (best + 1 < n) pair[best] = rs_bpe_find(b, ids[best], ids[best + 1]);
        if (best > 0) pair[best - 1] = rs_bpe_find(b, ids[best - 1], ids[best]);
    }
    *n_ids = n;
}

/* ---- long words: a linked list and a heap of pairs that could be merged ---- */

typedef struct node {
    int32_t id;            /* -1: merged into the node before */
    int32_t before, after; /* -1: none */
} node;

typedef struct chance {
    const rs_merge *merge;
    int32_t at; /* the node of the left side */
} chance;

typedef struct heap {
    chance *at;
    int64_t n, cap;
} heap;

static bool sooner(const chance *a, const chance *b)
{
    if (a->merge->rank != b->merge->rank) return a->merge->rank < b->merge->rank;
    return a->at < b->at;
}

static bool push(heap *h, chance c)
{
    if (h->n == h->cap) {
        int64_t cap = h->cap ? h->cap * 2 : 256;
        chance *bigger = realloc(h->at, (size_t)cap * sizeof *bigger);
        if (!bigger) return false;
        h->at = bigger;
        h->cap = cap;
    }
    int64_t i = h->n++;
    for (; i > 0 && sooner(&c, &h->at[(i - 1) / 2]); i = (i - 1) / 2)
        h->at[i] = h->at[(i - 1) / 2];
    h->at[i] = c;
    return true;
}

static chance pop(heap *h)
{
    chance top = h->at[0], last = h->at[--h->n];
    int64_t i = 0;
    for (int64_t c; (c = 2 * i + 1) < h->n; i = c) {
        if (c + 1 < h->n && sooner(&h->at[c + 1], &h->at[c])) c++;
        if (!sooner(&h->at[c], &last)) break;
        h->at[i] = h->at[c];
    }
    h->at[i] = last;
    return top;
}

/* Enters the pair that begins at node i, if there is one and a merge for it. */
static bool push_pair(const rs_bpe *b, heap *h, const node *nodes, int32_t i)
{
    if (i < 0 || nodes[i].after < 0) return true;
    const rs_merge *m = rs_bpe_find(b, nodes[i].id, nodes[nodes[i].after].id);
    return !m || push(h, (chance){m, i});
}

/* Pieces only grow, so a pair of ids at a node is the same pair for ever: one whose ids
 * still stand there is valid, others are left over from before a merge. */
static bool is_current(const node *nodes, const chance *c)
{
    const node *left = &nodes[c->at];
    return left->id == c->merge->left && left->after >= 0 &&
           nodes[left->after].id == c->merge->right;
}

static bool run_merges(const rs_bpe *b, heap *h, node *nodes)
{
    while (h->n > 0) {
        chance c = pop(h);
        if (!is_current(nodes, &c)) continue;
        node *left = &nodes[c.at], *right = &nodes[left->after];
        left->id = c.merge->result;
        right->id = -1;
        left->after = right->after;
        if (left->after >= 0) nodes[left->after].before = c.at;
        if (!push_pair(b, h, nodes, left->before) || !push_pair(b, h, nodes, c.at))
            return false;
    }
    return true;
}

static bool merge_long(const rs_bpe *b, int32_t *ids, int64_t *n_ids)
{
    int32_t n = (int32_t)*n_ids;
    heap h = {0};
    node *nodes = malloc((size_t)n * sizeof *nodes);
    bool ok = nodes != NULL;
    for (int32_t i = 0; ok && i < n; i++)
        nodes[i] = (node){ids[i], i - 1, i + 1 < n ? i + 1 : -1};
    for (int32_t i = 0; ok && i < n; i++)
        ok = push_pair(b, &h, nodes, i);
    ok = ok && run_merges(b, &h, nodes);
    int64_t left = 0;
    for (int32_t i = 0; ok && i >= 0; i = nodes[i].after)
        ids[left++] = nodes[i].id;
    if (ok) *n_ids = left;
    free(nodes);
    free(h.at);
    return ok;
}

rs_status rs_bpe_merge(const rs_bpe *b, int32_t *ids, int64_t *n, rs_err *err)
{
    if (*n < 2) return RS_OK;
    if (*n <= SHORT_WORD) {
        merge_short(b, ids, n);
        return RS_OK;
    }
    if (*n > INT32_MAX / 2)
        return rs_fail(err, RS_E_INVALID, "a word of more than 1,000,000,000 characters");
    if (!merge_long(b, ids, n)) return rs_fail(err, RS_E_NOMEM, "no memory to tokenize");
    return RS_OK;
}

void rs_bpe_free(rs_bpe *b)
{
    free(b->slots);
    free(b->joints);
    *b = (rs_bpe){0};
}
