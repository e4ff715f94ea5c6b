/* The verbs `keys` and `manual`: documentation that is made from the tables, so that it
 * cannot say anything else than the program does. */
#include "tui/app/command.h"
#include "tui/app/keys_doc.h"
#include "tui/verbs/verbs.h"

#include <stdio.h>
#include <string.h>

/* Text for mdoc: backslashes and leading dots and quotes are escaped. */
static void mdoc_text(rs_buf *b, const char *text)
{
    for (const char *p = text; *p; p++) {
        bool at_start = p == text || p[-1] == '\n';
        if (*p == '\\') rs_buf_puts(b, "\\e");
        else if (at_start && (*p == '.' || *p == '\'')) rs_buf_printf(b, "\\&%c", *p);
        else if (*p == '-' && p[1] == '-') rs_buf_puts(b, "\\-");
        else rs_buf_putc(b, *p);
    }
}

static void mdoc_options(rs_buf *b, const ui_opt *opts)
{
    if (!opts || !opts->name) return;
    rs_buf_puts(b, ".Bl -tag -width Ds -compact\n");
    for (const ui_opt *o = opts; o->name; o++) {
        rs_buf_puts(b, ".It Cm ");
        for (const char *p = o->name; *p; p++) {
            if (*p == ',') rs_buf_puts(b, " | ");
            else if (*p == '-') rs_buf_puts(b, "\\-");
            else rs_buf_putc(b, *p);
        }
        if (o->arg) rs_buf_printf(b, " Ar %s", o->arg);
        rs_buf_putc(b, '\n');
        mdoc_text(b, o->help);
        rs_buf_putc(b, '\n');
    }
    rs_buf_puts(b, ".El\n");
}

static void mdoc_verb(rs_buf *b, const ui_verb *v)
{
    rs_buf_printf(b, ".Ss %s\n.D1 ringside %s ", v->name, v->name);
    mdoc_text(b, v->usage);
    rs_buf_puts(b, "\n.Pp\n");
    mdoc_text(b, v->summary);
    rs_buf_puts(b, ".\n");
    if (v->details) {
        rs_buf_puts(b, ".Pp\n");
        mdoc_text(b, v->details);
        rs_buf_putc(b, '\n');
    }
    rs_buf_puts(b, ".Pp\n");
    mdoc_options(b, v->opts);
}

/* Each behind \\&, so that a key that is punctuation is a word like the others. */
static void mdoc_key_names(rs_buf *b, const char *keys)
{
    rs_buf_puts(b, " Pq");
    while (*keys) {
        char name[24];
        size_t n = strcspn(keys, " ");
        snprintf(name, sizeof name, "%.*s", (int)n, keys);
        rs_buf_puts(b, " \\&");
        mdoc_text(b, name);
        keys += n + (keys[n] == ' ');
    }
}

static void mdoc_keys(rs_buf *b)
{
    rs_buf_puts(b, ".Bl -tag -width Ds -compact\n");
    const ui_command *c;
    for (int i = 0; (c = ui_command_at(i, UI_N_SCREENS)); i++) {
        rs_buf_printf(b, ".It Cm %s%s", c->name, c->args ? " Ar " : "");
        if (c->args) mdoc_text(b, c->args);
        if (c->keys) mdoc_key_names(b, c->keys);
        rs_buf_putc(b, '\n');
        mdoc_text(b, c->help);
        rs_buf_putc(b, '\n');
    }
    rs_buf_puts(b, ".El\n");
}

static const char man_head[] =
    ".Dd $Mdocdate$\n.Dt RINGSIDE 1\n.Os\n.Sh NAME\n.Nm ringside\n"
    ".Nd terminal workbench for merging language models\n.Sh SYNOPSIS\n.Nm\n"
    ".Op Ar RECIPE | FOLDER | MODEL\n.Nm\n.Ar VERB\n.Op Ar options\n.Sh DESCRIPTION\n"
    "Without a verb,\n.Nm\nopens the workbench: the session left last, at first the demo. A "
    "recipe or a merged\nfolder opens that. Every verb does one piece of the same work "
    "without a screen.\n.Pp\nA model is a folder, a\n.Pa .gguf\nfile,\n"
    ".Ar org/name Ns Op @ Ns Ar revision\nof the Hugging Face cache, or\n"
    ".Ar RECIPE.json Ns Op : Ns Ar stage ,\nmerged in memory. No verb overwrites an output "
    "without\n.Cm \\-\\-force .\n";

static const char man_tail[] =
    ".Sh ENVIRONMENT\n.Bl -tag -width Ds\n"
    ".It Ev RINGSIDE_ISA\nInstruction set of the inner loops: base, avx2 or avx512.\n"
    ".It Ev HF_HUB_CACHE , HF_HOME\nWhere the Hugging Face cache lies.\n"
    ".It Ev NO_COLOR\nIf set and not empty, no colour is used.\n"
    ".It Ev XDG_CACHE_HOME\nWhere the Hugging Face cache lies if neither is set: below "
    "huggingface/hub; and, below ringside/content, hashes of model files.\n"
    ".It Ev XDG_STATE_HOME , XDG_DATA_HOME\n"
    "Where sessions and jobs, and saved recipes are kept.\n"
    ".It Ev VISUAL , EDITOR\nThe editor that e opens the recipe with.\n.El\n"
    ".Sh FILES\n.Bl -tag -width Ds\n"
    ".It Pa ~/.local/share/ringside/recipes/\nSaved recipes, NAME.json, and their older "
    "versions, NAME.versions/N.json.\n"
    ".It Pa ~/.local/state/ringside/session.json\nWhat was open, with the edits that are not "
    "saved.\n"
    ".It Pa ~/.local/state/ringside/jobs/\nA folder for each job in the background: merges, Fisher runs and the like.\n"
    ".It Pa ~/.local/state/ringside/history , ~/.local/state/ringside/log\nLines that were "
    "typed; what went wrong.\n"
    ".El\n"
    ".Sh EXIT STATUS\n.Bl -tag -width Ds -compact\n.It 0\ndone\n.It 1\na check found a "
    "difference\n.It 2\nwrong usage\n.It 3\nbad input: malformed, mismatching or "
    "unsupported\n.It 4\ninput or output, memory or disk failed\n.It 130\ncancelled\n.El\n"
    ".Sh SEE ALSO\nThe formats of recipes and other files are described in\n"
    ".Pa docs/formats.md ,\nthe formulas in\n.Pa docs/method.md .\n";

static int run_manual(ui_common *c, void *opts, int n_args, char **args)
{
    (void)c, (void)opts, (void)n_args, (void)args;
    rs_buf b = {0};
    rs_buf_puts(&b, man_head);
    rs_buf_puts(&b, ".Sh VERBS\n");
    for (int i = 0; i < ui_n_verbs; i++)
        if (ui_verbs[i] && !ui_verbs[i]->hidden) mdoc_verb(&b, ui_verbs[i]);
    rs_buf_puts(&b, ".Ss Every verb\n");
    mdoc_options(&b, ui_common_opts);
    rs_buf_puts(&b, ".Sh COMMANDS OF THE WORKBENCH\nRun by key, or after\n.Cm \\&: .\n");
    mdoc_keys(&b);
    rs_buf_puts(&b, man_tail);
    ui_print(&b);
    rs_buf_free(&b);
    return UI_EXIT_OK;
}

static int run_keys(ui_common *c, void *opts, int n_args, char **args)
{
    (void)c, (void)opts, (void)n_args, (void)args;
    rs_buf b = {0};
    ui_keys_markdown(&b);
    ui_print(&b);
    rs_buf_free(&b);
    return UI_EXIT_OK;
}

const ui_verb ui_verb_keys = {
    .name = "keys",
    .usage = "",
    .summary = "prints every command and key of the workbench as Markdown",
    .run = run_keys,
};

const ui_verb ui_verb_manual = {
    .name = "manual",
    .usage = "",
    .summary = "prints the manual page",
    .run = run_manual,
    .hidden = true,
};
