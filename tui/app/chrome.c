/* chrome.c - the frame around every screen: title, tabs with the gauge, message, hints, F-keys;
 * and which popup lies on top (screens.md 1.2). */
#include "tui/app/chrome.h"

#include "tui/draw/widgets.h"
#include "tui/draw/wrap.h"
#include "tui/screens/screens.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MOST_REASON_ROWS = 4 };

/* --- tabs --- */

const ui_tab ui_tabs[UI_N_TABS] = {{UI_RING, "1 Ring"},       {UI_DUEL, "2 Duel"},
                                   {UI_BOARD, "3 Board"},     {UI_JOBS, "4 Jobs"},
                                   {UI_RECIPES, "5 Recipes"}, {UI_MODELS, "6 Models"}};

const ui_fkey ui_fkeys[10] = {
    {"Help", "help"},   {"Setup", "options"}, {"Find", "find"}, {"Filter", "filter"},
    {"Merge", "merge"}, {"Fisher", "fisher"}, {"Tune", "tune"}, {"Duel", "versus"},
    {"Stop", "stop"},   {"Quit", "quit"}};

static void draw_tabs(const ui_app *a, ui_grid *g)
{
    int x = 0;
    ui_screen_id here = a->screen == UI_DETAIL ? UI_RING : a->screen;
    for (int i = 0; i < UI_N_TABS; i++) {
        const ui_tab *t = &ui_tabs[i];
        int w = (int)strlen(t->label);
        bool built = ui_screens[t->screen] != NULL, current = t->screen == here;
        if (built) ui_put(g, x + 1, 1, w, current ? UI_TAB : UI_TEXT, t->label);
        if (current) {
            ui_put(g, x, 1, 1, UI_TAB, "[");
            ui_put(g, x + w + 1, 1, 1, UI_TAB, "]");
        }
        x += w + 2;
    }
}

/* --- the gauge --- */

static const char *stale_cell(const ui_app *a)
{
    return ui_doc_is_old(&a->doc) || !a->doc.at.measure || !a->doc.at.measure->complete
               ? "~"
               : " ";
}

static void put_share(char *dst, size_t n, const ui_app *a, double v)
{
    if (isnan(v))
        snprintf(dst, n, "%s", ui_glyph_at((ui_glyph_level)a->opt.glyphs, UI_G_UNKNOWN));
    else
        snprintf(dst, n, "%.0f %%", v * 100);
}

/* The stage or output that the budget counts, and how much of it there is. */
static bool budget_is_of(const rs_recipe *r, const char *what)
{
    return r->budget > 0 && r->budget_of && what && strcmp(r->budget_of, what) == 0;
}

double ui_budget_used(const ui_app *a)
{
    const rs_recipe *r = a->doc.at.recipe;
    const rs_measure *m = a->doc.at.measure;
    if (!r || !m) return NAN;
    const rs_stage *fuel = rs_recipe_fuel(r);
    if (budget_is_of(r, "out")) return m->all.out;
    return budget_is_of(r, fuel ? fuel->name : NULL) ? m->all.damage : NAN;
}

static void stage_part(const ui_app *a, char *dst, size_t n)
{
    const rs_recipe *r = a->doc.at.recipe;
    const rs_stage *s = r ? rs_recipe_fuel(r) : NULL;
    const rs_measure *m = a->doc.at.measure;
    dst[0] = 0;
    if (!s || !m || isnan(m->all.damage)) return;
    if (budget_is_of(r, s->name))
        snprintf(dst, n, "   %.20s%s%.4f/%.4f", s->name, stale_cell(a), m->all.damage,
                 r->budget);
    else
        snprintf(dst, n, "   %.20s%s%.4f", s->name, stale_cell(a), m->all.damage);
}

static void draw_gauge(const ui_app *a, ui_grid *g)
{
    char text[200], style[32], changed[32], stage[80], out[40];
    const rs_recipe *r = a->doc.at.recipe;
    const rs_measure *m = a->doc.at.measure;
    ui_glyph_level l = g->glyphs;
    if (!r) return;
    bool known = m && !isnan(m->all.out);
    bool of_out = budget_is_of(r, "out");
    ui_num number = ui_num_nat(l, known ? m->all.out : NAN);
    snprintf(out, sizeof out, "%s",
             known ? number.s + strspn(number.s, " ") : ui_glyph_at(l, UI_G_UNKNOWN));
    if (known && of_out && g->width >= 100)
        snprintf(out + strlen(out), sizeof out - strlen(out), "/%.4f", r->budget);
    put_share(style, sizeof style, a, m ? m->all.kept : NAN);
    put_share(changed, sizeof changed, a, m ? m->all.changed : NAN);
    stage_part(a, stage, sizeof stage);
    const char *state = known ? stale_cell(a) : " ";
    if (g->width >= 100)
        snprintf(text, sizeof text, "out%s%s %s%s   style%s%s   changed%s%s", state, out,
                 ui_damage_unit(a), stage, state, style,
                 m && m->all.survival_stale ? "~" : " ", changed);
    else
        snprintf(text, sizeof text, "out%s%s  style%s%s", state, out, state, style);
    int w = ui_text_width(text, strlen(text)), from = 0;
    for (int i = 0, at = 0; i < UI_N_TABS; i++) {
        at += (int)strlen(ui_tabs[i].label) + 2;
        if (ui_screens[ui_tabs[i].screen]) from = at; /* blank tabs give way */
    }
    double budget = r->budget, used = ui_budget_used(a);
    ui_role role = budget > 0 && used > budget ? UI_ERROR
                   : m && m->outside           ? UI_WARN
                   : *state == '~'             ? UI_STALE
                                               : UI_TEXT;
    int x = g->width - 1 - w;
    if (x < from) x = from;
    ui_put(g, x, 1, g->width - x, role, text);
}

/* --- the title --- */

static int count_failed(const ui_app *a)
{
    int n = 0;
    for (int i = 0; i < a->jobs.n; i++)
        n += a->jobs.at[i].job.state == UI_JOB_FAILED && !a->jobs.at[i].seen_failure;
    return n;
}

static void one_job(const ui_app *a, const ui_job *j, bool wide, char dst[96])
{
    ui_glyph_level l = (ui_glyph_level)a->opt.glyphs;
    int share = j->total ? (int)(j->done * 100 / j->total) : 0;
    bool bytes = strcmp(j->unit, "bytes") == 0;
    ui_num rate = j->rate <= 0 ? (ui_num){""}
                  : bytes      ? ui_num_byte_rate(l, j->rate)
                               : ui_num_rate(l, j->rate, j->unit);
    ui_num left = j->seconds_left < 0 ? (ui_num){""} : ui_num_time(l, j->seconds_left);
    snprintf(dst, 96, "%s %d %%%s%s%s%s%s", j->kind, share, rate.s[0] ? "  " : "", rate.s,
             left.s[0] ? "  " : "", left.s, left.s[0] && wide ? " left" : "");
}

void ui_title_job(const ui_app *a, bool wide, char dst[96])
{
    int running = ui_jobs_count(a, UI_JOB_RUNNING), failed = count_failed(a);
    if (failed)
        snprintf(dst, 96, "%d failed", failed);
    else if (running > 1)
        snprintf(dst, 96, "%d running", running);
    else if (running == 1) {
        for (int i = 0; i < a->jobs.n; i++)
            if (a->jobs.at[i].job.state == UI_JOB_RUNNING)
                one_job(a, &a->jobs.at[i].job, wide, dst);
    } else if (a->jobs.ended_at > 0 && a->wall - a->jobs.ended_at < 60) {
        snprintf(dst, 96, "job %d ended", a->jobs.ended_id);
    } else {
        snprintf(dst, 96, "no job");
    }
}

static void scenes_text(const ui_app *a, char dst[24])
{
    int at = snprintf(dst, 24, "scenes");
    for (int i = 0; i < 3; i++) {
        bool here = i == a->i_scene;
        char name = here || a->scene[i].text ? (char)('A' + i) : '-';
        at += snprintf(dst + at, (size_t)(24 - at), here ? " [%c]" : " %c", name);
    }
}

/* "it + 7 adapters" */
static void inputs_text(const ui_app *a, char dst[64])
{
    const rs_recipe *r = a->doc.at.recipe;
    const rs_stage *s = r ? rs_recipe_fuel(r) : NULL;
    dst[0] = 0;
    if (!s || !s->base) return;
    int adapters = 0;
    for (int i = 0; i < s->n_inputs; i++) {
        const rs_model_entry *m = rs_recipe_model(r, s->inputs[i].from);
        adapters += m && m->adapter;
    }
    const char *word = adapters == s->n_inputs ? "adapter" : adapters ? "input" : "model";
    snprintf(dst, 64, "%.30s + %d %s%s", s->base, s->n_inputs, word,
             s->n_inputs == 1 ? "" : "s");
}

static void draw_title(const ui_app *a, ui_grid *g)
{
    char job[96], version[24] = "", scenes[24], inputs[64], gone[8] = "";
    bool wide = g->width >= 120;
    ui_title_job(a, wide, job);
    int w = ui_text_width(job, strlen(job)), end = g->width - 1 - w;
    bool failed = count_failed(a) > 0;
    ui_put(g, end, 0, w, failed ? UI_ERROR : UI_TEXT, job);
    int x = ui_put(g, 1, 0, -1, UI_ACCENT, "ringside") + 3;
    const rs_recipe *r = a->doc.at.recipe;
    const ui_file *f = ui_doc_file_of(&a->doc);
    const char *name = r && r->name ? r->name : "no recipe";
    if (f && f->version > 0) snprintf(version, sizeof version, "  v%d", f->version);
    if (r && !ui_doc_is_saved(&a->doc)) snprintf(gone, sizeof gone, "*");
    scenes_text(a, scenes);
    inputs_text(a, inputs);
    bool ring = a->screen == UI_RING || a->screen == UI_DETAIL;
    if (!wide) inputs[0] = 0;
    if (!wide && !ring) scenes[0] = 0;
    int rest = (int)strlen(version) + 1 + (inputs[0] ? (int)strlen(inputs) + 3 : 0) +
               (scenes[0] ? (int)strlen(scenes) + 3 : 0) + 2;
    int room = end - x - rest;
    if (room < 12) scenes[0] = 0, room = end - x - (int)strlen(version) - 3;
    x += ui_put_end(g, x, 0, room > 4 ? room : 4, UI_ACCENT, name);
    x += ui_put(g, x, 0, -1, UI_WARN, gone);
    x += ui_put(g, x, 0, -1, UI_TEXT, version);
    if (inputs[0] && room >= 12)
        x += 3 + ui_put(g, x + 3, 0, end - x - 3, UI_TEXT, inputs);
    if (scenes[0]) ui_put(g, x + 3, 0, end - x - 3, UI_TEXT, scenes);
}

/* --- the three rows at the bottom --- */

static void draw_fkeys(ui_grid *g)
{
    bool words = g->width >= 80, wide = g->width >= 100;
    int x = 1;
    for (int i = 0; i < 10; i++) {
        const ui_fkey *k = &ui_fkeys[i];
        char key[8];
        bool works = ui_command_named(k->command, UI_N_SCREENS) != NULL;
        snprintf(key, sizeof key, "F%d", i + 1);
        x += ui_put(g, x, g->height - 1, -1, UI_KEY, key) + (wide ? 1 : 0);
        if (words && works) ui_put(g, x, g->height - 1, -1, UI_TEXT, k->label);
        x += (words ? (int)strlen(k->label) : 0) + (wide ? 2 : 1);
        if (!words) x++;
    }
}

static bool reason_is_hint(const ui_app *a, const ui_grid *g)
{
    int w = ui_text_width(a->message, strlen(a->message));
    return a->opt.hints && a->message[0] && w <= g->width - 2;
}

static void draw_hints(const ui_app *a, ui_grid *g)
{
    rs_buf b = {0};
    if (a->prompt && reason_is_hint(a, g)) {
        ui_put(g, 1, g->height - 2, g->width - 2, UI_WARN, a->message);
        return;
    }
    ui_hint_text(a, &b);
    ui_draw_hints(g, 1, g->height - 2, g->width - 2, rs_buf_str(&b));
    rs_buf_free(&b);
}

static int message_row(const ui_app *a, const ui_grid *g)
{
    return g->height - 2 - (a->opt.hints ? 1 : 0);
}

/* Why something was refused, whole: rows of its own from y upwards over the body. */
static void draw_reason(const ui_app *a, ui_grid *g, int y)
{
    ui_wrap lines = {0};
    size_t n = strlen(a->message);
    if (!ui_wrap_text(&lines, a->message, n, g->width - 2)) return;
    int rows = lines.n < MOST_REASON_ROWS ? lines.n : MOST_REASON_ROWS;
    int top = y - rows + 1;
    for (int i = 0; i < rows; i++) {
        ui_fill(g, (ui_rect){0, top + i, g->width, 1}, UI_TEXT, " ");
        ui_put_line(g, 1, top + i, g->width - 2, UI_WARN, a->message, &lines.at[i], NULL,
                    0);
    }
    ui_wrap_free(&lines);
}

/* The hint row has room for one row of reason; a longer one, and any without hints, stands
 * above the line that was refused. */
static void draw_prompt(const ui_app *a, ui_grid *g, ui_rect body, int y)
{
    ui_prompt_view(a->prompt, g, body, (ui_rect){0, y, g->width, 1});
    if (a->message[0] && !reason_is_hint(a, g)) draw_reason(a, g, y - 1);
}

static void draw_message(const ui_app *a, ui_grid *g, ui_rect body)
{
    int y = message_row(a, g);
    if (a->prompt) {
        draw_prompt(a, g, body, y);
        return;
    }
    if (a->mode == UI_MODE_ASK) {
        ui_put_end(g, 1, y, g->width - 2, UI_WARN, a->ask.text);
        g->cursor_x = 1;
        g->cursor_y = y;
        return;
    }
    if (a->mode == UI_MODE_MORPH) {
        int w = ui_printf(g, 1, y, -1, UI_EDIT, "morph %c to %c  %.2f ",
                          'A' + a->morph.from, 'A' + a->morph.to, a->morph.x);
        ui_draw_slider(g, 2 + w, y, 24, a->morph.x, 0, 1, UI_EDIT);
        return;
    }
    if (a->message_warns)
        draw_reason(a, g, y);
    else
        ui_put_end(g, 1, y, g->width - 2, UI_TEXT, a->message);
}

/* What the dozen keys of the hint row are, for the mode or the screen. */
void ui_hint_text(const ui_app *a, rs_buf *b)
{
    const ui_screen *s = ui_screens[a->screen];
    switch (a->mode) {
    case UI_MODE_PROMPT:
    case UI_MODE_ENTRY:
        ui_prompt_hint(a->prompt, b);
        return;
    case UI_MODE_MENU:
        rs_buf_puts(b, "Up Down  move  Enter takes  Esc leaves  letters search");
        return;
    case UI_MODE_PAGE:
        rs_buf_puts(b, "j k scroll  g G ends  q closes");
        return;
    case UI_MODE_ASK:
        rs_buf_puts(b, a->ask.keys[0] ? "Esc goes back" : "y yes  n no  Esc no");
        return;
    case UI_MODE_PLAN:
        rs_buf_puts(b, "y merge  n back  p whole plan  e folder  o switch");
        return;
    case UI_MODE_MORPH:
        rs_buf_puts(b, "h/l 0.05  H/L 0.25  Enter keeps  Esc goes back");
        return;
    default:
        break;
    }
    if (a->tour.step) rs_buf_puts(b, "Enter next  BackSpace back  Esc leave the tour  ");
    if (a->rows.ranging && a->screen == UI_RING)
        rs_buf_puts(b, "Enter marks the range  Esc leaves  ");
    if (s && s->hints) s->hints(a, b);
}

/* --- popups, toast, too small --- */

static void draw_toast(const ui_app *a, ui_grid *g, ui_rect body)
{
    if (!a->n_toasts) return;
    const char *text = a->toast[0], *body_text = strchr(text, '\n');
    char title[160], foot[120];
    snprintf(title, sizeof title, "! %.*s", (int)(body_text ? body_text - text : 5),
             body_text ? text : "error");
    body_text = body_text ? body_text + 1 : text;
    int w = body.w > 72 ? 72 : body.w - 2;
    ui_wrap lines = {0};
    if (!ui_wrap_text(&lines, body_text, strlen(body_text), w - 4)) return;
    int h = lines.n + 3;
    if (h > body.h) h = body.h;
    ui_rect box = {body.x + (body.w - w) / 2, body.y + body.h - h, w, h};
    ui_rect in = ui_draw_popup(g, box, title);
    for (int i = 0; i < lines.n && i < in.h - 1; i++)
        ui_put_line(g, in.x, in.y + i, in.w, UI_TEXT, body_text, &lines.at[i], NULL, 0);
    ui_wrap_free(&lines);
    int y = in.y + in.h - 1;
    snprintf(foot, sizeof foot, "4 opens Jobs   Esc hides this");
    if (a->n_toasts > 1)
        snprintf(foot, sizeof foot, "4 opens Jobs   Esc hides this   %d more",
                 a->n_toasts - 1);
    ui_put(g, in.x, y, in.w, UI_KEY, foot);
    ui_put_right(g, in.x, y, in.w, UI_DIM,
                 ui_num_clock(g->glyphs, a->toast_wall, a->wall).s);
}

static void draw_popup(const ui_app *a, ui_grid *g, ui_rect body)
{
    switch (a->mode) {
    case UI_MODE_MENU:
        ui_menu_view(&a->menu, g, body);
        break;
    case UI_MODE_PAGE:
        ui_page_view(&a->page, g, body);
        break;
    case UI_MODE_HELP:
        ui_help_view(a->help, g, body);
        break;
    case UI_MODE_PALETTE:
        ui_palette_view(a->palette, g, body);
        break;
    case UI_MODE_PLAN:
        ui_merge_view(a, g, body);
        break;
    case UI_MODE_NONE:
        if (a->tour.step) ui_tour_view(a, g, body);
        break;
    default:
        break;
    }
    draw_toast(a, g, body);
}

static void draw_too_small(const ui_app *a, ui_grid *g)
{
    char job[96];
    ui_title_job(a, false, job);
    int w = g->width - 2;
    ui_put(g, 2, 2, w, UI_TEXT, "ringside needs 60 columns and 16 rows.");
    ui_printf(g, 2, 3, w, UI_TEXT, "This window has %d and %d.", g->width, g->height);
    ui_put(g, 2, 5, w, UI_TEXT, "Make it larger, or choose a smaller font.");
    bool unsaved = a->doc.at.recipe && !ui_doc_is_saved(&a->doc);
    ui_printf(g, 2, 6, w, UI_TEXT, "%s%s", job,
              unsaved ? "   recipe unsaved, kept in the" : "");
    if (unsaved) ui_put(g, 2, 7, w, UI_TEXT, "session");
    ui_put(g, 2, g->height > 9 ? 9 : g->height - 1, w, UI_KEY, "Q quit   ^Z suspend");
}

/* A held screen keeps its cells; only the message row tells how to go on. */
static bool draw_frozen(const ui_app *a, ui_grid *g)
{
    const ui_cell *c = ui_grid_at(g, 1, 0);
    if (!a->frozen || !c || c->cp[0] != 'r') return false;
    int y = message_row(a, g);
    ui_fill(g, (ui_rect){0, y, g->width, 1}, UI_TEXT, " ");
    ui_put(g, 1, y, g->width - 2, UI_WARN, "held: Z lets the screen go");
    return true;
}

void ui_view(const ui_app *a, ui_grid *g)
{
    g->glyphs = (ui_glyph_level)a->opt.glyphs;
    g->mono = a->mono || strcmp(ui_app_theme(a), "mono") == 0;
    if (draw_frozen(a, g)) return;
    ui_grid_clear(g);
    if (g->width < 60 || g->height < 16) {
        draw_too_small(a, g);
        return;
    }
    ui_rect body = ui_body(a);
    body.w = g->width;
    body.h = g->height - 4 - (a->opt.hints ? 1 : 0);
    const ui_screen *s = ui_screens[a->screen];
    draw_title(a, g);
    draw_tabs(a, g);
    draw_gauge(a, g);
    if (s) s->view(a, g, body);
    if (a->opt.hints) draw_hints(a, g);
    draw_fkeys(g);
    draw_popup(a, g, body);
    draw_message(a, g, body);
}
