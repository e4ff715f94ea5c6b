/* engine.h - the workbench's side of the engine process: starts it, sends it effects, turns
 * its frames into events, and starts it again with the last state when it dies.
 *
 * Nothing here blocks: commands wait in a queue until the socket takes them. The process is
 * started by the first effect. What it was told last is kept per slot, so a new process goes
 * on where the old one ended; after the third death within a minute it waits for the next
 * UI_FX_GENERATE. One thread. */
#ifndef UI_ENGINE_H
#define UI_ENGINE_H

#include "tui/app/msg.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct ui_engine ui_engine;

typedef struct ui_engine_options {
    const char *exe; /* the program: a binary with the verb `engine` */
    int64_t threads; /* 0: its default */
    uint64_t memory; /* bytes for weights; 0: its default */
    const char *log; /* its standard error is appended here; NULL: nowhere */
    int nice;        /* added to its niceness */
} ui_engine_options;

typedef void (*ui_engine_event_fn)(void *ctx, const ui_engine_event *e);

ui_engine *ui_engine_new(const ui_engine_options *o); /* strings are copied */
void ui_engine_free(ui_engine *e);                    /* ends the process; NULL is fine */

bool ui_engine_takes(ui_effect_kind kind);
void ui_engine_effect(ui_engine *e, const ui_effect *fx, double now);

int ui_engine_fd(const ui_engine *e); /* to poll; -1: none is running */
bool ui_engine_writes(const ui_engine *e); /* poll for writing too */
/* Sends and receives what the socket takes and has. Events are borrowed for the call. */
void ui_engine_turn(ui_engine *e, double now, ui_engine_event_fn fn, void *ctx);

pid_t ui_engine_pid(const ui_engine *e); /* 0: none */
/* Weights and sums of every slot are those of the last recipes that were sent. */
bool ui_engine_is_settled(const ui_engine *e);
bool ui_engine_is_writing(const ui_engine *e); /* a text is under way */

#endif
