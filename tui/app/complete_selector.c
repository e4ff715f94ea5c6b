#include "tui/app/complete_internal.h"
#include "tui/draw/numbers.h"

#include <stdio.h>
#include <string.h>

static const char layers_dot[] = "layers.";

static bool names_layers(const char *word)
{
    return strncmp(word, layers_dot, sizeof layers_dot - 1) == 0;
}

/* "3 a layer" behind the help of a word, parted by a tab: the popup aligns it. false: the
 * model has no such tensor. */
static bool add_count(const ui_sources *s, ui_completion *c)
{
    ui_match_count m = {0};
    char help[sizeof c->help];
    size_t n = strlen(c->text);
    if (!s->match || n == 0 || c->text[n - 1] == '.' ||
        !s->match(s->ctx, c->text, &m, NULL))
        return true;
    memcpy(help, c->help, sizeof help);
    bool is_even = m.layers > 1 && m.per_layer > 0 && m.layers * m.per_layer == m.tensors;
    if (is_even)
        snprintf(c->help, sizeof c->help, "%.60s\t%d a layer", help, (int)m.per_layer);
    else
        snprintf(c->help, sizeof c->help, "%.60s\t%d tensor%s", help, m.tensors,
                 m.tensors == 1 ? "" : "s");
    return m.tensors > 0;
}

/* Counts what was added since `from`, and takes out what the model does not have. */
static void count_all(const ui_sources *s, ui_completions *out, int from)
{
    enum { AT_MOST = 80 };
    int kept = from;
    for (int i = from; i < out->n; i++)
        if (i >= from + AT_MOST || add_count(s, &out->at[i]))
            out->at[kept++] = out->at[i];
    out->n = kept;
}

static void add_layers(const ui_sources *s, ui_completions *out)
{
    for (int i = 0; i < s->n_layers; i++) {
        char text[24];
        snprintf(text, sizeof text, "layers.%d", i);
        ui_completions_add(out, text, "layer");
    }
}

/* Bytes of "layers.4-7." at the start of the word, behind which a kind follows; or 0. */
static size_t layer_part(const char *word)
{
    size_t n = sizeof layers_dot - 1;
    if (!names_layers(word)) return 0;
    size_t digits = strspn(word + n, "0123456789,-");
    return digits > 0 && word[n + digits] == '.' ? n + digits + 1 : 0;
}

/* "layers.4-7: 4 layers, 24 tensors with a delta"; "" if it is no selector (yet). */
static void summarise(const ui_sources *s, const char *label, const char *selector,
                      char *out, size_t n)
{
    ui_match_count m = {0};
    char layers[32] = "", numbers[64] = "";
    out[0] = 0;
    if (!s->match || !*selector || !s->match(s->ctx, selector, &m, NULL)) return;
    bool has_delta = m.with_delta >= 0;
    int shown = has_delta ? m.with_delta : m.tensors;
    if (m.layers > 0)
        snprintf(layers, sizeof layers, "%d layer%s, ", m.layers,
                 m.layers == 1 ? "" : "s");
    if (m.numbers > 0)
        snprintf(numbers, sizeof numbers, ", %s numbers",
                 ui_num_short(UI_GLYPHS_ASCII, (double)m.numbers).s);
    snprintf(out, n, "%.32s: %s%d tensor%s%s%s", label, layers, shown,
             shown == 1 ? "" : "s", has_delta ? " with a delta" : "", numbers);
}

/* What the selector matches as a whole, and before its last "&". A last word that is not
 * finished counts as the first candidate. */
static void summarise_typed(const ui_sources *s, const ui_place *p, ui_completions *out)
{
    char whole[512], label[40], first[80], second[80] = "";
    const char *last = out->n > 0 && *p->word ? out->at[0].text : p->word;
    int before = (int)(p->from - p->args);
    snprintf(whole, sizeof whole, "%.*s%.128s", before < 300 ? before : 300,
             p->line + p->args, last);
    char *and_sign = strrchr(whole, '&');
    if (and_sign) {
        snprintf(label, sizeof label, "%.32s", and_sign);
        summarise(s, label, whole, second, sizeof second);
        while (and_sign > whole && and_sign[-1] == ' ')
            and_sign--;
        *and_sign = 0;
    }
    summarise(s, whole, whole, first, sizeof first);
    snprintf(out->summary, sizeof out->summary, "%s%s%s", first,
             *first && *second ? "\n" : "", second);
}

void ui_complete_selector(const ui_sources *s, ui_place *p, ui_completions *out)
{
    size_t skip = strspn(p->word, "!&");
    size_t layers = layer_part(p->word + skip);
    skip += layers;
    memmove(p->word, p->word + skip, strlen(p->word + skip) + 1);
    p->from += skip;
    int from = out->n;
    const char *help = "", *word;
    for (int i = 0; (word = ui_fixed_word("SELECTOR", i, &help)) != NULL; i++)
        if (!layers || (strcmp(word, "*") != 0 && !names_layers(word)))
            ui_completions_add(out, word, help);
    if (!layers && s->names) s->names(s->ctx, "SELECTOR", out);
    if (names_layers(p->word)) add_layers(s, out);
    ui_keep_matching(out, from, p->word);
    count_all(s, out, from);
    summarise_typed(s, p, out);
}
