/* job_process.h - starting a job's process and asking whether it lives. Internal to jobs. */
#ifndef UI_JOB_PROCESS_H
#define UI_JOB_PROCESS_H

#include "base/status.h"

#include <stdbool.h>
#include <sys/types.h>

enum { UI_JOB_WORDS = 62 };

/* Runs exe with argv (ends with NULL, at most UI_JOB_WORDS) and --events in a session of its
 * own at nice 10, below `folder` as jobs.h says, from the folder cwd. */
rs_status ui_job_process_start(const char *exe, const char *folder, const char *cwd,
                               char *const *argv, rs_err *err) RS_MUST_USE;
bool ui_job_process_lives(const char *folder);
/* false: it does not live (any more). */
bool ui_job_process_signal(const char *folder, int signal);

#endif
