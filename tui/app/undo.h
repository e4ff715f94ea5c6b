/* undo.h - the states of this session as a tree of snapshots.
 *
 * A state is the canonical text of the recipe, the command that led to it, and the file it
 * belongs to (index of document.h's list). Going back and editing again opens a branch; redo
 * follows the branch that was used last. At most UI_UNDO_MAX states: then the oldest one goes,
 * and branches that hang on it alone. */
#ifndef UI_UNDO_H
#define UI_UNDO_H

#include <stdbool.h>

enum { UI_UNDO_MAX = 200 };

typedef struct ui_undo_node {
    char *text, *line;
    int parent;     /* -1: the root */
    int last_child; /* the branch used last, or -1 */
    int scene;      /* which scene was shown: 0, 1, 2 */
    int file;
    double wall;
} ui_undo_node;

typedef struct ui_undo {
    ui_undo_node *at;
    int n, cap, here;
} ui_undo;

void ui_undo_start(ui_undo *u, const char *text, const char *line, int file, double wall);
void ui_undo_push(ui_undo *u, const char *text, const char *line, int scene, int file,
                  double wall);
/* A state of an earlier session (strings are copied) below a parent that is there already (-1:
 * the root, the first one). used: redo from the parent leads here. */
void ui_undo_add(ui_undo *u, int parent, const ui_undo_node *state, bool used);
/* The state to go to, or NULL: then nothing moved. The caller shows its text. */
const ui_undo_node *ui_undo_back(ui_undo *u);
const ui_undo_node *ui_undo_forward(ui_undo *u);
const ui_undo_node *ui_undo_go(ui_undo *u, int node);
const ui_undo_node *ui_undo_here(const ui_undo *u); /* NULL: empty */
/* Goes to the nearest state of the file with this text, back from here; else pushes it. */
void ui_undo_settle(ui_undo *u, const char *text, const char *line, int scene, int file,
                    double wall);
/* Edits between here and the nearest state whose text is `text`, back from here; -1: none. */
int ui_undo_since(const ui_undo *u, const char *text);
void ui_undo_free(ui_undo *u);

#endif
