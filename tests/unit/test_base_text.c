/* utf8, json, status */
#include "tests/t.h"
#include "base/json.h"
#include "base/utf8.h"
#include "tests/files.h"

#include <errno.h>

static void utf8_takes_every_character(void)
{
    for (uint32_t cp = 0; cp <= 0x10ffff; cp++) {
        if (cp >= 0xd800 && cp <= 0xdfff) continue;
        char s[4];
        uint32_t back = 0;
        int n = rs_utf8_encode(cp, s);
        T_EQ(n, cp < 0x80 ? 1 : cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4);
        T_EQ(rs_utf8_decode(s, (size_t)n, &back), n);
        T_EQ(back, cp);
        for (int cut = 1; cut < n; cut++) {
            T_EQ(rs_utf8_decode(s, (size_t)cut, &back), 0);
            T_EQ(rs_utf8_incomplete_tail(s, (size_t)cut), cut);
        }
        T_EQ(rs_utf8_incomplete_tail(s, (size_t)n), 0);
    }
}

static void utf8_refuses_the_rest(void)
{
    static const char *const bad[] = {
        "\x80",
        "\xbf",
        "\xc0\x80",
        "\xc1\xbf",
        "\xc3\x28",
        "\xe0\x80\x80",
        "\xe0\x9f\xbf",
        "\xed\xa0\x80",
        "\xed\xbf\xbf",
        "\xf0\x80\x80\x80",
        "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80",
        "\xff",
        "\xfe",
        "\xe2\x82",
        "\xf0\x9f\x98",
    };
    uint32_t cp;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        T_EQ(rs_utf8_decode(bad[i], strlen(bad[i]), &cp), 0);
        T_TRUE(!rs_utf8_valid(bad[i], strlen(bad[i])));
    }
    T_EQ(rs_utf8_decode("", 0, &cp), 0);
    T_TRUE(rs_utf8_valid("", 0));
    T_TRUE(rs_utf8_valid("gr\xc3\xbc\xc3\x9f dich \xf0\x9f\x98\x80", 16));
}

static void utf8_cleans_what_terminals_obey(void)
{
    char s[] = "a\x1b[31mb\x7f\xc2\x9b"
               "c\xe2\x80\xae"
               "d\xff\xc3\xa4\xe2\x82";
    rs_utf8_clean(s);
    T_STR(s, "a?[31mb???c???d?\xc3\xa4??");
}

static void status_writes_sentences(void)
{
    rs_err e;
    T_EQ(rs_fail(&e, RS_E_FORMAT, "tensor %s has %d", "a\nb\x1b[2J", 3), RS_E_FORMAT);
    T_STR(e.msg, "tensor a?b?[2J has 3");
    T_EQ(rs_err_prefix(&e, "in %s", "x"), RS_E_FORMAT);
    T_STR(e.msg, "in x: tensor a?b?[2J has 3");
    T_EQ(rs_fail_errno(&e, ENOENT, "open %s", "y"), RS_E_NOT_FOUND);
    T_STR(e.msg, "open y: No such file or directory");
    T_EQ(rs_fail_errno(&e, ENOSPC, "write"), RS_E_IO);
    T_EQ(rs_fail_errno(&e, ENOMEM, "write"), RS_E_NOMEM);
    T_EQ(rs_fail(NULL, RS_E_IO, "nobody listens"), RS_E_IO);
    T_STR(rs_status_name(RS_E_NOT_FOUND), "not found");
    T_STR(rs_status_name((rs_status)999), "unknown");
}

static void status_cuts_long_sentences_cleanly(void)
{
    rs_err e;
    char name[2000];
    for (size_t i = 0; i + 2 < sizeof name; i += 3)
        memcpy(name + i, "\xe2\x82\xac", 3);
    name[1998] = 0;
    rs_fail_errno(&e, ENOSPC, "write %s", name);
    T_TRUE(strstr(e.msg, ": No space left on device") != NULL);
    T_TRUE(rs_utf8_valid(e.msg, strlen(e.msg)));
    rs_fail(&e, RS_E_FORMAT, "x%s", name);
    T_TRUE(rs_utf8_valid(e.msg, strlen(e.msg)) && strchr(e.msg, '?') == NULL);
}

static rs_json *parsed(const char *text)
{
    rs_json *v = NULL;
    if (rs_json_parse(text, strlen(text), "t", &v, &t_err) != RS_OK) return NULL;
    return v;
}

static void json_reads_values(void)
{
    rs_json *v =
        parsed(" {\"a\": [1, -2.5, true, null], \"A\": \"\\u00e4\\n\", \"n\": 9e15} \n");
    T_TRUE(v && rs_json_is_object(v));
    T_EQ(rs_json_count(v), 3);
    const rs_json *a = rs_json_get(v, "a");
    T_TRUE(rs_json_is_array(a));
    T_EQ(rs_json_count(a), 4);
    const rs_json *e = rs_json_first(a);
    T_TRUE(rs_json_number(e) == 1);
    e = rs_json_next(e);
    T_TRUE(rs_json_number(e) == -2.5);
    e = rs_json_next(e);
    T_TRUE(rs_json_is_bool(e) && rs_json_true(e));
    e = rs_json_next(e);
    T_TRUE(rs_json_is_null(e) && !rs_json_next(e));
    T_STR(rs_json_string(rs_json_get(v, "A")), "\xc3\xa4\n");
    T_STR(rs_json_key(rs_json_first(v)), "a");
    T_TRUE(rs_json_get(v, "b") == NULL && rs_json_is_null(NULL));
    rs_json_free(v);
}

static void json_refuses(void)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"", "not JSON"},
        {"{\"a\":}", "line 1, column"},
        {"{\n\"a\": 1,\n oops}", "line 3"},
        {"{\"a\":1} x", "text after the end"},
        {"{\"a\":1,\"a\":2}", "the key \"a\" twice"},
        {"[{\"b\":{\"a\":1,\"a\":2}}]", "the key \"a\" twice"},
        {"[\"a\tb\"]", "control character"},
        {"[\"\\u0000\"]", "a zero character"},
        {"[\"\xff\"]", "not valid UTF-8"},
        {"[\"\\ud800\"]", "not JSON"},
        {"[1,2", "not JSON"},
    };
    rs_json *v = NULL;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        T_FAILS(rs_json_parse(cases[i].text, strlen(cases[i].text), "t.json", &v, &t_err),
                RS_E_FORMAT, cases[i].says);
    T_FAILS(rs_json_parse("[\0]", 3, "t", &v, &t_err), RS_E_FORMAT, "zero byte");
    T_TRUE(v == NULL);
}

static void json_limits_depth(void)
{
    char text[200000];
    rs_json *v = NULL;
    memset(text, '[', sizeof text);
    T_FAILS(rs_json_parse(text, sizeof text, "deep", &v, &t_err), RS_E_FORMAT,
            "deeper than 64");
    memset(text + 64, ']', 64);
    T_OK(rs_json_parse(text, 128, "deep", &v, &t_err));
    rs_json_free(v);
    const char *fine = "[\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["
                       "[[[[[[[\\\"[\"]";
    T_OK(rs_json_parse(fine, strlen(fine), "deep", &v, &t_err));
    rs_json_free(v);
}

static void json_checks_types(void)
{
    rs_json *v = parsed("{\"i\":7,\"big\":9007199254740993,\"f\":1.5,\"s\":\"x\",\"b\":"
                        "false,\"z\":null}");
    int64_t i = -1;
    double d = -1;
    bool b = true;
    const char *s = NULL;
    T_OK(rs_json_opt_int(v, "i", 0, 10, "w", &i, &t_err));
    T_EQ(i, 7);
    T_OK(rs_json_opt_int(v, "absent", 0, 10, "w", &i, &t_err));
    T_OK(rs_json_opt_int(v, "z", 0, 10, "w", &i, &t_err));
    T_EQ(i, 7);
    T_FAILS(rs_json_opt_int(v, "i", 8, 10, "w", &i, &t_err), RS_E_FORMAT,
            "i is 7, outside");
    T_FAILS(rs_json_opt_int(v, "f", 0, 10, "w", &i, &t_err), RS_E_FORMAT,
            "not a whole number");
    T_FAILS(rs_json_opt_int(v, "s", 0, 10, "w", &i, &t_err), RS_E_FORMAT, "w: ");
    T_OK(rs_json_opt_double(v, "f", "w", &d, &t_err));
    T_TRUE(d == 1.5);
    T_FAILS(rs_json_opt_double(v, "b", "w", &d, &t_err), RS_E_FORMAT, "finite number");
    T_OK(rs_json_opt_bool(v, "b", "w", &b, &t_err));
    T_TRUE(!b);
    T_FAILS(rs_json_opt_bool(v, "i", "w", &b, &t_err), RS_E_FORMAT, "true or false");
    T_OK(rs_json_opt_string(v, "s", "w", &s, &t_err));
    T_STR(s, "x");
    T_FAILS(rs_json_opt_string(v, "i", "w", &s, &t_err), RS_E_FORMAT, "not a string");
    rs_json_free(v);
}

static void json_reads_files(void)
{
    const char *dir = t_folder();
    rs_json *v = NULL;
    put_text(in_folder(dir, "a.json"), "{\"x\": 3}");
    T_OK(rs_json_read_file(in_folder(dir, "a.json"), 100, &v, &t_err));
    T_TRUE(rs_json_number(rs_json_get(v, "x")) == 3);
    rs_json_free(v);
    T_FAILS(rs_json_read_file(in_folder(dir, "a.json"), 5, &v, &t_err), RS_E_FORMAT,
            "at most 5 are accepted");
    T_FAILS(rs_json_read_file(in_folder(dir, "b.json"), 5, &v, &t_err), RS_E_NOT_FOUND,
            "b.json: No such file");
}

T_MAIN(T_TEST(utf8_takes_every_character), T_TEST(utf8_refuses_the_rest),
       T_TEST(utf8_cleans_what_terminals_obey), T_TEST(status_writes_sentences),
       T_TEST(status_cuts_long_sentences_cleanly), T_TEST(json_reads_values),
       T_TEST(json_refuses), T_TEST(json_limits_depth), T_TEST(json_checks_types),
       T_TEST(json_reads_files))
