/* look.h - what the layer detail knows of single tensors besides their sums: how their Fisher
 * lies (merge/spread.h) and the singular values of what tuning changed (learn/subspace.h).
 *
 * Both are read from files in a process of their own, one tensor at a time, the one under the
 * cursor first, and only while its layer is open. Answers are kept by key, so that going back
 * is instant: the key of a spread is its fingerprint, that of a spectrum the two models and
 * the tensor's name. */
#ifndef UI_LOOK_H
#define UI_LOOK_H

#include "merge/spread.h"

#include <stdbool.h>

typedef enum ui_look_what {
    UI_LOOK_SPREAD,   /* bytes: one rs_spread */
    UI_LOOK_SPECTRUM, /* bytes: doubles, falling */
    UI_LOOK_MEANS,    /* text is a file: a double for each of its tensors, in its order */
    UI_N_LOOKS
} ui_look_what;

enum { UI_LOOKS_KEPT = 96 };

typedef struct ui_spectrum {
    uint64_t key;
    double *s; /* [n], falling; NULL: none, and `why` says so */
    int n;
    char *why;
} ui_spectrum;

typedef struct ui_looks { /* rings: the oldest gives way */
    rs_spread *spread[UI_LOOKS_KEPT];
    int n_spreads;
    ui_spectrum spectrum[UI_LOOKS_KEPT];
    int n_spectra;
    uint64_t asked;                 /* key of the look that is under way; 0: none */
    uint64_t failed[UI_LOOKS_KEPT]; /* keys of those that brought nothing, a ring */
    int n_failed;
    char problem[256]; /* of the last of them */
} ui_looks;

/* NULL: not known. Borrowed until the next put. */
const rs_spread *ui_looks_spread(const ui_looks *l, uint64_t key);
const ui_spectrum *ui_looks_spectrum(const ui_looks *l, uint64_t key);
/* The newest spread of a tensor, whatever it was cut by. */
const rs_spread *ui_looks_spread_of(const ui_looks *l, int i_tensor);
bool ui_looks_failed(const ui_looks *l, uint64_t key);
/* What arrived for a key. false: not such bytes; they are dropped. */
bool ui_looks_put(ui_looks *l, ui_look_what what, uint64_t key, const char *bytes,
                  size_t n);
void ui_looks_fail(ui_looks *l, ui_look_what what, uint64_t key, const char *why);
void ui_looks_free(ui_looks *l); /* zeroed after */

#endif
