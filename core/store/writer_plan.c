#include "base/bytes.h"
#include "base/map.h"
#include "base/size.h"
#include "base/utf8.h"
#include "store/content_hash.h"
#include "store/writer_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_SHARD_GB = 5, MAX_SHARDS = 500 };

static rs_status no_memory(const rs_writer *w, rs_err *err)
{
    return rs_fail(err, RS_E_NOMEM, "no memory to plan %s", w->final);
}

static rs_status slot_of(rs_writer *w, const rs_write_tensor *t, rs_write_slot *slot,
                         rs_err *err)
{
    size_t n = strlen(t->name);
    if (n == 0 || strcmp(t->name, "__metadata__") == 0 || !rs_utf8_valid(t->name, n))
        return rs_fail(err, RS_E_INVALID, "\"%.200s\" cannot be a tensor's name",
                       t->name);
    if (!rs_dtype_of(t->dtype)->safetensors)
        return rs_fail(err, RS_E_UNSUPPORTED, "tensor %.200s: safetensors has no type %s",
                       t->name, rs_dtype_name(t->dtype));
    int64_t elements = 1;
    bool ok = t->n_dims >= 0 && t->n_dims <= RS_MAX_DIMS;
    for (int i = 0; ok && i < t->n_dims; i++)
        ok = t->dim[i] >= 0 && rs_mul_i64(elements, t->dim[i], &elements);
    if (!ok || !rs_dtype_bytes(t->dtype, elements, &slot->n_bytes) ||
        !rs_add_u64(w->bytes, slot->n_bytes, &w->bytes))
        return rs_fail(err, RS_E_INVALID, "tensor %.200s has an impossible shape",
                       t->name);
    slot->t = *t;
    slot->t.name = rs_arena_strdup(&w->arena, t->name);
    return slot->t.name ? RS_OK : no_memory(w, err);
}

static rs_status copy_tensors(rs_writer *w, const rs_write_plan *plan, rs_err *err)
{
    rs_map seen = {0};
    rs_status s = RS_OK;
    w->slots = rs_arena_array(&w->arena, (size_t)plan->n_tensors, sizeof *w->slots);
    if (!w->slots) return no_memory(w, err);
    for (int i = 0; i < plan->n_tensors && s == RS_OK; i++) {
        const char *name = plan->tensors[i].name;
        bool was = false;
        s = slot_of(w, &plan->tensors[i], &w->slots[i], err);
        if (s == RS_OK && !rs_map_put(&seen, name, strlen(name), i, &was))
            s = no_memory(w, err);
        if (was) s = rs_fail(err, RS_E_INVALID, "tensor %.200s is planned twice", name);
        w->n_slots++;
    }
    rs_map_free(&seen);
    return s;
}

static rs_status copy_metadata(rs_writer *w, const rs_write_plan *plan, rs_err *err)
{
    rs_string_pair *m = rs_arena_array(&w->arena, (size_t)plan->n_metadata, sizeof *m);
    if (!m) return no_memory(w, err);
    w->metadata = m;
    for (int i = 0; i < plan->n_metadata; i++) {
        if (strcmp(plan->metadata[i].key, "format") == 0) continue;
        m[w->n_metadata].key = rs_arena_strdup(&w->arena, plan->metadata[i].key);
        m[w->n_metadata].value = rs_arena_strdup(&w->arena, plan->metadata[i].value);
        if (!m[w->n_metadata].key || !m[w->n_metadata].value) return no_memory(w, err);
        w->n_metadata++;
    }
    return RS_OK;
}

/* Tensors in the plan's order; a new shard whenever the next would not fit. */
static int assign_shards(rs_writer *w, uint64_t limit)
{
    int shard = 0;
    uint64_t used = 0;
    for (int i = 0; i < w->n_slots; i++) {
        rs_write_slot *s = &w->slots[i];
        if (used > 0 && (s->n_bytes > limit || used > limit - s->n_bytes))
            shard++, used = 0;
        used += s->n_bytes;
        s->shard = shard;
    }
    return shard + 1;
}

static rs_status name_shards(rs_writer *w, rs_err *err)
{
    for (int i = 0; i < w->n_shards; i++) {
        rs_write_shard *s = &w->shards[i];
        s->fd = -1;
        s->name = w->n_shards == 1
                      ? rs_arena_printf(&w->arena, "%s.safetensors", w->stem)
                      : rs_arena_printf(&w->arena, "%s-%05d-of-%05d.safetensors", w->stem,
                                        i + 1, w->n_shards);
        if (s->name) s->path = rs_arena_printf(&w->arena, "%s/%s", w->partial, s->name);
        if (!s->path) return no_memory(w, err);
    }
    return RS_OK;
}

/* Offsets inside the shards: the widest types first, so that all are aligned. */
static void place(rs_writer *w)
{
    for (int width = 8; width >= 1; width /= 2)
        for (int i = 0; i < w->n_slots; i++) {
            rs_write_slot *s = &w->slots[i];
            if (rs_dtype_of(s->t.dtype)->block_bytes != width) continue;
            s->offset = w->shards[s->shard].data_bytes;
            w->shards[s->shard].data_bytes += s->n_bytes;
        }
}

rs_status rs_writer_count_leaves(rs_writer *w, rs_err *err)
{
    uint64_t n = 0;
    for (int i = 0; i < w->n_slots; i++) {
        w->slots[i].first_leaf = n;
        n += rs_content_leaves(w->slots[i].n_bytes);
    }
    w->missing = rs_arena_array(&w->arena, (size_t)n, sizeof *w->missing);
    w->leaves = rs_arena_array(&w->arena, (size_t)n, RS_HASH_BYTES);
    if (!w->missing || !w->leaves) return no_memory(w, err);
    for (int i = 0; i < w->n_slots; i++) {
        uint64_t left = w->slots[i].n_bytes;
        for (uint64_t k = w->slots[i].first_leaf; left > 0; k++) {
            w->missing[k] = left < RS_HASH_LEAF ? (uint32_t)left : RS_HASH_LEAF;
            left -= w->missing[k];
        }
    }
    return RS_OK;
}

rs_status rs_writer_lay_out(rs_writer *w, const rs_write_plan *plan, rs_err *err)
{
    uint64_t limit =
        plan->shard_bytes ? plan->shard_bytes : (uint64_t)DEFAULT_SHARD_GB * 1000000000;
    RS_TRY(copy_tensors(w, plan, err));
    RS_TRY(copy_metadata(w, plan, err));
    int n = assign_shards(w, limit);
    if (n > MAX_SHARDS)
        return rs_fail(err, RS_E_INVALID,
                       "%s would have %d shards of at most %" PRIu64
                       " bytes, more than %d: make them larger",
                       w->final, n, limit, (int)MAX_SHARDS);
    w->shards = rs_arena_array(&w->arena, (size_t)n, sizeof *w->shards);
    if (!w->shards) return no_memory(w, err);
    w->n_shards = n;
    RS_TRY(name_shards(w, err));
    place(w);
    return RS_OK;
}

/* ---- text ---- */

static void put_pair(rs_buf *b, const char *key, const char *value)
{
    rs_buf_json(b, key, strlen(key));
    rs_buf_putc(b, ':');
    rs_buf_json(b, value, strlen(value));
}

static void put_tensor(rs_buf *b, const rs_write_slot *s)
{
    rs_buf_putc(b, ',');
    rs_buf_json(b, s->t.name, strlen(s->t.name));
    rs_buf_printf(b, ":{\"dtype\":\"%s\",\"shape\":[",
                  rs_dtype_of(s->t.dtype)->safetensors);
    for (int d = 0; d < s->t.n_dims; d++)
        rs_buf_printf(b, "%s%" PRId64, d ? "," : "", s->t.dim[d]);
    rs_buf_printf(b, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", s->offset,
                  s->offset + s->n_bytes);
}

void rs_writer_header(const rs_writer *w, int shard, rs_buf *out)
{
    unsigned char length[8] = {0};
    rs_buf_add(out, length, sizeof length);
    rs_buf_puts(out, "{\"__metadata__\":{\"format\":\"pt\"");
    for (int i = 0; i < w->n_metadata; i++) {
        rs_buf_putc(out, ',');
        put_pair(out, w->metadata[i].key, w->metadata[i].value);
    }
    rs_buf_putc(out, '}');
    for (int i = 0; i < w->n_slots; i++)
        if (w->slots[i].shard == shard) put_tensor(out, &w->slots[i]);
    rs_buf_putc(out, '}');
    while (out->len % 8 != 0 && !out->failed)
        rs_buf_putc(out, ' ');
    if (out->failed) return;
    rs_put_le64(length, out->len - 8);
    memcpy(out->data, length, sizeof length);
}

void rs_writer_index(const rs_writer *w, rs_buf *out)
{
    rs_buf_printf(out, "{\n  \"metadata\": {\n    \"total_size\": %" PRIu64 "\n  },\n",
                  w->bytes);
    rs_buf_puts(out, "  \"weight_map\": {");
    for (int i = 0; i < w->n_slots; i++) {
        const rs_write_slot *s = &w->slots[i];
        rs_buf_puts(out, i ? ",\n    " : "\n    ");
        rs_buf_json(out, s->t.name, strlen(s->t.name));
        rs_buf_printf(out, ": \"%s\"", w->shards[s->shard].name);
    }
    rs_buf_puts(out, "\n  }\n}\n");
}
