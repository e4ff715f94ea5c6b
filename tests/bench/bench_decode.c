/* How fast text is read and written, as ratios against what this machine can do at best,
 * measured in the same run:
 *
 *     bench_decode [MODEL.gguf or folder]     (or RS_GEMMA270 names it)
 *
 *   decode   weights read per second, against the bandwidth of a loop that only reads
 *   prefill  multiplications per second, against OpenBLAS on one large product
 *   stored   tokens/s with the weights as stored, against the same in bfloat16
 *
 * The bfloat16 model is made in memory from the given one. Others may use the processor, so
 * each figure is the best of several short runs taken in turn. */
#include "model/forward.h"
#include "tensor/convert.h"
#include "tests/bench/sgemm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

enum { ROUNDS = 12, DECODE_TOKENS = 12, PREFILL_TOKENS = 512, READS = 512 };
static const size_t buffer_bytes = (size_t)512 << 20;

static void *huge_pages(size_t bytes)
{
    size_t page = 2 << 20, room = (bytes + page) / page * page;
    char *p = aligned_alloc(page, room);
    if (!p) exit(1);
#ifdef MADV_HUGEPAGE
    madvise(p, room, MADV_HUGEPAGE);
#endif
    return p;
}

/* --- read bandwidth --- */

typedef struct reading {
    const char *buffer;
    size_t each;
    uint64_t sums[READS];
} reading;

#ifdef __x86_64__
__attribute__((target("avx2"))) static uint64_t sum_of(const char *p, size_t n)
{
    __m256i a = _mm256_setzero_si256(), b = a, c = a, d = a;
    for (size_t i = 0; i < n; i += 128) {
        a = _mm256_add_epi64(a, _mm256_load_si256((const __m256i *)(p + i)));
        b = _mm256_add_epi64(b, _mm256_load_si256((const __m256i *)(p + i + 32)));
        c = _mm256_add_epi64(c, _mm256_load_si256((const __m256i *)(p + i + 64)));
        d = _mm256_add_epi64(d, _mm256_load_si256((const __m256i *)(p + i + 96)));
    }
    a = _mm256_add_epi64(_mm256_add_epi64(a, b), _mm256_add_epi64(c, d));
    return (uint64_t)_mm256_extract_epi64(a, 0) + (uint64_t)_mm256_extract_epi64(a, 2);
}
#else
static uint64_t sum_of(const char *p, size_t n)
{
    uint64_t s[8] = {0}, all = 0;
    for (size_t i = 0; i < n; i += sizeof s)
        for (int j = 0; j < 8; j++)
            s[j] += ((const uint64_t *)(const void *)(p + i))[j];
    for (int j = 0; j < 8; j++)
        all += s[j];
    return all;
}
#endif

static bool read_chunk(void *ctx, int64_t chunk, int worker)
{
    (void)worker;
    reading *r = ctx;
    r->sums[chunk] = sum_of(r->buffer + (size_t)chunk * r->each, r->each);
    return true;
}

/* GB/s with all threads, over much more than any cache. */
static double bandwidth(const rs_runtime *rt, const char *buffer)
{
    static reading r;
    r.buffer = buffer;
    r.each = buffer_bytes / READS;
    double t = now();
    rs_pool_run(rt->pool, READS, read_chunk, &r);
    return (double)buffer_bytes / (now() - t) / 1e9;
}

/* --- models --- */

static double matrix_count(const rs_matrix *m, bool bytes)
{
    uint64_t n = 0;
    if (!m->data) return 0;
    if (!bytes) return (double)m->rows * (double)m->cols;
    return rs_dtype_bytes(m->dtype, m->rows * m->cols, &n) ? (double)n : 0;
}

static double layer_count(const rs_layer_weights *w, bool bytes)
{
    const rs_matrix *all[] = {&w->q,  &w->k,    &w->v,        &w->o,       &w->gate,
                              &w->up, &w->down, &w->ple_gate, &w->ple_proj};
    double n = 0;
    for (size_t k = 0; k < sizeof all / sizeof *all; k++)
        n += matrix_count(all[k], bytes);
    return n;
}

/* Bytes that a token reads: all matrices but the embedding tables, of which it reads rows. */
static double decode_bytes(const rs_model *m)
{
    double n = matrix_count(&m->ple_model_proj, true) + matrix_count(&m->head, true);
    for (int i = 0; i < m->config->n_layers; i++)
        n += layer_count(&m->layers[i], true);
    return n;
}

/* The same model with every matrix in bfloat16. */
static rs_model *bf16_twin(const rs_runtime *rt, const rs_checkpoint *file,
                           const rs_config *config)
{
    rs_err err;
    rs_model *m;
    if (rs_model_new(config, &m, &err) != RS_OK) die(err.msg);
    char *memory = huge_pages((size_t)rs_checkpoint_bytes(file) * 4 + (64 << 20));
    for (int i = 0; i < rs_checkpoint_count(file); i++) {
        const rs_tensor *t = rs_checkpoint_at(file, i);
        float *wide = malloc((size_t)t->n_elements * sizeof *wide + 4);
        if (!wide) exit(1);
        if (rs_checkpoint_read_f32(file, t, 0, t->n_elements, wide, &err) != RS_OK)
            die(err.msg);
        bool used = false, vector = t->n_dims < 2;
        if (!vector) rs_from_f32(rt->kernels, RS_DTYPE_BF16, wide, memory, t->n_elements);
        if (rs_model_bind(m, t->name, vector ? RS_DTYPE_F32 : RS_DTYPE_BF16, t->n_dims,
                          t->dim, vector ? (const void *)wide : memory, &used,
                          &err) != RS_OK)
            die(err.msg);
        if (!vector) memory += ((size_t)t->n_elements * 2 + 63) / 64 * 64;
        free(wide);
    }
    if (rs_model_complete(m, &err) != RS_OK) die(err.msg);
    return m;
}

/* --- runs --- */

/* Tokens/s after a prompt of a few tokens. */
static double decode(const rs_runtime *rt, const rs_model *m, float *logits)
{
    rs_err err;
    rs_kv *kv;
    int32_t id = 2;
    if (rs_kv_new(m->config, NULL, &kv, &err) != RS_OK) die(err.msg);
    for (int i = 0; i < 4; i++)
        if (rs_forward_batch(rt, m, &kv, &id, 1, logits, &err) != RS_OK) die(err.msg);
    double t = now();
    for (int i = 0; i < DECODE_TOKENS; i++, id = 100 + i)
        if (rs_forward_batch(rt, m, &kv, &id, 1, logits, &err) != RS_OK) die(err.msg);
    t = now() - t;
    rs_kv_free(kv);
    return DECODE_TOKENS / t;
}

/* Seconds. */
static double prefill(const rs_runtime *rt, const rs_model *m, float *logits)
{
    rs_err err;
    rs_kv *kv;
    int32_t ids[PREFILL_TOKENS];
    for (int i = 0; i < PREFILL_TOKENS; i++)
        ids[i] = 3 + i * 31 % 2000;
    if (rs_kv_new(m->config, NULL, &kv, &err) != RS_OK) die(err.msg);
    rs_forward_options o = {.want = RS_WANT_LAST};
    double t = now();
    if (rs_forward(rt, m, kv, ids, PREFILL_TOKENS, &o, logits, &err) != RS_OK) die(err.msg);
    t = now() - t;
    rs_kv_free(kv);
    return t;
}

/* What a prefill for the last token's logits computes: up to the last layer that owns K/V
 * everything for all tokens, beyond it only the last token, the head once; and attention's
 * scores and sums. */
static double prefill_flops(const rs_model *m)
{
    const rs_config *c = m->config;
    int top = 0;
    for (int i = 0; i < c->n_layers; i++)
        if (!c->layers[i].is_sharer) top = i;
    double flops = 2 * matrix_count(&m->head, false);
    flops += 2 * matrix_count(&m->ple_model_proj, false) * PREFILL_TOKENS;
    for (int i = 0; i < c->n_layers; i++) {
        const rs_layer_config *l = &c->layers[i];
        const rs_layer_weights *w = &m->layers[i];
        double keys = matrix_count(&w->k, false) + matrix_count(&w->v, false), pairs = 0;
        double all = layer_count(w, false);
        flops += i < top ? 2 * all * PREFILL_TOKENS
                         : 2 * (all - keys) + 2 * keys * PREFILL_TOKENS;
        for (int t = i < top ? 1 : PREFILL_TOKENS; t <= PREFILL_TOKENS; t++)
            pairs += !l->is_full && t > c->sliding_window ? c->sliding_window : t;
        flops += 4 * pairs * c->n_heads * l->head_dim;
    }
    return flops;
}

static void row(const char *what, double ours, const char *unit, double best,
                const char *best_unit, double target, const char *limit)
{
    printf("%-26s %8.1f %-10s %8.1f %-10s %5.2f  (target %.2f)  %s\n", what, ours, unit,
           best, best_unit, ours / best, target, limit);
}

static void keep_best(double *best, double v)
{
    if (v > *best) *best = v;
}

typedef struct figures {
    double read, sgemm;                  /* GB/s, GFLOP/s: what the machine can do */
    double tokens_bf16, tokens_stored;   /* tokens/s */
    double prefill_bf16, prefill_stored; /* GFLOP/s */
} figures;

static figures measure(const rs_runtime *rt, const rs_model *bf16, const rs_model *stored)
{
    figures f = {0};
    float *logits = malloc((size_t)bf16->config->vocab * sizeof *logits);
    char *buffer = huge_pages(buffer_bytes);
    float *m = huge_pages(3 * SIDE * SIDE * sizeof *m);
    if (!logits) exit(1);
    memset(buffer, 1, buffer_bytes);
    sgemm_fill(m);
    for (int r = 0; r < ROUNDS; r++) {
        keep_best(&f.read, bandwidth(rt, buffer));
        keep_best(&f.tokens_bf16, decode(rt, bf16, logits));
        keep_best(&f.read, bandwidth(rt, buffer));
        keep_best(&f.tokens_stored, decode(rt, stored, logits));
        keep_best(&f.sgemm, sgemm(rt->threads, m));
        if (r % 2 == 0) continue;
        keep_best(&f.prefill_bf16, prefill_flops(bf16) / prefill(rt, bf16, logits) / 1e9);
        keep_best(&f.sgemm, sgemm(rt->threads, m));
        keep_best(&f.prefill_stored,
                  prefill_flops(stored) / prefill(rt, stored, logits) / 1e9);
    }
    free(logits);
    free(buffer);
    free(m);
    return f;
}

static void report(const figures *f, const rs_model *bf16, const rs_model *stored)
{
    row("decode, bf16", f->tokens_bf16 * decode_bytes(bf16) / 1e9, "GB/s", f->read,
        "GB/s read", 0.7, "read bandwidth");
    row("decode, as stored", f->tokens_stored * decode_bytes(stored) / 1e9, "GB/s",
        f->read, "GB/s read", 0.6, "unpacking");
    row("decode, stored/bf16", f->tokens_stored, "tokens/s", f->tokens_bf16, "tokens/s",
        1.3, "unpacking");
    double each = prefill_flops(bf16) / PREFILL_TOKENS / 1e9; /* GFLOP a token */
    char limit[64];
    snprintf(limit, sizeof limit, "matrix products, %.0f tokens/s",
             f->prefill_bf16 / each);
    row("prefill of 512, bf16", f->prefill_bf16, "GFLOP/s", f->sgemm, "sgemm", 0.6,
        limit);
    snprintf(limit, sizeof limit, "matrix products, %.0f tokens/s",
             f->prefill_stored / each);
    row("prefill of 512, as stored", f->prefill_stored, "GFLOP/s", f->sgemm, "sgemm", 0.6,
        limit);
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : getenv("RS_GEMMA270");
    if (!path) {
        printf("bench_decode: skipped, no model given (RS_GEMMA270)\n");
        return 0;
    }
    rs_err err;
    rs_runtime rt;
    rs_checkpoint *file;
    rs_config *config;
    rs_model *stored;
    if (rs_init(NULL, &rt, &err) != RS_OK) die(err.msg);
    if (rs_checkpoint_open(path, &file, &err) != RS_OK) die(err.msg);
    if (rs_config_load(file, &config, &err) != RS_OK) die(err.msg);
    if (rs_model_load(&rt, file, config, NULL, NULL, &stored, &err) != RS_OK) die(err.msg);
    rs_model *bf16 = bf16_twin(&rt, file, config);
    printf("%s, %d threads, %s\n", path, rt.threads, rt.kernels->isa);
    figures f = measure(&rt, bf16, stored);
    report(&f, bf16, stored);
    rs_model_free(bf16);
    rs_model_free(stored);
    rs_config_free(config);
    rs_checkpoint_close(file);
    rs_quit(&rt);
    return 0;
}
