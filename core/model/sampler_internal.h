/* sampler_internal.h - the candidates of one draw, and the stages that work on them.
 *
 * A pool begins dense: a copy of all logits, where changing a few is cheap. The first stage
 * that has to look at them as candidates gathers them into a list; from then on the list
 * counts. Its first n_sorted are its most likely ones in order, the rest in no order. */
#ifndef RS_SAMPLER_INTERNAL_H
#define RS_SAMPLER_INTERNAL_H

#include "model/sampler.h"

typedef struct rs_candidates {
    int64_t vocab;
    float *dense;     /* [vocab]; counts while !gathered */
    rs_candidate *at; /* [cap]: the list */
    int cap, n, n_sorted;
    bool gathered;
} rs_candidates;

enum { RS_SAMPLER_MAX_STAGES = 16 };

struct rs_sampler {
    rs_sampler_params p;
    rs_logit_bias *bias;                        /* copies of what p pointed to */
    int32_t *dry_breakers;                      /* sorted */
    int stage[RS_SAMPLER_MAX_STAGES], n_stages; /* rows of rs_stages that are in force */
    rs_candidates pool;
    int32_t *count; /* [vocab], all 0 between stages; NULL if no stage needs it */
    int32_t *
        reach; /* DRY: how far each position of the reversed context agrees with its start */
    int64_t reach_cap;
    rs_rng draw, xtc;
    double mu;      /* of mirostat */
    bool no_memory; /* during this draw */
};

/* --- sampler_pool.c --- */
void rs_pool_start(rs_candidates *c, const float *logits);
void rs_pool_gather(rs_candidates *c); /* makes the list; nothing if there is one */
/* Only the k most likely stay, lower ids first among equals. */
void rs_pool_keep_top(rs_candidates *c, int k);
/* Can rs_pool_keep_top do without a list of all? */
bool rs_pool_selects(int k);
/* Now the first m (or all, if there are fewer) are the most likely, in order. */
void rs_pool_sort(rs_candidates *c, int m);
/* The first m by p ascending (whatever it holds by now), the more likely first of equals. */
void rs_pool_sort_by_p(rs_candidates *c, int from, int m);
void rs_pool_cut(rs_candidates *c, int n);    /* keeps the first n of the list */
float rs_pool_max(const rs_candidates *c);    /* of the list; it must not be empty */
double rs_pool_total(const rs_candidates *c); /* sum of e^(l - max) */
double rs_pool_softmax(rs_candidates *c); /* fills every p, returns the entropy, nats */

/* --- sampler_stages.c --- */
typedef struct rs_context {
    const int32_t *at;
    int64_t n;
} rs_context;

typedef struct rs_stage {
    const char
        *names; /* "top_k,topk": the first is the name, the others are understood */
    bool (*is_on)(const rs_sampler_params *p);
    void (*apply)(rs_sampler *s, rs_context context);
    bool truncates; /* drops candidates: left out by greedy and mirostat */
    bool counts;    /* needs s->count */
    bool gathers;   /* works on the list only */
} rs_stage;

extern const rs_stage rs_stages[]; /* in the default order */
extern const int rs_n_stages;
int rs_stage_named(const char *name, size_t n); /* -1: none; - and _ are the same */
bool rs_stage_is(int i, const char *name);
void rs_stage_bias(rs_sampler *s);
void rs_stage_penalties(rs_sampler *s, rs_context context);
void rs_stage_dry(rs_sampler *s, rs_context context); /* sampler_dry.c */

#endif
