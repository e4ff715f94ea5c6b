#include "base/map.h"

#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

/* The slot of key, or the free slot where it belongs. Open addressing, linear probing. */
static rs_map_slot *slot_of(rs_map_slot *slots, size_t cap, const char *key, size_t len,
                            uint64_t hash)
{
    for (size_t i = hash & (cap - 1);; i = (i + 1) & (cap - 1)) {
        rs_map_slot *s = &slots[i];
        if (!s->key) return s;
        if (s->hash == hash && s->len == len && memcmp(s->key, key, len) == 0) return s;
    }
}

static bool grow(rs_map *m)
{
    size_t cap = m->cap ? m->cap * 2 : 64;
    rs_map_slot *slots = calloc(cap, sizeof *slots);
    if (!slots) return false;
    for (size_t i = 0; i < m->cap; i++) {
        const rs_map_slot *s = &m->slots[i];
        if (s->key) *slot_of(slots, cap, s->key, s->len, s->hash) = *s;
    }
    free(m->slots);
    m->slots = slots;
    m->cap = cap;
    return true;
}

bool rs_map_put(rs_map *m, const char *key, size_t len, int64_t value, bool *was)
{
    if (m->n * 4 >= m->cap * 3 && !grow(m)) return false;
    uint64_t hash = rs_hash(key, len).low;
    rs_map_slot *s = slot_of(m->slots, m->cap, key, len, hash);
    if (was) *was = s->key != NULL;
    if (s->key) return true;
    *s = (rs_map_slot){key, len, hash, value};
    m->n++;
    return true;
}

int64_t rs_map_get(const rs_map *m, const char *key, size_t len)
{
    if (m->cap == 0) return -1;
    const rs_map_slot *s = slot_of(m->slots, m->cap, key, len, rs_hash(key, len).low);
    return s->key ? s->value : -1;
}

int64_t rs_map_find(const rs_map *m, const char *key)
{
    return rs_map_get(m, key, strlen(key));
}

void rs_map_free(rs_map *m)
{
    free(m->slots);
    *m = (rs_map){0};
}
