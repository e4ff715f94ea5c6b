/* complete_internal.h - between complete.c and complete_selector.c. */
#ifndef UI_COMPLETE_INTERNAL_H
#define UI_COMPLETE_INTERNAL_H

#include "tui/app/complete.h"

/* The word before the cursor and where it stands. */
typedef struct ui_place {
    const ui_command *command;
    const char *line;
    size_t args;    /* byte of the line where the arguments begin */
    size_t from;    /* byte where the word begins */
    char word[512]; /* typed so far */
    int index;      /* of the word among the arguments, from 0 */
} ui_place;

/* Keeps, of the candidates from `from` on, those that begin with the word; if none does, those
 * that have it inside. Case is ignored. */
void ui_keep_matching(ui_completions *c, int from, const char *word);
/* Adds selector words and the summary; moves p->from behind operators. */
void ui_complete_selector(const ui_sources *s, ui_place *p, ui_completions *out);

#endif
