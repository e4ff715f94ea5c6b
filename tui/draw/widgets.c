#include "tui/draw/widgets.h"

#include "tui/draw/width.h"

#include <math.h>
#include <string.h>

int ui_put_right(ui_grid *g, int x, int y, int w, ui_role role, const char *text)
{
    int width = ui_text_width(text, strlen(text));
    int pad = width < w ? w - width : 0;
    ui_put(g, x + pad, y, w - pad > 0 ? w - pad : 0, role, text);
    return w;
}

int ui_put_centre(ui_grid *g, int x, int y, int w, ui_role role, const char *text)
{
    int width = ui_text_width(text, strlen(text));
    int pad = width < w ? (w - width) / 2 : 0;
    ui_put(g, x + pad, y, w - pad > 0 ? w - pad : 0, role, text);
    return w;
}

int ui_cols_layout(ui_col *cols, int n, int x, int gap)
{
    for (int i = 0; i < n; i++) {
        cols[i].x = x;
        x += cols[i].width + (i + 1 < n ? gap : 0);
    }
    return x;
}

void ui_put_col(ui_grid *g, int y, const ui_col *col, ui_role role, const char *text)
{
    if (col->align == 'r')
        ui_put_right(g, col->x, y, col->width, role, text);
    else
        ui_put_end(g, col->x, y, col->width, role, text);
}

void ui_cols_heads(ui_grid *g, int y, const ui_col *cols, int n)
{
    for (int i = 0; i < n; i++)
        if (cols[i].head) ui_put_col(g, y, &cols[i], UI_HEAD, cols[i].head);
}

int ui_heat_level(double v, double min, double max, bool linear)
{
    if (isnan(v)) return -1;
    if (!(v > 0) || !(max > 0)) return 0;
    double share = 1;
    if (linear)
        share = v / max;
    else if (max > min && min > 0)
        share = log(v / min) / log(max / min);
    if (!(share > 0)) return 0;
    int level = share >= 1 ? 9 : (int)floor(share * 10);
    return level > 9 ? 9 : level;
}

void ui_draw_heat(ui_grid *g, int x, int y, int w, int level, ui_heat_style style)
{
    const char *glyph = ui_heat_glyph(g, level, style);
    ui_role role = level < 0 ? UI_DIM : (ui_role)(UI_HEAT0 + (level > 9 ? 9 : level));
    for (int i = 0; i < w; i++)
        ui_put(g, x + i, y, 1, role, glyph);
}

/* Cell of v on a scale of w cells, not clamped to them (but to int). */
static int scale_cell(double v, int w, double lo, double hi)
{
    if (!(hi > lo)) return 0;
    double cell = floor((v - lo) / (hi - lo) * w + 1e-9);
    return cell < -1 ? -1 : cell > w ? w : (int)cell;
}

void ui_draw_slider(ui_grid *g, int x, int y, int w, double v, double lo, double hi,
                    ui_role knob)
{
    if (w < 1) return;
    bool known = !isnan(v);
    int at = known ? scale_cell(v, w, lo, hi) : -1;
    bool below = known && v < lo, above = known && v > hi;
    if (at >= w || above) at = w - 1;
    if (below) at = 0;
    int one = lo < 1 && 1 < hi ? scale_cell(1, w, lo, hi) : -1;
    for (int i = 0; i < w; i++) {
        if (i < at)
            ui_put(g, x + i, y, 1, UI_BAR, ui_glyph(g, UI_G_SLIDER));
        else if (i == one && i != at)
            ui_put(g, x + i, y, 1, UI_BAR_EMPTY, ui_glyph(g, UI_G_ONE));
        else
            ui_put(g, x + i, y, 1, UI_BAR_EMPTY, ui_glyph(g, UI_G_SLIDER_REST));
    }
    if (!known) return;
    ui_glyph_id glyph = below ? UI_G_OFF_LEFT : above ? UI_G_OFF_RIGHT : UI_G_KNOB;
    ui_put(g, x + at, y, 1, knob, ui_glyph(g, glyph));
}

double ui_slider_value(int cell, int w, double lo, double hi)
{
    if (w < 1) return lo;
    if (cell < 0) cell = 0;
    if (cell > w - 1) cell = w - 1;
    /* The last cell is also where hi itself lies. */
    return cell == w - 1 ? hi : lo + (hi - lo) * (cell + 0.5) / w;
}

static double clamp_share(double share)
{
    return isnan(share) || share < 0 ? 0 : share > 1 ? 1 : share;
}

void ui_draw_bar(ui_grid *g, int x, int y, int w, double share, ui_role role)
{
    if (w < 1) return;
    int eighths = (int)floor(clamp_share(share) * w * 8 + 1e-9);
    if (g->glyphs == UI_GLYPHS_ASCII)
        eighths = (int)floor(clamp_share(share) * w + 0.5) * 8;
    for (int i = 0; i < w; i++) {
        int part = eighths - i * 8;
        ui_put(g, x + i, y, 1, part > 0 ? role : UI_BAR_EMPTY, ui_eighth_across(g, part));
    }
}

void ui_draw_gauge(ui_grid *g, int x, int y, int w, double share, ui_role role)
{
    if (w < 2) return;
    ui_put(g, x, y, 1, UI_BAR_EMPTY, ui_glyph(g, UI_G_BAR_LEFT));
    ui_draw_bar(g, x + 1, y, w - 2, share, role);
    ui_put(g, x + w - 1, y, 1, UI_BAR_EMPTY, ui_glyph(g, UI_G_BAR_RIGHT));
}

/* Largest of the values that fall into cell i of w; NaN only if all are. */
static double bucket_max(const double *v, int n, int i, int w)
{
    int from = (int)((int64_t)i * n / w), to = (int)((int64_t)(i + 1) * n / w);
    double most = NAN;
    for (int k = from; k < to || k == from; k++)
        if (isnan(most) || v[k] > most) most = v[k];
    return most;
}

int ui_draw_spark(ui_grid *g, int x, int y, int w, const double *v, int n, double max,
                  ui_role role)
{
    if (n < 1 || w < 1) return 0;
    int cells = n < w ? n : w;
    for (int i = 0; i < cells; i++) {
        double value = bucket_max(v, n, i, cells);
        double share = isnan(value) ? NAN : max > 0 ? value / max : 0;
        ui_put(g, x + i, y, 1, isnan(value) ? UI_DIM : role, ui_height_glyph(g, share));
    }
    return cells;
}
