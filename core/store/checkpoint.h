/* checkpoint.h - a model, adapter, Fisher file ... on disk, read by ranges.
 *
 * One interface over three layouts: a safetensors file, a folder (model.safetensors, or
 * shards with model.safetensors.index.json; also adapter_model.safetensors), and a GGUF
 * file. Opening reads headers only (milliseconds for 16 GB). Tensors are described row-major
 * in PyTorch's order whatever the file; GGUF tensors appear under their Hugging Face names
 * where the architecture is known (`stored_name` keeps the file's own), and where the file
 * stores a norm with 1 added, `shift` is -1 and is applied by rs_checkpoint_read_f32.
 * Rows that a GGUF stores in another order (paired_heads) are read in PyTorch's.
 *
 * Everything in the file is checked before use: offsets, sizes, overlaps, names, counts.
 * A checkpoint is immutable after opening; any number of threads may read from it. Strings
 * and tensors are borrowed from it until rs_checkpoint_close. */
#ifndef RS_CHECKPOINT_H
#define RS_CHECKPOINT_H

#include "base/os.h"
#include "base/status.h"
#include "tensor/dtype.h"

#include <stdint.h>

enum { RS_MAX_DIMS = 8 };

typedef struct rs_tensor {
    const char *name;
    const char *stored_name; /* as in the file */
    rs_dtype dtype;
    int n_dims; /* 0: a scalar */
    int64_t dim[RS_MAX_DIMS];
    int64_t n_elements;
    uint64_t n_bytes;
    int i_file;           /* which of the checkpoint's files */
    uint64_t offset;      /* from the start of that file */
    int64_t paired_heads; /* > 0: the file has the rows of each head in pairs (gguf.h) */
    float shift; /* added to every value on reading as float32; 0 nearly always */
} rs_tensor;

typedef enum rs_layout { RS_LAYOUT_FILE, RS_LAYOUT_FOLDER, RS_LAYOUT_GGUF } rs_layout;

typedef struct rs_checkpoint rs_checkpoint;

/* path: a folder, a .safetensors or .gguf file, or an index.json. */
rs_status rs_checkpoint_open(const char *path, rs_checkpoint **out,
                             rs_err *err) RS_MUST_USE;
void rs_checkpoint_close(rs_checkpoint *c); /* NULL is fine */

const char *rs_checkpoint_path(const rs_checkpoint *c);   /* as it was opened */
const char *rs_checkpoint_folder(const rs_checkpoint *c); /* where its config would lie */
rs_layout rs_checkpoint_layout(const rs_checkpoint *c);
int rs_checkpoint_n_files(const rs_checkpoint *c);
const char *rs_checkpoint_file(const rs_checkpoint *c, int i); /* path of the i-th file */
uint64_t rs_checkpoint_bytes(const rs_checkpoint *c);          /* of all tensors */

int rs_checkpoint_count(const rs_checkpoint *c);
const rs_tensor *rs_checkpoint_at(const rs_checkpoint *c, int i); /* in file order */
const rs_tensor *rs_checkpoint_find(const rs_checkpoint *c,
                                    const char *name); /* or NULL */

/* safetensors' __metadata__ of the first file, or a GGUF's string keys. NULL if absent. */
const char *rs_checkpoint_metadata(const rs_checkpoint *c, const char *key);
int rs_checkpoint_n_metadata(const rs_checkpoint *c);
void rs_checkpoint_metadata_at(const rs_checkpoint *c, int i, const char **key,
                               const char **value);
struct rs_gguf;                                                   /* gguf.h */
const struct rs_gguf *rs_checkpoint_gguf(const rs_checkpoint *c); /* NULL if no GGUF */

/* Bytes [first, first + n) of the tensor in its stored type, rows in PyTorch's order. */
rs_status rs_checkpoint_read_raw(const rs_checkpoint *c, const rs_tensor *t,
                                 uint64_t first, size_t n, void *dst,
                                 rs_err *err) RS_MUST_USE;
/* Elements [first, first + n), widened to float32, shift applied. For block types first and
 * n may be any numbers. Types that are not numeric are RS_E_UNSUPPORTED. */
rs_status rs_checkpoint_read_f32(const rs_checkpoint *c, const rs_tensor *t,
                                 int64_t first, int64_t n, float *dst,
                                 rs_err *err) RS_MUST_USE;

/* Cheap identity of the whole checkpoint: files' device, inode, size, mtime and the hash of
 * their headers (and, for a folder, of nothing else). Hex, 32 digits. */
rs_status rs_checkpoint_identity(const rs_checkpoint *c, char hex[33],
                                 rs_err *err) RS_MUST_USE;

/* "layers.3.q_proj [192, 192] bf16" style shape text into dst. */
void rs_tensor_shape(const rs_tensor *t, char *dst, size_t n);

#endif
