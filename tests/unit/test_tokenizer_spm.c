/* SentencePiece's tokenizers with a space before the text (Llama 2, Mistral), against golden
 * ids: of the sentencepiece library for the vocabulary inside a GGUF, of the tokenizers
 * library for five shapes of tokenizer.json, the first of which imports write. The
 * vocabulary was trained on sentences put together from short lists of words. */
#include "base/json.h"
#include "model/tokenizer.h"
#include "model/tokenizer_write.h"
#include "tests/gguf_build.h"
#include "tests/t.h"

enum { MAX_GOLDEN = 1 << 20 };

static rs_json *golden(void)
{
    rs_json *doc = NULL;
    rs_err err;
    rs_status s =
        rs_json_read_file(t_golden("tokenizer/spm.json"), MAX_GOLDEN, &doc, &err);
    return s == RS_OK ? doc : NULL;
}

static const rs_json *at(const rs_json *list, int i)
{
    const rs_json *e = rs_json_first(list);
    while (i-- > 0)
        e = rs_json_next(e);
    return e;
}

/* ---- the vocabulary as a GGUF ---- */

static void put_pieces(gguf_build *g, const rs_json *pieces)
{
    uint64_t n = (uint64_t)rs_json_count(pieces);
    gb_array(g, "tokenizer.ggml.tokens", RS_GGUF_STRING, n);
    for (const rs_json *p = rs_json_first(pieces); p; p = rs_json_next(p)) {
        const char *text = rs_json_string(at(p, 0));
        gb_text(&g->keys, text, strlen(text));
    }
    gb_array(g, "tokenizer.ggml.scores", RS_GGUF_F32, n);
    for (const rs_json *p = rs_json_first(pieces); p; p = rs_json_next(p)) {
        float score = (float)rs_json_number(at(p, 1));
        uint32_t bits;
        memcpy(&bits, &score, 4);
        gb_u32(&g->keys, bits);
    }
    gb_array(g, "tokenizer.ggml.token_type", RS_GGUF_I32, n);
    for (const rs_json *p = rs_json_first(pieces); p; p = rs_json_next(p))
        gb_u32(&g->keys, (uint32_t)rs_json_number(at(p, 2)));
}

static void make_gguf(const char *path, const rs_json *doc)
{
    gguf_build g = GGUF_BUILD;
    gb_string(&g, "general.architecture", "llama");
    gb_string(&g, "tokenizer.ggml.model", "llama");
    put_pieces(&g, rs_json_get(doc, "pieces"));
    gb_int(&g, "tokenizer.ggml.bos_token_id", 1);
    gb_int(&g, "tokenizer.ggml.unknown_token_id", 0);
    gb_save(&g, path); /* add_space_prefix is true where no key says */
}

/* ---- comparing ---- */

static void same_ids(const rs_tokenizer *t, const char *what, const char *text,
                     const rs_json *want)
{
    rs_ids ids = {0};
    T_OK(rs_tokenize(t, text, strlen(text), false, &ids, &t_err));
    bool same = ids.n == rs_json_count(want);
    const rs_json *e = rs_json_first(want);
    for (int64_t i = 0; same && i < ids.n; i++, e = rs_json_next(e))
        same = rs_json_number(e) == ids.at[i];
    if (!same) T_FAIL("%s: other ids for \"%s\"", what, text);
    rs_ids_free(&ids);
}

static void same_text(const rs_tokenizer *t, const char *what, const rs_json *ids,
                      bool skip, const char *want)
{
    rs_ids list = {0};
    rs_buf out = {0};
    rs_buf_puts(&out, "before");
    for (const rs_json *e = rs_json_first(ids); e; e = rs_json_next(e))
        T_TRUE(rs_ids_add(&list, (int32_t)rs_json_number(e)));
    T_OK(rs_detokenize(t, list.at, list.n, skip, &out, &t_err));
    if (strcmp(rs_buf_str(&out) + 6, want) != 0)
        T_FAIL("%s: \"%s\" came back as \"%s\"", what, want, rs_buf_str(&out) + 6);
    rs_buf_free(&out);
    rs_ids_free(&list);
}

static void all_cases(const rs_tokenizer *t, const char *what, const rs_json *doc)
{
    int n = 0;
    const rs_json *c = rs_json_first(rs_json_get(doc, "cases"));
    for (; c; c = rs_json_next(c), n++) {
        const rs_json *ids = rs_json_get(c, "ids");
        same_ids(t, what, rs_json_string(rs_json_get(c, "text")), ids);
        const char *back = rs_json_string(rs_json_get(c, "decoded"));
        if (back) same_text(t, what, ids, true, back);
    }
    T_EQ(n, 43);
}

/* ---- GGUF ---- */

static void scores(void)
{
    const char *folder = t_folder(), *path = in_folder(folder, "x.gguf");
    rs_json *doc = golden();
    rs_tokenizer *t;
    rs_ids ids = {0};
    T_TRUE(doc != NULL);
    make_gguf(path, doc);
    T_OK(rs_tokenizer_load(path, &t, &t_err));
    all_cases(t, "gguf", doc);
    T_OK(rs_tokenize(t, "", 0, true, &ids, &t_err)); /* no space before nothing */
    T_TRUE(ids.n == 1 && ids.at[0] == 1);
    T_TRUE(rs_tokenizer_is_special(t, 0) && rs_tokenizer_is_special(t, 2));
    rs_ids_free(&ids);
    rs_tokenizer_free(t);
    rs_json_free(doc);
    T_OK(rs_os_remove_tree(folder, &t_err));
}

/* What an import writes gives the same ids. */
static void written(void)
{
    const char *folder = t_folder(), *path = in_folder(folder, "x.gguf");
    rs_json *doc = golden();
    rs_tokenizer *t;
    rs_checkpoint *c;
    rs_buf json = {0}, config = {0};
    rs_ids ids = {0};
    make_gguf(path, doc);
    T_OK(rs_checkpoint_open(path, &c, &t_err));
    T_OK(rs_tokenizer_write_json(c, &json, &t_err));
    T_OK(rs_tokenizer_write_config(c, &config, &t_err));
    put_file(in_folder(folder, "tokenizer.json"), json.data, json.len);
    put_file(in_folder(folder, "tokenizer_config.json"), config.data, config.len);
    T_OK(rs_tokenizer_load(folder, &t, &t_err));
    all_cases(t, "written", doc);
    T_OK(rs_tokenize(t, "a", 1, true, &ids, &t_err));
    T_TRUE(ids.n == 2 && ids.at[0] == 1);
    rs_ids_free(&ids);
    rs_buf_free(&json);
    rs_buf_free(&config);
    rs_tokenizer_free(t);
    rs_checkpoint_close(c);
    rs_json_free(doc);
    T_OK(rs_os_remove_tree(folder, &t_err));
}

/* ---- shapes of tokenizer.json ---- */

static void put_value(rs_buf *out, const rs_json *v)
{
    bool array = rs_json_is_array(v), object = rs_json_is_object(v);
    const char *text = rs_json_string(v);
    if (text)
        rs_buf_json(out, text, strlen(text));
    else if (rs_json_is_number(v))
        rs_buf_json_double(out, rs_json_number(v));
    else if (!array && !object)
        rs_buf_puts(out, rs_json_is_null(v) ? "null"
                         : rs_json_true(v)  ? "true"
                                            : "false");
    if (!array && !object) return;
    rs_buf_putc(out, array ? '[' : '{');
    for (const rs_json *e = rs_json_first(v); e; e = rs_json_next(e)) {
        if (e != rs_json_first(v)) rs_buf_putc(out, ',');
        if (object) rs_buf_printf(out, "\"%s\":", rs_json_key(e));
        put_value(out, e);
    }
    rs_buf_putc(out, array ? ']' : '}');
}

/* parts, added tokens, and BPE of the golden pieces and merges */
static void put_tokenizer(rs_buf *out, const rs_json *doc, const rs_json *parts)
{
    const char *gap = "";
    int id = 0;
    rs_buf_puts(out, "{\"added_tokens\":[");
    const rs_json *p = rs_json_first(rs_json_get(doc, "pieces"));
    for (; p; p = rs_json_next(p), id++) {
        int type = (int)rs_json_number(at(p, 2));
        if (type == 1 || type == 6) continue;
        rs_buf_printf(out, "%s{\"id\":%d,\"special\":%s,\"content\":", gap, id,
                      type == 4 ? "false" : "true");
        put_value(out, at(p, 0));
        rs_buf_puts(out, "}");
        gap = ",";
    }
    rs_buf_puts(out, "]");
    for (const rs_json *m = rs_json_first(parts); m; m = rs_json_next(m)) {
        rs_buf_printf(out, ",\"%s\":", rs_json_key(m));
        put_value(out, m);
    }
    rs_buf_puts(out, ",\"model\":{\"type\":\"BPE\",\"byte_fallback\":true,\"vocab\":{");
    id = 0;
    for (p = rs_json_first(rs_json_get(doc, "pieces")); p; p = rs_json_next(p), id++) {
        if (id) rs_buf_puts(out, ",");
        put_value(out, at(p, 0));
        rs_buf_printf(out, ":%d", id);
    }
    rs_buf_puts(out, "},\"merges\":");
    put_value(out, rs_json_get(doc, "merges"));
    rs_buf_puts(out, "}}");
}

static void one_shape(const rs_json *doc, const rs_json *shape)
{
    const char *folder = t_folder(), *path = in_folder(folder, "tokenizer.json");
    const char *name = rs_json_string(rs_json_get(shape, "name"));
    rs_buf text = {0};
    rs_tokenizer *t;
    put_tokenizer(&text, doc, rs_json_get(shape, "parts"));
    put_file(path, text.data, text.len);
    T_OK(rs_tokenizer_load(path, &t, &t_err));
    const rs_json *c = rs_json_first(rs_json_get(doc, "cases"));
    const rs_json *k = rs_json_first(rs_json_get(shape, "cases"));
    for (; c; c = rs_json_next(c), k = rs_json_next(k)) {
        same_ids(t, name, rs_json_string(rs_json_get(c, "text")), at(k, 0));
        same_text(t, name, at(k, 0), true, rs_json_string(at(k, 1)));
        same_text(t, name, at(k, 0), false, rs_json_string(at(k, 2)));
    }
    rs_tokenizer_free(t);
    rs_buf_free(&text);
    T_OK(rs_os_remove_tree(folder, &t_err));
}

static void shapes(void)
{
    rs_json *doc = golden();
    int n = 0;
    const rs_json *s = rs_json_first(rs_json_get(doc, "shapes"));
    for (; s; s = rs_json_next(s), n++)
        one_shape(doc, s);
    T_EQ(n, 5);
    rs_json_free(doc);
}

/* ---- text that goes on ---- */

/* A text in two parts, cut where no merge reaches across, is the text. */
static void in_two_parts(const rs_tokenizer *t, const char *a, const char *b)
{
    char both[128];
    rs_ids whole = {0}, parts = {0};
    snprintf(both, sizeof both, "%s%s", a, b);
    T_OK(rs_tokenize(t, both, strlen(both), true, &whole, &t_err));
    T_OK(rs_tokenize(t, a, strlen(a), true, &parts, &t_err));
    T_OK(rs_tokenize_on(t, b, strlen(b), &parts, &t_err));
    if (whole.n != parts.n || memcmp(whole.at, parts.at, (size_t)whole.n * 4) != 0)
        T_FAIL("\"%s\" and \"%s\" are other ids in parts", a, b);
    rs_ids_free(&whole);
    rs_ids_free(&parts);
}

static void goes_on(void)
{
    rs_json *doc = golden();
    const rs_json *s = rs_json_first(rs_json_get(doc, "shapes"));
    for (; s; s = rs_json_next(s)) {
        const char *folder = t_folder(), *path = in_folder(folder, "tokenizer.json");
        rs_buf text = {0};
        rs_tokenizer *t;
        put_tokenizer(&text, doc, rs_json_get(s, "parts"));
        put_file(path, text.data, text.len);
        T_OK(rs_tokenizer_load(path, &t, &t_err));
        in_two_parts(t, "the model", " keeps");
        in_two_parts(t, "x", "\nthe model");
        in_two_parts(t, "[INST] a [/INST]", "the model</s>");
        in_two_parts(t, "<s>", "the model");
        rs_tokenizer_free(t);
        rs_buf_free(&text);
        T_OK(rs_os_remove_tree(folder, &t_err));
    }
    rs_json_free(doc);
}

/* ---- refusals ---- */

static void refusals(void)
{
    static const struct {
        const char *parts, *words;
    } cases[] = {
        {"{\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Prepend\","
         "\"prepend\":\"x\"},{\"type\":\"NFC\"}]}}",
         "the normalizer Sequence is not"},
        {"{\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"_\"}}",
         "without a normalizer"},
        {"{\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"\xe2\x96\x81\","
         "\"prepend_scheme\":\"sometimes\"}}",
         "prepend_scheme \"sometimes\""},
        {"{\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Prepend\","
         "\"prepend\":\"\xe2\x96\x81\"},{\"type\":\"Replace\",\"pattern\":{\"String\":"
         "\" \"},\"content\":\"\xe2\x96\x81\"}]},\"pre_tokenizer\":{\"type\":"
         "\"Metaspace\",\"replacement\":\"\xe2\x96\x81\"}}",
         "both put a space"},
        {"{\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"\xe2\x96\x81\"},"
         "\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\","
         "\"pattern\":{\"String\":\"\xe2\x96\x81\"},\"content\":\" \"},{\"type\":"
         "\"ByteFallback\"},{\"type\":\"Fuse\"},{\"type\":\"Strip\",\"content\":\" \","
         "\"start\":2,\"stop\":0}]}}",
         "the decoder Sequence is not"},
    };
    rs_json *doc = golden();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *folder = t_folder(), *path = in_folder(folder, "tokenizer.json");
        rs_buf text = {0};
        rs_json *parts;
        rs_tokenizer *t;
        T_OK(rs_json_parse(cases[i].parts, strlen(cases[i].parts), "x", &parts, &t_err));
        put_tokenizer(&text, doc, parts);
        put_file(path, text.data, text.len);
        T_FAILS(rs_tokenizer_load(path, &t, &t_err), RS_E_UNSUPPORTED, cases[i].words);
        rs_json_free(parts);
        rs_buf_free(&text);
        T_OK(rs_os_remove_tree(folder, &t_err));
    }
    rs_json_free(doc);
}

T_MAIN(T_TEST(scores), T_TEST(written), T_TEST(shapes), T_TEST(goes_on), T_TEST(refusals))
