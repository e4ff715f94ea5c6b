/* Lines of JSON as ids and masks. */
#include "base/os.h"
#include "model/jsonl.h"
#include "tests/t.h"

static rs_tokenizer *tokenizer(void)
{
    rs_tokenizer *t = NULL;
    if (rs_tokenizer_load("recipes/sparring/it", &t, &t_err) != RS_OK)
        printf("%s\n", t_err.msg);
    return t;
}

/* The ids that count, in square brackets, the others without: "2 8 [333] [9]". */
static const char *shown(const rs_line *l)
{
    static rs_buf out;
    rs_buf_reset(&out);
    for (int64_t i = 0; i < l->ids.n; i++)
        rs_buf_printf(&out, l->mask.data[i] ? "%s[%d]" : "%s%d", i ? " " : "",
                      (int)l->ids.at[i]);
    return rs_buf_str(&out);
}

static const char *parsed(const char *json, const rs_line_options *o)
{
    static rs_line l;
    if (rs_line_parse(json, strlen(json), "F, line 3", o, &l, &t_err) != RS_OK)
        return t_err.msg;
    return (int64_t)l.mask.len == l.ids.n ? shown(&l) : "mask and ids differ";
}

/* A system prompt for every conversation: as if it stood in the line. */
static void instead_of_its_own(void)
{
    static const char *const lines[][2] = {
        {"{\"prompt\":\"a\",\"system\":\"e\",\"response\":\"b\"}",
         "{\"prompt\":\"a\",\"system\":\"c\",\"response\":\"b\"}"},
        {"{\"prompt\":\"a\"}", "{\"prompt\":\"a\",\"system\":\"c\"}"},
        {"{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}",
         "{\"messages\":[{\"role\":\"system\",\"content\":\"c\"},"
         "{\"role\":\"user\",\"content\":\"a\"}]}"},
        {"{\"messages\":[{\"role\":\"system\",\"content\":\"e\"},"
         "{\"role\":\"user\",\"content\":\"a\"},"
         "{\"role\":\"assistant\",\"content\":\"b\"}]}",
         "{\"messages\":[{\"role\":\"system\",\"content\":\"c\"},"
         "{\"role\":\"user\",\"content\":\"a\"},"
         "{\"role\":\"assistant\",\"content\":\"b\"}]}"},
    };
    rs_line_options plain = {.tokenizer = tokenizer(), .chat = rs_chat_named("gemma4")};
    rs_line_options o = plain, none = plain;
    o.instead = "c";
    none.instead = "";
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        char want[400];
        snprintf(want, sizeof want, "%s", parsed(lines[i][1], &plain));
        T_TRUE(strstr(want, "339 345 444 567 266 323 9") != NULL); /* the turn of "c" */
        T_STR(parsed(lines[i][0], &o), want);
    }
    T_STR(parsed("{\"prompt\":\"a\",\"system\":\"e\"}", &none),
          "2 8 572 396 266 321 9 266 8 333 731 637 266");
    static const char *const no_place[] = {"{\"text\":\"a\"}", "{\"ids\":[5,6]}"};
    for (int i = 0; i < 2; i++)
        T_STR(
            parsed(no_place[i], &o),
            "F, line 3: only a conversation (\"prompt\" or \"messages\") has a place for "
            "a system prompt");
    o.raw = true;
    T_TRUE(strstr(parsed("{\"prompt\":\"a\"}", &o), "has a place") != NULL);
    rs_tokenizer_free((rs_tokenizer *)plain.tokenizer);
}

static void forms(void)
{
    rs_line_options o = {.tokenizer = tokenizer(), .chat = rs_chat_named("gemma4")};
    T_STR(parsed("{\"text\":\"a\"}", &o), "2 [321]");
    T_STR(parsed("{\"text\":\"\"}", &o), "2");
    T_STR(parsed("{\"text\":\"a\\u0000b\"}", &o), "2 [321] [10] [322]");
    T_STR(parsed("{\"ids\":[5,6,7]}", &o), "5 [6] [7]");
    T_STR(parsed("{\"mask\":[1,0,true],\"ids\":[5,6,7]}", &o), "5 6 [7]");
    T_STR(parsed("{\"ids\":[]}", &o), "");
    const char *user = "2 8 572 396 266 321 9 266 8 333 731 637 266";
    T_STR(parsed("{\"prompt\":\"a\"}", &o), user);
    T_STR(
        parsed("{\"user\":\" a \",\"system\":\"\",\"response\":null,\"genre\":[{}]}", &o),
        user);
    T_STR(parsed("{\"messages\":[{\"role\":\"user\",\"content\":\"a\",\"n\":{}}]}", &o),
          user);
    T_STR(parsed("{\"prompt\":\"a\",\"add_generation_prompt\":false}", &o),
          "2 8 572 396 266 321 9 266");
    T_STR(parsed("{\"prompt\":\"a\",\"response\":\"b\"}", &o),
          "2 8 572 396 266 321 9 266 8 333 731 637 266 [322] [9] 266");
    T_STR(parsed("{\"prompt\":\"a\",\"response\":\"b\",\"add_generation_prompt\":true}",
                 &o),
          "2 8 572 396 266 321 9 266 8 333 731 637 266 [322] [9] 266 8 333 731 637 266");
    o.system = "c";
    T_STR(parsed("{\"prompt\":\"a\",\"add_generation_prompt\":false}", &o),
          "2 8 339 345 444 567 266 323 9 266 8 572 396 266 321 9 266");
    o.raw = true;
    T_STR(parsed("{\"prompt\":\"a\"}", &o), "2 [321]");
    T_STR(parsed("{\"prompt\":\"a\",\"response\":\"b\"}", &o), "2 321 [322]");
    o.no_special = true;
    T_STR(parsed("{\"prompt\":\"a\\nb\"}", &o), "321 [266] [322]");
    rs_tokenizer_free((rs_tokenizer *)o.tokenizer);
}

static void refused(void)
{
    rs_line_options o = {.tokenizer = tokenizer(), .chat = rs_chat_named("gemma3")};
    static const struct {
        const char *json, *words;
    } rows[] = {
        {"{}", "F, line 3: a line needs one of"},
        {"{\"text\":\"a\",\"ids\":[1]}", "F, line 3: a line needs only one of"},
        {"{\"text\":5}", "F, line 3, byte 9: \"text\" is not a string"},
        {"{\"text\":\"a\",\"mask\":[1]}", "a \"mask\" belongs to \"ids\""},
        {"{\"ids\":[4096]}", "an id is 4096, outside of 0 to 4095"},
        {"{\"ids\":[1,2],\"mask\":[1]}", "there are 2 ids and 1 entries"},
        {"{\"ids\":[1],\"mask\":[2]}", "is 2, outside of 0 to 1"},
        {"{\"ids\":[\"a\"]}", "an id is not a whole number"},
        {"{\"prompt\":\"a\\u0000\"}", "contains a zero byte"},
        {"{\"messages\":[{\"role\":\"user\"}]}", "message 1 has no \"role\" or no"},
        {"{\"messages\":[{\"role\":\"user\",\"content\":[]}]}",
         "\"content\" is not a string"},
        {"{\"messages\":[]}", "there is no message"},
        {"{\"messages\":[{\"role\":\"assistant\",\"content\":\"a\"}]}",
         "roles must alternate"},
        {"{\"prompt\":\"a\",\"add_generation_prompt\":1}", "is not true or false"},
        {"[1]", "an object was expected"},
        {"{\"text\":\"a\"} {}", "text after the end"},
        {"{\"text\":\"a\"", "F, line 3, byte"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *got = parsed(rows[i].json, &o);
        if (!strstr(got, rows[i].words)) T_FAIL("%s: %s", rows[i].json, got);
    }
    o.chat = NULL;
    T_TRUE(strstr(parsed("{\"prompt\":\"a\"}", &o), "needs a chat format"));
    rs_tokenizer_free((rs_tokenizer *)o.tokenizer);
    o.tokenizer = NULL;
    T_TRUE(strstr(parsed("{\"text\":\"a\"}", &o), "only \"ids\""));
    T_STR(parsed("{\"ids\":[70000]}", &o), "70000");
}

static void labels_and_prompts(void)
{
    rs_line_options o = {.tokenizer = tokenizer(), .chat = rs_chat_named("gemma4")};
    rs_line l = {0};
    static const char json[] =
        "{\"key\":[1,\"x\"],\"messages\":[{\"role\":\"user\",\"content\":\"one\"},"
        "{\"role\":\"assistant\",\"content\":\"b\"},{\"role\":\"user\",\"content\":"
        "\"two\"}]}";
    T_OK(rs_line_parse(json, sizeof json - 1, "x", &o, &l, &t_err));
    T_STR(rs_buf_str(&l.label), "[1,\"x\"]");
    T_STR(rs_buf_str(&l.prompt), "two");
    T_EQ(l.form, RS_LINE_MESSAGES);
    T_EQ(l.n_counted, 2); /* "b" and the end of its turn */
    T_OK(rs_line_from_prompt("a", 1, &o, &l, &t_err));
    T_STR(rs_buf_str(&l.text), "<bos><|turn>user\na<turn|>\n<|turn>model\n");
    T_OK(rs_line_from_text("a", 1, &o, &l, &t_err));
    T_STR(shown(&l), "2 [321]");
    rs_line_free(&l);
    rs_tokenizer_free((rs_tokenizer *)o.tokenizer);
}

/* Lines of all lengths up to some read buffers, empty ones between, none at the end. */
static void files(void)
{
    rs_buf file = {0};
    char path[128], where[160];
    const char *folder = t_folder();
    snprintf(path, sizeof path, "%s/lines.jsonl", folder);
    for (int i = 0; i < 40; i++) {
        rs_buf_printf(&file, "%s{\"ids\":[%d", i % 7 ? "" : " \r\n\n", i);
        for (int k = 0; k < i * i * 20; k++)
            rs_buf_puts(&file, ",1000");
        rs_buf_puts(&file, i == 39 ? "]}" : "]}\n");
    }
    T_OK(rs_os_write_file(path, file.data, file.len, &t_err));
    rs_lines *l;
    rs_line line = {0};
    rs_line_options o = {0};
    bool done;
    T_OK(rs_lines_open(path, &l, &t_err));
    for (int i = 0; i < 40; i++) {
        T_OK(rs_lines_parse(l, &o, &line, &done, &t_err));
        T_TRUE(!done);
        T_EQ(line.ids.at[0], i);
        T_EQ(line.ids.n, 1 + i * i * 20);
        snprintf(where, sizeof where, "%s, line %d", path, i + 1 + 2 * (i / 7 + 1));
        T_STR(rs_lines_where(l), where);
    }
    T_OK(rs_lines_parse(l, &o, &line, &done, &t_err));
    T_TRUE(done);
    rs_lines_close(l);
    rs_line_free(&line);
    T_FAILS(rs_lines_open("no/such.jsonl", &l, &t_err), RS_E_NOT_FOUND, "no/such.jsonl");
    T_OK(rs_os_remove_tree(folder, &t_err));
    rs_buf_free(&file);
}

T_MAIN(T_TEST(instead_of_its_own), T_TEST(forms), T_TEST(refused),
       T_TEST(labels_and_prompts), T_TEST(files))
