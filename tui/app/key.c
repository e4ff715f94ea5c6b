#include "base/utf8.h"
#include "tui/app/msg.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct {
    int key;
    const char *name;
} named[] = {
    {UI_KEY_TAB, "Tab"},
    {UI_KEY_ENTER, "Enter"},
    {UI_KEY_ESC, "Esc"},
    {' ', "Space"},
    {UI_KEY_BACKSPACE, "BackSpace"},
    {UI_KEY_UP, "Up"},
    {UI_KEY_DOWN, "Down"},
    {UI_KEY_LEFT, "Left"},
    {UI_KEY_RIGHT, "Right"},
    {UI_KEY_HOME, "Home"},
    {UI_KEY_END, "End"},
    {UI_KEY_PGUP, "PgUp"},
    {UI_KEY_PGDN, "PgDn"},
    {UI_KEY_INSERT, "Ins"},
    {UI_KEY_DELETE, "Del"},
    {UI_KEY_BACKTAB, "S-Tab"},
    {UI_KEY_SLEFT, "S-Left"},
    {UI_KEY_SRIGHT, "S-Right"},
};
enum { N_NAMED = sizeof named / sizeof *named };

/* A key without Alt. */
static void write_name(int key, char *out, size_t n)
{
    char bytes[5] = "";
    for (int i = 0; i < N_NAMED; i++)
        if (named[i].key == key) {
            snprintf(out, n, "%s", named[i].name);
            return;
        }
    if (key >= UI_KEY_F1 && key <= UI_KEY_F12)
        snprintf(out, n, "F%d", key - UI_KEY_F1 + 1);
    else if (key > 0 && key < 32)
        snprintf(out, n, "^%c", key + 64);
    else if (key > 32 && key < 0x110000) {
        int len = rs_utf8_encode((uint32_t)key, bytes);
        snprintf(out, n, "%.*s", len, bytes);
    } else
        snprintf(out, n, "?");
}

const char *ui_key_name(int key, char out[24])
{
    size_t at = 0;
    if (key >= UI_KEY_ALT) {
        memcpy(out, "Alt-", 4);
        at = 4;
        key -= UI_KEY_ALT;
    }
    write_name(key, out + at, 24 - at);
    return out;
}

bool ui_key_from_name(const char *name, int *key)
{
    if (strncasecmp(name, "Alt-", 4) == 0 && name[4]) {
        if (!ui_key_from_name(name + 4, key) || *key >= UI_KEY_ALT) return false;
        *key += UI_KEY_ALT;
        return true;
    }
    size_t n = strlen(name);
    uint32_t cp = 0;
    if (n > 0 && (size_t)rs_utf8_decode(name, n, &cp) == n) {
        *key = (int)cp;
        return cp > 32 && cp != 127;
    }
    for (int i = 0; i < N_NAMED; i++)
        if (strcasecmp(named[i].name, name) == 0) {
            *key = named[i].key;
            return true;
        }
    if (n == 2 && name[0] == '^' && name[1] > ' ') {
        *key = UI_CTRL(name[1]);
        return *key != 0;
    }
    if ((name[0] == 'F' || name[0] == 'f') && n <= 3 &&
        strspn(name + 1, "0123456789") == n - 1) {
        int f = atoi(name + 1);
        *key = UI_KEY_F1 + f - 1;
        return f >= 1 && f <= 12;
    }
    return false;
}
