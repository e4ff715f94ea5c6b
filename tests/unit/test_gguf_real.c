/* The GGUF of Gemma 3 270M against the reference's list of its tensors: names, types,
 * shapes, sums and the SHA-256 of every tensor's float32 values. RS_GEMMA270 names the file. */
#include "base/hash.h"
#include "base/json.h"
#include "store/checkpoint.h"
#include "tests/sha256.h"
#include "tests/t.h"

#include <strings.h>

enum { PIECE = 1 << 20 };

typedef struct sums {
    double sum, squares;
    char hex[65];
} sums;

/* Of all values as stored (without the shift) or as read. */
static rs_status sum_up(const rs_checkpoint *c, const rs_tensor *t, sums *s)
{
    static float piece[PIECE];
    EVP_MD_CTX *h = sha256_new();
    *s = (sums){0};
    rs_status st = h ? RS_OK : RS_E_NOMEM;
    for (int64_t at = 0; at < t->n_elements && st == RS_OK; at += PIECE) {
        int64_t n = t->n_elements - at < PIECE ? t->n_elements - at : PIECE;
        st = rs_checkpoint_read_f32(c, t, at, n, piece, &t_err);
        (void)EVP_DigestUpdate(h, piece, (size_t)n * sizeof *piece);
        for (int64_t i = 0; i < n; i++) {
            s->sum += piece[i];
            s->squares += (double)piece[i] * piece[i];
        }
    }
    sha256_end(h, s->hex);
    return st;
}

static void check_line(const rs_checkpoint *c, int i, const rs_json *line)
{
    const rs_tensor *t = rs_checkpoint_at(c, i);
    T_STR(t->stored_name, rs_json_string(rs_json_get(line, "gguf")));
    T_STR(t->name, rs_json_string(rs_json_get(line, "hf")));
    T_EQ(strcasecmp(rs_dtype_name(t->dtype), rs_json_string(rs_json_get(line, "type"))),
         0);
    const rs_json *shape = rs_json_get(line, "shape"), *dim = rs_json_first(shape);
    T_EQ(t->n_dims, rs_json_count(shape));
    for (int d = 0; d < t->n_dims; d++, dim = rs_json_next(dim))
        T_EQ(t->dim[d], rs_json_number(dim));
    sums s;
    rs_tensor stored = *t;
    stored.shift = 0;
    T_OK(sum_up(c, &stored, &s));
    T_STR(s.hex, rs_json_string(rs_json_get(line, "sha256_f32")));
    T_NEAR(s.sum, rs_json_number(rs_json_get(line, "sum")), 1e-6, 1e-9);
    T_NEAR(s.squares, rs_json_number(rs_json_get(line, "sumsq")), 1e-6, 1e-9);
    T_EQ(t->shift != 0, rs_json_get(line, "hf_sum") != NULL);
    if (t->shift == 0) return;
    T_OK(sum_up(c, t, &s));
    T_NEAR(s.sum, rs_json_number(rs_json_get(line, "hf_sum")), 1e-6, 1e-9);
    T_NEAR(s.squares, rs_json_number(rs_json_get(line, "hf_sumsq")), 1e-6, 1e-9);
}

static void all_tensors_equal_the_reference(void)
{
    const char *path = t_gemma270(), *list = t_shared("fixtures/gemma3-270m/tensors.jsonl");
    if (!path) T_NO_GEMMA270();
    if (!list) T_SKIP("the reference data are not there");
    rs_checkpoint *c;
    T_OK(rs_checkpoint_open(path, &c, &t_err));
    T_EQ(rs_checkpoint_count(c), 236);
    T_EQ(rs_checkpoint_bytes(c), 246587904);
    FILE *f = fopen(list, "r");
    char *line = NULL;
    size_t cap = 0;
    int i = 0;
    for (ssize_t n; (n = getline(&line, &cap, f)) > 0 && t_result == T_PASSED; i++) {
        rs_json *v = NULL;
        T_OK(rs_json_parse(line, (size_t)n, list, &v, &t_err));
        check_line(c, i, v);
        rs_json_free(v);
    }
    if (t_result == T_PASSED) T_EQ(i, 236);
    free(line);
    fclose(f);
    rs_checkpoint_close(c);
}

T_MAIN(T_TEST(all_tensors_equal_the_reference))
