#include "base/json.h"

#include "base/map.h"
#include "base/os.h"
#include "base/utf8.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const cJSON *in(const rs_json *v)
{
    return (const cJSON *)v;
}
static const rs_json *as_json(const cJSON *v)
{
    return (const rs_json *)v;
}

static void place_of(const char *text, size_t at, int *line, int *column)
{
    *line = *column = 1;
    for (size_t i = 0; i < at; i++) {
        if (text[i] == '\n') ++*line, *column = 0;
        ++*column;
    }
}

static rs_status fail_at(rs_err *err, const char *what, const char *text, size_t at,
                         const char *why)
{
    int line, column;
    place_of(text, at, &line, &column);
    return rs_fail(err, RS_E_FORMAT, "%s, line %d, column %d: %s", what, line, column,
                   why);
}

/* Nesting and string syntax, so that cJSON never recurses further than we allow. */
static rs_status check_text(const char *text, size_t n, const char *what, rs_err *err)
{
    int depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        if (c == 0) return fail_at(err, what, text, i, "a zero byte in JSON");
        if (in_string) {
            if (n - i >= 6 && memcmp(text + i, "\\u0000", 6) == 0)
                return fail_at(err, what, text, i, "a zero character in a string");
            if (c == '\\' && i + 1 < n)
                i++;
            else if (c == '"')
                in_string = false;
            else if ((unsigned char)c < 0x20)
                return fail_at(err, what, text, i, "a control character in a string");
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > RS_JSON_MAX_DEPTH)
                return fail_at(err, what, text, i, "nested deeper than 64 levels");
        } else if (c == '}' || c == ']') {
            depth--;
        }
    }
    if (!rs_utf8_valid(text, n))
        return rs_fail(err, RS_E_FORMAT, "%s is not valid UTF-8", what);
    return RS_OK;
}

static rs_status check_keys_of(const cJSON *object, const char *what, rs_err *err)
{
    rs_map seen = {0};
    rs_status s = RS_OK;
    for (const cJSON *m = object->child; m && s == RS_OK; m = m->next) {
        bool was = false;
        if (!rs_map_put(&seen, m->string, strlen(m->string), 1, &was))
            s = rs_fail(err, RS_E_NOMEM, "no memory for %s", what);
        else if (was)
            s = rs_fail(err, RS_E_FORMAT, "%s has the key \"%s\" twice in one object",
                        what, m->string);
    }
    rs_map_free(&seen);
    return s;
}

static rs_status check_keys(const cJSON *v, const char *what, rs_err *err)
{
    if (cJSON_IsObject(v)) RS_TRY(check_keys_of(v, what, err));
    for (const cJSON *m = v->child; m; m = m->next)
        if (m->child) RS_TRY(check_keys(m, what, err));
    return RS_OK;
}

rs_status rs_json_parse(const char *text, size_t n, const char *what, rs_json **root,
                        rs_err *err)
{
    *root = NULL;
    RS_TRY(check_text(text, n, what, err));
    const char *end = NULL;
    cJSON *v = cJSON_ParseWithLengthOpts(text, n, &end, false);
    if (!v) {
        size_t at = end && end >= text && end <= text + n ? (size_t)(end - text) : n;
        return fail_at(err, what, text, at, "not JSON from here on");
    }
    size_t at = (size_t)(end - text);
    while (at < n && strchr(" \t\r\n", text[at]))
        at++;
    rs_status s = at < n
                      ? fail_at(err, what, text, at, "text after the end of the document")
                      : check_keys(v, what, err);
    if (s != RS_OK)
        cJSON_Delete(v);
    else
        *root = (rs_json *)v;
    return s;
}

rs_status rs_json_read_file(const char *path, size_t max_bytes, rs_json **root,
                            rs_err *err)
{
    *root = NULL;
    rs_buf text = {0};
    rs_status s = rs_os_read_file(path, max_bytes, &text, err);
    if (s == RS_OK) s = rs_json_parse(rs_buf_str(&text), text.len, path, root, err);
    rs_buf_free(&text);
    return s;
}

void rs_json_free(rs_json *root)
{
    cJSON_Delete((cJSON *)root);
}

bool rs_json_is_object(const rs_json *v)
{
    return cJSON_IsObject(in(v));
}
bool rs_json_is_array(const rs_json *v)
{
    return cJSON_IsArray(in(v));
}
bool rs_json_is_string(const rs_json *v)
{
    return cJSON_IsString(in(v));
}
bool rs_json_is_number(const rs_json *v)
{
    return cJSON_IsNumber(in(v));
}
bool rs_json_is_bool(const rs_json *v)
{
    return cJSON_IsBool(in(v));
}
bool rs_json_is_null(const rs_json *v)
{
    return !v || cJSON_IsNull(in(v));
}

const rs_json *rs_json_get(const rs_json *object, const char *key)
{
    if (!rs_json_is_object(object)) return NULL;
    return as_json(cJSON_GetObjectItemCaseSensitive(in(object), key));
}

const rs_json *rs_json_first(const rs_json *v)
{
    return v ? as_json(in(v)->child) : NULL;
}
const rs_json *rs_json_next(const rs_json *v)
{
    return v ? as_json(in(v)->next) : NULL;
}
const char *rs_json_key(const rs_json *v)
{
    return v ? in(v)->string : NULL;
}
int rs_json_count(const rs_json *v)
{
    return v ? cJSON_GetArraySize(in(v)) : 0;
}

const char *rs_json_string(const rs_json *v)
{
    return rs_json_is_string(v) ? in(v)->valuestring : NULL;
}

double rs_json_number(const rs_json *v)
{
    return rs_json_is_number(v) ? in(v)->valuedouble : 0;
}

bool rs_json_true(const rs_json *v)
{
    return v && cJSON_IsTrue(in(v));
}

rs_status rs_json_as_int(const rs_json *v, int64_t min, int64_t max, const char *where,
                         int64_t *out, rs_err *err)
{
    double d = rs_json_number(v);
    if (!rs_json_is_number(v) || d != floor(d) || fabs(d) > 0x1p53)
        return rs_fail(err, RS_E_FORMAT, "%s is not a whole number", where);
    if (d < (double)min || d > (double)max)
        return rs_fail(err, RS_E_FORMAT, "%s is %.0f, outside of %" PRId64 " to %" PRId64,
                       where, d, min, max);
    *out = (int64_t)d;
    return RS_OK;
}

static rs_status wrong_type(rs_err *err, const char *where, const char *key,
                            const char *type)
{
    return rs_fail(err, RS_E_FORMAT, "%s: \"%s\" is not %s", where, key, type);
}

rs_status rs_json_opt_int(const rs_json *o, const char *key, int64_t min, int64_t max,
                          const char *where, int64_t *out, rs_err *err)
{
    const rs_json *v = rs_json_get(o, key);
    if (rs_json_is_null(v)) return RS_OK;
    rs_status s = rs_json_as_int(v, min, max, key, out, err);
    return s == RS_OK ? s : rs_err_prefix(err, "%s", where);
}

rs_status rs_json_opt_double(const rs_json *o, const char *key, const char *where,
                             double *out, rs_err *err)
{
    const rs_json *v = rs_json_get(o, key);
    if (rs_json_is_null(v)) return RS_OK;
    if (!rs_json_is_number(v) || !isfinite(rs_json_number(v)))
        return wrong_type(err, where, key, "a finite number");
    *out = rs_json_number(v);
    return RS_OK;
}

rs_status rs_json_opt_bool(const rs_json *o, const char *key, const char *where,
                           bool *out, rs_err *err)
{
    const rs_json *v = rs_json_get(o, key);
    if (rs_json_is_null(v)) return RS_OK;
    if (!rs_json_is_bool(v)) return wrong_type(err, where, key, "true or false");
    *out = rs_json_true(v);
    return RS_OK;
}

rs_status rs_json_opt_string(const rs_json *o, const char *key, const char *where,
                             const char **out, rs_err *err)
{
    const rs_json *v = rs_json_get(o, key);
    if (rs_json_is_null(v)) return RS_OK;
    if (!rs_json_is_string(v)) return wrong_type(err, where, key, "a string");
    *out = rs_json_string(v);
    return RS_OK;
}
