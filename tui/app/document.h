/* document.h - the open recipe: what is shown, what it was, the file that it belongs to.
 *
 * What is shown (`at`) is a recipe with everything that follows from it: canonical text,
 * plan, measure. A live effect (a number being typed, a curve being chosen) shows another
 * recipe for a while; `held` is then what Esc goes back to. Every change builds the plan anew
 * from the one before (microseconds) and combines the sums that are known, so the numbers on
 * the screen belong to the recipe on the screen in the same frame. Nothing here draws, and
 * files are only read (recipes and headers). */
#ifndef UI_DOCUMENT_H
#define UI_DOCUMENT_H

#include "merge/plan.h"
#include "tui/app/sums.h"

#include <stdbool.h>

/* Where a recipe lives. Files are listed in the document and never removed, so that states
 * of the undo tree name theirs by number. */
typedef struct ui_file {
    char *path;   /* NAME.json; NULL: never saved */
    char *folder; /* what relative paths in the text mean */
    char *saved;  /* canonical text of the newest version; NULL: none */
    int version;  /* 0: none */
} ui_file;

typedef struct ui_shown {
    rs_recipe *recipe;   /* NULL: nothing is open */
    char *text;          /* canonical, relative to the recipe's folder */
    rs_plan *plan;       /* NULL: `problem` says why */
    rs_measure *measure; /* NULL: no plan, or no memory */
    rs_err problem;
} ui_shown;

typedef struct ui_document {
    const rs_runtime *rt;
    rs_plan_options options;
    ui_shown at, held; /* held.recipe is NULL unless a live effect is shown */
    ui_sums sums;
    int *cell;    /* [n_layers, RS_N_LAYER_KINDS] tensor of the plan, -1: none */
    int n_layers; /* of the base model; 0 without a plan */
    ui_file *files;
    int n_files, cap_files, file; /* file: the open one's, or -1 */
    uint64_t serial;              /* counts shown recipes, live effects among them */
    uint64_t reread;              /* serial from which on the files are as they are now */
    uint64_t edits;               /* counts those that are there for good */
    uint64_t stamp[64]; /* [serial % 64] 2 * edits then, + 1 for a live effect */
} ui_document;

/* Opens a recipe (taken). A plan that cannot be built is no failure: the recipe is shown with
 * its problem. folder, path: borrowed; see ui_file. file: index of a known one, or -1. */
void ui_doc_open(ui_document *d, rs_recipe *r, int file);
int ui_doc_add_file(ui_document *d, const char *path, const char *folder,
                    const char *saved, int version);
ui_file *ui_doc_file(ui_document *d); /* NULL: nothing is open */
const ui_file *ui_doc_file_of(const ui_document *d);

/* A copy of the recipe that edits start from (never a live one); NULL: none, or err. Owned by
 * the caller until it is passed to one of the next two. */
rs_recipe *ui_doc_begin(const ui_document *d, rs_err *err);
/* Shows r (taken) as a live effect, or for good. false: refused, err says why, and what was
 * shown stays; so is a recipe whose text would not be read again. Committing ends a live effect; r NULL keeps the live one. */
bool ui_doc_try(ui_document *d, rs_recipe *r, rs_err *err);
bool ui_doc_commit(ui_document *d, rs_recipe *r, rs_err *err);
void ui_doc_drop(ui_document *d); /* ends a live effect: back to what is held */
bool ui_doc_is_live(const ui_document *d);
/* The state that edits start from. */
const ui_shown *ui_doc_base(const ui_document *d);

/* New sums, measured when `serial` was shown: combines again. Those of files as they were
 * before ui_doc_reread are dropped. true: something on the screen changed. */
bool ui_doc_put_sums(ui_document *d, uint64_t serial, const rs_tensor_sums *sums, int n);
/* The same recipe against its files as they are now (:refresh); no sum is known then. */
void ui_doc_reread(ui_document *d);

bool ui_doc_is_saved(const ui_document *d); /* what is shown equals the newest version */
/* How many edits lie between what was shown as `serial` and what is shown now; 0: it is the
 * same, also when a live effect came and went. */
uint64_t ui_doc_edits_since(const ui_document *d, uint64_t serial);
/* Tensor of the plan at a layer (n_layers: none) and layer kind, or -1. */
int ui_doc_tensor(const ui_document *d, int layer, int kind);
/* Is a number of this row (n_layers: outside the layers) or of any row an old one? */
bool ui_doc_row_is_old(const ui_document *d, int layer);
bool ui_doc_is_old(const ui_document *d);
/* Are all sums of the row's tensors with a delta known? */
bool ui_doc_row_is_known(const ui_document *d, int layer);
/* Gain and t of a row, from the measure or, before anything was measured, from the plan. NaN:
 * no tensor of the row has a delta; no heal. *mixed: its tensors differ. */
double ui_doc_row_gain(const ui_document *d, int layer, bool *mixed);
double ui_doc_row_t(const ui_document *d, int layer);
void ui_doc_free(ui_document *d);

/* --- files --- */

/* Canonical text of a recipe relative to its own folder; owned by the caller. */
char *ui_recipe_text(const rs_recipe *r);
/* A file that is a recipe and is saved to, not one that holds the recipe it was made by. */
bool ui_is_recipe_file(const char *path);
/* Reads a recipe file, a merged folder or a merged GGUF, and how many versions it has. */
rs_status ui_file_read(const char *path, rs_recipe **r, int *version,
                       rs_err *err) RS_MUST_USE;
int ui_stem_length(const char *path); /* without ".json" */
/* "…/NAME.versions/N.json" of "…/NAME.json"; false: too long. */
bool ui_version_path(const char *path, int version, char *dst, size_t n);
/* The way back: N of "…/NAME.versions/N.json", with "…/NAME.json" in newest; 0: no such path. */
int ui_version_of(const char *path, char *newest, size_t n);
/* How many versions "…/NAME.json" has, itself counted if it is there. */
int ui_newest_version(const char *path);
/* r as a recipe of another folder: its paths start from there. NULL: err; owned by the caller. */
rs_recipe *ui_recipe_moved(const rs_recipe *r, const char *folder, rs_err *err);

#endif
