/* adhoc.h - a recipe for a model that has none: its base, and no inputs yet. */
#ifndef UI_ADHOC_H
#define UI_ADHOC_H

#include "base/status.h"

#include <stdbool.h>

/* Writes DATA/adhoc/NAME.json for the model at this absolute path, unless it is there, and
 * gives its path. */
rs_status ui_adhoc_recipe(const char *model, const char *data, char out[4096], rs_err *err)
    RS_MUST_USE;

/* Was it merged, and does it say from what? A folder with its ringside.json, or a GGUF whose
 * recipe finds all its sources from where the file lies (else it is a model like any other). */
bool ui_holds_recipe(const char *path);

#endif
