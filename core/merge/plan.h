/* plan.h - a recipe held against the files it names: everything checked before a byte is
 * written, and then the one place that knows how each output tensor is made.
 *
 * rs_plan_build opens every source (headers only, Fisher statistics later), matches adapters
 * and shapes, and lists the output's tensors in the base's order with what happens to each.
 * All problems are errors with names and numbers (unmatched adapter keys, wrong shapes,
 * missing tensors, parts of a later version), everything merely surprising is a warning.
 * A plan is immutable and may be used by several threads. */
#ifndef RS_PLAN_H
#define RS_PLAN_H

#include "base/buf.h"
#include "merge/factors.h"
#include "merge/recipe.h"
#include "model/config.h"
#include "model/names.h"
#include "tensor/runtime.h"

typedef struct rs_plan rs_plan;

/* How a name like org/name becomes a folder is the program's matter: it passes a resolver
 * (NULL: paths only). out has room for 4096 bytes. */
typedef rs_status (*rs_resolve_fn)(void *ctx, const char *what, char out[4096],
                                   rs_err *err);

typedef struct rs_plan_options {
    const char *stage; /* NULL: the recipe's output stage */
    rs_resolve_fn resolve;
    void *resolve_ctx;
} rs_plan_options;

/* Where a path of the recipe leads: below its folder, else, unless the file is one that is made
 * (make.h), where the resolver knows it. what begins the sentence of an error; o may be NULL. */
rs_status rs_recipe_resolve(const rs_recipe *r, const rs_plan_options *o,
                            const char *path, bool made, const char *what,
                            char out[4096], rs_err *err) RS_MUST_USE;

/* The recipe is borrowed and must not change while the plan lives. */
rs_status rs_plan_build(const rs_runtime *rt, const rs_recipe *r,
                        const rs_plan_options *o, rs_plan **out, rs_err *err) RS_MUST_USE;
void rs_plan_free(rs_plan *p); /* NULL is fine */

/* What a plan for `next` may keep of `p` (open files, Fisher statistics): same sources, only
 * numbers differ. next's plan then costs microseconds. p stays valid; either may be freed
 * first. Falls back to rs_plan_build where sources differ. */
rs_status rs_plan_rebuild(const rs_runtime *rt, const rs_plan *p, const rs_recipe *next,
                          const rs_plan_options *o, rs_plan **out,
                          rs_err *err) RS_MUST_USE;

typedef struct rs_plan_tensor {
    const char *name;      /* in the output */
    const rs_tensor *base; /* shape, stored dtype of the base's tensor */
    rs_role role;
    rs_dtype out_dtype;
    uint64_t out_bytes;
    bool changes;   /* merged; else copied (or only rounded to out_dtype) */
    bool has_delta; /* the fuel stage has a delta here (even if its gain is 0) */
    int n_deltas;   /* adapters and models that contribute */
    double gain;    /* product of the factors, of the fuel stage */
    double t;       /* of the heal stage, NaN without one */
} rs_plan_tensor;

const rs_recipe *rs_plan_recipe(const rs_plan *p);
const rs_config *rs_plan_config(const rs_plan *p); /* of the base model */
const char *rs_plan_base_path(const rs_plan *p);   /* folder or GGUF of the base model */
int rs_plan_count(const rs_plan *p);
const rs_plan_tensor *rs_plan_at(const rs_plan *p, int i);

typedef struct rs_plan_source { /* one row a source, for screens and inspect */
    const char *name, *kind;    /* "model", "adapter", "subspace", "fisher" */
    const char *path, *use;     /* "base", "fuel", "heal", "dampen" ... */
    const rs_checkpoint *file;
    int rank, n_pairs, n_matched, n_inert; /* adapters */
    double alpha;
    bool rslora;
} rs_plan_source;
int rs_plan_n_sources(const rs_plan *p);
const rs_plan_source *rs_plan_source_at(const rs_plan *p, int i);
int rs_plan_n_warnings(const rs_plan *p);
const char *rs_plan_warning(const rs_plan *p, int i);
/* Why no damage can be told although the recipe names a Fisher; NULL: it names none, or one
 * is there. A warning says it too. */
const char *rs_plan_fisher_missing(const rs_plan *p);

/* The subspace measure that leaks are told of: the fuel stage's mask's, else the recipe's
 * first; NULL: none is there. */
const char *rs_plan_leak_measure(const rs_plan *p);

typedef struct rs_plan_needs {
    uint64_t out_bytes, read_bytes, disk_bytes;
    uint64_t
        memory_bytes; /* within the budget; above it: the least, and a warning says so */
    int n_tensors, n_changed, n_copied;
} rs_plan_needs;
rs_plan_needs rs_plan_need(const rs_plan *p);

/* Passes over the Fisher file once for its normaliser (mean, quantile ...); cached in the
 * plan and shared by rebuilds while Fisher and population stay. Done on demand by the calls
 * below; call it first where progress should be shown. */
rs_status rs_plan_prepare(const rs_runtime *rt, const rs_plan *p, rs_progress_fn progress,
                          void *ctx, rs_err *err) RS_MUST_USE;

/* Elements [first, first + n) of output tensor i, rounded to its out_dtype, into dst: the
 * very bytes of the written file, whatever first, n, threads and instruction set. Runs in
 * the calling thread; scratch comes from `ws`, one per thread. Whole-tensor reductions that
 * slerp needs are computed on first use and cached in the plan. */
typedef struct rs_workspace rs_workspace;
rs_status rs_workspace_new(const rs_runtime *rt, rs_workspace **out,
                           rs_err *err) RS_MUST_USE;
void rs_workspace_free(rs_workspace *ws);
rs_status rs_plan_produce(const rs_runtime *rt, const rs_plan *p, rs_workspace *ws, int i,
                          int64_t first, int64_t n, void *dst, rs_err *err) RS_MUST_USE;
/* The whole tensor i, with the runtime's threads. */
rs_status rs_plan_produce_tensor(const rs_runtime *rt, const rs_plan *p, int i, void *dst,
                                 rs_err *err) RS_MUST_USE;

/* A number that is equal for two plans exactly where tensor i would get the same bytes
 * (same sources and identities, numbers, gains). How core/live knows what is stale. */
uint64_t rs_plan_fingerprint(const rs_plan *p, int i);

#endif
