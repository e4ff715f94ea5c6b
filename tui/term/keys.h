/* keys.h - bytes from a terminal into messages. No terminal and no curses in here.
 *
 * Understands UTF-8, the xterm family's sequences for cursor, editing and function keys with
 * their modifiers, Alt as ESC before a key, bracketed paste, SGR mouse reports (press, drag,
 * release, wheel, double click within 400 ms) and focus reports; terminfo's strings may be
 * added. An ESC alone is the Esc key after UI_ESC_SECONDS without another byte. Unknown
 * sequences are swallowed whole. A paste is at most UI_PASTE_MAX bytes, the rest is dropped. */
#ifndef UI_KEYS_H
#define UI_KEYS_H

#include "base/buf.h"
#include "tui/app/msg.h"

#define UI_ESC_SECONDS 0.025
enum { UI_PASTE_MAX = 1 << 20 };

typedef struct ui_keys {
    rs_buf in; /* bytes not taken yet */
    size_t taken;
    double last; /* when the last byte came */
    bool pasting;
    rs_buf paste;
    double clicked; /* time and place of the last press */
    int click_x, click_y, click_button;
    struct {
        char seq[16];
        int key;
    } extra[48]; /* from terminfo */
    int n_extra;
} ui_keys;

void ui_keys_bind(ui_keys *k, const char *seq,
                  int key); /* from terminfo; NULL: ignored */
void ui_keys_feed(ui_keys *k, const char *bytes, size_t n, double now);
/* The next message, if one is complete at this time. A paste's text lives until the next
 * call. m->now is set, m->wall is not. */
bool ui_keys_next(ui_keys *k, double now, ui_msg *m);
/* Seconds until ui_keys_next may give something without further bytes; < 0: never. */
double ui_keys_wait(const ui_keys *k, double now);
void ui_keys_free(ui_keys *k);

#endif
