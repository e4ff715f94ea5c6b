/* Which files of a folder make a checkpoint, and the index of one in shards. */
#include "store/checkpoint_internal.h"

#include "base/json.h"

#include <stdlib.h>
#include <string.h>

enum { PATH_LIMIT = 4096, MAX_SHARDS = 10000, MAX_INDEX = 32 << 20 };

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

static const char *path_in(rs_checkpoint *c, const char *folder, const char *name)
{
    char path[PATH_LIMIT];
    return rs_path_join(path, sizeof path, folder, name)
               ? rs_arena_strdup(&c->arena, path)
               : NULL;
}

static rs_status open_one(rs_checkpoint *c, const char *name, rs_err *err)
{
    const char *path = path_in(c, c->folder, name);
    if (!path) return rs_fail(err, RS_E_INVALID, "a path in %s is too long", c->folder);
    RS_TRY(rs_ckpt_files(c, 1, err));
    RS_TRY(rs_ckpt_open_file(c, 0, path, err));
    return rs_ckpt_add_safetensors(c, 0, NULL, err);
}

/* ---- index ---- */

typedef struct shards {
    const rs_json *weight_map;
    const char **names; /* of the files, sorted, each once */
    int n;
    rs_map number; /* file name -> index in names */
    rs_map owner;  /* tensor name -> index in names */
} shards;

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static rs_status check_shard_name(const char *index, const rs_json *entry, rs_err *err)
{
    const char *name = rs_json_string(entry);
    if (!name)
        return rs_fail(err, RS_E_FORMAT, "%s: the file of tensor %.150s is not a string",
                       index, rs_json_key(entry));
    RS_TRY(rs_ckpt_refuse_pickle(name, err));
    if (!rs_path_is_confined(name))
        return rs_fail(
            err, RS_E_FORMAT,
            "%s: the file \"%.150s\" of tensor %.100s is not inside the index's "
            "folder",
            index, name, rs_json_key(entry));
    return RS_OK;
}

static rs_status collect_names(rs_checkpoint *c, const char *index, shards *s,
                               rs_err *err)
{
    size_t n = (size_t)rs_json_count(s->weight_map);
    s->names = rs_arena_array(&c->arena, n, sizeof *s->names);
    if (!s->names) return rs_fail(err, RS_E_NOMEM, "no memory for %s", index);
    for (const rs_json *e = rs_json_first(s->weight_map); e; e = rs_json_next(e)) {
        RS_TRY(check_shard_name(index, e, err));
        const char *name = rs_json_string(e);
        bool was = false;
        if (!rs_map_put(&s->number, name, strlen(name), 0, &was))
            return rs_fail(err, RS_E_NOMEM, "no memory for %s", index);
        if (!was) s->names[s->n++] = name;
        if (s->n > MAX_SHARDS)
            return rs_fail(err, RS_E_FORMAT, "%s names more than %d files", index,
                           (int)MAX_SHARDS);
    }
    if (s->n == 0) return rs_fail(err, RS_E_FORMAT, "%s names no tensor", index);
    qsort(s->names, (size_t)s->n, sizeof *s->names, by_text);
    rs_map_free(&s->number);
    for (int i = 0; i < s->n; i++)
        if (!rs_map_put(&s->number, s->names[i], strlen(s->names[i]), i, NULL))
            return rs_fail(err, RS_E_NOMEM, "no memory for %s", index);
    return RS_OK;
}

static rs_status collect_owners(const char *index, shards *s, rs_err *err)
{
    for (const rs_json *e = rs_json_first(s->weight_map); e; e = rs_json_next(e)) {
        const char *name = rs_json_key(e);
        if (!rs_map_put(&s->owner, name, strlen(name),
                        rs_map_find(&s->number, rs_json_string(e)), NULL))
            return rs_fail(err, RS_E_NOMEM, "no memory for %s", index);
    }
    return RS_OK;
}

static rs_status open_shards(rs_checkpoint *c, const char *index, const shards *s,
                             rs_err *err)
{
    RS_TRY(rs_ckpt_files(c, s->n, err));
    for (int i = 0; i < s->n; i++) {
        const char *path = path_in(c, c->folder, s->names[i]);
        if (!path) return rs_fail(err, RS_E_INVALID, "a path of %s is too long", index);
        if (rs_ckpt_open_file(c, i, path, err) != RS_OK)
            return rs_err_prefix(err, "file %d of %d that %s names", i + 1, s->n, index);
        RS_TRY(rs_ckpt_add_safetensors(c, i, &s->owner, err));
    }
    for (const rs_json *e = rs_json_first(s->weight_map); e; e = rs_json_next(e))
        if (!rs_checkpoint_find(c, rs_json_key(e)))
            return rs_fail(err, RS_E_FORMAT,
                           "%s puts tensor %.150s into %.150s, which lacks it", index,
                           rs_json_key(e), rs_json_string(e));
    return RS_OK;
}

rs_status rs_ckpt_open_index(rs_checkpoint *c, const char *index, rs_err *err)
{
    rs_json *root = NULL;
    shards s = {0};
    RS_TRY(rs_json_read_file(index, MAX_INDEX, &root, err));
    s.weight_map = rs_json_get(root, "weight_map");
    c->layout = RS_LAYOUT_FOLDER;
    rs_status st = RS_OK;
    if (rs_json_get(root, "ringside") && !s.weight_map)
        st = rs_fail(err, RS_E_FORMAT, "%s is a recipe, not a model", index);
    else if (!rs_json_is_object(s.weight_map))
        st = rs_fail(
            err, RS_E_FORMAT,
            "%s has no object \"weight_map\": it is no index of safetensors files",
            index);
    if (st == RS_OK) st = collect_names(c, index, &s, err);
    if (st == RS_OK) st = collect_owners(index, &s, err);
    if (st == RS_OK) st = open_shards(c, index, &s, err);
    rs_map_free(&s.number);
    rs_map_free(&s.owner);
    rs_json_free(root);
    return st;
}

/* ---- folder ---- */

typedef struct listing {
    int n_safetensors;
    const char *safetensors, *pickle, *gguf; /* the first of each */
} listing;

static listing look(const char *names, int count)
{
    listing l = {0};
    for (int i = 0; i < count; i++, names += strlen(names) + 1) {
        if (ends_with(names, ".safetensors") && l.n_safetensors++ == 0)
            l.safetensors = names;
        if (!l.gguf && ends_with(names, ".gguf")) l.gguf = names;
        if (!l.pickle && rs_ckpt_refuse_pickle(names, NULL) != RS_OK) l.pickle = names;
    }
    return l;
}

static rs_status nothing_here(const rs_checkpoint *c, const listing *l, rs_err *err)
{
    if (l->n_safetensors > 1)
        return rs_fail(
            err, RS_E_FORMAT,
            "%s holds %d safetensors files but neither model.safetensors nor an "
            "index: name one of them",
            c->folder, l->n_safetensors);
    if (l->gguf)
        return rs_fail(err, RS_E_NOT_FOUND,
                       "%s holds no safetensors file: name %s/%s to open "
                       "the GGUF",
                       c->folder, c->folder, l->gguf);
    if (l->pickle)
        return rs_fail(
            err, RS_E_UNSUPPORTED,
            "%s holds its weights as pickle (%s), which can run any code when it is "
            "loaded: it is not read here, convert it to safetensors first",
            c->folder, l->pickle);
    return rs_fail(
        err, RS_E_NOT_FOUND,
        "%s holds no model: looked for model.safetensors.index.json, "
        "model.safetensors, adapter_model.safetensors and a single *.safetensors",
        c->folder);
}

/* The names that a folder may give its weights, from the most telling on. */
rs_status rs_ckpt_open_folder(rs_checkpoint *c, rs_err *err)
{
    static const char *const usual[] = {"model.safetensors.index.json",
                                        "model.safetensors", "adapter_model.safetensors"};
    c->layout = RS_LAYOUT_FOLDER;
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
        const char *path = path_in(c, c->folder, usual[i]);
        if (!path)
            return rs_fail(err, RS_E_INVALID, "a path in %s is too long", c->folder);
        if (rs_os_kind(path) != RS_PATH_FILE) continue;
        return i == 0 ? rs_ckpt_open_index(c, path, err) : open_one(c, usual[i], err);
    }
    rs_buf names = {0};
    int count = 0;
    rs_status s = rs_os_list(c->folder, &names, &count, err);
    listing l = s == RS_OK ? look(rs_buf_str(&names), count) : (listing){0};
    if (s == RS_OK)
        s = l.n_safetensors == 1 ? open_one(c, l.safetensors, err)
                                 : nothing_here(c, &l, err);
    rs_buf_free(&names);
    return s;
}
