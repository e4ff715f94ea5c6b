/* selector.h - the small language that names tensors (screens.md 3.1, docs/formats.md):
 *   *   layers.3   layers.4-7   layers.0-3,6,10-   mlp attn norm embed ple   q_proj ...
 *   sliding full donor sharer   "part of a name"   A & B   !A   layers.4-7.mlp
 * Also the short forms that recipes use as keys: 3   0-3,6   5.q_proj   4-7.mlp.
 *   attn   q k v o projections        mlp    gate up down projections
 *   ple    everything of the per-layer embeddings
 *   norm   all norms                  embed  everything outside the layers
 * Parsing needs no model; matching asks for a tensor's role. */
#ifndef RS_SELECTOR_H
#define RS_SELECTOR_H

#include "base/arena.h"
#include "model/names.h"

#include <stdint.h>

typedef struct rs_selector rs_selector;

/* Errors name the first bad word and the nearest known one. Lives in the arena. */
rs_status rs_selector_parse(rs_arena *a, const char *text, const rs_selector **out,
                            rs_err *err) RS_MUST_USE;
/* What matrices are trained: one selector, or kinds in one word ("q_proj,v_proj"), one selector
 * for each. Adds them behind the *n that any, with room for RS_TARGETS, has. */
enum { RS_TARGETS = 64 };
rs_status rs_selector_targets(rs_arena *a, const char *text, const rs_selector **any,
                              int *n, rs_err *err) RS_MUST_USE;
bool rs_selector_matches(const rs_selector *s, const rs_config *c, const rs_role *role,
                         const char *name);
/* The same for a cell of the table of layers and kinds (no name: "part" never matches). */
bool rs_selector_matches_cell(const rs_selector *s, const rs_config *c, int layer,
                              rs_kind kind);
bool rs_selector_has_part(const rs_selector *s); /* names a part of a name */
/* "0-3,6,10-" into bits of n_layers; false: not such a list, or out of range. */
bool rs_layer_list(const char *text, int n_layers, bool *bits);
/* A group or kind ("mlp", "q_proj") into bits over rs_kind; false: unknown. */
bool rs_kind_group(const char *name, uint32_t *bits);
/* Every word that stands for kinds, for suggestions and completion. Returns how many. */
int rs_kind_words(const char *const **words);

#endif
