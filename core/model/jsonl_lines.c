#include "model/jsonl.h"

#include "base/os.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LINE_BYTES = 256 * 1024 * 1024, READ_BYTES = 256 * 1024 };

static rs_status no_memory(const char *path, rs_err *err)
{
    return rs_fail(err, RS_E_NOMEM, "no memory to read %s", path);
}

struct rs_lines {
    char *path, *where;
    int fd;
    uint64_t size, read; /* of the file, and how much of it is or was in buf */
    rs_buf buf;
    size_t at; /* what lies before was handed out */
    int64_t number;
};

rs_status rs_lines_open(const char *path, rs_lines **out, rs_err *err)
{
    *out = NULL;
    size_t n = strlen(path);
    rs_lines *l = calloc(1, sizeof *l);
    if (l) {
        l->fd = -1;
        l->path = malloc(n + 1);
        l->where = malloc(n + 40);
    }
    if (!l || !l->path || !l->where) {
        rs_lines_close(l);
        return no_memory(path, err);
    }
    memcpy(l->path, path, n + 1);
    memcpy(l->where, path, n + 1);
    rs_status s = rs_os_open(path, &l->fd, &l->size, err);
    if (s != RS_OK)
        rs_lines_close(l);
    else
        *out = l;
    return s;
}

void rs_lines_close(rs_lines *l)
{
    if (!l) return;
    rs_os_close(l->fd);
    rs_buf_free(&l->buf);
    free(l->path);
    free(l->where);
    free(l);
}

/* Drops what was handed out and reads on. */
static rs_status read_more(rs_lines *l, rs_err *err)
{
    char *chunk = malloc(READ_BYTES);
    if (!chunk) return no_memory(l->path, err);
    size_t rest = l->buf.len - l->at;
    if (l->at) {
        memmove(l->buf.data, l->buf.data + l->at, rest);
        l->buf.len = rest;
        l->at = 0;
    }
    uint64_t left = l->size - l->read;
    size_t n = left < READ_BYTES ? (size_t)left : READ_BYTES;
    rs_status s = rs_os_read(l->fd, l->path, l->read, chunk, n, err);
    if (s == RS_OK) rs_buf_add(&l->buf, chunk, n);
    l->read += n;
    free(chunk);
    if (s == RS_OK && l->buf.failed) s = no_memory(l->path, err);
    if (s == RS_OK && l->buf.len > MAX_LINE_BYTES)
        s = rs_fail(err, RS_E_FORMAT, "%s, line %" PRId64 " has more than %d bytes",
                    l->path, l->number + 1, MAX_LINE_BYTES);
    return s;
}

static bool is_blank(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (s[i] != ' ' && s[i] != '\t' && s[i] != '\r') return false;
    return true;
}

rs_status rs_lines_next(rs_lines *l, const char **text, size_t *n, rs_err *err)
{
    for (size_t seen = 0;;) { /* bytes from at on that hold no newline */
        size_t rest = l->buf.len - l->at;
        const char *from = rs_buf_str(&l->buf) + l->at;
        const char *end = rest > seen ? memchr(from + seen, '\n', rest - seen) : NULL;
        if (!end && l->read < l->size) {
            seen = rest;
            RS_TRY(read_more(l, err));
            continue;
        }
        *text = NULL;
        *n = 0;
        if (!end && rest == 0) return RS_OK;
        size_t length = end ? (size_t)(end - from) : rest;
        l->at += length + (end != NULL);
        l->number++;
        snprintf(l->where, strlen(l->path) + 40, "%s, line %" PRId64, l->path, l->number);
        seen = 0;
        if (is_blank(from, length)) continue;
        *text = from;
        *n = length;
        return RS_OK;
    }
}

const char *rs_lines_where(const rs_lines *l)
{
    return l->where;
}

rs_status rs_lines_parse(rs_lines *l, const rs_line_options *o, rs_line *out, bool *done,
                         rs_err *err)
{
    const char *text;
    size_t n;
    RS_TRY(rs_lines_next(l, &text, &n, err));
    *done = text == NULL;
    return text ? rs_line_parse(text, n, rs_lines_where(l), o, out, err) : RS_OK;
}
