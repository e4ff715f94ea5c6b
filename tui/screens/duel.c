/* duel.c - two recipes writing from the same prompt, seed and sampler, side by side. */
#include "tui/draw/widgets.h"
#include "tui/draw/wrap.h"
#include "tui/screens/screens.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { GUTTER = 3, LEAST_PROMPT = 24 };

const ui_pane *ui_duel_pane(const ui_app *a, int side)
{
    return side ? &a->duel.b : &a->text;
}

/* Both sides' places: x and width of the whole half. */
static void halves(int w, int side, int *x, int *half)
{
    *x = side ? w / 2 + 1 : 0;
    *half = side ? w - w / 2 - 1 : w / 2;
}

static int text_width(int w, int side)
{
    int x, half;
    halves(w, side, &x, &half);
    return half - GUTTER - 2 > 1 ? half - GUTTER - 2 : 1;
}

int ui_duel_paragraphs(const ui_app *a, int side)
{
    const ui_pane *p = ui_duel_pane(a, side);
    ui_wrap w = {0};
    int n = 0;
    if (ui_wrap_text(&w, rs_buf_str(&p->text), p->text.len, text_width(a->width, side)) &&
        w.n)
        n = w.at[w.n - 1].paragraph + 1;
    ui_wrap_free(&w);
    return n;
}

/* --- heads --- */

static const char *stop_words(const ui_pane *p)
{
    if (strcmp(p->stop, "eos") == 0) return "ended by itself";
    if (strcmp(p->stop, "length") == 0) return "stopped at its length";
    if (strcmp(p->stop, "string") == 0) return "ended at a stop string";
    return p->stop;
}

static void state_words(const ui_app *a, char dst[200])
{
    const ui_pane *x = &a->text, *y = &a->duel.b;
    if (x->waits || y->waits || (x->note[0] && !x->n_tokens))
        snprintf(dst, 200, "%.190s", x->note);
    else if (!x->n_tokens && !y->n_tokens)
        snprintf(dst, 200, "%s",
                 x->running ? "waiting for the first token" : "r writes both");
    else if (x->running || y->running)
        snprintf(dst, 200, "%s",
                 x->running && y->running ? "both writing"
                 : x->running             ? "A is writing"
                                          : "B is writing");
    else if (strcmp(x->stop, y->stop) == 0 && x->n_tokens == y->n_tokens)
        snprintf(dst, 200, "both %s, %d tokens",
                 strcmp(x->stop, "length") == 0 ? "stopped" : stop_words(x), x->n_tokens);
    else
        snprintf(dst, 200, "A %s, %d tokens; B %s, %d", stop_words(x), x->n_tokens,
                 stop_words(y), y->n_tokens);
}

static void draw_prompt_row(const ui_app *a, ui_grid *g, ui_rect r)
{
    char state[200], tail[400], text[300];
    rs_buf sampler = {0};
    state_words(a, state);
    ui_sampling_short(&a->sampling, &sampler);
    snprintf(tail, sizeof tail, "  seed %llu  %s  %s",
             (unsigned long long)a->sampling.p.seed, rs_buf_str(&sampler), state);
    rs_buf_free(&sampler);
    if (ui_text_width(tail, strlen(tail)) > r.w - LEAST_PROMPT)
        snprintf(tail, sizeof tail, "  %s", state);
    int room = r.w - 2 - ui_text_width(tail, strlen(tail)) - 8, x = 1;
    snprintf(text, sizeof text, "%s",
             a->pinned.title ? a->pinned.title : "no prompt: P pins one");
    for (char *s = text; *s; s++)
        if (*s == '\n') *s = ' ';
    if (a->pinned.id && a->pinned.id[0])
        x += ui_printf(g, x, r.y, -1, UI_TEXT, "%s ", a->pinned.id);
    x += ui_put(g, x, r.y, 1, UI_TEXT, "\"");
    x += ui_put_end(g, x, r.y, room > 10 ? room : 10, UI_TEXT, text);
    x += ui_put(g, x, r.y, 1, UI_TEXT, "\"");
    ui_put(g, x, r.y, r.w - x, UI_DIM, tail);
}

static void stages_words(const rs_recipe *r, char dst[64])
{
    size_t at = 0;
    dst[0] = 0;
    for (int i = 0; i < r->n_stages && at < 63; i++)
        at += (size_t)snprintf(dst + at, 64 - at, "%s%.14s", i ? " > " : "",
                               r->stages[i].name);
}

static void draw_name(const ui_app *a, ui_grid *g, ui_rect r, int side)
{
    const ui_duel *d = &a->duel;
    const rs_recipe *recipe = side ? d->recipe : a->doc.at.recipe;
    const rs_measure *m = side ? d->measure : a->doc.at.measure;
    const ui_file *f = ui_doc_file_of(&a->doc);
    int version = side ? d->version : f ? f->version : 0;
    bool unsaved = !side && !ui_doc_is_saved(&a->doc),
         stale = !side && ui_doc_edits_since(&a->doc, d->a_serial);
    bool focus = d->focus == side;
    char tail[160] = "", stages[64], name[300];
    if (version) snprintf(tail, sizeof tail, "%s  v%d", unsaved ? "*" : "", version);
    if (r.w >= 55) {
        size_t at = strlen(tail);
        stages_words(recipe, stages);
        at += (size_t)snprintf(tail + at, sizeof tail - at, "   %s", stages);
        if (m && !isnan(m->all.out) && m->complete && at < sizeof tail)
            snprintf(tail + at, sizeof tail - at, "   out %.4f", m->all.out);
    }
    snprintf(name, sizeof name, "%s%c %s",
             focus && g->mono ? ui_glyph(g, UI_G_FOCUS) : " ", side ? 'B' : 'A',
             recipe->name ? recipe->name : "unnamed");
    int room = r.w - ui_text_width(tail, strlen(tail)) - 2;
    int x = r.x + ui_put_end(g, r.x, r.y, room, focus ? UI_FOCUS : UI_TEXT, name);
    x += ui_put(g, x, r.y, r.x + r.w - x, UI_TEXT, tail);
    if (stale)
        ui_put(g, x, r.y, r.x + r.w - x, UI_STALE,
               r.w >= 55 ? " ~ edited since: r" : " ~");
}

static void draw_counts(const ui_app *a, ui_grid *g, ui_rect r, int side)
{
    const ui_pane *p = ui_duel_pane(a, side), *o = ui_duel_pane(a, !side);
    const char *text = rs_buf_str(&p->text);
    int words = ui_text_words(text, p->text.len),
        others = ui_text_words(rs_buf_str(&o->text), o->text.len);
    double said = ui_text_dialogue(text, p->text.len);
    int x = r.x + 1;
    x += ui_printf(g, x, r.y, r.x + r.w - x, UI_TEXT, "%d words", words);
    if (side && words && others && r.w >= 38)
        x += ui_printf(g, x, r.y, r.x + r.w - x, UI_DIM,
                       words == others ? " (0)" : " (%+d)", words - others);
    if (!isnan(said))
        x += ui_printf(g, x, r.y, r.x + r.w - x, UI_TEXT, "  dialogue %.0f %%",
                       said * 100);
    ui_num rate = ui_num_rate(g->glyphs, p->rate, "tok/s");
    if (p->rate > 0 && x + 2 + ui_text_width(rate.s, strlen(rate.s)) < r.x + r.w)
        x += ui_printf(g, x, r.y, r.x + r.w - x, UI_DIM, "  %s", rate.s);
    if (p->note[0] && x + 4 < r.x + r.w)
        ui_printf(g, x + 2, r.y, r.x + r.w - x - 2, UI_WARN, "%s", p->note);
}

/* --- texts --- */

/* Byte where the texts part, or SIZE_MAX. */
static size_t parting(const ui_app *a, int side)
{
    int token = ui_pane_divergence(&a->text, &a->duel.b);
    if (token < 0) return (size_t)-1;
    return ui_pane_token_start(ui_duel_pane(a, side), token);
}

static void draw_text(const ui_app *a, ui_grid *g, ui_rect r, int side)
{
    const ui_pane *p = ui_duel_pane(a, side);
    ui_wrap w = {0};
    const char *text = rs_buf_str(&p->text);
    if (r.h < 1 || !ui_wrap_text(&w, text, p->text.len, text_width(g->width, side)))
        return;
    size_t at = parting(a, side);
    int mark = at == (size_t)-1 || !w.n ? -1 : ui_wrap_line_of(&w, at);
    int token = ui_pane_divergence(&a->text, &a->duel.b);
    ui_span span = {at, token >= 0 && token < p->n_tokens ? p->token[token].end : at,
                    UI_DIVERGE};
    int top = w.n ? ui_wrap_paragraph(&w, a->duel.paragraph[side]) : 0;
    if (a->duel.paragraph[side] == 0 && p->running && w.n > r.h)
        top = w.n - r.h; /* follows the writing */
    for (int i = 0; i < r.h && top + i < w.n; i++) {
        ui_put_line(g, r.x + GUTTER, r.y + i, r.w - GUTTER - 1, UI_TEXT, text,
                    &w.at[top + i], &span, at == (size_t)-1 ? 0 : 1);
        if (top + i == mark) ui_draw_gutter(g, r.x, r.y + i, GUTTER, UI_GUTTER_DIVERGE);
    }
    if (p->running) {
        const ui_line *last = w.n ? &w.at[w.n - 1] : NULL;
        int y = r.y + (w.n ? w.n - 1 - top : 0),
            x = r.x + GUTTER + (last ? last->width : 0);
        if (y >= r.y && y < r.y + r.h && x < r.x + r.w)
            ui_put(g, x, y, 1, UI_TEXT, ui_glyph(g, UI_G_WRITING));
    }
    ui_draw_scrollbar(g, r.x + r.w - 1, r.y, r.h, top, r.h, w.n);
    ui_wrap_free(&w);
}

static void token_text(const ui_pane *p, int token, char dst[64])
{
    size_t from = ui_pane_token_start(p, token),
           to = token < p->n_tokens ? p->token[token].end : from;
    if (token >= p->n_tokens)
        snprintf(dst, 64, "ends here");
    else
        snprintf(dst, 64, "\"%.*s\"", (int)(to - from > 40 ? 40 : to - from),
                 rs_buf_str(&p->text) + from);
    for (char *s = dst; *s; s++)
        if (*s == '\n') *s = ' ';
}

static void draw_difference(const ui_app *a, ui_grid *g, ui_rect r)
{
    char x[64], y[64];
    int token = ui_pane_divergence(&a->text, &a->duel.b);
    if (token < 0) {
        bool ended = !a->text.running && !a->duel.b.running && a->text.n_tokens;
        ui_put(g, 1, r.y, -1, UI_DIM,
               ended ? "the texts are the same" : "no difference yet");
        return;
    }
    token_text(&a->text, token, x);
    token_text(&a->duel.b, token, y);
    ui_printf(g, 1, r.y, r.w - 2, UI_DIVERGE, "first difference at token %d: A %s  B %s",
              token + 1, x, y);
}

static void draw_closed(ui_grid *g, ui_rect body)
{
    ui_put(g, 2, body.y + 1, -1, UI_TEXT,
           "Duel writes one prompt with two recipes, side by side.");
    ui_put(g, 2, body.y + 3, -1, UI_TEXT,
           "V             this recipe against its newest saved version that differs");
    ui_put(g, 2, body.y + 4, -1, UI_TEXT,
           ":versus NAME  against another recipe: naive-0.3, NAME@2, a file, a merged "
           "folder");
    ui_put(g, 2, body.y + 5, -1, UI_TEXT, "P             another prompt");
}

void ui_duel_view(const ui_app *a, ui_grid *g, ui_rect body)
{
    if (!a->duel.open || !a->doc.at.recipe) {
        draw_closed(g, body);
        return;
    }
    int mid = g->width / 2, bottom = body.y + body.h - 1;
    draw_prompt_row(a, g, body);
    for (int side = 0; side < 2; side++) {
        int x, w;
        halves(g->width, side, &x, &w);
        draw_name(a, g, (ui_rect){x, body.y + 1, w, 1}, side);
        draw_counts(a, g, (ui_rect){x, body.y + 2, w, 1}, side);
        draw_text(a, g, (ui_rect){x, body.y + 4, w, bottom - body.y - 4}, side);
    }
    ui_fill(g, (ui_rect){0, body.y + 3, g->width, 1}, UI_DIM, ui_glyph(g, UI_G_HLINE));
    ui_draw_vline(g, mid, body.y + 1, body.h - 2);
    ui_put(g, mid, body.y + 3, 1, UI_DIM, ui_glyph(g, UI_G_CROSS));
    draw_difference(a, g, (ui_rect){0, bottom, g->width, 1});
}

bool ui_duel_update(ui_app *a, const ui_msg *m, ui_effects *fx)
{
    (void)fx;
    if (m->kind != UI_MSG_MOUSE || a->mode != UI_MODE_NONE || !a->duel.open) return false;
    if (m->mouse.y < 2) return false;
    if (m->mouse.what == UI_MOUSE_PRESS) a->duel.focus = m->mouse.x > a->width / 2;
    if (m->mouse.what == UI_MOUSE_WHEEL_UP) ui_move(a, -1);
    if (m->mouse.what == UI_MOUSE_WHEEL_DOWN) ui_move(a, 1);
    return true;
}

void ui_duel_hints(const ui_app *a, rs_buf *out)
{
    if (!a->duel.open)
        rs_buf_puts(out, "V versus  P prompt  1 Ring");
    else
        rs_buf_puts(out, "Tab pane  j k paragraph  r again  < > seed  P prompt  D diff  "
                         "y copy  V newest saved  1 Ring");
}
