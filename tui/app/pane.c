#include "tui/app/pane.h"

#include "base/utf8.h"
#include "tui/app/mem.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void set_old(ui_pane *p)
{
    if (p->text.len == 0) return;
    /* What was not overwritten yet still belongs to the text on the screen. */
    size_t n_new = 0;
    rs_buf shown = {0};
    ui_pane_shown(p, &shown, &n_new);
    rs_buf_free(&p->old);
    p->old = shown;
}

static void restart(ui_pane *p)
{
    set_old(p);
    rs_buf_reset(&p->text);
    p->n_tokens = 0;
    p->has_differs = p->has_reread = false;
    p->stop[0] = 0;
}

void ui_pane_begin(ui_pane *p, uint64_t run, bool keep)
{
    p->run = run;
    p->running = true;
    p->waits = false;
    p->note[0] = 0;
    p->stop[0] = 0;
    if (!keep) restart(p);
}

static void note_difference(ui_pane *p)
{
    if (p->has_differs || p->old.len == 0) return;
    size_t n = p->text.len < p->old.len ? p->text.len : p->old.len;
    size_t at = 0;
    while (at < n && p->text.data[at] == p->old.data[at])
        at++;
    if (at == n) return;
    p->has_differs = true;
    p->differs = at;
}

static void add_token(ui_pane *p, const ui_engine_event *e)
{
    if (e->n_text) rs_buf_add(&p->text, e->text, e->n_text);
    p->token = ui_grow(p->token, p->n_tokens, &p->cap, sizeof *p->token);
    p->token[p->n_tokens++] = (ui_pane_token){
        .end = p->text.len, .id = e->id, .logprob = e->logprob, .serial = e->serial};
    p->serial = e->serial;
    p->rate = e->tokens_per_second;
    p->running = true;
    p->weights_total = 0;
    note_difference(p);
}

static void start(ui_pane *p, const ui_engine_event *e)
{
    p->running = true;
    p->waits = false;
    p->stop[0] = 0;
    p->serial = e->serial;
    snprintf(p->note, sizeof p->note, "%s", e->text ? e->text : "");
    if (e->replaced) {
        if (p->text.len) restart(p);
    } else if (p->text.len) {
        p->has_reread = true;
        p->reread = p->text.len;
    }
}

static void stop(ui_pane *p, const ui_engine_event *e)
{
    p->running = false;
    snprintf(p->stop, sizeof p->stop, "%s", e->text ? e->text : "stopped");
    rs_buf_reset(&p->old);
}

bool ui_pane_event(ui_pane *p, const ui_engine_event *e)
{
    if (e->what == UI_ENGINE_DIED) {
        p->running = false;
        p->waits = e->last;
        p->weights_total = 0;
        snprintf(p->note, sizeof p->note, "%s", e->text ? e->text : "engine ended");
        return true;
    }
    if (e->slot != p->slot) return false;
    switch (e->what) {
    case UI_ENGINE_WEIGHTS:
        p->weights_done = e->done;
        p->weights_total = e->total;
        return true;
    case UI_ENGINE_READY:
        p->weights_total = 0;
        /* No tensor changed: the text is what these weights write, too. */
        if (e->done == 0 && p->serial && p->serial == p->ready) p->serial = e->serial;
        p->ready = e->serial;
        if (e->text && e->text[0]) snprintf(p->note, sizeof p->note, "%s", e->text);
        return true;
    case UI_ENGINE_START:
        if (e->run == p->run) start(p, e);
        return e->run == p->run;
    case UI_ENGINE_TOKEN:
        if (e->run == p->run) add_token(p, e);
        return e->run == p->run;
    case UI_ENGINE_STOP:
        if (e->run == p->run) stop(p, e);
        return e->run == p->run;
    default:
        return false;
    }
}

void ui_pane_shown(const ui_pane *p, rs_buf *out, size_t *n_new)
{
    rs_buf_reset(out);
    if (p->text.len) rs_buf_add(out, p->text.data, p->text.len);
    *n_new = p->text.len;
    if (p->old.len <= p->text.len) return;
    size_t from = p->text.len;
    /* Never begin inside a character. */
    while (from < p->old.len && ((unsigned char)p->old.data[from] & 0xc0) == 0x80)
        from++;
    rs_buf_add(out, p->old.data + from, p->old.len - from);
}

int ui_pane_divergence(const ui_pane *a, const ui_pane *b)
{
    int n = a->n_tokens < b->n_tokens ? a->n_tokens : b->n_tokens;
    for (int i = 0; i < n; i++)
        if (a->token[i].id != b->token[i].id) return i;
    bool ended = !a->running && !b->running;
    return ended && a->n_tokens != b->n_tokens && n > 0 ? n : -1;
}

size_t ui_pane_token_start(const ui_pane *p, int token)
{
    if (token <= 0) return 0;
    if (token > p->n_tokens) token = p->n_tokens;
    return token ? p->token[token - 1].end : 0;
}

/* Letters and digits of any script; general punctuation and symbols are none. */
static bool is_letter(uint32_t cp)
{
    if (cp < 128) return isalnum((int)cp) != 0;
    return cp >= 0xc0 && !(cp >= 0x2000 && cp < 0x2c00) && !(cp >= 0x3000 && cp < 0x3040);
}

int ui_text_words(const char *text, size_t n)
{
    int words = 0;
    bool inside = false;
    for (size_t i = 0; i < n;) {
        uint32_t cp = 0, next = 0;
        int len = rs_utf8_decode(text + i, n - i, &cp);
        i += len > 0 ? (size_t)len : 1;
        if (i < n) rs_utf8_decode(text + i, n - i, &next);
        /* An apostrophe or hyphen between letters does not end a word. */
        bool joins =
            inside && (cp == '\'' || cp == '-' || cp == 0x2019) && is_letter(next);
        bool letter = len > 0 && is_letter(cp);
        if (letter && !inside) words++;
        inside = letter || joins;
    }
    return words;
}

double ui_text_dialogue(const char *text, size_t n)
{
    int all = ui_text_words(text, n), inside = 0;
    size_t i = 0;
    while (i < n) {
        uint32_t cp = 0;
        int len = rs_utf8_decode(text + i, n - i, &cp);
        i += len > 0 ? (size_t)len : 1;
        if (cp != '"' && cp != 0x201c) continue;
        size_t from = i;
        uint32_t end = cp == '"' ? '"' : 0x201d;
        while (i < n) {
            len = rs_utf8_decode(text + i, n - i, &cp);
            if (len > 0 && (cp == end || cp == '\n')) break;
            i += len > 0 ? (size_t)len : 1;
        }
        inside += ui_text_words(text + from, i - from);
        i++;
    }
    return all ? (double)inside / all : NAN;
}

void ui_pane_free(ui_pane *p)
{
    rs_buf_free(&p->text);
    rs_buf_free(&p->old);
    free(p->token);
    memset(p, 0, sizeof *p);
}
