/* Which tensor of a source belongs to which tensor of the base: by the name's tail in the
 * text model, whatever prefix the file uses, with shapes compared. */
#include "merge/plan_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static rs_status no_memory(rs_err *err)
{
    return rs_fail(err, RS_E_NOMEM, "no memory to match the tensors of a source");
}

/* tail -> index, of the text model's tensors of a file. */
static rs_status map_tails(const rs_sources *s, const rs_checkpoint *c, rs_map *map,
                           rs_err *err)
{
    for (int i = 0; i < rs_checkpoint_count(c); i++) {
        const rs_tensor *t = rs_checkpoint_at(c, i);
        rs_role role = rs_role_of(s->config, t->name);
        if (role.kind == RS_KIND_TOWER) continue;
        int64_t other = rs_map_find(map, role.tail);
        if (other >= 0)
            return rs_fail(err, RS_E_FORMAT, "%.300s: %s and %s are the same tensor",
                           rs_checkpoint_path(c), rs_checkpoint_at(c, (int)other)->name,
                           t->name);
        if (!rs_map_put(map, role.tail, strlen(role.tail), i, NULL))
            return no_memory(err);
    }
    return RS_OK;
}

static const rs_tensor *find(const rs_checkpoint *c, const rs_map *tails,
                             const rs_role *role, const char *name)
{
    if (role->kind == RS_KIND_TOWER) return rs_checkpoint_find(c, name);
    int64_t i = rs_map_find(tails, role->tail);
    return i < 0 ? NULL : rs_checkpoint_at(c, (int)i);
}

static bool same_shape(const rs_tensor *a, const rs_tensor *b)
{
    if (a->n_dims != b->n_dims) return false;
    for (int d = 0; d < a->n_dims; d++)
        if (a->dim[d] != b->dim[d]) return false;
    return true;
}

static rs_status wrong_shape(const char *what, const rs_tensor *t, const rs_tensor *base,
                             rs_err *err)
{
    char have[200], want[200];
    rs_tensor_shape(t, have, sizeof have);
    rs_tensor_shape(base, want, sizeof want);
    return rs_fail(err, RS_E_MISMATCH, "%s has %s where the base has %s", what, have,
                   want);
}

/* Must every input have it? Towers, inert K/V and the scalar come from the first input. */
static bool is_merged(const rs_role *role)
{
    return role->kind != RS_KIND_TOWER && !role->inert;
}

static rs_status match_all(rs_sources *s, const rs_checkpoint *c, const char *what,
                           const rs_tensor **out, rs_err *err)
{
    rs_map tails = {0};
    rs_status status = map_tails(s, c, &tails, err);
    for (int i = 0; i < s->n_tensors && status == RS_OK; i++) {
        const rs_tensor *base = s->base_tensor[i];
        out[i] = find(c, &tails, &s->role[i], base->name);
        if (out[i] && is_merged(&s->role[i]) && !same_shape(out[i], base))
            status = wrong_shape(what, out[i], base, err);
    }
    rs_map_free(&tails);
    return status;
}

typedef struct unmatched {
    char names[300];
    int n;
} unmatched;

static void note_unmatched(unmatched *u, const char *name)
{
    size_t used = strlen(u->names);
    if (u->n++ < 3)
        snprintf(u->names + used, sizeof u->names - used, "%s%.80s", used ? ", " : "",
                 name);
}

/* tail -> index, of the base's tensors outside towers. */
static rs_status map_base(const rs_sources *s, rs_map *map, rs_err *err)
{
    for (int i = 0; i < s->n_tensors; i++)
        if (s->role[i].kind != RS_KIND_TOWER &&
            !rs_map_put(map, s->role[i].tail, strlen(s->role[i].tail), i, NULL))
            return no_memory(err);
    return RS_OK;
}

/* Read by nothing, or made from the config by everybody. */
static bool is_idle(const rs_sources *s, const char *name)
{
    return rs_role_of(s->config, name).inert || strstr(name, "rotary_emb.inv_freq") ||
           strncmp(name, "rope_freqs", 10) == 0;
}

/* What a source has and the base has not: another depth, an untied head, towers. */
static rs_status warn_extra(rs_sources *s, const rs_src_model *m, const char *what,
                            rs_err *err)
{
    rs_map tails = {0};
    unmatched u = {.n = 0};
    const rs_checkpoint *base = s->models[s->base].file;
    int layers = 0;
    char depth[100] = "";
    rs_status status = map_base(s, &tails, err);
    for (int i = 0; i < rs_checkpoint_count(m->file) && status == RS_OK; i++) {
        const char *name = rs_checkpoint_at(m->file, i)->name;
        rs_role role = rs_role_of(s->config, name);
        if (is_idle(s, name) || find(base, &tails, &role, name)) continue;
        note_unmatched(&u, name);
        int layer = rs_role_of(NULL, name).layer;
        if (layer >= layers) layers = layer + 1;
    }
    rs_map_free(&tails);
    if (status != RS_OK || u.n == 0) return status;
    if (layers > s->config->n_layers)
        snprintf(depth, sizeof depth, ", with %d layers to the base's %d", layers,
                 s->config->n_layers);
    if (rs_sources_warn(s,
                        "%s has %d tensor%s that the base lacks (%s%s)%s: left "
                        "out",
                        what, u.n, u.n == 1 ? "" : "s", u.names, u.n > 3 ? " ..." : "",
                        depth))
        return RS_OK;
    return no_memory(err);
}

/* An untied head whose source ties it: the embedding stands for it. */
static void borrow_head(const rs_sources *s, rs_src_model *m)
{
    int embed = -1;
    for (int i = 0; i < s->n_tensors; i++)
        if (s->role[i].kind == RS_KIND_EMBED) embed = i;
    for (int i = 0; i < s->n_tensors && embed >= 0; i++)
        if (s->role[i].kind == RS_KIND_HEAD && !m->tensor[i] && m->tensor[embed] &&
            same_shape(m->tensor[embed], s->base_tensor[i]))
            m->tensor[i] = m->tensor[embed];
}

rs_status rs_match_model(rs_sources *s, rs_src_model *m, rs_err *err)
{
    char what[400];
    int missing = 0;
    const char *first = NULL;
    snprintf(what, sizeof what, "model \"%s\" (%.300s)", m->name, m->path);
    m->tensor = rs_arena_array(&s->arena, (size_t)s->n_tensors + 1, sizeof *m->tensor);
    if (!m->tensor) return no_memory(err);
    RS_TRY(match_all(s, m->file, what, m->tensor, err));
    borrow_head(s, m);
    for (int i = 0; i < s->n_tensors; i++) {
        if (m->tensor[i] && is_merged(&s->role[i]) &&
            !rs_dtype_is_numeric(m->tensor[i]->dtype) &&
            rs_dtype_is_numeric(s->base_tensor[i]->dtype))
            return rs_fail(err, RS_E_UNSUPPORTED,
                           "%s: %s is %s, which is not computed with", what,
                           m->tensor[i]->name, rs_dtype_name(m->tensor[i]->dtype));
        if (m->tensor[i] || !is_merged(&s->role[i]) ||
            s->role[i].kind == RS_KIND_LAYER_SCALAR)
            continue;
        if (missing++ == 0) first = s->base_tensor[i]->name;
    }
    if (missing == 0)
        return m == &s->models[s->base] ? RS_OK : warn_extra(s, m, what, err);
    return rs_fail(err, RS_E_MISMATCH, "%s lacks %d of the base's %d tensors, %s first",
                   what, missing, s->n_tensors, first);
}

static rs_status check_pair(const rs_src_adapter *a, const rs_adapter_pair *p,
                            const rs_tensor *t, rs_err *err)
{
    int64_t rows = rs_adapter_rows(a->adapter, p), cols = rs_adapter_cols(a->adapter, p);
    if (!rs_dtype_is_computed(t->dtype))
        return rs_fail(err, RS_E_UNSUPPORTED,
                       "adapter \"%s\" (%.200s) changes %s, which the base stores as %s: "
                       "only floats of 16 bits and more, and GGUF blocks, can be changed",
                       a->name, a->path, p->module, rs_dtype_name(t->dtype));
    if (t->n_dims == 2 && t->dim[0] == rows && t->dim[1] == cols) return RS_OK;
    char shape[200];
    rs_tensor_shape(t, shape, sizeof shape);
    return rs_fail(err, RS_E_MISMATCH,
                   "adapter \"%s\" (%.200s): %s is made for a matrix [%" PRId64
                   ", %" PRId64 "], the base has %s",
                   a->name, a->path, p->module, rows, cols, shape);
}

static rs_status match_pairs(const rs_sources *s, rs_src_adapter *a, const rs_map *tails,
                             unmatched *u, rs_err *err)
{
    for (int i = 0; i < a->adapter->n_pairs; i++) {
        const rs_adapter_pair *p = &a->adapter->pairs[i];
        rs_role role = rs_role_of(s->config, p->weight);
        if (role.kind == RS_KIND_TOWER)
            return rs_fail(
                err, RS_E_UNSUPPORTED,
                "adapter \"%s\" (%.200s) changes %s: vision and audio towers are copied "
                "from the base unchanged in this version",
                a->name, a->path, p->module);
        if (role.inert) {
            a->n_inert++;
            continue;
        }
        int64_t at = rs_map_find(tails, role.tail);
        if (at < 0) {
            note_unmatched(u, p->module);
            continue;
        }
        RS_TRY(check_pair(a, p, s->base_tensor[at], err));
        if (a->pair[at])
            return rs_fail(err, RS_E_FORMAT, "adapter \"%s\": %s and %s both change %s",
                           a->name, a->pair[at]->module, p->module,
                           s->base_tensor[at]->name);
        a->pair[at] = p;
        a->n_matched++;
    }
    return RS_OK;
}

rs_status rs_match_adapter(rs_sources *s, rs_src_adapter *a, const char *onto,
                           rs_err *err)
{
    rs_map tails = {0};
    unmatched u = {.n = 0};
    a->pair = rs_arena_array(&s->arena, (size_t)s->n_tensors + 1, sizeof *a->pair);
    if (!a->pair) return no_memory(err);
    rs_status status = map_base(s, &tails, err);
    if (status == RS_OK) status = match_pairs(s, a, &tails, &u, err);
    rs_map_free(&tails);
    if (status != RS_OK) return status;
    if (u.n)
        return rs_fail(err, RS_E_MISMATCH,
                       "adapter \"%s\" (%.150s): %d of its %d modules find no tensor in "
                       "%.150s: %s%s",
                       a->name, a->path, u.n, a->adapter->n_pairs, onto, u.names,
                       u.n > 3 ? " ..." : "");
    if (a->n_inert &&
        !rs_sources_warn(s,
                         "%s: %d pairs change K or V of layers that share another "
                         "layer's: nothing reads them, they are dropped",
                         a->name, a->n_inert))
        return no_memory(err);
    return RS_OK;
}

static rs_status match_entry(const rs_sources *s, rs_src_subspace *f,
                             const rs_subspace_entry *e, int i, rs_err *err)
{
    const rs_tensor *t = s->base_tensor[i];
    if (t->n_dims != 2)
        return rs_fail(err, RS_E_MISMATCH,
                       "subspace \"%s\" (%.200s) names %s, which is no matrix", f->name,
                       f->path, t->name);
    if (f->entry[i])
        return rs_fail(err, RS_E_FORMAT,
                       "subspace \"%s\" (%.200s): %s and %s are both %s", f->name,
                       f->path, f->entry[i]->module, e->module, t->name);
    f->entry[i] = e;
    return rs_subspace_fits(f->file, e, t->dim[0], t->dim[1], err);
}

rs_status rs_match_subspace(rs_sources *s, rs_src_subspace *f, rs_err *err)
{
    rs_map tails = {0};
    int n = 0;
    f->entry = rs_arena_array(&s->arena, (size_t)s->n_tensors + 1, sizeof *f->entry);
    if (!f->entry) return no_memory(err);
    rs_status status = map_base(s, &tails, err);
    for (int k = 0; k < f->file->n_entries && status == RS_OK; k++) {
        const rs_subspace_entry *e = &f->file->entries[k];
        rs_role role = rs_role_of(s->config, e->weight);
        int64_t i = role.kind == RS_KIND_TOWER || role.inert
                        ? -1
                        : rs_map_find(&tails, role.tail);
        if (i < 0) continue;
        status = match_entry(s, f, e, (int)i, err);
        n++;
    }
    rs_map_free(&tails);
    if (status != RS_OK || n) return status;
    return rs_fail(err, RS_E_MISMATCH,
                   "subspace \"%s\" (%.200s) names none of the base's matrices (%s "
                   "first)",
                   f->name, f->path, f->file->entries[0].module);
}

rs_status rs_match_fisher(rs_sources *s, rs_src_fisher *f, rs_err *err)
{
    char what[400];
    int n = 0;
    snprintf(what, sizeof what, "Fisher \"%s\" (%.300s)", f->name, f->path);
    size_t count = (size_t)s->n_tensors + 1;
    f->tensor = rs_arena_array(&s->arena, count, sizeof *f->tensor);
    f->moments = rs_arena_array(&s->arena, count, sizeof *f->moments);
    f->measured = rs_arena_array(&s->arena, count, sizeof *f->measured);
    if (!f->tensor || !f->moments || !f->measured) return no_memory(err);
    RS_TRY(match_all(s, f->file, what, f->tensor, err));
    for (int i = 0; i < s->n_tensors; i++) {
        if (s->role[i].kind == RS_KIND_TOWER || s->role[i].inert) f->tensor[i] = NULL;
        if (!f->tensor[i]) continue;
        n++;
        if (!rs_dtype_of(f->tensor[i]->dtype)->is_float)
            return rs_fail(err, RS_E_UNSUPPORTED, "%s: %s is %s, not a float", what,
                           f->tensor[i]->name, rs_dtype_name(f->tensor[i]->dtype));
    }
    if (n) return RS_OK;
    return rs_fail(err, RS_E_MISMATCH, "%s names none of the base's tensors", what);
}
