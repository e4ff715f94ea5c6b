/* export_merge.h - a merge written straight into a GGUF, without a folder between.
 *
 * The tensors are those that rs_execute would write, rounded to the recipe's output type and
 * then stored as the export asks (model/export.h). Where the base is a folder the file is that
 * of merging to a folder and exporting this one, given the same name. Where it is a GGUF its
 * tokenizer's keys are copied, and the tensors alone are those of that way.
 *
 * Memory: as for a merge (merge/memory.h), chunks smaller and threads fewer until it fits the
 * runtime's budget. RS_E_NOMEM with numbers where one thread does not. */
#ifndef RS_EXPORT_MERGE_H
#define RS_EXPORT_MERGE_H

#include "merge/plan.h"
#include "model/export.h"

rs_status rs_export_merge(const rs_runtime *rt, const rs_plan *p,
                          const rs_export_options *o, rs_export_result *result,
                          rs_err *err) RS_MUST_USE;

#endif
