/* tensor_file.h - one safetensors file that appears under its name only when it is whole, and
 * whose making may be interrupted and taken up again.
 *
 * `PATH.partial/` holds the file while it is made, and whatever else its maker wants to find
 * there after an interruption. It is locked against other processes. Without `resume` it is
 * emptied of what an earlier run left; with it, what lies there is kept if it has the same
 * header (names, types, shapes, metadata), and refused with RS_E_MISMATCH if it has another.
 * Finishing syncs the file, gives it its name (without `force` only where nothing has it by
 * then: RS_E_EXISTS) and removes the folder. Freed before that, the folder stays. Written by
 * ranges, each tensor as often as its maker likes; one thread. */
#ifndef RS_TENSOR_FILE_H
#define RS_TENSOR_FILE_H

#include "store/writer.h"

typedef struct rs_tensor_file rs_tensor_file;

/* Tensors lie in the order given; metadata after "format". force: PATH may exist. */
rs_status rs_tensor_file_new(const char *path, const rs_write_plan *plan, bool resume,
                             rs_tensor_file **out, rs_err *err) RS_MUST_USE;
rs_status rs_tensor_file_write(rs_tensor_file *f, int i, uint64_t first,
                               const void *bytes, size_t n, rs_err *err) RS_MUST_USE;
/* What was written there, or lies there of an earlier run. */
rs_status rs_tensor_file_read(const rs_tensor_file *f, int i, uint64_t first, void *bytes,
                              size_t n, rs_err *err) RS_MUST_USE;
rs_status rs_tensor_file_sync(rs_tensor_file *f, rs_err *err) RS_MUST_USE;
const char *rs_tensor_file_folder(const rs_tensor_file *f); /* PATH.partial */
bool rs_tensor_file_resumes(const rs_tensor_file *f); /* there was something to keep */
rs_status rs_tensor_file_finish(rs_tensor_file *f, rs_err *err) RS_MUST_USE;
/* There is nothing in it that is worth going on from: the folder goes, too. */
void rs_tensor_file_discard(rs_tensor_file *f);
void rs_tensor_file_free(rs_tensor_file *f); /* NULL is fine */

#endif
