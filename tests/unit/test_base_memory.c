/* arena, buf, map, size */
#include "base/arena.h"
#include "base/buf.h"
#include "base/carver.h"
#include "base/map.h"
#include "base/size.h"
#include "tests/t.h"

#include <stdint.h>

static void arena_is_aligned_and_zeroed(void)
{
    rs_arena a = {0};
    for (size_t n = 0; n < 300; n++) {
        unsigned char *p = rs_arena_alloc(&a, n);
        T_TRUE(p && (uintptr_t)p % 16 == 0);
        for (size_t i = 0; i < n; i++)
            T_EQ(p[i], 0);
        memset(p, 0xff, n);
    }
    T_TRUE(a.total_bytes >= 300 * 150);
    rs_arena_free(&a);
    T_EQ(a.total_bytes, 0);
    T_TRUE(rs_arena_alloc(&a, 8) != NULL); /* usable again */
    rs_arena_free(&a);
}

static void arena_takes_large_pieces(void)
{
    rs_arena a = {0};
    char *small = rs_arena_strdup(&a, "before");
    unsigned char *big = rs_arena_alloc(&a, 1 << 20);
    T_TRUE(big && big[0] == 0 && big[(1 << 20) - 1] == 0);
    T_STR(small, "before");
    T_STR(rs_arena_printf(&a, "%s-%d", "shard", 12), "shard-12");
    T_STR(rs_arena_strndup(&a, "abcdef", 3), "abc");
    rs_arena_free(&a);
}

static void arena_refuses_overflow(void)
{
    rs_arena a = {0};
    T_TRUE(rs_arena_array(&a, SIZE_MAX / 2, 3) == NULL);
    T_TRUE(rs_arena_alloc(&a, SIZE_MAX) == NULL);
    T_TRUE(rs_arena_strndup(&a, "x", SIZE_MAX) == NULL);
    T_TRUE(rs_arena_array(&a, 0, 8) != NULL);
    rs_arena_free(&a);
}

static void buf_grows(void)
{
    rs_buf b = {0};
    T_STR(rs_buf_str(&b), "");
    for (int i = 0; i < 1000; i++)
        rs_buf_printf(&b, "%d,", i);
    T_EQ(b.len, 10 * 2 + 90 * 3 + 900 * 4);
    T_EQ(b.data[b.len], 0);
    T_TRUE(strncmp(b.data, "0,1,2,", 6) == 0);
    rs_buf_reset(&b);
    T_STR(rs_buf_str(&b), "");
    rs_buf_add(&b, "a\0b", 3);
    T_EQ(b.len, 3);
    rs_buf_free(&b);
    T_TRUE(b.data == NULL);
}

static void buf_stays_failed(void)
{
    rs_buf b = {0};
    rs_buf_add(&b, "x", SIZE_MAX / 2);
    T_TRUE(b.failed);
    rs_buf_puts(&b, "y");
    T_EQ(b.len, 0);
    rs_buf_reset(&b);
    rs_buf_puts(&b, "y");
    T_STR(rs_buf_str(&b), "y");
    rs_buf_free(&b);
}

static void buf_writes_json(void)
{
    rs_buf b = {0};
    const char text[] = "a\"\\\n\t\x01\x7f\xc3\xa4\xff z\0!";
    rs_buf_json(&b, text, sizeof text - 1);
    T_STR(rs_buf_str(&b),
          "\"a\\\"\\\\\\n\\u0009\\u0001\\u007f\xc3\xa4\xef\xbf\xbd z\\u0000!\"");
    rs_buf_free(&b);
}

static void buf_writes_shortest_doubles(void)
{
    static const struct {
        double v;
        const char *text;
    } cases[] = {{0, "0"},
                 {0.1, "0.1"},
                 {1e300, "1e+300"},
                 {-2.5, "-2.5"},
                 {1.0 / 3, "0.3333333333333333"},
                 {HUGE_VAL, "null"},
                 {NAN, "null"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rs_buf b = {0};
        rs_buf_json_double(&b, cases[i].v);
        T_STR(rs_buf_str(&b), cases[i].text);
        if (isfinite(cases[i].v)) T_TRUE(strtod(b.data, NULL) == cases[i].v);
        rs_buf_free(&b);
    }
}

enum { MANY = 50000 };

static void map_finds_all(void)
{
    rs_map m = {0};
    static char keys[MANY][16];
    bool was;
    T_EQ(rs_map_find(&m, "nothing"), -1);
    for (int i = 0; i < MANY; i++) {
        snprintf(keys[i], sizeof keys[i], "key %d", i);
        T_TRUE(rs_map_put(&m, keys[i], strlen(keys[i]), i, &was) && !was);
    }
    T_EQ(m.n, MANY);
    for (int i = 0; i < MANY; i++)
        T_EQ(rs_map_find(&m, keys[i]), i);
    T_EQ(rs_map_find(&m, "key -1"), -1);
    T_EQ(rs_map_get(&m, "key 12xyz", 6), 12); /* the length counts */
    rs_map_free(&m);
    T_EQ(rs_map_find(&m, "key 1"), -1);
}

static void map_keeps_the_first(void)
{
    rs_map m = {0};
    bool was = true;
    T_TRUE(rs_map_put(&m, "a", 1, 7, &was) && !was);
    T_TRUE(rs_map_put(&m, "a", 1, 8, &was) && was);
    T_TRUE(rs_map_put(&m, "a", 1, 9, NULL));
    T_TRUE(rs_map_put(&m, "", 0, 10, &was) && !was);
    T_EQ(rs_map_find(&m, "a"), 7);
    T_EQ(rs_map_find(&m, ""), 10);
    rs_map_free(&m);
}

static void sizes_do_not_wrap(void)
{
    uint64_t u = 5;
    int64_t s = 0;
    T_TRUE(rs_mul_u64(1u << 31, 2, &u) && u == 1ull << 32);
    T_TRUE(!rs_mul_u64(1ull << 33, 1ull << 31, &u));
    T_TRUE(!rs_add_u64(UINT64_MAX, 1, &u) && rs_add_u64(UINT64_MAX, 0, &u));
    T_TRUE(!rs_mul_i64(INT64_MAX, 2, &s) && rs_mul_i64(-4, 2, &s) && s == -8);
}

static void carver_counts_then_gives(void)
{
    rs_carver c = {0};
    T_TRUE(!rs_carve(&c, 3, 5) && !rs_carve(&c, 0, 7) && !rs_carve(&c, 1, 17));
    T_EQ(rs_carver_bytes(&c), (16 + 32) * sizeof(float));
    float *memory = rs_carver_open(&c);
    T_TRUE(memory != NULL);
    float *a = rs_carve(&c, 3, 5), *b = rs_carve(&c, 0, 7), *d = rs_carve(&c, 1, 17);
    T_TRUE(a == memory && b == memory + 16 && d == memory + 16);
    T_EQ((uintptr_t)d % 64, 0);
    memset(a, 1, 15 * sizeof *a);
    memset(d, 1, 17 * sizeof *d);
    free(memory);
}

static void carver_refuses_overflow(void)
{
    static const int64_t sizes[][2] = {
        {-1, 1}, {1, -1}, {INT64_MAX, 4}, {1ll << 32, 1ll << 32}, {1ll << 30, 1ll << 30}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        rs_carver c = {0};
        T_TRUE(!rs_carve(&c, 1, 16) && !rs_carve(&c, sizes[i][0], sizes[i][1]));
        T_TRUE(!rs_carve(&c, 1, 1) && rs_carver_bytes(&c) >= 1ull << 56);
        T_TRUE(rs_carver_open(&c) == NULL);
    }
    rs_carver c = {0};
    for (int i = 0; i < 64; i++)
        (void)rs_carve(&c, 1ll << 50, 8); /* each fits, not all of them */
    T_TRUE(rs_carver_open(&c) == NULL && rs_carver_bytes(&c) >= 1ull << 56);
}

T_MAIN(T_TEST(arena_is_aligned_and_zeroed), T_TEST(arena_takes_large_pieces),
       T_TEST(arena_refuses_overflow), T_TEST(buf_grows), T_TEST(buf_stays_failed),
       T_TEST(buf_writes_json), T_TEST(buf_writes_shortest_doubles),
       T_TEST(map_finds_all), T_TEST(map_keeps_the_first), T_TEST(sizes_do_not_wrap),
       T_TEST(carver_counts_then_gives), T_TEST(carver_refuses_overflow))
