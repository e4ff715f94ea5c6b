/* state.h - the file that an interrupted run goes on from: `FOLDER/state`, in the folder in
 * which an output is made (partial.h). Internal.
 *
 * What is in it is passed piece by piece, the same way for writing and for reading, so that
 * one function of the owner's says the layout; a hash of it all ends the file. A new state is
 * written beside the old one and takes its name when it is synced: whatever fails, the old
 * one stays, and nothing is left beside it. */
#ifndef RS_STATE_H
#define RS_STATE_H

#include "base/hash.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct rs_state {
    char folder[4096], path[4096], fresh[4096];
    int fd;
    uint64_t at, size; /* size: of what is read */
    rs_hasher *hash;
    bool reads;
} rs_state;

bool rs_state_exists(const char *folder);
/* After it, whatever it says, comes rs_state_close. */
rs_status rs_state_open(rs_state *f, const char *folder, bool reads,
                        rs_err *err) RS_MUST_USE;
/* The next n bytes, from `bytes` or to there. */
rs_status rs_state_pass(rs_state *f, void *bytes, size_t n, rs_err *err) RS_MUST_USE;
/* The hash at the end; RS_E_FORMAT: the file is damaged. */
rs_status rs_state_end(rs_state *f, rs_err *err) RS_MUST_USE;
/* s: how passing went, with its sentence in err. A whole new state takes its name, any other
 * is removed. */
rs_status rs_state_close(rs_state *f, rs_status s, rs_err *err) RS_MUST_USE;

#endif
