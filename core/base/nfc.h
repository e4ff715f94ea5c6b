/* nfc.h - Unicode's composed normal form. The only file of core that includes utf8proc. */
#ifndef RS_NFC_H
#define RS_NFC_H

#include "base/buf.h"
#include "base/status.h"

/* Appends the NFC of s, which must be valid UTF-8. */
rs_status rs_nfc(const char *s, size_t n, rs_buf *out, rs_err *err) RS_MUST_USE;

#endif
