/* forward.h - a model, its fixture and comparing, for the tests of the forward pass. */
#ifndef TESTS_FORWARD_H
#define TESTS_FORWARD_H

#include "model/forward.h"
#include "tests/files.h"
#include "tests/t.h"

#include "base/os.h"
#include "tensor/convert.h"

enum { MAX_IDS = 512 };

typedef struct subject {
    rs_runtime rt;
    rs_checkpoint *file;
    rs_config *config;
    rs_model *model;
} subject;

UNUSED rs_status open_subject(const char *path, int threads, const char *isa, subject *s)
{
    rs_options o = {.threads = threads, .memory_bytes = 1 << 30, .isa = isa};
    *s = (subject){0};
    RS_TRY(rs_init(&o, &s->rt, &t_err));
    RS_TRY(rs_checkpoint_open(path, &s->file, &t_err));
    RS_TRY(rs_config_load(s->file, &s->config, &t_err));
    return rs_model_load(&s->rt, s->file, s->config, NULL, NULL, &s->model, &t_err);
}

UNUSED void close_subject(subject *s)
{
    rs_model_free(s->model);
    rs_config_free(s->config);
    rs_checkpoint_close(s->file);
    rs_quit(&s->rt);
}

/* A float32 or int64 tensor of a fixture as floats. */
UNUSED float *array(const rs_checkpoint *c, const char *name, int64_t *n)
{
    const rs_tensor *t = rs_checkpoint_find(c, name);
    if (!t) return NULL;
    float *p = calloc((size_t)t->n_elements + 1, sizeof *p);
    *n = t->n_elements;
    if (t->dtype == RS_DTYPE_I64) {
        int64_t *raw = malloc((size_t)t->n_bytes + 8);
        if (rs_checkpoint_read_raw(c, t, 0, (size_t)t->n_bytes, raw, &t_err) != RS_OK)
            exit(1);
        for (int64_t i = 0; i < *n; i++)
            p[i] = (float)raw[i];
        free(raw);
    } else if (rs_checkpoint_read_f32(c, t, 0, *n, p, &t_err) != RS_OK) {
        exit(1);
    }
    return p;
}

UNUSED int64_t ids_of(const rs_checkpoint *c, int i, int32_t *ids)
{
    char name[32];
    int64_t n = 0;
    snprintf(name, sizeof name, "ids.%d", i);
    float *f = array(c, name, &n);
    for (int64_t k = 0; f && k < n && k < MAX_IDS; k++)
        ids[k] = (int32_t)f[k];
    free(f);
    return n;
}

UNUSED double worst(const float *a, const float *b, int64_t n)
{
    double w = 0;
    for (int64_t i = 0; i < n; i++)
        w = t_max(w, fabs((double)a[i] - (double)b[i]));
    return w;
}

UNUSED double largest(const float *a, int64_t n)
{
    double w = 0;
    for (int64_t i = 0; i < n; i++)
        w = t_max(w, fabs((double)a[i]));
    return w;
}

UNUSED int64_t long_ids(const subject *s, int32_t *ids, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        ids[i] = (int32_t)(20 + (i * 37 + i * i * 11) % 350);
    ids[0] = s->config->bos >= 0 ? s->config->bos : 2;
    return n;
}

/* Logits of the last of n tokens, fed in pieces of `piece`. */
UNUSED void run_pieces(const subject *s, const int32_t *ids, int64_t n, int64_t piece,
                       float *logits)
{
    rs_kv *kv;
    T_OK(rs_kv_new(s->config, NULL, &kv, &t_err));
    rs_forward_options o = {.want = RS_WANT_LAST};
    for (int64_t at = 0; at < n; at += piece) {
        int64_t k = n - at < piece ? n - at : piece;
        T_OK(rs_forward(&s->rt, s->model, kv, ids + at, k, &o, logits, &t_err));
    }
    T_EQ(rs_kv_length(kv), n);
    rs_kv_free(kv);
}

typedef struct countdown {
    int left;
} countdown;

UNUSED bool stop_after(void *ctx, const rs_progress *p)
{
    countdown *c = ctx;
    return p->done <= p->total && c->left-- > 0;
}

#endif
