/* ringside replay SCRIPT: the workbench from a script, without a terminal. */
#include "base/os.h"
#include "tui/app/replay.h"
#include "tui/verbs/verbs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_SCRIPT = 1 << 20 };

typedef struct replay_opts {
    const char *size, *recipe, *state;
    bool ascii, block, roles, mono, stable;
} replay_opts;

static const ui_opt opts[] = {
    {"--size", UI_OPT_STRING, "WxH", "size of the screen (default: 80x24)",
     offsetof(replay_opts, size)},
    {"--recipe", UI_OPT_STRING, "FILE", "what to open (default: the demo)",
     offsetof(replay_opts, recipe)},
    {"--ascii", UI_OPT_FLAG, NULL, "ASCII glyphs", offsetof(replay_opts, ascii)},
    {"--block", UI_OPT_FLAG, NULL, "plots of blocks, not braille",
     offsetof(replay_opts, block)},
    {"--mono", UI_OPT_FLAG, NULL, "as without colours", offsetof(replay_opts, mono)},
    {"--roles", UI_OPT_FLAG, NULL, "a block of role letters after each screen",
     offsetof(replay_opts, roles)},
    {"--stable", UI_OPT_FLAG, NULL, "fixed clock and speeds, so that screens can be compared",
     offsetof(replay_opts, stable)},
    {"--state", UI_OPT_STRING, "DIR",
     "keep session, jobs and saved recipes there (default: a temporary folder)",
     offsetof(replay_opts, state)},
    {NULL, UI_OPT_FLAG, NULL, NULL, 0},
};

static bool parse_size(const char *text, int *w, int *h)
{
    char end;
    *w = 80;
    *h = 24;
    return !text || (sscanf(text, "%dx%d%c", w, h, &end) == 2 && *w > 0 && *h > 0 &&
                     *w <= 1000 && *h <= 1000);
}

static rs_status play(ui_common *c, const replay_opts *o, const char *file,
                      const char *script, const char *root, rs_buf *out, rs_err *err)
{
    ui_paths paths;
    int w, h;
    (void)parse_size(o->size, &w, &h);
    RS_TRY(ui_paths_find(root, &paths, err));
    ui_loop_options lo = {.rt = &c->rt,
                          .paths = &paths,
                          .open = o->recipe,
                          .width = w,
                          .height = h,
                          .glyphs = o->ascii   ? UI_GLYPHS_ASCII
                                    : o->block ? UI_GLYPHS_BLOCK
                                               : UI_GLYPHS_BRAILLE,
                          .mono = o->mono,
                          .threads = c->threads,
                          .memory = c->memory,
                          .stable = o->stable};
    ui_loop *loop;
    RS_TRY(ui_loop_new(&lo, &loop, err));
    ui_replay r = {.loop = loop, .file = file, .roles = o->roles, .out = out};
    rs_status s = ui_replay_run(&r, script, err);
    if (s == RS_E_MISMATCH) {
        rs_buf_puts(out, "== the screen at that line\n");
        ui_grid_dump(ui_loop_grid(loop), o->roles, out);
    }
    ui_loop_free(loop);
    return s;
}

static rs_status read_script(const char *file, rs_buf *out, rs_err *err)
{
    if (strcmp(file, "-") != 0) return rs_os_read_file(file, MAX_SCRIPT, out, err);
    char chunk[4096];
    for (size_t n; (n = fread(chunk, 1, sizeof chunk, stdin)) > 0;) rs_buf_add(out, chunk, n);
    return out->len <= MAX_SCRIPT ? RS_OK
                                  : rs_fail(err, RS_E_INVALID, "the script is too long");
}

static int run(ui_common *c, void *options, int n_args, char **args)
{
    (void)n_args;
    const replay_opts *o = options;
    rs_err err;
    rs_buf script = {0}, out = {0};
    char temporary[] = "/tmp/ringside-replay-XXXXXX";
    int w, h;
    if (!parse_size(o->size, &w, &h))
        return ui_usage("replay", "--size takes a size like 120x40, not %s", o->size);
    const char *root = o->state;
    rs_status s = read_script(args[0], &script, &err);
    if (s == RS_OK && !root && !(root = mkdtemp(temporary)))
        s = rs_fail_errno(&err, errno, "make a temporary folder");
    if (s == RS_OK) s = play(c, o, args[0], rs_buf_str(&script), root, &out, &err);
    ui_print(&out);
    if (root && !o->state && rs_os_remove_tree(root, NULL) != RS_OK)
        fprintf(stderr, "ringside replay: %s was left behind\n", root);
    rs_buf_free(&script);
    rs_buf_free(&out);
    if (s == RS_OK) return UI_EXIT_OK;
    int status = ui_fail("replay", &err);
    return s == RS_E_MISMATCH ? UI_EXIT_DIFFERS : status;
}

const ui_verb ui_verb_replay = {
    .name = "replay",
    .usage = "SCRIPT [--size WxH]",
    .summary = "the workbench from a script of keys and commands, without a terminal",
    .details = "Lines of the script: key NAME..., type TEXT, :COMMAND, expect [ROW] TEXT, "
               "refuse [ROW] TEXT,\nwait TEXT [SECONDS], gone TEXT [SECONDS], screen NAME, "
               "resize WxH, paste TEXT, kill engine, # comment.\nBefore each line "
               "of keys, command, expect and refuse the engine merges and measures to the end,\n"
               "before screen it also finishes its texts. Screens go to stdout. Exit status 1: an expectation failed; the "
               "line and the screen are shown.",
    .opts = opts,
    .opts_size = sizeof(replay_opts),
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
