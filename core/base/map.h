/* map.h - from names to numbers. Keys are borrowed: they must outlive the map. A zeroed
 * rs_map is a valid empty one. Reading is thread-safe while nobody writes. */
#ifndef RS_MAP_H
#define RS_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct rs_map_slot {
    const char *key; /* NULL: free */
    size_t len;
    uint64_t hash;
    int64_t value;
} rs_map_slot;

typedef struct rs_map {
    rs_map_slot *slots;
    size_t n, cap; /* cap is 0 or a power of two */
} rs_map;

/* false: no memory. A key that is there keeps its old value; *was tells (may be NULL). */
bool rs_map_put(rs_map *m, const char *key, size_t len, int64_t value, bool *was);
int64_t rs_map_get(const rs_map *m, const char *key, size_t len); /* -1: not there */
int64_t rs_map_find(const rs_map *m, const char *key);            /* key ends with a 0 */
void rs_map_free(rs_map *m);

#endif
