/* How fast gradients are made, as a ratio against OpenBLAS on one large product in the
 * same run:
 *
 *     bench_learn [MODEL.gguf or folder]     (or RS_GEMMA270 names it)
 *
 * Counted are the multiplications that a pass forward and back needs once (2 forward and
 * 4 back for each weight and token, 2 back where the weights are frozen, and 6 for each
 * number of an adapter); what recomputation adds is not. Others may use the processor, so
 * each figure is the best of several runs taken in turn. */
#include "learn/backward.h"
#include "learn/gradients.h"
#include "learn/lora.h"
#include "learn/optimiser.h"
#include "tests/bench/model.h"
#include "tests/bench/sgemm.h"

#include <stdio.h>
#include <stdlib.h>

enum { TOKENS = 512, ROUNDS = 4, RANK = 16 };

static double count(const rs_matrix *m)
{
    return m->data ? (double)m->rows * (double)m->cols : 0;
}

/* each: of a weight and token; attention has no weights. */
static double flops(const rs_model *m, double each)
{
    const rs_config *c = m->config;
    double n =
        each * count(&m->head) * (TOKENS - 1) + each * count(&m->ple_model_proj) * TOKENS;
    for (int i = 0; i < c->n_layers; i++) {
        const rs_layer_config *l = &c->layers[i];
        const rs_layer_weights *w = &m->layers[i];
        const rs_matrix *all[] = {&w->q,  &w->k,    &w->v,        &w->o,       &w->gate,
                                  &w->up, &w->down, &w->ple_gate, &w->ple_proj};
        double pairs = 0;
        for (size_t k = 0; k < sizeof all / sizeof *all; k++)
            n += each * count(all[k]) * TOKENS;
        for (int t = 1; t <= TOKENS; t++)
            pairs += !l->is_full && t > c->sliding_window ? c->sliding_window : t;
        n += 12 * pairs * c->n_heads * l->head_dim;
    }
    return n;
}

static double backward(rs_work *w, rs_sequence *s, const rs_sink *sink)
{
    rs_err err;
    double loss, t = now();
    if (rs_backward_all(w, s, 1, sink, &loss, &err) != RS_OK) die(err.msg);
    return now() - t;
}

/* As a step of core/learn/train.c, without a subspace. */
static double training_step(rs_work *w, rs_sequence *s, rs_lora *l, const rs_runtime *rt,
                            const rs_moments *moments)
{
    rs_err err;
    rs_sink none = rs_sink_none();
    rs_adamw adamw = {
        .rate = 1e-4, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .steps = 1};
    double loss, t = now();
    for (int64_t i = 0; i < l->floats; i++)
        l->gradients[i] = 0;
    if (rs_backward_all(w, s, 1.0 / TOKENS, &none, &loss, &err) != RS_OK) die(err.msg);
    rs_adamw_step(rt, &adamw, 0, l->gradients,
                  rs_adamw_clip(&adamw, rs_norm_of(l->gradients, l->floats)), moments);
    return now() - t;
}

static double factor_flops(const rs_lora *l)
{
    double n = 0;
    for (int i = 0; i < l->n; i++)
        n += 6.0 * TOKENS * l->rank * (double)(l->pairs[i].rows + l->pairs[i].cols);
    return n;
}

static void say(const char *what, double flop, double seconds, double best, double target)
{
    double ours = flop / seconds / 1e9;
    printf("%-26s %8.1f %-10s %8.1f %-10s %5.2f  (target %.2f)  %s, %.2f s\n", what, ours,
           "GFLOP/s", best, "sgemm", ours / best, target, "matrix products", seconds);
}

static void measure(const rs_runtime *rt, const rs_checkpoint *file, const rs_model *m)
{
    rs_err err;
    rs_gradients *g;
    rs_work *w, *adapted;
    rs_sequence *s;
    rs_lora *l;
    rs_lora_options lo = {.rank = RANK, .alpha = RANK};
    int32_t ids[TOKENS];
    float *a = malloc(3 * SIDE * SIDE * sizeof *a);
    if (!a) exit(1);
    sgemm_fill(a);
    for (int i = 0; i < TOKENS; i++)
        ids[i] = 3 + i * 31 % 2000;
    if (rs_gradients_new(rt, m->config, &g, &err) != RS_OK ||
        rs_work_new(rt, m, TOKENS, &w, &err) != RS_OK ||
        rs_lora_new(file, m->config, &lo, &l, &err) != RS_OK ||
        rs_work_new(rt, m, TOKENS, &adapted, &err) != RS_OK ||
        rs_work_adapt(adapted, l, &err) != RS_OK ||
        rs_sequence_new(m->config, TOKENS, true, &s, &err) != RS_OK ||
        rs_sequence_set(s, ids, NULL, TOKENS, &err) != RS_OK)
        die(err.msg);
    rs_work_keep(adapted, rt->memory_bytes / 4);
    rs_sink sink = rs_gradients_sink(g);
    float *state = calloc((size_t)(2 * l->floats), sizeof *state);
    if (!state) exit(1);
    rs_moments moments = {l->values, state, state + l->floats, l->floats};
    double best = 0, seconds = 1e9, step = 1e9;
    for (int r = 0; r < ROUNDS; r++) {
        for (int k = 0; k < 3; k++) {
            double v = sgemm(rt->threads, a);
            if (v > best) best = v;
        }
        double t = backward(w, s, &sink);
        if (t < seconds) seconds = t;
        t = training_step(adapted, s, l, rt, &moments);
        if (t < step) step = t;
    }
    say("gradients, 512 tokens", flops(m, 6), seconds, best, 0.7);
    say("training step, 512 tokens", flops(m, 4) + factor_flops(l), step, best, 0.6);
    free(state);
    rs_work_free(adapted);
    rs_lora_free(l);
    rs_sequence_free(s);
    rs_work_free(w);
    rs_gradients_free(g);
    free(a);
}

int main(int argc, char **argv)
{
    return with_model("bench_learn", argc, argv, measure);
}
