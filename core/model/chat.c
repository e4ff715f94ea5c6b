#include "model/chat.h"

#include "base/json_pull.h"
#include "base/os.h"
#include "base/utf8.h"
#include "store/checkpoint.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_TEMPLATE_BYTES = 1024 * 1024, MAX_CONFIG_BYTES = 64 * 1024 * 1024 };

/* How a system message is put. */
typedef enum system_style {
    SYSTEM_IS_A_TURN,
    SYSTEM_IN_FIRST_USER_TURN /* untrimmed, with an empty line behind it */
} system_style;

struct rs_chat_format {
    const char *name;
    const char *open, *close; /* control tokens around a turn */
    const char *not_if;       /* in a template: another format with the same tokens */
    system_style system;
    bool strips_thoughts; /* of earlier answers */
};

static const char bos[] = "<bos>";

static const rs_chat_format formats[] = {
    {.name = "gemma3",
     .open = "<start_of_turn>",
     .close = "<end_of_turn>",
     .not_if = "System role not supported", /* Gemma 2 */
     .system = SYSTEM_IN_FIRST_USER_TURN},
    {.name = "gemma4",
     .open = "<|turn>",
     .close = "<turn|>",
     .system = SYSTEM_IS_A_TURN,
     .strips_thoughts = true},
};
enum { N_FORMATS = sizeof formats / sizeof *formats };

const rs_chat_format *rs_chat_named(const char *name)
{
    for (int i = 0; i < N_FORMATS; i++)
        if (strcmp(formats[i].name, name) == 0) return &formats[i];
    return NULL;
}

const char *rs_chat_name(const rs_chat_format *f)
{
    return f->name;
}
const char *rs_chat_names(void)
{
    return "gemma3, gemma4";
}

int rs_chat_stop_ids(const rs_chat_format *f, const rs_tokenizer *t, int32_t ids[4])
{
    ids[0] = rs_tokenizer_id(t, f->close);
    return ids[0] >= 0;
}

/* ---- rendering ---- */

/* What Python's str.strip() takes for white space. */
static bool is_space(uint32_t c)
{
    return (c >= 9 && c <= 13) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 ||
           c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 ||
           c == 0x202f || c == 0x205f || c == 0x3000;
}

static void trim(const char **s, size_t *n)
{
    uint32_t cp;
    for (int len; *n && (len = rs_utf8_decode(*s, *n, &cp)) > 0 && is_space(cp);) {
        *s += len;
        *n -= (size_t)len;
    }
    for (size_t i = *n; i > 0;) {
        for (i--; i > 0 && ((unsigned char)(*s)[i] & 0xc0) == 0x80;)
            i--;
        if (rs_utf8_decode(*s + i, *n - i, &cp) <= 0 || !is_space(cp)) return;
        *n = i;
    }
}

static void add_trimmed(rs_buf *out, const char *s, size_t n)
{
    trim(&s, &n);
    rs_buf_add(out, s, n);
}

/* Everything between <|channel> and <channel|> goes, also where one of the two is missing at
 * an end: split at the closing marks, what follows an opening mark is left out. */
static void add_without_thoughts(rs_buf *out, const char *s)
{
    static const char open[] = "<|channel>", close[] = "<channel|>";
    rs_buf kept = {0};
    for (const char *end; s; s = end ? end + sizeof close - 1 : NULL) {
        end = strstr(s, close);
        size_t n = end ? (size_t)(end - s) : strlen(s);
        const char *thought = strstr(s, open);
        if (thought && (size_t)(thought - s) < n) n = (size_t)(thought - s);
        rs_buf_add(&kept, s, n);
    }
    add_trimmed(out, rs_buf_str(&kept), kept.len);
    out->failed |= kept.failed;
    rs_buf_free(&kept);
}

typedef enum speaker {
    SPEAKER_SYSTEM,
    SPEAKER_USER,
    SPEAKER_MODEL,
    SPEAKER_UNKNOWN
} speaker;

static speaker speaker_of(const char *role)
{
    if (strcmp(role, "user") == 0) return SPEAKER_USER;
    if (strcmp(role, "assistant") == 0 || strcmp(role, "model") == 0)
        return SPEAKER_MODEL;
    if (strcmp(role, "system") == 0 || strcmp(role, "developer") == 0)
        return SPEAKER_SYSTEM;
    return SPEAKER_UNKNOWN;
}

/* Is the order one that the format's models know? */
static rs_status check_order(const rs_chat_format *f, const rs_message *m, int n,
                             rs_err *err)
{
    bool alternates = f->system == SYSTEM_IN_FIRST_USER_TURN;
    int first = n > 0 && speaker_of(m[0].role) == SPEAKER_SYSTEM && alternates;
    for (int i = 0; i < n; i++) {
        speaker s = speaker_of(m[i].role);
        if (s == SPEAKER_UNKNOWN)
            return rs_fail(
                err, RS_E_INVALID,
                "message %d has the role \"%.40s\"; there are system, developer, "
                "user, assistant and model",
                i + 1, m[i].role);
        speaker due = (i - first) % 2 == 0 ? SPEAKER_USER : SPEAKER_MODEL;
        if (alternates && i >= first && s != due)
            return rs_fail(
                err, RS_E_INVALID,
                "message %d is the %.40s's, but roles must alternate in the chat "
                "format %s: at most one system message first, then user, "
                "assistant, user, ...",
                i + 1, m[i].role, f->name);
        if (s == SPEAKER_MODEL && i > 0 && speaker_of(m[i - 1].role) == SPEAKER_MODEL)
            return rs_fail(err, RS_E_INVALID,
                           "messages %d and %d are both the assistant's: make them one",
                           i, i + 1);
    }
    if (n == first)
        return rs_fail(err, RS_E_INVALID,
                       n ? "there is a system message and nothing else"
                         : "there is no message");
    return RS_OK;
}

static const char *turn_name(speaker s)
{
    return s == SPEAKER_MODEL ? "model" : s == SPEAKER_USER ? "user" : "system";
}

/* Everything that was added to out since its marks ends up marked with v. */
static void mark(const rs_buf *out, rs_buf *marks, char v)
{
    while (marks->len < out->len && !marks->failed)
        rs_buf_putc(marks, v);
}

static void add_turn(const rs_chat_format *f, const rs_message *m, const char *before,
                     rs_buf *out, rs_buf *marks)
{
    speaker s = speaker_of(m->role);
    rs_buf_printf(out, "%s%s\n%s", f->open, turn_name(s), before);
    mark(out, marks, 0);
    if (s == SPEAKER_MODEL && f->strips_thoughts)
        add_without_thoughts(out, m->content);
    else
        add_trimmed(out, m->content, strlen(m->content));
    rs_buf_puts(out, f->close);
    mark(out, marks, s == SPEAKER_MODEL);
    rs_buf_putc(out, '\n');
    mark(out, marks, 0);
}

static void add_all(const rs_chat_format *f, const rs_message *m, int n, bool generation,
                    rs_buf *out, rs_buf *marks)
{
    rs_buf before = {0};
    int i = 0;
    rs_buf_puts(out, bos);
    if (f->system == SYSTEM_IN_FIRST_USER_TURN && speaker_of(m[0].role) == SPEAKER_SYSTEM)
        rs_buf_printf(&before, "%s\n\n", m[i++].content);
    for (; i < n; i++) {
        add_turn(f, &m[i], rs_buf_str(&before), out, marks);
        rs_buf_reset(&before);
    }
    if (generation) rs_buf_printf(out, "%smodel\n", f->open);
    mark(out, marks, 0);
    out->failed |= before.failed || marks->failed;
    rs_buf_free(&before);
}

rs_status rs_chat_render_marked(const rs_chat_format *f, const rs_message *messages,
                                int n, bool add_generation_prompt, rs_buf *out,
                                rs_buf *marks, rs_err *err)
{
    rs_buf text = {0}, flags = {0};
    RS_TRY(check_order(f, messages, n, err));
    add_all(f, messages, n, add_generation_prompt, &text, &flags);
    rs_buf_add(out, rs_buf_str(&text), text.len);
    if (marks) rs_buf_add(marks, rs_buf_str(&flags), flags.len);
    bool failed = text.failed || out->failed || (marks && marks->failed);
    rs_buf_free(&text);
    rs_buf_free(&flags);
    return failed ? rs_fail(err, RS_E_NOMEM, "no memory for the conversation") : RS_OK;
}

rs_status rs_chat_render(const rs_chat_format *f, const rs_message *messages, int n,
                         bool add_generation_prompt, rs_buf *out, rs_err *err)
{
    return rs_chat_render_marked(f, messages, n, add_generation_prompt, out, NULL, err);
}

/* ---- recognising ---- */

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
    return strstr(template, f->open) && strstr(template, f->close) &&
           !(f->not_if && strstr(template, f->not_if)) &&
           rs_tokenizer_id(t, f->open) >= 0 && rs_tokenizer_id(t, f->close) >= 0;
}

rs_status rs_chat_detect(const char *model_path, const rs_tokenizer *t,
                         const rs_chat_format **out, rs_err *err)
{
    rs_buf text = {0};
    bool found = false;
    *out = NULL;
    rs_status s = rs_os_kind(model_path) == RS_PATH_FOLDER
                      ? template_of_folder(model_path, &text, &found, err)
                      : template_of_checkpoint(model_path, &text, &found, err);
    for (int i = 0; s == RS_OK && i < N_FORMATS && !*out; i++)
        if (matches(&formats[i], rs_buf_str(&text), t)) *out = &formats[i];
    if (s == RS_OK && text.failed)
        s = rs_fail(err, RS_E_NOMEM, "no memory for a chat template");
    rs_buf_free(&text);
    if (s != RS_OK || *out) return s;
    return rs_fail(
        err, RS_E_UNSUPPORTED,
        found ? "the chat template of %s is none that is known; name a format (%s)"
              : "%s has no chat template; name a format (%s) or use raw text",
        model_path, rs_chat_names());
}
