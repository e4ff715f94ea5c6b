/* json_pull.h - JSON as a stream of events, for files too large for a tree of values.
 *
 * Reads a file in chunks, or text in memory, and holds no more than the longest string
 * (at most RS_PULL_MAX_STRING bytes). Strings come out with their escapes resolved and may
 * contain zero bytes. Strict: nesting of at most RS_PULL_MAX_DEPTH, valid UTF-8, no lone
 * surrogates, no control characters in strings, nothing after the document. Keys that come
 * twice in an object are the caller's business. After the first failure every further call
 * fails with the same sentence. One thread at a time. */
#ifndef RS_JSON_PULL_H
#define RS_JSON_PULL_H

#include "base/buf.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RS_PULL_MAX_DEPTH = 64, RS_PULL_MAX_STRING = 16 * 1024 * 1024 };

typedef enum rs_pull_kind {
    RS_PULL_END, /* after the document */
    RS_PULL_OBJECT,
    RS_PULL_OBJECT_END,
    RS_PULL_ARRAY,
    RS_PULL_ARRAY_END,
    RS_PULL_KEY,
    RS_PULL_STRING,
    RS_PULL_NUMBER,
    RS_PULL_TRUE,
    RS_PULL_FALSE,
    RS_PULL_NULL
} rs_pull_kind;

typedef struct rs_pull_event {
    rs_pull_kind kind;
    const char
        *text; /* KEY, STRING, NUMBER: borrowed until the next call; no 0 at the end */
    size_t n;
} rs_pull_event;

typedef struct rs_pull rs_pull;

/* RS_E_FORMAT if the file has more than max_bytes. */
rs_status rs_pull_open(const char *path, uint64_t max_bytes, rs_pull **out,
                       rs_err *err) RS_MUST_USE;
/* text is copied; what: how errors call it. */
rs_status rs_pull_memory(const char *text, size_t n, const char *what, rs_pull **out,
                         rs_err *err) RS_MUST_USE;
void rs_pull_close(rs_pull *p); /* NULL is fine */

rs_status rs_pull_next(rs_pull *p, rs_pull_event *e, rs_err *err) RS_MUST_USE;
/* As rs_pull_next, and RS_E_FORMAT "... expected" unless the event is of this kind. */
rs_status rs_pull_need(rs_pull *p, rs_pull_kind kind, rs_pull_event *e,
                       rs_err *err) RS_MUST_USE;
/* The rest of the value that began with e: nothing for plain values. */
rs_status rs_pull_skip(rs_pull *p, const rs_pull_event *e, rs_err *err) RS_MUST_USE;
/* The value that began with e, all of it, as JSON text of at most max bytes. */
rs_status rs_pull_copy(rs_pull *p, const rs_pull_event *e, size_t max, rs_buf *out,
                       rs_err *err) RS_MUST_USE;

bool rs_pull_is(const rs_pull_event *e, const char *text); /* the text equals this */
/* A NUMBER event as an integer in [min, max]; what: the name of the value, for errors. */
rs_status rs_pull_int(rs_pull *p, const rs_pull_event *e, int64_t min, int64_t max,
                      const char *what, int64_t *out, rs_err *err) RS_MUST_USE;
/* RS_E_FORMAT "FILE, byte N: ..." at the present place. */
rs_status rs_pull_fail(rs_pull *p, rs_err *err, const char *fmt, ...) RS_PRINTF(3, 4);

#endif
