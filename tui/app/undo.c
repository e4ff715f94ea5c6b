#include "tui/app/undo.h"

#include "tui/app/mem.h"
#include "tui/app/msg.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static void clear_node(ui_undo_node *n)
{
    free(n->text);
    free(n->line);
}

static bool descends(const ui_undo *u, int node, int from)
{
    while (node >= 0 && node != from)
        node = u->at[node].parent;
    return node == from;
}

/* The child of the root on the way to where we are becomes the root. */
static void drop_root(ui_undo *u)
{
    int next = u->here;
    while (next > 0 && u->at[next].parent != 0)
        next = u->at[next].parent;
    if (next <= 0) return;
    int moved[UI_UNDO_MAX + 1];
    int n = 0;
    for (int i = 0; i < u->n; i++)
        moved[i] = descends(u, i, next) ? n++ : -1;
    for (int i = 0; i < u->n; i++) {
        if (moved[i] < 0) {
            clear_node(&u->at[i]);
            continue;
        }
        ui_undo_node node = u->at[i];
        node.parent = node.parent < 0 ? -1 : moved[node.parent];
        node.last_child = node.last_child < 0 ? -1 : moved[node.last_child];
        u->at[moved[i]] = node;
    }
    u->here = moved[u->here];
    u->n = n;
}

static void drop_branches(ui_undo *u)
{
    for (int i = 1; i < u->n; i++)
        clear_node(&u->at[i]);
    u->n = 1;
    u->at[0].last_child = -1;
}

static void add(ui_undo *u, const char *text, const char *line, int parent, int scene,
                int file, double wall)
{
    u->at = ui_grow(u->at, u->n, &u->cap, sizeof *u->at);
    ui_undo_node *n = &u->at[u->n];
    *n = (ui_undo_node){.text = ui_strdup(text),
                        .line = ui_strdup(line),
                        .parent = parent,
                        .last_child = -1,
                        .scene = scene,
                        .file = file,
                        .wall = wall};
    if (parent >= 0) u->at[parent].last_child = u->n;
    u->here = u->n++;
}

void ui_undo_start(ui_undo *u, const char *text, const char *line, int file, double wall)
{
    ui_undo_free(u);
    add(u, text, line, -1, 0, file, wall);
}

void ui_undo_push(ui_undo *u, const char *text, const char *line, int scene, int file,
                  double wall)
{
    if (u->n >= UI_UNDO_MAX) drop_root(u);
    if (u->n >= UI_UNDO_MAX) drop_branches(u); /* we stand on the root itself */
    add(u, text, line, u->n ? u->here : -1, scene, file, wall);
}

void ui_undo_add(ui_undo *u, int parent, const ui_undo_node *s, bool used)
{
    int last = parent >= 0 ? u->at[parent].last_child : -1;
    add(u, s->text, s->line, parent, s->scene, s->file, s->wall);
    if (parent >= 0 && !used) u->at[parent].last_child = last;
}

const ui_undo_node *ui_undo_here(const ui_undo *u)
{
    return u->n ? &u->at[u->here] : NULL;
}

const ui_undo_node *ui_undo_go(ui_undo *u, int node)
{
    if (node < 0 || node >= u->n) return NULL;
    u->here = node;
    for (int i = node; u->at[i].parent >= 0; i = u->at[i].parent)
        u->at[u->at[i].parent].last_child = i;
    return &u->at[node];
}

const ui_undo_node *ui_undo_back(ui_undo *u)
{
    return u->n ? ui_undo_go(u, u->at[u->here].parent) : NULL;
}

const ui_undo_node *ui_undo_forward(ui_undo *u)
{
    return u->n ? ui_undo_go(u, u->at[u->here].last_child) : NULL;
}

void ui_undo_settle(ui_undo *u, const char *text, const char *line, int scene, int file,
                    double wall)
{
    for (int i = u->n ? u->here : -1; i >= 0; i = u->at[i].parent)
        if (u->at[i].file == file && strcmp(u->at[i].text, text) == 0) {
            ui_undo_go(u, i);
            return;
        }
    ui_undo_push(u, text, line, scene, file, wall);
}

int ui_undo_since(const ui_undo *u, const char *text)
{
    int edits = 0;
    for (int i = u->n ? u->here : -1; i >= 0; i = u->at[i].parent, edits++)
        if (strcmp(u->at[i].text, text) == 0) return edits;
    return -1;
}

void ui_undo_free(ui_undo *u)
{
    for (int i = 0; i < u->n; i++)
        clear_node(&u->at[i]);
    free(u->at);
    memset(u, 0, sizeof *u);
}
