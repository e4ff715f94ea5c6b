/* merge_page.c - the plan page of a merge: what would be written and what it needs, before a
 * byte is (screens.md 2.22). All of it from the plan's headers and the measure. */
#include "base/os.h"
#include "tui/draw/widgets.h"
#include "tui/screens/screens.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A merge reads a file: the recipe goes there first where it differs, or has none. */
static bool needs_saving(const ui_app *a)
{
    const ui_file *f = ui_doc_file_of(&a->doc);
    return !ui_doc_is_saved(&a->doc) || !f->path;
}

/* Folder for a name typed or chosen: out/NAME-vN below the current folder. */
static void default_folder(const ui_app *a, int version, char dst[1024])
{
    snprintf(dst, 1024, "out/%.200s-v%d", a->doc.at.recipe->name, version);
}

static void add_heal_warning(const ui_app *a, rs_buf *b)
{
    const rs_measure *m = a->doc.at.measure;
    if (!m || isnan(m->all.out) || isnan(m->all.damage)) return;
    double heal = m->all.out - m->all.damage;
    if (heal > m->all.damage)
        rs_buf_printf(b, "heal adds %.4f %s, more than the whole fuel stage\n", heal,
                      ui_damage_unit(a));
    else
        rs_buf_printf(b, "heal adds %.4f %s to the fuel stage's %.4f\n", heal,
                      ui_damage_unit(a), m->all.damage);
    if (m->outside)
        rs_buf_puts(b,
                    "the damage is outside the quadratic range: measured KL is lower\n");
}

static char *warnings_of(const ui_app *a)
{
    rs_buf b = {0};
    if (rs_recipe_heal(a->doc.at.recipe)) add_heal_warning(a, &b);
    for (int i = 0; i < rs_plan_n_warnings(a->doc.at.plan); i++)
        rs_buf_printf(&b, "%s\n", rs_plan_warning(a->doc.at.plan, i));
    char *text = ui_strdup(rs_buf_str(&b));
    rs_buf_free(&b);
    return text;
}

bool ui_merge_open(ui_app *a, const char *folder, ui_effects *fx)
{
    (void)fx;
    ui_edit_drop(a);
    if (!a->doc.at.plan) {
        ui_warn(a, "this recipe cannot be merged: %s",
                a->doc.at.recipe ? a->doc.at.problem.msg : "none is open");
        return false;
    }
    const ui_file *f = ui_doc_file_of(&a->doc);
    bool saves = needs_saving(a);
    ui_set_mode(a, UI_MODE_PLAN);
    ui_merge_page *p = &a->plan;
    p->saves = saves;
    p->version = (f ? f->version : 0) + (saves ? 1 : 0);
    if (p->version < 1) p->version = 1;
    snprintf(p->name, sizeof p->name, "%s", a->doc.at.recipe->name);
    if (folder && folder[0])
        snprintf(p->folder, sizeof p->folder, "%s", folder);
    else
        default_folder(a, p->version, p->folder);
    p->needs = rs_plan_need(a->doc.at.plan);
    p->warnings = warnings_of(a);
    snprintf(a->message, sizeof a->message, "Merge?");
    a->message_warns = false;
    return true;
}

/* --- starting it --- */

static void put_arg(rs_buf *b, const char *s)
{
    rs_buf_puts(b, b->len ? "," : "[");
    rs_buf_json(b, s, strlen(s));
}

void ui_merge_start(ui_app *a, const char *out, ui_effects *fx)
{
    const ui_file *f = ui_doc_file_of(&a->doc);
    char path[4096], title[160];
    if (!f || !f->path || !ui_expand_home(a, out, path)) {
        ui_warn(a, "the recipe has no file to merge from: W saves it");
        return;
    }
    rs_buf argv = {0};
    put_arg(&argv, a->program);
    put_arg(&argv, "merge");
    put_arg(&argv, f->path);
    put_arg(&argv, "--out");
    put_arg(&argv, path);
    if (rs_os_kind(path) == RS_PATH_FOLDER) put_arg(&argv, "--force");
    rs_buf_putc(&argv, ']');
    snprintf(title, sizeof title, "%.100s v%d", a->doc.at.recipe->name, f->version);
    ui_effect *e = ui_effects_add(fx, UI_FX_JOB_START);
    e->text = ui_strdup(rs_buf_str(&argv));
    e->title = ui_strdup(title);
    e->path = ui_strdup(path);
    rs_buf_free(&argv);
    ui_say(a, "merging %s into %s: 4 shows it", title, out);
}

/* What the page was left with, or the name typed for: the recipe is saved first where that
 * is needed, and the merge starts when it stands. */
static void start(ui_app *a, ui_effects *fx)
{
    bool duel = a->order.duel;
    ui_set_mode(a, UI_MODE_NONE);
    if (!needs_saving(a))
        ui_merge_start(a, a->order.out, fx);
    else if (ui_save(a, NULL, NULL, fx))
        a->saving.then_merge = true;
    if (duel) ui_versus(a, NULL, fx);
}

static bool replace_typed(ui_app *a, const char *text, ui_effects *fx)
{
    if (strcmp(text, rs_path_basename(a->order.out)) != 0)
        ui_warn(a, "that is not its last part: nothing is written");
    else
        start(a, fx);
    return true;
}

/* Overwriting wants the name typed. */
static bool asks_for_name(ui_app *a)
{
    char path[4096], prefix[1200];
    if (!ui_expand_home(a, a->plan.folder, path) || rs_os_kind(path) == RS_PATH_NONE)
        return false;
    snprintf(prefix, sizeof prefix,
             "%.900s exists. Type its last part to replace it: ", a->plan.folder);
    ui_entry e = {.accept = replace_typed, .name = "merge"};
    ui_entry_open(a, prefix, "", &e);
    return true;
}

static void agreed(ui_app *a, ui_effects *fx)
{
    snprintf(a->order.out, sizeof a->order.out, "%s", a->plan.folder);
    a->order.duel = a->plan.duel;
    if (!asks_for_name(a)) start(a, fx);
}

static bool folder_typed(ui_app *a, const char *text, ui_effects *fx)
{
    if (!text[strspn(text, " ")]) return true;
    return ui_merge_open(a, text, fx);
}

static void full_plan(ui_app *a)
{
    rs_buf b = {0};
    ui_merge_order back = {.duel = a->plan.duel};
    snprintf(back.out, sizeof back.out, "%s", a->plan.folder);
    ui_plan_text(a, &b);
    ui_page_open(a, "plan", &b, false);
    a->back = back;
}

void ui_merge_again(ui_app *a, const ui_merge_order *back, ui_effects *fx)
{
    if (ui_merge_open(a, back->out, fx)) a->plan.duel = back->duel;
}

void ui_merge_key(ui_app *a, int key, ui_effects *fx)
{
    switch (key) {
    case 'y':
        agreed(a, fx);
        break;
    case 'n':
    case 'q':
    case UI_KEY_ESC:
    case UI_KEY_ENTER: /* the default is no */
    case UI_CTRL('C'):
        ui_set_mode(a, UI_MODE_NONE);
        ui_say(a, "nothing was merged");
        break;
    case 'o':
        a->plan.duel = !a->plan.duel;
        break;
    case 'p':
        full_plan(a);
        break;
    case 'e': {
        ui_entry e = {.accept = folder_typed, .name = "merge"};
        char folder[1024];
        snprintf(folder, sizeof folder, "%s", a->plan.folder);
        ui_entry_open(a, "folder: ", folder, &e);
        break;
    }
    default:
        break; /* ignored, not taken as no */
    }
}

/* --- the page --- */

static void sources_line(const ui_app *a, char *dst, size_t n)
{
    const rs_plan *p = a->doc.at.plan;
    int adapters = 0;
    size_t at = 0;
    dst[0] = 0;
    for (int i = 0; i < rs_plan_n_sources(p); i++)
        adapters += strcmp(rs_plan_source_at(p, i)->kind, "adapter") == 0;
    for (int i = 0; i < rs_plan_n_sources(p) && at < n; i++) {
        const rs_plan_source *s = rs_plan_source_at(p, i);
        bool is_adapter = strcmp(s->kind, "adapter") == 0;
        if (is_adapter && adapters > 3) continue;
        at += (size_t)snprintf(dst + at, n - at, "%s%s%s", at ? ", " : "",
                               strcmp(s->kind, "fisher") == 0 ? "Fisher " : "", s->name);
    }
    if (adapters > 3 && at < n) snprintf(dst + at, n - at, ", %d adapters", adapters);
}

static const char *dtype_words(rs_dtype d)
{
    return d == RS_DTYPE_BF16  ? "bfloat16"
           : d == RS_DTYPE_F16 ? "float16"
           : d == RS_DTYPE_F32 ? "float32"
                               : rs_dtype_name(d);
}

static void needs_line(const ui_app *a, char *dst, size_t n)
{
    const rs_plan_needs *w = &a->plan.needs;
    ui_glyph_level l = (ui_glyph_level)a->opt.glyphs;
    uint64_t free_bytes = 0;
    char folder[4096];
    ui_num of = {""};
    /* The new folder is not there yet: the disk is that of the current folder. */
    if (ui_expand_home(a, ".", folder) &&
        rs_os_free_bytes(folder, &free_bytes, NULL) == RS_OK)
        of = ui_num_size(l, (double)free_bytes);
    snprintf(dst, n, "disk %s%s%s   memory %s of %s",
             ui_num_size(l, (double)w->disk_bytes).s, of.s[0] ? " of " : "", of.s,
             ui_num_memory(l, (double)w->memory_bytes).s,
             ui_num_memory(l, (double)a->doc.rt->memory_bytes).s);
}

static void put_row(ui_grid *g, ui_rect in, int *y, const char *head, const char *text,
                    ui_role role)
{
    if (*y >= in.y + in.h) return;
    ui_put(g, in.x, *y, 6, UI_DIM, head);
    ui_put_end(g, in.x + 7, *y, in.w - 7, role, text);
    ++*y;
}

static void warning_rows(const ui_app *a, ui_grid *g, ui_rect in, int *y, int last)
{
    for (const char *s = a->plan.warnings; s && *s;) {
        size_t n = strcspn(s, "\n");
        char line[300];
        snprintf(line, sizeof line, "%.*s", (int)n, s);
        if (*y >= last) break;
        bool more = s[n] && s[n + 1] && *y + 1 >= last;
        put_row(g, in, y, "warn", more ? "more: p shows all" : line, UI_WARN);
        s += n + (s[n] == '\n');
    }
}

void ui_merge_view(const ui_app *a, ui_grid *g, ui_rect body)
{
    const ui_merge_page *p = &a->plan;
    ui_glyph_level l = (ui_glyph_level)g->glyphs;
    char title[400], text[600], path[4096];
    if (!a->doc.at.plan) return;
    snprintf(title, sizeof title, "merge %.120s v%d%s", p->name, p->version,
             p->saves ? " (saved first)" : "");
    ui_rect in = ui_draw_popup(
        g, ui_centre(body, body.w > 68 ? 68 : body.w, body.h > 17 ? 17 : body.h), title);
    int y = in.y, last = in.y + in.h - 5;
    bool is_there =
        ui_expand_home(a, p->folder, path) && rs_os_kind(path) != RS_PATH_NONE;
    sources_line(a, text, sizeof text);
    put_row(g, in, &y, "from", text, UI_TEXT);
    snprintf(text, sizeof text, "%.400s   (%s)", p->folder,
             is_there ? "exists" : "new folder");
    put_row(g, in, &y, "to", text, is_there ? UI_WARN : UI_TEXT);
    snprintf(text, sizeof text, "%s, %d tensors, %s, round to nearest",
             ui_num_size(l, (double)p->needs.out_bytes).s, p->needs.n_tensors,
             dtype_words(a->doc.at.recipe->output_dtype));
    put_row(g, in, &y, "size", text, UI_TEXT);
    needs_line(a, text, sizeof text);
    put_row(g, in, &y, "needs", text, UI_TEXT);
    snprintf(text, sizeof text, "%d tensors change, %d are copied", p->needs.n_changed,
             p->needs.n_copied);
    put_row(g, in, &y, "does", text, UI_TEXT);
    y++;
    warning_rows(a, g, in, &y, last);
    y = in.y + in.h - 3;
    snprintf(text, sizeof text, "open in Duel against the version before  [%c] o",
             p->duel ? 'x' : ' ');
    put_row(g, in, &y, "then", text, UI_TEXT);
    y++;
    ui_put(g, in.x + 7, y, in.w - 7, UI_KEY,
           "y  merge      n  go back      p  full plan      e  folder");
    g->cursor_x = in.x + 7;
    g->cursor_y = y;
}
