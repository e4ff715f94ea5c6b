/* ringside [RECIPE|FOLDER]: the workbench itself. */
#include "base/os.h"
#include "store/checkpoint.h"
#include "tui/app/adhoc.h"
#include "tui/app/loop.h"
#include "tui/verbs/verbs.h"

#include <langinfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct workbench_opts {
    const char *color, *theme, *glyphs;
    bool no_mouse;
} workbench_opts;

static const ui_opt opts[] = {
    {"--color", UI_OPT_STRING, "auto|never|always", "colours (default: auto, see NO_COLOR)",
     offsetof(workbench_opts, color)},
    {"--theme", UI_OPT_STRING, "NAME", "dark light contrast safe mono",
     offsetof(workbench_opts, theme)},
    {"--glyphs", UI_OPT_STRING, "LEVEL", "braille block ascii (default: by the locale)",
     offsetof(workbench_opts, glyphs)},
    {"--no-mouse", UI_OPT_FLAG, NULL, "leave the mouse to the terminal",
     offsetof(workbench_opts, no_mouse)},
    {NULL, UI_OPT_FLAG, NULL, NULL, 0},
};

static bool ascii_only(void)
{
    return strcmp(nl_langinfo(CODESET), "UTF-8") != 0;
}

static bool glyph_level(const char *name, ui_glyph_level *out)
{
    if (!name) *out = ascii_only() ? UI_GLYPHS_ASCII : UI_GLYPHS_BRAILLE;
    else if (strcmp(name, "braille") == 0) *out = UI_GLYPHS_BRAILLE;
    else if (strcmp(name, "block") == 0) *out = UI_GLYPHS_BLOCK;
    else if (strcmp(name, "ascii") == 0) *out = UI_GLYPHS_ASCII;
    else return false;
    return true;
}

static bool no_color(const char *color)
{
    const char *none = getenv("NO_COLOR");
    if (color && strcmp(color, "always") == 0) return false;
    return (color && strcmp(color, "never") == 0) || (none && *none);
}

static int check(const workbench_opts *o, ui_glyph_level *glyphs, ui_theme *theme)
{
    static const char *const colors[] = {"auto", "never", "always"};
    bool known = !o->color;
    for (int i = 0; i < 3; i++) known |= o->color && strcmp(o->color, colors[i]) == 0;
    if (!known) return ui_usage("", "--color is auto, never or always, not %s", o->color);
    if (!glyph_level(o->glyphs, glyphs))
        return ui_usage("", "--glyphs is braille, block or ascii, not %s", o->glyphs);
    if (*glyphs != UI_GLYPHS_ASCII && ascii_only())
        return ui_usage("", "--glyphs %s needs a UTF-8 locale, and this one is %s", o->glyphs,
                        nl_langinfo(CODESET));
    *theme = UI_THEME_DARK;
    if (o->theme && !ui_theme_named(o->theme, theme))
        return ui_usage("", "there is no theme %s", o->theme);
    return UI_EXIT_OK;
}

/* A recipe, a merged folder, or a model (then with an ad-hoc recipe that only has its base);
 * the file of such a recipe is written where the workbench keeps its own. */
static rs_status what_to_open(const char *what, const ui_paths *paths, char out[4096],
                              rs_err *err)
{
    char model[4096];
    size_t n = strlen(what);
    bool is_json = n > 5 && strcmp(what + n - 5, ".json") == 0;
    if (is_json || ui_holds_recipe(what)) {
        if (rs_os_kind(what) == RS_PATH_NONE)
            return rs_fail(err, RS_E_NOT_FOUND, "there is no file %s", what);
        snprintf(out, 4096, "%s", what);
        return RS_OK;
    }
    RS_TRY(ui_resolve(NULL, what, model, err));
    rs_checkpoint *c;
    RS_TRY(rs_checkpoint_open(model, &c, err));
    rs_checkpoint_close(c);
    char absolute[4096];
    if (!realpath(model, absolute)) snprintf(absolute, sizeof absolute, "%s", model);
    return ui_adhoc_recipe(absolute, paths->data, out, err);
}

static int run_loop(ui_loop *l)
{
    while (!ui_loop_is_over(l)) ui_loop_turn(l, -1);
    return UI_EXIT_OK;
}

static int with_terminal(ui_common *c, const workbench_opts *o, const ui_paths *paths,
                         const char *open, ui_glyph_level glyphs, ui_theme theme)
{
    rs_err err;
    ui_term *term;
    char goodbye[4200];
    snprintf(goodbye, sizeof goodbye, "ringside ended by a fault; the session lies in %s",
             paths->session);
    ui_term_options t = {.term = getenv("TERM"),
                         .colorterm = getenv("COLORTERM"),
                         .no_color = no_color(o->color),
                         .theme = theme,
                         .mouse = !o->no_mouse,
                         .title = "ringside",
                         .goodbye = goodbye};
    if (ui_term_open(&t, &term, &err) != RS_OK) return ui_fail("", &err);
    ui_loop_options lo = {.rt = &c->rt,
                          .paths = paths,
                          .open = open,
                          .term = term,
                          .glyphs = glyphs,
                          .ascii_only = ascii_only(),
                          .mono = ui_term_depth(term) == UI_DEPTH_MONO,
                          .theme = o->theme,
                          .threads = c->threads,
                          .memory = c->memory};
    ui_loop *l;
    int status = UI_EXIT_OK;
    rs_status s = ui_loop_new(&lo, &l, &err);
    if (s == RS_OK) {
        status = run_loop(l);
        ui_loop_free(l);
    }
    ui_term_close(term);
    return s == RS_OK ? status : ui_fail("", &err);
}

static int run(ui_common *c, void *options, int n_args, char **args)
{
    const workbench_opts *o = options;
    ui_glyph_level glyphs = UI_GLYPHS_ASCII;
    ui_theme theme = UI_THEME_DARK;
    ui_paths paths;
    rs_err err;
    char open[4096];
    int status = check(o, &glyphs, &theme);
    if (status != UI_EXIT_OK) return status;
    if (!isatty(0) || !isatty(1))
        return ui_usage("", "the workbench needs a terminal; without one, 'ringside help' "
                            "lists the verbs that do the same work");
    if (ui_paths_find(NULL, &paths, &err) != RS_OK) return ui_fail("", &err);
    if (n_args > 0 && what_to_open(args[0], &paths, open, &err) != RS_OK)
        return ui_fail("", &err);
    return with_terminal(c, o, &paths, n_args > 0 ? open : NULL, glyphs, theme);
}

const ui_verb ui_verb_workbench = {
    .name = "workbench",
    .usage = "[RECIPE|FOLDER|MODEL]",
    .summary = "the workbench on a recipe, a merged folder or a model",
    .details = "Without a word it opens the session that was left last, at first the demo. A "
               "merged folder\nre-opens the recipe that it was made by; a plain model gets a "
               "recipe that only has its base.",
    .opts = opts,
    .opts_size = sizeof(workbench_opts),
    .max_args = 1,
    .has_screen = true,
    .run = run,
};
