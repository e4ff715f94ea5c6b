/* names.h - what a tensor is, told from its name.
 *
 * Prefixes (`model.`, `model.language_model.`, `language_model.model.`, an adapter's
 * `base_model.model.`) are stripped: `tail` is what follows ("layers.3.mlp.up_proj.weight").
 * Tensors of vision and audio towers are RS_KIND_TOWER. K/V weights of KV-shared layers are
 * `inert`: stored in some files, read by nothing. */
#ifndef RS_NAMES_H
#define RS_NAMES_H

#include "model/config.h"

#include <stdbool.h>

typedef enum rs_kind {
    RS_KIND_Q, /* the matrices inside layers come first: the columns of the heatmap */
    RS_KIND_K,
    RS_KIND_V,
    RS_KIND_O,
    RS_KIND_GATE,
    RS_KIND_UP,
    RS_KIND_DOWN,
    RS_KIND_PLE_GATE, /* per_layer_input_gate */
    RS_KIND_PLE_PROJ, /* per_layer_projection */
    RS_N_LAYER_KINDS,
    RS_KIND_NORM = RS_N_LAYER_KINDS, /* any norm, in a layer or outside */
    RS_KIND_BIAS,
    RS_KIND_LAYER_SCALAR,
    RS_KIND_EMBED,          /* embed_tokens */
    RS_KIND_PLE_EMBED,      /* embed_tokens_per_layer */
    RS_KIND_PLE_MODEL_PROJ, /* per_layer_model_projection */
    RS_KIND_HEAD,           /* lm_head */
    RS_KIND_TOWER,
    RS_KIND_OTHER,
    RS_N_KINDS
} rs_kind;

typedef struct rs_role {
    rs_kind kind;
    int layer; /* -1: outside the layers */
    bool inert;
    const char *tail; /* into the name that was given */
} rs_role;

/* config may be NULL: then nothing is inert and layer numbers are not checked. */
rs_role rs_role_of(const rs_config *config, const char *name);

const char *rs_kind_name(rs_kind k);  /* "q_proj", "per_layer_input_gate", "norm" ... */
char rs_kind_letter(rs_kind k);       /* q k v o g u d G P of layer kinds, else 0 */
const char *rs_kind_short(rs_kind k); /* q k v o gt up dn pg pp */
bool rs_kind_from_name(const char *name, rs_kind *out);

/* Does this config have such a tensor of its own (k of a sharer: no)? */
bool rs_config_has(const rs_config *c, int layer, rs_kind kind);

#endif
