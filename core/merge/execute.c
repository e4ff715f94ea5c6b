#include "merge/execute.h"

#include "base/buf.h"
#include "base/os.h"
#include "merge/card.h"
#include "merge/memory.h"
#include "store/write_chunks.h"

#include <stdlib.h>
#include <string.h>

typedef struct work {
    const rs_runtime *rt;
    const rs_plan *plan;
    rs_writer *writer;
    rs_memory memory;
    rs_workspace **spaces; /* one a worker */
    const rs_execute_options *o;
} work;

static rs_status make_spaces(work *w, rs_err *err)
{
    size_t n = (size_t)w->memory.workers;
    w->spaces = calloc(n, sizeof *w->spaces);
    if (!w->spaces) return rs_fail(err, RS_E_NOMEM, "no memory for %zu threads", n);
    for (size_t i = 0; i < n; i++)
        RS_TRY(rs_workspace_new(w->rt, &w->spaces[i], err));
    return RS_OK;
}

static rs_status make_chunk(void *ctx, const rs_chunk *c, int worker, void *dst,
                            rs_err *err)
{
    work *w = ctx;
    return rs_plan_produce(w->rt, w->plan, w->spaces[worker], c->i_tensor, c->first, c->n,
                           dst, err);
}

static rs_status run_chunks(work *w, rs_err *err)
{
    rs_chunk_job job = {.name = "merge",
                        .make = make_chunk,
                        .ctx = w,
                        .chunk_bytes = w->memory.chunk_bytes,
                        .workers = w->memory.workers,
                        .progress = w->o->progress,
                        .progress_ctx = w->o->progress_ctx};
    return rs_write_chunks(w->rt, w->writer, &job, err);
}

/* --- the folder --- */

static rs_status open_writer(work *w, const rs_string_pair *meta, int n_meta, rs_err *err)
{
    int n = rs_plan_count(w->plan);
    rs_write_tensor *list = calloc((size_t)n + 1, sizeof *list);
    if (!list) return rs_fail(err, RS_E_NOMEM, "no memory for a list of %d tensors", n);
    for (int i = 0; i < n; i++) {
        const rs_plan_tensor *t = rs_plan_at(w->plan, i);
        list[i] = (rs_write_tensor){t->name, t->out_dtype, t->base->n_dims, {0}};
        memcpy(list[i].dim, t->base->dim, sizeof list[i].dim);
    }
    rs_write_plan p = {.tensors = list,
                       .n_tensors = n,
                       .metadata = meta,
                       .n_metadata = n_meta,
                       .shard_bytes = rs_plan_recipe(w->plan)->shard_bytes,
                       .force = w->o->force};
    rs_status s = rs_writer_new(w->o->out, &p, &w->writer, err);
    free(list);
    return s;
}

/* The output must not take the place of what it is made from. */
static rs_status check_out(const work *w, rs_err *err)
{
    rs_buf partial = {0};
    rs_status s = RS_OK;
    rs_buf_printf(&partial, "%s.partial", w->o->out);
    for (int i = 0; i < rs_plan_n_sources(w->plan) && s == RS_OK; i++) {
        const rs_plan_source *src = rs_plan_source_at(w->plan, i);
        bool within = rs_os_is_within(src->path, w->o->out) ||
                      rs_os_is_within(src->path, rs_buf_str(&partial));
        /* Files may be links into it: caches of the hub are built like that. */
        for (int k = 0; src->file && k < rs_checkpoint_n_files(src->file); k++)
            within |= rs_os_is_within(rs_checkpoint_file(src->file, k), w->o->out);
        if (within)
            s = rs_fail(err, RS_E_EXISTS,
                        "%s holds %s, which this merge reads: choose another name",
                        w->o->out, src->name);
    }
    rs_buf_free(&partial);
    return s;
}

/* The tensor files carry the recipe with its own paths, so that their bytes are the same
 * wherever they are made; ringside.json, with paths from the new folder, can be opened there. */
static rs_status write_all(work *w, rs_err *err)
{
    const rs_recipe *r = rs_plan_recipe(w->plan);
    rs_buf stated = {0}, recipe = {0};
    rs_recipe_text(r, r->folder, &stated);
    rs_recipe_text(r, w->o->out, &recipe);
    rs_string_pair meta[] = {{"ringside.recipe", rs_buf_str(&stated)}};
    rs_status s = stated.failed || recipe.failed
                      ? rs_fail(err, RS_E_NOMEM, "no memory for the recipe")
                      : RS_OK;
    if (s == RS_OK) s = check_out(w, err);
    if (s == RS_OK) s = make_spaces(w, err);
    if (s == RS_OK) s = open_writer(w, meta, 1, err);
    if (s == RS_OK)
        s = rs_card_write(w->plan, w->writer, rs_buf_str(&stated), rs_buf_str(&recipe),
                          err);
    if (s == RS_OK) s = run_chunks(w, err);
    rs_buf_free(&stated);
    rs_buf_free(&recipe);
    return s;
}

static void release(work *w)
{
    for (int i = 0; w->spaces && i < w->memory.workers; i++)
        rs_workspace_free(w->spaces[i]);
    free(w->spaces);
    rs_writer_free(w->writer);
}

rs_status rs_execute(const rs_runtime *rt, const rs_plan *p, const rs_execute_options *o,
                     rs_execute_result *result, rs_err *err)
{
    *result = (rs_execute_result){0};
    work w = {.rt = rt, .plan = p, .o = o};
    RS_TRY(rs_memory_fit(rt, p, o->chunk_bytes, rs_memory_of_folder(p), &w.memory, err));
    RS_TRY(rs_plan_prepare(rt, p, o->progress, o->progress_ctx, err));
    rs_status s = write_all(&w, err);
    if (s == RS_OK) {
        result->bytes = rs_writer_bytes(w.writer);
        result->n_tensors = rs_plan_count(p);
        result->n_changed = rs_plan_need(p).n_changed;
        s = rs_writer_finish(w.writer, result->hash, err);
    }
    release(&w);
    return s;
}
