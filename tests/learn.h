/* learn.h - a model beside its golden gradients (tests/golden/grad), and comparing with them,
 * for the tests of core/learn. */
#ifndef TESTS_LEARN_H
#define TESTS_LEARN_H

#include "learn/backward.h"
#include "learn/gradients.h"
#include "tests/forward.h"

typedef struct pupil {
    subject m;
    rs_checkpoint *want;
    rs_gradients *g;
    rs_work *work;
} pupil;

UNUSED rs_status open_pupil(pupil *p, const char *model, const char *golden, int threads)
{
    *p = (pupil){.want = NULL};
    RS_TRY(open_subject(model, threads, NULL, &p->m));
    RS_TRY(rs_checkpoint_open(golden, &p->want, &t_err));
    RS_TRY(rs_gradients_new(&p->m.rt, p->m.config, &p->g, &t_err));
    return rs_work_new(&p->m.rt, p->m.model, MAX_IDS, &p->work, &t_err);
}

UNUSED void close_pupil(pupil *p)
{
    rs_work_free(p->work);
    rs_gradients_free(p->g);
    rs_checkpoint_close(p->want);
    close_subject(&p->m);
}

/* Ids in an int64 tensor of a fixture; how many, 0 if it cannot be read. */
UNUSED int64_t ids_named(const rs_checkpoint *want, const char *name, int32_t *ids)
{
    const rs_tensor *t = rs_checkpoint_find(want, name);
    int64_t raw[MAX_IDS];
    if (!t || t->dtype != RS_DTYPE_I64 || t->n_elements > MAX_IDS ||
        rs_checkpoint_read_raw(want, t, 0, (size_t)t->n_bytes, raw, &t_err) != RS_OK)
        return 0;
    for (int64_t i = 0; i < t->n_elements; i++)
        ids[i] = (int32_t)raw[i];
    return t->n_elements;
}

/* Gradients of one sequence into p->g; its loss. labels NULL: the ids. */
UNUSED double gradients_of(pupil *p, const int32_t *ids, const int32_t *labels, int64_t n,
                           double scale)
{
    rs_sequence *seq;
    double loss = NAN;
    rs_sink sink = rs_gradients_sink(p->g);
    if (rs_sequence_new(p->m.config, n, true, &seq, &t_err) != RS_OK) return NAN;
    rs_gradients_zero(p->g);
    if (rs_sequence_set(seq, ids, labels, n, &t_err) != RS_OK ||
        rs_backward_all(p->work, seq, scale, &sink, &loss, &t_err) != RS_OK)
        loss = NAN;
    rs_sequence_free(seq);
    return loss;
}

UNUSED const rs_slot *slots_of(const rs_config *c, int layer)
{
    return layer < 0 ? c->family->model_slots : c->family->layer_slots;
}

UNUSED int64_t slot_elements(const rs_config *c, int layer, const rs_slot *slot)
{
    int64_t cols = slot->cols == RS_SIZE_NONE ? 1 : rs_slot_size(c, layer, slot->cols);
    return rs_slot_size(c, layer, slot->rows) * cols;
}

/* --- comparing --- */

/* What the code under test says of a tensor: its numbers, all rows; NULL: it has none. The
 * memory lasts until the next call. */
typedef const float *(*value_fn)(void *ctx, const char *name);

typedef struct comparison {
    int n;        /* tensors that the fixture has */
    double worst; /* max |a - b| / max |b| over one tensor; NaN where there is one */
    char name[200];
} comparison;

/* One tensor of a fixture, of which it may hold chosen rows only ("rows.NAME"). */
UNUSED double off_by(const rs_checkpoint *want, const rs_tensor *t, const char *name,
                     const float *have)
{
    char rows_name[200];
    snprintf(rows_name, sizeof rows_name, "rows.%s", name);
    const rs_tensor *rows = rs_checkpoint_find(want, rows_name);
    int64_t *row = calloc((size_t)t->n_elements + 1, sizeof *row),
            cols = t->n_dims > 1 ? t->dim[1] : 1;
    float *b = calloc((size_t)t->n_elements + 1, sizeof *b);
    double off = 0, top = 0;
    if (rs_checkpoint_read_f32(want, t, 0, t->n_elements, b, &t_err) != RS_OK ||
        (rows && rs_checkpoint_read_raw(want, rows, 0, (size_t)rows->n_bytes, row,
                                        &t_err) != RS_OK))
        off = NAN;
    for (int64_t k = 0; k < t->n_elements && !isnan(off); k++) {
        int64_t at = rows ? row[k / cols] * cols + k % cols : k;
        off = t_max(off, fabs((double)have[at] - (double)b[k]));
        top = t_max(top, fabs((double)b[k]));
    }
    free(row);
    free(b);
    return off == 0 ? 0 : off / top; /* all zeros are to be zeros */
}

/* Every tensor of the fixture whose name begins with prefix. */
UNUSED comparison compare_all(const rs_checkpoint *want, const char *prefix, value_fn value,
                              void *ctx)
{
    comparison c = {0};
    for (int i = 0; i < rs_checkpoint_count(want); i++) {
        const rs_tensor *t = rs_checkpoint_at(want, i);
        if (strncmp(t->name, prefix, strlen(prefix)) != 0) continue;
        const char *name = t->name + strlen(prefix);
        const float *have = value(ctx, name);
        double off = have ? off_by(want, t, name, have) : INFINITY;
        c.n++;
        if (off <= c.worst && c.name[0]) continue;
        c.worst = t_max(c.worst, off);
        snprintf(c.name, sizeof c.name, "%s", name);
    }
    return c;
}

#endif
