#include "base/buf.h"

#include "base/utf8.h"

#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool reserve(rs_buf *b, size_t more)
{
    if (b->failed || more > SIZE_MAX / 4 || b->len > SIZE_MAX / 4) {
        b->failed = true;
        return false;
    }
    size_t need = b->len + more + 1;
    if (need <= b->cap) return true;
    size_t cap = b->cap ? b->cap : 64;
    while (cap < need)
        cap *= 2;
    char *p = realloc(b->data, cap);
    if (!p) return b->failed = true, false;
    b->data = p;
    b->cap = cap;
    return true;
}

void rs_buf_add(rs_buf *b, const void *bytes, size_t n)
{
    if (!reserve(b, n)) return;
    if (n) memcpy(b->data + b->len, bytes, n);
    b->len += n;
    b->data[b->len] = 0;
}

void rs_buf_puts(rs_buf *b, const char *s)
{
    rs_buf_add(b, s, strlen(s));
}

void rs_buf_putc(rs_buf *b, char c)
{
    rs_buf_add(b, &c, 1);
}

void rs_buf_printf(rs_buf *b, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n >= 0 && reserve(b, (size_t)n)) {
        vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
    }
    va_end(again);
}

void rs_buf_json(rs_buf *b, const char *s, size_t n)
{
    rs_buf_putc(b, '"');
    for (size_t i = 0; i < n;) {
        uint32_t cp;
        int len = rs_utf8_decode(s + i, n - i, &cp);
        if (len == 0) {
            rs_buf_puts(b, "\xef\xbf\xbd");
            i++;
            continue;
        }
        if (cp == '"' || cp == '\\') {
            rs_buf_putc(b, '\\');
            rs_buf_putc(b, (char)cp);
        } else if (cp == '\n') {
            rs_buf_puts(b, "\\n");
        } else if (cp < 0x20 || cp == 0x7f) {
            rs_buf_printf(b, "\\u%04x", (unsigned)cp);
        } else {
            rs_buf_add(b, s + i, (size_t)len);
        }
        i += (size_t)len;
    }
    rs_buf_putc(b, '"');
}

void rs_buf_json_double(rs_buf *b, double v)
{
    if (!isfinite(v)) {
        rs_buf_puts(b, "null");
        return;
    }
    if (fabs(v) < 1e15 && v == floor(v) && (v != 0 || !signbit(v))) {
        rs_buf_printf(b, "%.0f", v); /* 10, not 1e+01 */
        return;
    }
    char text[40];
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v) break;
    }
    for (char *c = text; *c; c++) /* a locale may have another decimal point */
        if (!strchr("+-0123456789e", *c)) *c = '.';
    rs_buf_puts(b, text);
}

const char *rs_buf_str(const rs_buf *b)
{
    return b->data ? b->data : "";
}

void rs_buf_cut(rs_buf *b, size_t at, size_t n)
{
    if (n == 0) return; /* there may be no data yet */
    memmove(b->data + at, b->data + at + n, b->len - at - n + 1);
    b->len -= n;
}

void rs_buf_reset(rs_buf *b)
{
    b->len = 0;
    b->failed = false;
    if (b->data) b->data[0] = 0;
}

void rs_buf_free(rs_buf *b)
{
    free(b->data);
    *b = (rs_buf){0};
}
