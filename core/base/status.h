/* status.h - how every fallible function of the engine reports failure.
 *
 * A fallible function returns an rs_status and takes an rs_err as its last argument (which
 * may be NULL). The message is one whole sentence that names the file, the tensor and the
 * numbers; it lives in the caller's rs_err and needs no freeing. The innermost function
 * writes it, outer ones may put context in front with rs_err_prefix().
 *
 *     rs_err err;
 *     if (rs_checkpoint_open(path, &ckpt, &err) != RS_OK) fprintf(stderr, "%s\n", err.msg);
 *
 * Nothing in core prints, exits or aborts. */
#ifndef RS_STATUS_H
#define RS_STATUS_H

#include <stdarg.h>

typedef enum rs_status {
    RS_OK = 0,
    RS_E_NOMEM,       /* an allocation failed or a memory budget is too small */
    RS_E_IO,          /* the system refused a read, write, rename ... */
    RS_E_FORMAT,      /* a file is malformed */
    RS_E_INVALID,     /* an argument or a recipe is wrong */
    RS_E_MISMATCH,    /* two inputs do not fit: names, shapes */
    RS_E_UNSUPPORTED, /* well-formed, but nothing here can do it */
    RS_E_EXISTS,      /* an output is there already */
    RS_E_NOT_FOUND,   /* a file, model or name is not there */
    RS_E_CANCELLED,   /* the caller's progress function said stop */
    RS_E_BUG          /* a defect of ours */
} rs_status;

typedef struct rs_err {
    rs_status code;
    char msg[512];
} rs_err;

#define RS_MUST_USE __attribute__((warn_unused_result))
#define RS_PRINTF(f, a) __attribute__((format(printf, f, a)))

/* Writes the sentence into err (if not NULL) and returns code. Control characters in the
 * result (file names and tensor names are hostile) become '?'. */
rs_status rs_fail(rs_err *err, rs_status code, const char *fmt, ...) RS_PRINTF(3, 4);
rs_status rs_failv(rs_err *err, rs_status code, const char *fmt, va_list ap)
    RS_PRINTF(3, 0);

/* As rs_fail with ": strerror(errnum)" at the end. */
rs_status rs_fail_errno(rs_err *err, int errnum, const char *fmt, ...) RS_PRINTF(3, 4);

/* Puts "prefix: " before the message that is there. Returns err's code. */
rs_status rs_err_prefix(rs_err *err, const char *fmt, ...) RS_PRINTF(2, 3);

/* The class of a status in one word, for logs and JSON: "io", "format" ... */
const char *rs_status_name(rs_status code);

/* Returns from the calling function if expr fails. Only where nothing is to be released. */
#define RS_TRY(expr)                                                                     \
    do {                                                                                 \
        rs_status rs_try_status_ = (expr);                                               \
        if (rs_try_status_ != RS_OK) return rs_try_status_;                              \
    } while (0)

#endif
