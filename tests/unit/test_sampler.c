/* Every stage of the sampler against its rule written down again here, plainly and in long
 * double; the draw by chi-square; streams, orders, refusals. */
#include "tests/sampler_plain.h"

/* Numbers that can be checked by hand: p = .5 .25 .125 .0625 .0625. */
static void by_hand(void)
{
    const float l[] = {-2, -1, -3, -4, -4};
    float logits[5];
    for (int i = 0; i < 5; i++)
        logits[i] = (float)(l[i] * log(2.0));
    static const struct {
        const char *what;
        int n, first;
    } rows[] = {{"top_k", 2, 1},   {"top_p", 2, 1}, {"min_p", 3, 1},
                {"typical", 1, 0}, {"xtc", 4, 0},   {"min_keep", 4, 1}};
    for (int i = 0; i < COUNT(rows); i++) {
        rs_sampler_params p = off();
        if (i == 0) p.top_k = 2;
        if (i == 1) p.top_p = 0.75 - 1e-7;
        if (i == 2) p.min_p = 0.25 - 1e-7;
        if (i == 3)
            p.typical_p = 0.2; /* H = 1.875 bits: the second (2 bits) is nearest */
        if (i == 4) p.xtc_probability = 1, p.xtc_threshold = 0.2;
        if (i == 5) p.min_p = 0.9, p.min_keep = 4;
        rs_sampler *s;
        const rs_candidate *left;
        int n;
        T_OK(rs_sampler_new(&p, 5, &s, &t_err));
        int32_t id = rs_sampler_draw(s, logits, NULL, 0, &left, &n);
        T_TRUE(id >= 0 && id < 5);
        if (n != rows[i].n || left[0].id != rows[i].first)
            T_FAIL("%s: %d left, first %d", rows[i].what, n, (int)left[0].id);
        rs_sampler_free(s);
    }
}

static const int32_t repeated[] = {1, 2, 3, 4, 9, 1, 2, 3, 5, 1, 2, 3, 7, 4, 1, 2, 3};

static void each_stage(void)
{
    rs_rng r = rs_rng_stream(3, 0);
    float logits[40];
    const int32_t breakers[] = {9, 4};
    const rs_logit_bias bias[] = {{3, 1.5f}, {7, -INFINITY}};
    for (int round = 0; round < 40; round++) {
        for (int i = 0; i < 40; i++)
            logits[i] = noise(&r, 4);
        logits[11] = NAN;
        logits[12] = -INFINITY;
        for (int i = 0; i < 16; i++) {
            rs_sampler_params p = off();
            if (i == 0) p.bias = bias, p.n_bias = 2;
            if (i == 1) p.repeat_penalty = 1.3;
            if (i == 2) p.frequency_penalty = 0.4, p.penalty_last_n = 5;
            if (i == 3) p.presence_penalty = 0.7, p.penalty_last_n = -1;
            if (i == 4) p.dry_multiplier = 0.8;
            if (i == 5)
                p.dry_multiplier = 0.8, p.dry_allowed_length = 1, p.dry_last_n = 9;
            if (i == 6) {
                p.dry_multiplier = 1, p.dry_last_n = -1, p.dry_allowed_length = 1;
                p.dry_breakers = breakers, p.n_dry_breakers = 2;
            }
            if (i == 7) p.top_n_sigma = 1;
            if (i == 8) p.top_k = 7;
            if (i == 9) p.typical_p = 0.6;
            if (i == 10) p.top_p = 0.8;
            if (i == 11) p.min_p = 0.1;
            if (i == 12) p.xtc_probability = 1, p.xtc_threshold = 0.06;
            if (i == 13) p.temperature = 0.6;
            if (i == 14)
                p.temperature = 0.9, p.dynatemp_range = 0.5, p.dynatemp_exponent = 1.5;
            if (i == 15) p.top_p = 0.05, p.typical_p = 0.3, p.min_keep = 5;
            if (!chain_holds(&p, logits, 40, repeated, COUNT(repeated)))
                T_FAIL("setting %d, round %d", i, round);
        }
    }
}

/* All at once, with everything random. */
static void whole_chains(void)
{
    rs_rng r = rs_rng_stream(5, 0);
    static float logits[500];
    int32_t ctx[200];
    const int32_t breakers[] = {0};
    for (int round = 0; round < 200; round++) {
        for (int i = 0; i < 500; i++)
            logits[i] = noise(&r, 6);
        int n = (int)(rs_rng_next(&r) % 200);
        for (int i = 0; i < n; i++)
            ctx[i] = (int32_t)(rs_rng_next(&r) % 4);
        rs_sampler_params p = off();
        p.temperature = 0.3 + rs_rng_uniform(&r);
        p.repeat_penalty = 0.9 + 0.4 * rs_rng_uniform(&r);
        p.frequency_penalty = 0.1 * rs_rng_uniform(&r);
        p.penalty_last_n = (int)(rs_rng_next(&r) % 100) - 1;
        p.dry_multiplier = rs_rng_uniform(&r);
        p.dry_base = 1.05;
        p.dry_last_n = (int)(rs_rng_next(&r) % 200) - 1;
        p.dry_breakers = breakers;
        p.n_dry_breakers = round % 2;
        if (round % 3 == 0) p.top_n_sigma = 1 + 2 * rs_rng_uniform(&r);
        if (round % 4) p.top_k = 1 + (int)(rs_rng_next(&r) % 300);
        if (round % 5 == 0) p.typical_p = 0.5 + 0.5 * rs_rng_uniform(&r);
        if (round % 2) p.top_p = 0.6 + 0.4 * rs_rng_uniform(&r);
        if (round % 7) p.min_p = 0.02 * rs_rng_uniform(&r);
        if (round % 3 == 1)
            p.xtc_probability = 1, p.xtc_threshold = 0.1 * rs_rng_uniform(&r);
        if (round % 6 == 1) p.dynatemp_range = 0.3;
        if (!chain_holds(&p, logits, 500, ctx, n)) T_FAIL("round %d", round);
    }
}

/* A vocabulary of Gemma's size: selecting gives what sorting would. */
static void large_vocabulary(void)
{
    enum { V = 262144 };
    float *logits = malloc(V * sizeof *logits);
    rs_rng r = rs_rng_stream(8, 0);
    for (int i = 0; i < V; i++)
        logits[i] = (float)(rs_rng_next(&r) % 5000) / 500; /* ties */
    for (int k = 1; k < 70000; k = k * 7 + 3) {
        rs_sampler_params p = off();
        p.top_k = k;
        rs_sampler *s;
        const rs_candidate *left;
        int n;
        T_OK(rs_sampler_new(&p, V, &s, &t_err));
        T_TRUE(rs_sampler_draw(s, logits, NULL, 0, &left, &n) >= 0);
        T_EQ(n, k);
        int above = 0, equal = 0;
        float least = left[n - 1].logit;
        int32_t last = left[n - 1].id;
        for (int i = 0; i < V; i++)
            above += logits[i] > least;
        for (int i = 0; i <= last; i++)
            equal += logits[i] == least;
        T_EQ(above + equal, k); /* of equals the lowest ids */
        for (int i = 1; i < n; i++)
            T_TRUE(left[i].logit < left[i - 1].logit ||
                   (left[i].logit == left[i - 1].logit && left[i].id > left[i - 1].id));
        rs_sampler_free(s);
    }
    free(logits);
}

/* Another order: temperature before top-p gives other candidates than after it. */
static void orders(void)
{
    const float logits[] = {3, 2, 1, 0, -1};
    static const struct {
        const char *order;
        int n;
    } rows[] = {{"", 3},        {"top_p;temperature", 3}, {"temp;top-p", 5},
                {"nucleus", 3}, {"temperature", 5},       {"penalties;dry;top_k", 5}};
    for (int i = 0; i < COUNT(rows); i++) {
        rs_sampler_params p = off();
        p.top_p = 0.9;
        p.temperature = 4;
        snprintf(p.order, sizeof p.order, "%s", rows[i].order);
        rs_sampler *s;
        const rs_candidate *left;
        int n;
        T_OK(rs_sampler_new(&p, 5, &s, &t_err));
        T_TRUE(rs_sampler_draw(s, logits, NULL, 0, &left, &n) >= 0);
        if (n != rows[i].n) T_FAIL("order \"%s\": %d candidates", rows[i].order, n);
        rs_sampler_free(s);
    }
    /* penalties after truncation work on the list */
    rs_sampler_params p = off();
    const int32_t ctx[] = {0, 0};
    p.top_k = 2;
    p.frequency_penalty = 1;
    p.dry_multiplier = 2;
    p.dry_allowed_length = 1;
    snprintf(p.order, sizeof p.order, "top_k;penalties;dry");
    rs_sampler *s;
    const rs_candidate *left;
    int n;
    T_OK(rs_sampler_new(&p, 5, &s, &t_err));
    T_TRUE(rs_sampler_draw(s, logits, ctx, 2, &left, &n) >= 0);
    T_EQ(n, 2);
    T_EQ(left[0].id, 1);
    T_NEAR(left[1].logit, 3 - 2 - 2, 1e-6, 0);
    rs_sampler_free(s);
}

static void refused(void)
{
    const rs_logit_bias nan_bias = {0, NAN}, far = {9, 1};
    static const char *const words[] = {"top_p is 1.5, outside of 0 to 1",
                                        "temperature is nan",
                                        "mirostat is 1",
                                        "no sampler \"top_q\"",
                                        "stands in the order twice",
                                        "the logit bias of the id 0 is nan",
                                        "is for the id 9, outside of 0 to 4",
                                        "repeat_penalty is 0",
                                        "dry_base is 0.5",
                                        "xtc_threshold is -1"};
    for (int i = 0; i < COUNT(words); i++) {
        rs_sampler_params p = rs_sampler_defaults();
        rs_sampler *s;
        if (i == 0) p.top_p = 1.5;
        if (i == 1) p.temperature = NAN;
        if (i == 2) p.mirostat = 1;
        if (i == 3) snprintf(p.order, sizeof p.order, "top_k;top_q");
        if (i == 4) snprintf(p.order, sizeof p.order, "top_k;top-k");
        if (i == 5) p.bias = &nan_bias, p.n_bias = 1;
        if (i == 6) p.bias = &far, p.n_bias = 1;
        if (i == 7) p.repeat_penalty = 0;
        if (i == 8) p.dry_base = 0.5;
        if (i == 9) p.xtc_threshold = -1;
        T_FAILS(rs_sampler_new(&p, 5, &s, &t_err), RS_E_INVALID, words[i]);
        T_TRUE(s == NULL);
    }
}

T_MAIN(T_TEST(by_hand), T_TEST(each_stage), T_TEST(whole_chains),
       T_TEST(large_vocabulary), T_TEST(orders), T_TEST(refused))
