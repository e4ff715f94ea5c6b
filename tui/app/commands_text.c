/* commands_text.c - the text that is written: prompt, seed, sampler, Duel. */
#include "tui/screens/screens.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXTS = UI_ON(UI_RING) | UI_ON(UI_DUEL) };

/* --- the prompt --- */

static void pin(ui_app *a, const char *id, const char *text, bool raw, ui_effects *fx)
{
    ui_replace(&a->pinned.id, id);
    ui_replace(&a->pinned.title, text);
    a->pinned.raw = raw;
    a->text_top = -1;
    ui_generate_again(a, fx);
    ui_say(a, "pinned %s%s\"%.60s\"", id, id[0] ? " " : "", text);
}

static bool typed_prompt(ui_app *a, const char *text, ui_effects *fx)
{
    if (text[strspn(text, " ")]) pin(a, "", text, false, fx);
    return true;
}

static void type_prompt(ui_app *a)
{
    ui_entry e = {.accept = typed_prompt, .name = "pin"};
    ui_entry_open(a, "prompt: ", "", &e);
}

static void prompt_chosen(ui_app *a, const ui_menu_item *i, ui_effects *fx)
{
    if (i->value < 0 || i->value >= a->library_prompts.n) {
        type_prompt(a);
        return;
    }
    const ui_prompt_item *p = &a->library_prompts.at[i->value];
    pin(a, p->id, p->title, p->raw, fx);
}

static bool run_pin(ui_app *a, const ui_args *args, ui_effects *fx)
{
    if (args->n) {
        const ui_prompt_item *p =
            args->n == 1 ? ui_prompts_named(&a->library_prompts, args->word[0]) : NULL;
        if (p)
            pin(a, p->id, p->title, p->raw, fx);
        else
            pin(a, "", args->n == 1 ? args->word[0] : args->line, false, fx);
        return true;
    }
    ui_set_mode(a, UI_MODE_MENU);
    snprintf(a->menu.title, sizeof a->menu.title, "prompt");
    for (int i = 0; i < a->library_prompts.n; i++) {
        const ui_prompt_item *p = &a->library_prompts.at[i];
        char text[90];
        snprintf(text, sizeof text, "%s  %.56s", p->id, p->title);
        ui_menu_add(&a->menu, text, p->raw ? "goes on" : "answer", i);
    }
    ui_menu_add(&a->menu, "type another", "", -1);
    a->menu.chosen = prompt_chosen;
    return true;
}

static bool run_preview(ui_app *a, const ui_args *args, ui_effects *fx)
{
    char words[96];
    const ui_option *o = ui_option_named("preview");
    if (args->n != 1 || !ui_option_set(&a->opt, o, args->word[0], words)) {
        ui_warn(a, "preview: continue restart off, not \"%s\"", args->line);
        return false;
    }
    ui_preview_mode_told(a, fx);
    ui_say(a, "preview %s", args->word[0]);
    return true;
}

/* --- again, with the same or another seed --- */

static bool run_again(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)args;
    if (!a->doc.at.plan) {
        ui_warn(a, "there is no model to write with");
        return true;
    }
    if (!a->pinned.title) {
        ui_say(a, "no prompt is pinned: P chooses one");
        return true;
    }
    a->text_top = -1;
    ui_generate_again(a, fx);
    return true;
}

static bool step_seed(ui_app *a, int by, ui_effects *fx)
{
    if (by < 0 && a->sampling.p.seed == 0) return true;
    a->sampling.p.seed += (uint64_t)(int64_t)by;
    a->text_top = -1;
    ui_generate_again(a, fx);
    ui_say(a, "seed %llu%s", (unsigned long long)a->sampling.p.seed,
           a->sampling.p.temperature <= 0
               ? " (at temperature 0 every seed writes the same)"
               : "");
    return true;
}

static bool run_seed_next(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)args;
    return step_seed(a, 1, fx);
}

static bool run_seed_prev(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)args;
    return step_seed(a, -1, fx);
}

static bool list_sampler(ui_app *a)
{
    rs_buf b = {0}, json = {0};
    const char *help = "";
    ui_sampling_json(&a->sampling, &json);
    rs_buf_puts(&b, "Set with :sampler NAME=VALUE ...\n\n");
    for (int i = 0; ui_sampling_name(i, &help); i++)
        rs_buf_printf(&b, "%-20s %s\n", ui_sampling_name(i, &help), help);
    rs_buf_printf(&b, "\nnow  %s\n", rs_buf_str(&json));
    rs_buf_free(&json);
    ui_page_open(a, "sampler", &b, false);
    return true;
}

static bool run_sampler(ui_app *a, const ui_args *args, ui_effects *fx)
{
    char why[160];
    ui_sampling next = a->sampling;
    if (!args->n) return list_sampler(a);
    for (int i = 0; i < args->n; i++) {
        if (ui_sampling_set(&next, args->word[i], why)) continue;
        ui_warn(a, "%s", why);
        return false;
    }
    a->sampling = next;
    ui_generate_again(a, fx);
    ui_say(a, "sampler %s", args->line);
    return true;
}

static bool run_system(ui_app *a, const ui_args *args, ui_effects *fx)
{
    const char *text = args->n == 1 ? args->word[0] : args->line;
    ui_replace(&a->system, text[0] ? text : NULL);
    ui_generate_again(a, fx);
    ui_say(a, text[0] ? "system prompt set%s" : "no system prompt%s",
           a->pinned.raw ? "; the pinned prompt is continued as it is and has none" : "");
    return true;
}

/* --- Duel --- */

static bool run_versus(ui_app *a, const ui_args *args, ui_effects *fx)
{
    ui_edit_drop(a);
    if (args->n > 2) {
        ui_warn(a, "versus takes one recipe, or two");
        return false;
    }
    if (args->n == 2) return ui_load(a, args->word[0], args->word[1], fx);
    return ui_versus(a, args->n ? args->word[0] : NULL, fx);
}

static bool run_scroll(ui_app *a, const ui_args *args, ui_effects *fx)
{
    char words[96];
    (void)fx;
    if (args->n == 1 &&
        ui_option_set(&a->opt, ui_option_named("scroll"), args->word[0], words)) {
        ui_say(a, "panes scroll %s", args->word[0]);
        return true;
    }
    ui_warn(a, "scroll: together or apart, not \"%s\"", args->line);
    return false;
}

// clang-format off
const ui_command ui_commands_text[] = {
    {"pin", "P", "[PROMPT]", TEXTS, "text", "choose or type the prompt", false, run_pin},
    {"preview", NULL, "continue|restart|off", TEXTS, "text", "what changed weights do to the text", false, run_preview},
    {"again", "r", NULL, TEXTS, "text", "the text once more, same seed", false, run_again},
    {"seed-next", ">", NULL, TEXTS, "text", "next seed, again", false, run_seed_next},
    {"seed-prev", "<", NULL, TEXTS, "text", "previous seed, again", false, run_seed_prev},
    {"sampler", NULL, "[NAME=VALUE...]", TEXTS, "text", "temp top-k top-p min-p ... seed max-tokens", false, run_sampler},
    {"system", NULL, "TEXT", TEXTS, "text", "system prompt of this conversation", false, run_system},
    {"versus", "V F8", "[RECIPE [RECIPE]]", UI_EVERYWHERE, "text", "duel: this against the newest differing version; two names open the first", false, run_versus},
    {"scroll", NULL, "together|apart", UI_ON(UI_DUEL), "text", "panes scroll by paragraph together or each alone", false, run_scroll},
    {0},
};
// clang-format on
