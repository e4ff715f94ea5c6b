/* ringside merge RECIPE --out DIR: plan, write, say what was done. */
#include "merge/execute.h"
#include "tui/verbs/recipe_arg.h"
#include "tui/verbs/verbs.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef struct merge_opts {
    const char *out;
    bool force;
    uint64_t chunk;
} merge_opts;

static const ui_opt opts[] = {
    {"--out", UI_OPT_STRING, "DIR", "the new folder", offsetof(merge_opts, out)},
    {"--force", UI_OPT_FLAG, NULL, "replace an existing folder",
     offsetof(merge_opts, force)},
    {"--chunk", UI_OPT_SIZE, "SIZE", "output made at a time by one thread (default: 2M)",
     offsetof(merge_opts, chunk)},
    {NULL, UI_OPT_FLAG, NULL, NULL, 0},
};

static void result_json(const merge_opts *o, const rs_execute_result *r, double seconds,
                        rs_buf *b)
{
    rs_buf_puts(b, "{\"out\":");
    rs_buf_json(b, o->out, strlen(o->out));
    rs_buf_printf(b,
                  ",\"bytes\":%" PRIu64
                  ",\"tensors\":%d,\"changed\":%d,\"hash\":\"%s\",\"seconds\":%.3f}",
                  r->bytes, r->n_tensors, r->n_changed, r->hash, seconds);
}

static void report(const ui_common *c, const merge_opts *o, const rs_execute_result *r,
                   double seconds)
{
    rs_buf b = {0};
    if (c->json) {
        result_json(o, r, seconds, &b);
        rs_buf_putc(&b, '\n');
    } else if (!c->quiet) {
        rs_buf_printf(&b, "%s: %d tensors, %d changed, %.1f MB in %.1f s\nhash %s\n",
                      o->out, r->n_tensors, r->n_changed, (double)r->bytes / 1e6, seconds,
                      r->hash);
    }
    ui_print(&b);
    rs_buf_free(&b);
}

static rs_status merge(ui_common *c, const merge_opts *o, const rs_plan *p,
                       ui_progress *show, rs_execute_result *r, rs_err *err)
{
    for (int i = 0; i < rs_plan_n_warnings(p); i++)
        ui_progress_warn(show, rs_plan_warning(p, i));
    rs_buf foreign = {0};
    rs_status s = ui_recipe_foreign_mask(c, p, show, &foreign, err);
    if (foreign.len) ui_progress_warn(show, rs_buf_str(&foreign));
    rs_buf_free(&foreign);
    if (s != RS_OK) return s;
    rs_execute_options e = {.out = o->out,
                            .force = o->force,
                            .chunk_bytes = o->chunk,
                            .progress = ui_progress_step,
                            .progress_ctx = show};
    return rs_execute(&c->rt, p, &e, r, err);
}

static int run(ui_common *c, void *options, int n_args, char **args)
{
    (void)n_args;
    const merge_opts *o = options;
    if (!o->out) return ui_usage("merge", "--out DIR says where the merged model goes");
    ui_recipe r;
    rs_err err;
    ui_progress show;
    rs_execute_result result = {0};
    ui_progress_begin(&show, c, "merge");
    rs_status s = ui_recipe_open(c, args[0], &r, &err);
    if (s == RS_OK) s = merge(c, o, r.plan, &show, &result, &err);
    double seconds = ui_now() - show.started;
    rs_buf json = {0};
    if (s == RS_OK) result_json(o, &result, seconds, &json);
    ui_progress_end(&show, s, &err, s == RS_OK ? rs_buf_str(&json) : NULL);
    rs_buf_free(&json);
    if (s == RS_OK) report(c, o, &result, seconds);
    ui_recipe_close(&r);
    return s == RS_OK ? UI_EXIT_OK : ui_fail("merge", &err);
}

const ui_verb ui_verb_merge = {
    .name = "merge",
    .usage = "RECIPE --out DIR [--force] [--chunk SIZE]",
    .summary = "writes the merged model",
    .details =
        "RECIPE is a recipe file, a merged folder, or either with :STAGE for the result "
        "of "
        "an earlier stage. The folder appears under its name when it is whole: "
        "safetensors, config and tokenizer of the base, README.md, and ringside.json, "
        "which "
        "'ringside DIR' opens again. The same recipe gives the same bytes whatever "
        "--threads, --chunk and --memory are.",
    .opts = opts,
    .opts_size = sizeof(merge_opts),
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
