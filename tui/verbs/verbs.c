#include "tui/verbs/verbs.h"

#include <stdio.h>
#include <string.h>

/* The order of `ringside help`. */
#define UI_VERB_LIST(X)                                                                  \
    X(workbench)                                                                         \
    X(inspect) X(import) X(export) X(tokenize) X(detokenize) X(logits) X(perplexity)     \
        X(generate) X(compare) X(kl) X(grad) X(fisher) X(subspace) X(train) X(prepare) X(plan) X(damage) X(merge) X(recipe) X(replay)      \
            X(keys) X(manual) X(engine)

#define DECLARE(name) extern const ui_verb ui_verb_##name __attribute__((weak));
UI_VERB_LIST(DECLARE)

#define ROW(name) &ui_verb_##name,
const ui_verb *const ui_verbs[] = {UI_VERB_LIST(ROW) NULL};
const int ui_n_verbs = (int)(sizeof ui_verbs / sizeof *ui_verbs) - 1;
