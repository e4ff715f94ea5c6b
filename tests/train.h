/* train.h - a small training for tests: three corpora on a tiny model of two kinds of
 * attention, shared keys and per-layer embeddings; the first two inputs and outputs are
 * protected. */
#ifndef TRAIN_H
#define TRAIN_H

#include "learn/train_internal.h"
#include "tests/files.h"
#include "tests/t.h"

#include "base/rng.h"

enum { CORPORA = 3, EACH = 5, MOST = 24, STEPS = 7, ADAPTED = 3 };

typedef struct subject {
    rs_runtime rt;
    rs_checkpoint *file;
    rs_config *config;
    rs_model *model;
    rs_lora *lora;
    rs_protection *protection;
    int32_t ids[CORPORA][EACH][MOST];
    rs_example examples[CORPORA][EACH];
    rs_train_corpus corpora[CORPORA];
} subject;

/* Sequences of many lengths; the last of each corpus is for validation. */
static void make_corpora(subject *s)
{
    static const char *const names[] = {"/some/where/sea.txt", "gothic", "folk"};
    static const double weights[] = {2, 1, 0.5};
    for (int c = 0; c < CORPORA; c++) {
        for (int i = 0; i < EACH; i++) {
            int64_t n = 5 + (c * 7 + i * 5) % (MOST - 5);
            for (int64_t t = 0; t < n; t++)
                s->ids[c][i][t] =
                    (int32_t)(3 +
                              rs_rng_at(9, (uint64_t)(c * EACH + i), (uint64_t)t) % 300);
            s->examples[c][i] = (rs_example){s->ids[c][i], NULL, n};
        }
        s->corpora[c] = (rs_train_corpus){.name = names[c],
                                          .train = s->examples[c],
                                          .n_train = EACH - 1,
                                          .valid = s->examples[c] + EACH - 1,
                                          .n_valid = 1,
                                          .weight = weights[c]};
    }
}

/* The first two inputs and outputs of every matrix are protected. */
static bool protect(subject *s)
{
    for (int i = 0; i < s->lora->n; i++) {
        const rs_lora_pair *p = &s->lora->pairs[i];
        float *u = calloc((size_t)(2 * p->rows), sizeof *u);
        float *v = calloc((size_t)(2 * p->cols), sizeof *v);
        u[0] = u[3] = v[0] = v[3] = 1;
        bool good = rs_protect(s->protection, i, u, v, 2, &t_err) == RS_OK;
        free(u);
        free(v);
        if (!good) return false;
    }
    return true;
}

static bool open_subject(subject *s, const char *model, int threads)
{
    rs_options o = {.threads = threads, .memory_bytes = 1 << 30};
    rs_lora_options lo = {.rank = ADAPTED, .alpha = 6, .seed = 5};
    *s = (subject){0};
    make_corpora(s);
    return rs_init(&o, &s->rt, &t_err) == RS_OK &&
           rs_checkpoint_open(model, &s->file, &t_err) == RS_OK &&
           rs_config_load(s->file, &s->config, &t_err) == RS_OK &&
           rs_model_load(&s->rt, s->file, s->config, NULL, NULL, &s->model, &t_err) ==
               RS_OK &&
           rs_lora_new(s->file, s->config, &lo, &s->lora, &t_err) == RS_OK &&
           rs_protection_new(&s->rt, s->lora, &s->protection, &t_err) == RS_OK &&
           protect(s);
}

static void close_subject(subject *s)
{
    rs_protection_free(s->protection);
    rs_lora_free(s->lora);
    rs_model_free(s->model);
    rs_config_free(s->config);
    rs_checkpoint_close(s->file);
    rs_quit(&s->rt);
}

static __attribute__((unused)) const char tiny[] = "tests/golden/models/gemma4_e4b";

static rs_train_options options_of(const char *out)
{
    return (rs_train_options){.adamw = {.rate = 0.01,
                                        .beta1 = 0.9,
                                        .beta2 = 0.999,
                                        .eps = 1e-8,
                                        .decay = 0.01,
                                        .warmup = 2,
                                        .steps = STEPS,
                                        .clip = 1},
                              .batch = 3,
                              .seed = 4,
                              .strength = 1,
                              .valid_every = 3,
                              .out = out,
                              .base_name = "base"};
}

static rs_status train(subject *s, const rs_train_options *o, rs_train_result *r)
{
    return rs_train_run(&s->rt, s->model, s->lora, s->protection, s->corpora, CORPORA, o,
                        r, &t_err);
}

/* From nothing, as another process would. */
static __attribute__((unused)) rs_status
train_anew(int threads, const rs_train_options *o, rs_train_result *r)
{
    subject s;
    if (!open_subject(&s, tiny, threads)) return t_err.code;
    rs_status st = train(&s, o, r);
    close_subject(&s);
    return st;
}

/* Nothing but the adapter is left beside `out`. */
static bool is_clean(const char *out)
{
    char path[600];
    snprintf(path, sizeof path, "%s.partial", out);
    bool clean = rs_os_kind(path) == RS_PATH_NONE;
    snprintf(path, sizeof path, "%s.training", out);
    return clean && rs_os_kind(path) == RS_PATH_NONE;
}

#endif
