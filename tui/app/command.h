/* command.h - the one table of commands: keys, `:` lines, help, palette, hints, completion,
 * docs/keys.md and the manual's section all come from these rows.
 *
 * Rows are grouped by file (commands_move.c, commands_edit.c, ...), each exporting an array
 * that ends with a row of name NULL; command.c joins them. A key may mean different commands
 * on different screens: the first row whose `screens` has the screen wins. Only commands that
 * work are in the table. */
#ifndef UI_COMMAND_H
#define UI_COMMAND_H

#include "base/buf.h"
#include "tui/app/msg.h"

#include <stdbool.h>

typedef struct ui_app ui_app; /* app.h */

typedef enum ui_screen_id {
    UI_RING,
    UI_DUEL,
    UI_BOARD,
    UI_JOBS,
    UI_RECIPES,
    UI_MODELS,
    UI_DETAIL,
    UI_N_SCREENS
} ui_screen_id;
#define UI_ON(s) (1u << (s))
#define UI_EVERYWHERE (~0u)

typedef struct ui_args {
    const char *line; /* all that stands after the name, blanks trimmed; "" from a key */
    int n;            /* words, split at blanks, quotes respected */
    char *word[32];
    int key;     /* that ran it, or 0 */
    char *owned; /* memory of line and words, if parsed */
} ui_args;

typedef struct ui_command {
    const char *name;
    const char *keys; /* names joined by blanks: "j Down"; NULL: none */
    const char *args; /* "SELECTOR OPVALUE", "[N]"; NULL: none. Types: screens.md 3 */
    unsigned screens;
    const char *group; /* heading in help: "values", "select", "work" ... */
    const char *help;  /* one line */
    bool is_edit;      /* one undo step if the recipe changed */
    /* Writes the answer for the message row with ui_say (app.h). A false means refused: the
     * sentence says why, and a `:` line stays in the prompt. */
    bool (*run)(ui_app *a, const ui_args *args, ui_effects *fx);
} ui_command;

extern const ui_command *const ui_command_groups[]; /* ends with NULL; command.c */

const ui_command *ui_command_named(const char *name, ui_screen_id screen); /* or NULL */
const ui_command *ui_command_for_key(int key, ui_screen_id screen);        /* or NULL */
/* "Ring" .. "Detail" */
const char *ui_screen_word(int screen);
/* i-th command that exists on a screen (UI_N_SCREENS: on any), or NULL past the end. */
const ui_command *ui_command_at(int i, ui_screen_id screen);

/* Splits a line. false: a quote is not closed, or more than 32 words; free it in any case.
 * Quotes are taken off words and stay in args->line. */
bool ui_args_parse(const char *line, ui_args *args);
void ui_args_free(ui_args *args);
/* Parses and runs ":name args". false: refused, said why (nearest name if unknown). */
bool ui_command_line(ui_app *a, const char *line, ui_effects *fx);

/* Completion of the word before byte `at` of a command line. */
typedef struct ui_completion {
    char text[512], help[96];
} ui_completion;
typedef struct ui_completions {
    ui_completion *at;
    int n, cap;
    size_t word_start; /* byte where the word that is completed begins */
    char title[32];    /* "selector" */
    char summary[160]; /* e.g. how much the selector typed so far matches */
} ui_completions;
void ui_complete(const ui_app *a, const char *line, size_t at, ui_completions *out);
void ui_completions_free(ui_completions *c);

#endif
