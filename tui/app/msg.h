/* msg.h - everything that can happen to the workbench, as data, and everything that the
 * workbench can ask for, as data (Elm's messages and commands).
 *
 * ui_update(app, msg, effects) changes the app and appends effects; ui_view(app, grid) draws.
 * Neither blocks, reads a clock, or touches a terminal, thread or child process: time comes
 * in with messages, the outside is reached by effects, which loop.c (real) or a test
 * executes. Strings in a message are borrowed for the call; strings in an effect are owned by
 * the list (ui_effects_free). */
#ifndef UI_MSG_H
#define UI_MSG_H

#include "merge/measure.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Keys: Unicode code points, or these. Control letters are UI_CTRL('A'). */
enum {
    UI_KEY_NONE = 0, UI_KEY_TAB = 9, UI_KEY_ENTER = 13, UI_KEY_ESC = 27, UI_KEY_BACKSPACE = 127,
    UI_KEY_UP = 0x110000, UI_KEY_DOWN, UI_KEY_LEFT, UI_KEY_RIGHT, UI_KEY_HOME, UI_KEY_END,
    UI_KEY_PGUP, UI_KEY_PGDN, UI_KEY_INSERT, UI_KEY_DELETE, UI_KEY_BACKTAB, UI_KEY_SLEFT,
    UI_KEY_SRIGHT, UI_KEY_F1, UI_KEY_F12 = UI_KEY_F1 + 11,
    UI_KEY_ALT = 0x1000000 /* added to a key */
};
#define UI_CTRL(c) ((c)&0x1f)
/* "Enter", "^R", "F5", "S-Left", "a": names for help, scripts and :bind; both ways. */
const char *ui_key_name(int key, char out[24]);
bool ui_key_from_name(const char *name, int *key);

typedef enum ui_mouse_what { UI_MOUSE_PRESS, UI_MOUSE_RELEASE, UI_MOUSE_DRAG, UI_MOUSE_DOUBLE,
                             UI_MOUSE_WHEEL_UP, UI_MOUSE_WHEEL_DOWN } ui_mouse_what;

typedef enum ui_msg_kind {
    UI_MSG_KEY, UI_MSG_MOUSE, UI_MSG_PASTE, UI_MSG_RESIZE, UI_MSG_TICK, UI_MSG_FOCUS,
    UI_MSG_ENGINE, UI_MSG_JOB, UI_MSG_DONE, UI_MSG_COMMAND
} ui_msg_kind;

/* What the engine tells. slot: 0 = the open recipe (Ring's preview, Duel's A), 1 = Duel's B,
 * 2 = the referee. run: the number that the generate effect carried, so late tokens of an
 * older run are told apart. */
typedef enum ui_engine_what {
    UI_ENGINE_READY,   /* slot's weights are those of recipe `serial` */
    UI_ENGINE_WEIGHTS, /* merging: done of total tensors for `serial` */
    UI_ENGINE_SUMS,    /* sums of some tensors of slot for `serial`; `last`: all are in */
    UI_ENGINE_START,   /* a text begins (or begins again after an edit: run, serial) */
    UI_ENGINE_TOKEN,   /* text of one token, id, logprob; serial of the weights */
    UI_ENGINE_STOP,    /* the text ended: reason in text ("eos", "length", "string", "stopped") */
    UI_ENGINE_CROSS,   /* Duel: log p of slot's token `index` under the other slot, `logprob` */
    UI_ENGINE_LOOK,    /* the answer to UI_FX_LOOK of key `run`: id is a ui_look_what, text holds
                        * its bytes (look.h), or with `last` the sentence why there are none */
    UI_ENGINE_ERROR,   /* sentence in text; the engine goes on */
    UI_ENGINE_DIED     /* the process ended (text says how); loop.c starts it again */
} ui_engine_what;

typedef struct ui_engine_event {
    ui_engine_what what;
    int slot;
    uint64_t serial, run;
    int64_t done, total, index;
    int32_t id;
    double logprob, tokens_per_second;
    const char *text;
    size_t n_text;
    const rs_tensor_sums *sums;
    int n_sums;
    bool last, replaced; /* START: replaces the text that stands (restart), else appends */
} ui_engine_event;

/* A job's state as read from its events file. */
typedef enum ui_job_state { UI_JOB_WAITING, UI_JOB_RUNNING, UI_JOB_DONE, UI_JOB_STOPPED,
                            UI_JOB_FAILED } ui_job_state;

struct ui_track; /* track.h */

typedef struct ui_job {
    int id;
    char kind[16];   /* "merge" */
    char title[128]; /* "luchador-miniature v3" */
    char out[1024];  /* result folder */
    ui_job_state state;
    uint64_t done, total;
    char unit[16], what[160];
    double rate;        /* units a second over the last five seconds; 0: unknown */
    double seconds_left; /* < 0: unknown */
    double started, ended; /* wall clock, seconds since 1970 */
    double last_news;      /* wall clock of the last event */
    char hash[33];
    char error[512];
    char folder[1024];  /* of its files: events.jsonl, argv, lock */
    char model[1024];   /* what follows --model in its words; "" if nothing does */
    const struct ui_track *track; /* what it tells besides progress, or NULL; only grows */
} ui_job;

typedef struct ui_msg {
    ui_msg_kind kind;
    double now;      /* monotonic seconds */
    double wall;     /* seconds since 1970 */
    int key;
    struct { ui_mouse_what what; int x, y, button; bool ctrl; } mouse;
    int width, height;     /* RESIZE */
    bool focused;          /* FOCUS */
    const char *text;      /* PASTE, COMMAND (a command line), DONE (message) */
    const ui_engine_event *engine;
    const ui_job *jobs;    /* JOB: all jobs as they are now, newest first */
    int n_jobs;
    int done_effect;       /* DONE: which kind of effect finished */
    bool ok;               /* DONE: it worked; text is the sentence if not */
} ui_msg;

typedef enum ui_effect_kind {
    UI_FX_QUIT,
    UI_FX_SUSPEND,
    UI_FX_REDRAW,        /* send every cell again */
    UI_FX_BELL,
    UI_FX_COPY,          /* text to the terminal's clipboard (OSC 52) */
    UI_FX_FOLLOW,        /* engine: slot follows recipe text; serial; folder; stage or NULL */
    UI_FX_MEASURE,       /* engine: sums of slot's recipe, also survival where `full` */
    UI_FX_GENERATE,      /* engine: new text in slot: prompt, sampler, run */
    UI_FX_STOP_TEXT,     /* engine: slot */
    UI_FX_DROP_SLOT,     /* engine: forget a slot's model */
    UI_FX_CROSS,         /* engine: score both slots' texts under each other */
    UI_FX_LOOK,          /* reader: one tensor of recipe text (folder path): serial is its number in
                          * the plan, value a ui_look_what, run the key of the answer. A newer one
                          * replaces one that is under way; text NULL: all files are let go */
    UI_FX_JOB_START,     /* argv of a verb as JSON array in text; title; out folder; prompt: text of
                          * a file in the job's own folder (jobs.h), or NULL */
    UI_FX_JOB_STOP,      /* value: job id; `full`: harder (SIGKILL) */
    UI_FX_JOB_AGAIN,     /* value: job id: run it again */
    UI_FX_JOB_FORGET,    /* value: job id */
    UI_FX_SAVE,          /* write text to path atomically (folders made); answers with DONE */
    UI_FX_SESSION,       /* text is the session's state; saved within a second */
    UI_FX_EDITOR,        /* text to $VISUAL; answers with DONE and the new text */
    UI_FX_MOUSE          /* value: 1 on, 0 off */
} ui_effect_kind;

typedef struct ui_effect {
    ui_effect_kind kind;
    int slot;
    uint64_t serial, run;
    char *text, *path, *title, *stage; /* owned; NULL: none */
    char *prompt;  /* GENERATE: JSON line as of the plumbing forms ({"prompt":..} ...) */
    char *sampler; /* GENERATE: JSON object of sampler parameters, seed, max_tokens */
    int64_t value;
    bool full, keep; /* GENERATE keep: go on from the text that stands (continue) */
} ui_effect;

typedef struct ui_effects {
    ui_effect *at;
    int n, cap;
} ui_effects;

ui_effect *ui_effects_add(ui_effects *e, ui_effect_kind kind); /* zeroed but for the kind */
void ui_effects_clear(ui_effects *e);
void ui_effects_free(ui_effects *e);
char *ui_strdup(const char *s); /* NULL stays NULL; out of memory ends the program cleanly */

#endif
