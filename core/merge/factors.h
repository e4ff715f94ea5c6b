/* factors.h - the gains (and t) of a stage as a table over layers and kinds.
 *
 * Row n_layers stands for everything outside the layers, column RS_N_LAYER_KINDS for every
 * other kind (norms ...). gain(l, k) = master * layer[l] * kind[k] * cell[l][k], 0 where muted
 * or where something else is soloed. The table is made from a recipe's spec for a model and
 * written back in the shortest canonical form, so an edit of one factor never touches the
 * others. */
#ifndef RS_FACTORS_H
#define RS_FACTORS_H

#include "merge/recipe.h"
#include "model/names.h"

enum { RS_FACTOR_KINDS = RS_N_LAYER_KINDS + 1 };

typedef struct rs_factors {
    int n_layers;
    double master;
    double *layer; /* [n_layers + 1] */
    double kind[RS_FACTOR_KINDS];
    double *cell;                  /* [n_layers + 1, RS_FACTOR_KINDS] */
    bool *muted, *soloed, *locked; /* [n_layers + 1, RS_FACTOR_KINDS] */
    bool any_solo;
} rs_factors;

rs_status rs_factors_from(const rs_gain_spec *g, const rs_config *c, rs_factors **out,
                          rs_err *err) RS_MUST_USE;
/* Overwrites g with the table, canonical ("0-3" runs; groups where a whole group agrees). */
rs_status rs_factors_store(const rs_factors *f, const rs_config *c, rs_recipe *r,
                           rs_gain_spec *g, rs_err *err) RS_MUST_USE;
void rs_factors_free(rs_factors *f);

static inline int rs_factor_kind(rs_kind k)
{
    return k < RS_N_LAYER_KINDS ? (int)k : RS_N_LAYER_KINDS;
}
/* Product without and with mute and solo. layer < 0: outside. */
double rs_factors_product(const rs_factors *f, int layer, rs_kind kind);
double rs_factors_gain(const rs_factors *f, int layer, rs_kind kind);

typedef struct rs_t_table {
    int n_layers;
    double fallback;
    double *layer;                /* [n_layers + 1], NaN: not set */
    double kind[RS_FACTOR_KINDS]; /* NaN: not set */
    double *cell;                 /* NaN: not set */
} rs_t_table;

rs_status rs_t_table_from(const rs_t_spec *t, const rs_config *c, rs_t_table **out,
                          rs_err *err) RS_MUST_USE;
rs_status rs_t_table_store(const rs_t_table *t, const rs_config *c, rs_recipe *r,
                           rs_t_spec *spec, rs_err *err) RS_MUST_USE;
void rs_t_table_free(rs_t_table *t);
double rs_t_value(const rs_t_table *t, int layer, rs_kind kind);

#endif
