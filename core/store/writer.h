/* writer.h - a Hugging Face folder that appears under its name only when it is whole.
 *
 * The plan says beforehand which tensors there will be; then their bytes are written by
 * ranges, in any order, from any threads, each byte once. Everything goes to `FOLDER.partial/`,
 * which is locked against other processes and emptied of what a killed run left behind:
 *     FOLDER.partial/model.safetensors                              if all fits one shard, else
 *     FOLDER.partial/model-0000I-of-0000N.safetensors, model.safetensors.index.json
 * and further files. Finishing syncs the files and the folder, then renames the folder (or,
 * where an old one is replaced, swaps the two and removes the old one) and syncs its parent.
 * Freeing before that removes the partial folder. Where the last rename fails the finished
 * folder stays under its partial name, which the error says, and is never emptied.
 *
 * The same plan gives the same bytes: headers are written in one fixed form, padded with
 * spaces to a multiple of 8, "format":"pt" first. Inside a shard wider dtypes come first, so
 * that every tensor is aligned; else the plan's order stays.
 *
 * An existing folder is RS_E_EXISTS unless `force`; then it must look like a model (config,
 * safetensors), since it is removed. An empty folder counts as absent. */
#ifndef RS_WRITER_H
#define RS_WRITER_H

#include "base/status.h"
#include "store/checkpoint.h"
#include "store/safetensors.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct rs_write_tensor {
    const char *name;
    rs_dtype dtype; /* one that the format has */
    int n_dims;
    int64_t dim[RS_MAX_DIMS];
} rs_write_tensor;

typedef struct rs_write_plan {
    const rs_write_tensor *tensors;
    int n_tensors;
    const rs_string_pair *metadata; /* of every shard, after "format" */
    int n_metadata;
    uint64_t shard_bytes; /* at most this much data in a shard; 0: 5,000,000,000 */
    const char *stem;     /* NULL: "model"; adapters: "adapter_model" */
    bool force;
} rs_write_plan;

typedef struct rs_writer rs_writer;

/* Checks the plan and the room on the disk, makes the folder and the files. The plan and its
 * strings are copied. */
rs_status rs_writer_new(const char *folder, const rs_write_plan *plan, rs_writer **out,
                        rs_err *err) RS_MUST_USE;

/* Bytes [first, first + n) of tensor i of the plan. Any thread. */
rs_status rs_writer_write(rs_writer *w, int i, uint64_t first, const void *bytes,
                          size_t n, rs_err *err) RS_MUST_USE;

/* Further files, by plain name (config.json ...), synced. One thread at a time. */
rs_status rs_writer_file(rs_writer *w, const char *name, const void *data, size_t n,
                         rs_err *err) RS_MUST_USE;
rs_status rs_writer_copy(rs_writer *w, const char *name, const char *from,
                         rs_err *err) RS_MUST_USE;

uint64_t rs_writer_bytes(const rs_writer *w); /* of all tensors */

/* RS_E_BUG if bytes are missing. hash: the content hash (content_hash.h) of what was
 * written. If the sync after the last rename fails the folder is there and the error says
 * that it may not survive a power cut. Free the writer in any case. */
rs_status rs_writer_finish(rs_writer *w, char hash[33], rs_err *err) RS_MUST_USE;
void rs_writer_free(rs_writer *w); /* NULL is fine */

#endif
