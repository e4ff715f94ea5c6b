/* Chat formats against transformers' renderings; which orders are refused; recognition. */
#include "base/os.h"
#include "model/chat.h"
#include "model/jsonl.h"
#include "tests/tokens.h"

/* Cases of chat/ are lines for jsonl, so each is parsed as one: that tests both. Their "ids"
 * and "text" are the expected results and are taken out first. */
typedef struct chat_case {
    rs_buf line, text;
    rs_ids ids;
} chat_case;

static bool read_case(rs_pull *p, chat_case *c)
{
    rs_ids_free(&c->ids);
    rs_buf_reset(&c->line);
    rs_buf_reset(&c->text);
    rs_buf_putc(&c->line, '{');
    for (;;) {
        rs_pull_event e;
        if (rs_pull_next(p, &e, &t_err) != RS_OK) return false;
        if (e.kind == RS_PULL_OBJECT_END) break;
        bool ids = rs_pull_is(&e, "ids"), text = rs_pull_is(&e, "text");
        if (ids && !token_read_ids(p, &c->ids)) return false;
        if (text && !token_read_text(p, &c->text)) return false;
        if (ids || text) continue;
        rs_buf_printf(&c->line, "%s\"%.*s\":", c->line.len > 1 ? "," : "", (int)e.n,
                      e.text);
        if (rs_pull_next(p, &e, &t_err) != RS_OK) return false;
        if (rs_pull_copy(p, &e, 100000, &c->line, &t_err) != RS_OK) return false;
    }
    rs_buf_putc(&c->line, '}');
    return true;
}

static bool case_holds(const chat_case *c, const rs_line_options *o)
{
    rs_line l = {0};
    rs_ids whole = {0};
    bool ok = rs_line_parse(c->line.data, c->line.len, "case", o, &l, &t_err) == RS_OK;
    if (!ok) printf("  %s\n", t_err.msg);
    ok = ok && strcmp(rs_buf_str(&l.text), rs_buf_str(&c->text)) == 0;
    ok = ok && l.ids.n == c->ids.n &&
         memcmp(l.ids.at, c->ids.at, (size_t)l.ids.n * sizeof *l.ids.at) == 0;
    /* cut at the borders of answers or not: the same ids */
    ok = ok && rs_tokenize(o->tokenizer, l.text.data, l.text.len, false, &whole,
                           &t_err) == RS_OK;
    ok = ok && whole.n == l.ids.n &&
         memcmp(l.ids.at, whole.at, (size_t)whole.n * sizeof *whole.at) == 0;
    if (!ok) printf("  %s\n  got \"%s\"\n", rs_buf_str(&c->line), rs_buf_str(&l.text));
    rs_line_free(&l);
    rs_ids_free(&whole);
    return ok;
}

static int run_cases(const char *fixture, const rs_line_options *o, int *all)
{
    rs_pull *p = NULL;
    chat_case c = {0};
    int good = 0;
    *all = 0;
    if (!token_open_cases(fixture, &p)) return -1;
    for (;; ++*all) {
        rs_pull_event e;
        if (rs_pull_next(p, &e, &t_err) != RS_OK || e.kind != RS_PULL_OBJECT) break;
        if (!read_case(p, &c)) break;
        good += case_holds(&c, o);
    }
    rs_buf_free(&c.line);
    rs_buf_free(&c.text);
    rs_ids_free(&c.ids);
    rs_pull_close(p);
    return good;
}

static void sparring(void)
{
    rs_tokenizer *t;
    rs_line_options o = {0};
    int all;
    T_OK(rs_tokenizer_load("recipes/sparring/it", &t, &t_err));
    o.tokenizer = t;
    T_OK(rs_chat_detect("recipes/sparring/it", t, &o.chat, &t_err));
    T_STR(rs_chat_name(o.chat), "gemma4");
    int32_t stop[4];
    T_EQ(rs_chat_stop_ids(o.chat, t, stop), 1);
    T_EQ(stop[0], 9);
    int good = run_cases(t_golden("chat/sparring.json"), &o, &all);
    T_EQ(all, 7);
    T_EQ(good, 7);
    rs_tokenizer_free(t);
}

/* A published tokenizer and its template; the cases are golden, or the fixtures' own. */
static void published(const char *name, const char *cases, int n)
{
    char fixture[1024];
    const char *path = cases ? cases : t_shared("fixtures/chat/gemma3.json");
    if (!path) T_SKIP("no published tokenizers here");
    snprintf(fixture, sizeof fixture, "%s", path);
    const char *folder = token_published(name);
    if (!folder) T_SKIP("no published tokenizers here");
    rs_tokenizer *t;
    rs_line_options o = {0};
    int all;
    T_OK(rs_tokenizer_load(folder, &t, &t_err));
    o.tokenizer = t;
    T_OK(rs_chat_detect(folder, t, &o.chat, &t_err));
    T_STR(rs_chat_name(o.chat), name);
    int good = run_cases(fixture, &o, &all);
    T_EQ(all, n);
    T_EQ(good, n);
    rs_tokenizer_free(t);
    token_remove(folder);
}

static void gemma3(void)
{
    published("gemma3", NULL, 7);
}
/* Made once with transformers' apply_chat_template from the tokenizers' own templates. */
static void qwen3(void)
{
    published("qwen3", t_golden("chat/qwen3.json"), 10);
}
static void llama3(void)
{
    published("llama3", t_golden("chat/llama3.json"), 8);
}

static const char *render(const char *format, const rs_message *m, int n, bool generation)
{
    static rs_buf out;
    rs_buf_reset(&out);
    rs_status s = rs_chat_render(rs_chat_named(format), m, n, generation, &out, &t_err);
    return s == RS_OK ? rs_buf_str(&out) : t_err.msg;
}

static void thoughts_and_roles(void)
{
    const rs_message m[] = {
        {"developer", " be brief "},
        {"user", "\xe2\x80\x83hello\xc2\xa0"},
        {"model",
         "<|channel>thought\nhm<channel|> yes <|channel>more<channel|>.\n<|channel>x"},
        {"user", "and?"},
    };
    T_STR(render("gemma4", m, 4, true),
          "<bos><|turn>system\nbe brief<turn|>\n<|turn>user\nhello<turn|>\n"
          "<|turn>model\nyes .<turn|>\n<|turn>user\nand?<turn|>\n<|turn>model\n");
    T_STR(render("gemma4", m + 3, 1, false), "<bos><|turn>user\nand?<turn|>\n");
    T_STR(render("gemma3", m, 2, false),
          "<bos><start_of_turn>user\n be brief \n\nhello<end_of_turn>\n");
}

static void refused(void)
{
    const rs_message two[] = {{"user", "a"}, {"user", "b"}};
    const rs_message answers[] = {{"user", "a"}, {"assistant", "b"}, {"model", "c"}};
    const rs_message late[] = {{"user", "a"}, {"system", "b"}};
    const rs_message tool[] = {{"user", "a"}, {"tool", "b"}};
    T_TRUE(strstr(render("gemma3", two, 2, true),
                  "message 2 is the user's, but roles must"));
    T_TRUE(
        strstr(render("gemma3", answers + 1, 1, true), "message 1 is the assistant's"));
    T_TRUE(strstr(render("gemma3", late, 2, true), "message 2 is the system's"));
    T_TRUE(
        strstr(render("gemma3", late + 1, 1, true), "a system message and nothing else"));
    T_TRUE(strstr(render("gemma3", two, 0, true), "there is no message"));
    T_TRUE(strstr(render("gemma4", two, 0, true), "there is no message"));
    T_TRUE(strstr(render("gemma4", answers, 3, true),
                  "messages 2 and 3 are both the assist"));
    T_TRUE(strstr(render("gemma4", tool, 2, true), "message 2 has the role \"tool\""));
    T_TRUE(strncmp(render("gemma4", two, 2, true), "<bos>", 5) == 0);
    T_TRUE(rs_chat_named("gemma5") == NULL);
}

static rs_status detect_with(const char *file, const char *text, const rs_tokenizer *t,
                             const rs_chat_format **f)
{
    char path[128];
    const char *folder = t_folder();
    snprintf(path, sizeof path, "%s/%s", folder, file);
    rs_status s = rs_os_write_file(path, text, strlen(text), &t_err);
    if (s == RS_OK) s = rs_chat_detect(folder, t, f, &t_err);
    rs_err ignored;
    if (rs_os_remove_tree(folder, &ignored) != RS_OK) printf("%s\n", ignored.msg);
    return s;
}

static void recognition(void)
{
    static const char
        config[] = "tokenizer_config.json",
        list[] = "{\"chat_template\": [{\"name\":\"tool_use\",\"template\":\"x\"},"
                 "{\"template\":\"{{'<|turn>' + '<turn|>'}}\",\"name\":\"default\"}]}";
    rs_tokenizer *t;
    const rs_chat_format *f;
    T_OK(rs_tokenizer_load("recipes/sparring/it", &t, &t_err));
    T_OK(detect_with(config, list, t, &f));
    T_STR(rs_chat_name(f), "gemma4");
    T_OK(detect_with(config, "{\"a\":1,\"chat_template\":\"<|turn><turn|>\"}", t, &f));
    T_FAILS(detect_with(config, "{\"chat_template\":null}", t, &f), RS_E_UNSUPPORTED,
            "has no chat template; name a format (gemma2, gemma3");
    T_FAILS(detect_with("chat_template.jinja", "<|im_start|>", t, &f), RS_E_UNSUPPORTED,
            "is none that is known");
    /* Gemma 3's template, but a tokenizer that does not have its tokens */
    T_FAILS(detect_with("chat_template.jinja", "<start_of_turn><end_of_turn>", t, &f),
            RS_E_UNSUPPORTED, "is none that is known");
    T_FAILS(detect_with(config, "{\"chat_template\"}", t, &f), RS_E_FORMAT, "byte");
    T_OK(rs_chat_detect("recipes/sparring/it/model.safetensors", t, &f, &t_err));
    rs_tokenizer_free(t);
}

T_MAIN(T_TEST(sparring), T_TEST(gemma3), T_TEST(qwen3), T_TEST(llama3), T_TEST(thoughts_and_roles), T_TEST(refused),
       T_TEST(recognition))
