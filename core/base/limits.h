/* limits.h - how much of the machine this process may use. */
#ifndef RS_LIMITS_H
#define RS_LIMITS_H

#include <stdint.h>

/* Bytes of memory: what the machine has, or less where a control group (memory.max of
 * version 2, memory.limit_in_bytes of version 1) of this process, or one above it, allows
 * less. root: "", or a folder that stands for / in tests. */
uint64_t rs_os_memory(const char *root);

#endif
