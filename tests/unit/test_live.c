/* core/live against the written merge and against fresh runs. */
#include "base/rng.h"
#include "live/live.h"
#include "merge/execute.h"
#include "merge/factors.h"
#include "merge/plan_internal.h"
#include "model/generate.h"
#include "tests/t.h"

static const char RECIPE[] = "tests/golden/demo/luchador-miniature.json";

typedef struct bench {
    rs_runtime rt;
    rs_recipe *recipe;
    rs_live *live;
} bench;

static rs_plan *plan_of(const rs_runtime *rt, const rs_recipe *r)
{
    rs_plan *p = NULL;
    rs_plan_options o = {0};
    if (rs_plan_build(rt, r, &o, &p, &t_err) != RS_OK) printf("plan: %s\n", t_err.msg);
    return p;
}

static bool open_bench(bench *b)
{
    rs_options o = {.threads = 2};
    *b = (bench){0};
    return rs_init(&o, &b->rt, &t_err) == RS_OK &&
           rs_recipe_load(RECIPE, &b->recipe, &t_err) == RS_OK &&
           rs_live_open(&b->rt, plan_of(&b->rt, b->recipe), NULL, NULL, NULL, &b->live,
                        &t_err) == RS_OK;
}

static void close_bench(bench *b)
{
    rs_live_close(b->live);
    rs_recipe_free(b->recipe);
    rs_quit(&b->rt);
}

/* Gain of one layer, and one t, as the workbench's sliders would set them. */
static bool set_values(rs_recipe *r, const rs_config *c, int layer, double gain, double t)
{
    rs_factors *f;
    rs_t_table *table;
    rs_stage *fuel = rs_recipe_fuel(r), *heal = rs_recipe_heal(r);
    if (rs_factors_from(&fuel->gain, c, &f, &t_err) != RS_OK) return false;
    f->layer[layer] = gain;
    bool ok = rs_factors_store(f, c, r, &fuel->gain, &t_err) == RS_OK;
    rs_factors_free(f);
    if (!ok || !heal || rs_t_table_from(&heal->t, c, &table, &t_err) != RS_OK) return ok;
    table->layer[layer] = t;
    ok = rs_t_table_store(table, c, r, &heal->t, &t_err) == RS_OK;
    rs_t_table_free(table);
    return ok;
}

/* The next recipe of a random walk: a layer's gain and t, or lambda. */
static rs_recipe *edited(const rs_recipe *r, const rs_config *c, rs_rng *rng)
{
    rs_recipe *next = NULL;
    if (rs_recipe_clone(r, &next, &t_err) != RS_OK) return NULL;
    int layer = (int)(rs_rng_next(rng) % (uint64_t)c->n_layers);
    if (rs_rng_next(rng) % 5 == 0) rs_recipe_fuel(next)->dampen.lambda = 1 + rs_rng_uniform(rng);
    else if (!set_values(next, c, layer, rs_rng_uniform(rng), 0.3 * rs_rng_uniform(rng))) {
        rs_recipe_free(next);
        return NULL;
    }
    return next;
}

/* Follows next, whose plan is made from the live's; the recipe before it is freed. */
static rs_status follow(bench *b, rs_recipe *next, rs_live_change *change)
{
    rs_plan *p;
    rs_plan_options o = {0};
    rs_status s = rs_plan_rebuild(&b->rt, rs_live_plan(b->live), next, &o, &p, &t_err);
    if (s == RS_OK) s = rs_live_follow(&b->rt, b->live, p, NULL, NULL, change, &t_err);
    rs_recipe_free(b->recipe);
    b->recipe = next;
    return s;
}

static bool equals_file(const bench *b, const rs_checkpoint *c, int i)
{
    const rs_plan_tensor *t = rs_plan_at(rs_live_plan(b->live), i);
    uint64_t n = 0;
    const void *mine = rs_live_tensor(b->live, i, &n);
    const rs_tensor *file = rs_checkpoint_find(c, t->name);
    if (!mine) return true; /* towers and inert tensors are not held */
    if (!file || file->n_bytes != n) return false;
    void *bytes = malloc(n);
    bool same = bytes && rs_checkpoint_read_raw(c, file, 0, n, bytes, &t_err) == RS_OK &&
                memcmp(bytes, mine, n) == 0;
    free(bytes);
    if (!same) printf("  %s differs\n", t->name);
    return same;
}

static void bytes_are_those_of_the_merge(void)
{
    bench b;
    rs_rng rng = rs_rng_stream(1, 2);
    char out[256];
    T_TRUE(open_bench(&b));
    snprintf(out, sizeof out, "%s/merged", t_folder());
    for (int round = 0; round < 3; round++) {
        rs_live_change change;
        rs_recipe *next = edited(b.recipe, rs_live_model(b.live)->config, &rng);
        T_TRUE(next);
        T_OK(follow(&b, next, &change));
    }
    rs_plan *p = plan_of(&b.rt, b.recipe);
    T_TRUE(p);
    rs_execute_options o = {.out = out};
    rs_execute_result r;
    T_OK(rs_execute(&b.rt, p, &o, &r, &t_err));
    rs_checkpoint *c;
    T_OK(rs_checkpoint_open(out, &c, &t_err));
    int held = 0;
    for (int i = 0; i < rs_plan_count(p); i++) {
        T_TRUE(equals_file(&b, c, i));
        held += rs_live_tensor(b.live, i, NULL) != NULL;
    }
    T_TRUE(held > 100);
    rs_checkpoint_close(c);
    rs_plan_free(p);
    close_bench(&b);
}

static const int32_t PROMPT[] = {2, 700, 31, 950, 1204, 88, 17, 640, 333, 1500, 12, 45, 901};
enum { N_PROMPT = sizeof PROMPT / sizeof *PROMPT };

static rs_generator *generator_of(const bench *b, rs_tokenizer *t, const int32_t *ids,
                                  int64_t n, bool keep)
{
    rs_generator *g = NULL;
    rs_generate_params p = {.sampler = rs_sampler_defaults(),
                            .max_tokens = 400,
                            .ignore_eos = true,
                            .keep_inputs = keep};
    p.sampler.temperature = 0;
    if (rs_generator_new(&b->rt, rs_live_model(b->live), t, ids, n, &p, &g, &t_err) != RS_OK)
        printf("generator: %s\n", t_err.msg);
    return g;
}

/* A generator that lived through changes of weights agrees with one that begins now. */
static void compare_with_fresh(const bench *b, rs_tokenizer *t, rs_generator *g)
{
    int64_t n_prompt, n;
    const int32_t *ids = rs_generator_ids(g, &n_prompt, &n);
    rs_generator *fresh = generator_of(b, t, ids, n, false);
    rs_token_event one, two;
    T_TRUE(fresh);
    T_OK(rs_generator_step(fresh, &two, &t_err));
    T_OK(rs_generator_step(g, &one, &t_err));
    T_EQ(one.id, two.id);
    T_NEAR(one.logprob, two.logprob, 2e-4, 0);
    rs_generator_free(fresh);
}

static void walk(bool keep, int n_edits)
{
    bench b;
    rs_tokenizer *t;
    rs_rng rng = rs_rng_stream(keep ? 11 : 12, 0);
    T_TRUE(open_bench(&b));
    T_OK(rs_tokenizer_load("recipes/sparring/it", &t, &t_err));
    rs_generator *g = generator_of(&b, t, PROMPT, N_PROMPT, keep);
    T_TRUE(g);
    for (int i = 0; i < n_edits; i++) {
        rs_token_event e;
        for (int k = 0; k < 7; k++) T_OK(rs_generator_step(g, &e, &t_err));
        rs_live_change change;
        const rs_config *c = rs_live_model(b.live)->config;
        rs_recipe *next = edited(b.recipe, c, &rng);
        T_TRUE(next);
        T_OK(follow(&b, next, &change));
        if (change.n_done == 0) continue;
        int first = keep ? change.first_layer : -1;
        bool kv = keep ? change.first_changed_kv : true;
        T_OK(rs_generator_weights_changed(g, first, kv, NULL, NULL, &t_err));
        compare_with_fresh(&b, t, g);
        if (t_result != T_PASSED) return;
    }
    rs_generator_free(g);
    rs_tokenizer_free(t);
    close_bench(&b);
}

static void edits_while_writing_equal_a_fresh_run(void) { walk(true, 20); }
static void so_they_do_without_kept_inputs(void) { walk(false, 5); }

static void an_edit_makes_only_its_layer(void)
{
    bench b;
    rs_live_change change;
    T_TRUE(open_bench(&b));
    const rs_config *c = rs_live_model(b.live)->config;
    rs_recipe *next = NULL;
    T_OK(rs_recipe_clone(b.recipe, &next, &t_err));
    T_OK(follow(&b, next, &change));
    T_EQ(change.n_stale, 0);
    T_EQ(change.first_layer, c->n_layers);
    T_OK(rs_recipe_clone(b.recipe, &next, &t_err));
    T_TRUE(set_values(next, c, 5, 0.25, 0.15));
    T_OK(follow(&b, next, &change));
    T_EQ(change.first_layer, 5);
    T_TRUE(change.first_changed_kv); /* k and v have a delta there */
    T_TRUE(change.n_done > 0 && change.n_done < 12);
    close_bench(&b);
}

static bool stop_at_third(void *ctx, const rs_progress *p)
{
    (void)p;
    return ++*(int *)ctx < 3;
}

static void what_was_cut_short_is_made_up(void)
{
    bench b;
    rs_live_change change;
    rs_plan_options o = {0};
    rs_plan *p;
    int calls = 0;
    T_TRUE(open_bench(&b));
    rs_recipe *next = NULL, *again = NULL;
    T_OK(rs_recipe_clone(b.recipe, &next, &t_err));
    rs_recipe_fuel(next)->dampen.lambda = 7;
    T_OK(rs_plan_rebuild(&b.rt, rs_live_plan(b.live), next, &o, &p, &t_err));
    T_FAILS(rs_live_follow(&b.rt, b.live, p, stop_at_third, &calls, &change, &t_err),
            RS_E_CANCELLED, "given up");
    T_TRUE(change.n_done < change.n_stale);
    T_EQ(change.first_layer, 0);
    int left = change.n_stale - change.n_done;
    T_OK(rs_recipe_clone(next, &again, &t_err));
    T_OK(rs_plan_rebuild(&b.rt, rs_live_plan(b.live), again, &o, &p, &t_err));
    T_OK(rs_live_follow(&b.rt, b.live, p, NULL, NULL, &change, &t_err));
    T_EQ(change.n_done, left);
    rs_recipe_free(b.recipe);
    rs_recipe_free(next);
    b.recipe = again;
    close_bench(&b);
}

static void sharing_costs_only_what_differs(void)
{
    bench a;
    rs_live *b;
    rs_recipe *other = NULL;
    T_TRUE(open_bench(&a));
    uint64_t alone = rs_live_bytes(a.live);
    T_OK(rs_recipe_clone(a.recipe, &other, &t_err));
    T_TRUE(set_values(other, rs_live_model(a.live)->config, 2, 0, 0.5));
    rs_plan *p = plan_of(&a.rt, other);
    uint64_t need = rs_live_need(p, a.live);
    T_TRUE(need > 0 && need < alone / 4);
    T_OK(rs_live_open(&a.rt, p, a.live, NULL, NULL, &b, &t_err));
    T_NEAR((double)(rs_live_bytes(a.live) + rs_live_bytes(b)), (double)(alone + need), 400, 0);
    /* What the one changes the other does not see. */
    int i = 0;
    while (strstr(rs_plan_at(rs_live_plan(b), i)->name, "layers.4.mlp.up_proj") == NULL) i++;
    uint64_t n;
    const unsigned char *seen = rs_live_tensor(b, i, &n);
    T_TRUE(seen == rs_live_tensor(a.live, i, NULL));
    unsigned char *copy = malloc(n);
    memcpy(copy, seen, n);
    rs_live_change change;
    rs_recipe *next = NULL;
    T_OK(rs_recipe_clone(a.recipe, &next, &t_err));
    T_TRUE(set_values(next, rs_live_model(a.live)->config, 4, 0.1, 0.15));
    T_OK(follow(&a, next, &change));
    T_TRUE(memcmp(copy, rs_live_tensor(a.live, i, NULL), n) != 0);
    T_TRUE(memcmp(copy, rs_live_tensor(b, i, NULL), n) == 0);
    close_bench(&a); /* first: b goes on with what they shared */
    T_TRUE(memcmp(copy, rs_live_tensor(b, i, NULL), n) == 0);
    free(copy);
    rs_live_close(b);
    rs_recipe_free(other);
}

static void changes_add_up(void)
{
    rs_live_change sum = {.first_layer = 6, .first_changed_kv = true};
    rs_live_change more = {.n_stale = 2, .n_done = 1, .first_layer = 3};
    rs_live_change_add(&sum, &more);
    T_EQ(sum.first_layer, 3);
    T_TRUE(!sum.first_changed_kv);
    more.first_changed_kv = true;
    rs_live_change_add(&sum, &more);
    T_TRUE(sum.first_changed_kv);
    more = (rs_live_change){.first_layer = 5, .first_changed_kv = false};
    rs_live_change_add(&sum, &more);
    T_EQ(sum.first_layer, 3);
    T_TRUE(sum.first_changed_kv);
    T_EQ(sum.n_done, 2);
}

static int count_views(const rs_plan *p)
{
    int n = 0;
    for (const rs_view *v = p->sources->views; v; v = v->next)
        n++;
    return n;
}

static long resident_pages(void)
{
    long size = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f && fscanf(f, "%ld %ld", &size, &resident) != 2) resident = 0;
    if (f) fclose(f);
    return resident;
}

/* A long session: what an edit leaves behind goes with the plan that it replaces. */
static void edits_leave_nothing(void)
{
    static const rs_normaliser kinds[] = {RS_NORM_MEAN, RS_NORM_RANK, RS_NORM_P99,
                                          RS_NORM_LOG};
    bench b;
    rs_live_change change;
    T_TRUE(open_bench(&b));
    const rs_config *c = rs_plan_config(rs_live_plan(b.live));
    long before = 0;
    for (int i = 0; i < 200; i++) {
        rs_recipe *next = NULL;
        T_OK(rs_recipe_clone(b.recipe, &next, &t_err));
        T_TRUE(set_values(next, c, i % c->n_layers, 0.5 + i % 3, 0.1));
        rs_dampen_spec *d = &rs_recipe_fuel(next)->dampen;
        if (i % 10 == 0) {
            d->normaliser = kinds[i / 10 % 4];
            d->per_tensor = i / 40 % 2;
            d->over = i / 80 % 2 ? RS_OVER_ALL : RS_OVER_TARGETS;
        }
        T_OK(follow(&b, next, &change));
        T_EQ(count_views(rs_live_plan(b.live)), 1);
        if (i == 80) before = resident_pages();
    }
    T_TRUE(before > 0 && resident_pages() - before < 512); /* 2 MB */
    close_bench(&b);
}

/* An edit that only moves a slider needs no pass over the Fisher. */
static void a_view_outlives_its_plan(void)
{
    bench b;
    rs_live_change change;
    T_TRUE(open_bench(&b));
    const rs_view *view = rs_live_plan(b.live)->sources->views;
    rs_recipe *next = NULL;
    T_OK(rs_recipe_clone(b.recipe, &next, &t_err));
    rs_recipe_fuel(next)->dampen.lambda = 2.5;
    T_OK(follow(&b, next, &change));
    T_TRUE(view && rs_live_plan(b.live)->sources->views == view);
    close_bench(&b);
}

T_MAIN(T_TEST(edits_leave_nothing), T_TEST(a_view_outlives_its_plan), T_TEST(changes_add_up), T_TEST(an_edit_makes_only_its_layer),
       T_TEST(bytes_are_those_of_the_merge), T_TEST(edits_while_writing_equal_a_fresh_run),
       T_TEST(so_they_do_without_kept_inputs), T_TEST(what_was_cut_short_is_made_up),
       T_TEST(sharing_costs_only_what_differs))
