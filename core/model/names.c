#include "model/names.h"

#include "model/family.h"

#include <string.h>

typedef struct kind_row {
    const char *name, *short_name;
    char letter;
} kind_row;

// clang-format off
static const kind_row kinds[RS_N_KINDS] = {
    [RS_KIND_Q]              = {"q_proj", "q", 'q'},
    [RS_KIND_K]              = {"k_proj", "k", 'k'},
    [RS_KIND_V]              = {"v_proj", "v", 'v'},
    [RS_KIND_O]              = {"o_proj", "o", 'o'},
    [RS_KIND_GATE]           = {"gate_proj", "gt", 'g'},
    [RS_KIND_UP]             = {"up_proj", "up", 'u'},
    [RS_KIND_DOWN]           = {"down_proj", "dn", 'd'},
    [RS_KIND_PLE_GATE]       = {"per_layer_input_gate", "pg", 'G'},
    [RS_KIND_PLE_PROJ]       = {"per_layer_projection", "pp", 'P'},
    [RS_KIND_NORM]           = {"norm", "norm", 0},
    [RS_KIND_BIAS]           = {"bias", "bias", 0},
    [RS_KIND_LAYER_SCALAR]   = {"layer_scalar", "scalar", 0},
    [RS_KIND_EMBED]          = {"embed_tokens", "embed", 0},
    [RS_KIND_PLE_EMBED]      = {"embed_tokens_per_layer", "ple", 0},
    [RS_KIND_PLE_MODEL_PROJ] = {"per_layer_model_projection", "pmp", 0},
    [RS_KIND_HEAD]           = {"lm_head", "head", 0},
    [RS_KIND_TOWER]          = {"tower", "tower", 0},
    [RS_KIND_OTHER]          = {"other", "other", 0},
};
// clang-format on

static bool starts(const char *s, const char *with)
{
    return strncmp(s, with, strlen(with)) == 0;
}

/* Is `part` (dots included) in the name at the border of a component? Returns what follows
 * it, or NULL. */
static const char *after_part(const char *name, const char *part)
{
    for (const char *at = strstr(name, part); at; at = strstr(at + 1, part))
        if (at == name || at[-1] == '.') return at + strlen(part);
    return NULL;
}

static bool is_tower(const char *name)
{
    static const char *const parts[] = {"vision_tower.", "audio_tower.",
                                        "vision_model.", "embed_vision.",
                                        "embed_audio.",  "multi_modal_projector."};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (after_part(name, parts[i])) return true;
    return false;
}

/* What follows the prefix of the class that saved the file. */
static const char *tail_of(const char *name)
{
    static const char *const prefixes[] = {
        "language_model.model.", "model.language_model.", "model.", "language_model."};
    if (starts(name, "base_model.model.")) name += strlen("base_model.model.");
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        const char *tail = after_part(name, prefixes[i]);
        if (tail) return tail;
    }
    return name;
}

/* The number in "layers.N." at s, or -1. *rest is what follows. */
static int layer_number(const char *s, const char **rest)
{
    if (!starts(s, "layers.")) return -1;
    s += strlen("layers.");
    int n = 0, digits = 0;
    for (; *s >= '0' && *s <= '9' && digits < 6; s++, digits++)
        n = 10 * n + (*s - '0');
    if (digits == 0 || *s != '.') return -1;
    *rest = s + 1;
    return n;
}

/* One dot-separated part [at, end). */
static bool part_is(const char *at, const char *end, const char *word)
{
    return (size_t)(end - at) == strlen(word) && memcmp(at, word, strlen(word)) == 0;
}

static bool part_is_norm(const char *at, const char *end)
{
    return end - at >= 4 && memcmp(end - 4, "norm", 4) == 0;
}

static bool kind_of_part(const char *at, const char *end, bool in_layer, rs_kind *kind)
{
    for (int k = 0; k < RS_N_KINDS; k++) {
        bool layer_kind = k < RS_N_LAYER_KINDS || k == RS_KIND_LAYER_SCALAR;
        bool outer_kind = k >= RS_KIND_EMBED && k <= RS_KIND_HEAD;
        if ((in_layer ? layer_kind : outer_kind) && part_is(at, end, kinds[k].name))
            return *kind = (rs_kind)k, true;
    }
    if (!part_is_norm(at, end)) return false;
    *kind = RS_KIND_NORM;
    return true;
}

/* The kind of the first part that has one; whatever follows (".weight", ".lora_A.weight",
 * ".U") does not matter, except that a bias is a bias. */
static rs_kind kind_of(const char *rest, bool in_layer)
{
    size_t n = strlen(rest);
    rs_kind kind = RS_KIND_OTHER;
    for (const char *at = rest; *at;) {
        const char *end = strchr(at, '.');
        if (!end) end = at + strlen(at);
        if (kind_of_part(at, end, in_layer, &kind)) break;
        at = *end ? end + 1 : end;
    }
    bool bias = n >= 5 && strcmp(rest + n - 5, ".bias") == 0;
    return bias && kind != RS_KIND_OTHER ? RS_KIND_BIAS : kind;
}

static bool has_part(const char *rest, const char *word)
{
    const char *after = after_part(rest, word);
    return after && (*after == '.' || *after == 0);
}

static bool is_own_kv(const char *rest)
{
    return has_part(rest, "k_proj") || has_part(rest, "v_proj") ||
           has_part(rest, "k_norm");
}

rs_role rs_role_of(const rs_config *config, const char *name)
{
    rs_role role = {RS_KIND_OTHER, -1, false, tail_of(name)};
    if (is_tower(name)) {
        role.kind = RS_KIND_TOWER;
        return role;
    }
    const char *rest = role.tail;
    int layer = layer_number(role.tail, &rest);
    if (layer >= 0 && config && layer >= config->n_layers) return role;
    role.layer = layer;
    role.kind = kind_of(rest, layer >= 0);
    role.inert =
        config && layer >= 0 && config->layers[layer].is_sharer && is_own_kv(rest);
    return role;
}

const char *rs_kind_name(rs_kind k)
{
    return kinds[k].name;
}
char rs_kind_letter(rs_kind k)
{
    return kinds[k].letter;
}
const char *rs_kind_short(rs_kind k)
{
    return kinds[k].short_name;
}

bool rs_kind_from_name(const char *name, rs_kind *out)
{
    for (int k = 0; k < RS_N_KINDS; k++)
        if (strcmp(name, kinds[k].name) == 0) return *out = (rs_kind)k, true;
    return false;
}

static bool slots_have(const rs_config *c, int layer, rs_kind kind)
{
    for (const rs_slot *s = rs_family_slots(c, layer); s->tail; s++)
        if (kind_of(s->tail, layer >= 0) == kind && rs_slot_needed(c, layer, s))
            return true;
    return false;
}

bool rs_config_has(const rs_config *c, int layer, rs_kind kind)
{
    return layer < c->n_layers && slots_have(c, layer < 0 ? -1 : layer, kind);
}
