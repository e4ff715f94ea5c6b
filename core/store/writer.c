#include "store/writer.h"

#include "base/os.h"
#include "store/content_hash.h"
#include "store/partial.h"
#include "store/writer_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_LIMIT = 4096 };

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

/* ---- the names ---- */

static rs_status set_names(rs_writer *w, const char *folder, const char *stem,
                           rs_err *err)
{
    size_t n = strlen(folder);
    while (n > 1 && folder[n - 1] == '/')
        n--;
    w->final = rs_arena_strndup(&w->arena, folder, n);
    w->partial = rs_arena_printf(&w->arena, "%.*s.partial", (int)n, folder);
    w->stem = rs_arena_strdup(&w->arena, stem ? stem : "model");
    if (!w->final || !w->partial || !w->stem)
        return rs_fail(err, RS_E_NOMEM, "no memory to write %.200s", folder);
    const char *name = rs_path_basename(w->final);
    if (n == 0 || n > PATH_LIMIT - 256 || strcmp(name, "/") == 0 ||
        strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return rs_fail(err, RS_E_INVALID, "\"%.200s\" cannot be the name of a new folder",
                       folder);
    return RS_OK;
}

/* What stands in the way under the final name. */
static rs_status look_at_final(rs_writer *w, bool force, rs_err *err)
{
    rs_path_kind kind = rs_os_kind(w->final);
    if (kind == RS_PATH_NONE) return RS_OK;
    if (kind == RS_PATH_FILE)
        return rs_fail(err, RS_E_EXISTS, "%s exists and is a file: choose another name",
                       w->final);
    rs_buf names = {0};
    int count = 0;
    bool is_model = false, has_folder = false;
    rs_status s = rs_os_list(w->final, &names, &count, err);
    const char *name = rs_buf_str(&names);
    for (int i = 0; s == RS_OK && i < count; i++, name += strlen(name) + 1) {
        char path[PATH_LIMIT];
        is_model |= ends_with(name, ".safetensors") || ends_with(name, "config.json");
        has_folder |= rs_path_join(path, sizeof path, w->final, name) &&
                      rs_os_kind(path) == RS_PATH_FOLDER;
    }
    rs_buf_free(&names);
    if (s != RS_OK || count == 0) return s;
    if (!force)
        return rs_fail(err, RS_E_EXISTS, "%s exists: choose another name or use --force",
                       w->final);
    if (has_folder)
        return rs_fail(
            err, RS_E_EXISTS,
            "%s holds folders of its own, so it is not replaced even by force: "
            "choose another name",
            w->final);
    if (!is_model)
        return rs_fail(
            err, RS_E_EXISTS,
            "%s holds no model, so it is not replaced even by force: remove it "
            "yourself or choose another name",
            w->final);
    w->replaces = true;
    return RS_OK;
}

/* ---- opening ---- */

static rs_status check_room(const rs_writer *w, rs_err *err)
{
    uint64_t room;
    RS_TRY(rs_os_free_bytes(w->partial, &room, err));
    if (w->bytes <= room) return RS_OK;
    return rs_fail(err, RS_E_IO,
                   "%s needs %" PRIu64 " bytes but the disk has only %" PRIu64 " free",
                   w->final, w->bytes, room);
}

static rs_status start_shard(rs_writer *w, int i, rs_err *err)
{
    rs_write_shard *s = &w->shards[i];
    rs_buf header = {0};
    rs_writer_header(w, i, &header);
    rs_status st = header.failed ? rs_fail(err, RS_E_NOMEM,
                                           "no memory for the header of %s", s->path)
                                 : RS_OK;
    s->header_bytes = header.len;
    if (st == RS_OK && header.len > RS_SAFETENSORS_MAX_HEADER)
        st = rs_fail(err, RS_E_INVALID, "the header of %s would have %zu bytes", s->path,
                     header.len);
    if (st == RS_OK) st = rs_os_create(s->path, &s->fd, err);
    if (st == RS_OK) st = rs_os_write(s->fd, s->path, 0, header.data, header.len, err);
    rs_buf_free(&header);
    return st;
}

static rs_status start(rs_writer *w, const char *folder, const rs_write_plan *plan,
                       rs_err *err)
{
    RS_TRY(set_names(w, folder, plan->stem, err));
    if (rs_os_is_link(w->final))
        return rs_fail(err, RS_E_EXISTS, "%s is a symbolic link: name the folder itself",
                       w->final);
    RS_TRY(look_at_final(w, plan->force, err));
    RS_TRY(rs_writer_lay_out(w, plan, err));
    RS_TRY(rs_partial_take(w->partial, &w->lock_fd, err));
    RS_TRY(check_room(w, err));
    RS_TRY(rs_writer_count_leaves(w, err));
    for (int i = 0; i < w->n_shards; i++)
        RS_TRY(start_shard(w, i, err));
    for (int i = 0; i < w->n_slots; i++)
        w->slots[i].offset += w->shards[w->slots[i].shard].header_bytes;
    return RS_OK;
}

rs_status rs_writer_new(const char *folder, const rs_write_plan *plan, rs_writer **out,
                        rs_err *err)
{
    *out = NULL;
    rs_writer *w = calloc(1, sizeof *w);
    if (!w) return rs_fail(err, RS_E_NOMEM, "no memory to write %.200s", folder);
    w->lock_fd = -1;
    pthread_mutex_init(&w->mutex, NULL);
    rs_status s = start(w, folder, plan, err);
    if (s == RS_OK)
        *out = w;
    else
        rs_writer_free(w);
    return s;
}

/* ---- writing ---- */

/* Hashes a leaf whose bytes came in pieces: reads it back, mostly from memory. */
static rs_status hash_written(rs_writer *w, const rs_write_slot *s, uint64_t leaf,
                              rs_err *err)
{
    uint64_t at = leaf * RS_HASH_LEAF, left = s->n_bytes - at;
    size_t n = left < RS_HASH_LEAF ? (size_t)left : RS_HASH_LEAF;
    const rs_write_shard *shard = &w->shards[s->shard];
    char *bytes = malloc(n);
    if (!bytes) return rs_fail(err, RS_E_NOMEM, "no memory to hash %.200s", s->t.name);
    rs_status st = rs_os_read(shard->fd, shard->path, s->offset + at, bytes, n, err);
    if (st == RS_OK)
        rs_content_leaf(bytes, n, w->leaves + (s->first_leaf + leaf) * RS_HASH_BYTES);
    free(bytes);
    return st;
}

/* n bytes of one leaf have been written, here given again. */
static rs_status account(rs_writer *w, const rs_write_slot *s, uint64_t leaf,
                         const void *bytes, size_t n, rs_err *err)
{
    uint32_t *missing = &w->missing[s->first_leaf + leaf];
    pthread_mutex_lock(&w->mutex);
    uint32_t before = *missing;
    if (n <= before) *missing = before - (uint32_t)n;
    pthread_mutex_unlock(&w->mutex);
    if (n > before)
        return rs_fail(err, RS_E_BUG, "bytes of tensor %.200s were written twice",
                       s->t.name);
    uint64_t left = s->n_bytes - leaf * RS_HASH_LEAF;
    bool whole = n == RS_HASH_LEAF || n == left;
    if (whole)
        rs_content_leaf(bytes, n, w->leaves + (s->first_leaf + leaf) * RS_HASH_BYTES);
    else if (n == before)
        return hash_written(w, s, leaf, err);
    return RS_OK;
}

rs_status rs_writer_write(rs_writer *w, int i, uint64_t first, const void *bytes,
                          size_t n, rs_err *err)
{
    if (i < 0 || i >= w->n_slots)
        return rs_fail(err, RS_E_BUG, "tensor %d of %d planned ones", i, w->n_slots);
    const rs_write_slot *s = &w->slots[i];
    if (first > s->n_bytes || n > s->n_bytes - first)
        return rs_fail(err, RS_E_BUG,
                       "%zu bytes at %" PRIu64 " of tensor %.200s, which has %" PRIu64, n,
                       first, s->t.name, s->n_bytes);
    const rs_write_shard *shard = &w->shards[s->shard];
    RS_TRY(rs_os_write(shard->fd, shard->path, s->offset + first, bytes, n, err));
    const char *p = bytes;
    while (n > 0) {
        uint64_t leaf = first / RS_HASH_LEAF;
        uint64_t room = (leaf + 1) * RS_HASH_LEAF - first;
        size_t part = n < room ? n : (size_t)room;
        RS_TRY(account(w, s, leaf, p, part, err));
        p += part;
        first += part;
        n -= part;
    }
    return RS_OK;
}

static rs_status path_of(const rs_writer *w, const char *name, char path[PATH_LIMIT],
                         rs_err *err)
{
    if (strchr(name, '/') || !rs_path_is_confined(name) ||
        !rs_path_join(path, PATH_LIMIT, w->partial, name))
        return rs_fail(err, RS_E_INVALID, "\"%.200s\" cannot be a file's name in %s",
                       name, w->final);
    return RS_OK;
}

rs_status rs_writer_file(rs_writer *w, const char *name, const void *data, size_t n,
                         rs_err *err)
{
    char path[PATH_LIMIT];
    int fd = -1;
    RS_TRY(path_of(w, name, path, err));
    RS_TRY(rs_os_create(path, &fd, err));
    rs_status s = rs_os_write(fd, path, 0, data, n, err);
    if (s == RS_OK) s = rs_os_sync(fd, path, err);
    rs_os_close(fd);
    return s;
}

rs_status rs_writer_copy(rs_writer *w, const char *name, const char *from, rs_err *err)
{
    char path[PATH_LIMIT];
    RS_TRY(path_of(w, name, path, err));
    return rs_os_copy(from, path, err);
}

uint64_t rs_writer_bytes(const rs_writer *w)
{
    return w->bytes;
}
/* ---- finishing ---- */

static uint64_t leaves_end(const rs_writer *w, int i)
{
    return w->slots[i].first_leaf + rs_content_leaves(w->slots[i].n_bytes);
}

static rs_status check_complete(const rs_writer *w, rs_err *err)
{
    for (int i = 0; i < w->n_slots; i++) {
        uint64_t missing = 0;
        for (uint64_t k = w->slots[i].first_leaf; k < leaves_end(w, i); k++)
            missing += w->missing[k];
        if (missing)
            return rs_fail(err, RS_E_BUG,
                           "%" PRIu64 " of the %" PRIu64
                           " bytes of tensor %.200s were not written",
                           missing, w->slots[i].n_bytes, w->slots[i].t.name);
    }
    return RS_OK;
}

static rs_status hash_all(const rs_writer *w, char hash[33], rs_err *err)
{
    rs_hashed_tensor *t = calloc((size_t)w->n_slots + 1, sizeof *t);
    if (!t) return rs_fail(err, RS_E_NOMEM, "no memory to hash %s", w->final);
    for (int i = 0; i < w->n_slots; i++) {
        const rs_write_slot *s = &w->slots[i];
        uint64_t n = leaves_end(w, i) - s->first_leaf;
        t[i] = (rs_hashed_tensor){
            s->t.name, s->t.dtype, s->t.n_dims, s->t.dim,
            rs_content_join(w->leaves + s->first_leaf * RS_HASH_BYTES, n)};
    }
    rs_status st = rs_content_hash(t, w->n_slots, hash, err);
    free(t);
    return st;
}

static rs_status write_index(rs_writer *w, rs_err *err)
{
    char name[PATH_LIMIT];
    if (w->n_shards == 1) return RS_OK;
    rs_buf text = {0};
    rs_writer_index(w, &text);
    snprintf(name, sizeof name, "%s.safetensors.index.json", w->stem);
    rs_status s =
        text.failed ? rs_fail(err, RS_E_NOMEM, "no memory for the index of %s", w->final)
                    : rs_writer_file(w, name, text.data, text.len, err);
    rs_buf_free(&text);
    return s;
}

static rs_status sync_all(rs_writer *w, rs_err *err)
{
    for (int i = 0; i < w->n_shards; i++) {
        RS_TRY(rs_os_sync(w->shards[i].fd, w->shards[i].path, err));
        rs_os_close(w->shards[i].fd);
        w->shards[i].fd = -1;
    }
    return rs_os_sync_folder(w->partial, err);
}

/* The work is done but cannot get its name: it stays, and without the mark no later run
 * empties it. */
static rs_status keep_partial(rs_writer *w, rs_err *err)
{
    w->kept = true;
    rs_status ignored = rs_partial_unmark(w->partial, NULL);
    if (w->replaces) ignored = rs_partial_unmark(w->final, NULL);
    (void)ignored;
    return rs_err_prefix(err,
                         "all is written but could not get its name, and stays as %.200s",
                         w->partial);
}

static rs_status publish(rs_writer *w, rs_err *err)
{
    char parent[PATH_LIMIT];
    if (!rs_path_dirname(parent, sizeof parent, w->final))
        return rs_fail(err, RS_E_INVALID, "the path %.200s is too long", w->final);
    /* The old one is soon the partial one. */
    rs_status s = w->replaces ? rs_partial_mark(w->final, err) : RS_OK;
    if (s == RS_OK)
        s = w->replaces ? rs_os_exchange(w->partial, w->final, err)
                        : rs_os_rename(w->partial, w->final, err);
    if (s != RS_OK) return keep_partial(w, err);
    w->published = true;
    s = rs_partial_unmark(w->final, err);
    if (s == RS_OK) s = rs_os_sync_folder(parent, err);
    if (s != RS_OK)
        return rs_err_prefix(err, "%s is written, but may not survive a power cut",
                             w->final);
    if (w->replaces) rs_partial_remove(w->partial);
    return RS_OK;
}

rs_status rs_writer_finish(rs_writer *w, char hash[33], rs_err *err)
{
    RS_TRY(check_complete(w, err));
    RS_TRY(hash_all(w, hash, err));
    RS_TRY(write_index(w, err));
    RS_TRY(sync_all(w, err));
    return publish(w, err);
}

void rs_writer_free(rs_writer *w)
{
    if (!w) return;
    for (int i = 0; i < w->n_shards; i++)
        rs_os_close(w->shards[i].fd);
    if (w->lock_fd >= 0 && !w->published && !w->kept) rs_partial_remove(w->partial);
    rs_os_close(w->lock_fd);
    pthread_mutex_destroy(&w->mutex);
    rs_arena_free(&w->arena);
    free(w);
}
