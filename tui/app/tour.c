/* tour.c - the tour of the first start. A box says what to try; the real keys do the real work
 * underneath, and a step is over when the thing was done. */
#include "tui/draw/widgets.h"
#include "tui/screens/screens.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct step {
    const char *title, *line[4], *waits;
    bool (*done)(const ui_app *a);
} step;

static bool edited(const ui_app *a, const char *part)
{
    const ui_undo_node *n = ui_undo_here(&a->undo);
    return n && n->parent >= 0 && strstr(n->line, part) != NULL;
}

static bool moved(const ui_app *a)
{
    return a->rows.cursor > 0;
}
static bool slid(const ui_app *a)
{
    return edited(a, "gain ");
}

static bool at_worst(const ui_app *a)
{
    const rs_measure *m = a->doc.at.measure;
    if (!m || isnan(m->layer[a->rows.cursor].damage)) return false;
    for (int l = 0; l <= m->n_layers; l++)
        if (m->layer[l].damage > m->layer[a->rows.cursor].damage) return false;
    return true;
}

static bool halved(const ui_app *a)
{
    return edited(a, "*0.5");
}
static bool redone(const ui_app *a)
{
    return strncmp(a->message, "done again", 10) == 0;
}
static bool lambda(const ui_app *a)
{
    return edited(a, "lambda");
}
static bool budget(const ui_app *a)
{
    return edited(a, "budget");
}
static bool duels(const ui_app *a)
{
    return a->screen == UI_DUEL && a->duel.open;
}
static bool merges(const ui_app *a)
{
    return a->mode == UI_MODE_PLAN || a->jobs.n > 0;
}
/* By W: what a merge saves first is no answer to this step, which was not read yet. */
static bool saved(const ui_app *a)
{
    return strncmp(a->message, "saved as", 8) == 0 ||
           strncmp(a->message, "nothing changed since", 21) == 0;
}

/* The last word stays until it was read. */
static bool never(const ui_app *a)
{
    (void)a;
    return false;
}

static const step steps[] = {
    {"the rows",
     {"Each row is a layer of the model. The shades say how",
      "much the instruct model cares about each matrix,",
      "the slider how much of the style goes in.", "j and k move the cursor. Press j."},
     "j",
     moved},
    {"a slider",
     {"h and l move the slider of the row under the cursor.",
      "All numbers follow in the same frame, the text", "as fast as the model can write.",
      "Press h."},
     "h or l",
     slid},
    {"the layer that hurts most",
     {"The column mnat says how much each layer adds to",
      "the instruct model's loss, in thousandths of a nat.",
      "One adds most. J moves the cursor to the largest,",
      "from wherever you are. Try it: press J."},
     "J",
     at_worst},
    {"half of it",
     {"* multiplies: type 0.5 and watch what Enter would",
      "give while you type. = sets, + and - add and take.", "",
      "Press * then 0.5 and Enter."},
     "* 0.5 Enter",
     halved},
    {"undo and redo",
     {"u takes the last edit back, ^R does it again.",
      "z shows all states of this session.", "", "Press u, then ^R."},
     "u and ^R",
     redone},
    {"dampening",
     {"lambda says how strongly numbers that the instruct",
      "model needs are spared. , and . halve or double it", "in four steps.",
      "Press , once."},
     ",",
     lambda},
    {"a budget",
     {"The bar under the rows shows how much of the damage",
      "budget is used, and says OVER beyond it.", "",
      "Type :budget 5m of=fuel and Enter."},
     ":budget",
     budget},
    {"a duel",
     {"V writes the same prompt with this recipe and with",
      "the newest saved one that differs, side by side.", "",
      "Press V, and 1 to come back."},
     "V",
     duels},
    {"a merge",
     {"M shows what a merge would write and what it needs.",
      "y there starts it in the background; n goes back.", "", "Press M."},
     "M",
     merges},
    {"saving",
     {"W saves the recipe as its next version; older ones",
      "stay. Everything else is in the session: Q leaves,",
      "and the next start is where you are now.", "Press W."},
     "W",
     saved},
    {"the end",
     {"That was the way round. ? lists the keys of a screen,",
      "i says what the numbers and columns mean, and ^P", "finds any command.", ""},
     "Enter",
     never},
};
enum { N_STEPS = sizeof steps / sizeof *steps, N_COUNTED = N_STEPS - 1 };

void ui_tour_open(ui_app *a, int which)
{
    if (which < 1) which = 1;
    if (which > N_STEPS) which = N_STEPS;
    a->tour.step = which;
    a->tour.seen = true;
}

static void leave(ui_app *a)
{
    a->tour.step = 0;
    ui_say(a, "tour: :tour brings it back");
}

bool ui_tour_key(ui_app *a, int key)
{
    if (!a->tour.step) return false;
    if (key == UI_KEY_ESC)
        leave(a);
    else if (key == UI_KEY_ENTER) {
        if (++a->tour.step > N_STEPS) leave(a);
    } else if (key == UI_KEY_BACKSPACE) {
        if (a->tour.step > 1) a->tour.step--;
    } else
        return false;
    return true;
}

void ui_tour_watch(ui_app *a, const ui_msg *m)
{
    bool acts = m->kind == UI_MSG_KEY || m->kind == UI_MSG_COMMAND ||
                m->kind == UI_MSG_MOUSE || m->kind == UI_MSG_DONE;
    if (!a->tour.step || !acts || !steps[a->tour.step - 1].done(a)) return;
    a->tour.step++;
}

/* Below the rows and as low as it can, or over the last of them: what it speaks of stays
 * visible. */
static ui_rect place(const ui_app *a, const step *s, ui_rect body)
{
    bool of_below = s->done == slid || s->done == budget; /* the text, the bar */
    int w = body.w < 56 ? body.w : 56, h = of_below ? 7 : 8, y = body.y + body.h - h;
    int x = body.w >= 80 ? 12 : body.w - w;
    if (of_below && a->screen == UI_RING) {
        ui_ring_layout l = ui_ring_layout_of(a, body);
        if (!l.beside && l.kinds.y - h >= body.y) y = l.kinds.y - h;
    }
    return (ui_rect){body.x + x, y, w, h};
}

void ui_tour_view(const ui_app *a, ui_grid *g, ui_rect body)
{
    const step *s = &steps[a->tour.step - 1];
    char title[96];
    if (a->tour.step > N_COUNTED)
        snprintf(title, sizeof title, "tour   %s", s->title);
    else
        snprintf(title, sizeof title, "tour %d of %d   %s", a->tour.step, (int)N_COUNTED,
                 s->title);
    ui_rect in = ui_draw_popup(g, place(a, s, body), title);
    for (int i = 0; i < 4; i++)
        ui_put(g, in.x, in.y + i, in.w, UI_TEXT, s->line[i]);
    int foot = in.y + in.h - 1;
    ui_printf(g, in.x, foot, in.w, UI_DIM, "waiting for %s", s->waits);
    ui_put_right(g, in.x, foot, in.w, UI_DIM,
                 a->tour.step > N_COUNTED ? "" : "Enter skips, Esc leaves");
}
