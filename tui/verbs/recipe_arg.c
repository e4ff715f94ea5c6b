#include "tui/verbs/recipe_arg.h"

#include "base/os.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool ui_names_recipe(const char *what)
{
    const char *json = strstr(what, ".json");
    if (!json || (json[5] != 0 && json[5] != ':')) return false;
    const char *name = rs_path_basename(what);
    return strncmp(name, "tokenizer", 9) != 0 &&
           strncmp(name, "model.safetensors", 17) != 0;
}

/* Cuts ":STAGE" off, unless the whole is a path that exists. */
static rs_status split(const char *what, char **path, char **stage)
{
    *path = strdup(what);
    *stage = NULL;
    char *colon = *path ? strrchr(*path, ':') : NULL;
    if (!*path) return RS_E_NOMEM;
    if (!colon || rs_os_kind(what) != RS_PATH_NONE || strchr(colon, '/')) return RS_OK;
    *colon = 0;
    *stage = strdup(colon + 1);
    return *stage ? RS_OK : RS_E_NOMEM;
}

rs_status ui_recipe_open(ui_common *c, const char *what, ui_recipe *r, rs_err *err)
{
    *r = (ui_recipe){0};
    char *path = NULL;
    rs_status s = split(what, &path, &r->stage);
    if (s != RS_OK) s = rs_fail(err, s, "no memory for the name of a recipe");
    if (s == RS_OK) s = rs_recipe_load(path, &r->recipe, err);
    rs_plan_options o = {.stage = r->stage, .resolve = ui_resolve};
    if (s == RS_OK) s = rs_plan_build(&c->rt, r->recipe, &o, &r->plan, err);
    free(path);
    return s;
}

void ui_recipe_close(ui_recipe *r)
{
    rs_plan_free(r->plan);
    rs_recipe_free(r->recipe);
    free(r->stage);
    *r = (ui_recipe){0};
}

rs_status ui_recipe_measure(ui_common *c, const rs_plan *p, bool with_output,
                            const char *verb, rs_measure **out, rs_err *err)
{
    int n = rs_plan_count(p);
    ui_progress show;
    ui_progress_begin(&show, c, verb);
    rs_tensor_sums *sums = calloc((size_t)n + 1, sizeof *sums);
    rs_status s = sums ? RS_OK : rs_fail(err, RS_E_NOMEM, "no memory for %d tensors", n);
    for (int i = 0; i < n && s == RS_OK; i++) {
        s = rs_sums_tensor(&c->rt, p, i, with_output, &sums[i], err);
        rs_progress g = {(uint64_t)i + 1, (uint64_t)n, "tensors", rs_plan_at(p, i)->name};
        if (s == RS_OK && !ui_progress_step(&show, &g))
            s = rs_fail(err, RS_E_CANCELLED, "measuring was cancelled at tensor %d of %d",
                        i, n);
    }
    if (s == RS_OK) s = rs_measure_from(p, sums, out, err);
    ui_progress_end(&show, s, err, NULL);
    free(sums);
    return s;
}

/* --- for people --- */

static void cell(rs_buf *b, int width, int digits, double v, double scale)
{
    if (isfinite(v))
        rs_buf_printf(b, " %*.*f", width, digits, v * scale);
    else
        rs_buf_printf(b, " %*s", width, "-");
}

/* Of what may be 1e-15 as well as one half. */
static void share(rs_buf *b, double v)
{
    if (isfinite(v))
        rs_buf_printf(b, " %8.2g", 100 * v);
    else
        rs_buf_printf(b, " %8s", "-");
}

static void table_row(rs_buf *b, const char *name, bool leaks, const rs_measure_row *r)
{
    rs_buf_printf(b, "%-8s", name);
    cell(b, 6, 3, r->gain, 1);
    rs_buf_putc(b, r->gain_mixed ? '~' : ' ');
    cell(b, 5, 2, r->d, 1);
    cell(b, 8, 3, r->damage, 1e3);
    cell(b, 6, 1, r->kept, 100);
    cell(b, 6, 2, r->norm, 100);
    cell(b, 7, 2, r->theta, 1);
    rs_buf_putc(b, r->flat ? '=' : ' ');
    cell(b, 5, 3, r->t, 1);
    cell(b, 8, 5, r->c_a, 1);
    cell(b, 8, 5, r->c_b, 1);
    cell(b, 6, 1, r->survival, 100);
    if (leaks) share(b, r->leak), share(b, r->stored);
    rs_buf_putc(b, '\n');
}

static void damage_lines(const rs_plan *p, const rs_measure *m, rs_buf *out)
{
    const char *unit = m->units_unknown ? "F units" : "nat per token";
    if (isnan(m->all.damage) && isnan(m->all.out)) {
        const char *why = rs_plan_fisher_missing(p);
        rs_buf_printf(out, "\ndamage                  unknown: %s\n",
                      why ? why : "the recipe names no Fisher");
        return;
    }
    rs_buf_puts(out, "\n(damage of a row in thousandths)\n");
    if (!isnan(m->all.damage))
        rs_buf_printf(out, "damage of the stage     %.4f %s\n", m->all.damage, unit);
    if (isnan(m->all.out))
        rs_buf_puts(out,
                    "damage of the output    unknown: told only of a stage on a plain "
                    "model and a heal right after it\n");
    else
        rs_buf_printf(out, "damage of the output    %.4f %s%s\n", m->all.out, unit,
                      m->outside ? "  (outside the quadratic range)" : "");
}

static void leak_lines(const rs_plan *p, const rs_measure *m, rs_buf *out)
{
    const rs_measure_row *r = &m->all;
    const char *by = rs_plan_leak_measure(p);
    if (isnan(r->leak)) return;
    rs_buf_puts(out, "leak into ");
    ui_put_clean(out, by ? by : "");
    rs_buf_printf(out, ": out %.3g %%, in %.3g %% of the stage's x", 100 * r->leak_out,
                  100 * r->leak_in);
    rs_buf_printf(out, "; once stored: out %.3g %%, in %.3g %%\n", 100 * r->stored_out,
                  100 * r->stored_in);
}

void ui_measure_table(const rs_plan *p, const rs_measure *m, rs_buf *out)
{
    bool leaks = !isnan(m->all.leak);
    rs_buf_puts(out, "layer      gain     d   damage  kept%   |x|/W%   theta      t      "
                     "c_a      c_b  surv%");
    rs_buf_puts(out, leaks ? "    leak%  stored%\n" : "\n");
    for (int i = 0; i <= m->n_layers; i++) {
        char name[24];
        snprintf(name, sizeof name, i < m->n_layers ? "%d" : "outside", i);
        table_row(out, name, leaks, &m->layer[i]);
    }
    table_row(out, "all", leaks, &m->all);
    damage_lines(p, m, out);
    if (!isnan(m->all.kept))
        rs_buf_printf(out, "style kept              %.1f %%\n", 100 * m->all.kept);
    if (isfinite(m->all.changed))
        rs_buf_printf(out, "stored numbers changed  %.1f %%\n", 100 * m->all.changed);
    leak_lines(p, m, out);
}

/* --- for programs --- */

static void put(rs_buf *b, const char *key, double v)
{
    rs_buf_printf(b, ",\"%s\":", key);
    rs_buf_json_double(b, v);
}

static void leak_json(rs_buf *b, const rs_measure_row *r)
{
    put(b, "leak_out", r->leak_out);
    put(b, "leak_in", r->leak_in);
    put(b, "stored_leak_out", r->stored_out);
    put(b, "stored_leak_in", r->stored_in);
}

static void tensors_json(const rs_plan *p, const rs_measure *m, rs_buf *b)
{
    int n = 0;
    rs_buf_puts(b, ",\"tensors\":[");
    for (int i = 0; i < m->n_tensors; i++) {
        const char *name = rs_plan_at(p, i)->name;
        if (isnan(m->tensor[i].leak)) continue;
        rs_buf_puts(b, n++ ? ",{\"name\":" : "{\"name\":");
        rs_buf_json(b, name, strlen(name));
        leak_json(b, &m->tensor[i]);
        rs_buf_putc(b, '}');
    }
    rs_buf_putc(b, ']');
}

static void row_json(rs_buf *b, int layer, const rs_measure_row *r)
{
    rs_buf_printf(b, "{\"layer\":%d", layer);
    put(b, "gain", r->gain);
    put(b, "d", r->d);
    put(b, "damage", r->damage);
    put(b, "kept", r->kept);
    put(b, "norm", r->norm);
    put(b, "theta", r->theta);
    put(b, "t", r->t);
    put(b, "c_a", r->c_a);
    put(b, "c_b", r->c_b);
    put(b, "out", r->out);
    put(b, "survival", r->survival);
    if (!isnan(r->leak)) leak_json(b, r);
    rs_buf_putc(b, '}');
}

void ui_measure_json(const rs_plan *p, const rs_measure *m, rs_buf *out)
{
    rs_buf_puts(out, "{\"damage\":");
    rs_buf_json_double(out, m->all.damage);
    put(out, "kept", m->all.kept);
    put(out, "out", m->all.out);
    put(out, "changed", m->all.changed);
    if (!isnan(m->all.leak)) leak_json(out, &m->all);
    rs_buf_printf(out, ",\"unit\":\"%s\",\"outside\":%s,\"layers\":[",
                  m->units_unknown ? "F units" : "nat", m->outside ? "true" : "false");
    for (int i = 0; i <= m->n_layers; i++) {
        if (i) rs_buf_putc(out, ',');
        row_json(out, i < m->n_layers ? i : -1, &m->layer[i]);
    }
    rs_buf_putc(out, ']');
    if (!isnan(m->all.leak)) tensors_json(p, m, out);
    rs_buf_puts(out, "}\n");
}
