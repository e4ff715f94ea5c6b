/* bench_merge - folding one rank-16 adapter into a synthetic 2 GB model, against copying the
 * same bytes with fsync. Argument: the program (default ./ringside). The model has Gemma 3's
 * tensor names, random values and no tokenizer; it is removed at the end. */
#include "base/os.h"
#include "base/rng.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    LAYERS = 16,
    HIDDEN = 2048,
    MLP = 8192,
    HEADS = 8,
    KV = 2,
    HEAD_DIM = 256,
    VOCAB = 32768,
    RANK = 16,
    CHUNK = 4 << 20
};

typedef struct shape {
    const char *name;
    int rows, cols; /* cols 0: a vector */
} shape;

static const shape layer_shapes[] = {
    {"input_layernorm", HIDDEN, 0},
    {"post_attention_layernorm", HIDDEN, 0},
    {"pre_feedforward_layernorm", HIDDEN, 0},
    {"post_feedforward_layernorm", HIDDEN, 0},
    {"self_attn.q_norm", HEAD_DIM, 0},
    {"self_attn.k_norm", HEAD_DIM, 0},
    {"self_attn.q_proj", HEADS *HEAD_DIM, HIDDEN},
    {"self_attn.k_proj", KV *HEAD_DIM, HIDDEN},
    {"self_attn.v_proj", KV *HEAD_DIM, HIDDEN},
    {"self_attn.o_proj", HIDDEN, HEADS *HEAD_DIM},
    {"mlp.gate_proj", MLP, HIDDEN},
    {"mlp.up_proj", MLP, HIDDEN},
    {"mlp.down_proj", HIDDEN, MLP},
};
enum { N_SHAPES = sizeof layer_shapes / sizeof *layer_shapes };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static uint64_t add_entry(rs_buf *header, const char *name, int rows, int cols,
                          uint64_t at)
{
    uint64_t bytes = 2 * (uint64_t)rows * (uint64_t)(cols ? cols : 1);
    rs_buf_printf(header, "%s\"%s\":{\"dtype\":\"BF16\",\"shape\":[%d",
                  header->len > 1 ? "," : "", name, rows);
    if (cols) rs_buf_printf(header, ",%d", cols);
    rs_buf_printf(header, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)at,
                  (unsigned long long)(at + bytes));
    return at + bytes;
}

/* Random bf16 numbers of about 0.02 in size. */
static void fill(uint16_t *dst, size_t n, rs_rng *r)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = (uint16_t)(0x3c80 | (rs_rng_next(r) & 0x80ff));
}

static void write_file(const char *path, rs_buf *header, uint64_t bytes)
{
    rs_buf_putc(header, '}');
    while (header->len % 8)
        rs_buf_putc(header, ' ');
    FILE *f = fopen(path, "wb");
    if (!f) die(path);
    uint64_t n = header->len;
    fwrite(&n, 8, 1, f);
    fwrite(header->data, 1, header->len, f);
    static uint16_t chunk[CHUNK / 2];
    rs_rng r = rs_rng_stream(1, n);
    fill(chunk, CHUNK / 2, &r);
    for (uint64_t put = 0; put < bytes; put += CHUNK)
        if (fwrite(chunk, 1, bytes - put < CHUNK ? bytes - put : CHUNK, f) == 0)
            die(path);
    if (fclose(f)) die(path);
    rs_buf_free(header);
}

static void write_text(const char *folder, const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    if (!f || fputs(text, f) < 0 || fclose(f)) die(path);
}

static void make_model(const char *folder)
{
    char path[512], name[128], config[1024];
    if (mkdir(folder, 0777)) die(folder);
    snprintf(config, sizeof config,
             "{\"architectures\":[\"Gemma3ForCausalLM\"],\"model_type\":\"gemma3_text\","
             "\"hidden_size\":%d,\"intermediate_size\":%d,\"num_hidden_layers\":%d,"
             "\"num_attention_heads\":%d,\"num_key_value_heads\":%d,\"head_dim\":%d,"
             "\"vocab_size\":%d,\"query_pre_attn_scalar\":256,\"rms_norm_eps\":1e-06,"
             "\"sliding_window\":512,\"max_position_embeddings\":4096,"
             "\"hidden_activation\":\"gelu_pytorch_tanh\"}",
             HIDDEN, MLP, LAYERS, HEADS, KV, HEAD_DIM, VOCAB);
    write_text(folder, "config.json", config);
    rs_buf h = {0};
    rs_buf_putc(&h, '{');
    uint64_t at = add_entry(&h, "model.embed_tokens.weight", VOCAB, HIDDEN, 0);
    at = add_entry(&h, "model.norm.weight", HIDDEN, 0, at);
    for (int l = 0; l < LAYERS; l++)
        for (int s = 0; s < N_SHAPES; s++) {
            snprintf(name, sizeof name, "model.layers.%d.%s.weight", l,
                     layer_shapes[s].name);
            at = add_entry(&h, name, layer_shapes[s].rows, layer_shapes[s].cols, at);
        }
    snprintf(path, sizeof path, "%.400s/model.safetensors", folder);
    write_file(path, &h, at);
}

static void make_adapter(const char *folder)
{
    char path[512], name[160];
    if (mkdir(folder, 0777)) die(folder);
    write_text(
        folder, "adapter_config.json",
        "{\"peft_type\":\"LORA\",\"task_type\":\"CAUSAL_LM\",\"r\":16,\"lora_alpha\":16,"
        "\"bias\":\"none\",\"target_modules\":[\"q_proj\",\"k_proj\",\"v_proj\","
        "\"o_proj\",\"gate_proj\",\"up_proj\",\"down_proj\"]}");
    rs_buf h = {0};
    rs_buf_putc(&h, '{');
    uint64_t at = 0;
    for (int l = 0; l < LAYERS; l++)
        for (int s = 0; s < N_SHAPES; s++) {
            const shape *sh = &layer_shapes[s];
            if (!sh->cols) continue;
            const char *stem = "base_model.model.model.layers";
            snprintf(name, sizeof name, "%s.%d.%s.lora_A.weight", stem, l, sh->name);
            at = add_entry(&h, name, RANK, sh->cols, at);
            snprintf(name, sizeof name, "%s.%d.%s.lora_B.weight", stem, l, sh->name);
            at = add_entry(&h, name, sh->rows, RANK, at);
        }
    snprintf(path, sizeof path, "%.400s/adapter_model.safetensors", folder);
    write_file(path, &h, at);
}

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
    char recipe[512], out[512];
    snprintf(recipe, sizeof recipe, "%s/recipe.json", root);
    snprintf(out, sizeof out, "%s/merged", root);
    rs_err err;
    if (rs_os_remove_tree(out, &err) != RS_OK) exit(1);
    double t = now();
    pid_t pid = fork();
    if (pid == 0) {
        execl(program, program, "merge", recipe, "--out", out, "--memory", "512M", "-q",
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
    if (!mkdtemp(root)) die(root);
    snprintf(path, sizeof path, "%s/model", root);
    make_model(path);
    snprintf(path, sizeof path, "%s/adapter", root);
    make_adapter(path);
    write_text(
        root, "recipe.json",
        "{\"ringside\":1,\"name\":\"bench\",\"models\":{\"base\":{\"path\":\"model\"},"
        "\"a\":{\"adapter\":\"adapter\"}},\"stages\":[{\"name\":\"fuel\",\"method\":"
        "\"task_arithmetic\",\"base\":\"base\",\"inputs\":[{\"from\":\"a\",\"weight\":1}]"
        ","
        "\"scale\":0.5}],\"output\":{\"stage\":\"fuel\",\"dtype\":\"bfloat16\"}}");
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
    rs_err err;
    return rs_os_remove_tree(root, &err) == RS_OK ? 0 : 1;
}
