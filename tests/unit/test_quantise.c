/* Blocks of q8_0 and q4_0 against the format's formulas, computed elsewhere (golden/quantise:
 * zeros, ties, halves, denormals, scales that no half holds). */
#include "store/checkpoint.h"
#include "tensor/convert.h"
#include "tensor/quantise.h"
#include "tests/t.h"

enum { BLOCK = 32, MAX_BLOCKS = 128 };

typedef struct golden {
    rs_checkpoint *file;
    const rs_tensor *x;
    float values[MAX_BLOCKS * BLOCK];
    int n;
} golden;

static void open_golden(golden *g)
{
    T_OK(rs_checkpoint_open(t_golden("quantise/blocks.safetensors"), &g->file, &t_err));
    g->x = rs_checkpoint_find(g->file, "x");
    T_TRUE(g->x && g->x->n_dims == 2 && g->x->dim[1] == BLOCK);
    T_TRUE(g->x->dim[0] > 30 && g->x->dim[0] <= MAX_BLOCKS);
    g->n = (int)g->x->dim[0];
    T_OK(rs_checkpoint_read_f32(g->file, g->x, 0, g->x->n_elements, g->values, &t_err));
}

/* Each block alone and all at once. A scale that is infinite as a half is told. */
static void same_blocks(rs_dtype d)
{
    static golden g;
    static uint8_t want[MAX_BLOCKS * 34], got[MAX_BLOCKS * 34];
    int bytes = rs_dtype_of(d)->block_bytes, n_bad = 0;
    open_golden(&g);
    if (t_result != T_PASSED) return;
    const rs_tensor *t = rs_checkpoint_find(g.file, rs_dtype_name(d));
    T_TRUE(t && t->n_bytes == (uint64_t)(g.n * bytes));
    T_OK(rs_checkpoint_read_raw(g.file, t, 0, (size_t)t->n_bytes, want, &t_err));
    for (int i = 0; i < g.n; i++) {
        uint8_t one[34];
        const uint8_t *w = want + i * bytes;
        bool fits = rs_quantise(d, g.values + i * BLOCK, one, BLOCK);
        for (int k = 0; k < bytes; k++)
            if (one[k] != w[k])
                T_FAIL("block %d, byte %d is %d, expected %d", i, k, one[k], w[k]);
        T_EQ(fits, (w[1] & 0x7c) != 0x7c);
        n_bad += !fits;
    }
    T_EQ(rs_quantise(d, g.values, got, g.n * BLOCK), n_bad == 0);
    T_EQ(memcmp(got, want, (size_t)(g.n * bytes)), 0);
    T_EQ(n_bad > 0, d == RS_DTYPE_Q4_0);
    rs_checkpoint_close(g.file);
}

static void q8_0(void)
{
    same_blocks(RS_DTYPE_Q8_0);
}
static void q4_0(void)
{
    same_blocks(RS_DTYPE_Q4_0);
}

/* What is on the grid comes back as it was. */
static void a_grid_comes_back(void)
{
    const rs_kernels *k;
    float x[64], y[64];
    uint8_t blocks[2 * 34];
    T_OK(rs_kernels_pick(NULL, &k, &t_err));
    for (int i = 0; i < 64; i++)
        x[i] = (float)(i % 32 == 5 ? -127 : (i * 37) % 250 - 125) / 64;
    T_TRUE(rs_quantise(RS_DTYPE_Q8_0, x, blocks, 64));
    rs_to_f32(k, RS_DTYPE_Q8_0, blocks, y, 64);
    T_EQ(memcmp(x, y, sizeof x), 0);
    for (int i = 0; i < 64; i++)
        x[i] = (float)(i % 32 == 7 ? -8 : i % 15 - 7) / 4;
    T_TRUE(rs_quantise(RS_DTYPE_Q4_0, x, blocks, 64));
    rs_to_f32(k, RS_DTYPE_Q4_0, blocks, y, 64);
    T_EQ(memcmp(x, y, sizeof x), 0);
}

static void which_types(void)
{
    for (int d = 0; d < RS_N_DTYPES; d++)
        T_EQ(rs_quantise_takes((rs_dtype)d), d == RS_DTYPE_Q8_0 || d == RS_DTYPE_Q4_0);
}

T_MAIN(T_TEST(q8_0), T_TEST(q4_0), T_TEST(a_grid_comes_back), T_TEST(which_types))
