/* make.h - how a file that a recipe names is made: the "make" beside a measure's or an
 * adapter's path (docs/formats.md).
 *
 * Keys and their values are rows of one table for each kind of product (rs_make_keys); parsing,
 * the canonical text, differences in words and the identity of a product all go through it.
 * Keys are the options of the verbs fisher, subspace and train with _ for -. Models and
 * measures are named as elsewhere in the recipe; data are paths relative to its folder.
 *
 * A product is what a make makes. rs_made_list gives them in an order in which each comes after
 * what it is made from; that there is such an order is checked when a recipe is parsed. */
#ifndef RS_MAKE_H
#define RS_MAKE_H

#include "merge/recipe.h"

typedef enum rs_make_type {
    RS_MAKE_FISHER,
    RS_MAKE_SUBSPACE,
    RS_MAKE_ADAPTER
} rs_make_type;

typedef struct rs_corpus {
    const char *data;
    double weight;
} rs_corpus;

/* What the recipe does not say is as usual: words and numbers of the table, else NULL. */
typedef struct rs_make {
    rs_make_type type;
    const char *model, *from, *to, *subspace, *weight; /* names of the recipe */
    const char *data, *kind, *labels, *tensors, *dtype, *chat_template;
    const char *side, *project, *targets, *layers, *schedule;
    int64_t random, length, sequences, rank, steps, batch, warmup, seed;
    double energy, strength, alpha, lr, weight_decay, clip, validation;
    bool per_token, raw, exact, rslora;
    rs_corpus *corpora;
    int n_corpora;
} rs_make;

typedef enum rs_make_holds {
    RS_HOLDS_WORD,     /* const char *, one of `words` */
    RS_HOLDS_TEXT,     /* const char * */
    RS_HOLDS_SELECTOR, /* const char * */
    RS_HOLDS_TARGETS,  /* const char *: a selector, or kinds in one word (selector.h) */
    RS_HOLDS_LAYERS,   /* const char *: a list of layers */
    RS_HOLDS_COUNT,    /* int64_t from least to most */
    RS_HOLDS_NUMBER,   /* double from least to most */
    RS_HOLDS_SWITCH,   /* bool, false by default */
    RS_HOLDS_MODEL,    /* const char *: a model, or an adapter with "on" */
    RS_HOLDS_FISHER,   /* const char *: a Fisher measure */
    RS_HOLDS_SUBSPACE, /* const char *: a subspace measure */
    RS_HOLDS_DATA,     /* const char *: a path */
    RS_HOLDS_CORPORA   /* corpora: paths with weights */
} rs_make_holds;

typedef struct rs_make_key {
    const char *name;
    rs_make_holds holds;
    size_t offset;             /* into rs_make */
    double least, most, usual; /* counts and numbers; usual: where nothing is said */
    const char *const *words;  /* up to a NULL; the first is the usual one */
    bool needed;
} rs_make_key;

/* The rows for a type; the last has no name. */
const rs_make_key *rs_make_keys(rs_make_type t);
const char *rs_make_word(rs_make_type t); /* "fisher", "subspace", "adapter" */

bool rs_make_names(const rs_make_key *k); /* a model, a measure or data: it has contents */

const char *rs_make_string(const rs_make *m, const rs_make_key *k); /* NULL: not said */
/* The model or measure that it names; NULL: it names none. */
const char *rs_make_reference(const rs_make *m, const rs_make_key *k);
double rs_make_number(const rs_make *m, const rs_make_key *k);      /* also of counts */
bool rs_make_switch(const rs_make *m, const rs_make_key *k);

/* Appends ,"key":value for every key that is no name and no path, usual values too: with the
 * identities of what is named, what a product depends on. */
void rs_make_settings(const rs_make *m, rs_buf *b);

/* What there is to make: an entry of the recipe that has a make. */
typedef struct rs_made {
    const char *name;
    const char *path; /* as in the recipe */
    const rs_make *make;
    int node; /* for rs_made_needs */
} rs_made;

enum { RS_MADE = 512 };

/* Each after what it is made from; only: that entry and what it is made from, NULL: all.
 * out has room for RS_MADE. */
rs_status rs_made_list(const rs_recipe *r, const char *only, rs_made *out, int *n,
                      rs_err *err) RS_MUST_USE;
/* Is b, directly or by way of others, among what a is made from? */
bool rs_made_needs(const rs_recipe *r, const rs_made *a, const rs_made *b);

#endif
