/* ringside: the program. Picks a verb; without one it opens the workbench. */
#include "base/os.h"
#include "tui/app/complete.h"
#include "tui/verbs/verbs.h"

#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define RS_VERSION "0.1.0"

static void print_help(void)
{
    rs_buf b = {0};
    rs_buf_puts(&b, "usage: ringside [RECIPE|FOLDER|MODEL]  the workbench\n"
                    "       ringside VERB ...               one piece of work\n"
                    "       ringside VERB --help            its options\n\nverbs\n");
    for (int i = 0; i < ui_n_verbs; i++)
        if (ui_verbs[i] && !ui_verbs[i]->hidden)
            rs_buf_printf(&b, "  %-12s %s\n", ui_verbs[i]->name, ui_verbs[i]->summary);
    rs_buf_puts(&b, "\nA model is a folder, a .gguf file, org/name[@revision] of the Hugging "
                    "Face cache,\nor RECIPE.json[:stage], merged in memory.\nThe manual page "
                    "is ringside(1).\n");
    ui_print(&b);
    rs_buf_free(&b);
}

/* `ringside help VERB` is `ringside VERB --help`. */
static int help(int argc, char **argv)
{
    const ui_verb *v = argc > 2 ? ui_verb_named(argv[2]) : NULL;
    if (!v) return print_help(), UI_EXIT_OK;
    rs_buf b = {0};
    ui_verb_help(v, &b);
    ui_print(&b);
    rs_buf_free(&b);
    return UI_EXIT_OK;
}

static int unknown(const char *word)
{
    const char *names[64];
    int n = 0;
    for (int i = 0; i < ui_n_verbs && n < 64; i++)
        if (ui_verbs[i] && !ui_verbs[i]->hidden) names[n++] = ui_verbs[i]->name;
    const char *near = ui_nearest(word, names, n);
    return ui_usage("", "%s is no verb, recipe or folder%s%s; 'ringside help' lists the verbs",
                    word, near ? "; did you mean " : "", near ? near : "");
}

int main(int argc, char **argv)
{
    setlocale(LC_CTYPE, "");
    signal(SIGPIPE, SIG_IGN);
    const char *word = argc > 1 ? argv[1] : "";
    if (strcmp(word, "--version") == 0) return puts("ringside " RS_VERSION), UI_EXIT_OK;
    if (strcmp(word, "help") == 0 || strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
        return help(argc, argv);
    const ui_verb *v = ui_verb_named(word);
    if (v) return ui_verb_run(v, argc - 2, argv + 2);
    bool is_path = strchr(word, '/') || rs_os_kind(word) != RS_PATH_NONE;
    if (*word && *word != '-' && !is_path) return unknown(word);
    return ui_verb_run(ui_verb_named("workbench"), argc - 1, argv + 1);
}
