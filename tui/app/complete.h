/* complete.h - completion of a command line, from the command table and from what the app
 * knows, behind a struct of function pointers so that it can be tried alone.
 *
 * The word before the cursor is completed by the type its place has in the command's `args`
 * ("SELECTOR OPVALUE"): see ui_complete_with. Fixed lists (SCREEN, THEME, KIND, CURVE,
 * NORMALISER ...) are here with their help; names of the recipe, files and counts of a
 * selector come from the source. Any pointer may be NULL: then there is nothing of it. */
#ifndef UI_COMPLETE_H
#define UI_COMPLETE_H

#include "tui/app/command.h"

typedef struct ui_match_count {
    int layers, tensors; /* that the selector matches */
    int with_delta;      /* tensors among them that have a delta; -1: not known */
    int64_t numbers;     /* in those tensors */
    double per_layer;    /* tensors in each matched layer (mean) */
} ui_match_count;

typedef struct ui_sources {
    const void *ctx;
    ui_screen_id screen;
    int n_layers;
    /* Adds the names of a type (RECIPE VERSION MODEL INPUT STAGE MEASURE SCENE JOB PROMPT
     * COLUMN NAME=VALUE ...) with ui_completions_add. May also answer for a fixed list, which
     * then replaces it. false: nothing known of this type. */
    bool (*names)(const void *ctx, const char *type, ui_completions *out);
    /* What a selector would match; false: not a selector (err: the sentence). */
    bool (*match)(const void *ctx, const char *selector, ui_match_count *count,
                  rs_err *err);
    /* Entries of a folder ("" is the current one), folders with '/' at their end. */
    bool (*folder)(const void *ctx, const char *folder, ui_completions *out);
    /* Present value for VALUE, NAT, N, SEED and OPVALUE of this command: "1.500". */
    bool (*value)(const void *ctx, const char *command, const char *type, char out[32]);
} ui_sources;

/* Adds one candidate, cut to fit. false: no memory. */
bool ui_completions_add(ui_completions *c, const char *text, const char *help);
/* Replaces what is in out. */
void ui_complete_with(const ui_sources *s, const char *line, size_t at,
                      ui_completions *out);
/* Provided by the app (commands_*.c): what it knows, behind the pointers above. */
void ui_app_sources(const ui_app *a, ui_sources *out);

/* The name of n names that is nearest to word (a transposed, missing or extra letter, a
 * prefix), or NULL if none is near. */
const char *ui_nearest(const char *word, const char *const *names, int n);
/* The word list of a fixed type with help: i-th, or NULL past the end (KIND, CURVE ...). */
const char *ui_fixed_word(const char *type, int i, const char **help);

#endif
