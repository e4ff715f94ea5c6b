/* fisher_tables.c - the Fisher of tables: the head (with the lookups, where it is tied) by
 * blocks of rows, over all sequences each; tables that are only looked up by the rows that
 * were. With l the logits of a block's rows, made again from the last layer's output and the
 * log-sum-exp that the loss left: dl = (exp(l - lse) - [label]) (1 - (l / c)^2). */
#include "learn/fisher_internal.h"
#include "model/model_internal.h"
#include "tensor/blas.h"
#include "tensor/linear.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { SUB = 64 }; /* rows of a table that one thread takes at a time */

static int output_of(const rs_run *r, size_t offset)
{
    const rs_slot *s = rs_slot_at(r->c, -1, offset);
    return s ? rs_run_output(r, -1, s) : -1;
}

/* --- the head --- */

typedef struct head_pass {
    rs_run *r;
    const rs_matrix *w;
    bool tied; /* lookups are added */
    int i_out;
    int64_t first, rows; /* the block of rows at hand */
    float *acc;  /* [rows, hidden] */
    float *h;    /* [counted, hidden] of the sequence at hand, normed; then squares */
    int32_t *at; /* [counted] their positions */
    int64_t counted;
    const double *lse;
    const int32_t *labels;
    /* for each thread: rows of w and their gradient, [SUB, hidden] each; logits [room, SUB],
     * and a row of them */
    float *scratch;
    int64_t each;
} head_pass;

/* z [counted, n] becomes the gradient of the logits of rows first .. first + n. */
static void logit_gradients(const head_pass *p, int64_t first, int64_t n, float *z,
                            float *e)
{
    const rs_linear_kernels *k = p->r->rt->kernels->linear;
    float cap = (float)p->r->c->final_softcap, inverse = cap > 0 ? 1 / cap : 0;
    if (cap > 0) k->softcap(z, cap, p->counted * n);
    for (int64_t i = 0; i < p->counted; i++) {
        float *zi = z + i * n, top = (float)p->lse[p->at[i]];
        float by = (float)exp((double)top - p->lse[p->at[i]]);
        int64_t label = p->labels[p->at[i] + 1] - first;
        memcpy(e, zi, (size_t)n * sizeof *e);
        (void)k->exp_sum(e, top, n);
        for (int64_t v = 0; v < n; v++) {
            float s = zi[v] * inverse, slope = 1 - s * s;
            zi[v] = (e[v] * by - (v == label ? 1.0f : 0.0f)) * slope;
        }
    }
}

static void square(float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        x[i] *= x[i];
}

/* What lookups add to a gradient of rows first .. first + n; in kind position, squared. */
static void add_lookups(const head_pass *p, int64_t first, int64_t n, float *g,
                        bool squared)
{
    const rs_config *c = p->r->c;
    const rs_sequence *s = p->r->s;
    float scale = (float)c->embed_scale;
    for (int64_t t = 0; t < s->n; t++) {
        int64_t row = s->ids[t] - first;
        if (row < 0 || row >= n || s->ids[t] == c->pad) continue;
        float *to = g + row * c->hidden;
        const float *from = s->dx + t * c->hidden;
        for (int64_t i = 0; i < c->hidden; i++) {
            float v = scale * from[i];
            to[i] += squared ? v * v : v;
        }
    }
}

static bool head_rows(void *ctx, int64_t chunk, int worker)
{
    const head_pass *p = ctx;
    int64_t H = p->r->c->hidden, at = chunk * SUB;
    int64_t n = p->rows - at < SUB ? p->rows - at : SUB;
    float *wide = p->scratch + worker * p->each, *g = wide + SUB * H, *z = g + SUB * H;
    float *e = z + p->r->s->room * SUB, *acc = p->acc + at * H;
    bool positions = p->r->o->kind == RS_FISHER_POSITION;
    const float *w = rs_matrix_rows(p->r->rt->kernels, p->w, p->first + at, n, wide);
    rs_blas_abt(p->counted, n, H, p->h, H, w, H, z, n);
    logit_gradients(p, p->first + at, n, z, e);
    if (positions) square(z, p->counted * n);
    const float *h =
        positions ? p->h + p->r->s->room * H : p->h; /* squared, or as it is */
    rs_blas_atb(n, H, p->counted, z, n, h, H, positions ? 1 : 0, positions ? acc : g, H);
    if (p->tied) add_lookups(p, p->first + at, n, positions ? acc : g, positions);
    if (!positions) p->r->rt->kernels->linear->add_squares(acc, g, n * H);
    return true;
}

/* The normed rows that count, and dx, of sequence i. */
static rs_status take_head_sequence(head_pass *p, int i, rs_err *err)
{
    rs_run *r = p->r;
    const rs_config *c = r->c;
    int64_t H = c->hidden, n = 0;
    RS_TRY(rs_run_take(r, i, err));
    const float *x = r->s->x[c->n_layers];
    RS_TRY(rs_run_move_x(r, RS_GET, i, c->n_layers, err));
    if (p->tied) RS_TRY(rs_run_move_dx(r, RS_GET, i, err));
    p->labels = r->s->labels;
    p->lse = r->lse[i];
    for (int64_t t = 0; t + 1 < r->s->n; t++) {
        if (p->labels[t + 1] < 0) continue;
        p->at[n] = (int32_t)t;
        r->rt->kernels->linear->rms_norm(x + t * H, r->m->final_norm, c->rms_eps,
                                         p->h + n++ * H, H);
    }
    p->counted = n;
    if (r->o->kind != RS_FISHER_POSITION) return RS_OK;
    float *squares = p->h + r->s->room * H;
    memcpy(squares, p->h, (size_t)(n * H) * sizeof *squares);
    square(squares, n * H);
    return RS_OK;
}

static rs_status head_block(head_pass *p, rs_err *err)
{
    rs_run *r = p->r;
    memset(p->acc, 0, (size_t)(p->rows * r->c->hidden) * sizeof *p->acc);
    for (int i = 0; i < r->n; i++) {
        RS_TRY(take_head_sequence(p, i, err));
        rs_pool_run(r->rt->pool, (p->rows + SUB - 1) / SUB, head_rows, p);
    }
    return rs_run_write(r, p->i_out, p->first * r->c->hidden, p->acc,
                        p->rows * r->c->hidden, err);
}

/* Rows of a block: as many as a quarter of the budget holds. */
static int64_t block_rows(const rs_run *r, int64_t rows, int64_t width)
{
    int64_t n = (int64_t)(r->rt->memory_bytes / 4 / sizeof(float)) / width / SUB * SUB;
    return n < SUB ? SUB : n < rows ? n : rows;
}

static rs_status head_table(rs_run *r, int i_out, bool tied, rs_err *err)
{
    int64_t H = r->c->hidden, V = r->c->vocab, room = r->s->room;
    int64_t block = block_rows(r, V, H);
    head_pass p = {.r = r, .w = &r->m->head, .tied = tied, .i_out = i_out};
    p.each = (2 * SUB * H + (room + 1) * SUB + 15) / 16 * 16;
    p.acc = malloc((size_t)(block * H) * sizeof *p.acc);
    p.h = malloc((size_t)(2 * room * H) * sizeof *p.h);
    p.at = malloc((size_t)room * sizeof *p.at);
    p.scratch = malloc((size_t)(p.each * r->rt->threads) * sizeof *p.scratch);
    rs_status s = p.acc && p.h && p.at && p.scratch
                      ? RS_OK
                      : rs_fail(err, RS_E_NOMEM, "no memory for the Fisher of a table");
    for (p.first = 0; p.first < V && s == RS_OK; p.first += p.rows) {
        p.rows = V - p.first < block ? V - p.first : block;
        s = head_block(&p, err);
        if (s == RS_OK) s = rs_run_step(r, err);
    }
    free(p.acc);
    free(p.h);
    free(p.at);
    free(p.scratch);
    return s;
}

/* --- tables that are only looked up --- */

typedef struct lookup_pass {
    rs_run *r;
    int i_out;
    bool per_layer; /* the table of per-layer embeddings; else the embedding */
    int64_t width;
    int32_t *id;             /* distinct ids, rising */
    int64_t n_ids, first, n; /* those at hand */
    float *acc;              /* [n, width] */
    const float *rows;       /* [room, width] of the sequence at hand */
    float *gathered;         /* per_layer: memory of rows */
    float *sum;              /* [width] */
} lookup_pass;

static int by_value(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

static rs_status list_ids(lookup_pass *p, rs_err *err)
{
    const rs_run *r = p->r;
    int64_t n = 0, kept = 0;
    p->id = malloc((size_t)(r->tokens + 1) * sizeof *p->id);
    if (!p->id) return rs_fail(err, RS_E_NOMEM, "no memory for a list of tokens");
    for (int i = 0; i < r->n; i++)
        for (int64_t t = 0; t < r->examples[i].n; t++)
            if (r->examples[i].ids[t] != r->c->pad) p->id[n++] = r->examples[i].ids[t];
    qsort(p->id, (size_t)n, sizeof *p->id, by_value);
    for (int64_t i = 0; i < n; i++)
        if (i == 0 || p->id[i] != p->id[i - 1]) p->id[kept++] = p->id[i];
    p->n_ids = kept;
    return RS_OK;
}

static rs_status take_rows(lookup_pass *p, int i, rs_err *err)
{
    rs_run *r = p->r;
    const rs_config *c = r->c;
    RS_TRY(rs_run_take(r, i, err));
    p->rows = p->per_layer ? p->gathered : r->s->dx;
    if (!p->per_layer) return rs_run_move_dx(r, RS_GET, i, err);
    RS_TRY(rs_run_get_dple(r, i, err));
    int64_t P = c->ple_width;
    for (int64_t t = 0; t < r->s->n; t++)
        for (int l = 0; l < c->n_layers; l++)
            memcpy(p->gathered + t * p->width + l * P, r->s->dple[l] + t * P,
                   (size_t)P * sizeof(float));
    return RS_OK;
}

/* The row of acc of an id, or NULL. */
static float *row_of(const lookup_pass *p, int32_t id)
{
    const int32_t *at =
        bsearch(&id, p->id + p->first, (size_t)p->n, sizeof *p->id, by_value);
    return at ? p->acc + (at - (p->id + p->first)) * p->width : NULL;
}

static void add_looked_up(lookup_pass *p, float scale)
{
    const rs_linear_kernels *k = p->r->rt->kernels->linear;
    const rs_sequence *s = p->r->s;
    bool positions = p->r->o->kind == RS_FISHER_POSITION;
    for (int64_t t = 0; t < s->n; t++) {
        float *acc = row_of(p, s->ids[t]);
        bool seen = false; /* a token that came before was added with it */
        for (int64_t b = 0; b < t && !positions && !seen; b++)
            seen = s->ids[b] == s->ids[t];
        if (!acc || seen) continue;
        memcpy(p->sum, p->rows + t * p->width, (size_t)p->width * sizeof *p->sum);
        for (int64_t b = t + 1; b < s->n && !positions; b++)
            if (s->ids[b] == s->ids[t]) k->add(p->sum, p->rows + b * p->width, p->width);
        k->scale(p->sum, scale, p->width);
        k->add_squares(acc, p->sum, p->width);
    }
}

static rs_status lookup_block(lookup_pass *p, rs_err *err)
{
    const rs_config *c = p->r->c;
    float scale = p->per_layer ? (float)(0.70710678118654752440 * sqrt(c->ple_width))
                               : (float)c->embed_scale;
    memset(p->acc, 0, (size_t)(p->n * p->width) * sizeof *p->acc);
    for (int i = 0; i < p->r->n; i++) {
        RS_TRY(take_rows(p, i, err));
        add_looked_up(p, scale);
    }
    for (int64_t i = 0; i < p->n; i++)
        RS_TRY(rs_run_write(p->r, p->i_out, p->id[p->first + i] * p->width,
                            p->acc + i * p->width, p->width, err));
    return RS_OK;
}

static rs_status lookup_table(rs_run *r, int i_out, bool per_layer, rs_err *err)
{
    lookup_pass p = {.r = r, .i_out = i_out, .per_layer = per_layer};
    p.width = per_layer ? (int64_t)r->c->ple_width * r->c->n_layers : r->c->hidden;
    rs_status s = list_ids(&p, err);
    int64_t block = s == RS_OK ? block_rows(r, p.n_ids, p.width) : 0;
    p.acc = malloc((size_t)(block * p.width + 1) * sizeof *p.acc);
    p.sum = malloc((size_t)p.width * sizeof *p.sum);
    if (per_layer)
        p.gathered = malloc((size_t)(r->s->room * p.width) * sizeof *p.gathered);
    if (s == RS_OK && (!p.acc || !p.sum || (per_layer && !p.gathered)))
        s = rs_fail(err, RS_E_NOMEM, "no memory for the Fisher of a table");
    for (p.first = 0; p.first < p.n_ids && s == RS_OK; p.first += p.n) {
        p.n = p.n_ids - p.first < block ? p.n_ids - p.first : block;
        s = lookup_block(&p, err);
    }
    free(p.id);
    free(p.acc);
    free(p.sum);
    free(p.gathered);
    return s == RS_OK ? rs_run_step(r, err) : s;
}

typedef struct tables {
    int head, lookup, ple; /* tensors of the output, -1: not wanted */
} tables;

static tables wanted_tables(const rs_run *r)
{
    int embed = output_of(r, offsetof(rs_model, embed));
    bool tied = r->c->tied_head;
    return (tables){tied ? embed : output_of(r, offsetof(rs_model, head)),
                    tied ? -1 : embed, output_of(r, offsetof(rs_model, ple_embed))};
}

uint64_t rs_run_table_steps(const rs_run *r)
{
    tables t = wanted_tables(r);
    int64_t V = r->c->vocab, block = block_rows(r, V, r->c->hidden);
    return (uint64_t)((t.head >= 0 ? (V + block - 1) / block : 0) + (t.lookup >= 0) +
                      (t.ple >= 0));
}

rs_status rs_run_tables(rs_run *r, rs_err *err)
{
    tables t = wanted_tables(r);
    if (t.head >= 0) RS_TRY(head_table(r, t.head, r->c->tied_head, err));
    if (t.lookup >= 0) RS_TRY(lookup_table(r, t.lookup, false, err));
    return t.ple >= 0 ? lookup_table(r, t.ple, true, err) : RS_OK;
}
