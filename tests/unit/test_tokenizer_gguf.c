/* The tokenizer inside a GGUF, on small files written here: scores, merges, refusals. */
#include "base/bytes.h"
#include "base/os.h"
#include "model/tokenizer.h"
#include "tests/t.h"

/* ---- writing a GGUF that has keys only ---- */

enum { U32 = 4, F32 = 6, BOOL = 7, STRING = 8, ARRAY = 9, I32 = 5 };

typedef struct gguf {
    rs_buf keys;
    uint64_t n;
} gguf;

static void put32(rs_buf *b, uint32_t v)
{
    unsigned char raw[4] = {(unsigned char)v, (unsigned char)(v >> 8),
                            (unsigned char)(v >> 16), (unsigned char)(v >> 24)};
    rs_buf_add(b, raw, 4);
}

static void put64(rs_buf *b, uint64_t v)
{
    unsigned char raw[8];
    rs_put_le64(raw, v);
    rs_buf_add(b, raw, 8);
}

static void put_string(rs_buf *b, const char *s)
{
    put64(b, strlen(s));
    rs_buf_puts(b, s);
}

static void key(gguf *g, const char *name, uint32_t type)
{
    put_string(&g->keys, name);
    put32(&g->keys, type);
    g->n++;
}

static void key_array(gguf *g, const char *name, uint32_t type, uint64_t count)
{
    key(g, name, ARRAY);
    put32(&g->keys, type);
    put64(&g->keys, count);
}

static void key_string(gguf *g, const char *name, const char *value)
{
    key(g, name, STRING);
    put_string(&g->keys, value);
}

static void key_bool(gguf *g, const char *name, bool value)
{
    key(g, name, BOOL);
    rs_buf_putc(&g->keys, value);
}

static void put_float(rs_buf *b, float v)
{
    uint32_t bits;
    memcpy(&bits, &v, 4);
    put32(b, bits);
}

/* ---- a vocabulary: 4 control tokens, 256 bytes, pieces with scores, one user-defined ---- */

static const struct {
    const char *text;
    float score;
    int type;
} pieces[] = {{"a", -10, 1}, {"b", -10, 1}, {"c", -10, 1},   {"▁", -10, 1},
              {"ab", -3, 1}, {"bc", -1, 1}, {"abc", -2, 1},  {"▁a", -2.5f, 1},
              {"  ", 0, 4},  {"aa", -4, 1}, {"<tool>", 0, 3}};
enum { N_PIECES = sizeof pieces / sizeof *pieces, N = 260 + N_PIECES };

typedef struct options {
    const char *model, *pre;
    int n_scores, n_types;
    float first_score;
    bool says_prefix, prefix, trims, merges, adds_eos, bad_merge;
    int bos;
} options;

static const options usual = {.model = "llama",
                              .n_scores = N,
                              .n_types = N,
                              .first_score = -10,
                              .says_prefix = true,
                              .bos = 2};

static void add_arrays(gguf *g, const options *o)
{
    static const char *const control[] = {"<pad>", "<eos>", "<bos>", "<unk>"};
    key_array(g, "tokenizer.ggml.tokens", STRING, N);
    for (int i = 0; i < 4; i++)
        put_string(&g->keys, control[i]);
    for (int i = 0; i < 256; i++) {
        char byte[8];
        snprintf(byte, sizeof byte, "<0x%02X>", i);
        put_string(&g->keys, byte);
    }
    for (int i = 0; i < N_PIECES; i++)
        put_string(&g->keys, pieces[i].text);
    if (o->n_scores) {
        key_array(g, "tokenizer.ggml.scores", F32, (uint64_t)o->n_scores);
        for (int i = 0; i < o->n_scores; i++)
            put_float(&g->keys, i < 260    ? -1000
                                : i == 260 ? o->first_score
                                           : pieces[i - 260].score);
    }
    key_array(g, "tokenizer.ggml.token_type", I32, (uint64_t)o->n_types);
    for (int i = 0; i < o->n_types; i++)
        put32(&g->keys, (uint32_t)(i < 4 ? 3 : i < 260 ? 6 : pieces[i - 260].type));
}

static rs_status load(const options *o, rs_tokenizer **t)
{
    gguf g = {0};
    key_string(&g, "general.architecture", "gemma3");
    if (o->model) key_string(&g, "tokenizer.ggml.model", o->model);
    if (o->pre) key_string(&g, "tokenizer.ggml.pre", o->pre);
    add_arrays(&g, o);
    if (o->merges) {
        const char *const merges[] = {"b c", o->bad_merge ? "a z" : "a bc", "▁ a", "a b"};
        key_array(&g, "tokenizer.ggml.merges", STRING, 4);
        for (int i = 0; i < 4; i++)
            put_string(&g.keys, merges[i]);
    }
    if (o->says_prefix) key_bool(&g, "tokenizer.ggml.add_space_prefix", o->prefix);
    if (o->trims) key_bool(&g, "tokenizer.ggml.remove_extra_whitespaces", true);
    if (o->adds_eos) key_bool(&g, "tokenizer.ggml.add_eos_token", true);
    key(&g, "tokenizer.ggml.bos_token_id", U32);
    put32(&g.keys, (uint32_t)o->bos);

    rs_buf file = {0};
    rs_buf_puts(&file, "GGUF");
    put32(&file, 3);
    put64(&file, 0);
    put64(&file, g.n);
    rs_buf_add(&file, g.keys.data, g.keys.len);
    for (int i = 0; i < 64; i++)
        rs_buf_putc(&file, 0);
    char path[128];
    const char *folder = t_folder();
    snprintf(path, sizeof path, "%s/m.gguf", folder);
    rs_status s = rs_os_write_file(path, file.data, file.len, &t_err);
    if (s == RS_OK) s = rs_tokenizer_load(path, t, &t_err);
    rs_err ignored;
    if (rs_os_remove_tree(folder, &ignored) != RS_OK) printf("%s\n", ignored.msg);
    rs_buf_free(&file);
    rs_buf_free(&g.keys);
    return s;
}

static bool gives(const rs_tokenizer *t, const char *text, const char *want)
{
    rs_ids ids = {0};
    rs_buf got = {0};
    bool ok = rs_tokenize(t, text, strlen(text), true, &ids, &t_err) == RS_OK;
    for (int64_t i = 0; i < ids.n; i++)
        rs_buf_printf(&got, i ? " %d" : "%d", (int)ids.at[i]);
    ok = ok && strcmp(rs_buf_str(&got), want) == 0;
    if (!ok) printf("  \"%s\" gives %s, expected %s\n", text, rs_buf_str(&got), want);
    rs_ids_free(&ids);
    rs_buf_free(&got);
    return ok;
}

/* The highest score joins first, the leftmost of equals; user-defined and control pieces are
 * cut out of the raw text. */
static void scores(void)
{
    rs_tokenizer *t;
    T_OK(load(&usual, &t));
    T_EQ(rs_tokenizer_size(t), N);
    T_TRUE(gives(t, "abc", "2 266"));
    T_TRUE(gives(t, "ab", "2 264"));
    T_TRUE(gives(t, "aaa", "2 269 260"));
    T_TRUE(gives(t, "a ab", "2 260 267 261")); /* the space before the second a wins */
    T_TRUE(gives(t, "a  b", "2 260 268 261"));
    T_TRUE(gives(t, "a   b", "2 260 268 263 261"));
    T_TRUE(gives(t, "a<tool>\n", "2 260 270 14"));
    T_TRUE(rs_tokenizer_is_special(t, 270) && !rs_tokenizer_is_special(t, 268));
    rs_buf out = {0};
    const int32_t ids[] = {260, 268, 261};
    T_OK(rs_detokenize(t, ids, 3, true, &out, &t_err));
    T_STR(rs_buf_str(&out), "a  b");
    rs_buf_free(&out);
    rs_tokenizer_free(t);
}

static void merges(void)
{
    for (int form = 0; form < 2; form++) {
        rs_tokenizer *t;
        options o = usual;
        o.merges = true;
        o.says_prefix = false;
        if (form == 0) o.model = "gemma4", o.n_scores = 0;
        if (form == 1) o.pre = "gemma4";
        T_OK(load(&o, &t));
        T_TRUE(gives(t, "abc", "2 266"));
        T_TRUE(gives(t, "aaa", "2 260 260 260")); /* no such merge */
        T_TRUE(gives(t, "a ab", "2 260 267 261"));
        rs_tokenizer_free(t);
    }
}

static void refused(void)
{
    static const char *const words[] = {
        "model \"bert\" is not supported",
        "scores has 5 entries for 271 pieces",
        "scores is missing or not an array",
        "token_type has 7 entries",
        "scores[260] is no number",
        "leaves out spaces",
        "a byte-level tokenizer that puts a space before every text",
        "add_eos_token",
        "bos_token_id is 271, the vocabulary has 271",
        "merges[1], \"a z\", names a piece",
        "a gemma4 tokenizer without",
    };
    for (int i = 0; i < (int)(sizeof words / sizeof *words); i++) {
        options o = usual;
        rs_tokenizer *t;
        if (i == 0) o.model = "bert";
        if (i == 1) o.n_scores = 5;
        if (i == 2) o.n_scores = 0;
        if (i == 3) o.n_types = 7;
        if (i == 4) o.first_score = NAN;
        if (i == 5) o.trims = true;
        if (i == 6) o.model = "gpt2", o.prefix = true;
        if (i == 7) o.adds_eos = true;
        if (i == 8) o.bos = N;
        if (i == 9) o.model = "gemma4", o.merges = o.bad_merge = true;
        if (i == 10) o.model = "gemma4";
        rs_status s = load(&o, &t);
        if (s == RS_OK || !strstr(t_err.msg, words[i]) || !strstr(t_err.msg, "m.gguf: "))
            T_FAIL("case %d: %s", i, s == RS_OK ? "accepted" : t_err.msg);
    }
}

T_MAIN(T_TEST(scores), T_TEST(merges), T_TEST(refused))
