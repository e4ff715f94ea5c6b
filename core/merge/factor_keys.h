/* factor_keys.h - the keys of "layers", "kinds" and "cells" in a recipe, spread over a table.
 *
 * A layers key is a list ("0-3,6,10-") or "embed" (everything outside the layers); a kinds
 * key is a group or kind, "norm" standing for all that is no matrix; a cells key joins the
 * two by a dot ("5.q_proj", "4-7.mlp"). Two keys that name the same place are an error.
 * Internal to core/merge. */
#ifndef RS_FACTOR_KEYS_H
#define RS_FACTOR_KEYS_H

#include "merge/factors.h"

typedef enum rs_keys_of { RS_KEYS_LAYERS, RS_KEYS_KINDS, RS_KEYS_CELLS } rs_keys_of;

/* rows [n_layers + 1], the last is "embed"; cols [RS_FACTOR_KINDS]. */
bool rs_key_rows(const char *key, int n_layers, bool *rows);
bool rs_key_cols(const char *key, bool *cols);
bool rs_key_cell(const char *key, int n_layers, bool *rows, bool *cols);

/* Has the model a tensor for this place of the table? row n_layers: outside the layers. */
bool rs_cell_is_real(const rs_config *c, int row, int col);
/* The first key that points at no such place (per-layer embeddings of a model that has none,
 * K/V of a layer that shares them), or NULL. */
const char *rs_keys_idle(const rs_pairs *p, rs_keys_of of, const rs_config *c);

/* Writes each pair's value where its key points: grid [n_layers + 1] for layers,
 * [RS_FACTOR_KINDS] for kinds, [n_layers + 1, RS_FACTOR_KINDS] for cells; other places stay.
 * where: what errors call the table. */
rs_status rs_keys_spread(const rs_pairs *p, rs_keys_of of, int n_layers,
                         const char *where, double *grid, rs_err *err) RS_MUST_USE;

/* The other way: short keys for rows and columns. */
/* Runs of true rows as "0-3", one call a run: returns the row after the run or -1 when there
 * is none from `from` on. */
int rs_key_run(const bool *rows, int n_layers, int from, char *key, size_t size);

/* The groups that store and diff prefer over single kinds. */
typedef struct rs_col_group {
    const char *name;
    bool cols[RS_FACTOR_KINDS];
} rs_col_group;
/* Groups first, then every single column. */
int rs_col_groups(const rs_col_group **out);

#endif
