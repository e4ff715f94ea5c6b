/* engine_server.h - the engine process: holds the live models of up to three slots, merges
 * what changed, writes texts, measures; one child of the workbench (architecture.md 3).
 *
 * It reads commands from a socket and writes events to it (engine_proto.h) until the other
 * end closes. What goes wrong with a recipe or a text is an event, not an end. */
#ifndef UI_ENGINE_SERVER_H
#define UI_ENGINE_SERVER_H

#include "tensor/runtime.h"

#include <stdint.h>

/* budget: bytes for the weights of all slots together; what does not fit beside each other
 * is held one after the other. Returns an exit status of verbs.h. */
int ui_engine_serve(const rs_runtime *rt, int fd, uint64_t budget);

#endif
