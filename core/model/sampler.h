/* sampler.h - from logits to the next token, in llama.cpp's chain and words.
 *
 * Order (default): logit bias, penalties, DRY, top-n-sigma, top-k, typical, top-p, min-p,
 * XTC, temperature (or dynamic temperature), draw. `order` may name another: "top_k;temp",
 * by llama.cpp's names; stages that it leaves out do nothing, logit bias always comes first.
 * With mirostat 2 the truncating stages are left out and mirostat draws.
 * One xoshiro256** stream per request for the draw and another for XTC, both from `seed`.
 * temperature <= 0 is greedy: bias, penalties and DRY, then the largest logit, the lowest id
 * of equals. Logits that are NaN or -inf are no candidates.
 *
 * Rules of the stages, p = softmax of the logits l that are left, natural logarithms:
 *   penalties     of a token that is c > 0 times among the last n: l > 0 ? l / r : l * r, then
 *                 l -= c * frequency + presence
 *   DRY           where the m tokens before an earlier token equal the last m of the context
 *                 (m at most the distance to the last breaker), that token, unless a breaker,
 *                 gets l -= multiplier * base^(m - allowed_length), its longest m >= allowed
 *   top-n-sigma   drops l < max - n * standard deviation of the finite logits
 *   top-k         the k largest, at least min_keep
 *   typical       by |-ln p - H| ascending until their sum exceeds p
 *   top-p         by p descending until their sum reaches p, the crossing token included
 *   min-p         l >= max + ln(min_p)
 *   XTC           with the probability: all with p >= threshold but the least likely of them
 *                 go; off above a threshold of 0.5
 *   temperature   l / T; dynamic: T = low + (high - low) * (H / ln n)^exponent, low and high
 *                 T -+ range, low at least 0
 *   mirostat 2    drops -log2 p > mu; after the draw mu -= eta * (-log2 p - tau), mu0 = 2 tau
 *   draw          u in [0, 1): most likely first, until the sum of e^(l - max) reaches u times
 *                 its total
 * A sampler belongs to one request and one thread. */
#ifndef RS_SAMPLER_H
#define RS_SAMPLER_H

#include "base/rng.h"
#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct rs_logit_bias {
    int32_t id;
    float bias;
} rs_logit_bias;

typedef struct rs_sampler_params {
    uint64_t seed;
    double temperature, dynatemp_range, dynatemp_exponent;
    int top_k; /* <= 0: off */
    double top_p, min_p, typical_p, top_n_sigma, xtc_probability, xtc_threshold;
    int min_keep;
    int penalty_last_n; /* -1: the whole context */
    double repeat_penalty, frequency_penalty, presence_penalty;
    double dry_multiplier, dry_base;
    int dry_allowed_length, dry_last_n;
    int mirostat; /* 0 or 2 */
    double mirostat_tau, mirostat_eta;
    char order[128]; /* "": the default; names joined by ';' */
    const rs_logit_bias *bias;
    int n_bias;
    const int32_t *dry_breakers; /* ids that break DRY's match */
    int n_dry_breakers;
} rs_sampler_params;

rs_sampler_params rs_sampler_defaults(void); /* llama.cpp's: temp 0.8, top_k 40 ... */
rs_status rs_sampler_check(const rs_sampler_params *p, rs_err *err) RS_MUST_USE;

typedef struct rs_sampler rs_sampler;
rs_status rs_sampler_new(const rs_sampler_params *p, int64_t vocab, rs_sampler **out,
                         rs_err *err) RS_MUST_USE;
void rs_sampler_free(rs_sampler *s);

typedef struct rs_candidate {
    int32_t id;
    float logit;
    double p; /* filled by stages that need it and at the end */
} rs_candidate;

/* Applies the chain to logits [vocab] (not changed) given the context so far, draws, and
 * returns the id; -1 if no logit is finite or memory ran out. Candidates that were left, most
 * likely first, with their p, if asked for (borrowed until the next draw; NULL to go
 * without, which is faster). */
int32_t rs_sampler_draw(rs_sampler *s, const float *logits, const int32_t *context,
                        int64_t n_context, const rs_candidate **left, int *n_left);

#endif
