#include "base/limits.h"

#include "base/os.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { PATH_BYTES = 4096, FILE_BYTES = 1 << 16 };

static uint64_t of_machine(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    if (pages <= 0 || page <= 0) return (uint64_t)4 << 30;
    return (uint64_t)pages * (uint64_t)page;
}

/* The number in a file; UINT64_MAX where there is none ("max", no such file). */
static uint64_t number_in(const char *path)
{
    rs_buf text = {0};
    uint64_t n = 0;
    if (rs_os_read_file(path, FILE_BYTES, &text, NULL) == RS_OK)
        n = strtoull(rs_buf_str(&text), NULL, 10);
    rs_buf_free(&text);
    return n ? n : UINT64_MAX;
}

/* The least limit of a group and those above it. Inside a container the path may be the
 * host's, of which only the last folder above, the mount itself, is there. */
static uint64_t least_above(const char *mount, const char *group, const char *file)
{
    char path[PATH_BYTES], name[PATH_BYTES];
    uint64_t least = UINT64_MAX;
    size_t n = strlen(group);
    while (true) {
        int len = snprintf(name, sizeof name, "%s%.*s", mount, (int)n, group);
        if (len > 0 && (size_t)len < sizeof name &&
            rs_path_join(path, sizeof path, name, file)) {
            uint64_t limit = number_in(path);
            if (limit < least) least = limit;
        }
        if (n == 0) return least;
        while (n > 0 && group[--n] != '/')
            continue;
    }
}

/* A line of /proc/self/cgroup: "0::/path", or "5:cpu,memory:/path" of version 1. */
static uint64_t limit_of(const char *root, char *line)
{
    char mount[PATH_BYTES];
    char *kinds = strchr(line, ':'), *group = kinds ? strchr(kinds + 1, ':') : NULL;
    if (!group) return UINT64_MAX;
    *group++ = 0;
    bool second = kinds[1] == 0;
    bool memory = strcmp(kinds + 1, "memory") == 0 || strstr(kinds, ",memory") ||
                  strncmp(kinds + 1, "memory,", 7) == 0;
    if (!second && !memory) return UINT64_MAX;
    snprintf(mount, sizeof mount, "%.3000s/sys/fs/cgroup%s", root,
             second ? "" : "/memory");
    return least_above(mount, group, second ? "memory.max" : "memory.limit_in_bytes");
}

uint64_t rs_os_memory(const char *root)
{
    char path[PATH_BYTES], *save = NULL;
    uint64_t least = of_machine();
    rs_buf text = {0};
    snprintf(path, sizeof path, "%.3000s/proc/self/cgroup", root);
    if (rs_os_read_file(path, FILE_BYTES, &text, NULL) == RS_OK && text.data)
        for (char *s = strtok_r(text.data, "\n", &save); s;
             s = strtok_r(NULL, "\n", &save)) {
            uint64_t limit = limit_of(root, s);
            if (limit < least) least = limit;
        }
    rs_buf_free(&text);
    return least;
}

uint64_t rs_os_peak_memory(void)
{
    struct rusage use;
    if (getrusage(RUSAGE_SELF, &use) != 0 || use.ru_maxrss < 0) return 0;
    return (uint64_t)use.ru_maxrss << 10;
}
