/* export_internal.h - what the files of the export share: the list of tensors that are
 * written (export_list.c), the keys (export_keys.c, export_tokenizer.c), the run (export.c). */
#ifndef RS_EXPORT_INTERNAL_H
#define RS_EXPORT_INTERNAL_H

#include "model/export.h"
#include "model/family.h"
#include "store/gguf_write.h"

enum { RS_EXPORT_NAME = 96 };

typedef struct rs_export_item {
    int i_source; /* of the source's tensors; -1: the table of RoPE */
    char name[RS_EXPORT_NAME];
    rs_dtype dtype;
    float shift;  /* added to every value */
    int head_dim; /* of q and k, where the rows of each head are re-ordered; else 0 */
    int n_dims;
    int64_t dim[2], n; /* n: elements */
} rs_export_item;

typedef struct rs_export_job {
    const rs_runtime *rt;
    const rs_export_source *source;
    const rs_export_options *o;
    const char *arch; /* GGUF's name of the family */
    rs_export_item *items;
    int n_items;
    float *rope_factors; /* [n_rope_factors]; NULL: no table */
    int n_rope_factors;
    rs_gguf_keys keys;
} rs_export_job;

void rs_export_note(const rs_export_job *j, const char *fmt, ...) RS_PRINTF(2, 3);
/* Every tensor that the config asks for, in a fixed order, with its type. */
rs_status rs_export_list(rs_export_job *j, rs_err *err);
rs_status rs_export_keys(rs_export_job *j, rs_err *err); /* general.* and the config */
rs_status rs_export_tokenizer(rs_export_job *j, rs_err *err);
/* The divisors of the frequencies, where there is a table of them. */
rs_status rs_export_rope(rs_export_job *j, rs_err *err);

#endif
