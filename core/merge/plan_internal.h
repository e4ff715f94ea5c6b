/* plan_internal.h - how a plan is made: files (rs_sources, shared by rebuilds), a graph of
 * nodes over them, and what every tensor of the output becomes.
 *
 * Sources hold nothing of the recipe's numbers, so that a slider's edit makes a new plan over
 * the same open files. They are counted; what is computed on demand (Fisher statistics) lies
 * in them behind a mutex. A plan is nodes and tables in its arena, plus angles on demand. */
#ifndef RS_PLAN_INTERNAL_H
#define RS_PLAN_INTERNAL_H

#include "merge/adapter.h"
#include "merge/angle.h"
#include "merge/dampen.h"
#include "merge/plan.h"
#include "store/subspace_file.h"

#include "base/map.h"

#include <pthread.h>
#include <stdatomic.h>

typedef struct rs_src_model {
    const char *name, *path; /* path as resolved; NULL: this entry is not used */
    rs_checkpoint *file;
    uint64_t id;
    const rs_tensor **tensor; /* [n_tensors] of the base's order; NULL: not there */
} rs_src_model;

typedef struct rs_src_adapter {
    const char *name, *path;
    rs_adapter *adapter;
    uint64_t id;
    const rs_adapter_pair **pair; /* [n_tensors] */
    int n_matched, n_inert;
} rs_src_adapter;

typedef struct rs_src_fisher {
    const char *name, *path;
    rs_checkpoint *file;
    const char *missing; /* why it could not be opened, where damage alone needs it */
    uint64_t id;
    const rs_tensor **tensor;
    double scale; /* of 1/2 F x^2, to nat per token */
    bool scale_unknown;
    rs_moments *moments; /* [n_tensors], valid where measured */
    bool *measured;
} rs_src_fisher;

typedef struct rs_src_subspace {
    const char *name, *path;
    rs_subspace_file *file;
    const char *missing; /* as of a Fisher: where only the leak needs it */
    uint64_t id;
    const rs_subspace_entry **entry; /* [n_tensors]; NULL: not named, or no matrix */
} rs_src_subspace;

/* One Fisher under one normaliser and population. Lives as long as a plan uses it. */
typedef struct rs_view {
    int users;
    const rs_src_fisher *fisher;
    rs_normaliser normaliser;
    rs_over over;
    bool per_tensor;
    uint64_t population; /* hash of use */
    bool *use;           /* [n_tensors] */
    int64_t n_values;
    rs_norm *norms;          /* owned: 1 or n_tensors */
    const rs_norm **norm_of; /* [n_tensors] */
    double *layer_fisher;    /* [n_layers] */
    struct rs_view *next;
} rs_view;

typedef struct rs_sources {
    atomic_int refs;
    rs_arena arena;
    char *key; /* what must be equal for a rebuild */
    rs_config *config;
    int n_tensors, base; /* base: index into models */
    const rs_tensor **base_tensor;
    rs_role *role;
    int *alias; /* a tied lm_head is written as the embedding: its index, else -1 */
    rs_src_model *models;     /* [n_models] by entry of the recipe */
    rs_src_adapter *adapters; /* [n_models] */
    rs_src_fisher *fishers;   /* [n_measures] */
    rs_src_subspace *subspaces; /* [n_measures] */
    int n_models, n_measures;
    rs_names warnings;
    pthread_mutex_t mutex; /* moments and views */
    rs_view *views;
    pthread_mutex_t held_mutex;
    struct rs_held *held; /* factors in use: held.c */
    pthread_mutex_t mask_mutex;
    pthread_cond_t mask_made;
    struct rs_mask *masks; /* in use or in the making: mask.c */
} rs_sources;

rs_status rs_sources_open(const rs_recipe *r, const rs_stage *root,
                          const rs_plan_options *o, rs_sources **out,
                          rs_err *err) RS_MUST_USE;
void rs_sources_drop(rs_sources *s);
/* RS_E_NOT_FOUND where more than one file that says how it is made is needed and not there.
 * model, stage: which entries of the recipe are needed. */
rs_status rs_sources_missing(const rs_recipe *r, const bool *model, const bool *stage,
                             rs_err *err) RS_MUST_USE;
/* The text that decides whether another recipe may use the same sources. Frees with free. */
char *rs_sources_key(const rs_recipe *r, const rs_stage *root);
bool rs_sources_warn(rs_sources *s, const char *fmt, ...) RS_PRINTF(2, 3);
/* The entry that a stage (or model name) gets config, tokenizer and tensor list from. */
int rs_base_entry(const rs_recipe *r, const char *name);
int rs_model_index(const rs_recipe *r, const char *name);   /* -1: none */
int rs_measure_index(const rs_recipe *r, const char *name); /* -1: none */

/* Does `claimed` ("org/name", a folder) name the model at path, which calls itself `own` (a
 * GGUF's general.name; NULL: nothing)? Told from the ends of names. */
bool rs_names_model(const char *claimed, const char *path, const char *own);
rs_status rs_match_model(rs_sources *s, rs_src_model *m, rs_err *err);
rs_status rs_match_adapter(rs_sources *s, rs_src_adapter *a, const char *onto,
                           rs_err *err);
rs_status rs_match_subspace(rs_sources *s, rs_src_subspace *f, rs_err *err);
rs_status rs_match_fisher(rs_sources *s, rs_src_fisher *f, rs_err *err);

/* The values of a Fisher's tensors, in the plan's order, for a pass. sizes [n_tensors], filled
 * here, and r live as long as the values. */
typedef struct rs_reading {
    const rs_sources *s;
    const rs_src_fisher *f;
} rs_reading;
rs_values rs_reading_values(rs_reading *r, int64_t *sizes);

/* targets [n_tensors]: which tensors have a delta, for over = targets. Thread-safe, as the
 * next two: who gets or keeps a view drops it once. */
rs_status rs_view_get(const rs_pass *pass, rs_sources *s, int i_fisher,
                      const rs_dampen_spec *d, const bool *targets, rs_view **out,
                      rs_err *err);
void rs_view_keep(rs_sources *s, rs_view *v);
void rs_view_drop(rs_sources *s, rs_view *v);
/* The q-quantile of p over the view's population; infinite if that is empty. */
rs_status rs_view_cut(const rs_pass *pass, rs_sources *s, const rs_view *v, double q,
                      double *cut, rs_err *err);

/* --- nodes --- */

typedef enum rs_node_type {
    RS_NODE_MODEL,
    RS_NODE_FOLDED,
    RS_NODE_TASK,
    RS_NODE_SLERP
} rs_node_type;

typedef struct rs_term {           /* one input of a task_arithmetic node */
    const rs_src_adapter *adapter; /* its delta, or NULL: node - base */
    const struct rs_node *node;
    double weight; /* scale w / sum w: without the adapter's own scale */
} rs_term;

typedef struct rs_node {
    rs_node_type type;
    const char *name;
    const rs_src_model *model;     /* MODEL, FOLDED */
    const rs_src_adapter *adapter; /* FOLDED */
    const rs_stage *stage;         /* TASK, SLERP */
    const struct rs_node *base;    /* TASK; SLERP in delta space */
    rs_term *terms;
    int n_terms;
    rs_factors *factors;
    int fisher, task_fisher; /* index or -1 */
    int subspace;            /* of the mask: index or -1 */
    const double *layer_fisher; /* [n_layers], after rs_plan_prepare, for per_layer */
    uint64_t targets;        /* hash of the tensors that have a delta */
    rs_dampener
        *dampeners; /* [n_tensors], after rs_plan_prepare; kind none where d = 1 */
    const struct rs_node *side[2];
    rs_t_table *t;
    int i_slerp;
    double size; /* of the graph unfolded from here */
} rs_node;

typedef struct rs_angles { /* of one tensor under one slerp node; shared by rebuilds */
    atomic_int refs;
    uint64_t key;
    int64_t n;     /* 1, or rows */
    rs_angle at[]; /* [n] */
} rs_angles;

struct rs_plan {
    rs_arena arena;
    rs_sources *sources;
    const rs_recipe *recipe;
    const rs_stage *out_stage, *fuel_stage, *heal_stage;
    rs_node **stage_nodes; /* [n_stages] of the recipe, NULL: not needed */
    int n_stages;
    const rs_node *root, *fuel, *other; /* other: the heal's other side */
    int damage_fisher;                  /* index or -1 */
    int leak_subspace;                  /* index or -1 */
    int n_slerps;
    rs_plan_tensor *tensors; /* [n_tensors] */
    uint64_t *fingerprint;   /* [n_tensors] */
    rs_plan_source *list;
    int n_list;
    rs_names warnings;
    rs_plan_needs needs;
    struct rs_plan_cache {
        pthread_mutex_t prepare;
        atomic_bool prepared;
        /* Those in use, each once a stage; before that those of the plan that this one was
         * made from, so that they are still there. [4 n_stages] */
        rs_view **views;
        int n_views, n_inherited;
        _Atomic(rs_angles *) *angles; /* [n_slerps, n_tensors] */
        pthread_mutex_t angle_mutex;  /* of what is in the making: angles.c */
        pthread_cond_t made;
        struct rs_making *making;
    } * cache;
};

static inline bool rs_same_model(const rs_src_model *a, const rs_src_model *b)
{
    return a == b || (a && b && a->id == b->id);
}

/* The model whose stored tensor i is the node's, or NULL: it is computed. */
const rs_src_model *rs_node_leaf(const rs_plan *p, const rs_node *nd, int i);
bool rs_node_has_delta(const rs_plan *p, const rs_node *nd,
                       int i); /* of a TASK, at any gain */
bool rs_plan_has_masks(const rs_plan *p);
uint64_t rs_node_targets(const rs_plan *p, const rs_node *nd); /* as node.targets */
double rs_node_gain(const rs_plan *p, const rs_node *nd, int i);
double rs_node_t(const rs_plan *p, const rs_node *nd, int i);
/* Of a TASK's mask on tensor i: 0 where there is none. Per layer: after rs_plan_prepare. */
double rs_node_strength(const rs_plan *p, const rs_node *nd, int i);
/* Equal where the mask takes the same out of tensor i. */
uint64_t rs_mask_key(const rs_plan *p, const rs_node *nd, int i);
bool rs_node_takes_first(const rs_plan *p, int i); /* slerp passes tensor i through */
bool rs_node_turns(const rs_plan *p, const rs_node *nd, int i); /* slerp, not lerp */
uint64_t rs_node_hash(const rs_plan *p, const rs_node *nd, int i);
/* What decides the angle between the sides of a SLERP: not t, not the thresholds. */
uint64_t rs_angle_key(const rs_plan *p, const rs_node *nd, int i);
/* Of everything but gains and t: what rs_sums_fingerprint needs. */
uint64_t rs_node_shape_hash(const rs_plan *p, const rs_node *nd, int i);
uint64_t rs_mix(uint64_t a, uint64_t b);
uint64_t rs_mix_double(uint64_t a, double v);

/* The node of a model or stage by name, made at first asking. */
rs_status rs_plan_node(rs_plan *p, const char *name, const rs_node **out, rs_err *err);
/* Fills the list of sources, the memory that is needed, and the warnings. */
rs_status rs_plan_describe(const rs_runtime *rt, rs_plan *p, rs_err *err);
rs_status rs_plan_warn_scalars(rs_sources *s, rs_err *err);

/* --- evaluation: eval.h, prepare.c, produce.c --- */

enum { RS_TILE = 1 << 16, RS_REDUCE = 1 << 18 };

/* Statistics and the angles that tensor i needs, in the calling thread, to which ws belongs;
 * angles together with other threads that ask for the same. */
rs_status rs_plan_ready(const rs_runtime *rt, const rs_plan *p, rs_workspace *ws, int i,
                        rs_err *err);
/* How many elements from `first` make a good tile of tensor i. */
int64_t rs_plan_tile(const rs_plan *p, int i, int64_t first, int64_t left);
/* Says which source holds the NaN or infinity at an element. */
rs_status rs_plan_blame(const rs_runtime *rt, const rs_plan *p, rs_workspace *ws, int i,
                        int64_t element, double value, rs_err *err);

#endif
