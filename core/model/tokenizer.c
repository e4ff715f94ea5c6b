#include "base/os.h"
#include "base/utf8.h"
#include "model/tokenizer_internal.h"

#include <stdlib.h>
#include <string.h>

enum { SPACE_MARK = 0x2581 };
static const char space_mark[] = "\xe2\x96\x81";
static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */

/* ---- building ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* "<0x0A>" stands for the byte 10; -1: it stands for itself. */
static int byte_of(const char *s, size_t n)
{
    if (n != 6 || memcmp(s, "<0x", 3) != 0 || s[5] != '>') return -1;
    int high = hex_digit(s[3]), low = hex_digit(s[4]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/* The first or last character of a piece; of a byte piece none. */
static bool edge_of(const rs_pieces *p, int32_t id, bool last, uint32_t *cp)
{
    const char *s = rs_piece_text(p, id);
    size_t n = p->at[id].length, i = 0;
    if (byte_of(s, n) >= 0) return false;
    if (last)
        for (i = n; i-- > 0 && ((unsigned char)s[i] & 0xc0) == 0x80;) {
        }
    return n > 0 && i < n && rs_utf8_decode(s + i, n - i, cp) > 0;
}

rs_status rs_tokenizer_add_merge(rs_tokenizer *t, int32_t left, int32_t right,
                                 uint32_t rank, int32_t result, rs_err *err)
{
    uint32_t a, b;
    bool ok = rs_bpe_add(&t->bpe, left, right, rank, result);
    if (edge_of(&t->pieces, left, true, &a) && edge_of(&t->pieces, right, false, &b))
        ok = ok && rs_bpe_add_joint(&t->bpe, a, b);
    else
        t->bpe.never_cut =
            true; /* joins bytes: then borders of characters tell nothing */
    return ok ? RS_OK : rs_fail(err, RS_E_NOMEM, "no memory for the tokenizer's merges");
}

static rs_status find_bytes(rs_tokenizer *t, rs_err *err)
{
    size_t n = (size_t)t->pieces.n;
    t->byte_value = malloc((n + 1) * sizeof *t->byte_value);
    if (!t->byte_value) return rs_fail(err, RS_E_NOMEM, "no memory for a tokenizer");
    for (size_t i = 0; i < n; i++)
        t->byte_value[i] = t->byte_level
                               ? -1
                               : (int16_t)byte_of(rs_piece_text(&t->pieces, (int32_t)i),
                                                  t->pieces.at[i].length);
    for (int b = 0; b < 256; b++) {
        static const char hex[] = "0123456789ABCDEF";
        char piece[] = {'<', '0', 'x', hex[b >> 4], hex[b & 15], '>', 0};
        if (t->byte_level) piece[rs_byte_level_char((unsigned char)b, piece)] = 0;
        t->byte_id[b] = rs_tokenizer_id(t, piece);
        if (t->byte_id[b] < 0)
            return rs_fail(err, RS_E_FORMAT,
                           "the tokenizer has no piece %s for that byte", piece);
    }
    return RS_OK;
}

rs_status rs_tokenizer_finish(rs_tokenizer *t, rs_err *err)
{
    RS_TRY(find_bytes(t, err));
    for (int c = 0; c < 128; c++) {
        char text = (char)c;
        t->ascii_id[c] = rs_pieces_find(&t->pieces, &text, 1);
    }
    t->ascii_id[' '] = rs_pieces_find(&t->pieces, space_mark, 3);
    if (!rs_added_build(&t->added, &t->pieces))
        return rs_fail(err, RS_E_NOMEM, "no memory for a tokenizer");
    return RS_OK;
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

static rs_status load_into(rs_tokenizer *t, const char *path, rs_err *err)
{
    char folder[4096], json[4096];
    rs_path_kind kind = rs_os_kind(path);
    if (kind == RS_PATH_NONE)
        return rs_fail(err, RS_E_NOT_FOUND, "there is no file or folder %s", path);
    if (kind == RS_PATH_FILE && ends_with(path, ".json"))
        return rs_tokenizer_read_json(t, path, err);
    bool in_folder = kind == RS_PATH_FOLDER || ends_with(path, ".safetensors");
    if (!in_folder) {
        rs_checkpoint *c;
        RS_TRY(rs_checkpoint_open(path, &c, err));
        rs_status s = rs_tokenizer_read_gguf(t, c, err);
        rs_checkpoint_close(c);
        return s;
    }
    if (kind == RS_PATH_FILE && !rs_path_dirname(folder, sizeof folder, path))
        return rs_fail(err, RS_E_INVALID, "the path %.200s... is too long", path);
    if (!rs_path_join(json, sizeof json, kind == RS_PATH_FOLDER ? path : folder,
                      "tokenizer.json"))
        return rs_fail(err, RS_E_INVALID, "the path %.200s... is too long", path);
    if (rs_os_kind(json) != RS_PATH_FILE)
        return rs_fail(err, RS_E_NOT_FOUND, "%s: there is no such file, so no tokenizer",
                       json);
    return rs_tokenizer_read_json(t, json, err);
}

static rs_status hand_over(rs_tokenizer *t, rs_status s, rs_tokenizer **out)
{
    if (s == RS_OK)
        *out = t;
    else
        rs_tokenizer_free(t);
    return s;
}

static rs_tokenizer *new_tokenizer(void)
{
    rs_tokenizer *t = calloc(1, sizeof *t);
    if (t) t->bos = -1;
    return t;
}

rs_status rs_tokenizer_load(const char *path, rs_tokenizer **out, rs_err *err)
{
    *out = NULL;
    rs_tokenizer *t = new_tokenizer();
    if (!t) return rs_fail(err, RS_E_NOMEM, "no memory for a tokenizer");
    return hand_over(t, load_into(t, path, err), out);
}

rs_status rs_tokenizer_from_gguf(const rs_checkpoint *c, rs_tokenizer **out, rs_err *err)
{
    *out = NULL;
    rs_tokenizer *t = new_tokenizer();
    if (!t) return rs_fail(err, RS_E_NOMEM, "no memory for a tokenizer");
    return hand_over(t, rs_tokenizer_read_gguf(t, c, err), out);
}

void rs_tokenizer_free(rs_tokenizer *t)
{
    if (!t) return;
    rs_pieces_free(&t->pieces);
    rs_bpe_free(&t->bpe);
    rs_added_free(&t->added);
    rs_byte_level_free(t->byte_level);
    free(t->byte_value);
    free(t);
}

/* ---- facts ---- */

int32_t rs_tokenizer_size(const rs_tokenizer *t)
{
    return t->pieces.n;
}
int32_t rs_tokenizer_bos(const rs_tokenizer *t)
{
    return t->bos;
}

int32_t rs_tokenizer_id(const rs_tokenizer *t, const char *piece)
{
    return rs_pieces_find(&t->pieces, piece, strlen(piece));
}

static bool has_piece(const rs_tokenizer *t, int32_t id)
{
    return id >= 0 && id < t->pieces.n && rs_piece_is(&t->pieces, id, RS_PIECE_PRESENT);
}

bool rs_tokenizer_is_special(const rs_tokenizer *t, int32_t id)
{
    return has_piece(t, id) && rs_piece_is(&t->pieces, id, RS_PIECE_SPECIAL);
}

const char *rs_tokenizer_piece(const rs_tokenizer *t, int32_t id)
{
    return has_piece(t, id) ? rs_piece_text(&t->pieces, id) : "";
}

int rs_tokenizer_byte(const rs_tokenizer *t, int32_t id)
{
    return has_piece(t, id) ? t->byte_value[id] : -1;
}

void rs_ids_free(rs_ids *ids)
{
    free(ids->at);
    *ids = (rs_ids){0};
}

bool rs_ids_add(rs_ids *ids, int32_t id)
{
    if (ids->n == ids->cap) {
        int64_t cap = ids->cap ? ids->cap * 2 : 64;
        int32_t *bigger = realloc(ids->at, (size_t)cap * sizeof *bigger);
        if (!bigger) return false;
        ids->at = bigger;
        ids->cap = cap;
    }
    ids->at[ids->n++] = id;
    return true;
}

rs_status rs_tokenizer_ids_with(const rs_tokenizer *t, const char *text, rs_ids *ids,
                                rs_err *err)
{
    rs_buf piece = {0};
    bool ok = true;
    for (int32_t id = 0; id < t->pieces.n && ok; id++) {
        rs_buf_reset(&piece);
        rs_token_bytes(t, id, true, &piece);
        if (piece.len && strstr(piece.data, text)) ok = rs_ids_add(ids, id);
        ok = ok && !piece.failed;
    }
    rs_buf_free(&piece);
    return ok ? RS_OK : rs_fail(err, RS_E_NOMEM, "no memory for a list of tokens");
}

/* ---- text to ids ---- */

static bool add_bytes(const rs_tokenizer *t, const char *s, int n, rs_ids *ids)
{
    for (int i = 0; i < n; i++)
        if (!rs_ids_add(ids, t->byte_id[(unsigned char)s[i]])) return false;
    return true;
}

/* The units of the character cp, whose bytes are s[0 .. n): its piece, or its bytes. */
static bool add_character(const rs_tokenizer *t, uint32_t cp, const char *s, int n,
                          rs_ids *ids)
{
    if (cp == ' ') s = space_mark, n = 3;
    int32_t id = cp < 128 ? t->ascii_id[cp] : rs_pieces_find(&t->pieces, s, (size_t)n);
    return id >= 0 ? rs_ids_add(ids, id) : add_bytes(t, s, n, ids);
}

static rs_status no_memory(size_t n, rs_err *err)
{
    return rs_fail(err, RS_E_NOMEM, "no memory to tokenize %zu bytes", n);
}

/* Merges what was added to ids since `from`, where the next word begins afterwards. */
static rs_status end_word(const rs_tokenizer *t, rs_ids *ids, int64_t *from, rs_err *err)
{
    int64_t n = ids->n - *from;
    if (n > 1) RS_TRY(rs_bpe_merge(&t->bpe, ids->at + *from, &n, err));
    ids->n = *from += n;
    return RS_OK;
}

/* Does this part get a space in front? */
static bool gets_prefix(const rs_tokenizer *t, const char *text, size_t n, bool starts)
{
    if (t->prefix == RS_PREFIX_NONE || (t->prefix == RS_PREFIX_FIRST && !starts))
        return false;
    bool has_one = text[0] == ' ' || (n >= 3 && memcmp(text, space_mark, 3) == 0);
    return t->prefix_doubles || !has_one;
}

/* Text without added tokens. Words end wherever no merge could reach across. */
static rs_status encode_plain(const rs_tokenizer *t, const char *text, size_t n,
                              bool prefix, rs_ids *ids, rs_err *err)
{
    enum { NOTHING = UINT32_MAX };
    if (t->byte_level) return rs_byte_level_encode(t, text, n, ids, err);
    int64_t word = ids->n;
    uint32_t before = prefix ? SPACE_MARK : NOTHING;
    if (prefix && !add_character(t, ' ', " ", 1, ids)) return no_memory(n, err);
    for (size_t i = 0; i < n;) {
        uint32_t cp;
        int len = rs_utf8_decode(text + i, n - i, &cp);
        if (len == 0) cp = NOTHING;
        uint32_t mark = cp == ' ' ? SPACE_MARK : cp;
        bool cut = (t->cuts_at_spaces && mark == SPACE_MARK) ||
                   !rs_bpe_may_join(&t->bpe, before, mark);
        if (ids->n > word && cut) RS_TRY(end_word(t, ids, &word, err));
        bool ok = len ? add_character(t, cp, text + i, len, ids)
                      : add_bytes(t, text + i, 1, ids);
        if (!ok) return no_memory(n, err);
        before = mark;
        i += len ? (size_t)len : 1;
    }
    return end_word(t, ids, &word, err);
}

/* starts: the text begins with this part. after_added: an added token stands before it. */
static rs_status encode_part(const rs_tokenizer *t, const char *text, size_t n,
                             bool starts, bool after_added, rs_ids *ids, rs_err *err)
{
    if (n == 0) return RS_OK;
    bool whole = starts || after_added;
    return encode_plain(t, text, n, whole && gets_prefix(t, text, n, starts), ids, err);
}

static rs_status encode(const rs_tokenizer *t, const char *text, size_t n, bool starts,
                        rs_ids *ids, rs_err *err)
{
    size_t plain = 0, i = 0;
    bool added = ids->n > 0 && has_piece(t, ids->at[ids->n - 1]) &&
                 rs_piece_is(&t->pieces, ids->at[ids->n - 1], RS_PIECE_ADDED);
    while (i < n) {
        const rs_added_token *a = rs_added_match(&t->added, text + i, n - i);
        if (!a) {
            i++;
            continue;
        }
        bool first = starts && plain == 0;
        RS_TRY(encode_part(t, text + plain, i - plain, first, added, ids, err));
        if (!rs_ids_add(ids, a->id)) return no_memory(n, err);
        plain = i += a->n;
        added = true;
    }
    bool first = starts && plain == 0;
    return encode_part(t, text + plain, n - plain, first, added, ids, err);
}

rs_status rs_tokenize(const rs_tokenizer *t, const char *text, size_t n, bool add_special,
                      rs_ids *ids, rs_err *err)
{
    if (add_special && t->adds_bos && !rs_ids_add(ids, t->bos)) return no_memory(n, err);
    return encode(t, text, n, true, ids, err);
}

rs_status rs_tokenize_on(const rs_tokenizer *t, const char *text, size_t n, rs_ids *ids,
                         rs_err *err)
{
    return encode(t, text, n, false, ids, err);
}

/* ---- ids to text ---- */

bool rs_tokenizer_is_byte_level(const rs_tokenizer *t)
{
    return t->byte_level != NULL;
}

/* A piece's own text with every U+2581 as a space. */
static void add_piece_text(const char *s, size_t n, rs_buf *out)
{
    size_t from = 0;
    for (size_t i = 0; i + 3 <= n;) {
        if (s[i] != space_mark[0] || memcmp(s + i, space_mark, 3) != 0) {
            i++;
            continue;
        }
        rs_buf_add(out, s + from, i - from);
        rs_buf_putc(out, ' ');
        from = i += 3;
    }
    rs_buf_add(out, s + from, n - from);
}

/* A run of byte pieces: its characters, or, if it is not UTF-8, U+FFFD for every byte. */
static void add_byte_run(const char *run, size_t n, rs_buf *out)
{
    if (rs_utf8_valid(run, n)) {
        rs_buf_add(out, run, n);
        return;
    }
    for (size_t i = 0; i < n; i++)
        rs_buf_puts(out, replacement);
}

static rs_status detokenize_bytes(const rs_tokenizer *t, const int32_t *ids, int64_t n,
                                  bool skip_special, rs_buf *out, rs_err *err)
{
    rs_buf bytes = {0};
    for (int64_t i = 0; i < n; i++)
        rs_token_bytes(t, ids[i], skip_special, &bytes);
    rs_byte_level_text(rs_buf_str(&bytes), bytes.len, out);
    bool failed = bytes.failed || out->failed;
    rs_buf_free(&bytes);
    return failed ? rs_fail(err, RS_E_NOMEM, "no memory for the text of the tokens")
                  : RS_OK;
}

rs_status rs_detokenize(const rs_tokenizer *t, const int32_t *ids, int64_t n,
                        bool skip_special, rs_buf *out, rs_err *err)
{
    if (t->byte_level) return detokenize_bytes(t, ids, n, skip_special, out, err);
    rs_buf run = {0};
    size_t start = out->len;
    for (int64_t i = 0; i < n; i++) {
        int32_t id = ids[i];
        if (!has_piece(t, id)) continue;
        if (skip_special && rs_piece_is(&t->pieces, id, RS_PIECE_SPECIAL)) continue;
        if (t->byte_value[id] >= 0) {
            rs_buf_putc(&run, (char)t->byte_value[id]);
            continue;
        }
        if (run.len) add_byte_run(run.data, run.len, out);
        rs_buf_reset(&run);
        add_piece_text(rs_piece_text(&t->pieces, id), t->pieces.at[id].length, out);
    }
    if (run.len) add_byte_run(run.data, run.len, out);
    bool failed = run.failed || out->failed;
    if (!failed && t->strips_space && out->len > start && out->data[start] == ' ')
        rs_buf_cut(out, start, 1);
    rs_buf_free(&run);
    return failed ? rs_fail(err, RS_E_NOMEM, "no memory for the text of the tokens")
                  : RS_OK;
}

void rs_token_bytes(const rs_tokenizer *t, int32_t id, bool skip_special, rs_buf *out)
{
    if (!has_piece(t, id)) return;
    if (skip_special && rs_piece_is(&t->pieces, id, RS_PIECE_SPECIAL)) return;
    if (t->byte_level)
        rs_byte_level_bytes(rs_piece_text(&t->pieces, id), t->pieces.at[id].length, out);
    else if (t->byte_value[id] >= 0)
        rs_buf_putc(out, (char)t->byte_value[id]);
    else
        add_piece_text(rs_piece_text(&t->pieces, id), t->pieces.at[id].length, out);
}
