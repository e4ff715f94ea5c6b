/* Fuzz target: any text through both JSON readers, the tree and the stream; what the tree
 * accepts is walked. */
#include "base/json.h"
#include "base/json_pull.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(const rs_json *v)
{
    rs_err err;
    int64_t i = 0;
    const char *s = rs_json_string(v);
    if (s && strlen(s) > RS_PULL_MAX_STRING) abort();
    if (rs_json_as_int(v, -5, 1000, "v", &i, &err) == RS_OK && (i < -5 || i > 1000))
        abort();
    int n = 0;
    for (const rs_json *m = rs_json_first(v); m; m = rs_json_next(m), n++) {
        if (rs_json_is_object(v) && rs_json_get(v, rs_json_key(m)) != m) abort();
        use(m);
    }
    if (n != rs_json_count(v)) abort();
}

static rs_status stream(const char *text, size_t n)
{
    rs_pull *p;
    rs_pull_event e = {RS_PULL_NULL, NULL, 0};
    rs_err err;
    RS_TRY(rs_pull_memory(text, n, "stream", &p, &err));
    rs_status s = rs_pull_next(p, &e, &err);
    while (s == RS_OK && e.kind != RS_PULL_END)
        s = rs_pull_next(p, &e, &err);
    rs_pull_close(p);
    return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = malloc(size ? size : 1); /* of the exact size, for the sanitizer */
    rs_json *root = NULL;
    rs_err err;
    if (!copy) return 0;
    memcpy(copy, data, size);
    (void)!stream(copy, size);
    if (rs_json_parse(copy, size, "tree", &root, &err) == RS_OK) use(root);
    rs_json_free(root);
    free(copy);
    return 0;
}
