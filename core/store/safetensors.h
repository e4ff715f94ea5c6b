/* safetensors.h - the header of one safetensors file.
 *
 * The file: u64 length of the header, little-endian; the header, a JSON object; the data.
 * Each member of the header is a tensor {"dtype", "shape", "data_offsets": [begin, end)},
 * offsets counted from the start of the data; "__metadata__" holds strings.
 *
 * Refused: a header above 100 MB or past the end of the file, unknown dtypes, more than 8
 * dimensions, sizes that do not agree with shape and dtype, overlaps, gaps, bytes after the
 * last tensor, empty and repeated names. These are the rules of the format's reference
 * reader, so what is refused here does not load elsewhere either. */
#ifndef RS_SAFETENSORS_H
#define RS_SAFETENSORS_H

#include "base/arena.h"
#include "base/hash.h"
#include "base/status.h"
#include "store/checkpoint.h"

#include <stdint.h>

enum { RS_SAFETENSORS_MAX_HEADER = 100000000 };

typedef struct rs_string_pair {
    const char *key, *value;
} rs_string_pair;

typedef struct rs_safetensors {
    rs_tensor *tensors; /* by offset; i_file 0 */
    int n_tensors;
    rs_string_pair *metadata;
    int n_metadata;
    rs_hash128 hash; /* of the header's bytes */
} rs_safetensors;

/* Everything in out is allocated from a. path is for the sentences. */
rs_status rs_safetensors_read(int fd, const char *path, uint64_t size, rs_arena *a,
                              rs_safetensors *out, rs_err *err) RS_MUST_USE;
/* The same of a header that is in memory: file_bytes is the size of the whole file. */
rs_status rs_safetensors_parse(const char *header, size_t n, const char *path,
                               uint64_t file_bytes, rs_arena *a, rs_safetensors *out,
                               rs_err *err) RS_MUST_USE;

#endif
