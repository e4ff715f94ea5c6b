/* The base's config.json for a merged model: byte for byte, but for what would not be true of
 * the new weights. */
#include "merge/card.h"
#include "merge/plan_internal.h"

#include "base/os.h"
#include "model/family.h"

#include <string.h>

enum { MAX_CONFIG_BYTES = 1 << 20 };

/* --- dtype --- */

/* The values of "dtype" and "torch_dtype": loaders that believe them would round again. */
static void set_dtype(const char *text, rs_dtype d, rs_buf *out)
{
    const char *name = d == RS_DTYPE_F32   ? "float32"
                       : d == RS_DTYPE_F16 ? "float16"
                                           : "bfloat16";
    const char *from = text;
    for (const char *at = from; (at = strstr(at, "dtype\"")) != NULL;) {
        at += strlen("dtype\"");
        at += strspn(at, " \t\r\n:");
        size_t n = *at == '"' ? strcspn(at + 1, "\"") : 0;
        if (n == 0 || at[1 + n] != '"' ||
            strspn(at + 1, "abcdefghijklmnopqrstuvwxyz0123456789") < n)
            continue;
        rs_buf_add(out, from, (size_t)(at + 1 - from));
        rs_buf_puts(out, name);
        from = at += 1 + n;
    }
    rs_buf_puts(out, from);
}

/* --- ties --- */

/* Where a walk over the text of valid JSON is. */
typedef struct walk {
    int depth;
    bool text_next, in_text; /* the object at depth 2 is the text model's */
} walk;

static bool key_is(const char *key, size_t n, const char *name)
{
    return n == strlen(name) && memcmp(key, name, n) == 0;
}

/* The value of the next tie flag of the model or its text model; NULL: there is none. */
static const char *next_tie(const char *at, walk *w)
{
    for (; *at; at++) {
        if (*at == '{' || *at == '[') {
            if (++w->depth == 2) w->in_text = w->text_next;
        } else if (*at == '}' || *at == ']') {
            w->depth--;
        } else if (*at == '"') {
            const char *key = at + 1, *end = key;
            while (*end && *end != '"')
                end += end[0] == '\\' && end[1] ? 2 : 1;
            if (!*end) return NULL;
            const char *next = end + 1 + strspn(end + 1, " \t\r\n");
            at = end;
            if (*next != ':') continue;
            size_t n = (size_t)(end - key);
            if (w->depth == 1) w->text_next = key_is(key, n, "text_config");
            if (!key_is(key, n, "tie_word_embeddings")) continue;
            if (w->depth == 1 || (w->depth == 2 && w->in_text))
                return next + 1 + strspn(next + 1, " \t\r\n");
        }
    }
    return NULL;
}

static void set_tie(const char *text, bool tied, bool by_default, rs_buf *out)
{
    const char *word = tied ? "true" : "false", *from = text, *at = text;
    walk w = {0};
    bool stated = false;
    rs_buf body = {0};
    while ((at = next_tie(at, &w)) != NULL) {
        stated |= w.depth == 1;
        rs_buf_add(&body, from, (size_t)(at - from));
        from = at + strcspn(at, ",} \t\r\n");
        rs_buf_puts(&body, word);
        at = from;
    }
    rs_buf_puts(&body, from);
    const char *open = strchr(rs_buf_str(&body), '{');
    if (!stated && tied != by_default && open) {
        rs_buf_add(out, body.data, (size_t)(open + 1 - body.data));
        rs_buf_printf(out, "\n  \"tie_word_embeddings\": %s,", word);
        rs_buf_puts(out, open + 1);
    } else {
        rs_buf_puts(out, rs_buf_str(&body));
    }
    out->failed |= body.failed;
    rs_buf_free(&body);
}

/* Is there no head, or one that is the embedding's copy? */
static bool is_tied(const rs_plan *p)
{
    for (int i = 0; i < p->sources->n_tensors; i++)
        if (p->sources->role[i].kind == RS_KIND_HEAD && p->sources->alias[i] < 0)
            return false;
    return true;
}

rs_status rs_card_config(const rs_plan *p, rs_writer *w, const char *path, rs_err *err)
{
    rs_buf text = {0}, typed = {0}, out = {0};
    rs_status s = rs_os_read_file(path, MAX_CONFIG_BYTES, &text, err);
    set_dtype(rs_buf_str(&text), p->recipe->output_dtype, &typed);
    set_tie(rs_buf_str(&typed), is_tied(p), p->sources->config->family->tied_head, &out);
    if (s == RS_OK && (text.failed || typed.failed || out.failed))
        s = rs_fail(err, RS_E_NOMEM, "no memory for config.json");
    if (s == RS_OK) s = rs_writer_file(w, "config.json", out.data, out.len, err);
    rs_buf_free(&text);
    rs_buf_free(&typed);
    rs_buf_free(&out);
    return s;
}
