#include "tui/app/track.h"

#include "base/os.h"
#include "base/utf8.h"
#include "tui/app/mem.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

ui_track *ui_track_new(void)
{
    ui_track *t = ui_alloc(1, sizeof *t);
    t->users = 1;
    t->each = 1;
    t->valid_loss = NAN;
    return t;
}

/* Who only looks at it still counts as a user. */
static ui_track *own(const ui_track *t)
{
    return (ui_track *)(uintptr_t)t;
}

void ui_track_keep(const ui_track *t)
{
    if (t) own(t)->users++;
}

void ui_track_drop(const ui_track *t)
{
    if (!t || --own(t)->users > 0) return;
    free(t->means);
    free(t->points);
    free(t->valid);
    free(own(t));
}

bool ui_track_takes(const char *event)
{
    return strcmp(event, "fisher") == 0 || strcmp(event, "train") == 0 ||
           strcmp(event, "valid") == 0;
}

static double number(const rs_json *v, const char *key)
{
    const rs_json *x = rs_json_get(v, key);
    return rs_json_is_number(x) ? rs_json_number(x) : NAN;
}

/* --- Fisher --- */

static void put_mean(ui_track *t, int layer, const rs_json *v)
{
    const char *name = rs_json_string(rs_json_get(v, "name"));
    double mean = number(v, "mean");
    if (!name || !(mean >= 0) || t->n_means >= UI_TRACK_TENSORS) return;
    t->means = ui_grow(t->means, t->n_means, &t->cap_means, sizeof *t->means);
    ui_track_mean *m = &t->means[t->n_means++];
    *m = (ui_track_mean){.layer = layer, .mean = mean, .max = number(v, "max")};
    snprintf(m->name, sizeof m->name, "%s", name);
}

static void add_layer(ui_track *t, const rs_json *v)
{
    double layer = number(v, "layer");
    const rs_json *tensors = rs_json_get(v, "tensors");
    if (!(layer >= -1 && layer < 100000)) return;
    for (const rs_json *m = rs_json_first(tensors); m; m = rs_json_next(m))
        put_mean(t, (int)layer, m);
    if (layer >= 0) t->n_layers++;
}

/* --- training --- */

static void name_corpus(ui_track_corpus *c, const char *name)
{
    snprintf(c->name, sizeof c->name, "%.63s", rs_path_basename(name));
    rs_utf8_clean(c->name);
    char *dot = strrchr(c->name, '.');
    if (dot && dot != c->name) *dot = 0;
}

/* The corpora of an event, in its order; `valid`: it is a validation's. */
static void take_corpora(ui_track *t, const rs_json *v, bool valid, double *loss)
{
    int i = 0;
    for (const rs_json *c = rs_json_first(rs_json_get(v, "corpora"));
         c && i < UI_TRACK_CORPORA; c = rs_json_next(c), i++) {
        ui_track_corpus *to = &t->corpus[i];
        const char *name = rs_json_string(rs_json_get(c, "name"));
        if (i >= t->n_corpora) {
            *to = (ui_track_corpus){.loss = NAN, .valid = NAN, .epochs = NAN};
            name_corpus(to, name ? name : "?");
            t->n_corpora = i + 1;
        }
        double l = number(c, "loss");
        if (loss) loss[i] = l;
        if (valid)
            to->valid = l;
        else if (!isnan(l))
            to->loss = l;
        if (!valid) to->epochs = number(c, "epochs");
    }
}

static void join(ui_track_point *to, const ui_track_point *p)
{
    for (int i = 0; i < UI_TRACK_VALUES; i++) {
        if (!p->n[i]) continue;
        double n = to->n[i], m = p->n[i];
        to->v[i] = n > 0 ? (to->v[i] * n + p->v[i] * m) / (n + m) : p->v[i];
        to->n[i] += p->n[i];
    }
}

/* Two points become one. */
static void thin(ui_track *t)
{
    int n = t->n_points / 2;
    for (int i = 0; i < n; i++) {
        ui_track_point p = t->points[2 * i];
        join(&p, &t->points[2 * i + 1]);
        t->points[i] = p;
    }
    t->n_points = n;
    t->each *= 2;
}

/* A resumed run begins with the step that it goes on with: what came after that is over. */
static void back_to(ui_track *t, double step)
{
    while (t->n_points && t->points[t->n_points - 1].step >= step)
        t->n_points--;
    while (t->n_valid && t->valid[t->n_valid - 1].step > step)
        t->n_valid--;
}

static void put_point(ui_track *t, const ui_track_point *p)
{
    if (!t->points) t->points = ui_alloc(UI_TRACK_POINTS, sizeof *t->points);
    if (p->step <= t->last.step && t->n_points) back_to(t, p->step);
    t->last = *p;
    ui_track_point *end = t->n_points ? &t->points[t->n_points - 1] : NULL;
    if (end && p->step < end->step + t->each) {
        join(end, p);
        return;
    }
    if (t->n_points == UI_TRACK_POINTS) thin(t);
    t->points[t->n_points++] = *p;
}

double ui_track_recent(const ui_track *t, int value, int steps)
{
    double sum = 0, n = 0;
    for (int i = t->n_points - 1; i >= 0 && n < steps; i--) {
        if (!t->points[i].n[value]) continue;
        sum += t->points[i].v[value] * t->points[i].n[value];
        n += t->points[i].n[value];
    }
    return n > 0 ? sum / n : NAN;
}

/* Another training begins in the same job: of several that are prepared. */
static void begin_again(ui_track *t)
{
    if (!t->n_points) return;
    t->n_points = t->n_valid = t->n_corpora = 0;
    t->each = 1;
    t->valid_loss = NAN;
}

static void add_step(ui_track *t, const rs_json *v)
{
    static const char *const keys[] = {"loss", "lr", "leak_out", "leak_in", "norm"};
    ui_track_point p = {.step = number(v, "step")};
    if (!(p.step >= 0 && p.step < 1e12)) return;
    if (p.step == 0) begin_again(t);
    for (int i = 0; i < UI_TRACK_VALUES; i++)
        p.v[i] = i < UI_TRACK_CORPUS ? number(v, keys[i]) : NAN;
    take_corpora(t, v, false, p.v + UI_TRACK_CORPUS);
    for (int i = 0; i < UI_TRACK_VALUES; i++)
        p.n[i] = isfinite(p.v[i]);
    double steps = number(v, "steps");
    if (steps > 0 && steps < 1e12) t->steps = steps;
    t->tokens_per_second = number(v, "tokens_per_second");
    put_point(t, &p);
}

static void add_valid(ui_track *t, const rs_json *v)
{
    ui_track_valid p = {number(v, "step"), number(v, "loss")};
    if (!(p.step >= 0 && p.step < 1e12) || !isfinite(p.loss)) return;
    if (p.step == 0) begin_again(t);
    double steps = number(v, "steps");
    if (steps > 0 && steps < 1e12) t->steps = steps;
    take_corpora(t, v, true, NULL);
    while (t->n_valid && t->valid[t->n_valid - 1].step >= p.step)
        t->n_valid--;
    if (t->n_valid >= UI_TRACK_POINTS) return;
    t->valid = ui_grow(t->valid, t->n_valid, &t->cap_valid, sizeof *t->valid);
    t->valid[t->n_valid++] = p;
    t->valid_loss = p.loss;
}

void ui_track_add(ui_track *t, const rs_json *event)
{
    const char *kind = rs_json_string(rs_json_get(event, "event"));
    t->version++;
    if (!kind) return;
    if (strcmp(kind, "fisher") == 0)
        add_layer(t, event);
    else if (strcmp(kind, "train") == 0)
        add_step(t, event);
    else if (strcmp(kind, "valid") == 0)
        add_valid(t, event);
}
