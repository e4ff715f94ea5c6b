/* typing.h - the line of letters that a popup searches by: typed at its end, erased from it. */
#ifndef UI_TYPING_H
#define UI_TYPING_H

#include <stdbool.h>

typedef struct ui_typing {
    char text[96];
} ui_typing;

/* true if the key changed the text: a character, BackSpace, ^U. */
bool ui_typing_key(ui_typing *t, int key);

#endif
