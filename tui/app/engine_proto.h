/* engine_proto.h - what the workbench and its engine process say to each other.
 *
 * A socketpair carries frames: a little-endian 32-bit length, then that many bytes, of which
 * the first tells the kind. Numbers are little-endian and of fixed size, strings are a 32-bit
 * length (2^31 - 1: none), the bytes and a zero that is not counted; a string may hold zero
 * bytes. Both ends are the same binary, so there is no version; still every frame is checked
 * completely, since a dying process may leave anything.
 *
 * Commands go to the engine, ui_engine_event (msg.h) comes back. Decoded strings point into
 * the frame. */
#ifndef UI_ENGINE_PROTO_H
#define UI_ENGINE_PROTO_H

#include "base/buf.h"
#include "tui/app/msg.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    UI_ENGINE_SLOTS = 3,
    UI_FRAME_MAX = 64 * 1024 * 1024 /* bytes after the length */
};

typedef enum ui_command_kind {
    UI_CMD_FOLLOW,   /* slot, serial, text = recipe, folder, stage */
    UI_CMD_MEASURE,  /* slot, serial, full */
    UI_CMD_GENERATE, /* slot, run, prompt, sampler, keep, fixed; prior: go on after these */
    UI_CMD_STOP,     /* slot */
    UI_CMD_DROP,     /* slot */
    UI_CMD_CROSS,
    UI_CMD_LOOK, /* serial = tensor, run = key, what = ui_look_what; text, folder */
    UI_N_CMDS
} ui_command_kind;

typedef struct ui_engine_command {
    ui_command_kind kind;
    int slot; /* 0 .. UI_ENGINE_SLOTS-1 */
    uint64_t serial, run;
    bool full, keep, fixed;
    int what;
    const char *text, *folder, *stage, *prompt, *sampler; /* NULL: none */
    const char *prior; /* n_prior little-endian 32-bit ids, no alignment; NULL: none */
    uint32_t n_prior;
} ui_engine_command;

/* Append one frame. */
void ui_command_encode(const ui_engine_command *c, rs_buf *out);
void ui_event_encode(const ui_engine_event *e, rs_buf *out);

/* frame: the bytes after the length. false: malformed. */
bool ui_command_decode(const char *frame, size_t n, ui_engine_command *c);
/* The sums are copied into `sums`, since frames are not aligned. */
bool ui_event_decode(const char *frame, size_t n, rs_buf *sums, ui_engine_event *e);
int32_t ui_prior_id(const ui_engine_command *c, uint32_t i);

/* Bytes that have arrived, cut into frames. Zeroed: empty. */
typedef struct ui_frames {
    rs_buf bytes;
    size_t taken; /* bytes at the front that were given out */
} ui_frames;

typedef enum ui_frame_state { UI_FRAME_NONE, UI_FRAME_READY, UI_FRAME_BROKEN } ui_frame_state;

/* The next whole frame; it stays valid until the next call of ui_frames_read or _free. */
ui_frame_state ui_frames_next(ui_frames *f, const char **frame, size_t *n);
/* Reads what a non-blocking socket has. 1: something or nothing came, 0: the other end
 * closed, -1: an error (errno) or no memory. */
int ui_frames_read(ui_frames *f, int fd);
void ui_frames_free(ui_frames *f);

#endif
