/* pane.h - a text that the engine writes into: Ring's preview and the two sides of Duel.
 *
 * Texts come token by token for a run (the number of the request that asked for them); what
 * belongs to another run is dropped. When weights change and the text begins again, the old
 * text stays behind the new one and is overwritten from the front, so that the eye sees where
 * it starts to differ (screens.md 4.1). */
#ifndef UI_PANE_H
#define UI_PANE_H

#include "base/buf.h"
#include "tui/app/msg.h"

#include <stdbool.h>

typedef struct ui_pane_token {
    size_t end; /* byte after its text */
    int32_t id;
    double logprob;
    uint64_t serial; /* of the weights that wrote it */
} ui_pane_token;

typedef struct ui_pane {
    int slot;
    uint64_t run, serial; /* serial: of the weights behind the newest token */
    uint64_t ready;       /* serial of the weights that stand in the engine */
    rs_buf text, old;     /* old: what stood before a restart; empty when overwritten */
    ui_pane_token *token;
    int n_tokens, cap;
    size_t differs; /* byte where the text first differs from the one before; */
    bool has_differs;
    size_t reread; /* continue: byte from which on other weights wrote */
    bool has_reread;
    bool running, waits; /* waits: the engine ended for good until asked again */
    char stop[24];       /* why it ended: "eos", "length", "stopped"; "" while running */
    char note[200];      /* for the head: "one after the other: memory" */
    double rate;
    int64_t weights_done, weights_total; /* merging, if it takes longer than a frame */
} ui_pane;

/* A new run was asked for: the text that stands becomes the old one. */
void ui_pane_begin(ui_pane *p, uint64_t run, bool keep);
/* Takes an event of its slot. true: something changed. */
bool ui_pane_event(ui_pane *p, const ui_engine_event *e);
/* What is to be shown: the new text, then what it has not overwritten yet (from *n_new on). */
void ui_pane_shown(const ui_pane *p, rs_buf *out, size_t *n_new);
/* First token that differs between two texts that began alike, or -1 while they do not. */
int ui_pane_divergence(const ui_pane *a, const ui_pane *b);
size_t ui_pane_token_start(const ui_pane *p, int token);
int ui_text_words(const char *text, size_t n);
/* Share of the words inside double quotes, 0 to 1. */
double ui_text_dialogue(const char *text, size_t n);
void ui_pane_free(ui_pane *p);

#endif
