/* The tokenizer against Hugging Face's results and against its own definition. */
#include "base/os.h"
#include "base/rng.h"
#include "model/tokenizer_internal.h"
#include "tests/tokens.h"

#include <sys/resource.h>

static const char sparring[] = "recipes/sparring/it";

static bool equal_ids(const char *what, const rs_ids *a, const rs_ids *b)
{
    bool same = a->n == b->n;
    for (int64_t i = 0; same && i < a->n; i++)
        same = a->at[i] == b->at[i];
    if (same) return true;
    printf("  %s, got:", what);
    for (int64_t i = 0; i < a->n; i++)
        printf(" %d", (int)a->at[i]);
    printf("\n  expected:");
    for (int64_t i = 0; i < b->n; i++)
        printf(" %d", (int)b->at[i]);
    printf("\n");
    return false;
}

static bool equal_text(const char *what, const rs_buf *a, const rs_buf *b)
{
    if (a->len == b->len && memcmp(rs_buf_str(a), rs_buf_str(b), a->len) == 0)
        return true;
    printf("  %s: got \"%s\", expected \"%s\"\n", what, rs_buf_str(a), rs_buf_str(b));
    return false;
}

static bool decode_equals(const rs_tokenizer *t, const rs_ids *ids, bool skip,
                          const rs_buf *want)
{
    rs_buf text = {0};
    bool ok = rs_detokenize(t, ids->at, ids->n, skip, &text, &t_err) == RS_OK &&
              equal_text(skip ? "decoded_skip_special" : "decoded", &text, want);
    rs_buf_free(&text);
    return ok;
}

static bool case_holds(const rs_tokenizer *t, const token_case *c)
{
    rs_ids ids = {0}, special = {0};
    bool ok = rs_tokenize(t, c->text.data, c->text.len, false, &ids, &t_err) == RS_OK &&
              rs_tokenize(t, c->text.data, c->text.len, true, &special, &t_err) == RS_OK;
    ok = ok && equal_ids("ids", &ids, &c->ids);
    ok = ok && equal_ids("ids_special", &special, &c->ids_special);
    ok = ok && decode_equals(t, &c->ids, false, &c->decoded);
    ok = ok &&
         decode_equals(t, &c->ids, true, c->has_skip ? &c->decoded_skip : &c->decoded);
    if (!ok) printf("  in \"%s\"\n", rs_buf_str(&c->text));
    rs_ids_free(&ids);
    rs_ids_free(&special);
    return ok;
}

/* Returns how many cases hold, of how many. */
static int run_cases(const rs_tokenizer *t, const char *fixture, int *all)
{
    rs_pull *p = NULL;
    token_case c = {0};
    int good = 0;
    *all = 0;
    if (!token_open_cases(fixture, &p)) return -1;
    for (; token_next_case(p, &c); ++*all)
        good += case_holds(t, &c);
    token_case_free(&c);
    rs_pull_close(p);
    return good;
}

static void sparring_strings(void)
{
    rs_tokenizer *t;
    int all;
    T_OK(rs_tokenizer_load(sparring, &t, &t_err));
    int good = run_cases(t, t_golden("tokenizer/sparring.json"), &all);
    T_EQ(all, 175);
    T_EQ(good, 175);
    rs_tokenizer_free(t);
}

static void published_strings(const char *name, int size, int bos)
{
    char below[64], cases[1024];
    snprintf(below, sizeof below, "fixtures/tokenizer/%s.json", name);
    const char *fixture = t_shared(below);
    if (!fixture) T_SKIP("no published tokenizers here");
    snprintf(cases, sizeof cases, "%s", fixture);
    const char *folder = token_published(name);
    if (!folder) T_SKIP("no published tokenizers here");
    rs_tokenizer *t;
    int all;
    T_OK(rs_tokenizer_load(folder, &t, &t_err));
    T_EQ(rs_tokenizer_size(t), size);
    T_EQ(rs_tokenizer_bos(t), bos);
    int good = run_cases(t, cases, &all);
    T_EQ(all, 175);
    T_EQ(good, 175);
    rs_tokenizer_free(t);
    token_remove(folder);
}

static void gemma3_strings(void)
{
    published_strings("gemma3", 262145, 2);
}
static void qwen3_strings(void)
{
    published_strings("qwen3", 151669, -1);
}
static void llama3_strings(void)
{
    published_strings("llama3", 128256, 128000);
}

/* Loading Gemma's 33 MB takes at most 60 MB of memory. */
static void gemma3_memory(void)
{
    const char *folder = token_published("gemma3");
    if (!folder) T_SKIP("no published tokenizers here");
    if (getenv("T_NOFORK")) T_SKIP("needs a process of its own");
    struct rusage before, after;
    rs_tokenizer *t;
    getrusage(RUSAGE_SELF, &before);
    T_OK(rs_tokenizer_load(folder, &t, &t_err));
    getrusage(RUSAGE_SELF, &after);
    long mb = (after.ru_maxrss - before.ru_maxrss) / 1024;
#ifdef __SANITIZE_ADDRESS__
    mb = 0; /* counts the sanitizer's own memory */
#endif
    if (mb > 60) T_FAIL("%ld MB", mb);
    rs_tokenizer_free(t);
    token_remove(folder);
}

/* The definition: no cutting into words, no heap. Joins the best pair again and again. */
static void merge_plainly(const rs_bpe *b, rs_ids *ids)
{
    for (;;) {
        const rs_merge *best = NULL;
        int64_t at = 0;
        for (int64_t i = 0; i + 1 < ids->n; i++) {
            const rs_merge *m = rs_bpe_find(b, ids->at[i], ids->at[i + 1]);
            if (m && (!best || m->rank < best->rank)) best = m, at = i;
        }
        if (!best) return;
        ids->at[at] = best->result;
        ids->n--;
        for (int64_t i = at + 1; i < ids->n; i++)
            ids->at[i] = ids->at[i + 1];
    }
}

static void units_plainly(const rs_tokenizer *t, const char *s, size_t n, rs_ids *ids)
{
    for (size_t i = 0; i < n;) {
        size_t len = 1;
        while (i + len < n && ((unsigned char)s[i + len] & 0xc0) == 0x80)
            len++;
        const char *c = s[i] == ' ' ? "\xe2\x96\x81" : s + i;
        int32_t id = rs_pieces_find(&t->pieces, c, s[i] == ' ' ? 3 : len);
        for (size_t k = 0; id < 0 && k < len; k++)
            rs_ids_add(ids, t->byte_id[(unsigned char)s[i + k]]);
        if (id >= 0) rs_ids_add(ids, id);
        i += len;
    }
}

static void random_text(rs_rng *r, rs_buf *out)
{
    static const char *const bits[] = {
        "a", "b", "the", " ",    "  ", "\n",  "ing", "e",    "th", "\t", "é", "字",
        ".", "x", "s",   "tion", "A",  "'s ", "▁",   "🙂", "he", ", ", "q", "-"};
    int n = (int)(rs_rng_next(r) % 200);
    rs_buf_reset(out);
    for (int i = 0; i < n; i++)
        rs_buf_puts(out, bits[rs_rng_next(r) % (sizeof bits / sizeof *bits)]);
}

/* Cutting into words and the heap change nothing. */
static void words_and_heap(void)
{
    rs_tokenizer *t;
    T_OK(rs_tokenizer_load(sparring, &t, &t_err));
    rs_rng r = rs_rng_stream(7, 0);
    rs_buf text = {0};
    for (int i = 0; i < 300; i++) {
        rs_ids plain = {0}, cut = {0}, whole = {0};
        random_text(&r, &text);
        units_plainly(t, rs_buf_str(&text), text.len, &plain);
        units_plainly(t, rs_buf_str(&text), text.len, &whole);
        merge_plainly(&t->bpe, &plain);
        T_OK(rs_tokenize(t, text.data, text.len, false, &cut, &t_err));
        T_TRUE(equal_ids("cut into words", &cut, &plain));
        T_OK(rs_bpe_merge(&t->bpe, whole.at, &whole.n, &t_err));
        T_TRUE(equal_ids("one long word", &whole, &plain));
        rs_ids_free(&plain);
        rs_ids_free(&cut);
        rs_ids_free(&whole);
    }
    rs_buf_free(&text);
    rs_tokenizer_free(t);
}

/* A megabyte without any border for cutting: must not take quadratic time. */
static void long_runs(void)
{
    static const char *const runs[] = {"a", " ", "ab", "the", "\xff", "<", "é", "<|turn"};
    rs_tokenizer *t;
    T_OK(rs_tokenizer_load(sparring, &t, &t_err));
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        rs_buf text = {0}, back = {0};
        rs_ids ids = {0};
        while (text.len < 1000000)
            rs_buf_puts(&text, runs[i]);
        T_OK(rs_tokenize(t, text.data, text.len, false, &ids, &t_err));
        T_OK(rs_detokenize(t, ids.at, ids.n, false, &back, &t_err));
        if (runs[i][0] != '\xff') T_TRUE(equal_text("decoded", &back, &text));
        rs_ids_free(&ids);
        rs_buf_free(&text);
        rs_buf_free(&back);
    }
    rs_tokenizer_free(t);
}

/* Bytes that are not UTF-8 become byte tokens; a run of them decodes to U+FFFD each. */
static void invalid_bytes(void)
{
    rs_tokenizer *t;
    T_OK(rs_tokenizer_load(sparring, &t, &t_err));
    rs_ids ids = {0};
    T_OK(rs_tokenize(t, "a\xc3(\x80z", 5, false, &ids, &t_err));
    T_EQ(ids.n, 5);
    T_EQ(ids.at[1], 10 + 0xc3);
    T_EQ(ids.at[3], 10 + 0x80);
    rs_buf out = {0};
    T_OK(rs_detokenize(t, ids.at, ids.n, false, &out, &t_err));
    T_STR(rs_buf_str(&out), "a\xef\xbf\xbd(\xef\xbf\xbdz");
    rs_buf_reset(&out);
    const int32_t mixed[] = {10 + 0xc3, 10 + 0xa9,
                             10 + 0xff}; /* é and a stray byte: one run */
    T_OK(rs_detokenize(t, mixed, 3, false, &out, &t_err));
    T_STR(rs_buf_str(&out), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    rs_buf_reset(&out);
    T_OK(rs_detokenize(t, mixed, 2, false, &out, &t_err));
    T_STR(rs_buf_str(&out), "é");
    rs_buf_reset(&out);
    rs_token_bytes(t, mixed[0], false, &out);
    rs_token_bytes(t, 2, true, &out);
    rs_token_bytes(t, 2, false, &out);
    rs_token_bytes(t, 390, false, &out);
    rs_token_bytes(t, 99999, false, &out);
    rs_token_bytes(t, -1, false, &out);
    T_STR(rs_buf_str(&out), "\xc3<bos> the");
    rs_ids_free(&ids);
    rs_buf_free(&out);
    rs_tokenizer_free(t);
}

static void facts(void)
{
    rs_tokenizer *t;
    T_OK(rs_tokenizer_load("recipes/sparring/it/tokenizer.json", &t, &t_err));
    T_EQ(rs_tokenizer_size(t), 4096);
    T_EQ(rs_tokenizer_bos(t), 2);
    T_EQ(rs_tokenizer_id(t, "<turn|>"), 9);
    T_EQ(rs_tokenizer_id(t, "no such piece"), -1);
    T_STR(rs_tokenizer_piece(t, 390), "▁the");
    T_STR(rs_tokenizer_piece(t, 4096), "");
    T_STR(rs_tokenizer_piece(t, -1), "");
    T_TRUE(rs_tokenizer_is_special(t, 9) && !rs_tokenizer_is_special(t, 10));
    T_TRUE(!rs_tokenizer_is_special(t, -5) && !rs_tokenizer_is_special(t, 1 << 30));
    rs_tokenizer_free(t);
    T_OK(rs_tokenizer_load("recipes/sparring/it/model.safetensors", &t, &t_err));
    rs_tokenizer_free(t);
}

T_MAIN(T_TEST(sparring_strings), T_TEST(gemma3_strings), T_TEST(qwen3_strings),
       T_TEST(llama3_strings), T_TEST(gemma3_memory), T_TEST(words_and_heap),
       T_TEST(long_runs), T_TEST(invalid_bytes), T_TEST(facts))
