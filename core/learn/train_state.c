/* train_state.c - what a resumed training begins from, `OUT.training/state`: magic, what
 * work it is of, steps done, then factors, both moments and the records of the steps
 * (store/state.h). */
#include "learn/train_internal.h"

#include "base/bytes.h"
#include "base/os.h"
#include "store/partial.h"
#include "store/state.h"

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

static rs_status pass_head(rs_training *t, rs_state *f, int64_t *step, rs_err *err)
{
    unsigned char head[32];
    memcpy(head, magic, sizeof magic);
    rs_put_le64(head + 8, t->work_hash.low);
    rs_put_le64(head + 16, t->work_hash.high);
    rs_put_le64(head + 24, (uint64_t)*step);
    RS_TRY(rs_state_pass(f, head, sizeof head, err));
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
static rs_status pass_all(rs_training *t, rs_state *f, int64_t *step, rs_err *err)
{
    const rs_moments *m = &t->moments;
    size_t bytes = (size_t)m->n * sizeof(float);
    RS_TRY(pass_head(t, f, step, err));
    RS_TRY(rs_state_pass(f, m->values, bytes, err));
    RS_TRY(rs_state_pass(f, m->first, bytes, err));
    RS_TRY(rs_state_pass(f, m->second, bytes, err));
    RS_TRY(rs_state_pass(f, t->records, (size_t)*step * sizeof *t->records, err));
    return rs_state_end(f, err);
}

rs_status rs_training_save(rs_training *t, rs_err *err)
{
    rs_state f;
    int64_t step = t->step;
    rs_status s = rs_state_open(&f, t->folder, false, err);
    if (s == RS_OK) s = pass_all(t, &f, &step, err);
    s = rs_state_close(&f, s, err);
    t->can_resume |= s == RS_OK;
    return s;
}

rs_status rs_training_load(rs_training *t, rs_err *err)
{
    rs_state f;
    if (!rs_state_exists(t->folder)) return RS_OK;
    t->can_resume = true; /* whatever it is, it is not ours to remove */
    rs_status s = rs_state_open(&f, t->folder, true, err);
    if (s == RS_OK) s = pass_all(t, &f, &t->step, err);
    return rs_state_close(&f, s, err);
}
