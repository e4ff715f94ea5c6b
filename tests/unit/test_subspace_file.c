/* Subspace files (core/store/subspace_file.h): ours, others', and bad ones. */
#include "store/subspace_file.h"
#include "tests/files.h"
#include "tests/t.h"

#include <math.h>

#define Q "model.layers.0.self_attn.q_proj"

static const char *path;

/* One file of float32 tensors; T("name.U", "4,2", 0, 32) begins and ends at these bytes. */
#define T(name, shape, from, to)                                                         \
    "\"" name "\":{\"dtype\":\"F32\",\"shape\":[" shape "],\"data_offsets\":[" #from     \
    "," #to "]}"

static rs_status open_header(const char *header, size_t bytes)
{
    rs_subspace_file *f;
    path = in_folder(t_folder(), "s.safetensors");
    put_safetensors(path, header, bytes);
    rs_status s = rs_subspace_open(path, &f, &t_err);
    rs_subspace_close(f);
    return s;
}

static void what_the_header_may_not_say(void)
{
    T_OK(open_header("{" T(Q ".U", "4,2", 0, 32) "," T(Q ".V", "3,2", 32, 56) "}", 56));
    T_FAILS(open_header("{" T(Q ".U", "4,2", 0, 32) "," T(Q ".V", "3,1", 32, 44) "}", 44),
            RS_E_MISMATCH, Q ".U is [4, 2] and " Q ".V is [3, 1], their ranks differ");
    T_FAILS(open_header("{" T(Q ".U", "4,2", 0, 32) "," T(Q ".S", "1", 32, 36) "}", 36),
            RS_E_MISMATCH, Q ".S is [1] and " Q ".U is [4, 2]: too few values");
    T_FAILS(open_header("{" T(Q ".U", "2,4", 0, 32) "}", 32), RS_E_MISMATCH,
            Q ".U is [2, 4], 4 directions of 2 dimensions");
    T_FAILS(open_header("{" T(Q ".V", "4,0", 0, 0) "}", 0), RS_E_MISMATCH,
            "0 directions of 4 dimensions");
    T_FAILS(open_header("{" T(Q ".U", "8", 0, 32) "}", 32), RS_E_MISMATCH,
            "is no matrix of floats");
    T_FAILS(open_header("{" T(Q ".S", "2", 0, 8) "}", 8), RS_E_MISMATCH,
            "has " Q ".S and neither .U nor .V");
    T_FAILS(open_header("{" T(Q ".weight", "4,2", 0, 32) "}", 32), RS_E_MISMATCH,
            "is no subspace: none of its 1 tensors is called .U or .V");
    T_FAILS(open_header("{\"" Q
                        ".U\":{\"dtype\":\"I32\",\"shape\":[4,2],\"data_offsets\":[0,32]}"
                        "}",
                        32),
            RS_E_MISMATCH, "is no matrix of floats");
}

static void entries_are_found_and_held_against_shapes(void)
{
    rs_subspace_file *f;
    path = in_folder(t_folder(), "s.safetensors");
    put_safetensors(path,
                    "{\"__metadata__\":{\"from_hash\":\"ab\",\"to_hash\":\"cd\"}," T(
                        Q ".U", "4,2", 0, 32) "," T("x.V", "3,1", 32, 44) "}",
                    44);
    T_OK(rs_subspace_open(path, &f, &t_err));
    T_EQ(f->n_entries, 2);
    T_STR(f->from_hash, "ab");
    T_STR(f->to_hash, "cd");
    const rs_subspace_entry *e = rs_subspace_find(f, Q ".weight");
    T_TRUE(e && e == rs_subspace_find(f, Q));
    T_EQ(e->rank, 2);
    T_STR(e->weight, Q ".weight");
    T_TRUE(e->u && !e->v && !e->s);
    T_TRUE(rs_subspace_find(f, "q_proj") == NULL);
    T_TRUE(rs_subspace_find(f, ".weight") == NULL);
    T_OK(rs_subspace_fits(f, e, 4, 99, &t_err));
    T_FAILS(rs_subspace_fits(f, e, 5, 7, &t_err), RS_E_MISMATCH,
            Q ".U is [4, 2], the model's " Q ".weight is [5, 7]");
    T_FAILS(rs_subspace_fits(f, rs_subspace_find(f, "x"), 5, 7, &t_err), RS_E_MISMATCH,
            "x.V is [3, 1], the model's x.weight is [5, 7]");
    float none[8];
    T_FAILS(rs_subspace_read(f, e, NULL, none, NULL, &t_err), RS_E_MISMATCH,
            "has no " Q ".V");
    rs_subspace_close(f);
}

/* Q.U [4, 2] and Q.S [2] of these numbers. */
static rs_status read_of(const float *numbers, float *u, float *s)
{
    static const char header[] =
        "{" T(Q ".U", "4,2", 0, 32) "," T(Q ".S", "2", 32, 40) "}";
    unsigned char file[8 + sizeof header - 1 + 40];
    rs_subspace_file *f;
    path = in_folder(t_folder(), "s.safetensors");
    rs_put_le64(file, sizeof header - 1);
    memcpy(file + 8, header, sizeof header - 1);
    memcpy(file + 8 + sizeof header - 1, numbers, 40);
    put_file(path, file, sizeof file);
    rs_status status = rs_subspace_open(path, &f, &t_err);
    if (status == RS_OK)
        status = rs_subspace_read(f, &f->entries[0], u, NULL, s, &t_err);
    rs_subspace_close(f);
    return status;
}

static void values_must_be_directions(void)
{
    float x[10] = {0.6f, 0, 0.8f, 0, 0, 0.8f, 0, -0.6f, 3, 2}, u[8], s[2];
    T_OK(read_of(x, u, s));
    T_TRUE(memcmp(x, u, sizeof u) == 0 && memcmp(x + 8, s, sizeof s) == 0);
    x[1] = NAN;
    T_FAILS(read_of(x, u, s), RS_E_INVALID, Q ".U[0, 1] is NaN");
    x[1] = 0;
    x[9] = INFINITY;
    T_FAILS(read_of(x, u, s), RS_E_INVALID, Q ".S[1, 0] is infinite");
    x[9] = 2;
    x[7] = -6;
    T_FAILS(read_of(x, u, s), RS_E_INVALID, "column 1 of " Q ".U has length 6.0");
    x[1] = 0.6f, x[5] = 0.8f, x[7] = 0; /* two directions with a product of 0.36 */
    T_FAILS(read_of(x, u, s), RS_E_INVALID,
            " of " Q ".U is not orthogonal to the others (off by 0.36 of 0.51 altogether)");
    x[1] = 0.06f, x[5] = 0.9982f; /* 0.036: nearly orthogonal passes */
    T_OK(read_of(x, u, s));
    x[1] = 0;
    x[5] = x[7] = 0; /* a matrix of lower rank has fewer directions than columns */
    T_OK(read_of(x, u, s));
}

static void any_float_is_widened(void)
{
    rs_subspace_file *f;
    path = "tests/golden/subspace/sparring.safetensors"; /* F64 */
    T_OK(rs_subspace_open(path, &f, &t_err));
    T_TRUE(f->from_hash == NULL && f->n_entries == 8);
    const rs_subspace_entry *e = rs_subspace_find(f, "model.layers.1.mlp.gate_proj");
    T_OK(rs_subspace_fits(f, e, 640, 192, &t_err));
    float *u = calloc(640 * 16, sizeof *u), *v = calloc(192 * 16, sizeof *v), s[16];
    T_OK(rs_subspace_read(f, e, u, v, s, &t_err)); /* of a spectrum the first 16 */
    T_TRUE(s[0] > s[15] && s[15] > 0);
    double dot = 0, square = 0;
    for (int i = 0; i < 640; i++) {
        dot += (double)u[16 * i] * (double)u[16 * i + 1];
        square += (double)u[16 * i] * (double)u[16 * i];
    }
    T_NEAR(dot, 0, 1e-7, 0);
    T_NEAR(square, 1, 1e-7, 0);
    free(u);
    free(v);
    rs_subspace_close(f);
}

T_MAIN(T_TEST(what_the_header_may_not_say),
       T_TEST(entries_are_found_and_held_against_shapes),
       T_TEST(values_must_be_directions), T_TEST(any_float_is_widened))
