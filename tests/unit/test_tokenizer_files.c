/* What a tokenizer.json may say and what is refused, and in which words; the tokenizer of a
 * GGUF against that of tokenizer.json. */
#include "base/os.h"
#include "tests/tokens.h"

#include <unistd.h>

/* A small tokenizer of Gemma's shape: 4 control tokens, 256 bytes, some pieces. */
static const char *const parts[] = {
    "\"version\": \"1.0\", \"truncation\": null, \"padding\": null",
    "\"added_tokens\": [{\"id\":0,\"content\":\"<pad>\",\"special\":true},"
    "{\"id\":1,\"content\":\"<eos>\",\"special\":true},"
    "{\"id\":2,\"content\":\"<bos>\",\"special\":true,\"normalized\":false}]",
    "\"normalizer\": {\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},"
    "\"content\":\"\\u2581\"}",
    "\"pre_tokenizer\": {\"type\":\"Split\",\"pattern\":{\"String\":\" \"},"
    "\"behavior\":\"MergedWithPrevious\",\"invert\":false}",
    "\"post_processor\": {\"type\":\"TemplateProcessing\",\"single\":["
    "{\"SpecialToken\":{\"id\":\"<bos>\",\"type_id\":0}},"
    "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}],\"pair\":[],"
    "\"special_tokens\":{\"<bos>\":{\"id\":\"<bos>\",\"ids\":[2],\"tokens\":[\"<bos>\"]}}"
    "}",
    "\"decoder\": {\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\","
    "\"pattern\":{\"String\":\"\xe2\x96\x81\"},\"content\":\" \"},"
    "{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"}]}",
};

static void add_vocab(rs_buf *b)
{
    rs_buf_puts(b, "\"vocab\": {\"<pad>\": 0, \"<eos>\": 1, \"<bos>\": 2, \"<unk>\": 3");
    for (int i = 0; i < 256; i++)
        rs_buf_printf(b, ", \"<0x%02X>\": %d", i, 4 + i);
    static const char *const more[] = {"a",  "b",  "c",   "\xe2\x96\x81",
                                       "ab", "bc", "abc", "\xe2\x96\x81\x61"};
    for (int i = 0; i < 8; i++)
        rs_buf_printf(b, ", \"%s\": %d", more[i], 260 + i);
    rs_buf_puts(b, "}");
}

/* The whole file, with part i replaced (i < 0: none); vocab_last: merges come first. */
static void add_json(rs_buf *b, int i, const char *instead, const char *model,
                     const char *merges, bool vocab_last)
{
    rs_buf_puts(b, "{");
    for (int k = 0; k < 6; k++) {
        const char *part = k == i ? instead : parts[k];
        if (part[0]) rs_buf_printf(b, "%s,\n", part);
    }
    rs_buf_printf(b, "\"model\": {%s,", model);
    if (vocab_last) rs_buf_printf(b, "\"merges\": %s,", merges);
    add_vocab(b);
    if (!vocab_last) rs_buf_printf(b, ",\"merges\": %s", merges);
    rs_buf_puts(b, "}}");
}

static const char bpe[] =
    "\"type\":\"BPE\",\"byte_fallback\":true,\"ignore_merges\":false";
static const char pairs[] = "[[\"b\",\"c\"],[\"a\",\"bc\"],[\"\xe2\x96\x81\",\"a\"],"
                            "[\"a\",\"b\"]]";

static rs_status load_text(const char *json, size_t n, const char *config,
                           rs_tokenizer **t)
{
    char path[128], other[128];
    const char *folder = t_folder();
    snprintf(path, sizeof path, "%s/tokenizer.json", folder);
    snprintf(other, sizeof other, "%s/tokenizer_config.json", folder);
    rs_status s = rs_os_write_file(path, json, n, &t_err);
    if (s == RS_OK && config) s = rs_os_write_file(other, config, strlen(config), &t_err);
    if (s == RS_OK) s = rs_tokenizer_load(folder, t, &t_err);
    rs_err ignored;
    if (rs_os_remove_tree(folder, &ignored) != RS_OK) printf("%s\n", ignored.msg);
    return s;
}

static rs_status load_parts(int i, const char *instead, const char *model,
                            const char *merges, bool vocab_last, const char *config,
                            rs_tokenizer **t)
{
    rs_buf b = {0};
    add_json(&b, i, instead, model, merges, vocab_last);
    rs_status s = load_text(b.data, b.len, config, t);
    rs_buf_free(&b);
    return s;
}

static bool gives(const rs_tokenizer *t, const char *text, bool special, const char *want)
{
    rs_ids ids = {0};
    rs_buf got = {0};
    bool ok = rs_tokenize(t, text, strlen(text), special, &ids, &t_err) == RS_OK;
    for (int64_t i = 0; i < ids.n; i++)
        rs_buf_printf(&got, i ? " %d" : "%d", (int)ids.at[i]);
    ok = ok && strcmp(rs_buf_str(&got), want) == 0;
    if (!ok) printf("  \"%s\" gives %s, expected %s\n", text, rs_buf_str(&got), want);
    rs_ids_free(&ids);
    rs_buf_free(&got);
    return ok;
}

static void spellings(void)
{
    rs_tokenizer *t;
    /* b+c comes before a+b: abc = a, bc = abc; ab alone; a space; a byte */
    static const char *const merges[] = {pairs,
                                         "[\"b c\",\"a bc\",\"\xe2\x96\x81 a\",\"a b\"]"};
    for (int form = 0; form < 4; form++) {
        T_OK(load_parts(-1, "", bpe, merges[form / 2], form % 2, NULL, &t));
        T_TRUE(gives(t, "abc", false, "266"));
        T_TRUE(gives(t, "ab abab", true, "2 264 267 261 264"));
        T_TRUE(gives(t, "z<eos>a", false, "126 1 260"));
        rs_tokenizer_free(t);
    }
}

/* A later merge of the same pair takes the place of the earlier, as in the reference. */
static void repeated_merges(void)
{
    rs_tokenizer *t;
    T_OK(load_parts(-1, "", bpe, "[[\"b\",\"c\"],[\"a\",\"b\"],[\"b\",\"c\"]]", false,
                    NULL, &t));
    T_TRUE(gives(t, "abc", false, "264 262"));
    rs_tokenizer_free(t);
}

static void bos_rules(void)
{
    static const char null_post[] = "\"post_processor\": null";
    static const struct {
        int part;
        const char *instead, *config, *ids;
        int bos;
    } rows[] = {
        {-1, "", NULL, "2 260", 2},
        {-1, "", "{\"add_bos_token\": false}", "260", 2},
        {-1, "", "{\"add_bos_token\": true, \"x\": [{\"add_bos_token\": false}]}",
         "2 260", 2},
        {4, null_post, NULL, "2 260", 2},
        {4, "", NULL, "2 260", 2},
        {4, null_post, "{\"bos_token\": \"<eos>\"}", "1 260", 1},
        {4, null_post, "{\"bos_token\": {\"content\": \"<eos>\"}}", "1 260", 1},
        {4, null_post, "{\"bos_token\": \"<nothing>\"}", "260", -1},
        {4, null_post, "{\"bos_token\": \"<eos>\", \"add_bos_token\": false}", "260", 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rs_tokenizer *t;
        T_OK(load_parts(rows[i].part, rows[i].instead, bpe, pairs, false, rows[i].config,
                        &t));
        T_TRUE(gives(t, "a", true, rows[i].ids));
        T_EQ(rs_tokenizer_bos(t), rows[i].bos);
        rs_tokenizer_free(t);
    }
}

static void refused_parts(void)
{
    static const struct {
        int part;
        const char *instead, *config;
        rs_status status;
        const char *words;
    } rows[] = {
        {2, "\"normalizer\": {\"type\":\"NFC\"}", NULL, RS_E_UNSUPPORTED,
         "normalizer NFC"},
        {2, "\"normalizer\": null", NULL, RS_E_UNSUPPORTED, "without a normalizer"},
        {2, "\"normalizer\": {\"type\":\"Replace\",\"pattern\":{\"String\":\" \"}}", NULL,
         RS_E_UNSUPPORTED, "normalizer Replace"},
        {3, "\"pre_tokenizer\": {\"type\":\"ByteLevel\"}", NULL, RS_E_UNSUPPORTED,
         "byte-level tokenizer with another normalizer"},
        {3, "\"pre_tokenizer\": {\"type\":\"Split\",\"pattern\":{\"Regex\":\"x\"}}", NULL,
         RS_E_UNSUPPORTED, "pre_tokenizer Split"},
        {4, "\"post_processor\": {\"type\":\"BertProcessing\"}", NULL, RS_E_UNSUPPORTED,
         "post_processor BertProcessing"},
        {4,
         "\"post_processor\": {\"type\":\"TemplateProcessing\",\"single\":["
         "{\"Sequence\":{\"id\":\"A\"}},{\"SpecialToken\":{\"id\":\"<eos>\"}}]}",
         NULL, RS_E_UNSUPPORTED, "nothing behind it"},
        {5, "\"decoder\": {\"type\":\"ByteLevel\"}", NULL, RS_E_UNSUPPORTED,
         "decoder ByteLevel"},
        {1, "\"added_tokens\": [{\"id\":0,\"content\":\"<pad>\",\"lstrip\":true}]", NULL,
         RS_E_UNSUPPORTED, "\"<pad>\" is single_word, lstrip"},
        {1, "\"added_tokens\": [{\"id\":0,\"content\":\"<eos>\"}]", NULL, RS_E_FORMAT,
         "the id 0 has two pieces, \"<eos>\" and"},
        {1, "\"added_tokens\": [{\"id\":0,\"content\":\"<p>\"}]", NULL, RS_E_FORMAT,
         "the id 0 has two pieces"},
        {1, "\"added_tokens\": [{\"content\":\"<p>\"}]", NULL, RS_E_FORMAT,
         "without an id"},
        {1, "\"added_tokens\": 5", NULL, RS_E_FORMAT, "added_tokens is not an array"},
        {-1, "", "{\"add_eos_token\": true}", RS_E_UNSUPPORTED, "add_eos_token"},
        {4, "\"post_processor\": null",
         "{\"bos_token\": \"<s>\", \"add_bos_token\": true}", RS_E_FORMAT,
         "wants \"<s>\" before every text"},
        {-1, "", "{\"add_bos_token\"", RS_E_FORMAT, "tokenizer_config.json, byte"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rs_tokenizer *t = NULL;
        T_FAILS(load_parts(rows[i].part, rows[i].instead, bpe, pairs, false,
                           rows[i].config, &t),
                rows[i].status, rows[i].words);
        T_TRUE(t == NULL);
    }
}

static void refused_models(void)
{
    static const struct {
        const char *model, *merges;
        rs_status status;
        const char *words;
    } rows[] = {
        {"\"type\":\"Unigram\"", pairs, RS_E_UNSUPPORTED, "model Unigram"},
        {"\"type\":\"BPE\"", pairs, RS_E_UNSUPPORTED, "without byte_fallback"},
        {"\"type\":\"BPE\",\"byte_fallback\":true,\"ignore_merges\":true", pairs,
         RS_E_UNSUPPORTED, "ignore_merges"},
        {"\"type\":\"BPE\",\"byte_fallback\":true,\"dropout\":0.1", pairs,
         RS_E_UNSUPPORTED, "dropout"},
        {"\"type\":\"BPE\",\"byte_fallback\":true,\"end_of_word_suffix\":\"</w>\"", pairs,
         RS_E_UNSUPPORTED, "suffix"},
        {bpe, "[[\"a\",\"z\"]]", RS_E_FORMAT,
         "name \"z\", which is not in the vocabulary"},
        {bpe, "[[\"c\",\"c\"]]", RS_E_FORMAT, "\"c\" and \"c\" merge to one that is not"},
        {bpe, "[[\"a\"]]", RS_E_FORMAT, "a string was expected, not the end of an array"},
        {bpe, "[\"ab\"]", RS_E_FORMAT, "not two pieces"},
        {bpe, "[7]", RS_E_FORMAT, "not two pieces"},
        {bpe, "{}", RS_E_FORMAT, "not one array"},
        {bpe, "[[\"a\",\"b\",\"c\"]]", RS_E_FORMAT, "end of an array was expected"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rs_tokenizer *t = NULL;
        T_FAILS(load_parts(-1, "", rows[i].model, rows[i].merges, false, NULL, &t),
                rows[i].status, rows[i].words);
    }
}

static void refused_files(void)
{
    static const struct {
        const char *json, *words;
    } rows[] = {
        {"", "the text ends where a value was expected"},
        {"[]", "an object was expected, not an array"},
        {"{}", "has no vocabulary"},
        {"{\"model\": {\"vocab\": {\"a\": 99999999}}}", "99999999, outside of 0 to"},
        {"{\"model\": {\"vocab\": {\"a\": -1}}}", "-1, outside of 0 to"},
        {"{\"model\": {\"vocab\": {\"a\": 1.5}}}", "not a whole number"},
        {"{\"model\": {\"vocab\": {\"a\": 1, \"b\": 1}}}", "the id 1 has two pieces"},
        {"{\"model\": {\"vocab\": {\"a\": 1, \"a\": 2}}}", "has two ids, 1 and 2"},
        {"{\"model\": {\"vocab\": []}}", "the vocab is not one object"},
        {"{\"model\": 1}", "the model is not one object"},
        {"{\"model\": {}} x", "text after the end"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rs_tokenizer *t = NULL;
        T_FAILS(load_text(rows[i].json, strlen(rows[i].json), NULL, &t), RS_E_FORMAT,
                rows[i].words);
    }
    rs_tokenizer *t;
    T_FAILS(rs_tokenizer_load("no/such/folder", &t, &t_err), RS_E_NOT_FOUND,
            "no/such/folder");
    T_FAILS(rs_tokenizer_load("tests", &t, &t_err), RS_E_NOT_FOUND,
            "tests/tokenizer.json");
}

/* Every beginning of a good file is refused, none crashes. */
static void cut_short(void)
{
    rs_buf b = {0};
    add_json(&b, -1, "", bpe, pairs, false);
    for (size_t n = 0; n < b.len; n += 1 + n / 40) {
        rs_tokenizer *t = NULL;
        T_FAILS(load_text(b.data, n, NULL, &t), RS_E_FORMAT, "tokenizer.json, byte");
    }
    rs_buf_free(&b);
}

/* ---- the tokenizer inside a GGUF ---- */

/* Known to differ: text with a literal U+2581, and the token that no GGUF has. */
static bool differs_by_design(const token_case *c)
{
    return strstr(rs_buf_str(&c->text), "\xe2\x96\x81") ||
           strstr(rs_buf_str(&c->text), "<image_soft_token>");
}

static void gguf_strings(void)
{
    const char *gguf = t_gemma270(), *fixture = t_shared("fixtures/tokenizer/gemma3.json");
    if (!gguf || !fixture) T_NO_GEMMA270();
    rs_tokenizer *t;
    rs_pull *p = NULL;
    token_case c = {0};
    int same = 0, different = 0, by_design = 0;
    T_OK(rs_tokenizer_load(gguf, &t, &t_err));
    T_EQ(rs_tokenizer_bos(t), 2);
    T_TRUE(token_open_cases(fixture, &p));
    while (token_next_case(p, &c)) {
        rs_ids ids = {0};
        T_OK(rs_tokenize(t, c.text.data, c.text.len, true, &ids, &t_err));
        bool equal =
            ids.n == c.ids_special.n &&
            memcmp(ids.at, c.ids_special.at, (size_t)ids.n * sizeof *ids.at) == 0;
        if (equal)
            same++;
        else if (differs_by_design(&c))
            by_design++;
        else
            different++, printf("  differs: %s\n", rs_buf_str(&c.text));
        rs_ids_free(&ids);
    }
    printf("  %d equal, %d differ as documented\n", same, by_design);
    T_EQ(different, 0);
    T_EQ(same + by_design, 175);
    T_TRUE(same >= 160);
    token_case_free(&c);
    rs_pull_close(p);
    rs_tokenizer_free(t);
}

static bool read_corpus(const char *name, rs_buf *out)
{
    char below[128], command[1200], path[128];
    snprintf(below, sizeof below, "data/corpora/%s.txt.xz", name);
    const char *packed = t_shared(below);
    if (!packed) return false;
    const char *folder = t_folder();
    snprintf(path, sizeof path, "%s/text", folder);
    snprintf(command, sizeof command, "xz -dc '%s' > %s", packed, path);
    bool ok =
        system(command) == 0 && rs_os_read_file(path, 1 << 24, out, &t_err) == RS_OK;
    return rs_os_remove_tree(folder, &t_err) == RS_OK && ok;
}

static void gguf_corpus(void)
{
    const char *gguf = t_gemma270(), *folder = token_published("gemma3");
    if (!gguf || !folder) T_NO_GEMMA270();
    rs_tokenizer *a, *b;
    rs_ids x = {0}, y = {0};
    rs_buf text = {0};
    T_OK(rs_tokenizer_load(gguf, &a, &t_err));
    T_OK(rs_tokenizer_load(folder, &b, &t_err));
    T_TRUE(read_corpus("gothic", &text));
    T_OK(rs_tokenize(a, text.data, text.len, true, &x, &t_err));
    T_OK(rs_tokenize(b, text.data, text.len, true, &y, &t_err));
    T_TRUE(x.n > 100000);
    T_EQ(x.n, y.n);
    T_TRUE(memcmp(x.at, y.at, (size_t)x.n * sizeof *x.at) == 0);
    rs_ids_free(&x);
    rs_ids_free(&y);
    rs_buf_free(&text);
    rs_tokenizer_free(a);
    rs_tokenizer_free(b);
    token_remove(folder);
}

T_MAIN(T_TEST(spellings), T_TEST(repeated_merges), T_TEST(bos_rules),
       T_TEST(refused_parts), T_TEST(refused_models), T_TEST(refused_files),
       T_TEST(cut_short), T_TEST(gguf_strings), T_TEST(gguf_corpus))
