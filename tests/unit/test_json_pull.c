/* The streaming JSON reader: what it accepts, what it refuses, chunk borders, limits. */
#include "base/json_pull.h"
#include "base/os.h"
#include "tests/t.h"

/* The events of a text in one line: "{ k"a" n1 ]" and so on; the error's words at the end. */
static const char *events_of(rs_pull *p)
{
    static rs_buf out;
    static const char plain[] = ".{}[]";
    rs_buf_reset(&out);
    for (;;) {
        rs_pull_event e;
        if (rs_pull_next(p, &e, &t_err) != RS_OK) {
            rs_buf_puts(&out, "error");
            break;
        }
        if (e.kind <= RS_PULL_ARRAY_END)
            rs_buf_putc(&out, plain[e.kind]);
        else
            rs_buf_printf(&out, "%c<%.*s>", " ksntfz"[e.kind - RS_PULL_ARRAY_END],
                          (int)e.n, e.text);
        if (e.kind == RS_PULL_END) break;
    }
    return rs_buf_str(&out);
}

static const char *events(const char *text)
{
    rs_pull *p;
    if (rs_pull_memory(text, strlen(text), "text", &p, &t_err) != RS_OK)
        return "no memory";
    const char *line = events_of(p);
    rs_pull_close(p);
    return line;
}

static void values(void)
{
    T_STR(events("{}"), "{}.");
    T_STR(events(" [ ] \n"), "[].");
    T_STR(events("{\"a\":[1,-2.5e3,\"x\"],\"b\" : {\"c\":null}}"),
          "{k<a>[n<1>n<-2.5e3>s<x>]k<b>{k<c>z<null>}}.");
    T_STR(events("[true,false,0,0.5,1E+2]"), "[t<true>f<false>n<0>n<0.5>n<1E+2>].");
    T_STR(events("\"\\u00e9\\ud83d\\ude42\\n\\\\\\\"\\/\""), "s<é🙂\n\\\"/>.");
    T_STR(events("7"), "n<7>.");
}

static void refused(void)
{
    static const char *const texts[] = {"",
                                        "{",
                                        "[1",
                                        "[1,]",
                                        "{\"a\"}",
                                        "{\"a\":}",
                                        "{a:1}",
                                        "[1 2]",
                                        "[1}",
                                        "01",
                                        "1.",
                                        ".5",
                                        "1e",
                                        "-",
                                        "+1",
                                        "nul",
                                        "truex",
                                        "\"a",
                                        "\"\\x\"",
                                        "\"\\u12\"",
                                        "\"\\ud800\"",
                                        "\"\\udc00x\"",
                                        "\"\t\"",
                                        "\"\\\"",
                                        "\"\\ud800\\u0041\"",
                                        "\"\xff\"",
                                        "{} 1",
                                        "{\"a\":1,}",
                                        "]",
                                        "{\"a\" 1}",
                                        "[1,,2]",
                                        "\"\xc0\x80\"",
                                        "{1:2}",
                                        "NaN",
                                        "[1]]"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const char *line = events(texts[i]);
        if (!strstr(line, "error")) T_FAIL("%s was accepted: %s", texts[i], line);
        if (!strstr(t_err.msg, "text, byte ")) T_FAIL("%s: %s", texts[i], t_err.msg);
    }
}

static void zeros(void)
{
    rs_pull *p;
    rs_pull_event e;
    T_OK(rs_pull_memory("\"a\\u0000b\"", 10, "text", &p, &t_err));
    T_OK(rs_pull_need(p, RS_PULL_STRING, &e, &t_err));
    T_EQ(e.n, 3);
    T_TRUE(memcmp(e.text, "a\0b", 3) == 0);
    rs_pull_close(p);
    T_OK(rs_pull_memory("[\0]", 3, "text", &p, &t_err));
    T_STR(events_of(p), "[error");
    rs_pull_close(p);
}

static void depth(void)
{
    rs_buf b = {0};
    for (int i = 0; i < RS_PULL_MAX_DEPTH; i++)
        rs_buf_putc(&b, '[');
    rs_buf deeper = {0};
    rs_buf_printf(&deeper, "%s[", rs_buf_str(&b));
    for (int i = 0; i < RS_PULL_MAX_DEPTH; i++)
        rs_buf_putc(&b, ']');
    T_TRUE(!strstr(events(rs_buf_str(&b)), "error"));
    T_TRUE(strstr(events(rs_buf_str(&deeper)), "error") &&
           strstr(t_err.msg, "64 levels"));
    rs_buf_free(&b);
    rs_buf_free(&deeper);
}

/* Strings of all lengths, plain and escaped, so that every kind of place meets a chunk's
 * border; the file is some chunks long. */
static void chunks(void)
{
    rs_buf file = {0};
    char path[128];
    const char *folder = t_folder();
    snprintf(path, sizeof path, "%s/f.json", folder);
    rs_buf_puts(&file, "[");
    for (int i = 0; i < 1500; i++) {
        rs_buf_printf(&file, "%s{\"k%d\": \"", i ? ",  " : "", i);
        for (int k = 0; k < i; k++)
            rs_buf_puts(&file, k % 5 ? "x" : "\\u00e9\\\\");
        rs_buf_printf(&file, "\", \"n\": %d.5e-3}", i);
    }
    rs_buf_puts(&file, "]");
    T_OK(rs_os_write_file(path, file.data, file.len, &t_err));
    rs_pull *p;
    rs_pull_event e;
    T_OK(rs_pull_open(path, file.len, &p, &t_err));
    T_OK(rs_pull_need(p, RS_PULL_ARRAY, &e, &t_err));
    for (int i = 0; i < 1500; i++) {
        char key[32];
        T_OK(rs_pull_need(p, RS_PULL_OBJECT, &e, &t_err));
        T_OK(rs_pull_need(p, RS_PULL_KEY, &e, &t_err));
        snprintf(key, sizeof key, "k%d", i);
        T_TRUE(rs_pull_is(&e, key));
        T_OK(rs_pull_need(p, RS_PULL_STRING, &e, &t_err));
        T_EQ(e.n, i + 2 * ((i + 4) / 5));
        T_OK(rs_pull_need(p, RS_PULL_KEY, &e, &t_err));
        T_OK(rs_pull_need(p, RS_PULL_NUMBER, &e, &t_err));
        snprintf(key, sizeof key, "%d.5e-3", i);
        T_TRUE(rs_pull_is(&e, key));
        T_OK(rs_pull_need(p, RS_PULL_OBJECT_END, &e, &t_err));
    }
    T_OK(rs_pull_need(p, RS_PULL_ARRAY_END, &e, &t_err));
    T_OK(rs_pull_need(p, RS_PULL_END, &e, &t_err));
    rs_pull_close(p);
    T_FAILS(rs_pull_open(path, file.len - 1, &p, &t_err), RS_E_FORMAT,
            "are accepted here");
    T_OK(rs_os_remove_tree(folder, &t_err));
    rs_buf_free(&file);
}

static void skip_and_copy(void)
{
    static const char text[] = "[{\"a\":[1,{\"b\":\"x\\ny\"}],\"c\":{}},[],true,\"z\",9]";
    rs_pull *p;
    rs_pull_event e;
    rs_buf out = {0};
    for (int copy = 0; copy < 2; copy++) {
        T_OK(rs_pull_memory(text, sizeof text - 1, "text", &p, &t_err));
        T_OK(rs_pull_need(p, RS_PULL_ARRAY, &e, &t_err));
        for (int i = 0; i < 4; i++) {
            T_OK(rs_pull_next(p, &e, &t_err));
            if (copy)
                T_OK(rs_pull_copy(p, &e, 100, &out, &t_err));
            else
                T_OK(rs_pull_skip(p, &e, &t_err));
        }
        int64_t v;
        T_OK(rs_pull_next(p, &e, &t_err));
        T_OK(rs_pull_int(p, &e, 0, 9, "the number", &v, &t_err));
        T_EQ(v, 9);
        T_FAILS(rs_pull_int(p, &e, 0, 8, "the number", &v, &t_err), RS_E_FORMAT,
                "the number is 9, outside of 0 to 8");
        rs_pull_close(p);
    }
    T_STR(rs_buf_str(&out), "{\"a\":[1,{\"b\":\"x\\ny\"}],\"c\":{}}[]true\"z\"");
    T_OK(rs_pull_memory(text, sizeof text - 1, "text", &p, &t_err));
    T_OK(rs_pull_next(p, &e, &t_err));
    T_FAILS(rs_pull_copy(p, &e, 10, &out, &t_err), RS_E_FORMAT, "more than 10 bytes");
    T_FAILS(rs_pull_next(p, &e, &t_err), RS_E_FORMAT, "more than 10 bytes"); /* sticky */
    rs_pull_close(p);
    rs_buf_free(&out);
}

T_MAIN(T_TEST(values), T_TEST(refused), T_TEST(zeros), T_TEST(depth), T_TEST(chunks),
       T_TEST(skip_and_copy))
