/* train_state.c - what a resumed training begins from, `OUT.training/state`: magic, what
 * work it is of, steps done, then factors, both moments, the records of the steps, and a
 * hash of it all. A new state is written beside the old one and takes its name when it is
 * synced. */
#include "learn/train_internal.h"

#include "base/bytes.h"
#include "base/os.h"
#include "store/partial.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char magic[8] = "rstrain1";

/* --- what work it is --- */

static void add_text(rs_hasher *h, const char *text)
{
    rs_hasher_add(h, text, strlen(text) + 1);
}

static void add_number(rs_hasher *h, double v)
{
    rs_hasher_add(h, &v, sizeof v);
}

static void add_examples(rs_hasher *h, const rs_example *e, int n)
{
    add_number(h, n);
    for (int i = 0; i < n; i++) {
        size_t bytes = (size_t)e[i].n * sizeof *e[i].ids;
        add_number(h, (double)e[i].n);
        rs_hasher_add(h, e[i].ids, bytes);
        rs_hasher_add(h, e[i].labels ? e[i].labels : e[i].ids, bytes);
    }
}

static void add_options(rs_hasher *h, const rs_train_options *o)
{
    const rs_adamw *a = &o->adamw;
    const double numbers[] = {
        a->rate,     a->beta1,          a->beta2,         a->eps,  a->decay,
        a->schedule, (double)a->warmup, (double)a->steps, a->clip, (double)o->batch,
        o->in_order, o->projecting,     o->strength};
    rs_hasher_add(h, numbers, sizeof numbers);
    rs_hasher_add(h, &o->seed, sizeof o->seed);
    for (int i = 0; i < o->n_facts; i++) {
        add_text(h, o->facts[i].key);
        add_text(h, o->facts[i].value);
    }
}

static rs_status hash_work(rs_training *t, rs_err *err)
{
    rs_hasher *h = rs_hasher_new();
    if (!h) return rs_fail(err, RS_E_NOMEM, "no memory for a hash");
    add_options(h, t->o);
    for (int i = 0; i < t->n_corpora; i++) {
        add_text(h, t->corpora[i].name);
        add_number(h, t->corpora[i].weight);
        add_examples(h, t->corpora[i].train, t->corpora[i].n_train);
    }
    for (int i = 0; i < t->l->n; i++)
        add_text(h, t->l->pairs[i].weight);
    add_number(h, t->l->alpha);
    add_number(h, t->l->rslora);
    rs_hasher_add(h, t->l->values, (size_t)t->l->floats * sizeof(float));
    t->work_hash = rs_hasher_end(h);
    rs_hasher_free(h);
    return RS_OK;
}

/* --- the folder --- */

rs_status rs_training_open(rs_training *t, rs_err *err)
{
    char real[4096];
    static const char tail[] = ".training";
    RS_TRY(hash_work(t, err));
    RS_TRY(rs_os_real_path(real, sizeof real, t->o->out, err));
    size_t n = strlen(real);
    t->folder = malloc(n + sizeof tail);
    if (!t->folder) return rs_fail(err, RS_E_NOMEM, "no memory for a path");
    memcpy(t->folder, real, n);
    memcpy(t->folder + n, tail, sizeof tail);
    return t->o->resume ? rs_partial_keep(t->folder, &t->lock_fd, err)
                        : rs_partial_take(t->folder, &t->lock_fd, err);
}

void rs_training_close(rs_training *t)
{
    if (t->lock_fd >= 0 && !t->can_resume) rs_partial_remove(t->folder);
    rs_os_close(t->lock_fd);
    free(t->folder);
}

/* --- the file --- */

typedef struct stream {
    rs_training *t;
    char path[4096], fresh[4096];
    int fd;
    uint64_t at;
    rs_hasher *hash;
    bool reads;
} stream;

static rs_status open_stream(stream *f, rs_training *t, bool reads, rs_err *err)
{
    *f = (stream){.t = t, .fd = -1, .reads = reads, .hash = rs_hasher_new()};
    if (!f->hash) return rs_fail(err, RS_E_NOMEM, "no memory for a state");
    if (!rs_path_join(f->path, sizeof f->path, t->folder, "state") ||
        !rs_path_join(f->fresh, sizeof f->fresh, t->folder, "state.new"))
        return rs_fail(err, RS_E_INVALID, "the path %.200s is too long", t->folder);
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

static rs_status pass_head(stream *f, int64_t *step, rs_err *err)
{
    rs_training *t = f->t;
    unsigned char head[32];
    memcpy(head, magic, sizeof magic);
    rs_put_le64(head + 8, t->work_hash.low);
    rs_put_le64(head + 16, t->work_hash.high);
    rs_put_le64(head + 24, (uint64_t)*step);
    RS_TRY(pass(f, head, sizeof head, err));
    if (memcmp(head, magic, sizeof magic) != 0)
        return rs_fail(err, RS_E_FORMAT, "%s is no state", f->path);
    if (rs_le64(head + 8) != t->work_hash.low || rs_le64(head + 16) != t->work_hash.high)
        return rs_fail(
            err, RS_E_MISMATCH,
            "%s is of other work: the same model, data and options are needed to "
            "resume it (without --resume it begins again)",
            t->folder);
    uint64_t at = rs_le64(head + 24);
    if (at > (uint64_t)t->o->adamw.steps)
        return rs_fail(err, RS_E_FORMAT, "%s is no state", f->path);
    *step = (int64_t)at;
    return RS_OK;
}

/* A state that cannot be read whole ends the run, so all is read to where it belongs. */
static rs_status pass_all(stream *f, float *values, const rs_moments *m,
                          rs_train_record *records, int64_t *step, rs_err *err)
{
    size_t bytes = (size_t)m->n * sizeof(float);
    RS_TRY(pass_head(f, step, err));
    RS_TRY(pass(f, values, bytes, err));
    RS_TRY(pass(f, m->first, bytes, err));
    RS_TRY(pass(f, m->second, bytes, err));
    RS_TRY(pass(f, records, (size_t)*step * sizeof *records, err));
    rs_hash128 want = rs_hasher_end(f->hash), have = want;
    RS_TRY(pass(f, &have, sizeof have, err));
    if (have.low == want.low && have.high == want.high) return RS_OK;
    return rs_fail(err, RS_E_FORMAT, "%s is damaged: remove %s to begin anew", f->path,
                   f->t->folder);
}

rs_status rs_training_save(rs_training *t, rs_err *err)
{
    stream f;
    int64_t step = t->step;
    rs_status s = open_stream(&f, t, false, err);
    if (s == RS_OK)
        s = pass_all(&f, t->moments.values, &t->moments, t->records, &step, err);
    if (s == RS_OK) s = rs_os_sync(f.fd, f.fresh, err);
    close_stream(&f);
    if (s == RS_OK) s = rs_os_rename(f.fresh, f.path, err);
    if (s == RS_OK) s = rs_os_sync_folder(t->folder, err);
    t->can_resume |= s == RS_OK;
    return s;
}

rs_status rs_training_load(rs_training *t, rs_err *err)
{
    stream f;
    char path[4096];
    if (!rs_path_join(path, sizeof path, t->folder, "state") ||
        rs_os_kind(path) != RS_PATH_FILE)
        return RS_OK;
    t->can_resume = true; /* whatever it is, it is not ours to remove */
    rs_status s = open_stream(&f, t, true, err);
    if (s == RS_OK)
        s = pass_all(&f, t->moments.values, &t->moments, t->records, &t->step, err);
    close_stream(&f);
    return s;
}
