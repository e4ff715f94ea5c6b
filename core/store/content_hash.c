#include "store/content_hash.h"

#include "base/bytes.h"

#include <stdlib.h>
#include <string.h>

uint64_t rs_content_leaves(uint64_t n_bytes)
{
    return n_bytes / RS_HASH_LEAF + (n_bytes % RS_HASH_LEAF != 0);
}

static void put_hash(unsigned char out[RS_HASH_BYTES], rs_hash128 h)
{
    rs_put_le64(out, h.low);
    rs_put_le64(out + 8, h.high);
}

void rs_content_leaf(const void *bytes, size_t n, unsigned char out[RS_HASH_BYTES])
{
    put_hash(out, rs_hash(bytes, n));
}

rs_hash128 rs_content_join(const unsigned char *leaves, uint64_t n_leaves)
{
    return rs_hash(n_leaves ? (const void *)leaves : "",
                   (size_t)n_leaves * RS_HASH_BYTES);
}

bool rs_content_tensor(const void *bytes, uint64_t n_bytes, rs_hash128 *out)
{
    uint64_t n = rs_content_leaves(n_bytes);
    unsigned char *leaves = malloc(n ? (size_t)n * RS_HASH_BYTES : 1);
    if (!leaves) return false;
    for (uint64_t i = 0; i < n; i++) {
        uint64_t left = n_bytes - i * RS_HASH_LEAF;
        rs_content_leaf((const char *)bytes + i * RS_HASH_LEAF,
                        left < RS_HASH_LEAF ? (size_t)left : RS_HASH_LEAF,
                        leaves + i * RS_HASH_BYTES);
    }
    *out = rs_content_join(leaves, n);
    free(leaves);
    return true;
}

static int by_name(const void *pa, const void *pb)
{
    const rs_hashed_tensor *a = pa, *b = pb;
    return strcmp(a->name, b->name);
}

static void add_u64(rs_hasher *h, uint64_t v)
{
    unsigned char bytes[8];
    rs_put_le64(bytes, v);
    rs_hasher_add(h, bytes, sizeof bytes);
}

static void add_text(rs_hasher *h, const char *s)
{
    rs_hasher_add(h, s, strlen(s) + 1);
}

rs_status rs_content_hash(rs_hashed_tensor *tensors, int n, char hex[33], rs_err *err)
{
    rs_hasher *h = rs_hasher_new();
    if (!h) return rs_fail(err, RS_E_NOMEM, "no memory to hash %d tensors", n);
    if (n > 1) qsort(tensors, (size_t)n, sizeof *tensors, by_name);
    for (int i = 0; i < n; i++) {
        const rs_hashed_tensor *t = &tensors[i];
        unsigned char hash[RS_HASH_BYTES];
        add_text(h, t->name);
        add_text(h, rs_dtype_name(t->dtype));
        add_u64(h, (uint64_t)t->n_dims);
        for (int d = 0; d < t->n_dims; d++)
            add_u64(h, (uint64_t)t->dim[d]);
        put_hash(hash, t->hash);
        rs_hasher_add(h, hash, sizeof hash);
    }
    rs_hash_hex(rs_hasher_end(h), hex);
    rs_hasher_free(h);
    return RS_OK;
}

/* ---- of a checkpoint ---- */

/* All leaves of all tensors in one row, so that small tensors do not idle the threads. */
typedef struct hashing {
    const rs_checkpoint *c;
    uint64_t *first;       /* [tensors + 1] number of each tensor's first leaf */
    unsigned char *leaves; /* [all leaves * RS_HASH_BYTES] */
    char *buffers;         /* [threads * RS_HASH_LEAF] */
    rs_status *failed;     /* [threads] */
    rs_err *errors;        /* [threads] */
    int64_t base;          /* first leaf of this run */
} hashing;

static int tensor_of_leaf(const hashing *h, uint64_t leaf)
{
    int low = 0, high = rs_checkpoint_count(h->c);
    while (high - low > 1) {
        int mid = low + (high - low) / 2;
        if (h->first[mid] <= leaf)
            low = mid;
        else
            high = mid;
    }
    return low;
}

static bool hash_leaf(void *ctx, int64_t chunk, int worker)
{
    hashing *h = ctx;
    uint64_t leaf = (uint64_t)(h->base + chunk);
    int i = tensor_of_leaf(h, leaf);
    const rs_tensor *t = rs_checkpoint_at(h->c, i);
    uint64_t at = (leaf - h->first[i]) * RS_HASH_LEAF, left = t->n_bytes - at;
    size_t n = left < RS_HASH_LEAF ? (size_t)left : RS_HASH_LEAF;
    char *buffer = h->buffers + (size_t)worker * RS_HASH_LEAF;
    h->failed[worker] =
        rs_checkpoint_read_raw(h->c, t, at, n, buffer, &h->errors[worker]);
    if (h->failed[worker] != RS_OK) return false;
    rs_content_leaf(buffer, n, h->leaves + leaf * RS_HASH_BYTES);
    return true;
}

static rs_status first_failure(const hashing *h, int threads, rs_err *err)
{
    for (int i = 0; i < threads; i++)
        if (h->failed[i] != RS_OK)
            return rs_fail(err, h->failed[i], "%s", h->errors[i].msg);
    return rs_fail(err, RS_E_BUG, "hashing stopped without a reason");
}

static rs_status hash_leaves(const rs_runtime *rt, hashing *h, rs_progress_fn progress,
                             void *ctx, rs_err *err)
{
    int n = rs_checkpoint_count(h->c), threads = rs_pool_threads(rt->pool);
    int64_t total = (int64_t)h->first[n], batch = 16 * threads;
    for (h->base = 0; h->base < total; h->base += batch) {
        int64_t now = total - h->base < batch ? total - h->base : batch;
        if (!rs_pool_run(rt->pool, now, hash_leaf, h))
            return first_failure(h, threads, err);
        uint64_t done = (uint64_t)(h->base + now);
        const rs_tensor *t = rs_checkpoint_at(h->c, tensor_of_leaf(h, done - 1));
        rs_progress p = {done * RS_HASH_LEAF, (uint64_t)total * RS_HASH_LEAF, "bytes",
                         t->name};
        if (progress && !progress(ctx, &p))
            return rs_fail(err, RS_E_CANCELLED, "hashing was cancelled");
    }
    return RS_OK;
}

static rs_status join_all(const hashing *h, char hex[33], rs_err *err)
{
    int n = rs_checkpoint_count(h->c);
    rs_hashed_tensor *t = calloc((size_t)n + 1, sizeof *t);
    if (!t) return rs_fail(err, RS_E_NOMEM, "no memory to hash %d tensors", n);
    for (int i = 0; i < n; i++) {
        const rs_tensor *from = rs_checkpoint_at(h->c, i);
        const unsigned char *leaves = h->leaves + h->first[i] * RS_HASH_BYTES;
        t[i] = (rs_hashed_tensor){from->name, from->dtype, from->n_dims, from->dim,
                                  rs_content_join(leaves, h->first[i + 1] - h->first[i])};
    }
    rs_status s = rs_content_hash(t, n, hex, err);
    free(t);
    return s;
}

rs_status rs_checkpoint_content_hash(const rs_runtime *rt, const rs_checkpoint *c,
                                     rs_progress_fn progress, void *ctx, char hex[33],
                                     rs_err *err)
{
    int n = rs_checkpoint_count(c), threads = rs_pool_threads(rt->pool);
    hashing h = {.c = c};
    h.first = calloc((size_t)n + 1, sizeof *h.first);
    for (int i = 0; h.first && i < n; i++)
        h.first[i + 1] = h.first[i] + rs_content_leaves(rs_checkpoint_at(c, i)->n_bytes);
    if (h.first) h.leaves = malloc((size_t)h.first[n] * RS_HASH_BYTES + 1);
    h.buffers = malloc((size_t)threads * RS_HASH_LEAF);
    h.failed = calloc((size_t)threads, sizeof *h.failed);
    h.errors = calloc((size_t)threads, sizeof *h.errors);
    rs_status s =
        h.first && h.leaves && h.buffers && h.failed && h.errors
            ? hash_leaves(rt, &h, progress, ctx, err)
            : rs_fail(err, RS_E_NOMEM, "no memory to hash %s", rs_checkpoint_path(c));
    if (s == RS_OK) s = join_all(&h, hex, err);
    free(h.first);
    free(h.leaves);
    free(h.buffers);
    free(h.failed);
    free(h.errors);
    return s;
}
