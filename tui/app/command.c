#include "tui/app/command.h"

#include "tui/app/app.h"
#include "tui/app/complete.h"

#include <stdio.h>
#include <string.h>

static bool exists_on(const ui_command *c, ui_screen_id screen)
{
    return screen >= UI_N_SCREENS || (c->screens & UI_ON(screen)) != 0;
}

const ui_command *ui_command_at(int i, ui_screen_id screen)
{
    for (const ui_command *const *group = ui_command_groups; *group; group++)
        for (const ui_command *c = *group; c->name; c++)
            if (exists_on(c, screen) && i-- == 0) return c;
    return NULL;
}

/* A name may have several rows, for screens where it means something else. */
const ui_command *ui_command_named(const char *name, ui_screen_id screen)
{
    const ui_command *c;
    for (int i = 0; (c = ui_command_at(i, screen)) != NULL; i++)
        if (strcmp(c->name, name) == 0) return c;
    return NULL;
}

static bool has_key(const char *keys, int key)
{
    while (keys && *keys) {
        char name[24];
        size_t n = strcspn(keys, " ");
        int k = 0;
        if (n > 0 && n < sizeof name) {
            memcpy(name, keys, n);
            name[n] = 0;
            if (ui_key_from_name(name, &k) && k == key) return true;
        }
        keys += n + (keys[n] == ' ');
    }
    return false;
}

const ui_command *ui_command_for_key(int key, ui_screen_id screen)
{
    const ui_command *c;
    for (int i = 0; (c = ui_command_at(i, screen)) != NULL; i++)
        if (has_key(c->keys, key)) return c;
    return NULL;
}

/* Commands of the screen that begin so: "worst or write". Returns how many. */
static int list_starts(const char *start, ui_screen_id screen, char dst[120])
{
    const ui_command *c;
    int n = 0;
    size_t at = 0;
    dst[0] = 0;
    for (int i = 0; (c = ui_command_at(i, screen)) != NULL; i++) {
        if (strncmp(c->name, start, strlen(start)) != 0) continue;
        if (at < 100)
            at += (size_t)snprintf(dst + at, 120 - at, "%s%.16s", n ? ", " : "", c->name);
        n++;
    }
    return n;
}

const char *ui_screen_word(int screen)
{
    static const char *const words[UI_N_SCREENS] = {"Ring",    "Duel",   "Board", "Jobs",
                                                    "Recipes", "Models", "Detail"};
    return words[screen % UI_N_SCREENS];
}

/* The first screen that has a command. */
static const char *home_of(const ui_command *c)
{
    int i = 0;
    while (i < UI_N_SCREENS - 1 && !(c->screens & UI_ON(i)))
        i++;
    return ui_screen_word(i);
}

/* Says why a name is no command here: another screen's, or the nearest name. */
static void say_unknown(ui_app *a, const char *name, ui_screen_id screen)
{
    const char *names[512];
    const ui_command *c;
    int n = 0;
    const ui_command *elsewhere = ui_command_named(name, UI_N_SCREENS);
    if (elsewhere) {
        ui_warn(a, "%s is not a command of this screen: %s has it%s", name,
                home_of(elsewhere),
                elsewhere->screens == UI_ON(UI_DETAIL) ? " (Enter opens it)" : "");
        return;
    }
    for (int i = 0; (c = ui_command_at(i, screen)) != NULL && n < 512; i++)
        names[n++] = c->name;
    char starts[120];
    int n_starts = list_starts(name, screen, starts);
    const char *near = ui_nearest(name, names, n);
    if (n_starts > 1 && n_starts <= 4)
        ui_warn(a, "there is no command %.40s; did you mean %s?", name, starts);
    else if (near)
        ui_warn(a, "there is no command %.40s; did you mean %s?", name, near);
    else
        ui_warn(a, "there is no command %.40s; ? lists them", name);
}

static bool run_named(ui_app *a, const char *name, const char *rest, ui_effects *fx)
{
    ui_screen_id screen = ui_app_screen(a);
    const ui_command *c = ui_command_named(name, screen);
    if (!c) {
        say_unknown(a, name, screen);
        return false;
    }
    ui_args args;
    bool ok = ui_args_parse(rest, &args);
    if (!ok)
        ui_warn(a, "%s: a quote is not closed, or there are more than 32 words", name);
    ok = ok && c->run(a, &args, fx);
    ui_args_free(&args);
    return ok;
}

bool ui_command_line(ui_app *a, const char *line, ui_effects *fx)
{
    while (*line == ' ' || *line == ':')
        line++;
    size_t n = strcspn(line, " \t");
    if (n == 0) return true; /* nothing typed: nothing to do */
    char name[64];
    if (n >= sizeof name) {
        ui_warn(a, "no command has a name of %zu letters", n);
        return false;
    }
    memcpy(name, line, n);
    name[n] = 0;
    return run_named(a, name, line + n, fx);
}
