/* rng.h - two random generators, both exactly reproducible.
 *
 * Counter-based (rs_rng_at): a pure function of (seed, stream, index), for anything that must
 * be the same for every thread count and chunk size. Two rounds of the SplitMix64 finaliser
 * (Steele, Lea, Flood 2014) over the three words.
 * Sequential (rs_rng): xoshiro256** (Blackman, Vigna 2018), seeded through SplitMix64; one
 * per generation request, split into streams by rs_rng_stream. */
#ifndef RS_RNG_H
#define RS_RNG_H

#include <stddef.h>
#include <stdint.h>

uint64_t rs_rng_at(uint64_t seed, uint64_t stream, uint64_t index);
uint64_t rs_rng_name(const char *name); /* FNV-1a 64, to use a tensor's name as stream */

typedef struct rs_rng {
    uint64_t s[4];
} rs_rng;

rs_rng rs_rng_stream(uint64_t seed, uint64_t stream);
uint64_t rs_rng_next(rs_rng *r);
double rs_rng_uniform(rs_rng *r); /* [0, 1), 53 bits */

#endif
