/* Plans on small models: what changes, what stays, what a rebuild keeps. */
#include "tests/merge_plan.h"

static void what_changes(void)
{
    rs_recipe *r;
    start(NULL);
    rs_plan *p = plan_of(
        FISHER, TASK(",\"dampen\":{\"by\":\"f\"},\"gain\":{\"mute\":[\"3\"]}"), "", &r);
    T_TRUE(p != NULL);
    rs_plan_needs n = rs_plan_need(p);
    T_EQ(n.n_tensors, 135);
    T_EQ(n.n_changed, 45);
    T_EQ(n.n_copied, 90);
    const rs_plan_tensor *t = rs_plan_at(p, index_of(p, "layers.3.mlp.up_proj"));
    T_TRUE(t->has_delta && !t->changes && t->gain == 0 && t->n_deltas == 2);
    t = rs_plan_at(p, index_of(p, "layers.4.mlp.up_proj"));
    T_TRUE(t->has_delta && t->changes && t->gain == 1 && isnan(t->t));
    T_EQ(rs_plan_n_sources(p), 4);
    T_STR(rs_plan_source_at(p, 0)->use, "base");
    T_EQ(rs_plan_source_at(p, 1)->n_matched, 52);
    rs_plan_free(p);
    rs_recipe_free(r);
}

/* Merging a model with itself, weights of nothing, gains of nothing: the base, byte for byte. */
static void nothing_is_nothing(void)
{
    static const char *const stages[] = {
        "{\"name\":\"s\",\"method\":\"slerp\",\"t\":0.4,\"inputs\":[{\"from\":\"it\"},{"
        "\"from\":\"it\"}]}",
        "{\"name\":\"s\",\"method\":\"task_arithmetic\",\"base\":\"it\",\"inputs\":[{"
        "\"from\":\"it\"}]}",
        "{\"name\":\"s\",\"method\":\"task_arithmetic\",\"base\":\"it\",\"inputs\":[{"
        "\"from\":\"gothic\","
        "\"weight\":0}]}",
        "{\"name\":\"s\",\"method\":\"task_arithmetic\",\"base\":\"it\",\"inputs\":[{"
        "\"from\":\"gothic\"}],"
        "\"scale\":0}",
        "{\"name\":\"s\",\"method\":\"task_arithmetic\",\"base\":\"it\",\"inputs\":[{"
        "\"from\":\"gothic\"}],"
        "\"gain\":{\"master\":0}}",
        "{\"name\":\"s\",\"method\":\"slerp\",\"t\":0,\"inputs\":[{\"from\":\"it\"},{"
        "\"from\":\"away\"}]}",
    };
    rs_recipe *r, *r0;
    rs_checkpoint *it;
    start(NULL);
    T_OK(rs_checkpoint_open("recipes/sparring/it", &it, &t_err));
    kept(it);
    rs_plan *first = plan_of("", stages[0], "", &r0);
    T_TRUE(first != NULL);
    for (int k = 0; k < 6; k++) {
        rs_plan *p = plan_of("", stages[k], "", &r);
        T_TRUE(p != NULL);
        T_EQ(rs_plan_need(p).n_changed, 0);
        for (int i = 0; i < rs_plan_count(p); i++) {
            T_TRUE(rs_plan_fingerprint(p, i) == rs_plan_fingerprint(first, i));
            const rs_tensor *t = rs_checkpoint_find(it, rs_plan_at(p, i)->name);
            char *x = bytes_of(p, i), *y = malloc((size_t)t->n_bytes);
            T_TRUE(x != NULL);
            T_OK(rs_checkpoint_read_raw(it, t, 0, (size_t)t->n_bytes, y, &t_err));
            T_TRUE(memcmp(x, y, (size_t)t->n_bytes) == 0);
            free(x);
            free(y);
        }
        rs_plan_free(p);
        rs_recipe_free(r);
    }
}

/* Two ways to say the same thing give the same bytes. */
static void same_said_twice(void)
{
    rs_recipe *a, *b;
    start(NULL);
    /* The difference to the base of an adapter folded on it is that adapter's delta. */
    rs_plan *p = plan_of(
        "",
        "{\"name\":\"s\",\"method\":\"task_arithmetic\",\"base\":\"it\",\"inputs\":[{"
        "\"from\":\"style\"}]}",
        "", &a);
    rs_plan *q = plan_of(
        "",
        "{\"name\":\"s\",\"method\":\"slerp\",\"t\":1,\"inputs\":[{\"from\":\"it\"},{"
        "\"from\":\"style\"}]}",
        "", &b);
    T_TRUE(p && q);
    T_EQ(differing(p, q), 0);
    rs_plan_free(q);
    rs_recipe_free(b);
    /* A stage in between is not rounded: halves add up. */
    q = plan_of("",
                "{\"name\":\"h\",\"method\":\"task_arithmetic\",\"base\":\"it\","
                "\"inputs\":[{\"from\":"
                "\"style\"}],\"scale\":0.5},{\"name\":\"s\",\"method\":\"task_"
                "arithmetic\",\"base\":"
                "\"h\",\"inputs\":[{\"from\":\"style\"}]}",
                "\"dtype\":\"float32\"", &b);
    rs_plan *f = NULL;
    rs_recipe *c;
    f = plan_of("",
                "{\"name\":\"s\",\"method\":\"task_arithmetic\",\"base\":\"it\","
                "\"inputs\":[{\"from\":"
                "\"style\"}]}",
                "\"dtype\":\"float32\"", &c);
    T_TRUE(q && f);
    int i = index_of(f, "layers.2.mlp.up_proj");
    float *x = (float *)(void *)bytes_of(q, i), *y = (float *)(void *)bytes_of(f, i);
    for (int64_t k = 0; k < rs_plan_at(f, i)->base->n_elements; k++)
        T_NEAR(x[k], y[k], 3e-8, 1e-6);
    free(x);
    free(y);
    rs_plan_free(p);
    rs_plan_free(q);
    rs_plan_free(f);
}

/* Any range of a tensor is that range of the whole, for every instruction set. */
static void ranges(void)
{
    static const char *const stages =
        TASK(",\"dampen\":{\"by\":\"f\",\"kind\":\"one_minus\",\"normaliser\":\"log\","
             "\"layer\":0.5}") HEAL(",\"t\":0.3,\"rowwise\":true,\"norm\":\"lerp\","
                                    "\"space\":\"delta\",\"base\":\"it\"");
    rs_recipe *r;
    rs_workspace *ws;
    static char whole[300000], part[300000], first[300000];
    for (int isa = 0; isa < 2; isa++) {
        start(isa ? NULL : "base");
        rs_plan *p = plan_of(FISHER, stages, "\"dtype\":\"float32\"", &r);
        T_TRUE(p != NULL);
        T_OK(rs_workspace_new(&rt, &ws, &t_err));
        int i = index_of(p, "layers.5.self_attn.q_proj");
        int64_t n = rs_plan_at(p, i)->base->n_elements;
        T_OK(rs_plan_produce_tensor(&rt, p, i, whole, &t_err));
        if (isa == 0) memcpy(first, whole, (size_t)n * 4);
        T_TRUE(memcmp(first, whole, (size_t)n * 4) == 0);
        for (int64_t at = 0, step = 1; at < n; at += step, step = step * 7 % 5003) {
            if (step > n - at) step = n - at;
            T_OK(rs_plan_produce(&rt, p, ws, i, at, step, part, &t_err));
            T_TRUE(memcmp(part, whole + at * 4, (size_t)step * 4) == 0);
        }
        rs_workspace_free(ws);
        rs_plan_free(p);
        rs_recipe_free(r);
        rs_quit(&rt);
    }
}

/* A rebuild makes what a new build makes, and fingerprints tell exactly what moved. */
static void rebuilding(void)
{
    static const char *const edits[] = {
        TASK(",\"dampen\":{\"by\":\"f\",\"lambda\":3}") HEAL(",\"t\":0.15"),
        TASK(",\"dampen\":{\"by\":\"f\",\"lambda\":3},\"gain\":{\"layers\":{\"5\":0.5}}")
            HEAL(",\"t\":0.15"),
        TASK(",\"dampen\":{\"by\":\"f\",\"lambda\":3},\"gain\":{\"layers\":{\"5\":0.5}}")
            HEAL(",\"t\":{\"default\":0.15,\"kinds\":{\"mlp\":0.2}}"),
        TASK(",\"dampen\":{\"by\":\"f\",\"kind\":\"hard\",\"q\":0.9}")
            HEAL(",\"t\":0.15"),
        TASK(",\"dampen\":{\"by\":\"f\",\"kind\":\"ewc\",\"normaliser\":\"rank\"}")
            HEAL(",\"t\":0.15"),
        TASK(",\"dampen\":{\"by\":\"f\",\"kind\":\"task\",\"task\":\"f\"}")
            HEAL(",\"t\":0.15"),
    };
    static const int moved[] = {0, 7, 24, 52, 52, 52};
    rs_recipe *r[6], *copy;
    rs_plan *last = NULL, *p, *fresh;
    start(NULL);
    for (int k = 0; k < 6; k++) {
        if (k == 0) last = plan_of(FISHER, edits[0], "", &r[0]);
        T_TRUE(last != NULL);
        T_OK(parse(ALL, FISHER, edits[k], "", &r[k]));
        T_OK(rs_plan_rebuild(&rt, last, r[k], NULL, &p, &t_err));
        T_OK(parse(ALL, FISHER, edits[k], "", &copy));
        T_OK(build(copy, &fresh));
        T_EQ(differing(p, fresh), 0);
        int n = 0;
        for (int i = 0; i < rs_plan_count(p); i++)
            n += rs_plan_fingerprint(p, i) != rs_plan_fingerprint(last, i);
        T_EQ(n, moved[k]);
        if (k == 1) T_EQ(differing(p, last), 7);
        rs_plan_free(last); /* the older goes first: the sources live on */
        rs_plan_free(fresh);
        rs_recipe_free(copy);
        last = p;
    }
    rs_plan_free(last);
}

/* Kinds that a model of this family has no tensors of. */
static void idle_kinds(void)
{
    static const char stages[] =
        "{\"name\":\"s\",\"method\":\"slerp\",\"inputs\":[{\"from\":\"m\"},{\"from\":"
        "\"m\"}],"
        "\"t\":{\"default\":0.5,\"kinds\":{\"%s\":0.1},\"cells\":{\"1.%s\":0.2}}}";
    char text[512];
    rs_recipe *r;
    rs_plan *p;
    start(NULL);
    for (int i = 0; i < 2; i++) {
        snprintf(text, sizeof text, stages, i ? "q_proj" : "per_layer_projection",
                 i ? "mlp" : "ple");
        T_OK(parse("\"m\":{\"path\":\"@/tests/golden/models/llama\"}", "", text,
                   "\"stage\":\"s\"", &r));
        T_OK(build(r, &p));
        T_EQ(has_warning(p, "t.kinds: \"per_layer_projection\" names nothing that this "
                            "llama model has"),
             i == 0);
        T_EQ(has_warning(p, "t.cells: \"1.ple\" names nothing"), i == 0);
        T_EQ(has_warning(p, "names nothing"), i == 0);
        rs_plan_free(p);
    }
}

T_MAIN(T_TEST(what_changes), T_TEST(nothing_is_nothing), T_TEST(same_said_twice),
       T_TEST(ranges), T_TEST(rebuilding), T_TEST(idle_kinds))
