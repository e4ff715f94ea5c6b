/* regex.h - regular expressions that come with files. The only file that includes PCRE2.
 *
 * Patterns and subjects are UTF-8 (a subject that is not does not match). Matching is
 * bounded: an expression that would backtrack for ever is RS_E_UNSUPPORTED instead. A
 * compiled expression is immutable; several threads may match with it. */
#ifndef RS_REGEX_H
#define RS_REGEX_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct rs_regex rs_regex;

/* RS_E_FORMAT with the position of the mistake. */
rs_status rs_regex_new(const char *pattern, size_t n, rs_regex **out,
                       rs_err *err) RS_MUST_USE;
void rs_regex_free(rs_regex *r); /* NULL is fine */

/* All matches from left to right; an empty one is passed over. s must be valid UTF-8, which
 * is not looked at again. fn returns false to stop, which is RS_OK too. */
typedef bool (*rs_regex_fn)(void *ctx, size_t start, size_t end);
rs_status rs_regex_each(const rs_regex *r, const char *s, size_t n, rs_regex_fn fn,
                        void *ctx, rs_err *err) RS_MUST_USE;
/* Does the whole of s match? */
rs_status rs_regex_whole(const rs_regex *r, const char *s, size_t n, bool *matches,
                         rs_err *err) RS_MUST_USE;

#endif
