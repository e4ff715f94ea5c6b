/* rng and hash */
#include "base/hash.h"
#include "base/rng.h"
#include "tests/files.h"
#include "tests/t.h"

/* Fixed for ever: recipes are reproduced by these numbers. */
static void counter_is_pinned(void)
{
    static const struct {
        uint64_t seed, stream, index, value;
    } pins[] = {
#include "tests/golden/store/rng_pins.h"
    };
    for (size_t i = 0; i < sizeof pins / sizeof *pins; i++)
        T_TRUE(rs_rng_at(pins[i].seed, pins[i].stream, pins[i].index) == pins[i].value);
}

/* Chi-square of the counts of 256 byte values, 255 degrees of freedom: mean 255, standard
 * deviation 22.6. Fixed seeds, so this never fails by chance. */
static double chi_square(const long count[256], double total)
{
    double chi = 0, expected = total / 256;
    for (int i = 0; i < 256; i++) {
        double d = (double)count[i] - expected;
        chi += d * d / expected;
    }
    return chi;
}

static void counter_is_uniform(void)
{
    for (int shift = 0; shift < 64; shift += 8) {
        long by_index[256] = {0}, by_stream[256] = {0}, by_seed[256] = {0};
        for (uint64_t i = 0; i < 100000; i++) {
            by_index[rs_rng_at(7, 3, i) >> shift & 255]++;
            by_stream[rs_rng_at(7, i, 3) >> shift & 255]++;
            by_seed[rs_rng_at(i, 7, 3) >> shift & 255]++;
        }
        T_NEAR(chi_square(by_index, 100000), 255, 100, 0);
        T_NEAR(chi_square(by_stream, 100000), 255, 100, 0);
        T_NEAR(chi_square(by_seed, 100000), 255, 100, 0);
    }
}

/* One changed input bit changes half of the output bits. */
static void counter_avalanches(void)
{
    for (int bit = 0; bit < 64; bit++) {
        long flips[3] = {0};
        for (uint64_t i = 0; i < 2000; i++) {
            uint64_t was = rs_rng_at(i, 2 * i, 3 * i), one = (uint64_t)1 << bit;
            flips[0] += __builtin_popcountll(was ^ rs_rng_at(i ^ one, 2 * i, 3 * i));
            flips[1] += __builtin_popcountll(was ^ rs_rng_at(i, 2 * i ^ one, 3 * i));
            flips[2] += __builtin_popcountll(was ^ rs_rng_at(i, 2 * i, 3 * i ^ one));
        }
        for (int k = 0; k < 3; k++)
            T_NEAR((double)flips[k] / 2000, 32, 0.6, 0);
    }
}

static void streams_do_not_repeat(void)
{
    rs_rng a = rs_rng_stream(1, 0), b = rs_rng_stream(1, 1), c = rs_rng_stream(2, 0),
           again = rs_rng_stream(1, 0);
    int equal = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t x = rs_rng_next(&a), y = rs_rng_next(&b), z = rs_rng_next(&c);
        T_TRUE(x == rs_rng_next(&again));
        equal += (x == y) + (x == z) + (y == z);
    }
    T_EQ(equal, 0);
}

static void uniform_is_uniform(void)
{
    rs_rng r = rs_rng_stream(11, 5);
    double sum = 0, squares = 0;
    long bins[256] = {0};
    const int n = 200000;
    for (int i = 0; i < n; i++) {
        double u = rs_rng_uniform(&r);
        T_TRUE(u >= 0 && u < 1);
        sum += u;
        squares += u * u;
        bins[(int)(u * 256)]++;
    }
    T_NEAR(sum / n, 0.5, 0.003, 0);
    T_NEAR(squares / n, 1.0 / 3, 0.003, 0);
    T_NEAR(chi_square(bins, n), 255, 100, 0);
}

static void names_are_fnv(void)
{
    T_TRUE(rs_rng_name("") == 0xcbf29ce484222325u);
    T_TRUE(rs_rng_name("a") == 0xaf63dc4c8601ec8cu);
    T_TRUE(rs_rng_name("foobar") == 0x85944171f73967e8u);
}

/* A published vector: the XXH3 specification's empty input. */
static void hash_vectors(void)
{
    char short_hex[33];
    rs_hash_hex(rs_hash("", 0), short_hex);
    T_STR(short_hex, "99aa06d3014798d86001c324468d497f");
}

static void hashing_in_parts(void)
{
    unsigned char data[10000];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (unsigned char)(i * 7);
    rs_hash128 whole = rs_hash(data, sizeof data);
    for (size_t cut = 1; cut < sizeof data; cut += 997) {
        rs_hasher *h = rs_hasher_new();
        rs_hasher_add(h, data, cut);
        rs_hasher_add(h, data + cut, sizeof data - cut);
        rs_hash128 parts = rs_hasher_end(h);
        T_TRUE(parts.low == whole.low && parts.high == whole.high);
        rs_hasher_free(h);
    }
}

T_MAIN(T_TEST(counter_is_pinned), T_TEST(counter_is_uniform), T_TEST(counter_avalanches),
       T_TEST(streams_do_not_repeat), T_TEST(uniform_is_uniform), T_TEST(names_are_fnv),
       T_TEST(hash_vectors), T_TEST(hashing_in_parts))
