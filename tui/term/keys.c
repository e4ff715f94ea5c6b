#include "tui/term/keys.h"

#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

enum { ESC = 0x1b, MAX_PARAMS = 4, LONGEST = 64 };

static const double double_click_seconds = 0.4;
static const double sequence_seconds = 0.5; /* between the parts of one long sequence */
static const double paste_seconds = 2;      /* a paste whose end never comes */
static const char paste_end[] = "\033[201~";

/* What lies at the front of the input. */
typedef enum outcome { NOTHING, MORE, KEY, MESSAGE } outcome;

void ui_keys_bind(ui_keys *k, const char *seq, int key)
{
    size_t n = seq ? strlen(seq) : 0;
    if (n < 2 || n >= sizeof k->extra[0].seq || seq[0] != ESC) return;
    if (k->n_extra == (int)(sizeof k->extra / sizeof *k->extra)) return;
    memcpy(k->extra[k->n_extra].seq, seq, n + 1);
    k->extra[k->n_extra++].key = key;
}

void ui_keys_feed(ui_keys *k, const char *bytes, size_t n, double now)
{
    if (k->taken == k->in.len) {
        rs_buf_reset(&k->in);
        k->taken = 0;
    }
    rs_buf_add(&k->in, bytes, n);
    k->last = now;
}

void ui_keys_free(ui_keys *k)
{
    rs_buf_free(&k->in);
    rs_buf_free(&k->paste);
    memset(k, 0, sizeof *k);
}

/* --- sequences --- */

/* A control sequence: ESC [ parameters final. */
typedef struct csi {
    char prefix; /* '<' of a mouse report, or 0 */
    int param[MAX_PARAMS], n;
    char final;
} csi;

/* Length of the sequence at s (which begins with ESC [), 0: not complete. */
static size_t parse_csi(const char *s, size_t n, csi *c)
{
    *c = (csi){0};
    size_t i = 2;
    if (i < n && s[i] >= '<' && s[i] <= '?') c->prefix = s[i++];
    for (; i < n && i < LONGEST; i++) {
        unsigned char b = (unsigned char)s[i];
        if (b >= '0' && b <= '9') {
            if (c->n == 0) c->n = 1;
            int *p = &c->param[c->n - 1];
            if (*p < 100000) *p = *p * 10 + (b - '0');
        } else if (b == ';' || b == ':') {
            if (c->n == 0) c->n = 1;
            if (c->n < MAX_PARAMS) c->n++;
        } else if (b >= 0x40 && b <= 0x7e) {
            c->final = s[i];
            return i + 1;
        } else if (b < 0x20 || b > 0x2f) {
            return i; /* broken off by something else: swallowed up to there */
        }
    }
    return i >= LONGEST ? i : 0;
}

static int with_modifiers(int key, int modifiers)
{
    int bits = modifiers > 0 ? modifiers - 1 : 0;
    if (bits & 1 && key == UI_KEY_LEFT) key = UI_KEY_SLEFT;
    if (bits & 1 && key == UI_KEY_RIGHT) key = UI_KEY_SRIGHT;
    if (bits & 1 && key == UI_KEY_TAB) key = UI_KEY_BACKTAB;
    if (bits & 4 && key >= 64 && key < 128) key = UI_CTRL(key);
    return bits & 2 ? key + UI_KEY_ALT : key;
}

static int numbered_key(int number)
{
    static const short keys[][2] = {{1, 0}, {7, 0}, {4, 1}, {8, 1},
                                    {2, 2}, {3, 3}, {5, 4}, {6, 5}};
    static const int named[] = {UI_KEY_HOME,   UI_KEY_END,  UI_KEY_INSERT,
                                UI_KEY_DELETE, UI_KEY_PGUP, UI_KEY_PGDN};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (keys[i][0] == number) return named[keys[i][1]];
    if (number >= 11 && number <= 15) return UI_KEY_F1 + number - 11;
    if (number >= 17 && number <= 21) return UI_KEY_F1 + number - 12;
    if (number == 23 || number == 24) return UI_KEY_F1 + number - 13;
    return UI_KEY_NONE;
}

static int lettered_key(char final)
{
    switch (final) {
    case 'A':
        return UI_KEY_UP;
    case 'B':
        return UI_KEY_DOWN;
    case 'C':
        return UI_KEY_RIGHT;
    case 'D':
        return UI_KEY_LEFT;
    case 'H':
        return UI_KEY_HOME;
    case 'F':
        return UI_KEY_END;
    case 'Z':
        return UI_KEY_BACKTAB;
    case 'c':
        return UI_KEY_SRIGHT;
    case 'd':
        return UI_KEY_SLEFT;
    case 'M':
        return UI_KEY_ENTER;
    case 'P':
    case 'Q':
    case 'R':
    case 'S':
        return UI_KEY_F1 + (final - 'P');
    default:
        return UI_KEY_NONE;
    }
}

/* A key told by its code point: CSI code ; modifiers u. */
static int coded_key(int code, int modifiers)
{
    if (code == 8) code = UI_KEY_BACKSPACE;
    bool is_sane = code > 0 && code < 0x110000;
    return is_sane ? with_modifiers(code, modifiers) : UI_KEY_NONE;
}

static int csi_key(const csi *c)
{
    if (c->prefix) return UI_KEY_NONE;
    int modifiers = c->n > 1 ? c->param[1] : 0;
    if (c->final == 'u') return coded_key(c->param[0], modifiers);
    if (c->final == '~' && c->param[0] == 27 && c->n > 2)
        return coded_key(c->param[2], modifiers);
    int key = c->final == '~' ? numbered_key(c->param[0]) : lettered_key(c->final);
    return key ? with_modifiers(key, modifiers) : UI_KEY_NONE;
}

static bool mouse_message(ui_keys *k, const csi *c, double now, ui_msg *m)
{
    int b = c->param[0], x = c->param[1] - 1, y = c->param[2] - 1;
    if (c->n < 3 || x < 0 || y < 0 || b >= 128) return false;
    m->kind = UI_MSG_MOUSE;
    m->mouse.x = x;
    m->mouse.y = y;
    m->mouse.ctrl = (b & 16) != 0;
    m->mouse.button = b & 64 ? 0 : (b & 3) + 1;
    if (b & 64) {
        m->mouse.what = b & 1 ? UI_MOUSE_WHEEL_DOWN : UI_MOUSE_WHEEL_UP;
        return (b & 2) == 0;
    }
    if (c->final == 'm')
        m->mouse.what = UI_MOUSE_RELEASE;
    else if (b & 32)
        m->mouse.what = UI_MOUSE_DRAG;
    else {
        bool again = now - k->clicked < double_click_seconds && k->click_x == x &&
                     k->click_y == y && k->click_button == m->mouse.button;
        m->mouse.what = again ? UI_MOUSE_DOUBLE : UI_MOUSE_PRESS;
        k->clicked = again ? -1e9 : now;
        k->click_x = x;
        k->click_y = y;
        k->click_button = m->mouse.button;
    }
    return (b & 3) != 3; /* motion without a button */
}

static outcome csi_outcome(ui_keys *k, const csi *c, double now, ui_msg *m)
{
    if (c->prefix == '<' && (c->final == 'M' || c->final == 'm'))
        return mouse_message(k, c, now, m) ? MESSAGE : NOTHING;
    if (!c->prefix && c->n == 0 && (c->final == 'I' || c->final == 'O')) {
        m->kind = UI_MSG_FOCUS;
        m->focused = c->final == 'I';
        return MESSAGE;
    }
    if (!c->prefix && c->final == '~' && c->param[0] == 200) {
        k->pasting = true;
        rs_buf_reset(&k->paste);
        return NOTHING;
    }
    m->key = csi_key(c);
    return m->key ? KEY : NOTHING;
}

/* --- the front of the input --- */

static outcome plain_key(const char *s, size_t n, bool late, size_t *used, ui_msg *m)
{
    unsigned char b = (unsigned char)s[0];
    *used = 1;
    if (b == '\r' || b == '\n')
        m->key = UI_KEY_ENTER;
    else if (b == 8 || b == 127)
        m->key = UI_KEY_BACKSPACE;
    else if (b < 128)
        m->key = b;
    else {
        uint32_t cp = 0;
        int len = rs_utf8_decode(s, n, &cp);
        if (len == 0 && rs_utf8_incomplete_tail(s, n) == n && !late) return MORE;
        if (len == 0) return NOTHING;
        *used = (size_t)len;
        m->key = (int)cp;
    }
    return m->key ? KEY : NOTHING;
}

static bool match_extra(const ui_keys *k, const char *s, size_t n, size_t *used, int *key)
{
    for (int i = 0; i < k->n_extra; i++) {
        size_t len = strlen(k->extra[i].seq);
        if (len <= n && memcmp(s, k->extra[i].seq, len) == 0) {
            *used = len;
            *key = k->extra[i].key;
            return true;
        }
    }
    return false;
}

/* The Linux console's F1 to F5: ESC [ [ A. */
static outcome console_key(const char *s, size_t n, size_t *used, ui_msg *m)
{
    if (n < 4) return MORE;
    *used = 4;
    m->key = s[3] >= 'A' && s[3] <= 'E' ? UI_KEY_F1 + (s[3] - 'A') : UI_KEY_NONE;
    return m->key ? KEY : NOTHING;
}

/* s begins with ESC; quiet: seconds since the last byte. */
static outcome escape(ui_keys *k, const char *s, size_t n, double now, double quiet,
                      size_t *used, ui_msg *m)
{
    csi c;
    bool late = quiet >= UI_ESC_SECONDS;
    *used = 1;
    m->key = UI_KEY_ESC;
    if (n == 1) return late ? KEY : MORE;
    if (s[1] == ESC) return KEY;
    if (match_extra(k, s, n, used, &m->key)) return KEY;
    if ((s[1] == '[' || s[1] == 'O') && n == 2 && !late) return MORE;
    if (s[1] == '[' && n > 2) {
        if (s[2] == '[') {
            outcome o = console_key(s, n, used, m);
            if (o != MORE || quiet < sequence_seconds) return o;
        }
        *used = parse_csi(s, n, &c);
        if (*used == 0 && quiet < sequence_seconds) return MORE;
        if (*used == 0) *used = n; /* the rest of it is lost: so is what came */
        return c.final ? csi_outcome(k, &c, now, m) : NOTHING;
    }
    if (s[1] == 'O' && n > 2) {
        *used = 3;
        m->key = lettered_key(s[2]);
        return m->key ? KEY : NOTHING;
    }
    outcome o = plain_key(s + 1, n - 1, late, used, m);
    *used += 1;
    m->key += UI_KEY_ALT;
    return o;
}

/* Moves pasted bytes over; true when the paste is complete. */
static bool take_paste(ui_keys *k, double quiet, ui_msg *m)
{
    const char *s = k->in.data + k->taken;
    size_t n = k->in.len - k->taken, end_len = sizeof paste_end - 1, body = n;
    const char *end = NULL;
    for (size_t i = 0; i < n && !end; i++) {
        size_t rest = n - i < end_len ? n - i : end_len;
        if (s[i] != ESC || memcmp(s + i, paste_end, rest) != 0) continue;
        body = i;
        if (rest < end_len) break; /* perhaps the end, not whole yet */
        end = s + i;
    }
    size_t room = k->paste.len < UI_PASTE_MAX ? UI_PASTE_MAX - k->paste.len : 0;
    rs_buf_add(&k->paste, s, body < room ? body : room);
    k->taken += body + (end ? end_len : 0);
    bool gave_up = !end && quiet >= paste_seconds;
    if (!end && !gave_up) return false;
    k->pasting = false;
    m->kind = UI_MSG_PASTE;
    m->text = rs_buf_str(&k->paste);
    return true;
}

bool ui_keys_next(ui_keys *k, double now, ui_msg *m)
{
    double quiet = now - k->last;
    for (;;) {
        *m = (ui_msg){.kind = UI_MSG_KEY, .now = now};
        if (k->pasting) return take_paste(k, quiet, m);
        size_t n = k->in.len - k->taken, used = 0;
        if (n == 0) return false;
        const char *s = k->in.data + k->taken;
        outcome o = *s == ESC ? escape(k, s, n, now, quiet, &used, m)
                              : plain_key(s, n, quiet >= UI_ESC_SECONDS, &used, m);
        if (o == MORE) return false;
        k->taken += used;
        if (o == KEY || o == MESSAGE) return true;
    }
}

double ui_keys_wait(const ui_keys *k, double now)
{
    size_t n = k->in.len - k->taken;
    double quiet = now - k->last, until;
    if (k->pasting)
        until = paste_seconds;
    else if (n == 0)
        return -1;
    else
        until = n > 2 && k->in.data[k->taken] == ESC ? sequence_seconds : UI_ESC_SECONDS;
    return until > quiet ? until - quiet : 0;
}
