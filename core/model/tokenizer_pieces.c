#include "model/tokenizer_pieces.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t hash_start = 0xcbf29ce484222325u;

/* FNV-1a; goes on from h, so that joined texts need no copy. */
static uint64_t hash_more(uint64_t h, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)s[i]) * 0x100000001b3u;
    return h;
}

static uint32_t finish_hash(uint64_t h)
{
    return (uint32_t)((h * 0x9e3779b97f4a7c15u) >> 32);
}

int32_t rs_pieces_find_joined(const rs_pieces *p, const char *a, size_t n_a,
                              const char *b, size_t n_b)
{
    if (p->n_slots == 0) return -1;
    uint32_t hash = finish_hash(hash_more(hash_more(hash_start, a, n_a), b, n_b));
    for (uint32_t i = hash & (p->n_slots - 1);; i = (i + 1) & (p->n_slots - 1)) {
        int32_t id = p->slots[i].id;
        if (id < 0) return -1;
        if (p->slots[i].hash != hash || p->at[id].length != n_a + n_b) continue;
        const char *text = rs_piece_text(p, id);
        if (memcmp(text, a, n_a) == 0 && memcmp(text + n_a, b, n_b) == 0) return id;
    }
}

int32_t rs_pieces_find(const rs_pieces *p, const char *text, size_t n)
{
    return rs_pieces_find_joined(p, text, n, "", 0);
}

static void enter(rs_pieces *p, int32_t id, uint32_t hash)
{
    uint32_t i = hash & (p->n_slots - 1);
    while (p->slots[i].id >= 0)
        i = (i + 1) & (p->n_slots - 1);
    p->slots[i] = (rs_piece_slot){hash, id};
}

static bool grow_slots(rs_pieces *p)
{
    rs_pieces old = *p;
    uint32_t n = p->n_slots ? p->n_slots * 2 : 1024;
    rs_piece_slot *slots = malloc(n * sizeof *slots);
    if (!slots) return false;
    for (uint32_t i = 0; i < n; i++)
        slots[i].id = -1;
    p->slots = slots;
    p->n_slots = n;
    for (uint32_t i = 0; i < old.n_slots; i++)
        if (old.slots[i].id >= 0) enter(p, old.slots[i].id, old.slots[i].hash);
    free(old.slots);
    return true;
}

static bool grow_ids(rs_pieces *p, int32_t n)
{
    int32_t cap = p->cap ? p->cap : 1024;
    while (cap < n)
        cap *= 2;
    if (cap > p->cap) {
        rs_piece *bigger = realloc(p->at, (size_t)cap * sizeof *bigger);
        if (!bigger) return false;
        p->at = bigger;
        p->cap = cap;
    }
    for (; p->n < n; p->n++)
        p->at[p->n] = (rs_piece){0, 0, 0};
    return true;
}

/* What stands in the way of text having this id: *there if nothing need be done. */
static rs_status check_new(const rs_pieces *p, int64_t id, const char *text, size_t n,
                           bool *there, rs_err *err)
{
    int shown = n < 60 ? (int)n : 60;
    *there = false;
    if (id < 0 || id >= RS_MAX_PIECES)
        return rs_fail(err, RS_E_FORMAT,
                       "the piece \"%.*s\" has the id %" PRId64 ", outside of 0 to %d",
                       shown, text, id, RS_MAX_PIECES - 1);
    if (n > RS_MAX_PIECE_BYTES)
        return rs_fail(err, RS_E_FORMAT,
                       "the piece %" PRId64 " has %zu bytes, more than %d", id, n,
                       RS_MAX_PIECE_BYTES);
    int32_t has = rs_pieces_find(p, text, n);
    if (has == id) return *there = true, RS_OK;
    if (has >= 0)
        return rs_fail(err, RS_E_FORMAT,
                       "the piece \"%.*s\" has two ids, %" PRId32 " and %" PRId64, shown,
                       text, has, id);
    if (id < p->n && (p->at[id].flags & RS_PIECE_PRESENT))
        return rs_fail(err, RS_E_FORMAT,
                       "the id %" PRId64 " has two pieces, \"%.60s\" and \"%.*s\"", id,
                       rs_piece_text(p, (int32_t)id), shown, text);
    return RS_OK;
}

rs_status rs_pieces_put(rs_pieces *p, int64_t id, const char *text, size_t n, rs_err *err)
{
    bool there;
    RS_TRY(check_new(p, id, text, n, &there, err));
    if (there) return RS_OK;
    size_t start = p->text.len;
    if (start + n >= UINT32_MAX)
        return rs_fail(err, RS_E_FORMAT, "the vocabulary's text has more than 4 GB");
    int32_t i = (int32_t)id;
    rs_buf_add(&p->text, text, n);
    rs_buf_putc(&p->text, 0);
    if (p->text.failed || (i >= p->n && !grow_ids(p, i + 1)) ||
        ((uint32_t)(p->n_present + 1) * 2 > p->n_slots && !grow_slots(p)))
        return rs_fail(err, RS_E_NOMEM,
                       "no memory for a vocabulary of %" PRId64 " pieces", id);
    p->at[i] = (rs_piece){(uint32_t)start, (uint16_t)n, RS_PIECE_PRESENT};
    p->n_present++;
    enter(p, i, finish_hash(hash_more(hash_start, text, n)));
    return RS_OK;
}

void rs_pieces_free(rs_pieces *p)
{
    rs_buf_free(&p->text);
    free(p->at);
    free(p->slots);
    *p = (rs_pieces){0};
}
