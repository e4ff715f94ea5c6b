#include "base/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>

enum { MATCH_LIMIT = 1000000, DEPTH_LIMIT = 10000, HEAP_KIB = 16384 };

struct rs_regex {
    pcre2_code *code;
    pcre2_match_context *limits;
};

static rs_status no_memory(rs_err *err)
{
    return rs_fail(err, RS_E_NOMEM, "no memory for a regular expression");
}

rs_status rs_regex_new(const char *pattern, size_t n, rs_regex **out, rs_err *err)
{
    *out = NULL;
    rs_regex *r = calloc(1, sizeof *r);
    if (!r) return no_memory(err);
    int code = 0;
    PCRE2_SIZE at = 0;
    r->limits = pcre2_match_context_create(NULL);
    r->code =
        pcre2_compile((PCRE2_SPTR)pattern, n,
                      PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &code, &at, NULL);
    if (!r->code || !r->limits) {
        PCRE2_UCHAR why[128] = "no memory";
        if (!r->code) pcre2_get_error_message(code, why, sizeof why);
        rs_regex_free(r);
        return rs_fail(err, RS_E_FORMAT, "regular expression \"%.*s\", at %zu: %s",
                       (int)(n < 200 ? n : 200), pattern, (size_t)at, (const char *)why);
    }
    (void)pcre2_jit_compile(r->code, PCRE2_JIT_COMPLETE); /* where it can; same results */
    pcre2_set_match_limit(r->limits, MATCH_LIMIT);
    pcre2_set_depth_limit(r->limits, DEPTH_LIMIT);
    pcre2_set_heap_limit(r->limits, HEAP_KIB);
    *out = r;
    return RS_OK;
}

void rs_regex_free(rs_regex *r)
{
    if (!r) return;
    pcre2_code_free(r->code);
    pcre2_match_context_free(r->limits);
    free(r);
}

/* The compiled form has a small stack: what it cannot do is interpreted. */
static int match_once(const rs_regex *r, const char *s, size_t n, size_t from,
                      uint32_t options, pcre2_match_data *m, pcre2_match_context *limits)
{
    int rc = pcre2_match(r->code, (PCRE2_SPTR)s, n, from, options, m, limits);
    if (rc != PCRE2_ERROR_JIT_STACKLIMIT) return rc;
    return pcre2_match(r->code, (PCRE2_SPTR)s, n, from, options | PCRE2_NO_JIT, m,
                       limits);
}

/* For one match in a long text, such as a megabyte of blanks: still a bound by its length. */
static pcre2_match_context *limits_for(const rs_regex *r, size_t n)
{
    pcre2_match_context *c = pcre2_match_context_copy(r->limits);
    size_t more = n < (size_t)1 << 26 ? n * 16 : (size_t)1 << 30;
    if (c) pcre2_set_match_limit(c, (uint32_t)(MATCH_LIMIT + more));
    if (c) pcre2_set_depth_limit(c, (uint32_t)(DEPTH_LIMIT + more));
    return c;
}

static rs_status what_of(int rc, const char *s, size_t n, rs_err *err)
{
    bool bad_utf = rc <= PCRE2_ERROR_UTF8_ERR1 && rc >= PCRE2_ERROR_UTF8_ERR21;
    if (rc >= 0 || rc == PCRE2_ERROR_NOMATCH || bad_utf) return RS_OK;
    PCRE2_UCHAR why[128] = "failed";
    pcre2_get_error_message(rc, why, sizeof why);
    return rs_fail(err, RS_E_UNSUPPORTED, "a regular expression on \"%.*s\": %s",
                   (int)(n < 200 ? n : 200), s, (const char *)why);
}

rs_status rs_regex_each(const rs_regex *r, const char *s, size_t n, rs_regex_fn fn,
                        void *ctx, rs_err *err)
{
    pcre2_match_data *m = pcre2_match_data_create(1, NULL);
    pcre2_match_context *limits = limits_for(r, n);
    int rc = 0;
    for (size_t at = 0; at < n && m && limits;) {
        const PCRE2_SIZE *place = pcre2_get_ovector_pointer(m);
        rc = match_once(r, s, n, at, PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY, m, limits);
        if (rc < 0 || !fn(ctx, place[0], place[1])) break;
        at = place[1];
    }
    bool made = m && limits;
    pcre2_match_data_free(m);
    pcre2_match_context_free(limits);
    return made ? what_of(rc, s, n, err) : no_memory(err);
}

rs_status rs_regex_whole(const rs_regex *r, const char *s, size_t n, bool *matches,
                         rs_err *err)
{
    *matches = false;
    pcre2_match_data *m = pcre2_match_data_create(1, NULL);
    if (!m) return no_memory(err);
    int rc = match_once(r, s, n, 0, PCRE2_ANCHORED | PCRE2_ENDANCHORED, m, r->limits);
    pcre2_match_data_free(m);
    *matches = rc >= 0;
    return what_of(rc, s, n, err);
}
