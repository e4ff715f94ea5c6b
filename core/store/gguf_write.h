/* gguf_write.h - a GGUF file that appears under its name only when it is whole.
 *
 * Keys are collected first, in the order in which they will stand; with the list of tensors
 * they make the header (version 3, alignment 32). Then the tensors' bytes are written by
 * ranges, in any order, from any threads, each byte once, into `FILE.partial/`. Finishing
 * syncs the file, renames it (over an old one where that is replaced) and removes the
 * folder; freeing before that removes both. The same keys and tensors give the same bytes.
 *
 * An existing file is RS_E_EXISTS unless `force`; then it must be a GGUF (or empty), since it
 * is replaced. Links and folders are never replaced. That holds for what appears while the
 * file is made, too: then it stays in the folder, and the error says so. */
#ifndef RS_GGUF_WRITE_H
#define RS_GGUF_WRITE_H

#include "base/buf.h"
#include "store/gguf.h"
#include "store/writer.h"

/* --- keys --- */

typedef struct rs_gguf_keys {
    rs_buf bytes; /* failed: no memory, told by rs_gguf_writer_new */
    uint64_t n;
} rs_gguf_keys; /* zeroed: none */

void rs_gguf_keys_free(rs_gguf_keys *k);
void rs_gguf_put_u32(rs_gguf_keys *k, const char *key, uint32_t v);
void rs_gguf_put_f32(rs_gguf_keys *k, const char *key, float v);
void rs_gguf_put_bool(rs_gguf_keys *k, const char *key, bool v);
void rs_gguf_put_string(rs_gguf_keys *k, const char *key, const char *s, size_t n);
void rs_gguf_put_value(rs_gguf_keys *k, const rs_gguf_value *v); /* of another file */
/* The start of an array of u32, i32, f32, bool or strings: exactly n of its elements follow. */
void rs_gguf_put_array(rs_gguf_keys *k, const char *key, rs_gguf_type type, uint64_t n);
void rs_gguf_add_u32(rs_gguf_keys *k, uint32_t v);
void rs_gguf_add_f32(rs_gguf_keys *k, float v);
void rs_gguf_add_bool(rs_gguf_keys *k, bool v);
void rs_gguf_add_string(rs_gguf_keys *k, const char *s, size_t n);

/* --- the file --- */

typedef struct rs_gguf_writer rs_gguf_writer;

/* Checks the list (1 to 4 dimensions each, types that GGUF has, rows of whole blocks) and the
 * room on the disk, makes the folder and writes the header. Keys and tensors are copied. */
rs_status rs_gguf_writer_new(const char *path, const rs_gguf_keys *keys,
                             const rs_write_tensor *tensors, int n_tensors, bool force,
                             rs_gguf_writer **out, rs_err *err) RS_MUST_USE;
/* Bytes [first, first + n) of tensor i of the list. Any thread. */
rs_status rs_gguf_writer_write(rs_gguf_writer *w, int i, uint64_t first,
                               const void *bytes, size_t n, rs_err *err) RS_MUST_USE;
uint64_t rs_gguf_writer_bytes(const rs_gguf_writer *w); /* of the whole file */
/* RS_E_BUG if bytes are missing. If the sync after the rename fails the file is there and the
 * error says that it may not survive a power cut. Free the writer in any case. */
rs_status rs_gguf_writer_finish(rs_gguf_writer *w, rs_err *err) RS_MUST_USE;
void rs_gguf_writer_free(rs_gguf_writer *w); /* NULL is fine */

#endif
