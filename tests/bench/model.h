/* model.h - the real model that a benchmark is named, and its end. */
#ifndef BENCH_MODEL_H
#define BENCH_MODEL_H

#include "model/weights.h"
#include "tests/bench/bench.h"

/* Runs measure on the model of the first argument, or of RS_GEMMA270; says when there is
 * none. Returns main's status. */
static inline int with_model(const char *program, int argc, char **argv,
                             void (*measure)(const rs_runtime *rt,
                                             const rs_checkpoint *file, const rs_model *m))
{
    const char *path = argc > 1 ? argv[1] : getenv("RS_GEMMA270");
    rs_err err;
    rs_runtime rt;
    rs_checkpoint *file;
    rs_config *config;
    rs_model *m;
    if (!path) {
        printf("%s: skipped, no model given (RS_GEMMA270)\n", program);
        return 0;
    }
    if (rs_init(NULL, &rt, &err) != RS_OK ||
        rs_checkpoint_open(path, &file, &err) != RS_OK ||
        rs_config_load(file, &config, &err) != RS_OK ||
        rs_model_load(&rt, file, config, NULL, NULL, &m, &err) != RS_OK)
        die(err.msg);
    printf("%s, %d threads, %s\n", path, rt.threads, rt.kernels->isa);
    measure(&rt, file, m);
    rs_model_free(m);
    rs_config_free(config);
    rs_checkpoint_close(file);
    rs_quit(&rt);
    return 0;
}

#endif
