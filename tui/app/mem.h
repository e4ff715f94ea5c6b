/* mem.h - memory for the workbench's own objects. Running out of it ends the program (after
 * the terminal is put back, which happens at exit); the session file is at most a second old. */
#ifndef UI_MEM_H
#define UI_MEM_H

#include <stddef.h>

void *ui_alloc(size_t count, size_t each); /* zeroed, overflow-checked, never NULL */
/* Room for one more element: doubles *at when n == *cap. New elements are not zeroed. */
void *ui_grow(void *at, int n, int *cap, size_t each);
void ui_replace(char **where,
                const char *with); /* frees the old string, copies the new */

#endif
