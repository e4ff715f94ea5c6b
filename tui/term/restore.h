/* restore.h - putting the terminal back when the program ends in a way that was not planned.
 *
 * State of the process, since signal handlers have no other: one terminal at a time. The
 * handler for SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGABRT runs on a stack of its own, uses only
 * async-signal-safe calls, and raises the signal again. */
#ifndef UI_RESTORE_H
#define UI_RESTORE_H

void ui_restore_remember(
    int in); /* the modes as they are now are the ones to go back to */
/* bytes: sent to out; goodbye: then to standard error (may be NULL). Both are copied, cut at
 * 512 and 256 bytes. */
void ui_restore_arm(int in, int out, const char *bytes, const char *goodbye);
void ui_restore_disarm(void);
void ui_restore_now(void); /* if armed, once; for atexit */

#endif
