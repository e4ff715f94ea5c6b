/* contrast.h - which of two models each weight should be taken from, by what a prompt asks of
 * it: a mask r in [0, 1] out of four Fishers, of models A and B, each with the prompt S+ before
 * the chats and with S- instead.
 *
 *     F_A = max(0, F(A|S+) - F(A|S-)) / its largest over all tensors     F_B likewise
 *     r   = F_A / (F_A + F_B + 1e-30)
 *     r   = 1/2 where F_A + F_B is 0 or under its median over all elements
 *
 * for W = r A + (1 - r) B. Both maxima and the median are of the whole model: F_A and F_B are
 * vectors, and a tensor that neither prompt moves has nothing to say. All zero where a model
 * does not tell the prompts apart: its F is 0.
 *
 * The four files are read in pieces, four times each; the same bytes for any number of threads. */
#ifndef RS_CONTRAST_H
#define RS_CONTRAST_H

#include "store/checkpoint.h"
#include "store/safetensors.h"
#include "tensor/runtime.h"

enum { RS_CONTRAST_A_PLUS, RS_CONTRAST_A_MINUS, RS_CONTRAST_B_PLUS, RS_CONTRAST_B_MINUS };

typedef struct rs_contrast_options {
    const rs_string_pair *metadata;
    int n_metadata;
    const char *out; /* float32 tensors with the names and shapes of the first file */
    bool force;
    rs_progress_fn progress; /* may be NULL; false cancels: RS_E_CANCELLED */
    void *progress_ctx;
} rs_contrast_options;

typedef struct rs_contrast_result {
    int n_tensors;
    int64_t n;                   /* elements */
    double largest_a, largest_b; /* of the differences */
    double median;               /* of F_A + F_B */
    double undecided;            /* share of elements that are 1/2 for want of a say */
    double mean;                 /* of r */
} rs_contrast_result;

/* RS_E_MISMATCH where the files differ in a name or shape; RS_E_INVALID where a value is
 * negative or not finite. */
rs_status rs_contrast_run(const rs_runtime *rt, const rs_checkpoint *const files[4],
                          const rs_contrast_options *o, rs_contrast_result *result,
                          rs_err *err) RS_MUST_USE;

#endif
