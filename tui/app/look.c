#include "tui/app/look.h"

#include "tui/app/mem.h"
#include "tui/app/msg.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const rs_spread *ui_looks_spread(const ui_looks *l, uint64_t key)
{
    for (int i = 0; key && i < UI_LOOKS_KEPT; i++)
        if (l->spread[i] && l->spread[i]->fingerprint == key) return l->spread[i];
    return NULL;
}

const rs_spread *ui_looks_spread_of(const ui_looks *l, int i_tensor)
{
    for (int k = 1; k <= UI_LOOKS_KEPT && k <= l->n_spreads; k++) {
        const rs_spread *s = l->spread[(l->n_spreads - k) % UI_LOOKS_KEPT];
        if (s->i_tensor == i_tensor) return s;
    }
    return NULL;
}

const ui_spectrum *ui_looks_spectrum(const ui_looks *l, uint64_t key)
{
    for (int i = 0; key && i < UI_LOOKS_KEPT; i++)
        if (l->spectrum[i].key == key) return &l->spectrum[i];
    return NULL;
}

bool ui_looks_failed(const ui_looks *l, uint64_t key)
{
    for (int i = 0; i < UI_LOOKS_KEPT; i++)
        if (key && l->failed[i] == key) return true;
    return false;
}

static bool put_spread(ui_looks *l, uint64_t key, const char *bytes, size_t n)
{
    rs_spread s;
    if (n != sizeof s) return false;
    memcpy(&s, bytes, sizeof s);
    if (s.fingerprint != key || !rs_spread_is_sound(&s)) return false;
    rs_spread **at = &l->spread[l->n_spreads++ % UI_LOOKS_KEPT];
    if (!*at) *at = ui_alloc(1, sizeof **at);
    **at = s;
    return true;
}

static ui_spectrum *next_spectrum(ui_looks *l, uint64_t key)
{
    ui_spectrum *s = &l->spectrum[l->n_spectra++ % UI_LOOKS_KEPT];
    free(s->s);
    free(s->why);
    *s = (ui_spectrum){.key = key};
    return s;
}

static bool are_falling(const double *v, int n)
{
    for (int i = 0; i < n; i++)
        if (!(v[i] >= 0) || !isfinite(v[i]) || (i && v[i] > v[i - 1])) return false;
    return true;
}

static bool put_spectrum(ui_looks *l, uint64_t key, const char *bytes, size_t n)
{
    if (n == 0 || n % sizeof(double) || n > 8u << 20) return false;
    double *v = ui_alloc(n / sizeof *v, sizeof *v);
    memcpy(v, bytes, n);
    if (!are_falling(v, (int)(n / sizeof *v))) return free(v), false;
    ui_spectrum *s = next_spectrum(l, key);
    s->s = v;
    s->n = (int)(n / sizeof *v);
    return true;
}

bool ui_looks_put(ui_looks *l, ui_look_what what, uint64_t key, const char *bytes,
                  size_t n)
{
    if (l->asked == key) l->asked = 0;
    bool fine = what == UI_LOOK_SPREAD ? put_spread(l, key, bytes, n)
                                       : put_spectrum(l, key, bytes, n);
    if (!fine) ui_looks_fail(l, what, key, "what came back is damaged");
    return fine;
}

void ui_looks_fail(ui_looks *l, ui_look_what what, uint64_t key, const char *why)
{
    if (l->asked == key) l->asked = 0;
    l->failed[l->n_failed++ % UI_LOOKS_KEPT] = key;
    snprintf(l->problem, sizeof l->problem, "%s", why);
    if (what == UI_LOOK_SPECTRUM) next_spectrum(l, key)->why = ui_strdup(why);
}

void ui_looks_free(ui_looks *l)
{
    for (int i = 0; i < UI_LOOKS_KEPT; i++) {
        free(l->spread[i]);
        free(l->spectrum[i].s);
        free(l->spectrum[i].why);
    }
    memset(l, 0, sizeof *l);
}
