/* ring_view.c - Ring as a whole: its parts by the layout, the summary line and the preview. */
#include "tui/app/chrome.h"
#include "tui/draw/widgets.h"
#include "tui/draw/wrap.h"
#include "tui/screens/screens.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- damage, style, budget on one line --- */

static void layer_values(const ui_app *a, double *damage, double *kept)
{
    const rs_measure *m = a->doc.at.measure;
    for (int l = 0; l < a->doc.n_layers; l++) {
        damage[l] = m ? m->layer[l].damage : NAN;
        kept[l] = m ? m->layer[l].kept : NAN;
    }
}

static double largest(const double *v, int n)
{
    double max = 0;
    for (int i = 0; i < n; i++)
        if (v[i] > max) max = v[i];
    return max > 0 ? max : 1;
}

static int draw_budget(const ui_app *a, ui_grid *g, int x, int y, int w,
                       const char *state)
{
    const rs_recipe *r = a->doc.at.recipe;
    const rs_stage *s = rs_recipe_fuel((rs_recipe *)r);
    double used = ui_budget_used(a), budget = r->budget;
    if (!(budget > 0)) {
        const rs_measure *m = a->doc.at.measure;
        return ui_printf(g, x, y, -1, UI_DIM, "%.20s%s%s  no budget", s ? s->name : "out",
                         state, ui_num_nat(g->glyphs, m ? m->all.damage : NAN).s);
    }
    bool over = used > budget;
    ui_role role = over ? UI_ERROR : used >= 0.9 * budget ? UI_WARN : UI_GOOD;
    int at = x + ui_printf(g, x, y, -1, UI_TEXT, "%.20s%s",
                           r->budget_of ? r->budget_of : "", state);
    ui_draw_gauge(g, at, y, w, isnan(used) ? 0 : used / budget,
                  role == UI_GOOD ? UI_BAR : role);
    at += w + 1;
    ui_num n = ui_num_nat(g->glyphs, used);
    at += ui_printf(g, at, y, -1, role == UI_GOOD ? UI_TEXT : role, "%s/%.4f%s",
                    n.s + strspn(n.s, " "), budget, over ? " OVER" : "");
    return at - x;
}

static void draw_summary(const ui_app *a, ui_grid *g, ui_rect r)
{
    int n = a->doc.n_layers;
    const rs_measure *m = a->doc.at.measure;
    if (n == 0 || r.h == 0) return;
    double *damage = ui_alloc((size_t)n, sizeof *damage),
           *kept = ui_alloc((size_t)n, sizeof *kept);
    layer_values(a, damage, kept);
    const char *state = ui_doc_is_old(&a->doc) ? "~" : " ";
    int w = n < (r.w - 56) / 2 ? n : (r.w - 56) / 2;
    if (w < 4) w = 4;
    int x = r.x + 1;
    x += ui_printf(g, x, r.y, -1, UI_TEXT, "damage%s", state);
    x += ui_draw_spark(g, x, r.y, w, damage, n, largest(damage, n), UI_BAR);
    ui_num sum = ui_num_mnat(g->glyphs, m ? m->all.damage : NAN);
    x += ui_printf(g, x, r.y, -1, UI_TEXT, " %s  style%s", sum.s, state);
    x += ui_draw_spark(g, x, r.y, w, kept, n, 1, UI_BAR);
    draw_budget(a, g, x + 2, r.y, r.w < 72 ? 6 : 12, state);
    free(damage);
    free(kept);
}

/* --- three rows under a list that does not fit --- */

static void draw_strip(const ui_app *a, ui_grid *g, ui_rect r)
{
    int n = a->doc.n_layers, worst = 0;
    const rs_measure *m = a->doc.at.measure;
    if (n == 0 || r.h < 4) return;
    double *damage = ui_alloc((size_t)n, sizeof *damage),
           *kept = ui_alloc((size_t)n, sizeof *kept);
    layer_values(a, damage, kept);
    for (int l = 0; l < n; l++)
        if (damage[l] > damage[worst]) worst = l;
    char title[48];
    snprintf(title, sizeof title, "all %d layers", n);
    ui_draw_title(g, r.x, r.y, r.w, title, false);
    const char *state = ui_doc_is_old(&a->doc) ? "~" : " ";
    int w = n < r.w - 62 ? n : r.w - 62, x = r.x + 8, right = x + w + 2;
    ui_printf(g, r.x + 1, r.y + 1, -1, UI_TEXT, "damage%s", state);
    ui_draw_spark(g, x, r.y + 1, w, damage, n, largest(damage, n), UI_BAR);
    if (m && !isnan(m->all.damage)) {
        ui_num sum = ui_num_mnat(g->glyphs, m->all.damage),
               big = ui_num_mnat(g->glyphs, damage[worst]);
        int at = right + ui_printf(g, right, r.y + 1, -1, UI_TEXT, "sum %s mnat",
                                   sum.s + strspn(sum.s, " "));
        if (rs_recipe_heal(a->doc.at.recipe) && !isnan(m->all.out))
            at += ui_printf(g, at, r.y + 1, -1, UI_TEXT, ", heal adds %.1f",
                            (m->all.out - m->all.damage) * 1000);
        ui_printf(g, at + 3, r.y + 1, -1, UI_TEXT, "largest: layer %d, %s", worst,
                  big.s + strspn(big.s, " "));
    }
    ui_printf(g, r.x + 1, r.y + 2, -1, UI_TEXT, "style%s", state);
    ui_draw_spark(g, x, r.y + 2, w, kept, n, 1, UI_BAR);
    draw_budget(a, g, right, r.y + 2, 26, state);
    ui_put(g, r.x + 1, r.y + 3, -1, UI_TEXT, "shown");
    ui_ring_layout l = ui_ring_layout_of(a, ui_body(a));
    ui_draw_extent(g, x, r.y + 3, w, a->rows.top, l.visible, n);
    ui_printf(g, right, r.y + 3, r.x + r.w - right, UI_DIM,
              "F full  S sliding  %s no own k, v  = slerp is lerp in storage",
              ui_glyph(g, UI_G_NONE));
    free(damage);
    free(kept);
}

/* --- the preview --- */

static bool preview_running(const ui_app *a)
{
    return a->text.running;
}

static void preview_age(const ui_app *a, bool wide, char dst[240])
{
    const ui_pane *p = &a->text;
    uint64_t edits = p->serial ? ui_doc_edits_since(&a->doc, p->serial) : 0;
    if (p->note[0] && (p->waits || !p->n_tokens))
        snprintf(dst, 240, "%.200s", p->note);
    else if (p->weights_total)
        snprintf(dst, 240, "weights %lld of %lld tensors ~", (long long)p->weights_done,
                 (long long)p->weights_total);
    else if (!p->n_tokens && !p->running)
        snprintf(dst, 240, "%s", a->opt.preview == UI_PREVIEW_OFF ? "off: r writes" : "");
    else if (!p->n_tokens)
        snprintf(dst, 240, "waiting for the first token");
    else if (edits)
        snprintf(dst, 240, "%s%llu edit%s ago ~", wide ? "weights " : "",
                 (unsigned long long)edits, edits > 1 ? "s" : "");
    else
        snprintf(dst, 240, "%snow", wide ? "weights " : "");
}

/* The prompt's text, cut at a word. */
static void quote(const ui_app *a, int room, char *dst, size_t n)
{
    const char *text = a->pinned.title ? a->pinned.title : "";
    const char *dots = ui_glyph_at((ui_glyph_level)a->opt.glyphs, UI_G_ELLIPSIS);
    int dots_w = ui_text_width(dots, strlen(dots));
    char line[400];
    snprintf(line, sizeof line, "%s", text);
    for (char *s = line; *s; s++)
        if (*s == '\n') *s = ' ';
    if (ui_text_width(line, strlen(line)) <= room) {
        snprintf(dst, n, "\"%s\"", line);
        return;
    }
    size_t cut = 0;
    for (size_t i = 0; line[i]; i++)
        if (line[i] == ' ' && ui_text_width(line, i) + dots_w <= room) cut = i;
    snprintf(dst, n, "\"%.*s%s\"", (int)cut, line, dots);
}

static void draw_preview_head(const ui_app *a, ui_grid *g, ui_rect r, bool wide)
{
    if (r.h == 0) return;
    char age[240], quoted[460], title[1000];
    rs_buf sampler = {0};
    ui_num rate =
        a->text.rate > 0 ? ui_num_rate(g->glyphs, a->text.rate, "tok/s") : (ui_num){""};
    preview_age(a, wide, age);
    ui_sampling_short(&a->sampling, &sampler);
    bool none = !a->pinned.title;
    snprintf(title, sizeof title, "preview %s%s%s  seed %llu  %s%s%s%s%s",
             a->pinned.id ? a->pinned.id : "", a->pinned.id && a->pinned.id[0] ? " " : "",
             "\x01", (unsigned long long)a->sampling.p.seed, rs_buf_str(&sampler),
             rate.s[0] ? "  " : "", rate.s, age[0] ? "  " : "", age);
    int room = r.w - ui_text_width(title, strlen(title)) - 10;
    quote(a, room < 12 ? 12 : room, quoted, sizeof quoted);
    char *hole = strchr(title, '\x01'), full[1600];
    snprintf(full, sizeof full, "%.*s%s%s", (int)(hole - title), title,
             none ? "no prompt: P pins one" : quoted, hole + 1);
    ui_draw_title(g, r.x, r.y, r.w, full, a->focus == UI_FOCUS_TEXT);
    rs_buf_free(&sampler);
}

static size_t shown_text(const ui_app *a, rs_buf *out)
{
    size_t n_new = 0;
    ui_pane_shown(&a->text, out, &n_new);
    return n_new;
}

int ui_ring_text_lines(const ui_app *a, const ui_ring_layout *l)
{
    rs_buf b = {0};
    ui_wrap w = {0};
    shown_text(a, &b);
    ui_wrap_text(&w, rs_buf_str(&b), b.len, l->text.w > 3 ? l->text.w - 2 : 1);
    int n = w.n;
    ui_wrap_free(&w);
    rs_buf_free(&b);
    return n;
}

static void draw_gutters(const ui_app *a, ui_grid *g, ui_rect r, const ui_wrap *w,
                         int top)
{
    const ui_pane *p = &a->text;
    int differs = p->has_differs ? ui_wrap_line_of(w, p->differs) - top : -1;
    int reread = p->has_reread ? ui_wrap_line_of(w, p->reread) - top : -1;
    if (reread >= 0 && reread < r.h)
        ui_put(g, r.x, r.y + reread, 1, UI_DIM, ui_glyph(g, UI_G_REREAD));
    if (differs >= 0 && differs < r.h)
        ui_put(g, r.x, r.y + differs, 1, UI_DIVERGE, ui_glyph(g, UI_G_DIVERGE));
}

void ui_ring_draw_text(const ui_app *a, ui_grid *g, const ui_ring_layout *l)
{
    ui_rect r = l->text;
    rs_buf b = {0};
    ui_wrap w = {0};
    if (r.h == 0 || r.w < 4) return;
    size_t n_new = shown_text(a, &b);
    bool running = preview_running(a);
    if (!ui_wrap_text(&w, rs_buf_str(&b), b.len, r.w - 2)) return;
    int last = w.n > r.h ? w.n - r.h : 0;
    /* While the front is being overwritten, the end of the old text is not followed. */
    int head = ui_wrap_line_of(&w, n_new ? n_new - 1 : 0);
    if (running && b.len > n_new && head - r.h + 2 < last)
        last = head - r.h + 2 > 0 ? head - r.h + 2 : 0;
    int top = a->text_top < 0 || a->text_top > last ? last : a->text_top;
    bool stale =
        a->text.serial && ui_doc_edits_since(&a->doc, a->text.serial) && !running;
    ui_span old = {n_new, b.len, UI_DIM};
    for (int i = 0; i < r.h && top + i < w.n; i++)
        ui_put_line(g, r.x + 1, r.y + i, r.w - 2, stale ? UI_STALE : UI_TEXT,
                    rs_buf_str(&b), &w.at[top + i], &old, 1);
    draw_gutters(a, g, r, &w, top);
    if (running && head >= top && head - top < r.h) {
        const ui_line *line = &w.at[head];
        size_t upto = n_new > line->from ? n_new - line->from : 0;
        int x = r.x + 1 + ui_text_width(rs_buf_str(&b) + line->from, upto);
        if (x < r.x + r.w)
            ui_put(g, x, r.y + head - top, 1, UI_TEXT, ui_glyph(g, UI_G_WRITING));
    }
    ui_wrap_free(&w);
    rs_buf_free(&b);
}

/* --- all --- */

static void draw_problem(const ui_app *a, ui_grid *g, ui_rect body)
{
    ui_wrap w = {0};
    const char *text = a->doc.at.recipe ? a->doc.at.problem.msg
                                        : "No recipe is open. :load RECIPE opens one; "
                                          ":load luchador-miniature the demo.";
    bool waits = a->doc.at.problem.code == RS_E_NOT_FOUND && ui_describes_files(a);
    ui_put(g, 2, body.y + 1, -1, UI_WARN,
           !a->doc.at.recipe ? "nothing is open"
           : waits           ? "something that this recipe needs is not there"
                             : "this recipe cannot be used as it is");
    if (!ui_wrap_text(&w, text, strlen(text), body.w - 6)) return;
    for (int i = 0; i < w.n && i < body.h - 4; i++)
        ui_put_line(g, 4, body.y + 3 + i, body.w - 6, UI_TEXT, text, &w.at[i], NULL, 0);
    ui_put(g, 2, body.y + 4 + w.n, -1, UI_DIM,
           ui_describes_files(a)
               ? "Enter or :prepare makes what is missing, e opens the editor, R reads again"
               : "e opens it in the editor, R reads the files again, :load opens another");
    ui_wrap_free(&w);
}

void ui_ring_view(const ui_app *a, ui_grid *g, ui_rect body)
{
    if (!a->doc.at.plan) {
        draw_problem(a, g, body);
        return;
    }
    ui_ring_layout l = ui_ring_layout_of(a, body);
    if (l.head.h) {
        ui_ring_draw_controls(a, g, l.controls, l.wide);
        ui_ring_draw_rows(a, g, &l);
    }
    draw_summary(a, g, l.summary);
    if (l.strip.h) draw_strip(a, g, l.strip);
    if (l.panels.h) ui_ring_draw_panels(a, g, &l);
    if (l.compact && !l.beside && l.strip.h) ui_ring_draw_panels(a, g, &l);
    draw_preview_head(a, g, l.preview_head, l.wide);
    ui_ring_draw_text(a, g, &l);
}
