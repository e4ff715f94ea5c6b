#include "model/config_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_HEAD_DIM = 1 << 16, MAX_KV_HEADS = 4096, MAX_MLP = 1 << 22 };

/* --- full or sliding --- */

static rs_status read_types(const config_reader *r, const rs_json *list)
{
    rs_config *c = r->c;
    if (!rs_json_is_array(list) || rs_json_count(list) != c->n_layers)
        return rs_fail(r->err, RS_E_FORMAT,
                       "%s: \"layer_types\" is not a list of %d entries, one a layer",
                       r->where, c->n_layers);
    int i = 0;
    for (const rs_json *e = rs_json_first(list); e; e = rs_json_next(e), i++) {
        const char *type = rs_json_string(e);
        c->layers[i].is_full = type && strcmp(type, "full_attention") == 0;
        if (!type || (!c->layers[i].is_full && strcmp(type, "sliding_attention") != 0))
            return rs_fail(r->err, RS_E_UNSUPPORTED,
                           "%s: layer %d has the type \"%s\"; full_attention and "
                           "sliding_attention are supported",
                           r->where, i, type ? type : "(not a string)");
    }
    return RS_OK;
}

/* Without a list: the family's habit. */
static rs_status by_habit(const config_reader *r)
{
    rs_config *c = r->c;
    bool asked = false;
    int64_t from = 0;
    if (c->family->slides == RS_SLIDES_IF_WINDOW) asked = c->sliding_window > 0;
    if (c->family->slides == RS_SLIDES_IF_ASKED) {
        RS_TRY(rs_json_opt_bool(r->text, "use_sliding_window", r->where, &asked, r->err));
        RS_TRY(rs_json_opt_int(r->text, "max_window_layers", 0, INT32_MAX, r->where,
                               &from, r->err));
    }
    for (int i = 0; i < c->n_layers; i++)
        c->layers[i].is_full = !asked || i < from;
    return RS_OK;
}

static rs_status make_types(const config_reader *r)
{
    if (r->c->family->slides != RS_SLIDES_BY_PATTERN) return by_habit(r);
    int64_t every = r->c->family->full_every;
    RS_TRY(rs_json_opt_int(r->text, "_sliding_window_pattern", 1, 1 << 20, r->where,
                           &every, r->err));
    RS_TRY(rs_json_opt_int(r->text, "sliding_window_pattern", 1, 1 << 20, r->where,
                           &every, r->err));
    for (int i = 0; i < r->c->n_layers; i++)
        r->c->layers[i].is_full = (i + 1) % every == 0;
    return RS_OK;
}

static rs_status layer_types(const config_reader *r)
{
    rs_config *c = r->c;
    const rs_json *list = rs_json_get(r->text, "layer_types");
    RS_TRY(rs_json_is_null(list) ? make_types(r) : read_types(r, list));
    if (c->family->last_is_full) c->layers[c->n_layers - 1].is_full = true;
    for (int i = 0; i < c->n_layers; i++)
        if (!c->layers[i].is_full && c->sliding_window == 0)
            return rs_fail(r->err, RS_E_FORMAT,
                           "%s has sliding layers but no \"sliding_window\"", r->where);
    return RS_OK;
}

/* --- head sizes: per_layer_config, or the older global_head_dim --- */

/* "05" or "5": a layer's number, or -1. */
static int parse_layer(const char *key, int n_layers)
{
    int n = 0;
    size_t digits = strlen(key);
    if (digits == 0 || digits > 6) return -1;
    for (const char *s = key; *s; s++) {
        if (*s < '0' || *s > '9') return -1;
        n = 10 * n + (*s - '0');
    }
    return n < n_layers ? n : -1;
}

static bool same_value(const rs_json *a, const rs_json *b)
{
    if (rs_json_is_null(a) || rs_json_is_null(b))
        return rs_json_is_null(a) && rs_json_is_null(b);
    if (rs_json_is_number(a) && rs_json_is_number(b))
        return rs_json_number(a) == rs_json_number(b);
    if (rs_json_is_bool(a) && rs_json_is_bool(b))
        return rs_json_true(a) == rs_json_true(b);
    if (rs_json_is_string(a) && rs_json_is_string(b))
        return strcmp(rs_json_string(a), rs_json_string(b)) == 0;
    return false;
}

/* Attributes that say nothing beyond the global config may stand there. */
static rs_status override_one(const config_reader *r, int layer, const rs_json *v)
{
    const char *key = rs_json_key(v);
    rs_layer_config *l = &r->c->layers[layer];
    bool head = strcmp(key, "head_dim") == 0;
    int64_t n = 0;
    if (head || strcmp(key, "num_key_value_heads") == 0) {
        rs_status s =
            rs_json_as_int(v, 1, head ? MAX_HEAD_DIM : MAX_KV_HEADS, key, &n, r->err);
        if (s != RS_OK)
            return rs_err_prefix(r->err, "%s: per_layer_config of layer %d", r->where,
                                 layer);
        *(head ? &l->head_dim : &l->n_kv_heads) = (int)n;
        return RS_OK;
    }
    bool empty_list = rs_json_is_array(v) && rs_json_count(v) == 0;
    if (empty_list || same_value(v, rs_json_get(r->text, key))) return RS_OK;
    return rs_fail(r->err, RS_E_UNSUPPORTED,
                   "%s: per_layer_config changes \"%s\" of layer %d; only head_dim and "
                   "num_key_value_heads may differ between layers",
                   r->where, key, layer);
}

static rs_status per_layer_config(const config_reader *r, const rs_json *map)
{
    unsigned char *seen = calloc((size_t)r->c->n_layers, 1);
    if (!seen) return rs_fail(r->err, RS_E_NOMEM, "no memory for a config");
    rs_status s = RS_OK;
    for (const rs_json *m = rs_json_first(map); m && s == RS_OK; m = rs_json_next(m)) {
        int layer = parse_layer(rs_json_key(m), r->c->n_layers);
        if (layer < 0 || seen[layer] || !rs_json_is_object(m)) {
            s = rs_fail(
                r->err, RS_E_FORMAT,
                "%s: per_layer_config \"%s\" is not the number of one of %d layers%s",
                r->where, rs_json_key(m), r->c->n_layers,
                layer < 0     ? ""
                : seen[layer] ? " (it is there twice)"
                              : " with an object");
            break;
        }
        seen[layer] = 1;
        for (const rs_json *v = rs_json_first(m); v && s == RS_OK; v = rs_json_next(v))
            s = override_one(r, layer, v);
    }
    free(seen);
    return s;
}

/* The key per_layer_config, even null, makes it the only source. */
static bool has_key(const rs_json *object, const char *key)
{
    return rs_json_get(object, key) != NULL;
}

static rs_status head_sizes(const config_reader *r)
{
    rs_config *c = r->c;
    int64_t head = c->family->head_dim, global = c->family->global_head_dim, kv = 0;
    if (head == 0) head = c->hidden / c->n_heads > 0 ? c->hidden / c->n_heads : 1;
    kv = c->n_heads;
    RS_TRY(rs_json_opt_int(r->text, "num_key_value_heads", 1, MAX_KV_HEADS, r->where, &kv,
                           r->err));
    RS_TRY(
        rs_json_opt_int(r->text, "head_dim", 1, MAX_HEAD_DIM, r->where, &head, r->err));
    for (int i = 0; i < c->n_layers; i++) {
        c->layers[i].head_dim = (int)head;
        c->layers[i].n_kv_heads = (int)kv;
    }
    const rs_json *map = rs_json_get(r->text, "per_layer_config");
    if (!rs_json_is_null(map) && !rs_json_is_object(map))
        return rs_fail(r->err, RS_E_FORMAT, "%s: \"per_layer_config\" is not an object",
                       r->where);
    if (has_key(r->text, "per_layer_config")) return per_layer_config(r, map);
    if (global == 0) return RS_OK;
    RS_TRY(rs_json_opt_int(r->text, "global_head_dim", 1, MAX_HEAD_DIM, r->where, &global,
                           r->err));
    for (int i = 0; i < c->n_layers; i++)
        if (c->layers[i].is_full) c->layers[i].head_dim = (int)global;
    return RS_OK;
}

/* RoPE and K/V sharing need one size for each type of layer. */
static rs_status check_sizes(const config_reader *r)
{
    rs_config *c = r->c;
    const rs_layer_config *first[2] = {NULL, NULL};
    for (int i = 0; i < c->n_layers; i++) {
        const rs_layer_config *l = &c->layers[i], **f = &first[l->is_full];
        if (!*f) *f = l;
        if (l->head_dim != (*f)->head_dim || l->n_kv_heads != (*f)->n_kv_heads)
            return rs_fail(
                r->err, RS_E_FORMAT,
                "%s: layer %d has %d K/V heads of %d, other %s layers %d of %d", r->where,
                i, l->n_kv_heads, l->head_dim, l->is_full ? "full" : "sliding",
                (*f)->n_kv_heads, (*f)->head_dim);
        if (l->head_dim % 2 != 0)
            return rs_fail(r->err, RS_E_FORMAT, "%s: head_dim %d is odd", r->where,
                           l->head_dim);
        if (c->n_heads % l->n_kv_heads != 0)
            return rs_fail(r->err, RS_E_FORMAT,
                           "%s: %d attention heads cannot share %d K/V heads evenly",
                           r->where, c->n_heads, l->n_kv_heads);
    }
    return RS_OK;
}

/* --- K/V sharing and MLP widths --- */

static int donor_of(const rs_config *c, int first_shared, int layer)
{
    for (int i = first_shared - 1; i >= 0; i--)
        if (c->layers[i].is_full == c->layers[layer].is_full) return i;
    return -1;
}

static rs_status sharing(const config_reader *r)
{
    rs_config *c = r->c;
    int64_t shared = 0;
    RS_TRY(rs_json_opt_int(r->text, "num_kv_shared_layers", 0, c->n_layers - 1, r->where,
                           &shared, r->err));
    int first = c->n_layers - (int)shared;
    for (int i = 0; i < c->n_layers; i++) {
        rs_layer_config *l = &c->layers[i];
        l->is_sharer = i >= first;
        l->kv_layer = l->is_sharer ? donor_of(c, first, i) : i;
        if (l->kv_layer < 0)
            return rs_fail(
                r->err, RS_E_FORMAT,
                "%s: layer %d shares K/V, but none of the layers before %d is a "
                "%s one",
                r->where, i, first, l->is_full ? "full" : "sliding");
        if (l->is_sharer) c->layers[l->kv_layer].is_donor = true;
    }
    return RS_OK;
}

static rs_status mlp_widths(const config_reader *r)
{
    int width;
    bool wide = false;
    RS_TRY(rs_config_need(r, "intermediate_size", MAX_MLP, &width));
    RS_TRY(rs_json_opt_bool(r->text, "use_double_wide_mlp", r->where, &wide, r->err));
    for (int i = 0; i < r->c->n_layers; i++) {
        rs_layer_config *l = &r->c->layers[i];
        l->intermediate = wide && l->is_sharer ? 2 * width : width;
    }
    return RS_OK;
}

/* --- RoPE --- */

typedef struct rope {
    rs_rope_type type;
    double theta, partial, factor;
    double low, high, original; /* llama3 */
} rope;

static rs_status check_rope(const config_reader *r, const char *which, const rope *p)
{
    if (!(r->c->family->rope_types >> p->type & 1u))
        return rs_fail(r->err, RS_E_UNSUPPORTED,
                       "%s: rope_type \"%s\" of the %s layers is not supported for %s",
                       r->where, rs_rope_type_name(p->type), which, r->c->model_type);
    if (!(p->theta > 0) || !(p->factor > 0) || !(p->partial > 0 && p->partial <= 1))
        return rs_fail(r->err, RS_E_FORMAT,
                       "%s: RoPE of the %s layers has theta %g, factor %g, "
                       "partial_rotary_factor %g",
                       r->where, which, p->theta, p->factor, p->partial);
    if (p->type == RS_ROPE_LLAMA3 && !(p->low > 0 && p->high > p->low && p->original > 0))
        return rs_fail(
            r->err, RS_E_FORMAT,
            "%s: RoPE of type llama3 has low_freq_factor %g, high_freq_factor %g, "
            "original_max_position_embeddings %g",
            r->where, p->low, p->high, p->original);
    if (p->partial != 1 && p->type != RS_ROPE_PROPORTIONAL)
        return rs_fail(r->err, RS_E_UNSUPPORTED,
                       "%s: partial_rotary_factor %g of the %s layers is supported with "
                       "rope_type proportional only",
                       r->where, p->partial, which);
    return RS_OK;
}

/* One set of parameters: {"rope_type": .., "rope_theta": .., "factor": ..}. */
static rs_status read_rope(const config_reader *r, const rs_json *o, rope *p)
{
    const char *name = NULL;
    RS_TRY(rs_json_opt_string(o, "type", r->where, &name, r->err));
    RS_TRY(rs_json_opt_string(o, "rope_type", r->where, &name, r->err));
    if (name && !rs_rope_type_from_name(name, &p->type))
        return rs_fail(
            r->err, RS_E_UNSUPPORTED,
            "%s: rope_type \"%s\" is not supported; default, linear, llama3 (Llama) and "
            "proportional (Gemma 4) are",
            r->where, name);
    if (name && p->type != RS_ROPE_PROPORTIONAL && !r->c->family->one_rope)
        p->partial = 1;
    RS_TRY(rs_json_opt_double(o, "rope_theta", r->where, &p->theta, r->err));
    RS_TRY(rs_json_opt_double(o, "factor", r->where, &p->factor, r->err));
    RS_TRY(rs_json_opt_double(o, "low_freq_factor", r->where, &p->low, r->err));
    RS_TRY(rs_json_opt_double(o, "high_freq_factor", r->where, &p->high, r->err));
    RS_TRY(rs_json_opt_double(o, "original_max_position_embeddings", r->where,
                              &p->original, r->err));
    return rs_json_opt_double(o, "partial_rotary_factor", r->where, &p->partial, r->err);
}

/* Beside rope_parameters it may stand only if it says the same: which of them counts depends
 * on who reads. */
static rs_status check_scaling(const config_reader *r, const char *key, const rope *p)
{
    const rs_json *scaling = rs_json_get(r->text, "rope_scaling");
    const rs_json *mine = rs_json_get(scaling, key);
    rope q = *p;
    if (rs_json_is_null(scaling)) return RS_OK;
    RS_TRY(read_rope(r, rs_json_is_object(mine) ? mine : scaling, &q));
    if (q.type == p->type && q.theta == p->theta && q.partial == p->partial &&
        q.factor == p->factor && q.low == p->low && q.high == p->high &&
        q.original == p->original)
        return RS_OK;
    return rs_fail(r->err, RS_E_UNSUPPORTED,
                   "%s: \"rope_scaling\" and \"rope_parameters\" say different things of "
                   "the %s: leave one of them out",
                   r->where, key);
}

static rs_status rope_of(const config_reader *r, bool full, rope *p)
{
    const rs_family *f = r->c->family;
    const rs_rope_default *d = full || f->one_rope ? &f->full_rope : &f->sliding_rope;
    const char *key = full ? "full_attention" : "sliding_attention";
    const rs_json *all = rs_json_get(r->text, "rope_parameters");
    *p = (rope){.type = d->type, .theta = d->theta, .partial = d->partial, .factor = 1};
    if (f->one_rope) /* not computed by these families: refused if it is not 1 */
        RS_TRY(rs_json_opt_double(r->text, "partial_rotary_factor", r->where, &p->partial,
                                  r->err));
    if (rs_json_is_null(all)) {
        RS_TRY(
            rs_json_opt_double(r->text, d->old_theta_key, r->where, &p->theta, r->err));
        bool scales = full || f->one_rope;
        const rs_json *scaling = scales ? rs_json_get(r->text, "rope_scaling") : NULL;
        if (!rs_json_is_null(scaling)) RS_TRY(read_rope(r, scaling, p));
    } else if (f->one_rope && !rs_json_is_object(rs_json_get(all, key))) {
        RS_TRY(read_rope(r, all, p));
    } else {
        const rs_json *mine = rs_json_get(all, key);
        if (!rs_json_is_object(mine))
            return rs_fail(r->err, RS_E_FORMAT, "%s: rope_parameters has no \"%s\"",
                           r->where, key);
        RS_TRY(read_rope(r, mine, p));
    }
    if (!rs_json_is_null(all) && (full || f->one_rope)) RS_TRY(check_scaling(r, key, p));
    return check_rope(r, full ? "full" : "sliding", p);
}

static rs_status ropes(const config_reader *r)
{
    rope of[2];
    bool known[2] = {false, false};
    for (int i = 0; i < r->c->n_layers; i++) {
        rs_layer_config *l = &r->c->layers[i];
        rope *p = &of[l->is_full];
        if (!known[l->is_full]) RS_TRY(rope_of(r, l->is_full, p));
        known[l->is_full] = true;
        l->rope_theta = p->theta;
        bool llama3 = p->type == RS_ROPE_LLAMA3;
        l->rope_factor = p->type == RS_ROPE_LINEAR || llama3 ? p->factor : 1;
        l->rope_low = llama3 ? p->low : 0;
        l->rope_high = llama3 ? p->high : 0;
        l->rope_original = llama3 ? p->original : 0;
        l->rope_pairs = l->head_dim / 2;
        if (p->type == RS_ROPE_PROPORTIONAL)
            l->rope_pairs = (int)floor(p->partial * l->head_dim / 2);
    }
    return RS_OK;
}

rs_status rs_config_read_layers(const config_reader *r)
{
    RS_TRY(layer_types(r));
    RS_TRY(head_sizes(r));
    RS_TRY(check_sizes(r));
    if (r->c->family->score == RS_SCORE_HEAD_DIM)
        r->c->attn_scale = 1 / sqrt((double)r->c->layers[0].head_dim);
    RS_TRY(sharing(r));
    RS_TRY(mlp_widths(r));
    return ropes(r);
}
