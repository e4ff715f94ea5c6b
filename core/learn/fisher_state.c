/* fisher_state.c - what a resumed run begins from: for every sequence the gradients that flow
 * into layer `next`, those of the donors' keys and values, and of the per-layer inputs above.
 * The forward way is taken again. Layout: magic, next, then the floats, sequence by sequence
 * (store/state.h). The output is synced before, so that layers that the state counts as done
 * are on the disk. */
#include "learn/fisher_internal.h"

#include "base/bytes.h"
#include "store/state.h"

#include <string.h>

static const char magic[8] = "rsfish1\n";

/* n bytes of the spill at `from`, through a piece of memory. */
static rs_status pass_spill(const rs_run *r, rs_state *f, uint64_t from, uint64_t n,
                            rs_err *err)
{
    char piece[1 << 16];
    for (uint64_t at = 0; at < n;) {
        size_t k = n - at < sizeof piece ? (size_t)(n - at) : sizeof piece;
        if (!f->reads) RS_TRY(rs_spill_get(r->spill, from + at, piece, k, err));
        RS_TRY(rs_state_pass(f, piece, k, err));
        if (f->reads) RS_TRY(rs_spill_put(r->spill, from + at, piece, k, err));
        at += k;
    }
    return RS_OK;
}

static rs_status pass_sequence(const rs_run *r, rs_state *f, int i, int next, rs_err *err)
{
    const rs_config *c = r->c;
    uint64_t n = (uint64_t)r->examples[i].n, row = n * sizeof(float);
    rs_places p = rs_run_places(c, r->examples[i].n);
    uint64_t base = r->base[i], kv = base + p.kv;
    RS_TRY(pass_spill(r, f, base + p.dx, row * (uint64_t)c->hidden, err));
    uint64_t ple = row * (uint64_t)c->ple_width;
    RS_TRY(pass_spill(r, f, base + p.dple + ple * (uint64_t)next,
                      ple * (uint64_t)(c->n_layers - next), err));
    for (int l = 0; l < c->n_layers; l++) {
        if (!c->layers[l].is_donor) continue;
        uint64_t one = row * (uint64_t)rs_kv_width(c, l);
        RS_TRY(pass_spill(r, f, kv + 2 * one, 2 * one, err));
        kv += 4 * one;
    }
    return RS_OK;
}

static rs_status pass_all(const rs_run *r, rs_state *f, int *next, rs_err *err)
{
    unsigned char head[16];
    memcpy(head, magic, sizeof magic);
    rs_put_le64(head + 8, (uint64_t)*next);
    RS_TRY(rs_state_pass(f, head, sizeof head, err));
    if (memcmp(head, magic, sizeof magic) != 0)
        return rs_fail(err, RS_E_FORMAT, "%s is no state", f->path);
    uint64_t at = rs_le64(head + 8);
    if (at < (uint64_t)r->lowest || at > (uint64_t)r->c->n_layers)
        return rs_fail(err, RS_E_FORMAT, "%s is no state", f->path);
    *next = (int)at;
    for (int i = 0; i < r->n; i++)
        RS_TRY(pass_sequence(r, f, i, *next, err));
    return rs_state_end(f, err);
}

rs_status rs_run_save(rs_run *r, int next, rs_err *err)
{
    rs_state f;
    RS_TRY(rs_tensor_file_sync(r->out, err));
    rs_status s = rs_state_open(&f, rs_tensor_file_folder(r->out), false, err);
    if (s == RS_OK) s = pass_all(r, &f, &next, err);
    return rs_state_close(&f, s, err);
}

rs_status rs_run_load(rs_run *r, int *next, rs_err *err)
{
    rs_state f;
    int at = *next;
    const char *folder = rs_tensor_file_folder(r->out);
    if (!rs_state_exists(folder)) return RS_OK;
    rs_status s = rs_state_open(&f, folder, true, err);
    if (s == RS_OK) s = pass_all(r, &f, &at, err);
    s = rs_state_close(&f, s, err);
    if (s == RS_OK) *next = at;
    return s;
}
