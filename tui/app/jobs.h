/* jobs.h - background jobs: verbs that run in processes of their own and outlive the screen.
 *
 * A job is a folder jobs/ID: job.json (argv, title, out, cwd, started), events.jsonl (what
 * the verb writes to --events), log (its output), lock and pid. The process holds a lock on
 * `lock` from before it begins until it is gone, however it goes, so whether it lives is
 * never guessed from a process id; the id is only used to signal a process that the lock
 * says is alive. A workbench that starts finds all jobs, running and ended.
 *
 * The store has no timer: ui_job_store_poll reads what is new, five times a second while
 * something runs. One thread. */
#ifndef UI_JOBS_H
#define UI_JOBS_H

#include "base/status.h"
#include "tui/app/msg.h"

#include <stdbool.h>

#define UI_JOB_DATA "text.jsonl"                 /* "@data" */
#define UI_JOB_RESULT "text-fisher.safetensors" /* "@out" */

typedef struct ui_job_store ui_job_store;

/* folder is made if needed; exe is what job processes run. */
rs_status ui_job_store_open(const char *folder, const char *exe, ui_job_store **out,
                            rs_err *err) RS_MUST_USE;
void ui_job_store_free(ui_job_store *s); /* jobs go on; NULL is fine */

/* argv: JSON array of strings, argv[0] the program's name, argv[1] the verb. */
rs_status ui_job_start(ui_job_store *s, const char *argv, const char *title,
                       const char *out, double wall, int *id, rs_err *err) RS_MUST_USE;
/* The same of a job with data of its own: a file in its folder, whose path takes the place of a
 * word "@data", as that of a result there takes the place of "@out" (also as out). They go
 * with the folder. data NULL: none. */
rs_status ui_job_start_on(ui_job_store *s, const char *argv, const char *title,
                          const char *out, const char *data, double wall, int *id,
                          rs_err *err) RS_MUST_USE;
/* SIGTERM, or with hard SIGKILL. A job that is over is left alone. */
rs_status ui_job_stop(ui_job_store *s, int id, bool hard, rs_err *err) RS_MUST_USE;
/* The same once more: a stopped or failed job in its own place, a done one as a new job. */
rs_status ui_job_again(ui_job_store *s, int id, double wall, rs_err *err) RS_MUST_USE;
/* Its folder goes, its result stays. Refused while it runs. */
rs_status ui_job_forget(ui_job_store *s, int id, rs_err *err) RS_MUST_USE;

/* Reads what the jobs have written; true if anything is new. */
bool ui_job_store_poll(ui_job_store *s, double now, double wall);
bool ui_job_store_is_running(const ui_job_store *s); /* at least one job */
const ui_job *ui_job_store_list(const ui_job_store *s, int *n); /* newest first */

#endif
