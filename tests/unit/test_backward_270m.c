/* The gradient of a published model, Gemma 3 270M from its GGUF (RS_GEMMA270), against a
 * float64 run (fixtures/gemma3-270m). Skipped where either is absent. */
#include "base/json.h"
#include "learn/backward.h"
#include "learn/gradients.h"
#include "tests/forward.h"

enum { LONGEST = 2048 };

static double l2_of(const float *v, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)v[i] * (double)v[i];
    return sqrt(sum);
}

/* What the fixture tells of one tensor: its norm, some numbers, for the table some rows. */
static double off_of(const rs_json *t, const float *g, int64_t n, int64_t cols)
{
    double l2 = rs_json_number(rs_json_get(t, "l2")), off = fabs(l2_of(g, n) - l2) / l2;
    int64_t at = (int64_t)rs_json_number(rs_json_get(t, "max_at"));
    off = t_max(off, fabs((double)g[at] - rs_json_number(rs_json_get(t, "max"))) / l2);
    int k = 0;
    const rs_json *v = rs_json_first(rs_json_get(t, "first8"));
    for (; v; v = rs_json_next(v), k++)
        off = t_max(off, fabs((double)g[k] - rs_json_number(v)) / l2);
    const rs_json *row = rs_json_first(rs_json_get(t, "rows"));
    for (; row; row = rs_json_next(row)) {
        const float *gr = g + strtoll(rs_json_key(row), NULL, 10) * cols;
        off = t_max(off,
                   fabs(l2_of(gr, cols) - rs_json_number(rs_json_get(row, "l2"))) / l2);
    }
    return off;
}

static int64_t listed_ids(const rs_json *doc, int32_t ids[LONGEST])
{
    int64_t n = 0;
    const rs_json *v = rs_json_first(rs_json_get(doc, "token_ids"));
    for (; v && n < LONGEST; v = rs_json_next(v))
        ids[n++] = (int32_t)rs_json_number(v);
    return n;
}

/* How many tensors of `doc` have a gradient in `g` that is off by at most `limit` of its
 * norm; those that are not are printed. */
static int count_within(const rs_config *config, const rs_gradients *g,
                        const rs_json *doc, double limit, double *worst)
{
    int count = 0;
    const rs_json *t = rs_json_first(rs_json_get(doc, "tensors"));
    for (; t; t = rs_json_next(t)) {
        int layer;
        const char *name = rs_json_string(rs_json_get(t, "hf"));
        const rs_slot *slot = rs_slot_of(config, name, &layer);
        if (!slot) continue;
        int64_t rows = rs_slot_size(config, layer, slot->rows);
        int64_t cols =
            slot->cols == RS_SIZE_NONE ? 1 : rs_slot_size(config, layer, slot->cols);
        double off = off_of(t, rs_gradients_of(g, layer, slot), rows * cols, cols);
        if (off <= limit)
            count++;
        else
            printf("  %s is off by %.1e\n", name, off);
        *worst = t_max(*worst, off);
    }
    return count;
}

static void gradient_of_the_270m(void)
{
    const char *gguf = t_gemma270(), *path = t_shared("fixtures/gemma3-270m/gradient.json");
    if (!gguf) T_NO_GEMMA270();
    if (!path) T_SKIP("the shared fixtures are not there");
    static int32_t ids[LONGEST];
    subject m;
    rs_gradients *g;
    rs_work *w;
    rs_sequence *s;
    rs_json *doc;
    T_OK(rs_json_read_file(path, 1 << 22, &doc, &t_err));
    T_OK(open_subject(gguf, 2, NULL, &m));
    int64_t n = listed_ids(doc, ids);
    T_OK(rs_gradients_new(&m.rt, m.config, &g, &t_err));
    T_OK(rs_work_new(&m.rt, m.model, n, &w, &t_err));
    T_OK(rs_sequence_new(m.config, n, true, &s, &t_err));
    T_OK(rs_sequence_set(s, ids, NULL, n, &t_err));
    rs_sink sink = rs_gradients_sink(g);
    double loss, worst = 0;
    T_OK(rs_backward_all(w, s, 1.0 / (double)(n - 1), &sink, &loss, &t_err));
    T_NEAR(loss / (double)(n - 1), rs_json_number(rs_json_get(doc, "loss")), 5e-6, 0);
    int count = count_within(m.config, g, doc, 1e-4, &worst);
    printf("  %d tensors, %lld tokens, worst %.1e of a tensor's norm\n", count,
           (long long)n, worst);
    T_EQ(count, 236);
    rs_sequence_free(s);
    rs_work_free(w);
    rs_gradients_free(g);
    rs_json_free(doc);
    close_subject(&m);
}

T_MAIN(T_TEST(gradient_of_the_270m))
