/* Subspace masks in plans: what must hold of the sparring models with a subspace of rank 16
 * between pt and it. */
#include "tests/masks.h"

#include "learn/subspace.h"
#include "live/live.h"
#include "merge/eval.h"
#include "merge/execute.h"
#include "merge/measure.h"
#include "merge/memory.h"


static char subspace[600];

static bool make_subspace(void)
{
    rs_checkpoint *pt, *it;
    rs_config *c;
    rs_subspace_result result;
    snprintf(subspace, sizeof subspace, "%s/s.safetensors", t_folder());
    rs_subspace_options o = {.rank = 16, .out = subspace};
    if (rs_checkpoint_open("recipes/sparring/pt", &pt, &t_err) != RS_OK ||
        rs_checkpoint_open("recipes/sparring/it", &it, &t_err) != RS_OK ||
        rs_config_load(it, &c, &t_err) != RS_OK ||
        rs_subspace_run(&rt, pt, it, c, &o, &result, &t_err) != RS_OK)
        return printf("%s\n", t_err.msg), false;
    rs_config_free(c);
    rs_checkpoint_close(pt);
    rs_checkpoint_close(it);
    return true;
}

#define LORAS "{\"from\":\"gothic\"},{\"from\":\"comic\",\"weight\":0.5}"
#define WITH_PT LORAS ",{\"from\":\"pt\",\"weight\":0.3}"

/* more: members of the fuel stage, beginning with a comma. */
static rs_status try_plan(const char *inputs, const char *more, const char *heal,
                          const char *dtype, rs_recipe **r, rs_plan **p)
{
    char text[12000];
    snprintf(text, sizeof text,
             "{\"ringside\":1,\"models\":{\"it\":{\"path\":\"%s/recipes/sparring/it\"},"
             "\"pt\":{\"path\":\"%s/recipes/sparring/pt\"},\"gothic\":{\"adapter\":"
             "\"%s/recipes/sparring/lora/gothic\"},\"comic\":{\"adapter\":"
             "\"%s/recipes/sparring/lora/comic\"}},\"measures\":{\"s\":{\"subspace\":"
             "\"%s\"},\"f\":{\"fisher\":\"%s/tests/golden/demo/sparring/fisher/"
             "it-instruct.safetensors\",\"scale\":\"per_token\"}},\"stages\":[{\"name\":"
             "\"fuel\",\"method\":\"task_arithmetic\",\"base\":\"it\",\"inputs\":[%s],"
             "\"scale\":0.3%s}%s],\"output\":{\"dtype\":\"%s\"}}",
             root, root, root, root, subspace, root, inputs, more, heal, dtype);
    RS_TRY(rs_recipe_parse(text, strlen(text), ".", "x", r, &t_err));
    kept(*r);
    return rs_plan_build(&rt, *r, NULL, p, &t_err);
}

static rs_plan *plan_of(const char *inputs, const char *more, const char *dtype)
{
    rs_recipe *r;
    rs_plan *p = NULL;
    if (try_plan(inputs, more, "", dtype, &r, &p) != RS_OK) printf("%s\n", t_err.msg);
    kept(p);
    return p;
}

static int index_of(const rs_plan *p, const char *part)
{
    for (int i = 0; i < rs_plan_count(p); i++)
        if (strstr(rs_plan_at(p, i)->name, part)) return i;
    return -1;
}

static void *bytes_of(const rs_plan *p, int i)
{
    void *dst = malloc((size_t)rs_plan_at(p, i)->out_bytes + 1);
    if (rs_plan_produce_tensor(&rt, p, i, dst, &t_err) == RS_OK) return dst;
    printf("%s\n", t_err.msg);
    free(dst);
    return NULL;
}

/* All tensors by ranges of an odd length, each with the same workspace. */
static bool same_by_ranges(const rs_plan *p, int64_t step)
{
    rs_workspace *ws;
    bool same = rs_workspace_new(&rt, &ws, &t_err) == RS_OK;
    for (int i = 0; i < rs_plan_count(p) && same; i++) {
        const rs_plan_tensor *t = rs_plan_at(p, i);
        int64_t n = t->base->n_elements, size = (int64_t)t->out_bytes / n;
        char *whole = bytes_of(p, i), *parts = malloc((size_t)t->out_bytes + 1);
        for (int64_t at = 0; at < n && same; at += step)
            same = rs_plan_produce(&rt, p, ws, i, at, n - at < step ? n - at : step,
                                   parts + at * size, &t_err) == RS_OK;
        same = same && whole && memcmp(whole, parts, (size_t)t->out_bytes) == 0;
        if (!same) printf("  %s differs by ranges of %d\n", t->name, (int)step);
        free(whole);
        free(parts);
    }
    rs_workspace_free(ws);
    return same;
}

static rs_hash128 hash_of(const rs_plan *p)
{
    rs_buf all = {0};
    for (int i = 0; i < rs_plan_count(p); i++) {
        void *b = bytes_of(p, i);
        if (b) rs_buf_add(&all, b, (size_t)rs_plan_at(p, i)->out_bytes);
        free(b);
    }
    rs_hash128 h = rs_hash(all.data, all.len);
    rs_buf_free(&all);
    return h;
}

static const char *const masks[] = {
    ",\"mask\":{\"by\":\"s\",\"side\":\"out\"}",
    ",\"mask\":{\"by\":\"s\",\"side\":\"in\",\"strength\":0.7}",
    ",\"mask\":{\"by\":\"s\",\"side\":\"both\",\"strength\":0.7}",
    ",\"mask\":{\"by\":\"s\",\"side\":\"block\"},\"dampen\":{\"by\":\"f\"}",
    ",\"mask\":{\"by\":\"s\"},\"order\":\"mask_last\",\"dampen\":{\"by\":\"f\",\"lambda\":"
    "3,\"clamp\":true},\"gain\":{\"master\":1.3}",
    ",\"mask\":{\"by\":\"s\",\"per_layer\":true},\"order\":\"mask_last\",\"dampen\":{\"by\":"
    "\"f\",\"kind\":\"none\"}"};
enum { N_MASKS = sizeof masks / sizeof *masks };

static void same_bytes_whatever_threads_ranges_and_instructions(void)
{
    static const struct {
        const char *isa;
        int threads;
    } ways[] = {{"base", 1}, {NULL, 3}, {"avx2", 2}};
    rs_hash128 first[2 * N_MASKS];
    T_TRUE(start(NULL, 2) && make_subspace());
    for (int w = 0; w < 3; w++) {
        rs_runtime other;
        rs_options o = {.isa = ways[w].isa, .threads = ways[w].threads};
        if (rs_init(&o, &other, &t_err) != RS_OK) {
            T_TRUE(ways[w].isa && strcmp(ways[w].isa, "avx2") == 0); /* not everywhere */
            continue;
        }
        rs_quit(&other);
        T_TRUE(start(ways[w].isa, ways[w].threads));
        for (int m = 0; m < 2 * N_MASKS; m++) {
            rs_plan *p = plan_of(m < N_MASKS ? LORAS : WITH_PT, masks[m % N_MASKS],
                                 m % 2 ? "bfloat16" : "float32");
            T_TRUE(p);
            rs_hash128 h = hash_of(p);
            if (w == 0) first[m] = h;
            T_TRUE(memcmp(&h, &first[m], sizeof h) == 0);
            if (w == 1) T_TRUE(same_by_ranges(p, m % 2 ? 5003 : 70001));
            rs_plan_free(p);
        }
        for (int m = 1; m < 2 * N_MASKS && w == 0; m++)
            T_TRUE(memcmp(&first[m], &first[m - 1], sizeof *first) != 0);
    }
}

static void strength_0_is_no_mask(void)
{
    T_TRUE(start(NULL, 2) && make_subspace());
    rs_plan *without = plan_of(WITH_PT, "", "float32");
    rs_plan *zero = plan_of(
        WITH_PT, ",\"mask\":{\"by\":\"s\",\"strength\":0},\"order\":\"mask_last\"", "float32");
    rs_plan *some =
        plan_of(WITH_PT, ",\"mask\":{\"by\":\"s\",\"strength\":1e-9}", "float32");
    rs_plan *more = plan_of(WITH_PT, ",\"mask\":{\"by\":\"s\",\"strength\":0.5}", "float32");
    T_TRUE(without && zero && some && more);
    int differ = 0;
    for (int i = 0; i < rs_plan_count(without); i++) {
        uint64_t f = rs_plan_fingerprint(without, i);
        T_TRUE(f == rs_plan_fingerprint(zero, i));
        bool masked = without->sources->subspaces[0].entry[i] != NULL &&
                      rs_plan_at(without, i)->has_delta;
        T_EQ(f != rs_plan_fingerprint(some, i), masked);
        T_EQ(rs_plan_fingerprint(more, i) != rs_plan_fingerprint(some, i), masked);
        differ += masked;
    }
    T_EQ(differ, 68);
    rs_hash128 a = hash_of(without), b = hash_of(zero), c = hash_of(more);
    T_TRUE(memcmp(&a, &b, sizeof a) == 0 && memcmp(&a, &c, sizeof a) != 0);
}

/* Of sums of deltas the mask takes the sum of what it takes of each. */
static void a_mask_is_linear(void)
{
    T_TRUE(start(NULL, 2) && make_subspace());
    static const char mask[] = ",\"mask\":{\"by\":\"s\",\"strength\":0.8}";
    rs_plan *a = plan_of("{\"from\":\"gothic\"}", mask, "float32");
    rs_plan *b = plan_of("{\"from\":\"pt\"}", mask, "float32");
    rs_plan *both = plan_of("{\"from\":\"gothic\"},{\"from\":\"pt\"}", mask, "float32");
    rs_plan *none = plan_of("", "", "float32");
    T_TRUE(a && b && both && none);
    int i = index_of(a, "layers.6.mlp.down_proj");
    float *w = bytes_of(none, i), *x = bytes_of(a, i), *y = bytes_of(b, i);
    float *z = bytes_of(both, i);
    double worst = 0, largest = 0;
    for (int64_t k = 0; k < rs_plan_at(a, i)->base->n_elements; k++) {
        double sum = (double)x[k] + (double)y[k] - 2 * (double)w[k];
        double d = (double)z[k] - (double)w[k];
        worst = t_max(worst, fabs(sum - d));
        largest = t_max(largest, fabs(d));
    }
    T_TRUE(largest > 0.01 && worst < 3e-5 * largest);
    free(w), free(x), free(y), free(z);
}

/* --- what is left inside --- */

static rs_measure *measure(const rs_plan *p, rs_tensor_sums *sums)
{
    rs_measure *m = NULL;
    for (int i = 0; i < rs_plan_count(p); i++)
        if (rs_sums_tensor(&rt, p, i, true, &sums[i], &t_err) != RS_OK)
            return printf("%s\n", t_err.msg), NULL;
    if (rs_measure_from(p, sums, &m, &t_err) != RS_OK) printf("%s\n", t_err.msg);
    return m;
}

#define NOTHING 1e-12 /* of the squares: rounding of x, (6e-8)^2 of it, is far below */

static void leaks(void)
{
    static const struct {
        const char *more, *dtype;
        double out, in, stored; /* at most */
        double least;           /* of the larger side, at least */
    } rows[] = {
        {",\"mask\":{\"by\":\"s\",\"side\":\"out\"}", "float32", NOTHING, 1, 1, 0.01},
        {",\"mask\":{\"by\":\"s\",\"side\":\"in\"}", "float32", 1, NOTHING, 1, 0.01},
        {",\"mask\":{\"by\":\"s\"}", "float32", NOTHING, NOTHING, NOTHING, 0},
        {",\"mask\":{\"by\":\"s\"}", "bfloat16", NOTHING, NOTHING, NOTHING, 0},
        {",\"mask\":{\"by\":\"s\"},\"dampen\":{\"by\":\"f\",\"lambda\":3}", "float32", 0.1,
         0.1, 0.1, 1e-4},
        {",\"mask\":{\"by\":\"s\"},\"order\":\"mask_last\",\"dampen\":{\"by\":\"f\","
         "\"lambda\":3}",
         "float32", NOTHING, NOTHING, NOTHING, 0},
        {",\"mask\":{\"by\":\"s\"},\"order\":\"mask_last\",\"dampen\":{\"by\":\"f\","
         "\"lambda\":3,\"clamp\":true},\"gain\":{\"master\":1.4,\"layers\":{\"2\":0.5}}",
         "float32", NOTHING, NOTHING, NOTHING, 0},
        {"", "bfloat16", 1, 1, 1, 0.01},
    };
    T_TRUE(start(NULL, 2) && make_subspace());
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        rs_plan *p = plan_of(LORAS, rows[k].more, rows[k].dtype);
        T_TRUE(p);
        rs_tensor_sums *sums = kept(calloc((size_t)rs_plan_count(p), sizeof *sums));
        rs_measure *m = measure(p, sums);
        T_TRUE(m);
        int known = 0;
        for (int i = 0; i < m->n_tensors; i++) {
            const rs_measure_row *r = &m->tensor[i];
            if (isnan(r->leak)) continue;
            known++;
            T_TRUE(r->leak_out <= rows[k].out && r->leak_in <= rows[k].in);
            /* Storing W0 + x moves it by half a step of W0 at most, part of it inside. */
            double step = p->recipe->output_dtype == RS_DTYPE_F32 ? 0x1p-25 : 0x1p-9;
            double noise = step / r->norm;
            T_TRUE(r->leak >= 0 && r->stored <= rows[k].stored + noise * noise);
        }
        T_EQ(known, 52);
        T_TRUE(m->all.leak >= rows[k].least && m->layer[3].leak >= rows[k].least);
        rs_measure_free(m);
        rs_plan_free(p);
    }
}

/* |v|^2 is what the Gram sums say, and every number is the same for any threads. */
static void leaks_do_not_depend_on_threads(void)
{
    rs_tensor_sums one, three;
    T_TRUE(start(NULL, 1) && make_subspace());
    for (int m = 0; m < N_MASKS; m++) {
        T_TRUE(start(NULL, 1));
        rs_plan *p = plan_of(WITH_PT, masks[m], "bfloat16");
        int i = index_of(p, "layers.6.mlp.down_proj");
        T_OK(rs_sums_tensor(&rt, p, i, true, &one, &t_err));
        T_TRUE(start(NULL, 3));
        T_OK(rs_sums_tensor(&rt, p, i, true, &three, &t_err));
        T_TRUE(memcmp(&one, &three, sizeof one) == 0);
        T_NEAR(one.leak[0], one.gram[RS_V_DAMPED][RS_V_DAMPED], 0, 1e-12);
        T_TRUE(one.leak[1] >= 0 && one.leak[2] >= 0);
        rs_plan_free(p);
    }
}

/* Of a team one worker may make the mask and another, which took no part, the tensor. */
static void a_fresh_workspace_takes_the_mask(void)
{
    rs_workspace *ws;
    float y[1000];
    T_TRUE(start(NULL, 2) && make_subspace());
    for (int m = 0; m < N_MASKS; m++) {
        rs_plan *p = plan_of(WITH_PT, masks[m], "float32");
        int i = index_of(p, "layers.2.mlp.up_proj");
        float *want = bytes_of(p, i);
        T_OK(rs_plan_prepare(&rt, p, NULL, NULL, &t_err));
        T_OK(rs_workspace_new(&rt, &ws, &t_err));
        rs_eval e = rs_eval_at(&rt, p, ws, i, 5000, 1000, &t_err);
        T_OK(rs_eval_node(&e, p->root, y));
        T_TRUE(memcmp(y, want + 5000, sizeof y) == 0);
        rs_workspace_free(ws);
        rs_plan_free(p);
        free(want);
    }
}

/* A mask is a pass over a tensor: where a gain leaves nothing of the change there is none. */
static void a_gain_of_0_needs_no_mask(void)
{
    rs_workspace *ws;
    T_TRUE(start(NULL, 2) && make_subspace());
    rs_plan *p = plan_of(WITH_PT, ",\"mask\":{\"by\":\"s\"},\"gain\":{\"layers\":{\"2\":0}}",
                         "float32");
    T_TRUE(p);
    for (int gain = 0; gain < 2; gain++) {
        T_OK(rs_workspace_new(&rt, &ws, &t_err));
        int i = index_of(p, gain ? "layers.3.mlp.up_proj" : "layers.2.mlp.up_proj");
        T_OK(rs_plan_ready(&rt, p, ws, i, &t_err));
        T_EQ(ws->n_masks, gain);
        rs_workspace_free(ws);
    }
}

/* What the preview runs is what a merge writes, after edits of the mask. */
static void live_equals_merge(void)
{
    rs_recipe *r, *next;
    rs_plan *p, *q;
    rs_live *live;
    rs_live_change change;
    rs_checkpoint *c;
    char out[600];
    T_TRUE(start(NULL, 2) && make_subspace());
    T_OK(try_plan(WITH_PT, ",\"mask\":{\"by\":\"s\"},\"dampen\":{\"by\":\"f\"}", "",
                  "bfloat16", &r, &p));
    T_OK(rs_live_open(&rt, p, NULL, NULL, NULL, &live, &t_err));
    T_OK(rs_recipe_clone(r, &next, &t_err));
    rs_stage *fuel = rs_recipe_fuel(next);
    fuel->mask.strength = 0.6, fuel->mask.last = true, fuel->mask.side = RS_MASK_IN;
    fuel->dampen.clamp = true;
    fuel->gain.master = 0.9;
    T_OK(rs_plan_rebuild(&rt, rs_live_plan(live), next, NULL, &q, &t_err));
    T_OK(rs_live_follow(&rt, live, q, NULL, NULL, &change, &t_err));
    T_OK(rs_plan_build(&rt, next, NULL, &p, &t_err));
    snprintf(out, sizeof out, "%s/out", t_folder());
    rs_execute_options o = {.out = out, .chunk_bytes = 100000};
    rs_execute_result result;
    T_OK(rs_execute(&rt, p, &o, &result, &t_err));
    T_OK(rs_checkpoint_open(out, &c, &t_err));
    int held = 0;
    for (int i = 0; i < rs_plan_count(p); i++) {
        uint64_t n = 0;
        const rs_tensor *t = rs_checkpoint_find(c, rs_plan_at(p, i)->name);
        const void *mine = rs_live_tensor(live, i, &n);
        if (!mine) continue;
        void *bytes = malloc(n);
        T_TRUE(t && t->n_bytes == n);
        T_OK(rs_checkpoint_read_raw(c, t, 0, n, bytes, &t_err));
        T_TRUE(memcmp(bytes, mine, n) == 0);
        free(bytes);
        held++;
    }
    T_TRUE(held > 100);
    rs_checkpoint_close(c);
    rs_live_close(live);
    rs_plan_free(p);
    rs_recipe_free(next);
}

/* --- what is refused, what is only said --- */

static bool has_warning(const rs_plan *p, const char *text)
{
    for (int i = 0; p && i < rs_plan_n_warnings(p); i++)
        if (strstr(rs_plan_warning(p, i), text)) return true;
    return false;
}

static void fails(const char *more, rs_status status, const char *sentence)
{
    rs_recipe *r;
    rs_plan *p;
    T_FAILS(try_plan(LORAS, more, "", "float32", &r, &p), status, sentence);
}

/* A subspace file with this header, of ones. */
static void put_ones(const char *header, int n)
{
    static unsigned char file[1 << 16];
    static const float one = 1;
    size_t len = strlen(header);
    snprintf(subspace, sizeof subspace, "%s/s.safetensors", t_folder());
    rs_put_le64(file, len);
    memcpy(file + 8, header, len);
    for (int i = 0; i < n; i++)
        memcpy(file + 8 + len + 4 * (size_t)i, &one, 4);
    put_file(subspace, file, 8 + len + 4 * (size_t)n);
}

#define Q "model.layers.0.self_attn.q_proj"
#define ONES(side, rows, bytes)                                                          \
    "{\"" Q "." side "\":{\"dtype\":\"F32\",\"shape\":[" #rows                           \
    ",1],\"data_offsets\":[0," #bytes "]}}"

static void refusals(void)
{
    rs_workspace *ws;
    char dst[64];
    T_TRUE(start(NULL, 2));
    snprintf(subspace, sizeof subspace, "no/such/file");
    fails(",\"mask\":{\"by\":\"s\"}", RS_E_NOT_FOUND, "subspace \"s\": there is no");
    rs_plan *p = plan_of(LORAS, "", "float32");
    T_TRUE(has_warning(p, "leak is not known: subspace \"s\""));
    put_ones(ONES("V", 192, 768), 192);
    fails(",\"mask\":{\"by\":\"s\"}", RS_E_MISMATCH,
          "a mask of side \"both\" needs " Q ".U, and subspace \"s\"");
    p = plan_of(LORAS, ",\"mask\":{\"by\":\"s\",\"side\":\"in\"}", "float32");
    T_TRUE(has_warning(p, "subspace s lacks 51 of the matrices that stage fuel changes"));
    T_OK(rs_workspace_new(&rt, &ws, &t_err));
    T_FAILS(rs_plan_produce(&rt, p, ws, index_of(p, Q), 0, 8, dst, &t_err), RS_E_INVALID,
            "column 0 of " Q ".V has length 13.8");
    rs_workspace_free(ws);
    put_ones(ONES("V", 190, 760), 190);
    fails(",\"mask\":{\"by\":\"s\",\"side\":\"in\"}", RS_E_MISMATCH,
          Q ".V is [190, 1], the model's " Q ".weight is [192, 192]");
    put_ones("{\"x.V\":{\"dtype\":\"F32\",\"shape\":[4,1],\"data_offsets\":[0,16]}}", 4);
    fails(",\"mask\":{\"by\":\"s\",\"side\":\"in\"}", RS_E_MISMATCH,
          "names none of the base's matrices");
}

static void vectors_are_told_of(void)
{
    T_TRUE(start(NULL, 2) && make_subspace());
    rs_plan *p = plan_of(WITH_PT, ",\"mask\":{\"by\":\"s\"}", "float32");
    T_TRUE(p && has_warning(p, "vectors that stage fuel changes are not masked"));
    bool listed = false;
    for (int i = 0; i < rs_plan_n_sources(p); i++) {
        const rs_plan_source *s = rs_plan_source_at(p, i);
        listed |= strcmp(s->kind, "subspace") == 0 && strcmp(s->use, "mask") == 0;
    }
    T_TRUE(listed);
}

/* F_layer times the strength: the layer with the largest Fisher is masked as without. */
static void per_layer(void)
{
    T_TRUE(start(NULL, 2) && make_subspace());
    rs_plan *p = plan_of(
        LORAS, ",\"mask\":{\"by\":\"s\",\"strength\":0.5,\"per_layer\":true},\"dampen\":{"
               "\"by\":\"f\",\"kind\":\"none\"}",
        "float32");
    T_TRUE(p);
    T_OK(rs_plan_prepare(&rt, p, NULL, NULL, &t_err));
    double largest = 0, least = 1;
    for (int i = 0; i < rs_plan_count(p); i++) {
        if (!rs_plan_at(p, i)->has_delta) continue;
        double s = rs_node_strength(p, p->fuel, i);
        if (s > largest) largest = s;
        if (s < least) least = s;
    }
    T_NEAR(largest, 0.5, 0, 0);
    T_TRUE(least > 0 && least < 0.3);
}

/* Memory that is asked for grows with the rank, and a budget below it is refused. */
static void memory_is_counted(void)
{
    rs_memory with, without;
    T_TRUE(start(NULL, 2) && make_subspace());
    rs_plan *p = plan_of(WITH_PT, ",\"mask\":{\"by\":\"s\"}", "float32");
    rs_plan *q = plan_of(WITH_PT, "", "float32");
    T_OK(rs_memory_fit(&rt, p, 0, 0, &with, &t_err));
    T_OK(rs_memory_fit(&rt, q, 0, 0, &without, &t_err));
    /* At least L and R of the largest, and U^T D of each worker. */
    T_TRUE(with.bytes >= without.bytes + (2 * (640 + 192) * 4 + 2 * 640 * 8) * 16);
    T_TRUE(with.bytes <= without.bytes + (8 << 20));
}

T_MAIN(T_TEST(same_bytes_whatever_threads_ranges_and_instructions),
       T_TEST(strength_0_is_no_mask), T_TEST(a_mask_is_linear), T_TEST(leaks),
       T_TEST(leaks_do_not_depend_on_threads), T_TEST(a_fresh_workspace_takes_the_mask),
       T_TEST(a_gain_of_0_needs_no_mask),
       T_TEST(live_equals_merge), T_TEST(refusals),
       T_TEST(vectors_are_told_of), T_TEST(per_layer), T_TEST(memory_is_counted))
