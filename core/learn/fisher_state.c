/* fisher_state.c - what a resumed run begins from: for every sequence the gradients that flow
 * into layer `next`, those of the donors' keys and values, and of the per-layer inputs above.
 * The forward way is taken again. Layout: magic, next, then the floats, sequence by sequence,
 * then a hash of it all. The output is synced before, so that layers that the state counts as
 * done are on the disk. */
#include "learn/fisher_internal.h"

#include "base/bytes.h"
#include "base/hash.h"
#include "base/os.h"

#include <stdlib.h>
#include <string.h>

static const char magic[8] = "rsfish1\n";

typedef struct stream {
    rs_run *r;
    char path[4096], fresh[4096];
    int fd;
    uint64_t at;
    rs_hasher *hash;
    bool reads;
} stream;

static rs_status open_stream(stream *f, rs_run *r, bool reads, rs_err *err)
{
    const char *folder = rs_tensor_file_folder(r->out);
    *f = (stream){.r = r, .fd = -1, .reads = reads, .hash = rs_hasher_new()};
    if (!f->hash) return rs_fail(err, RS_E_NOMEM, "no memory for a state");
    if (!rs_path_join(f->path, sizeof f->path, folder, "state") ||
        !rs_path_join(f->fresh, sizeof f->fresh, folder, "state.new"))
        return rs_fail(err, RS_E_INVALID, "the path %.200s is too long", folder);
    return reads ? rs_os_open(f->path, &f->fd, NULL, err)
                 : rs_os_create(f->fresh, &f->fd, err);
}

static void close_stream(stream *f)
{
    rs_os_close(f->fd);
    rs_hasher_free(f->hash);
}

static rs_status pass(stream *f, void *bytes, size_t n, rs_err *err)
{
    rs_status s = f->reads ? rs_os_read(f->fd, f->path, f->at, bytes, n, err)
                           : rs_os_write(f->fd, f->fresh, f->at, bytes, n, err);
    if (s == RS_OK) rs_hasher_add(f->hash, bytes, n);
    f->at += n;
    return s;
}

/* n bytes of the spill at `from`, through a piece of memory. */
static rs_status pass_spill(stream *f, uint64_t from, uint64_t n, rs_err *err)
{
    char piece[1 << 16];
    rs_spill *spill = f->r->spill;
    for (uint64_t at = 0; at < n;) {
        size_t k = n - at < sizeof piece ? (size_t)(n - at) : sizeof piece;
        if (!f->reads) RS_TRY(rs_spill_get(spill, from + at, piece, k, err));
        RS_TRY(pass(f, piece, k, err));
        if (f->reads) RS_TRY(rs_spill_put(spill, from + at, piece, k, err));
        at += k;
    }
    return RS_OK;
}

static rs_status pass_sequence(stream *f, int i, int next, rs_err *err)
{
    const rs_run *r = f->r;
    const rs_config *c = r->c;
    uint64_t n = (uint64_t)r->examples[i].n, row = n * sizeof(float);
    rs_places p = rs_run_places(c, r->examples[i].n);
    uint64_t base = r->base[i], kv = base + p.kv;
    RS_TRY(pass_spill(f, base + p.dx, row * (uint64_t)c->hidden, err));
    uint64_t ple = row * (uint64_t)c->ple_width;
    RS_TRY(pass_spill(f, base + p.dple + ple * (uint64_t)next,
                      ple * (uint64_t)(c->n_layers - next), err));
    for (int l = 0; l < c->n_layers; l++) {
        if (!c->layers[l].is_donor) continue;
        uint64_t one = row * (uint64_t)rs_kv_width(c, l);
        RS_TRY(pass_spill(f, kv + 2 * one, 2 * one, err));
        kv += 4 * one;
    }
    return RS_OK;
}

static rs_status pass_all(stream *f, int *next, rs_err *err)
{
    unsigned char head[16];
    memcpy(head, magic, sizeof magic);
    rs_put_le64(head + 8, (uint64_t)*next);
    RS_TRY(pass(f, head, sizeof head, err));
    if (memcmp(head, magic, sizeof magic) != 0)
        return rs_fail(err, RS_E_FORMAT, "%s is no state", f->path);
    uint64_t at = rs_le64(head + 8);
    if (at < (uint64_t)f->r->lowest || at > (uint64_t)f->r->c->n_layers)
        return rs_fail(err, RS_E_FORMAT, "%s is no state", f->path);
    *next = (int)at;
    for (int i = 0; i < f->r->n; i++)
        RS_TRY(pass_sequence(f, i, *next, err));
    rs_hash128 want = rs_hasher_end(f->hash), have = want;
    RS_TRY(pass(f, &have, sizeof have, err));
    if (have.low == want.low && have.high == want.high) return RS_OK;
    return rs_fail(err, RS_E_FORMAT, "%s is damaged", f->path);
}

rs_status rs_run_save(rs_run *r, int next, rs_err *err)
{
    stream f;
    RS_TRY(rs_tensor_file_sync(r->out, err));
    rs_status s = open_stream(&f, r, false, err);
    if (s == RS_OK) s = pass_all(&f, &next, err);
    if (s == RS_OK) s = rs_os_sync(f.fd, f.fresh, err);
    close_stream(&f);
    if (s == RS_OK) s = rs_os_rename(f.fresh, f.path, err);
    return s == RS_OK ? rs_os_sync_folder(rs_tensor_file_folder(r->out), err) : s;
}

rs_status rs_run_load(rs_run *r, int *next, rs_err *err)
{
    stream f;
    char path[4096];
    const char *folder = rs_tensor_file_folder(r->out);
    if (!rs_path_join(path, sizeof path, folder, "state") ||
        rs_os_kind(path) != RS_PATH_FILE)
        return RS_OK;
    int at = *next;
    rs_status s = open_stream(&f, r, true, err);
    if (s == RS_OK) s = pass_all(&f, &at, err);
    close_stream(&f);
    if (s == RS_OK) *next = at;
    return s;
}
