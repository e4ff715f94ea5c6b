/* verbs.h - the command line: one file per verb, one row each in verbs.c's table.
 *
 * A verb gets its arguments parsed by the option table that it declares, so parser, --help,
 * completion and the manual page come from the same rows. Results go to stdout (one JSON
 * document with --json), one-sentence errors and progress to stderr. Exit status: 0 done,
 * 1 a check found a difference, 2 wrong usage, 3 bad input, 4 I/O, memory or disk,
 * 130 cancelled. */
#ifndef UI_VERBS_H
#define UI_VERBS_H

#include "base/buf.h"
#include "base/status.h"
#include "merge/recipe.h"
#include "model/chat.h"
#include "model/tokenizer.h"
#include "model/weights.h"
#include "tensor/runtime.h"

#include <stdbool.h>
#include <stdint.h>

enum { UI_EXIT_OK = 0, UI_EXIT_DIFFERS = 1, UI_EXIT_USAGE = 2, UI_EXIT_INPUT = 3,
       UI_EXIT_SYSTEM = 4, UI_EXIT_CANCELLED = 130 };

typedef enum ui_opt_type {
    UI_OPT_FLAG,   /* bool */
    UI_OPT_STRING, /* const char * */
    UI_OPT_INT,    /* int64_t, may be negative */
    UI_OPT_NUMBER, /* double */
    UI_OPT_SIZE,   /* uint64_t: 500M, 2G, 1.5GiB, plain bytes */
    UI_OPT_LIST    /* ui_strings: may be given several times */
} ui_opt_type;

typedef struct ui_strings {
    const char *at[64];
    int n;
} ui_strings;

typedef struct ui_opt {
    const char *name; /* "--out"; "-n" or "--max-tokens,-n" with a short form */
    ui_opt_type type;
    const char *arg;  /* "FILE": how --help calls the value; NULL for flags */
    const char *help; /* one line */
    size_t offset;    /* into the verb's options struct */
} ui_opt;

/* What every verb understands; parsed before the verb runs. */
typedef struct ui_common {
    bool json, quiet, help;
    int64_t threads;
    uint64_t memory;
    int64_t seed;
    bool seed_given, threads_given, memory_given, events_given;
    int64_t events_fd; /* -1: none */
    int working;       /* pieces of work begun and not ended, one within the other */
    const char *part;  /* in front of what their steps say: "fisher instruct"; or NULL */
    rs_runtime rt;
} ui_common;

typedef struct ui_verb {
    const char *name;     /* "inspect" */
    const char *usage;    /* "PATH [--tensors]" */
    const char *summary;  /* one line */
    const char *details;  /* paragraphs for --help and the manual page; may be NULL */
    const ui_opt *opts;   /* ends with a row of name NULL */
    size_t opts_size;     /* sizeof the options struct; zeroed before parsing */
    int min_args, max_args; /* words that are not options; max -1: any number */
    /* opts: the filled struct. Returns an exit status (ui_exit_of for an rs_status). */
    int (*run)(ui_common *c, void *opts, int n_args, char **args);
    void (*defaults)(void *opts); /* may be NULL */
    bool hidden;                  /* engine and the like */
    bool has_screen;              /* prints nothing: no --json, --events, --quiet, --seed */
} ui_verb;

extern const ui_verb *const ui_verbs[]; /* verbs.c */
extern const int ui_n_verbs;
extern const ui_opt ui_common_opts[]; /* options.c */
const ui_verb *ui_verb_named(const char *name);

/* Parses argv (after the verb's name) and runs it. */
int ui_verb_run(const ui_verb *v, int argc, char **argv);
void ui_verb_help(const ui_verb *v, rs_buf *out); /* the text of --help */

/* --- shared by verbs: common.c --- */

/* Prints "ringside VERB: sentence" to stderr and gives the exit status of the error. */
int ui_fail(const char *verb, const rs_err *err);
int ui_usage(const char *verb, const char *fmt, ...) RS_PRINTF(2, 3);
int ui_exit_of(rs_status s);

/* Progress to stderr if it is a terminal, or as JSON lines to --events FD. ui_progress is an
 * rs_progress_fn; it returns false after SIGINT or SIGTERM. */
typedef struct ui_progress {
    ui_common *common;
    const char *verb;
    bool inner; /* a part of the verb's work, such as loading a model */
    double started, shown, rate;
    uint64_t last_done;
    double last_time;
    bool on_line;
} ui_progress;
/* Work begun within other work is a part of it: its steps are told, its start and end are not. */
void ui_progress_begin(ui_progress *p, ui_common *c, const char *verb);
bool ui_progress_step(void *p, const rs_progress *progress);
void ui_progress_event(ui_progress *p, const rs_buf *line); /* a line of the verb's own */
void ui_progress_warn(ui_progress *p, const char *text); /* event "warn", or stderr */
/* Ends the line, writes the done or error event. */
void ui_progress_end(ui_progress *p, rs_status s, const rs_err *err, const char *result_json);
bool ui_interrupted(void); /* SIGINT or SIGTERM arrived */

/* A whole text file; "-" is standard input. */
rs_status ui_read_text(const char *path, size_t max, rs_buf *out, rs_err *err) RS_MUST_USE;
/* "2,9,4" into ids; false: not such a list. */
bool ui_parse_ids(const char *text, rs_ids *ids);
/* Writes to stdout and checks that it worked. */
void ui_print(const rs_buf *b);
/* Text out of a file, for the terminal: what is not printable becomes "?". */
void ui_put_clean(rs_buf *b, const char *text);
double ui_now(void); /* monotonic seconds */

/* Resolves what a user may type for a model: a path, or org/name[@revision] in the Hugging
 * Face cache (HF_HUB_CACHE, HF_HOME, ~/.cache/huggingface) or configured model folders. An
 * rs_resolve_fn (plan.h); ctx unused. */
rs_status ui_resolve(void *ctx, const char *what, char out[4096], rs_err *err);

/* --- a model by argument: model_arg.c --- */

/* A folder, .gguf, org/name, or RECIPE.json[:stage] / a merged folder (merged in memory).
 * Everything in it is owned by the handle. */
typedef struct ui_model {
    char path[4096];            /* of the files with config and tokenizer */
    const rs_config *config;
    const rs_model *model;      /* NULL if only the tokenizer was asked for */
    rs_tokenizer *tokenizer;    /* NULL if there is none */
    const rs_chat_format *chat; /* NULL if none is recognised */
    struct ui_model_owned *owned;
} ui_model;

/* UI_MODEL_TOKENIZER_IF: without one if the model has none. UI_MODEL_FILES: what comes of it
 * names the model by its files, so a recipe is refused. */
enum { UI_MODEL_WEIGHTS = 1, UI_MODEL_TOKENIZER = 2, UI_MODEL_CHAT = 4,
       UI_MODEL_TOKENIZER_IF = 8, UI_MODEL_FILES = 16 };

/* chat_name: --chat-template, or NULL to recognise. UI_MODEL_CHAT: fail without a format. */
rs_status ui_model_open(ui_common *c, const char *what, int parts, const char *chat_name,
                        ui_model *m, rs_err *err) RS_MUST_USE;
void ui_model_close(ui_model *m);
/* How many ids are another piece for b than for a, of those that both have; *first: the least
 * of them. 0 where one has no tokenizer. */
int32_t ui_other_pieces(const ui_model *a, const ui_model *b, int32_t *first);

#endif
