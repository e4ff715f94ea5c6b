/* buf.h - a growing byte buffer, also the string builder of the engine.
 *
 * A zeroed rs_buf is a valid empty one. The bytes are always followed by a 0 that is not
 * counted. After the first failed allocation the buffer is `failed` and further appends do
 * nothing: check once, at the end. */
#ifndef RS_BUF_H
#define RS_BUF_H

#include <stdbool.h>
#include <stddef.h>

typedef struct rs_buf {
    char *data; /* NULL while empty; rs_buf_str() never is */
    size_t len, cap;
    bool failed;
} rs_buf;

void rs_buf_add(rs_buf *b, const void *bytes, size_t n);
void rs_buf_puts(rs_buf *b, const char *s);
void rs_buf_putc(rs_buf *b, char c);
void rs_buf_printf(rs_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* s as a JSON string with its quotes; bytes that are not UTF-8 become U+FFFD. */
void rs_buf_json(rs_buf *b, const char *s, size_t n);
/* v so that reading it back gives the same double; null if not finite. */
void rs_buf_json_double(rs_buf *b, double v);
const char *rs_buf_str(const rs_buf *b); /* "" while empty */
/* Takes n bytes out at a place; at + n <= len. */
void rs_buf_cut(rs_buf *b, size_t at, size_t n);
void rs_buf_reset(rs_buf *b); /* keeps the memory */
void rs_buf_free(rs_buf *b);

#endif
