/* What the sampler draws: the best, fair shares, streams that do not mix, mirostat. */
#include "tests/sampler_plain.h"

static void greedy(void)
{
    float logits[] = {1, 3, 2, 3, NAN};
    rs_sampler_params p = rs_sampler_defaults();
    rs_sampler *s;
    const rs_candidate *left;
    int n;
    p.temperature = 0;
    p.xtc_probability = 1; /* truncations do nothing here */
    T_OK(rs_sampler_new(&p, 5, &s, &t_err));
    T_EQ(rs_sampler_draw(s, logits, NULL, 0, &left, &n), 1);
    T_EQ(n, 1);
    T_NEAR(left[0].p, 1, 0, 0);
    rs_sampler_free(s);
    const int32_t ctx[] = {1};
    p.presence_penalty = 0.5;
    T_OK(rs_sampler_new(&p, 5, &s, &t_err));
    T_EQ(rs_sampler_draw(s, logits, ctx, 1, NULL, NULL), 3);
    for (int i = 0; i < 5; i++)
        logits[i] = i % 2 ? NAN : -INFINITY;
    T_EQ(rs_sampler_draw(s, logits, ctx, 1, NULL, NULL), -1);
    rs_sampler_free(s);
}

/* Pearson's statistic of the draws from a known distribution. */
static void draw_is_fair(void)
{
    const double p_want[] = {0.4, 0.25, 0.15, 0.1, 0.06, 0.04};
    enum { N = 60000 };
    float logits[6];
    int seen[6] = {0};
    for (int i = 0; i < 6; i++)
        logits[5 - i] = (float)log(p_want[i]);
    rs_sampler_params p = off();
    p.seed = 11;
    rs_sampler *s;
    T_OK(rs_sampler_new(&p, 6, &s, &t_err));
    for (int i = 0; i < N; i++)
        seen[5 - rs_sampler_draw(s, logits, NULL, 0, NULL, NULL)]++;
    double x = 0;
    for (int i = 0; i < 6; i++)
        x += (seen[i] - N * p_want[i]) * (seen[i] - N * p_want[i]) / (N * p_want[i]);
    if (x > 20.5) T_FAIL("chi-square is %g, beyond the 0.1 %% point of 5 degrees", x);
    rs_sampler_free(s);
}

/* XTC's stream is its own: with nothing for it to drop, the drawn tokens stay the same. Equal
 * seeds give equal tokens, others do not. */
static void streams(void)
{
    float logits[64];
    int32_t drawn[4][100];
    rs_rng r = rs_rng_stream(1, 0);
    for (int i = 0; i < 64; i++)
        logits[i] = noise(&r, 2);
    for (int k = 0; k < 4; k++) {
        rs_sampler_params p = off();
        p.seed = k == 3 ? 5 : 4;
        if (k == 1) p.xtc_probability = 0.5, p.xtc_threshold = 0.4;
        rs_sampler *s;
        T_OK(rs_sampler_new(&p, 64, &s, &t_err));
        for (int i = 0; i < 100; i++)
            drawn[k][i] = rs_sampler_draw(s, logits, NULL, 0, NULL, NULL);
        rs_sampler_free(s);
    }
    T_TRUE(memcmp(drawn[0], drawn[1], sizeof drawn[0]) == 0);
    T_TRUE(memcmp(drawn[0], drawn[2], sizeof drawn[0]) == 0);
    T_TRUE(memcmp(drawn[0], drawn[3], sizeof drawn[0]) != 0);
}

/* XTC strikes as often as it should. */
static void xtc_probability(void)
{
    const float logits[] = {2, 1.9f, 0};
    rs_sampler_params p = off();
    p.xtc_probability = 0.3;
    rs_sampler *s;
    const rs_candidate *left;
    int n, struck = 0;
    T_OK(rs_sampler_new(&p, 3, &s, &t_err));
    for (int i = 0; i < 10000; i++) {
        T_TRUE(rs_sampler_draw(s, logits, NULL, 0, &left, &n) >= 0);
        struck += n < 3;
    }
    T_NEAR(struck, 3000, 230, 0); /* five standard deviations */
    rs_sampler_free(s);
}

static void mirostat(void)
{
    float logits[300];
    rs_rng r = rs_rng_stream(2, 0);
    for (int i = 0; i < 300; i++)
        logits[i] = noise(&r, 5);
    rs_sampler_params p = off();
    p.mirostat = 2;
    p.mirostat_tau = 3;
    p.top_k = 1; /* left out */
    rs_sampler *s;
    T_OK(rs_sampler_new(&p, 300, &s, &t_err));
    long double mu = 6, mean = 0, pr[MAX];
    static plain c;
    for (int step = 0; step < 2000; step++) {
        const rs_candidate *left;
        int n;
        c.n = 300;
        for (int i = 0; i < 300; i++)
            c.id[i] = i, c.l[i] = logits[i];
        sort_plain(&c);
        probabilities(&c, pr);
        int kept = 0;
        while (kept < 300 && -log2l(pr[kept]) <= mu)
            kept++;
        int32_t id = rs_sampler_draw(s, logits, NULL, 0, &left, &n);
        T_EQ(n, kept > 0 ? kept : 1);
        c.n = n;
        probabilities(&c, pr);
        for (int i = 0; i < n; i++)
            if (c.id[i] == id) {
                mu -= 0.1L * (-log2l(pr[i]) - 3);
                mean += -log2l(pr[i]) / 2000;
            }
    }
    T_NEAR((double)mean, 3, 0.15, 0);
    rs_sampler_free(s);
}

T_MAIN(T_TEST(greedy), T_TEST(draw_is_fair), T_TEST(streams), T_TEST(xtc_probability),
       T_TEST(mirostat))
