/* writer_internal.h - shared by writer.c (bytes and the folder) and writer_plan.c (what goes
 * where, headers and index). */
#ifndef RS_WRITER_INTERNAL_H
#define RS_WRITER_INTERNAL_H

#include "base/arena.h"
#include "base/buf.h"
#include "store/writer.h"

#include <pthread.h>

typedef struct rs_write_slot {
    rs_write_tensor t; /* name in the arena */
    int shard;
    uint64_t offset; /* from the start of the shard's data; then of its file */
    uint64_t n_bytes, first_leaf;
} rs_write_slot;

typedef struct rs_write_shard {
    const char *name, *path;
    int fd;
    uint64_t data_bytes, header_bytes;
} rs_write_shard;

struct rs_writer {
    rs_arena arena;
    const char *final, *partial, *stem;
    bool replaces, published, kept;
    int lock_fd;
    rs_write_slot *slots;
    int n_slots;
    rs_write_shard *shards;
    int n_shards;
    const rs_string_pair *metadata;
    int n_metadata;
    uint64_t bytes;
    pthread_mutex_t mutex; /* guards missing */
    uint32_t *missing;     /* [leaves] bytes of each leaf that were not written yet */
    unsigned char *leaves; /* [leaves * RS_HASH_BYTES] */
};

/* Copies and checks the plan, cuts it into shards and lays the tensors out in each. */
rs_status rs_writer_lay_out(rs_writer *w, const rs_write_plan *plan, rs_err *err);
/* Makes the tables that follow what was written: once it is known that it fits the disk. */
rs_status rs_writer_count_leaves(rs_writer *w, rs_err *err);
/* The header of a shard with its length in front. */
void rs_writer_header(const rs_writer *w, int shard, rs_buf *out);
void rs_writer_index(const rs_writer *w, rs_buf *out); /* model.safetensors.index.json */

#endif
