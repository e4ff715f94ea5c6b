/* partial.h - the folder in which an output is made before it gets its name. Internal.
 *
 * `NAME.partial/` is locked against other processes and emptied of what a killed run left.
 * A folder that is ours has a mark in it, so that somebody else's of that name is never
 * emptied: RS_E_EXISTS. */
#ifndef RS_PARTIAL_H
#define RS_PARTIAL_H

#include "base/status.h"

/* Makes, locks, empties and marks the folder. *lock_fd, -1 before, stays so where the folder
 * is somebody else's; else it holds the lock, after a failure too: close it. */
rs_status rs_partial_take(const char *folder, int *lock_fd, rs_err *err) RS_MUST_USE;
/* The same, but what an interrupted run left stays. */
rs_status rs_partial_keep(const char *folder, int *lock_fd, rs_err *err) RS_MUST_USE;
rs_status rs_partial_mark(const char *folder, rs_err *err) RS_MUST_USE;
rs_status rs_partial_unmark(const char *folder, rs_err *err) RS_MUST_USE;
/* Removes it. What stays if this fails does no harm: the next taker of the name clears it. */
void rs_partial_remove(const char *folder);

#endif
