#include "tui/app/typing.h"

#include "base/utf8.h"
#include "tui/app/msg.h"

#include <string.h>

bool ui_typing_key(ui_typing *t, int key)
{
    size_t n = strlen(t->text);
    if (key == UI_KEY_BACKSPACE || key == UI_CTRL('U')) {
        if (n == 0) return false;
        do
            n--;
        while (n > 0 &&
               (key == UI_CTRL('U') || ((unsigned char)t->text[n] & 0xC0) == 0x80));
        t->text[n] = 0;
        return true;
    }
    if (key < ' ' || key >= 0x110000 || n + 5 > sizeof t->text) return false;
    n += (size_t)rs_utf8_encode((uint32_t)key, t->text + n);
    t->text[n] = 0;
    return true;
}
