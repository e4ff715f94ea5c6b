/* ringside plan RECIPE: everything that a merge would do and need, from headers. */
#include "tui/verbs/recipe_arg.h"

#include <inttypes.h>
#include <string.h>

static void sources_text(const rs_plan *p, rs_buf *b)
{
    rs_buf_printf(b, "%-14s %-8s %-7s %s\n", "source", "what", "use", "path");
    for (int i = 0; i < rs_plan_n_sources(p); i++) {
        const rs_plan_source *s = rs_plan_source_at(p, i);
        rs_buf line = {0};
        rs_buf_printf(&line, "%-14s %-8s %-7s %s", s->name, s->kind, s->use ? s->use : "",
                      s->path);
        ui_put_clean(b, rs_buf_str(&line));
        rs_buf_free(&line);
        if (strcmp(s->kind, "adapter") == 0) {
            rs_buf_printf(b, "  rank %d%s, %d of %d pairs match", s->rank,
                          s->rslora ? " rsLoRA" : "", s->n_matched, s->n_pairs);
            if (s->n_inert) rs_buf_printf(b, ", %d inert", s->n_inert);
        }
        rs_buf_putc(b, '\n');
    }
}

/* foreign: one more warning, "" for none. */
static void plan_text(const rs_plan *p, const char *foreign, rs_buf *b)
{
    const rs_recipe *r = rs_plan_recipe(p);
    rs_plan_needs n = rs_plan_need(p);
    ui_put_clean(b, r->name ? r->name : "recipe");
    rs_buf_puts(b, "\n\n");
    sources_text(p, b);
    rs_buf_printf(b, "\n%d tensors: %d change, %d are copied; stored as %s\n",
                  n.n_tensors, n.n_changed, n.n_copied, rs_dtype_name(r->output_dtype));
    rs_buf_printf(
        b, "reads %.1f MB, writes %.1f MB, needs %.1f MB of disk and %.1f MB of memory\n",
        (double)n.read_bytes / 1e6, (double)n.out_bytes / 1e6, (double)n.disk_bytes / 1e6,
        (double)n.memory_bytes / 1e6);
    for (int i = 0; i < rs_plan_n_warnings(p); i++)
        rs_buf_printf(b, "warning: %s\n", rs_plan_warning(p, i));
    if (!foreign[0]) return;
    rs_buf_puts(b, "warning: ");
    ui_put_clean(b, foreign);
    rs_buf_putc(b, '\n');
}

static void put_string(rs_buf *b, const char *key, const char *value)
{
    rs_buf_printf(b, ",\"%s\":", key);
    rs_buf_json(b, value ? value : "", value ? strlen(value) : 0);
}

static void source_json(const rs_plan_source *s, rs_buf *b)
{
    rs_buf_puts(b, "{\"name\":");
    rs_buf_json(b, s->name, strlen(s->name));
    put_string(b, "kind", s->kind);
    put_string(b, "path", s->path);
    put_string(b, "use", s->use);
    if (strcmp(s->kind, "adapter") == 0)
        rs_buf_printf(
            b, ",\"rank\":%d,\"rslora\":%s,\"pairs\":%d,\"matched\":%d,\"inert\":%d",
            s->rank, s->rslora ? "true" : "false", s->n_pairs, s->n_matched, s->n_inert);
    rs_buf_putc(b, '}');
}

static void plan_json(const rs_plan *p, const char *foreign, rs_buf *b)
{
    rs_plan_needs n = rs_plan_need(p);
    int n_warnings = rs_plan_n_warnings(p);
    rs_buf_printf(b,
                  "{\"tensors\":%d,\"changed\":%d,\"copied\":%d,\"read_bytes\":%" PRIu64
                  ",\"out_bytes\":%" PRIu64 ",\"disk_bytes\":%" PRIu64
                  ",\"memory_bytes\":%" PRIu64 ",\"sources\":[",
                  n.n_tensors, n.n_changed, n.n_copied, n.read_bytes, n.out_bytes,
                  n.disk_bytes, n.memory_bytes);
    for (int i = 0; i < rs_plan_n_sources(p); i++) {
        if (i) rs_buf_putc(b, ',');
        source_json(rs_plan_source_at(p, i), b);
    }
    rs_buf_puts(b, "],\"warnings\":[");
    for (int i = 0; i < n_warnings + (foreign[0] != 0); i++) {
        const char *text = i < n_warnings ? rs_plan_warning(p, i) : foreign;
        if (i) rs_buf_putc(b, ',');
        rs_buf_json(b, text, strlen(text));
    }
    rs_buf_puts(b, "]}\n");
}

static int run(ui_common *c, void *options, int n_args, char **args)
{
    (void)options, (void)n_args;
    ui_recipe r;
    rs_err err;
    rs_buf foreign = {0};
    rs_status s = ui_recipe_open(c, args[0], &r, &err);
    if (s == RS_OK) s = ui_recipe_foreign_mask(c, r.plan, NULL, &foreign, &err);
    if (s == RS_OK) {
        rs_buf b = {0};
        if (c->json)
            plan_json(r.plan, rs_buf_str(&foreign), &b);
        else
            plan_text(r.plan, rs_buf_str(&foreign), &b);
        ui_print(&b);
        rs_buf_free(&b);
    }
    rs_buf_free(&foreign);
    ui_recipe_close(&r);
    return s == RS_OK ? UI_EXIT_OK : ui_fail("plan", &err);
}

const ui_verb ui_verb_plan = {
    .name = "plan",
    .usage = "RECIPE",
    .summary =
        "checks a recipe against its files: what would change, what it needs, warnings",
    .details =
        "Reads headers only (and the base once, where a mask's file names models by their "
        "contents). Everything that a merge would refuse is refused here, with "
        "the "
        "same sentence: adapters that match nothing, wrong shapes, missing tensors.",
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
