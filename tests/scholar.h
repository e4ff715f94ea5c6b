/* scholar.h - what the tests of Fisher runs share: a model with its fixture's sequences to be
 * measured on, and the file that comes of it. */
#ifndef SCHOLAR_H
#define SCHOLAR_H

#include "learn/fisher.h"
#include "tests/learn.h"

enum { N_SEQ = 4 };

/* A pupil whose work is the four sequences of its fixture. */
typedef struct scholar {
    pupil p;
    int32_t ids[N_SEQ][MAX_IDS];
    rs_example examples[N_SEQ];
} scholar;

UNUSED bool open_scholar(scholar *s, const char *model, const char *golden, int threads)
{
    if (open_pupil(&s->p, model, golden, threads) != RS_OK) return false;
    for (int i = 0; i < N_SEQ; i++) {
        char name[16];
        snprintf(name, sizeof name, "ids.%d", i);
        int64_t n = ids_named(s->p.want, name, s->ids[i]);
        if (n < 2) return false;
        s->examples[i] = (rs_example){s->ids[i], NULL, n};
    }
    return true;
}

UNUSED bool open_e4b(scholar *s, int threads)
{
    return open_scholar(s, "tests/golden/models/gemma4_e4b",
                        "tests/golden/grad/gemma4_e4b.safetensors", threads);
}

/* A Fisher file that is open, and the tensor of it that was read last. */
typedef struct fisher_file {
    rs_checkpoint *have;
    const rs_checkpoint *model;
    float *values;
    int64_t n;
} fisher_file;

UNUSED rs_status open_fisher(fisher_file *f, const char *path, const scholar *s)
{
    *f = (fisher_file){.model = s->p.m.file};
    return rs_checkpoint_open(path, &f->have, &t_err);
}

UNUSED void close_fisher(fisher_file *f)
{
    free(f->values);
    rs_checkpoint_close(f->have);
}

/* A tensor of the file, of as many numbers as the model's. */
UNUSED const float *in_file(void *ctx, const char *name)
{
    fisher_file *f = ctx;
    const rs_tensor *own = rs_checkpoint_find(f->have, name),
                    *t = rs_checkpoint_find(f->model, name);
    free(f->values);
    f->values = NULL;
    if (!own || !t || own->n_elements != t->n_elements) return NULL;
    f->n = own->n_elements;
    f->values = calloc((size_t)f->n + 1, sizeof *f->values);
    if (rs_checkpoint_read_f32(f->have, own, 0, f->n, f->values, &t_err) != RS_OK)
        return NULL;
    return f->values;
}

UNUSED rs_status run(scholar *s, const rs_fisher_options *o, rs_fisher_result *r)
{
    return rs_fisher_run(&s->p.m.rt, s->p.m.file, s->p.m.config, s->examples, N_SEQ, o, r,
                         &t_err);
}

UNUSED const char *in(const char *folder, const char *name, char path[512])
{
    snprintf(path, 512, "%s/%s", folder, name);
    return path;
}

#endif
