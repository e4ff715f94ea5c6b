#include "model/chat_internal.h"

#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

#define CHATML                                                                           \
    .open = "<|im_start|>", .role_end = "\n", .close = "<|im_end|>", .turn_end = "\n",   \
    .model_role = "assistant", .bos = "", .keeps_blanks = true
#define GEMMA .role_end = "\n", .turn_end = "\n", .model_role = "model", .bos = "<bos>"

// clang-format off
/* The first that fits is taken: what must be there comes before what need not. */
const rs_chat_format rs_chat_formats[] = {
    {.name = "gemma3", GEMMA, .open = "<start_of_turn>", .close = "<end_of_turn>",
     .not_if = "System role not supported", .system = RS_SYSTEM_IN_FIRST_USER_TURN, .alternates = true},
    {.name = "gemma2", GEMMA, .open = "<start_of_turn>", .close = "<end_of_turn>",
     .must_have = "System role not supported", .system = RS_SYSTEM_REFUSED, .alternates = true},
    {.name = "gemma4", GEMMA, .open = "<|turn>", .close = "<turn|>", .thoughts = RS_THOUGHTS_CHANNEL},
    {.name = "qwen3", CHATML, .must_have = "</think>", .thoughts = RS_THOUGHTS_THINK},
    {.name = "qwen2.5", CHATML, .must_have = "You are Qwen, created by Alibaba Cloud.",
     .default_system = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."},
    {.name = "qwen2", CHATML, .must_have = "You are a helpful assistant",
     .default_system = "You are a helpful assistant."},
    {.name = "chatml", CHATML, .not_if = "You are"}, /* another default system message */
    {.name = "llama3", .bos = "<|begin_of_text|>", .open = "<|start_header_id|>",
     .role_end = "<|end_header_id|>\n\n", .close = "<|eot_id|>", .turn_end = "", .model_role = "assistant",
     .not_if = "Cutting Knowledge Date"}, /* 3.1 puts a date of its own into the system turn */
    {.name = "mistral", .bos = "<s>", .open = "[INST]", .close = "</s>", .model_role = "assistant",
     .inst = true, .system = RS_SYSTEM_IN_FIRST_USER_TURN, .alternates = true},
    {0},
};
// clang-format on

const rs_chat_format *rs_chat_named(const char *name)
{
    for (const rs_chat_format *f = rs_chat_formats; f->name; f++)
        if (strcmp(f->name, name) == 0) return f;
    return NULL;
}

const char *rs_chat_name(const rs_chat_format *f)
{
    return f->name;
}
const char *rs_chat_names(void)
{
    return "gemma2, gemma3, gemma4, chatml, qwen2, qwen2.5, qwen3, llama3, mistral";
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

static void skip_newlines(const char **s, size_t *n)
{
    while (*n && **s == '\n')
        ++*s, --*n;
}

static void drop_newlines(const char *s, size_t *n)
{
    while (*n && s[*n - 1] == '\n')
        --*n;
}

static const char think_open[] = "<think>", think_close[] = "</think>";

/* What stands before the first </think>, after the last <think> before that. */
static const char *thought_of(const char *s, size_t *n)
{
    const char *end = strstr(s, think_close);
    *n = end ? (size_t)(end - s) : 0;
    drop_newlines(s, n);
    const char *at = s;
    for (const char *open; end && (open = strstr(at, think_open)) && open < s + *n;)
        at = open + sizeof think_open - 1;
    *n -= (size_t)(at - s);
    skip_newlines(&at, n);
    return at;
}

/* What stands after the last </think>. */
static const char *answer_of(const char *s, size_t *n)
{
    for (const char *end; (end = strstr(s, think_close)) != NULL;)
        s = end + sizeof think_close - 1;
    *n = strlen(s);
    skip_newlines(&s, n);
    return s;
}

/* Qwen 3: after the last question, the last answer always shows a thought, earlier ones
 * theirs; before it none does. */
static void add_with_thought(rs_buf *out, const char *text, bool after_question,
                             bool last)
{
    if (!strstr(text, think_close) && !(after_question && last)) {
        rs_buf_puts(out, text);
        return;
    }
    size_t n_thought, n_answer;
    const char *thought = thought_of(text, &n_thought);
    const char *answer =
        answer_of(text, &n_answer); /* all of it where there is no mark */
    if (after_question && (last || n_thought)) {
        rs_buf_puts(out, "<think>\n");
        rs_buf_add(out, thought, n_thought);
        rs_buf_puts(out, "\n</think>\n\n");
    }
    rs_buf_add(out, answer, n_answer);
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
    bool alternates = f->alternates;
    int first = n > 0 && speaker_of(m[0].role) == SPEAKER_SYSTEM && alternates;
    if (first && f->system == RS_SYSTEM_REFUSED)
        return rs_fail(err, RS_E_INVALID,
                       "the chat format %s has no system message: put it into the first "
                       "question",
                       f->name);
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

static const char *turn_name(const rs_chat_format *f, speaker s)
{
    return s == SPEAKER_MODEL ? f->model_role : s == SPEAKER_USER ? "user" : "system";
}

/* Everything that was added to out since its marks ends up marked with v. */
static void mark(const rs_buf *out, rs_buf *marks, char v)
{
    while (marks->len < out->len && !marks->failed)
        rs_buf_putc(marks, v);
}

/* Where a message stands in its conversation. */
typedef struct place {
    bool after_question, last;
} place;

static void add_text(const rs_chat_format *f, const rs_message *m, place at, rs_buf *out)
{
    bool model = speaker_of(m->role) == SPEAKER_MODEL;
    if (model && f->thoughts == RS_THOUGHTS_CHANNEL)
        add_without_thoughts(out, m->content);
    else if (model && f->thoughts == RS_THOUGHTS_THINK)
        add_with_thought(out, m->content, at.after_question, at.last);
    else if (f->keeps_blanks)
        rs_buf_puts(out, m->content);
    else
        add_trimmed(out, m->content, strlen(m->content));
}

static void add_turn(const rs_chat_format *f, const rs_message *m, const char *before,
                     place at, rs_buf *out, rs_buf *marks)
{
    speaker s = speaker_of(m->role);
    rs_buf_printf(out, "%s%s%s%s", f->open, turn_name(f, s), f->role_end, before);
    mark(out, marks, 0);
    add_text(f, m, at, out);
    rs_buf_puts(out, f->close);
    mark(out, marks, s == SPEAKER_MODEL);
    rs_buf_puts(out, f->turn_end);
    mark(out, marks, 0);
}

/* Mistral's: <s>[INST] question [/INST] answer</s>[INST] ... */
static void add_inst(const rs_chat_format *f, const rs_message *m, const char *before,
                     rs_buf *out, rs_buf *marks)
{
    bool model = speaker_of(m->role) == SPEAKER_MODEL;
    rs_buf_puts(out, model ? " " : "[INST] ");
    rs_buf_puts(out, before);
    mark(out, marks, 0);
    rs_buf_puts(out, m->content);
    if (model) rs_buf_puts(out, f->close);
    mark(out, marks, model);
    if (!model) rs_buf_puts(out, " [/INST]");
    mark(out, marks, 0);
}

static int last_question(const rs_message *m, int n)
{
    for (int i = n - 1; i >= 0; i--)
        if (speaker_of(m[i].role) == SPEAKER_USER) return i;
    return n - 1;
}

static void add_all(const rs_chat_format *f, const rs_message *m, int n, bool generation,
                    rs_buf *out, rs_buf *marks)
{
    rs_buf before = {0};
    int i = 0, question = last_question(m, n);
    rs_buf_puts(out, f->bos);
    bool has_system = speaker_of(m[0].role) == SPEAKER_SYSTEM;
    if (f->system == RS_SYSTEM_IN_FIRST_USER_TURN && has_system)
        rs_buf_printf(&before, "%s\n\n", m[i++].content);
    if (f->default_system && !has_system) {
        rs_message system = {"system", f->default_system};
        add_turn(f, &system, "", (place){false, false}, out, marks);
    }
    for (; i < n; i++) {
        place at = {i > question, i == n - 1};
        if (f->inst)
            add_inst(f, &m[i], rs_buf_str(&before), out, marks);
        else
            add_turn(f, &m[i], rs_buf_str(&before), at, out, marks);
        rs_buf_reset(&before);
    }
    if (generation && !f->inst)
        rs_buf_printf(out, "%s%s%s", f->open, f->model_role, f->role_end);
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
