/* engine_internal.h - the parts of the engine process: a slot (recipe, weights, sums), its
 * text, and the loop that gives each of them turns. One thread; the runtime's pool works
 * inside the calls of core.
 *
 * The rules (screens.md 4.1). Commands are read between any two steps and from the progress
 * callbacks of long ones; of each kind and slot only the newest is kept. A newer recipe is
 * taken between two tokens. Work that is under way for an older one is finished, so that
 * even while a key is held each position shows a token, unless it has taken LONG_WORK
 * already; the recomputation of a text that goes on is given up at once. */
#ifndef UI_ENGINE_INTERNAL_H
#define UI_ENGINE_INTERNAL_H

#include "live/live.h"
#include "merge/measure.h"
#include "model/chat.h"
#include "model/generate.h"
#include "tui/app/engine_proto.h"

/* A command that waits for its turn: a copy of its frame. */
typedef struct ui_mail {
    char *frame; /* NULL: none */
    ui_engine_command c;
} ui_mail;

void ui_mail_put(ui_mail *m, const char *frame, size_t n); /* the newest wins */
void ui_mail_move(ui_mail *to, ui_mail *from);
void ui_mail_drop(ui_mail *m);

/* Tokenizer and chat format of a base model. */
typedef struct ui_vocab {
    char path[4096];
    rs_tokenizer *tokenizer;
    const rs_chat_format *chat; /* NULL: none recognised */
} ui_vocab;

/* How a text is to be drawn, from the sampler's JSON. */
typedef struct ui_sampling {
    rs_generate_params params;
    rs_arena arena; /* of the stop strings */
} ui_sampling;

rs_status ui_sampling_parse(const char *json, ui_sampling *out, rs_err *err) RS_MUST_USE;
void ui_sampling_free(ui_sampling *s);

/* A recipe that several plans borrow. */
typedef struct ui_recipe_ref {
    rs_recipe *recipe;
    char *stage; /* NULL: the output stage */
    int refs;
} ui_recipe_ref;

void ui_recipe_unref(ui_recipe_ref *r); /* NULL is fine */
rs_status ui_recipe_read(const ui_engine_command *c, ui_recipe_ref **out, rs_err *err);

enum { UI_RATE_WINDOW = 32 };

typedef struct ui_text {
    ui_mail request; /* the generate command; frame NULL: no text */
    uint64_t run;
    bool keep, fixed;           /* what a later recipe does to it */
    bool starts, rereads;       /* to be begun; to be read again by changed weights */
    bool running;
    rs_generator *generator;    /* NULL: not begun, or its model went */
    rs_ids ids;                 /* prompt and what was written */
    int64_t n_prompt, n_prior;
    double times[UI_RATE_WINDOW]; /* of the last tokens, a ring */
    int n_times;
} ui_text;

typedef enum ui_pass { UI_PASS_NONE, UI_PASS_SUMS, UI_PASS_OUTPUT } ui_pass;

typedef struct ui_slot {
    int number;
    ui_mail follow, generate; /* waiting */
    bool stop, drop, measure; /* waiting */
    /* the recipe that was taken */
    uint64_t serial;
    ui_recipe_ref *recipe;
    rs_plan *plan; /* for measuring, and what rebuilds start from */
    /* the weights */
    rs_live *live;
    ui_recipe_ref *live_recipe;
    uint64_t live_serial, failed_serial; /* 0: none */
    rs_live_change change; /* since the text last took notice */
    bool changed;          /* `change` is not empty */
    bool evicted;          /* gave its memory to another slot: opened again on demand */
    bool alone;            /* something was evicted for this one */
    bool needed;           /* its weights are wanted for scoring the other's text */
    ui_text text;
    /* the sums */
    bool measured, full; /* wanted */
    ui_pass pass;
    int next;
    rs_tensor_sums *sums; /* [n_sums], by the plan's index */
    bool *output_fresh;   /* [n_sums] survival belongs to these sums' fingerprint */
    int n_sums;
} ui_slot;

typedef struct ui_cross {
    bool wanted;
    int half;        /* whose text is being scored: slot 0's, then slot 1's */
    rs_kv *kv;       /* of the other's model */
    uint64_t serial; /* of the other's weights */
    int64_t at;      /* tokens that were read */
} ui_cross;

/* What is kept between looks: engine_look.c. */
typedef struct ui_look_state {
    ui_mail mail; /* the newest look that waits */
    char *text, *folder;
    ui_recipe_ref *recipe;
    rs_plan *plan;
    struct rs_spreads *spreads;
    rs_checkpoint *from, *to; /* of the difference */
} ui_look_state;

typedef struct ui_engine_server {
    const rs_runtime *rt;
    uint64_t budget; /* bytes for the weights of all slots */
    int fd;
    bool closed;
    ui_frames in;
    rs_buf out;
    double polled;
    ui_slot slots[UI_ENGINE_SLOTS];
    ui_vocab vocabs[UI_ENGINE_SLOTS + 1];
    ui_cross cross;
    ui_look_state look;
} ui_engine_server;

/* A long step under way: what its progress callback needs. */
typedef struct ui_work {
    ui_engine_server *e;
    ui_slot *s;
    double since, told;
    bool give_up_at_once, tells; /* tells: WEIGHTS events */
} ui_work;

ui_work ui_work_begin(ui_engine_server *e, ui_slot *s);
bool ui_work_step(void *work, const rs_progress *p); /* an rs_progress_fn */

/* --- engine_server.c --- */
void ui_server_send(ui_engine_server *e, const ui_engine_event *event);
void ui_server_error(ui_engine_server *e, const ui_slot *s, const char *sentence);
void ui_server_receive(ui_engine_server *e); /* what has arrived, into the slots */

/* --- engine_slot.c: each returns whether it did something --- */
bool ui_slot_take_recipe(ui_engine_server *e, ui_slot *s);
bool ui_slot_merge(ui_engine_server *e, ui_slot *s);
void ui_slot_drop(ui_slot *s);
bool ui_slot_evict(ui_engine_server *e, ui_slot *s); /* false: its text is being written */

/* --- engine_sums.c --- */
void ui_slot_measure_again(ui_engine_server *e, ui_slot *s, bool resend);
bool ui_slot_measure(ui_engine_server *e, ui_slot *s, double seconds);
void ui_slot_drop_sums(ui_slot *s);

/* --- engine_text.c --- */
bool ui_text_take(ui_engine_server *e, ui_slot *s);    /* a generate command */
void ui_text_weights_changed(ui_slot *s);              /* after a merge */
void ui_text_recipe_changed(ui_text *t);               /* while there are no weights */
bool ui_text_turn(ui_engine_server *e, ui_slot *s);    /* at most one token */
void ui_text_stop(ui_engine_server *e, ui_slot *s, const char *reason);
void ui_text_free(ui_text *t);
void ui_text_model_gone(ui_text *t);
/* Is there a use for the weights now? */
bool ui_text_wants_weights(const ui_text *t);

/* --- engine_vocab.c --- */
rs_status ui_vocab_of(ui_engine_server *e, const char *path, const ui_vocab **out,
                      rs_err *err) RS_MUST_USE;
void ui_vocab_free(ui_vocab *v);
/* Prompt ids of one JSON line in the plumbing forms. */
rs_status ui_prompt_ids(const char *json, const ui_vocab *v, rs_ids *out, rs_err *err)
    RS_MUST_USE;

/* --- engine_look.c --- */
bool ui_look_turn(ui_engine_server *e);
void ui_look_drop(ui_look_state *s);

/* --- engine_cross.c --- */
bool ui_cross_turn(ui_engine_server *e);
void ui_cross_stop(ui_engine_server *e);

#endif
