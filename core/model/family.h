/* family.h - what sets one family of models apart, as data.
 *
 * One const row a family: how its config is recognised and completed, which variant of each
 * step of the layer it uses, and where each of its tensors belongs (slots). Config, names,
 * weights, forward and backward read rows and never a family's name, so a family that only
 * differs in data joins by a row in family.c; what is truly new gets an enum value here and
 * one branch where the step is done. Rows are constant. */
#ifndef RS_FAMILY_H
#define RS_FAMILY_H

#include "model/config.h"
#include "model/names.h"

#include <stddef.h>

typedef enum rs_norm_style {
    RS_NORM_W,          /* y = x / rms * w */
    RS_NORM_ONE_PLUS_W, /* y = x / rms * (1 + w) */
} rs_norm_style;

typedef enum rs_score_scale {
    RS_SCORE_ONE,          /* q.k as it is: the norms of q and k carry the scale */
    RS_SCORE_QUERY_SCALAR, /* query_pre_attn_scalar^-1/2 */
    RS_SCORE_HEAD_DIM,     /* head_dim^-1/2 */
} rs_score_scale;

typedef enum rs_activation {
    RS_ACT_GELU_TANH,
    RS_ACT_SILU,
} rs_activation;

/* Which layers slide where the config has no layer_types. */
typedef enum rs_slides {
    RS_SLIDES_BY_PATTERN, /* layer i is full iff (i + 1) % full_every == 0 */
    RS_SLIDES_NEVER,
    RS_SLIDES_IF_WINDOW, /* all layers, if sliding_window is a number */
    RS_SLIDES_IF_ASKED,  /* use_sliding_window: those from max_window_layers on */
} rs_slides;

typedef enum rs_rope_type {
    RS_ROPE_DEFAULT,      /* all pairs turn */
    RS_ROPE_LINEAR,       /* positions divided by a factor */
    RS_ROPE_PROPORTIONAL, /* only the first pairs turn, frequencies of the whole head */
    RS_ROPE_LLAMA3,       /* low frequencies divided by a factor, a blend between */
    RS_N_ROPE_TYPES
} rs_rope_type;

/* RoPE where the config is silent. */
typedef struct rs_rope_default {
    rs_rope_type type;
    double theta, partial;
    const char *old_theta_key; /* before rope_parameters: "rope_theta" */
} rs_rope_default;

/* --- where a tensor belongs --- */

typedef enum rs_form {
    RS_FORM_MATRIX,
    RS_FORM_NORM, /* gets the family's 1 where its formula is 1 + w */
    RS_FORM_BIAS,
    RS_FORM_SCALAR
} rs_form;

/* A dimension of a tensor, given by the config. */
typedef enum rs_size {
    RS_SIZE_NONE,
    RS_SIZE_ONE,
    RS_SIZE_HIDDEN,
    RS_SIZE_HEAD,    /* head_dim of the layer */
    RS_SIZE_QUERIES, /* heads x head_dim */
    RS_SIZE_KEYS,    /* K/V heads x head_dim */
    RS_SIZE_MLP,     /* intermediate size of the layer */
    RS_SIZE_PLE,     /* width of per-layer embeddings */
    RS_SIZE_PLE_ALL, /* layers x that */
    RS_SIZE_VOCAB,
    RS_SIZE_PLE_VOCAB,
} rs_size;

typedef enum rs_when {
    RS_WHEN_ALWAYS,
    RS_WHEN_OWN_KV,
    RS_WHEN_PLE,
    RS_WHEN_UNTIED
} rs_when;

typedef struct rs_slot {
    const char *tail; /* after "layers.N." or, outside the layers, after the prefix */
    rs_form form;
    rs_when when;       /* the tensor is needed; else it is inert or superfluous */
    rs_size rows, cols; /* cols RS_SIZE_NONE: a vector */
    size_t offset;      /* into rs_layer_weights or rs_model */
} rs_slot;

struct rs_family {
    const char *name;           /* "gemma4" */
    const char *model_type;     /* of the text model: "gemma4_text" */
    const char *wrapper;        /* model_type of a config that holds it as text_config */
    const char *chat;           /* the chat format of its instruction-tuned models */
    const char *activation_key; /* "hidden_activation" */
    const char *const *activations; /* names that mean it; ends NULL */
    rs_activation activation;
    rs_norm_style norm;
    rs_score_scale score;
    bool scales_embedding; /* by sqrt(hidden) */
    bool v_norm;           /* RMS norm without weight on V */
    rs_slides slides;
    int full_every;
    bool last_is_full;
    int head_dim;        /* default; 0: hidden / heads */
    int global_head_dim; /* default of full layers; 0: there is one head size only */
    bool tied_head;      /* default */
    bool one_rope;       /* one set of RoPE parameters for all layers: full_rope */
    rs_rope_default full_rope, sliding_rope;
    unsigned rope_types; /* bits 1 << rs_rope_type that it may use */
    const char *const
        *must_be_off; /* keys that must be absent, null or false; ends NULL */
    const rs_slot *layer_slots, *model_slots; /* end with tail NULL */
};

const rs_family *rs_family_of_type(const char *model_type,
                                   bool *is_wrapper); /* or NULL */
const char *rs_family_names(void); /* "gemma4_text, gemma3_text, ...", for messages */
const char *rs_rope_type_name(rs_rope_type t);
bool rs_rope_type_from_name(const char *name, rs_rope_type *out);

enum { RS_MAX_SLOTS = 32 };

/* All slots of a layer, or with -1 those outside the layers; the last one's tail is NULL. */
const rs_slot *rs_family_slots(const rs_config *c, int layer);
/* The one of them that belongs at this offset, or NULL. */
const rs_slot *rs_slot_at(const rs_config *c, int layer, size_t offset);
/* Its place in a table of [n_layers + 1][RS_MAX_SLOTS]; the last row: outside the layers. */
size_t rs_slot_index(const rs_config *c, int layer, const rs_slot *s);
/* The slot of a tensor, or NULL: towers, inert and unknown tensors have none. */
const rs_slot *rs_slot_of(const rs_config *c, const char *name, int *layer);
bool rs_slot_needed(const rs_config *c, int layer, const rs_slot *s);
int64_t rs_slot_size(const rs_config *c, int layer, rs_size size);
/* RS_E_MISMATCH, with the name and both shapes, unless dim is what the config asks for. */
rs_status rs_slot_check(const rs_config *c, int layer, const rs_slot *s, const char *name,
                        int n_dims, const int64_t *dim, rs_err *err) RS_MUST_USE;

#endif
