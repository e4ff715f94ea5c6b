/* limits.h - how much of the machine this process may use, and has used. */
#ifndef RS_LIMITS_H
#define RS_LIMITS_H

#include <stdint.h>

/* Bytes of memory: what the machine has, or less where a control group (memory.max of
 * version 2, memory.limit_in_bytes of version 1) of this process, or one above it, allows
 * less. root: "", or a folder that stands for / in tests. */
uint64_t rs_os_memory(const char *root);
/* Bytes of memory that this process has had resident at most; 0 where the system won't tell. */
uint64_t rs_os_peak_memory(void);

#endif
