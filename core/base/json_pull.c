#include "base/json_pull.h"

#include "base/os.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_BYTES = 256 * 1024, MAX_NUMBER = 64 };

/* What may come next. */
typedef enum expect {
    EXPECT_VALUE,
    EXPECT_VALUE_OR_END, /* after [ */
    EXPECT_KEY_OR_END,   /* after { */
    EXPECT_KEY,          /* after , in an object */
    EXPECT_COMMA_OR_END,
    EXPECT_NOTHING
} expect;

struct rs_pull {
    char *what;         /* the path, or how errors call the text */
    int fd;             /* -1: text in memory */
    uint64_t file_size; /* bytes of the source */
    uint64_t read;      /* how many of them are or were in buf */
    char *buf;
    size_t cap, at, end; /* the unread part of buf is [at, end) */
    bool in_object[RS_PULL_MAX_DEPTH];
    int depth;
    expect expect;
    rs_err failed; /* sticky; code RS_OK while all is well */
};

static rs_status fail_now(rs_pull *p, rs_status code, const char *why, rs_err *err)
{
    if (p->failed.code == RS_OK)
        rs_fail(&p->failed, code, "%s, byte %" PRIu64 ": %s", p->what,
                p->read - (p->end - p->at), why);
    if (err) *err = p->failed;
    return p->failed.code;
}

static rs_status malformed(rs_pull *p, const char *why, rs_err *err)
{
    return fail_now(p, RS_E_FORMAT, why, err);
}

rs_status rs_pull_fail(rs_pull *p, rs_err *err, const char *fmt, ...)
{
    char why[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why, sizeof why, fmt, ap);
    va_end(ap);
    return malformed(p, why, err);
}

/* Makes more of the source readable behind buf[keep]; what lies before keep is dropped and
 * buf[keep] moves to buf[0]. *got = 0 at the end of the source. */
static rs_status refill(rs_pull *p, size_t keep, size_t *got, rs_err *err)
{
    *got = 0;
    uint64_t left = p->file_size - p->read;
    if (left == 0) return RS_OK;
    memmove(p->buf, p->buf + keep, p->end - keep);
    p->end -= keep;
    p->at -= keep;
    if (p->end == p->cap) {
        if (p->cap > RS_PULL_MAX_STRING)
            return malformed(p, "a string that is too long", err);
        char *bigger = realloc(p->buf, p->cap * 2);
        if (!bigger) return fail_now(p, RS_E_NOMEM, "no memory", err);
        p->buf = bigger;
        p->cap *= 2;
    }
    size_t n = p->cap - p->end;
    if (n > left) n = (size_t)left;
    rs_status s = rs_os_read(p->fd, p->what, p->read, p->buf + p->end, n, err);
    if (s != RS_OK) {
        if (err) p->failed = *err;
        p->failed.code = s;
        return s;
    }
    p->read += n;
    p->end += n;
    *got = n;
    return RS_OK;
}

static rs_status new_pull(const char *what, size_t cap, rs_pull **out, rs_err *err)
{
    rs_pull *p = calloc(1, sizeof *p);
    size_t n = strlen(what) + 1;
    if (p) {
        p->fd = -1;
        p->cap = cap;
        p->buf = malloc(cap);
        p->what = malloc(n);
    }
    if (!p || !p->buf || !p->what) {
        rs_pull_close(p);
        return rs_fail(err, RS_E_NOMEM, "no memory to read %s", what);
    }
    memcpy(p->what, what, n);
    *out = p;
    return RS_OK;
}

rs_status rs_pull_open(const char *path, uint64_t max_bytes, rs_pull **out, rs_err *err)
{
    *out = NULL;
    rs_pull *p;
    RS_TRY(new_pull(path, CHUNK_BYTES, &p, err));
    rs_status s = rs_os_open(path, &p->fd, &p->file_size, err);
    if (s == RS_OK && p->file_size > max_bytes)
        s = rs_fail(err, RS_E_FORMAT,
                    "%s has %" PRIu64 " bytes, at most %" PRIu64 " are accepted here",
                    path, p->file_size, max_bytes);
    if (s != RS_OK)
        rs_pull_close(p);
    else
        *out = p;
    return s;
}

rs_status rs_pull_memory(const char *text, size_t n, const char *what, rs_pull **out,
                         rs_err *err)
{
    *out = NULL;
    RS_TRY(new_pull(what, n + 1, out, err));
    rs_pull *p = *out;
    if (n) memcpy(p->buf, text, n);
    p->end = n;
    p->file_size = p->read = n;
    return RS_OK;
}

void rs_pull_close(rs_pull *p)
{
    if (!p) return;
    rs_os_close(p->fd);
    free(p->buf);
    free(p->what);
    free(p);
}

/* The next character that is no white space, not taken; 0 at the end. */
static rs_status peek(rs_pull *p, char *c, rs_err *err)
{
    for (;;) {
        for (; p->at < p->end; p->at++) {
            *c = p->buf[p->at];
            if (*c == 0) return malformed(p, "a zero byte", err);
            if (*c != ' ' && *c != '\n' && *c != '\r' && *c != '\t') return RS_OK;
        }
        size_t got;
        RS_TRY(refill(p, p->at, &got, err));
        if (got == 0) return *c = 0, RS_OK;
    }
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static int32_t hex4(const char *s, size_t n)
{
    int32_t v = 0;
    if (n < 4) return -1;
    for (int i = 0; i < 4; i++) {
        int d = hex_digit(s[i]);
        if (d < 0) return -1;
        v = v << 4 | d;
    }
    return v;
}

/* \uXXXX at s, with its second half where it is a surrogate. Returns how many bytes of s
 * it takes, 0 if it is malformed. */
static size_t unicode_escape(const char *s, size_t n, uint32_t *cp)
{
    int32_t a = hex4(s + 2, n - 2);
    if (a < 0 || (a >= 0xdc00 && a <= 0xdfff)) return 0;
    *cp = (uint32_t)a;
    if (a < 0xd800 || a > 0xdbff) return 6;
    if (n < 12 || s[6] != '\\' || s[7] != 'u') return 0;
    int32_t b = hex4(s + 8, n - 8);
    if (b < 0xdc00 || b > 0xdfff) return 0;
    *cp = 0x10000u + ((uint32_t)a - 0xd800u) * 0x400u + ((uint32_t)b - 0xdc00u);
    return 12;
}

/* Resolves the escapes of s in place (no escape is shorter than what it stands for). */
static const char *unescape(char *s, size_t n, size_t *n_out)
{
    static const char plain[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    size_t to = 0;
    for (size_t i = 0; i < n;) {
        if (s[i] != '\\') {
            s[to++] = s[i++];
            continue;
        }
        if (i + 1 >= n) return "a lone backslash";
        const char *hit = s[i + 1] ? strchr(plain, s[i + 1]) : NULL;
        if (hit) {
            s[to++] = meant[hit - plain];
            i += 2;
            continue;
        }
        uint32_t cp;
        size_t used = s[i + 1] == 'u' ? unicode_escape(s + i, n - i, &cp) : 0;
        if (used == 0) return "an escape that JSON does not have";
        to += (size_t)rs_utf8_encode(cp, s + to);
        i += used;
    }
    *n_out = to;
    return NULL;
}

/* Goes on reading at the end of what is buffered; *start and *i follow the bytes. */
static rs_status more_of_string(rs_pull *p, size_t *start, size_t *i, rs_err *err)
{
    size_t got, length = *i - *start;
    RS_TRY(refill(p, *start, &got, err));
    if (got == 0) return malformed(p, "the text ends inside a string", err);
    *start = 0;
    *i = length;
    return RS_OK;
}

/* From behind the opening quote to behind the closing one. */
static rs_status read_string(rs_pull *p, rs_pull_event *e, rs_err *err)
{
    size_t start = p->at, i = start;
    bool escaped = false, wide = false;
    for (bool literal = false;; i++) {
        if (i == p->end) RS_TRY(more_of_string(p, &start, &i, err));
        unsigned char c = (unsigned char)p->buf[i];
        if (c == '"' && !literal) break;
        if (c < 0x20) return malformed(p, "a control character in a string", err);
        if (c >= 0x80) wide = true;
        literal = c == '\\' && !literal;
        if (literal) escaped = true;
    }
    size_t n = i - start;
    if (wide && !rs_utf8_valid(p->buf + start, n))
        return malformed(p, "a string that is not valid UTF-8", err);
    if (escaped) {
        const char *why = unescape(p->buf + start, n, &n);
        if (why) return malformed(p, why, err);
    }
    e->text = p->buf + start;
    e->n = n;
    p->at = i + 1;
    return RS_OK;
}

/* How many digits s begins with. */
static size_t digits(const char *s, size_t n)
{
    size_t i = 0;
    while (i < n && s[i] >= '0' && s[i] <= '9')
        i++;
    return i;
}

/* -?(0|[1-9][0-9]*)(.[0-9]+)?([eE][+-]?[0-9]+)? */
static bool is_number(const char *s, size_t n)
{
    size_t i = n && s[0] == '-', d = digits(s + i, n - i);
    if (d == 0 || (d > 1 && s[i] == '0')) return false;
    i += d;
    if (i < n && s[i] == '.') {
        d = digits(s + i + 1, n - i - 1);
        if (d == 0) return false;
        i += d + 1;
    }
    if (i < n && (s[i] == 'e' || s[i] == 'E')) {
        i++;
        if (i < n && (s[i] == '+' || s[i] == '-')) i++;
        d = digits(s + i, n - i);
        if (d == 0) return false;
        i += d;
    }
    return i == n;
}

/* A number or a literal: everything up to the next character that cannot belong to one. */
static rs_status read_word(rs_pull *p, rs_pull_event *e, rs_err *err)
{
    size_t start = p->at, i = start;
    for (;; i++) {
        if (i == p->end) {
            size_t got, length = i - start;
            RS_TRY(refill(p, start, &got, err));
            if (got == 0) break; /* refill moved nothing */
            start = 0;
            i = length;
        }
        char c = p->buf[i];
        bool inside = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-' ||
                      c == '+' || c == '.' || c == 'E';
        if (!inside) break;
        if (i - start >= MAX_NUMBER)
            return malformed(p, "a number that is too long", err);
    }
    *e = (rs_pull_event){RS_PULL_NUMBER, p->buf + start, i - start};
    if (rs_pull_is(e, "true"))
        e->kind = RS_PULL_TRUE;
    else if (rs_pull_is(e, "false"))
        e->kind = RS_PULL_FALSE;
    else if (rs_pull_is(e, "null"))
        e->kind = RS_PULL_NULL;
    else if (!is_number(e->text, e->n))
        return malformed(p, "a value was expected", err);
    p->at = i;
    return RS_OK;
}

static void after_value(rs_pull *p)
{
    p->expect = p->depth ? EXPECT_COMMA_OR_END : EXPECT_NOTHING;
}

static rs_status open_container(rs_pull *p, bool object, rs_pull_event *e, rs_err *err)
{
    if (p->depth == RS_PULL_MAX_DEPTH)
        return malformed(p, "nested deeper than 64 levels", err);
    p->at++;
    p->in_object[p->depth++] = object;
    p->expect = object ? EXPECT_KEY_OR_END : EXPECT_VALUE_OR_END;
    e->kind = object ? RS_PULL_OBJECT : RS_PULL_ARRAY;
    return RS_OK;
}

static rs_status close_container(rs_pull *p, bool object, rs_pull_event *e)
{
    p->at++;
    p->depth--;
    e->kind = object ? RS_PULL_OBJECT_END : RS_PULL_ARRAY_END;
    after_value(p);
    return RS_OK;
}

static rs_status read_key(rs_pull *p, rs_pull_event *e, rs_err *err)
{
    char c;
    RS_TRY(peek(p, &c, err));
    if (c != '"') return malformed(p, "a key in quotes was expected", err);
    p->at++;
    RS_TRY(read_string(p, e, err));
    e->kind = RS_PULL_KEY;
    p->expect = EXPECT_VALUE;
    return RS_OK;
}

/* The colon is looked for when the value is wanted: the key's text stays in place till then. */
static rs_status pass_colon(rs_pull *p, rs_err *err)
{
    char c;
    RS_TRY(peek(p, &c, err));
    if (c != ':') return malformed(p, "a colon was expected", err);
    p->at++;
    return RS_OK;
}

static rs_status read_value(rs_pull *p, rs_pull_event *e, rs_err *err)
{
    char c;
    RS_TRY(peek(p, &c, err));
    if (c == '{' || c == '[') return open_container(p, c == '{', e, err);
    if (c == ']' && p->expect == EXPECT_VALUE_OR_END) return close_container(p, false, e);
    if (c == '"') {
        p->at++;
        RS_TRY(read_string(p, e, err));
        e->kind = RS_PULL_STRING;
    } else {
        if (c == 0) return malformed(p, "the text ends where a value was expected", err);
        RS_TRY(read_word(p, e, err));
    }
    after_value(p);
    return RS_OK;
}

/* In a container, behind a value. */
static rs_status read_comma(rs_pull *p, rs_pull_event *e, rs_err *err)
{
    bool object = p->in_object[p->depth - 1];
    char c;
    RS_TRY(peek(p, &c, err));
    if (c == (object ? '}' : ']')) return close_container(p, object, e);
    if (c != ',')
        return malformed(
            p, object ? "a comma or } was expected" : "a comma or ] was expected", err);
    p->at++;
    if (object) return read_key(p, e, err);
    p->expect = EXPECT_VALUE;
    return read_value(p, e, err);
}

rs_status rs_pull_next(rs_pull *p, rs_pull_event *e, rs_err *err)
{
    char c;
    *e = (rs_pull_event){RS_PULL_END, "", 0};
    if (p->failed.code != RS_OK) return fail_now(p, p->failed.code, "", err);
    switch (p->expect) {
    case EXPECT_VALUE:
        if (p->depth && p->in_object[p->depth - 1]) RS_TRY(pass_colon(p, err));
        return read_value(p, e, err);
    case EXPECT_VALUE_OR_END:
        return read_value(p, e, err);
    case EXPECT_KEY_OR_END:
        RS_TRY(peek(p, &c, err));
        return c == '}' ? close_container(p, true, e) : read_key(p, e, err);
    case EXPECT_KEY:
        return read_key(p, e, err);
    case EXPECT_COMMA_OR_END:
        return read_comma(p, e, err);
    case EXPECT_NOTHING:
        break;
    }
    RS_TRY(peek(p, &c, err));
    return c ? malformed(p, "text after the end of the document", err) : RS_OK;
}

static const char *kind_name(rs_pull_kind k)
{
    static const char *const names[] = {"the end",
                                        "an object",
                                        "the end of an object",
                                        "an array",
                                        "the end of an array",
                                        "a key",
                                        "a string",
                                        "a number",
                                        "true",
                                        "false",
                                        "null"};
    return names[k];
}

rs_status rs_pull_need(rs_pull *p, rs_pull_kind kind, rs_pull_event *e, rs_err *err)
{
    RS_TRY(rs_pull_next(p, e, err));
    if (e->kind != kind)
        return rs_pull_fail(p, err, "%s was expected, not %s", kind_name(kind),
                            kind_name(e->kind));
    return RS_OK;
}

rs_status rs_pull_skip(rs_pull *p, const rs_pull_event *e, rs_err *err)
{
    if (e->kind != RS_PULL_OBJECT && e->kind != RS_PULL_ARRAY) return RS_OK;
    for (int outside = p->depth - 1; p->depth > outside;) {
        rs_pull_event inner;
        RS_TRY(rs_pull_next(p, &inner, err));
    }
    return RS_OK;
}

static void write_event(const rs_pull_event *e, bool comma, rs_buf *out)
{
    if (comma) rs_buf_putc(out, ',');
    switch (e->kind) {
    case RS_PULL_OBJECT:
        rs_buf_putc(out, '{');
        break;
    case RS_PULL_OBJECT_END:
        rs_buf_putc(out, '}');
        break;
    case RS_PULL_ARRAY:
        rs_buf_putc(out, '[');
        break;
    case RS_PULL_ARRAY_END:
        rs_buf_putc(out, ']');
        break;
    case RS_PULL_KEY:
        rs_buf_json(out, e->text, e->n);
        rs_buf_putc(out, ':');
        break;
    case RS_PULL_STRING:
        rs_buf_json(out, e->text, e->n);
        break;
    default:
        rs_buf_add(out, e->text, e->n);
        break;
    }
}

rs_status rs_pull_copy(rs_pull *p, const rs_pull_event *e, size_t max, rs_buf *out,
                       rs_err *err)
{
    size_t from = out->len;
    rs_pull_kind before = e->kind;
    write_event(e, false, out);
    bool container = before == RS_PULL_OBJECT || before == RS_PULL_ARRAY;
    for (int outside = p->depth - 1; container && p->depth > outside;) {
        rs_pull_event inner;
        RS_TRY(rs_pull_next(p, &inner, err));
        bool first =
            before == RS_PULL_OBJECT || before == RS_PULL_ARRAY || before == RS_PULL_KEY;
        bool ends = inner.kind == RS_PULL_OBJECT_END || inner.kind == RS_PULL_ARRAY_END;
        write_event(&inner, !first && !ends, out);
        if (out->len - from > max)
            return rs_pull_fail(p, err, "a value of more than %zu bytes", max);
        before = inner.kind;
    }
    return out->failed ? fail_now(p, RS_E_NOMEM, "no memory", err) : RS_OK;
}

bool rs_pull_is(const rs_pull_event *e, const char *text)
{
    return strlen(text) == e->n && memcmp(text, e->text, e->n) == 0;
}

rs_status rs_pull_int(rs_pull *p, const rs_pull_event *e, int64_t min, int64_t max,
                      const char *what, int64_t *out, rs_err *err)
{
    bool minus = e->n && e->text[0] == '-',
         whole = e->kind == RS_PULL_NUMBER && e->n <= 18;
    int64_t v = 0;
    for (size_t i = minus; i < e->n && whole; i++) {
        if (e->text[i] < '0' || e->text[i] > '9')
            whole = false;
        else
            v = v * 10 + (e->text[i] - '0');
    }
    if (!whole) return rs_pull_fail(p, err, "%s is not a whole number", what);
    if (minus) v = -v;
    if (v < min || v > max)
        return rs_pull_fail(p, err,
                            "%s is %" PRId64 ", outside of %" PRId64 " to %" PRId64, what,
                            v, min, max);
    *out = v;
    return RS_OK;
}
