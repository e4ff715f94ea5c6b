/* measure_file.h - files of a recipe's measures by what they call themselves ("kind" in their
 * metadata): a contrast mask is named like a Fisher and has the same tensors, but is none. */
#ifndef RS_MEASURE_FILE_H
#define RS_MEASURE_FILE_H

#include "merge/plan.h"

/* The first Fisher measure whose file is of this kind, with its header open: *out is owned by
 * the caller. Files that cannot be opened are passed over. RS_E_NOT_FOUND: none is. */
rs_status rs_recipe_open_kind(const rs_recipe *r, const rs_plan_options *o,
                              const char *kind, const rs_measure_entry **which,
                              rs_checkpoint **out, rs_err *err) RS_MUST_USE;
bool rs_file_is_kind(const char *path, const char *kind);
/* Is the file of measure i of this kind? */
bool rs_measure_is_kind(const rs_recipe *r, const rs_plan_options *o, int i,
                        const char *kind);

#endif
