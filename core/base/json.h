/* json.h - reading JSON that nobody vouches for. The only file that includes cJSON.
 *
 * rs_json_parse checks depth (64) and UTF-8 first, refuses duplicate keys in an object, zero
 * characters in strings and anything after the document. Values are borrowed from the
 * document. Integers must be integral and below 2^53 in magnitude. For typed access with an
 * error sentence use rs_json_opt_* and rs_json_as_int: `where` names the place
 * ("config.json: text_config").
 * Objects up to some thousand keys may be searched by name; large ones should be walked. */
#ifndef RS_JSON_H
#define RS_JSON_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct rs_json rs_json; /* one value of a document */

enum { RS_JSON_MAX_DEPTH = 64 };

/* what: how errors call the text, usually its path. Errors give line and column. The
 * document is freed through its root. */
rs_status rs_json_parse(const char *text, size_t n, const char *what, rs_json **root,
                        rs_err *err) RS_MUST_USE;
rs_status rs_json_read_file(const char *path, size_t max_bytes, rs_json **root,
                            rs_err *err) RS_MUST_USE;
void rs_json_free(rs_json *root); /* NULL is fine */

bool rs_json_is_object(const rs_json *v);
bool rs_json_is_array(const rs_json *v);
bool rs_json_is_string(const rs_json *v);
bool rs_json_is_number(const rs_json *v);
bool rs_json_is_bool(const rs_json *v);
bool rs_json_is_null(const rs_json *v); /* also true for NULL: absent */

const rs_json *rs_json_get(const rs_json *object, const char *key); /* NULL if absent */
const rs_json *rs_json_first(const rs_json *v); /* first element or member, or NULL */
const rs_json *rs_json_next(const rs_json *v);
const char *rs_json_key(const rs_json *v); /* of a member, else NULL */
int rs_json_count(const rs_json *v);
const char *rs_json_string(const rs_json *v); /* NULL if not a string */
double rs_json_number(const rs_json *v);      /* 0 if not a number */
bool rs_json_true(const rs_json *v);          /* true only for true */

/* Optional members: absent or null leaves *out as it is; another type is an error. */
rs_status rs_json_opt_int(const rs_json *o, const char *key, int64_t min, int64_t max,
                          const char *where, int64_t *out, rs_err *err) RS_MUST_USE;
rs_status rs_json_opt_double(const rs_json *o, const char *key, const char *where,
                             double *out, rs_err *err) RS_MUST_USE;
rs_status rs_json_opt_bool(const rs_json *o, const char *key, const char *where,
                           bool *out, rs_err *err) RS_MUST_USE;
rs_status rs_json_opt_string(const rs_json *o, const char *key, const char *where,
                             const char **out, rs_err *err) RS_MUST_USE;
/* The value itself as an integer in [min, max]. */
rs_status rs_json_as_int(const rs_json *v, int64_t min, int64_t max, const char *where,
                         int64_t *out, rs_err *err) RS_MUST_USE;

#endif
