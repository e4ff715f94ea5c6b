/* When text may be shown: whole characters, stop strings held back. No model needed. */
#include "tests/t.h"
#include "model/generate_text.h"

static rs_tokenizer *tokenizer(void)
{
    rs_tokenizer *t = NULL;
    if (rs_tokenizer_load("recipes/sparring/it", &t, &t_err) != RS_OK)
        printf("%s\n", t_err.msg);
    return t;
}

/* What is shown token by token, bars between, for the ids of a text: "th|e |..."; at the end
 * "#" if it ended by itself and "!" if a stop string ended it. */
static const char *shown(const int32_t *ids, int64_t n, const char *const *stop,
                         int n_stop)
{
    static rs_buf out;
    rs_tokenizer *t = tokenizer();
    rs_text_flow f;
    size_t before = 0;
    bool cut = false, ready = rs_text_flow_init(&f, stop, n_stop, &t_err) == RS_OK;
    rs_buf_reset(&out);
    if (!ready) rs_buf_puts(&out, t_err.msg);
    for (int64_t i = 0; ready && i < n && !cut; i++) {
        cut = rs_text_flow_add(&f, t, ids[i]);
        rs_buf_add(&out, rs_buf_str(&f.text) + before, f.shown - before);
        rs_buf_putc(&out, '|');
        before = f.shown;
    }
    if (ready && !cut) cut = rs_text_flow_end(&f);
    rs_buf_add(&out, rs_buf_str(&f.text) + before, f.shown - before);
    rs_buf_putc(&out, cut ? '!' : '#');
    rs_text_flow_free(&f);
    rs_tokenizer_free(t);
    return rs_buf_str(&out);
}

static const char *shown_text(const char *text, const char *stop)
{
    rs_tokenizer *t = tokenizer();
    rs_ids ids = {0};
    if (rs_tokenize(t, text, strlen(text), false, &ids, &t_err) != RS_OK)
        return t_err.msg;
    const char *out = shown(ids.at, ids.n, &stop, stop != NULL);
    rs_ids_free(&ids);
    rs_tokenizer_free(t);
    return out;
}

static void characters(void)
{
    T_STR(shown_text("a\nb", NULL), "a|\n|b|#");
    T_STR(shown_text("🙂x", NULL), "|||🙂|x|#");
    T_STR(shown_text("<bos>a<turn|>", NULL), "|a||#");
    const int32_t broken[] = {10 + 0xf0, 10 + 0x9f, 321, 10 + 0x80, 10 + 0xc3};
    T_STR(shown(broken, 5, NULL, 0), "||\xef\xbf\xbd\xef\xbf\xbd"
                                     "a|||"
                                     "\xef\xbf\xbd\xef\xbf\xbd#");
}

static void stop_strings(void)
{
    T_STR(shown_text("a\nb", "\n"), "a||!");
    T_STR(shown_text("a\n\nb", "\n\n"), "a|||!");
    T_STR(shown_text("a\nb\nc", "\n\n"), "a||\nb||\nc|#");
    T_STR(shown_text("a\n", "\n\n"), "a||\n#");
    T_STR(shown_text("a🙂b", "🙂"),
          "a|||||!"); /* ends with the character's last byte */
    const char *two[] = {"b", "a\nb"};
    rs_tokenizer *t = tokenizer();
    rs_ids ids = {0};
    T_OK(rs_tokenize(t, "a\nb", 3, false, &ids, &t_err));
    T_STR(shown(ids.at, ids.n, two, 2), "|||!"); /* the one that begins first */
    T_STR(shown(ids.at, ids.n, two, 1), "a|\n||!");
    const char *empty[] = {"x", ""};
    T_TRUE(strstr(shown(ids.at, ids.n, empty, 2), "a stop string is empty"));
    rs_ids_free(&ids);
    rs_tokenizer_free(t);
}

T_MAIN(T_TEST(characters), T_TEST(stop_strings))
