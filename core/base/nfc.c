#include "base/nfc.h"

#include <stdlib.h>
#include <utf8proc.h>

static bool is_ascii(const char *s, size_t n)
{
    unsigned char all = 0;
    for (size_t i = 0; i < n; i++)
        all |= (unsigned char)s[i];
    return all < 0x80;
}

rs_status rs_nfc(const char *s, size_t n, rs_buf *out, rs_err *err)
{
    if (is_ascii(s, n)) {
        rs_buf_add(out, s, n);
    } else {
        utf8proc_uint8_t *made = NULL;
        utf8proc_ssize_t m =
            utf8proc_map((const utf8proc_uint8_t *)s, (utf8proc_ssize_t)n, &made,
                         UTF8PROC_STABLE | UTF8PROC_COMPOSE);
        if (m >= 0) rs_buf_add(out, made, (size_t)m);
        free(made);
        if (m < 0)
            return rs_fail(err, RS_E_INVALID, "a text could not be normalised: %s",
                           utf8proc_errmsg(m));
    }
    return out->failed ? rs_fail(err, RS_E_NOMEM, "no memory to normalise a text")
                       : RS_OK;
}
