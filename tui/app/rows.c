#include "tui/app/rows.h"

#include "tui/app/mem.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const sort_names[UI_N_SORTS] = {"layer", "damage", "kept", "gain"};
static const char *const fall_names[UI_N_FALLS] = {"flat", "linear", "cosine"};

const char *ui_sort_name(ui_sort s)
{
    return sort_names[s];
}

const char *ui_falloff_name(ui_falloff f)
{
    return fall_names[f];
}

void ui_rows_resize(ui_rows *r, int n)
{
    if (n == r->n) return;
    free(r->marked);
    free(r->order);
    free(r->passes);
    r->n = n;
    r->marked = ui_alloc((size_t)n, sizeof *r->marked);
    r->order = ui_alloc((size_t)n, sizeof *r->order);
    r->passes = ui_alloc((size_t)n, sizeof *r->passes);
    for (int i = 0; i < n; i++)
        r->passes[i] = true;
    r->filter[0] = 0;
    r->cursor = r->top = r->n_order = 0;
    r->ranging = false;
}

static double sort_key(const ui_rows *r, const ui_document *d, int row)
{
    const rs_measure *m = d->at.measure;
    if (r->sort == UI_SORT_LAYER || !m || row > m->n_layers) return row;
    const rs_measure_row *v = &m->layer[row];
    double key = r->sort == UI_SORT_DAMAGE ? v->damage
                 : r->sort == UI_SORT_KEPT ? v->kept
                                           : v->gain;
    return isnan(key) ? -INFINITY : -key; /* the largest first */
}

/* Insertion sort: stable, and a few dozen rows that are nearly in order. */
void ui_rows_arrange(ui_rows *r, const ui_document *d)
{
    r->n_order = 0;
    r->shows_emb = r->n > 0 && r->passes[r->n - 1];
    for (int row = 0; row + 1 < r->n; row++) {
        if (!r->passes[row]) continue;
        double key = sort_key(r, d, row);
        int at = r->n_order++;
        while (at > 0) {
            double before = sort_key(r, d, r->order[at - 1]);
            bool stays = r->reverse ? before >= key : before <= key;
            if (stays) break;
            r->order[at] = r->order[at - 1];
            at--;
        }
        r->order[at] = row;
    }
    if (ui_rows_place(r, r->cursor) < 0 && ui_rows_shown(r)) r->cursor = ui_rows_at(r, 0);
}

int ui_rows_shown(const ui_rows *r)
{
    return r->n_order + (r->shows_emb ? 1 : 0);
}

int ui_rows_at(const ui_rows *r, int place)
{
    if (place < 0 || place >= ui_rows_shown(r)) return -1;
    return place < r->n_order ? r->order[place] : r->n - 1;
}

int ui_rows_place(const ui_rows *r, int row)
{
    for (int i = 0; i < ui_rows_shown(r); i++)
        if (ui_rows_at(r, i) == row) return i;
    return -1;
}

void ui_rows_to(ui_rows *r, int place)
{
    int shown = ui_rows_shown(r);
    if (!shown) return;
    if (place >= shown) place = shown - 1;
    if (place < 0) place = 0;
    r->cursor = ui_rows_at(r, place);
}

void ui_rows_move(ui_rows *r, int by)
{
    int place = ui_rows_place(r, r->cursor);
    if (by > 1000000) by = 1000000;
    if (by < -1000000) by = -1000000;
    ui_rows_to(r, (place < 0 ? 0 : place) + by);
}

void ui_rows_scroll(ui_rows *r, int visible)
{
    int place = ui_rows_place(r, r->cursor);
    if (visible < 1) visible = 1;
    if (place >= 0 && place < r->n_order) {
        if (place < r->top) r->top = place;
        if (place >= r->top + visible) r->top = place - visible + 1;
    } else if (place >= r->n_order) {
        r->top = r->n_order - visible; /* emb stands below the last layers */
    }
    if (r->top > r->n_order - visible) r->top = r->n_order - visible;
    if (r->top < 0) r->top = 0;
}

int ui_rows_n_marked(const ui_rows *r)
{
    int n = 0;
    for (int i = 0; i < r->n; i++)
        n += r->marked[i];
    return n;
}

/* Step of the k-th neighbour of the cursor, of w. */
static double fall(ui_falloff f, int k, int w)
{
    if (f == UI_FALL_FLAT || k == 0) return 1;
    double x = (double)k / (w + 1);
    return f == UI_FALL_LINEAR ? 1 - x : (1 + cos(3.14159265358979323846 * x)) / 2;
}

int ui_rows_target(const ui_rows *r, double *weight, int *hidden)
{
    int n = 0;
    *hidden = 0;
    bool marks = ui_rows_n_marked(r) > 0;
    for (int i = 0; i < r->n; i++) {
        int far = abs(i - r->cursor);
        /* The brush does not reach over from the layers to what is outside them. */
        bool apart = i != r->cursor && (i == r->n - 1 || r->cursor == r->n - 1);
        weight[i] = marks                       ? r->marked[i]
                    : far <= r->brush && !apart ? fall(r->falloff, far, r->brush)
                                                : 0;
        if (weight[i] == 0) continue;
        n++;
        if (!r->passes[i]) ++*hidden;
    }
    return n;
}

static void add_text(char *dst, size_t n, const char *text)
{
    size_t at = strlen(dst);
    if (at < n) snprintf(dst + at, n - at, "%s", text);
}

void ui_rows_selector(const ui_rows *r, const double *weight, char *dst, size_t n)
{
    int layers = r->n - 1, count = 0;
    bool emb = r->n > 0 && weight[layers] != 0;
    dst[0] = 0;
    for (int i = 0; i < layers; i++)
        count += weight[i] != 0;
    if (count == layers && emb) {
        snprintf(dst, n, "*");
        return;
    }
    for (int i = 0; i < layers; i++) {
        if (weight[i] == 0) continue;
        int to = i;
        while (to + 1 < layers && weight[to + 1] != 0)
            to++;
        char run[48];
        if (to > i)
            snprintf(run, sizeof run, "%s%d-%d", dst[0] ? "," : "layers.", i, to);
        else
            snprintf(run, sizeof run, "%s%d", dst[0] ? "," : "layers.", i);
        add_text(dst, n, run);
        i = to;
    }
    if (emb) add_text(dst, n, dst[0] ? " and embed" : "embed");
}

void ui_rows_free(ui_rows *r)
{
    free(r->marked);
    free(r->order);
    free(r->passes);
    memset(r, 0, sizeof *r);
}
