/* files.h - making files, good and bad, for the tests of core/store. */
#ifndef FILES_H
#define FILES_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/os.h"
#include "tensor/runtime.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define UNUSED static __attribute__((unused))

/* Keeps memory reachable until the test's process ends, so that leak checks stay quiet. */
UNUSED void *kept(void *p)
{
    static void **last; /* a chain of pairs: the one before, the memory */
    void **pair = malloc(2 * sizeof *pair);
    pair[0] = last;
    pair[1] = p;
    last = pair;
    return p;
}

/* folder/name, as long as the test lives */
UNUSED const char *in_folder(const char *folder, const char *name)
{
    size_t n = strlen(folder) + strlen(name) + 2;
    char *path = kept(malloc(n));
    snprintf(path, n, "%s/%s", folder, name);
    return path;
}

UNUSED void put_file(const char *path, const void *data, size_t n)
{
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(data, 1, n, f) != n || fclose(f) != 0) {
        perror(path);
        exit(1);
    }
}

UNUSED void put_text(const char *path, const char *text)
{
    put_file(path, text, strlen(text));
}

/* A safetensors file: this header, then n_data bytes 0, 1, 2 ... */
UNUSED void put_safetensors(const char *path, const char *header, size_t n_data)
{
    size_t n = strlen(header);
    unsigned char *all = malloc(8 + n + n_data);
    rs_put_le64(all, n);
    memcpy(all + 8, header, n);
    for (size_t i = 0; i < n_data; i++)
        all[8 + n + i] = (unsigned char)i;
    put_file(path, all, 8 + n + n_data);
    free(all);
}

UNUSED void put_folder(const char *path)
{
    if (mkdir(path, 0777) != 0) {
        perror(path);
        exit(1);
    }
}

UNUSED int count_open_files(void)
{
    int n = 0;
    DIR *d = opendir("/proc/self/fd");
    if (!d) return -1;
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

/* A progress function that stops at the first step. */
UNUSED bool stop_at_once(void *ctx, const rs_progress *p)
{
    (void)ctx, (void)p;
    return false;
}

/* All of a file. */
UNUSED rs_buf get_file(const char *path)
{
    rs_buf b = {0};
    rs_err e;
    if (rs_os_read_file(path, (size_t)1 << 30, &b, &e) != RS_OK) printf("  %s\n", e.msg);
    kept(b.data);
    return b;
}

/* Both are there, not empty, and the same. */
UNUSED bool same_files(const char *a, const char *b)
{
    rs_buf x = get_file(a), y = get_file(b);
    return x.len > 0 && x.len == y.len && memcmp(x.data, y.data, x.len) == 0;
}

/* text with the first `from` of it replaced, as long as the test lives; NULL: it has none. */
UNUSED const char *replaced(const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);
    if (!at) return NULL;
    size_t n = strlen(text) + strlen(to) + 1;
    char *out = kept(malloc(n));
    snprintf(out, n, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    return out;
}

#endif
