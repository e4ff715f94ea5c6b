/* bench_merge - folding one rank-16 adapter into a synthetic 2 GB model, against copying the
 * same bytes with fsync. Argument: the program (default ./ringside). The model has Gemma 3's
 * tensor names, random values and no tokenizer; it is removed at the end. */
#include "tests/bench/bench.h"
#include "tests/synthetic.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* 2.1 GB in bfloat16. */
static const char config[] =
    "{\"architectures\":[\"Gemma3ForCausalLM\"],\"model_type\":\"gemma3_text\","
    "\"hidden_size\":2048,\"intermediate_size\":8192,\"num_hidden_layers\":16,"
    "\"num_attention_heads\":8,\"num_key_value_heads\":2,\"head_dim\":256,"
    "\"vocab_size\":32768,\"query_pre_attn_scalar\":256,\"rms_norm_eps\":1e-06,"
    "\"sliding_window\":512,\"max_position_embeddings\":4096,"
    "\"hidden_activation\":\"gelu_pytorch_tanh\"}";

static const char recipe[] =
    "{\"ringside\":1,\"name\":\"bench\",\"models\":{\"base\":{\"path\":\"model\"},"
    "\"a\":{\"adapter\":\"adapter\"}},\"stages\":[{\"name\":\"fuel\",\"method\":"
    "\"task_arithmetic\",\"base\":\"base\",\"inputs\":[{\"from\":\"a\",\"weight\":1}],"
    "\"scale\":0.5}],\"output\":{\"stage\":\"fuel\",\"dtype\":\"bfloat16\"}}";

/* Seconds of rs_os_copy (read, write, fsync) of the model's file. */
static double time_copy(const char *root)
{
    char from[512], to[512];
    snprintf(from, sizeof from, "%s/model/model.safetensors", root);
    snprintf(to, sizeof to, "%s/copy.safetensors", root);
    rs_err err;
    double t = now();
    if (rs_os_copy(from, to, &err) != RS_OK) {
        fprintf(stderr, "%s\n", err.msg);
        exit(1);
    }
    t = now() - t;
    unlink(to);
    return t;
}

static double time_merge(const char *root, const char *program, long *peak_kb)
{
    char file[512], out[512];
    snprintf(file, sizeof file, "%s/recipe.json", root);
    snprintf(out, sizeof out, "%s/merged", root);
    rs_err err;
    if (rs_os_remove_tree(out, &err) != RS_OK) exit(1);
    double t = now();
    pid_t pid = fork();
    if (pid == 0) {
        execl(program, program, "merge", file, "--out", out, "--memory", "512M", "-q",
              (char *)NULL);
        _exit(127);
    }
    int status;
    struct rusage use;
    if (wait4(pid, &status, 0, &use) != pid || status != 0) {
        fprintf(stderr, "merge ended with status %d\n", status);
        exit(1);
    }
    *peak_kb = use.ru_maxrss;
    return now() - t;
}

int main(int argc, char **argv)
{
    const char *program = argc > 1 ? argv[1] : "./ringside";
    char root[] = "/tmp/ringside-bench-XXXXXX", path[512];
    rs_err err;
    if (!mkdtemp(root)) die(root);
    snprintf(path, sizeof path, "%s/model", root);
    if (synthetic_model(path, config, &err) != RS_OK) die(err.msg);
    snprintf(path, sizeof path, "%s/adapter", root);
    if (synthetic_adapter(path, config, 16, &err) != RS_OK) die(err.msg);
    snprintf(path, sizeof path, "%s/recipe.json", root);
    if (rs_os_write_file(path, recipe, strlen(recipe), &err) != RS_OK) die(err.msg);
    double best_copy = 1e9, best_merge = 1e9;
    long peak = 0;
    for (int i = 0; i < 3; i++) {
        double c = time_copy(root), m = time_merge(root, program, &peak);
        if (c < best_copy) best_copy = c;
        if (m < best_merge) best_merge = m;
    }
    printf("merge of a rank-16 adapter into 2.1 GB: %.2f times copying it with fsync (at "
           "most 2), "
           "peak %ld MB (at most 512)\n",
           best_merge / best_copy, peak / 1024);
    return rs_os_remove_tree(root, &err) == RS_OK ? 0 : 1;
}
