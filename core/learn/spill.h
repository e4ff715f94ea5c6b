/* spill.h - activations between two layers: in memory as far as that goes, the rest in a file
 * that has no name and goes with the process. */
#ifndef RS_SPILL_H
#define RS_SPILL_H

#include "base/status.h"

#include <stdint.h>

typedef struct rs_spill rs_spill;

/* Room for `bytes`, of which the first `memory` stay in memory. folder: where the file is. */
rs_status rs_spill_new(const char *folder, uint64_t bytes, uint64_t memory,
                       rs_spill **out, rs_err *err) RS_MUST_USE;
void rs_spill_free(rs_spill *s); /* NULL is fine */
rs_status rs_spill_put(rs_spill *s, uint64_t at, const void *from, uint64_t n,
                       rs_err *err) RS_MUST_USE;
rs_status rs_spill_get(const rs_spill *s, uint64_t at, void *to, uint64_t n,
                       rs_err *err) RS_MUST_USE;

#endif
