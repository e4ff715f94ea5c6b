/* Recognising a model's chat format by its template; no template is run. */
#include "model/chat_internal.h"

#include "base/json_pull.h"
#include "base/os.h"
#include "store/checkpoint.h"

#include <string.h>

enum { MAX_TEMPLATE_BYTES = 1024 * 1024, MAX_CONFIG_BYTES = 64 * 1024 * 1024 };

/* ---- the template ---- */

/* chat_template of a tokenizer_config.json: a string, or a list of {name, template}, of which
 * "default" counts. *found: there was one. */
static rs_status template_of_list(rs_pull *p, rs_buf *out, bool *found, rs_err *err)
{
    rs_buf name = {0}, text = {0};
    rs_status s = RS_OK;
    rs_pull_event e = {0};
    while (s == RS_OK && (s = rs_pull_next(p, &e, err)) == RS_OK) {
        if (e.kind == RS_PULL_ARRAY_END) break;
        if (e.kind == RS_PULL_OBJECT_END && strcmp(rs_buf_str(&name), "default") == 0) {
            rs_buf_add(out, rs_buf_str(&text), text.len);
            *found = true;
        }
        if (e.kind != RS_PULL_KEY) continue;
        rs_buf *into = rs_pull_is(&e, "name")       ? &name
                       : rs_pull_is(&e, "template") ? &text
                                                    : NULL;
        s = rs_pull_next(p, &e, err);
        if (s == RS_OK && into && e.kind == RS_PULL_STRING) {
            rs_buf_reset(into);
            rs_buf_add(into, e.text, e.n);
        }
        if (s == RS_OK) s = rs_pull_skip(p, &e, err);
    }
    rs_buf_free(&name);
    rs_buf_free(&text);
    return s;
}

static rs_status template_of_members(rs_pull *p, rs_buf *out, bool *found, rs_err *err)
{
    rs_pull_event e;
    RS_TRY(rs_pull_need(p, RS_PULL_OBJECT, &e, err));
    for (;;) {
        RS_TRY(rs_pull_next(p, &e, err));
        if (e.kind == RS_PULL_OBJECT_END) return RS_OK;
        bool wanted = rs_pull_is(&e, "chat_template");
        RS_TRY(rs_pull_next(p, &e, err));
        if (wanted && e.kind == RS_PULL_ARRAY) {
            RS_TRY(template_of_list(p, out, found, err));
            continue;
        }
        if (wanted && e.kind == RS_PULL_STRING) {
            rs_buf_add(out, e.text, e.n);
            *found = true;
        }
        RS_TRY(rs_pull_skip(p, &e, err));
    }
}

static rs_status template_of_folder(const char *folder, rs_buf *out, bool *found,
                                    rs_err *err)
{
    char path[4096];
    if (rs_path_join(path, sizeof path, folder, "chat_template.jinja") &&
        rs_os_kind(path) == RS_PATH_FILE) {
        *found = true;
        return rs_os_read_file(path, MAX_TEMPLATE_BYTES, out, err);
    }
    if (!rs_path_join(path, sizeof path, folder, "tokenizer_config.json") ||
        rs_os_kind(path) != RS_PATH_FILE)
        return RS_OK;
    rs_pull *p;
    RS_TRY(rs_pull_open(path, MAX_CONFIG_BYTES, &p, err));
    rs_status s = template_of_members(p, out, found, err);
    rs_pull_close(p);
    return s;
}

static rs_status template_of_checkpoint(const char *path, rs_buf *out, bool *found,
                                        rs_err *err)
{
    rs_checkpoint *c;
    RS_TRY(rs_checkpoint_open(path, &c, err));
    rs_status s = RS_OK;
    if (rs_checkpoint_layout(c) == RS_LAYOUT_GGUF) {
        const char *text = rs_checkpoint_metadata(c, "tokenizer.chat_template");
        if (text) rs_buf_puts(out, text);
        *found = text != NULL;
    } else {
        s = template_of_folder(rs_checkpoint_folder(c), out, found, err);
    }
    rs_checkpoint_close(c);
    return s;
}

/* Is this one format's template, and does the tokenizer have its tokens? */
static bool matches(const rs_chat_format *f, const char *template, const rs_tokenizer *t)
{
    if (f->must_have && !strstr(template, f->must_have)) return false;
    if (f->not_if && strstr(template, f->not_if)) return false;
    if (f->inst) return false; /* its versions differ in blanks: only by name */
    return strstr(template, f->open) && strstr(template, f->close) &&
           rs_tokenizer_id(t, f->open) >= 0 && rs_tokenizer_id(t, f->close) >= 0;
}

rs_status rs_chat_template(const char *model_path, rs_buf *out, bool *found, rs_err *err)
{
    *found = false;
    return rs_os_kind(model_path) == RS_PATH_FOLDER
               ? template_of_folder(model_path, out, found, err)
               : template_of_checkpoint(model_path, out, found, err);
}

rs_status rs_chat_detect(const char *model_path, const rs_tokenizer *t,
                         const rs_chat_format **out, rs_err *err)
{
    rs_buf text = {0};
    bool found;
    *out = NULL;
    rs_status s = rs_chat_template(model_path, &text, &found, err);
    for (const rs_chat_format *f = rs_chat_formats; s == RS_OK && f->name && !*out; f++)
        if (found && matches(f, rs_buf_str(&text), t)) *out = f;
    if (s == RS_OK && text.failed)
        s = rs_fail(err, RS_E_NOMEM, "no memory for a chat template");
    rs_buf_free(&text);
    if (s != RS_OK || *out) return s;
    return rs_fail(
        err, RS_E_UNSUPPORTED,
        found ? "the chat template of %s is none that is known; name a format (%s)"
              : "%s has no chat template; name a format (%s) or use raw text (--raw)",
        model_path, rs_chat_names());
}
