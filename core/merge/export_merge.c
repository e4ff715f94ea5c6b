#include "merge/export_merge.h"

#include "base/os.h"
#include "merge/memory.h"
#include "tensor/convert.h"

#include <stdlib.h>
#include <string.h>

enum { PIECE = 1 << 16 }; /* elements that are made at a time; a multiple of all blocks */

typedef struct maker {
    rs_runtime rt; /* as many threads as the budget has room for */
    rs_pool *few;  /* owned: where they are not all */
    const rs_plan *plan;
    rs_workspace **spaces; /* one a thread, as the next */
    void **pieces;         /* [PIECE] as the merge stores them */
} maker;

static rs_export_tensor tensor(const void *ctx, int i)
{
    const maker *m = ctx;
    const rs_plan_tensor *t = rs_plan_at(m->plan, i);
    return (rs_export_tensor){t->name, t->out_dtype, t->base->n_dims, t->base->dim};
}

static rs_status read(void *ctx, int worker, int i, int64_t first, int64_t n, float *dst,
                      rs_err *err)
{
    maker *m = ctx;
    const rs_plan_tensor *t = rs_plan_at(m->plan, i);
    for (int64_t at = 0; at < n; at += PIECE) {
        int64_t part = n - at < PIECE ? n - at : PIECE;
        RS_TRY(rs_plan_produce(&m->rt, m->plan, m->spaces[worker], i, first + at, part,
                               m->pieces[worker], err));
        rs_to_f32(m->rt.kernels, t->out_dtype, m->pieces[worker], dst + at, part);
    }
    return RS_OK;
}

/* The export's own buffers are half of the memory that it is told: a chunk a thread. */
static rs_status fit(maker *m, const rs_runtime *rt, rs_err *err)
{
    rs_memory need;
    RS_TRY(rs_memory_fit(rt, m->plan, 0, rs_memory_of_gguf(m->plan), &need, err));
    m->rt = *rt;
    m->rt.threads = need.workers;
    m->rt.memory_bytes = 2 * need.chunk_bytes * (uint64_t)need.workers;
    if (need.workers == rt->threads) return RS_OK;
    RS_TRY(rs_pool_new(need.workers, &m->few, err));
    m->rt.pool = m->few;
    return RS_OK;
}

static rs_status open_maker(maker *m, rs_err *err)
{
    size_t n = (size_t)m->rt.threads;
    m->spaces = calloc(n, sizeof *m->spaces);
    m->pieces = calloc(n, sizeof *m->pieces);
    if (!m->spaces || !m->pieces)
        return rs_fail(err, RS_E_NOMEM, "no memory for %zu threads", n);
    for (size_t i = 0; i < n; i++) {
        m->pieces[i] = malloc(PIECE * sizeof(double));
        if (!m->pieces[i]) return rs_fail(err, RS_E_NOMEM, "no memory for a chunk");
        RS_TRY(rs_workspace_new(&m->rt, &m->spaces[i], err));
    }
    return RS_OK;
}

static void close_maker(maker *m)
{
    for (int i = 0; i < m->rt.threads; i++) {
        if (m->spaces) rs_workspace_free(m->spaces[i]);
        if (m->pieces) free(m->pieces[i]);
    }
    free(m->spaces);
    free(m->pieces);
    rs_pool_free(m->few);
}

/* The base's files; the output must take the place of no file that the merge reads. */
static rs_status find_base(const rs_plan *p, const char *out, const rs_checkpoint **base,
                           rs_err *err)
{
    *base = NULL;
    for (int i = 0; i < rs_plan_n_sources(p); i++) {
        const rs_plan_source *s = rs_plan_source_at(p, i);
        bool is_out = rs_os_is_within(s->path, out);
        for (int k = 0; s->file && k < rs_checkpoint_n_files(s->file); k++)
            is_out |= rs_os_is_within(rs_checkpoint_file(s->file, k), out);
        if (is_out)
            return rs_fail(err, RS_E_EXISTS,
                           "%s is %s, which this merge reads: choose another name", out,
                           s->name);
        if (s->file && strcmp(s->path, rs_plan_base_path(p)) == 0) *base = s->file;
    }
    if (*base) return RS_OK;
    return rs_fail(err, RS_E_BUG, "the plan has no base among its sources");
}

/* The writer looks closer, but only after the passes over a Fisher. */
static rs_status check_new(const rs_export_options *o, rs_err *err)
{
    if (o->force || rs_os_kind(o->out) == RS_PATH_NONE) return RS_OK;
    return rs_fail(err, RS_E_EXISTS, "%s exists: choose another name or use --force",
                   o->out);
}

static rs_status run(maker *m, const rs_runtime *rt, const rs_export_options *o,
                     rs_export_result *result, rs_err *err)
{
    const rs_checkpoint *base;
    rs_buf recipe = {0};
    const rs_recipe *r = rs_plan_recipe(m->plan);
    RS_TRY(find_base(m->plan, o->out, &base, err));
    RS_TRY(check_new(o, err));
    RS_TRY(fit(m, rt, err));
    RS_TRY(rs_plan_prepare(rt, m->plan, o->progress, o->progress_ctx, err));
    RS_TRY(open_maker(m, err));
    rs_recipe_text(r, r->folder, &recipe);
    rs_export_source source = {.config = rs_plan_config(m->plan),
                               .base = base,
                               .recipe = rs_buf_str(&recipe),
                               .n_tensors = rs_plan_count(m->plan),
                               .tensor = tensor,
                               .read = read,
                               .ctx = m};
    rs_status s = recipe.failed ? rs_fail(err, RS_E_NOMEM, "no memory for the recipe")
                                : rs_export_from(&m->rt, &source, o, result, err);
    rs_buf_free(&recipe);
    return s;
}

rs_status rs_export_merge(const rs_runtime *rt, const rs_plan *p,
                          const rs_export_options *o, rs_export_result *result,
                          rs_err *err)
{
    *result = (rs_export_result){0};
    maker m = {.plan = p};
    rs_status s = run(&m, rt, o, result, err);
    close_maker(&m);
    return s;
}
