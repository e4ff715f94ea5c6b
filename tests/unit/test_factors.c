#include "merge/factors.h"

#include "merge/factor_keys.h"
#include "model/family.h"

#include "tests/t.h"

static rs_layer_config layers[8];
/* Gemma 4 unless a test says llama; layer 6 shares the K/V of layer 2. */
static rs_config config = {.n_layers = 8, .layers = layers, .ple_width = 4};

static rs_recipe *recipe_with(const char *gain, const char *t)
{
    char text[4096];
    rs_recipe *r = NULL;
    bool wrapped;
    if (!config.family) config.family = rs_family_of_type("gemma4_text", &wrapped);
    layers[6].is_sharer = true;
    for (int l = 0; l < 8; l++)
        layers[l].is_full = l == 3 || l == 7;
    snprintf(
        text, sizeof text,
        "{\"ringside\":1,\"models\":{\"it\":{\"path\":\"it\"}},\"stages\":[{\"name\":"
        "\"fuel\","
        "\"method\":\"task_arithmetic\",\"base\":\"it\",\"inputs\":[{\"from\":\"it\"}],"
        "\"gain\":%s},{\"name\":\"heal\",\"method\":\"slerp\",\"inputs\":[{\"from\":"
        "\"fuel\"},"
        "{\"from\":\"it\"}],\"t\":%s}]}",
        gain, t);
    if (rs_recipe_parse(text, strlen(text), ".", "x", &r, &t_err) != RS_OK) {
        printf("%s\n", t_err.msg);
        return NULL;
    }
    return r;
}

static rs_factors *factors_of(rs_recipe *r)
{
    rs_factors *f = NULL;
    if (r && rs_factors_from(&rs_recipe_fuel(r)->gain, &config, &f, &t_err) != RS_OK)
        printf("%s\n", t_err.msg);
    return f;
}

static void four_factors(void)
{
    rs_recipe *r =
        recipe_with("{\"master\":0.5,\"layers\":{\"0-3\":0.5,\"embed\":3},\"kinds\":{"
                    "\"mlp\":0.8,\"norm\":2},\"cells\":{\"5.q_proj\":0.2},\"lock\":["
                    "\"7\"]}",
                    "0");
    rs_factors *f = factors_of(r);
    T_TRUE(f != NULL);
    T_NEAR(rs_factors_gain(f, 0, RS_KIND_UP), 0.5 * 0.5 * 0.8, 1e-15, 0);
    T_NEAR(rs_factors_gain(f, 5, RS_KIND_Q), 0.5 * 0.2, 1e-15, 0);
    T_NEAR(rs_factors_gain(f, 5, RS_KIND_K), 0.5, 1e-15, 0);
    T_NEAR(rs_factors_gain(f, 1, RS_KIND_NORM), 0.5 * 0.5 * 2, 1e-15, 0);
    T_NEAR(rs_factors_gain(f, -1, RS_KIND_EMBED), 0.5 * 3, 1e-15, 0);
    T_TRUE(f->locked[7 * RS_FACTOR_KINDS] && !f->locked[6 * RS_FACTOR_KINDS]);
    rs_factors_free(f);
    rs_recipe_free(r);
}

static void mute_and_solo(void)
{
    rs_recipe *r = recipe_with(
        "{\"layers\":{\"2\":0.5},\"mute\":[\"2.mlp\"],\"solo\":[\"2-4\"]}", "0");
    rs_factors *f = factors_of(r);
    T_TRUE(f != NULL);
    T_NEAR(rs_factors_gain(f, 2, RS_KIND_UP), 0, 0, 0);
    T_NEAR(rs_factors_product(f, 2, RS_KIND_UP), 0.5, 0, 0);
    T_NEAR(rs_factors_gain(f, 2, RS_KIND_Q), 0.5, 0, 0);
    T_NEAR(rs_factors_gain(f, 3, RS_KIND_UP), 1, 0, 0);
    T_NEAR(rs_factors_gain(f, 5, RS_KIND_UP), 0, 0, 0);
    T_NEAR(rs_factors_gain(f, -1, RS_KIND_EMBED), 0, 0, 0);
    rs_factors_free(f);
    rs_recipe_free(r);
}

static void rows_go_to_the_factors(void)
{
    rs_recipe *r =
        recipe_with("[[\"*\",\"*\",0.5],[\"layers.2-3\",\"=\",0.4],[\"full\",\"*\",0.5],"
                    "[\"mlp\",\"=\",0.8],[\"layers.5 & q_proj\",\"+\",0.25]]",
                    "0");
    rs_factors *f = factors_of(r);
    T_TRUE(f != NULL);
    T_NEAR(f->master, 0.5, 0, 0);
    T_NEAR(f->layer[2], 0.4, 0, 0);
    T_NEAR(f->layer[3], 0.2, 1e-15, 0);
    T_NEAR(f->layer[7], 0.5, 0, 0);
    T_NEAR(f->kind[RS_KIND_UP], 0.8, 0, 0);
    T_NEAR(f->cell[5 * RS_FACTOR_KINDS + RS_KIND_Q], 1.25, 0, 0);
    rs_factors_free(f);
    rs_recipe_free(r);
    r = recipe_with("[[\"layers.6 & !layers.6\",\"=\",1]]", "0");
    T_FAILS(rs_factors_from(&rs_recipe_fuel(r)->gain, &config, &f, &t_err), RS_E_INVALID,
            "matches nothing here");
    rs_recipe_free(r);
}

static bool same_table(const rs_factors *a, const rs_factors *b)
{
    size_t rows = (size_t)a->n_layers + 1, cells = rows * RS_FACTOR_KINDS;
    return a->master == b->master &&
           !memcmp(a->layer, b->layer, rows * sizeof *a->layer) &&
           !memcmp(a->kind, b->kind, sizeof a->kind) &&
           !memcmp(a->cell, b->cell, cells * sizeof *a->cell) &&
           !memcmp(a->muted, b->muted, cells) && !memcmp(a->soloed, b->soloed, cells) &&
           !memcmp(a->locked, b->locked, cells);
}

static void canonical_form(void)
{
    rs_recipe *r =
        recipe_with("{\"layers\":{\"5\":0.5,\"0,1\":0.5,\"2-3\":0.5,\"7\":0.25,\"embed\":"
                    "0.25},\"kinds\":{\"q_proj\":2,\"k_proj\":2,\"v_proj\":2,\"o_proj\":"
                    "2},\"cells\":{\"4.up_proj\":0.3,\"4.gate_proj\":0.3,\"4.down_proj\""
                    ":0.3,\"5.mlp\":0.3,\"5.q_proj\":0},\"mute\":[\"layers.3\",\"4\"],"
                    "\"lock\":[\"*\"],\"solo\":[\"embed\",\"1.up_proj\"]}",
                    "0");
    rs_factors *f = factors_of(r), *again;
    rs_stage *fuel = rs_recipe_fuel(r);
    rs_buf text = {0};
    T_TRUE(f != NULL);
    T_OK(rs_factors_store(f, &config, r, &fuel->gain, &t_err));
    rs_recipe_text(r, NULL, &text);
    T_TRUE(strstr(
        rs_buf_str(&text),
        "\"gain\": {\"layers\": {\"0-3\": 0.5, \"5\": 0.5, \"7\": 0.25, \"embed\": "
        "0.25}, "
        "\"kinds\": {\"attn\": 2}, \"cells\": {\"4-5.mlp\": 0.3, \"5.q_proj\": 0}, "
        "\"mute\": [\"3-4\"], \"solo\": [\"embed\", \"1.up_proj\"], \"lock\": [\"*\"]}"));
    T_OK(rs_factors_from(&fuel->gain, &config, &again, &t_err));
    T_TRUE(same_table(f, again));
    rs_factors_free(f);
    rs_factors_free(again);
    rs_buf_free(&text);
    rs_recipe_free(r);
}

/* Any table survives being written and read. */
static void round_trips(void)
{
    rs_recipe *r = recipe_with("{}", "0");
    rs_factors *f = factors_of(r), *again;
    unsigned seed = 1;
    T_TRUE(f != NULL);
    for (int round = 0; round < 200; round++) {
        for (int i = 0; i <= 8 * RS_FACTOR_KINDS; i++) {
            seed = seed * 1664525u + 1013904223u;
            f->cell[i] = seed >> 30 ? 1 : (seed >> 28 & 3) * 0.5;
            f->muted[i] = (seed >> 20 & 7) == 0;
            f->soloed[i] = (seed >> 16 & 3) == 0;
        }
        for (int i = 8 * RS_FACTOR_KINDS; i < 9 * RS_FACTOR_KINDS; i++) {
            bool on = seed >> 9 & 1;
            f->muted[i] = on, f->soloed[i] = !on;
        }
        for (int l = 0; l <= 8; l++)
            f->layer[l] = (seed >> l & 1) * 0.5;
        for (int k = 0; k < RS_FACTOR_KINDS; k++)
            f->kind[k] = (seed >> (k + 9) & 1) + 0.5;
        T_OK(rs_factors_store(f, &config, r, &rs_recipe_fuel(r)->gain, &t_err));
        T_OK(rs_factors_from(&rs_recipe_fuel(r)->gain, &config, &again, &t_err));
        T_TRUE(same_table(f, again));
        rs_factors_free(again);
    }
    rs_factors_free(f);
    rs_recipe_free(r);
}

static void t_is_replaced(void)
{
    rs_recipe *r =
        recipe_with("{}", "{\"default\":0.1,\"layers\":{\"6-7\":0.2},\"kinds\":{\"mlp\":"
                          "0.3},\"cells\":{\"6.up_proj\":0}}");
    rs_t_table *t, *again;
    rs_stage *heal = rs_recipe_heal(r);
    T_OK(rs_t_table_from(&heal->t, &config, &t, &t_err));
    T_NEAR(rs_t_value(t, 0, RS_KIND_Q), 0.1, 0, 0);
    T_NEAR(rs_t_value(t, 6, RS_KIND_Q), 0.2, 0, 0);
    T_NEAR(rs_t_value(t, 6, RS_KIND_DOWN), 0.3, 0, 0);
    T_NEAR(rs_t_value(t, 6, RS_KIND_UP), 0, 0, 0);
    T_NEAR(rs_t_value(t, -1, RS_KIND_EMBED), 0.1, 0, 0);
    T_OK(rs_t_table_store(t, &config, r, &heal->t, &t_err));
    T_OK(rs_t_table_from(&heal->t, &config, &again, &t_err));
    for (int l = 0; l <= 8; l++)
        for (int k = 0; k < RS_FACTOR_KINDS; k++)
            T_NEAR(rs_t_value(t, l < 8 ? l : -1, (rs_kind)k),
                   rs_t_value(again, l < 8 ? l : -1, (rs_kind)k), 0, 0);
    rs_t_table_free(t);
    rs_t_table_free(again);
    rs_recipe_free(r);
    r = recipe_with("{}",
                    "[[\"*\",\"=\",0.15],[\"mlp\",\"=\",0.3],[\"layers.6-\",\"*\",2]]");
    T_OK(rs_t_table_from(&rs_recipe_heal(r)->t, &config, &t, &t_err));
    T_NEAR(rs_t_value(t, 0, RS_KIND_Q), 0.15, 0, 0);
    T_NEAR(rs_t_value(t, 0, RS_KIND_UP), 0.3, 0, 0);
    T_NEAR(rs_t_value(t, 6, RS_KIND_UP), 0.6, 0, 0);
    T_NEAR(rs_t_value(t, 7, RS_KIND_V), 0.3, 0, 0);
    rs_t_table_free(t);
    rs_recipe_free(r);
}

static void too_many_layers(void)
{
    rs_recipe *r = recipe_with("{\"layers\":{\"6-9\":0.5}}", "0");
    rs_factors *f;
    T_FAILS(rs_factors_from(&rs_recipe_fuel(r)->gain, &config, &f, &t_err), RS_E_MISMATCH,
            "\"6-9\" reaches past the model's 8 layers");
    rs_recipe_free(r);
    r = recipe_with("{\"layers\":{\"6-\":0.5}}", "0");
    T_OK(rs_factors_from(&rs_recipe_fuel(r)->gain, &config, &f, &t_err));
    T_NEAR(f->layer[7], 0.5, 0, 0);
    rs_factors_free(f);
    rs_recipe_free(r);
}

/* --- what the model does not have --- */

static rs_status gain_of(const char *gain)
{
    rs_factors *f = NULL;
    rs_recipe *r = recipe_with(gain, "0");
    if (!r) return RS_E_BUG;
    rs_status s = rs_factors_from(&rs_recipe_fuel(r)->gain, &config, &f, &t_err);
    rs_factors_free(f);
    rs_recipe_free(r);
    return s;
}

static void selectors_of_another_family(void)
{
    bool wrapped;
    T_OK(gain_of("{\"rows\":[[\"ple\",\"=\",0.5]]}"));
    T_OK(gain_of("{\"mute\":[\"per_layer_projection\"]}"));
    T_OK(gain_of("{\"rows\":[[\"layers.5.k_proj\",\"=\",0.5]]}"));
    T_FAILS(gain_of("{\"rows\":[[\"layers.6.k_proj\",\"=\",0.5]]}"), RS_E_INVALID,
            "matches nothing here"); /* shared */
    config.family = rs_family_of_type("llama", &wrapped);
    T_FAILS(gain_of("{\"rows\":[[\"ple\",\"=\",0.5]]}"), RS_E_INVALID,
            "\"ple\" matches nothing here");
    T_OK(gain_of("{\"rows\":[[\"mlp\",\"=\",0.5],[\"norm\",\"=\",0.5]]}"));
    T_OK(gain_of("{\"kinds\":{\"ple\":0.5}}")); /* a plan warns of it */
}

static void idle_keys(void)
{
    bool wrapped;
    rs_recipe *r = recipe_with("{\"kinds\":{\"mlp\":0.5,\"ple\":0.5},\"cells\":{"
                               "\"2.k_proj\":0.5,\"6.k_proj\":0.5}}",
                               "0");
    const rs_gain_spec *g = &rs_recipe_fuel(r)->gain;
    T_TRUE(rs_keys_idle(&g->kinds, RS_KEYS_KINDS, &config) == NULL);
    T_STR(rs_keys_idle(&g->cells, RS_KEYS_CELLS, &config), "6.k_proj");
    config.family = rs_family_of_type("llama", &wrapped);
    T_STR(rs_keys_idle(&g->kinds, RS_KEYS_KINDS, &config), "ple");
    rs_recipe_free(r);
}

T_MAIN(T_TEST(selectors_of_another_family), T_TEST(idle_keys), T_TEST(four_factors),
       T_TEST(mute_and_solo), T_TEST(rows_go_to_the_factors), T_TEST(canonical_form),
       T_TEST(round_trips), T_TEST(t_is_replaced), T_TEST(too_many_layers))
