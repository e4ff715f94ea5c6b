/* fisher_internal.h - the parts of a Fisher run: fisher.c (the way), fisher_run.c (what all
 * share), fisher_sums.c (squares of one layer), fisher_tables.c (tables, by rows),
 * fisher_state.c (what a resumed run needs), fisher_told.c (what is told of a layer). */
#ifndef RS_FISHER_INTERNAL_H
#define RS_FISHER_INTERNAL_H

#include "learn/backward.h"
#include "learn/fisher.h"
#include "learn/spill.h"
#include "model/family.h"
#include "store/tensor_file.h"

/* Squares of one tensor. */
typedef struct rs_sum {
    int i_out; /* tensor of the output; -1: not wanted */
    int64_t rows, cols;
    float *acc; /* [rows, cols] over the sequences so far */
    float *one; /* kind sequence, vectors: [rows] this sequence's gradient; else NULL */
} rs_sum;

/* The tensors of one layer, or outside the layers those that are no tables. */
typedef struct rs_sums {
    const rs_runtime *rt;
    const rs_config *c;
    rs_fisher_kind kind;
    int layer;
    rs_sum of[RS_MAX_SLOTS];      /* by slot */
    float *memory, *scratch; /* scratch: for each thread */
    int64_t scratch_each;
    int64_t room; /* tokens of the longest sequence */
} rs_sums;

/* Where a sequence's activations lie in the spill: bytes from its base. */
typedef struct rs_places {
    uint64_t x, dx, ple, dple, kv; /* kv: for donors, k v dk dv each */
    uint64_t bytes;
} rs_places;

typedef struct rs_run {
    const rs_runtime *rt;
    const rs_checkpoint *file;
    const rs_config *c;
    const rs_example *examples;
    int n;
    const rs_fisher_options *o;
    rs_model *m;
    rs_work *work;
    rs_sequence *s;
    rs_spill *spill;
    uint64_t *base;   /* [n] */
    int32_t **labels; /* [n][tokens] as counted, drawn ones too */
    double **lse;     /* [n][tokens] */
    double loss;
    int64_t tokens, counted; /* of all sequences; labels that count */
    rs_tensor_file *out;
    const char **name; /* [n_out] */
    int n_out;
    int *output; /* by rs_slot_index: tensor of the output, -1: not wanted */
    int lowest;  /* layer that the way back ends with; n_layers: it takes none */
    bool embeds; /* and then goes on to what lies below them */
    void *ple_rows; /* of the sequence at hand */
    bool can_resume; /* there is a state, of this run or of one before */
    bool useless;    /* what is there is not that: rs_fisher_result */
    double saved;    /* when the last state was written */
    uint64_t steps, all_steps;
    char what[32];
} rs_run;

/* fisher_sums.c */
rs_status rs_sums_open(rs_sums *s, const rs_run *r, int layer, rs_err *err) RS_MUST_USE;
uint64_t rs_sums_need(const rs_run *r, int layer); /* bytes */
void rs_sums_close(rs_sums *s);
rs_sink rs_sums_sink(rs_sums *s);
void rs_sums_end_sequence(rs_sums *s);
rs_status rs_sums_write(rs_sums *s, const rs_run *r, rs_err *err) RS_MUST_USE;

/* fisher_run.c */
bool rs_is_table(int layer, const rs_slot *s);
rs_status rs_run_list_outputs(rs_run *r, rs_err *err) RS_MUST_USE;
rs_status rs_run_open_output(rs_run *r, rs_err *err) RS_MUST_USE;
/* Tensor of the output, or -1. */
int rs_run_output(const rs_run *r, int layer, const rs_slot *s);
rs_status rs_run_step(rs_run *r, rs_err *err) RS_MUST_USE; /* one more of all_steps */
/* [count] elements from `first` of an output tensor: scaled, in the output's type. values are
 * overwritten. */
rs_status rs_run_write(const rs_run *r, int i_out, int64_t first, float *values,
                       int64_t count, rs_err *err) RS_MUST_USE;
rs_places rs_run_places(const rs_config *c, int64_t n);
/* s is example i; then its parts, from and to the spill: x of a layer, dx, the slice of layer
 * l of the per-layer inputs or their gradient, a donor's K and V or the gradients of them. */
rs_status rs_run_take(rs_run *r, int i, rs_err *err) RS_MUST_USE;
typedef enum rs_direction { RS_GET, RS_PUT } rs_direction;
rs_status rs_run_move_x(rs_run *r, rs_direction d, int i, int layer,
                        rs_err *err) RS_MUST_USE;
rs_status rs_run_move_dx(rs_run *r, rs_direction d, int i, rs_err *err) RS_MUST_USE;
rs_status rs_run_move_ple(rs_run *r, rs_direction d, int i, int l, bool gradient,
                          rs_err *err) RS_MUST_USE;
rs_status rs_run_move_kv(rs_run *r, rs_direction d, int i, int donor, bool gradient,
                         rs_err *err) RS_MUST_USE;
rs_status rs_run_get_dple(rs_run *r, int i,
                          rs_err *err) RS_MUST_USE; /* all layers of s */

/* fisher_told.c: tells of a layer that is written. */
rs_status rs_run_tell(const rs_run *r, int layer, rs_err *err) RS_MUST_USE;

/* fisher_tables.c: the head, the embedding, the per-layer table; last. Their steps. */
uint64_t rs_run_table_steps(const rs_run *r);
rs_status rs_run_tables(rs_run *r, rs_err *err) RS_MUST_USE;

/* fisher_state.c: gradients where the way back stands, before layer `next`. */
rs_status rs_run_save(rs_run *r, int next, rs_err *err) RS_MUST_USE;
/* *next stays as it is where there is no whole state. */
rs_status rs_run_load(rs_run *r, int *next, rs_err *err) RS_MUST_USE;

#endif
