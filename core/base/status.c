#include "base/status.h"

#include "base/utf8.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* A message that was cut may end inside a character: that part goes. */
static void tidy(char *s)
{
    size_t n = strlen(s);
    s[n - rs_utf8_incomplete_tail(s, n)] = 0;
    rs_utf8_clean(s);
}

rs_status rs_failv(rs_err *err, rs_status code, const char *fmt, va_list ap)
{
    if (!err) return code;
    err->code = code;
    vsnprintf(err->msg, sizeof err->msg, fmt ? fmt : "failed", ap);
    tidy(err->msg);
    return code;
}

rs_status rs_fail(rs_err *err, rs_status code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    rs_failv(err, code, fmt, ap);
    va_end(ap);
    return code;
}

rs_status rs_fail_errno(rs_err *err, int errnum, const char *fmt, ...)
{
    rs_status code = errnum == ENOMEM   ? RS_E_NOMEM
                     : errnum == ENOENT ? RS_E_NOT_FOUND
                                        : RS_E_IO;
    va_list ap;
    va_start(ap, fmt);
    rs_failv(err, code, fmt, ap);
    va_end(ap);
    if (!err) return code;
    /* The reason has to be read, so a very long sentence gives way to it. */
    const char *reason = strerror(errnum);
    size_t n = strlen(err->msg), room = sizeof err->msg - strlen(reason) - 3;
    if (n > room) n = room;
    snprintf(err->msg + n, sizeof err->msg - n, ": %s", reason);
    tidy(err->msg);
    return code;
}

rs_status rs_err_prefix(rs_err *err, const char *fmt, ...)
{
    if (!err) return RS_E_BUG;
    char old[sizeof err->msg];
    memcpy(old, err->msg, sizeof old);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(err->msg, sizeof err->msg, fmt, ap);
    va_end(ap);
    size_t n = strlen(err->msg);
    snprintf(err->msg + n, sizeof err->msg - n, ": %s", old);
    tidy(err->msg);
    return err->code;
}

const char *rs_status_name(rs_status code)
{
    static const char *const names[] = {
        [RS_OK] = "ok",
        [RS_E_NOMEM] = "memory",
        [RS_E_IO] = "io",
        [RS_E_FORMAT] = "format",
        [RS_E_INVALID] = "invalid",
        [RS_E_MISMATCH] = "mismatch",
        [RS_E_UNSUPPORTED] = "unsupported",
        [RS_E_EXISTS] = "exists",
        [RS_E_NOT_FOUND] = "not found",
        [RS_E_CANCELLED] = "cancelled",
        [RS_E_BUG] = "bug",
    };
    return (unsigned)code < sizeof names / sizeof *names ? names[code] : "unknown";
}
