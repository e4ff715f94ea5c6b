/* recipe.h - a merge, written down: recipe format 1 ("ringside": 1), docs/formats.md.
 *
 * rs_recipe is the file in memory: plain data, every string and array in its arena, edited by
 * assigning fields (strings through rs_recipe_str) and the rs_pairs/rs_names helpers. It
 * knows nothing of models: names are resolved by plan.h. The canonical text (fixed key order,
 * defaults left out, shortest numbers, two-space indent) is the identity of a recipe: undo
 * snapshots, equality and hashes are over it. Parsing checks everything that needs no model:
 * unknown keys, names, selectors and kinds are errors with the nearest suggestion, and line
 * numbers for syntax. Paths are relative to the recipe's folder (`folder`). */
#ifndef RS_RECIPE_H
#define RS_RECIPE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/status.h"
#include "tensor/dtype.h"

#include <stdbool.h>
#include <stdint.h>

/* No layer number in a recipe reaches this; open ends ("10-") stop here. */
enum { RS_RECIPE_LAYERS = 512 };

typedef struct rs_pair {
    const char
        *key; /* a selector in the short form of its place: "0-3", "mlp", "5.q_proj" */
    double value;
} rs_pair;

typedef struct rs_pairs {
    rs_pair *at;
    int n;
} rs_pairs;

typedef struct rs_names {
    const char **at;
    int n, cap; /* cap: of what rs_names_add made; else 0 */
} rs_names;

/* ["layers.0-3 & mlp", "*", 0.8]: accepted wherever the factors stand. Rows are applied in
 * order after the factors; factors.h resolves them and writes factors only. */
typedef struct rs_row {
    const char *selector;
    char op; /* '=' '*' '+' */
    double value;
} rs_row;

typedef struct rs_rows {
    rs_row *at;
    int n;
} rs_rows;

typedef struct rs_model_entry { /* "models" */
    const char *name;
    const char *path;    /* a model, or NULL */
    const char *adapter; /* a PEFT adapter's folder, or NULL */
    const char *on; /* with adapter: folded on this model, so itself a model; or NULL */
    const struct rs_make *make; /* how the adapter is made (make.h), or NULL */
    const char *later; /* compact JSON text of an entry of a later version (combine) */
} rs_model_entry;

typedef enum rs_measure_type { RS_MEASURE_FISHER, RS_MEASURE_SUBSPACE } rs_measure_type;

typedef struct rs_measure_entry { /* "measures" */
    const char *name;
    rs_measure_type type;
    const char *path;
    const char *scale; /* "per_token", "per_sequence", or NULL: as the file says */
    const struct rs_make *make; /* how the file is made (make.h), or NULL */
} rs_measure_entry;

typedef enum rs_method {
    RS_METHOD_TASK_ARITHMETIC,
    RS_METHOD_SLERP,
    RS_METHOD_LATER
} rs_method;
typedef enum rs_dampen_kind {
    RS_DAMPEN_NONE,
    RS_DAMPEN_EWC,
    RS_DAMPEN_ONE_MINUS,
    RS_DAMPEN_TASK,
    RS_DAMPEN_HARD
} rs_dampen_kind;
typedef enum rs_normaliser {
    RS_NORM_MEAN,
    RS_NORM_MAX,
    RS_NORM_LOG,
    RS_NORM_RANK,
    RS_NORM_NONE,
    RS_NORM_P90,
    RS_NORM_P95,
    RS_NORM_P99,
    RS_NORM_P999
} rs_normaliser;
typedef enum rs_over { RS_OVER_LAYERS, RS_OVER_ALL, RS_OVER_TARGETS } rs_over;

typedef struct rs_dampen_spec {
    const char *by;   /* a Fisher measure, NULL for kind none */
    const char *task; /* kind task: the style task's Fisher measure */
    rs_dampen_kind kind;
    double lambda;            /* ewc, task */
    double parameter, layer;  /* one_minus: a, b */
    double q;                 /* hard */
    rs_normaliser normaliser; /* default: mean for ewc, p99 for one_minus and hard */
    rs_over over;
    bool per_tensor; /* "scope": "tensor" */
    bool clamp;
} rs_dampen_spec;

typedef enum rs_mask_side {
    RS_MASK_OUT,
    RS_MASK_IN,
    RS_MASK_BOTH,
    RS_MASK_BLOCK
} rs_mask_side;

typedef struct rs_mask_spec { /* "mask", and "order" */
    const char *by;           /* a subspace measure, NULL: no mask */
    rs_mask_side side;
    double strength; /* 0 to 1 */
    bool per_layer;  /* times the layer's Fisher, of dampen.by */
    bool last;       /* after dampening, not before it */
} rs_mask_spec;

/* Gain of a tensor = master * layer * kind * cell; see factors.h for the resolved form. */
typedef struct rs_gain_spec {
    double master;
    rs_pairs layers, kinds, cells;
    rs_rows rows;
    rs_names mute, solo, lock; /* selectors */
} rs_gain_spec;

/* t of a tensor: cell, else kind, else layer, else default (replaced, not multiplied). */
typedef struct rs_t_spec {
    double fallback; /* "default" */
    rs_pairs layers, kinds, cells;
    rs_rows rows;
} rs_t_spec;

typedef struct rs_input {
    const char *from; /* a model, adapter or earlier stage */
    double weight;
} rs_input;

typedef struct rs_stage {
    const char *name;
    rs_method method;
    const char *method_name; /* as written */
    const char *base;        /* task_arithmetic; slerp with space delta */
    rs_input *inputs;
    int n_inputs;
    bool normalize;
    double scale;
    const char
        *later; /* RS_METHOD_LATER: compact JSON text of the whole stage; else NULL */
    rs_mask_spec mask;
    rs_dampen_spec dampen;
    rs_gain_spec gain;
    /* slerp: inputs[0] is t = 0, inputs[1] is t = 1 */
    rs_t_spec t;
    bool space_delta, norm_lerp, rowwise, vectors_slerp, opposite_error;
    double flat_below;
} rs_stage;

typedef struct rs_recipe {
    rs_arena arena;
    const char *folder; /* of the file: what paths are relative to */
    const char *name, *notes;
    rs_names tags;
    rs_model_entry *models;
    int n_models;
    rs_measure_entry *measures;
    int n_measures;
    rs_stage *stages;
    int n_stages;
    double budget;         /* nat; <= 0: none */
    const char *budget_of; /* a stage, or "out" */
    const char *output_stage;
    rs_dtype output_dtype;
    bool stochastic; /* "rounding": later */
    uint64_t seed;
    uint64_t shard_bytes;
} rs_recipe;

/* folder: for relative paths; what: how errors call the text. */
rs_status rs_recipe_parse(const char *text, size_t n, const char *folder,
                          const char *what, rs_recipe **out, rs_err *err) RS_MUST_USE;
/* A .json file, a merged folder (its ringside.json), or a merged GGUF (its ringside.recipe). */
rs_status rs_recipe_load(const char *path, rs_recipe **out, rs_err *err) RS_MUST_USE;
rs_status rs_recipe_clone(const rs_recipe *r, rs_recipe **out, rs_err *err) RS_MUST_USE;
void rs_recipe_free(rs_recipe *r); /* NULL is fine */

/* Appends the canonical text. folder: paths are written relative to it (NULL: as they are). */
void rs_recipe_text(const rs_recipe *r, const char *folder, rs_buf *out);
bool rs_recipe_equal(const rs_recipe *a, const rs_recipe *b);
/* Differences in words, one a line: "fuel   layer 4 mlp gain 1.000 -> 0.300". Returns how
 * many lines; "same ..." lines are not written here. */
int rs_recipe_diff(const rs_recipe *a, const rs_recipe *b, rs_buf *out);

const rs_model_entry *rs_recipe_model(const rs_recipe *r, const char *name); /* or NULL */
const rs_measure_entry *rs_recipe_measure(const rs_recipe *r,
                                          const char *name);     /* or NULL */
rs_stage *rs_recipe_stage(const rs_recipe *r, const char *name); /* or NULL */
/* The task_arithmetic stage that the output depends on most directly (the Ring's rows), and
 * the slerp stage after it; NULL where there is none. */
rs_stage *rs_recipe_fuel(const rs_recipe *r);
rs_stage *rs_recipe_heal(const rs_recipe *r);

const char *rs_recipe_str(rs_recipe *r,
                          const char *s); /* a copy in the arena; NULL: memory */
/* Sets key to value, or takes the pair out where value is `neutral`. false: no memory. */
bool rs_pairs_set(rs_recipe *r, rs_pairs *p, const char *key, double value,
                  double neutral);
bool rs_names_add(rs_recipe *r, rs_names *n,
                  const char *name); /* once; false: no memory */
bool rs_names_has(const rs_names *n, const char *name);

const char *rs_dampen_name(rs_dampen_kind k);
const char *rs_normaliser_name(rs_normaliser n);
const char *rs_mask_side_name(rs_mask_side s);
bool rs_mask_side_from_name(const char *name, rs_mask_side *out);
bool rs_dampen_from_name(const char *name, rs_dampen_kind *out);
bool rs_normaliser_from_name(const char *name, rs_normaliser *out);

#endif
