#include "merge/selector.h"

#include "merge/recipe.h"
#include "tests/t.h"

static rs_layer_config layers[8];
static const rs_config config = {.n_layers = 8, .layers = layers};

static void make_config(void)
{
    for (int l = 0; l < 8; l++) {
        layers[l].is_full = l == 3 || l == 7;
        layers[l].is_sharer = l >= 6;
        layers[l].is_donor = l == 5 || l == 3;
    }
}

/* The cells that a selector names, one digit a layer ('e' outside): columns as a word. */
static const char *cells_of(const char *text)
{
    static char out[256];
    rs_arena a = {0};
    const rs_selector *s;
    size_t n = 0;
    out[0] = 0;
    make_config();
    if (rs_selector_parse(&a, text, &s, &t_err) != RS_OK) return t_err.msg;
    for (int l = 0; l <= 8; l++) {
        for (int k = 0; k <= RS_N_LAYER_KINDS; k++) {
            if (!rs_selector_matches_cell(s, &config, l < 8 ? l : -1, (rs_kind)k))
                continue;
            out[n++] = l < 8 ? (char)('0' + l) : 'e';
            out[n++] = "qkvogudGPn"[k];
            out[n++] = ' ';
        }
    }
    out[n] = 0;
    rs_arena_free(&a);
    return out;
}

static bool matches(const char *text, const char *name)
{
    rs_arena a = {0};
    const rs_selector *s;
    make_config();
    if (rs_selector_parse(&a, text, &s, &t_err) != RS_OK) return false;
    rs_role role = rs_role_of(NULL, name);
    bool yes = rs_selector_matches(s, &config, &role, name);
    rs_arena_free(&a);
    return yes;
}

static void layer_lists(void)
{
    bool bits[12];
    T_TRUE(rs_layer_list("0-3,6,10-", 12, bits));
    const char *want = "111100100011";
    for (int i = 0; i < 12; i++)
        T_EQ(bits[i], want[i] - '0');
    T_TRUE(!rs_layer_list("", 12, bits));
    T_TRUE(!rs_layer_list("3-1", 12, bits));
    T_TRUE(!rs_layer_list("12", 12, bits));
    T_TRUE(!rs_layer_list("1,", 12, bits));
    T_TRUE(!rs_layer_list("1;2", 12, bits));
    T_TRUE(!rs_layer_list("-3", 12, bits));
    T_TRUE(!rs_layer_list("99999999999999999999", 12, bits));
    T_TRUE(rs_layer_list("11", 12, bits));
    T_TRUE(rs_layer_list("11-", 12, bits));
}

static void cells(void)
{
    T_STR(cells_of("layers.3 & attn"), "3q 3k 3v 3o ");
    T_STR(cells_of("layers.4-5.mlp"), "4g 4u 4d 5g 5u 5d ");
    T_STR(cells_of("4-5.mlp & !down_proj"), "4g 4u 5g 5u ");
    T_STR(cells_of("7.norm"), "7n ");
    T_STR(cells_of("full & q_proj"), "3q 7q ");
    T_STR(cells_of("sharer & !full & o_proj"), "6o ");
    T_STR(cells_of("donor&v_proj"), "3v 5v ");
    T_STR(cells_of("embed & norm"), "");
    /* Outside the layers there are no kinds: the row is whole or not named at all. */
    T_STR(cells_of("embed & !mlp"), "eq ek ev eo eg eu ed eG eP en ");
    T_STR(cells_of("\"q_proj\""), "");
}

static void tensors(void)
{
    T_TRUE(matches("*", "model.layers.0.mlp.up_proj.weight"));
    T_TRUE(matches("norm", "model.norm.weight"));
    T_TRUE(matches("norm", "model.layers.2.self_attn.q_norm.weight"));
    T_TRUE(matches("embed", "model.embed_tokens.weight"));
    T_TRUE(matches("embed & norm", "model.norm.weight"));
    T_TRUE(matches("ple", "model.embed_tokens_per_layer.weight"));
    T_TRUE(
        matches("\"self_attn.o\" & layers.2-", "model.layers.2.self_attn.o_proj.weight"));
    T_TRUE(!matches("\"self_attn.o\" & layers.2-",
                    "model.layers.1.self_attn.o_proj.weight"));
    T_TRUE(!matches("!\"mlp\"", "model.layers.1.mlp.up_proj.weight"));
    T_TRUE(!matches("embed",
                    "model.vision_tower.encoder.layers.0.mlp.up_proj.linear.weight"));
}

static void errors(void)
{
    rs_arena a = {0};
    const rs_selector *s;
    T_FAILS(rs_selector_parse(&a, "mpl", &s, &t_err), RS_E_INVALID,
            "did you mean \"mlp\"?");
    T_FAILS(rs_selector_parse(&a, "layers.3 & q_prj", &s, &t_err), RS_E_INVALID,
            "\"q_prj\" is no layer, kind or group, did you mean \"q_proj\"?");
    T_FAILS(rs_selector_parse(&a, "mlp &", &s, &t_err), RS_E_INVALID, "empty condition");
    T_FAILS(rs_selector_parse(&a, "", &s, &t_err), RS_E_INVALID, "empty condition");
    T_FAILS(rs_selector_parse(&a, "layers.x", &s, &t_err), RS_E_INVALID,
            "no list of layers");
    T_FAILS(rs_selector_parse(&a, "\"abc", &s, &t_err), RS_E_INVALID,
            "between two quotes");
    T_FAILS(rs_selector_parse(&a, "!4-7.mlp", &s, &t_err), RS_E_INVALID,
            "before one condition");
    rs_arena_free(&a);
}

T_MAIN(T_TEST(layer_lists), T_TEST(cells), T_TEST(tensors), T_TEST(errors))
