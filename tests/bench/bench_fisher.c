/* What a Fisher of kind sequence costs beside plain gradients of the same sequences:
 *
 *     bench_fisher [MODEL.gguf or folder]     (or RS_GEMMA270 names it)
 *
 * Plain is rs_backward_all with a model in memory, its gradients added up; the Fisher squares
 * every sequence's own, reads the layers from the file and writes the result. The best of
 * several rounds in turn, since others may use the processor. */
#include "learn/backward.h"
#include "learn/fisher.h"
#include "learn/gradients.h"
#include "tests/bench/model.h"

#include <math.h>
#include <unistd.h>

enum { SEQUENCES = 2, TOKENS = 512, ROUNDS = 2 };

static double fisher(const rs_runtime *rt, const rs_checkpoint *file, const rs_config *c,
                     const rs_example *examples)
{
    rs_err err;
    rs_fisher_result r;
    char folder[] = "/tmp/bench-fisher-XXXXXX", out[64];
    if (!mkdtemp(folder)) exit(1);
    snprintf(out, sizeof out, "%s/f.safetensors", folder);
    rs_fisher_options o = {.kind = RS_FISHER_SEQUENCE, .out = out};
    double t = now();
    if (rs_fisher_run(rt, file, c, examples, SEQUENCES, &o, &r, &err) != RS_OK) die(err.msg);
    t = now() - t;
    unlink(out);
    rmdir(folder);
    return t;
}

static double plain(const rs_runtime *rt, const rs_model *m, const rs_example *examples)
{
    rs_err err;
    rs_gradients *g;
    rs_work *w;
    rs_sequence *s;
    double loss;
    if (rs_gradients_new(rt, m->config, &g, &err) != RS_OK ||
        rs_work_new(rt, m, TOKENS, &w, &err) != RS_OK ||
        rs_sequence_new(m->config, TOKENS, true, &s, &err) != RS_OK)
        die(err.msg);
    rs_sink sink = rs_gradients_sink(g);
    double t = now();
    for (int i = 0; i < SEQUENCES; i++)
        if (rs_sequence_set(s, examples[i].ids, NULL, TOKENS, &err) != RS_OK ||
            rs_backward_all(w, s, 1, &sink, &loss, &err) != RS_OK)
            die(err.msg);
    t = now() - t;
    rs_sequence_free(s);
    rs_work_free(w);
    rs_gradients_free(g);
    return t;
}

static void measure(const rs_runtime *rt, const rs_checkpoint *file, const rs_model *m)
{
    static int32_t ids[SEQUENCES][TOKENS];
    rs_example examples[SEQUENCES];
    double whole = 1e30, reference = 1e30;
    for (int i = 0; i < SEQUENCES; i++) {
        for (int t = 0; t < TOKENS; t++)
            ids[i][t] = 3 + (100 * i + t * 31) % 2000;
        examples[i] = (rs_example){ids[i], NULL, TOKENS};
    }
    for (int r = 0; r < ROUNDS; r++) {
        reference = fmin(reference, plain(rt, m, examples));
        whole = fmin(whole, fisher(rt, file, m->config, examples));
    }
    printf("%-26s %8.2f %-10s %8.2f %-10s %5.2f  (at most %.1f)\n",
           "Fisher, kind sequence", whole / SEQUENCES, "s each", reference / SEQUENCES,
           "s plain", whole / reference, 1.5);
}

int main(int argc, char **argv)
{
    return with_model("bench_fisher", argc, argv, measure);
}
