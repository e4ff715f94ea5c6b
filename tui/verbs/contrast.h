/* contrast.h - ringside fisher --contrast: four Fisher runs beside the result, then the mask. */
#ifndef UI_CONTRAST_H
#define UI_CONTRAST_H

#include "merge/contrast.h"
#include "tui/verbs/products.h"

typedef struct ui_contrast {
    const char *model[2];  /* A and B */
    const char *prompt[2]; /* text files: S+ and S- */
    const char *data, *out;
    const rs_make *make; /* options of the four runs */
    int64_t checkpoint;
    bool force, resume;
} ui_contrast;

/* The runs lie in OUT.runs until the mask is whole; with `resume` those that are there and of
 * the same work are not made again, and one that was stopped goes on. */
rs_status ui_contrast_make(ui_common *c, const ui_contrast *q, ui_progress *show,
                           rs_contrast_result *r, rs_err *err) RS_MUST_USE;

#endif
