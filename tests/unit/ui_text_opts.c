/* The options of the verbs that write text: defaults, what reaches the sampler, refusals, and
 * what a terminal gets to see. */
#include "tests/t.h"
#include "tui/verbs/text_opts.h"

#include <unistd.h>

typedef struct opened {
    rs_tokenizer *tokenizer;
    rs_config config;
    ui_model model;
} opened;

static bool open_model(opened *o)
{
    *o = (opened){0};
    if (rs_tokenizer_load("recipes/sparring/it", &o->tokenizer, &t_err) != RS_OK)
        return false;
    o->config = (rs_config){.vocab = 4096, .eos = {1}, .n_eos = 1};
    o->model = (ui_model){.tokenizer = o->tokenizer, .config = &o->config};
    o->model.chat = rs_chat_named("gemma4");
    return true;
}

/* Without flags the sampler is llama.cpp's. */
static void defaults(void)
{
    static ui_text_params p;
    ui_common c = {.seed = 7, .seed_given = true};
    ui_text_opts o;
    opened m;
    T_TRUE(open_model(&m));
    ui_text_opts_defaults(&o);
    T_OK(ui_text_params_make(&o, &c, &m.model, &p, &t_err));
    rs_sampler_params want = rs_sampler_defaults(), got = p.p.sampler;
    T_EQ(got.seed, 7);
    T_NEAR(got.temperature, want.temperature, 0, 0);
    T_EQ(got.top_k, want.top_k);
    T_NEAR(got.top_p + got.min_p + got.typical_p + got.top_n_sigma,
           want.top_p + want.min_p + want.typical_p + want.top_n_sigma, 0, 0);
    T_NEAR(got.dry_base + got.xtc_threshold + got.mirostat_tau + got.mirostat_eta,
           want.dry_base + want.xtc_threshold + want.mirostat_tau + want.mirostat_eta, 0,
           0);
    T_EQ(got.penalty_last_n, want.penalty_last_n);
    T_EQ(got.dry_allowed_length, want.dry_allowed_length);
    T_EQ(p.p.n_stop_ids, 2); /* the config's and the chat format's */
    T_EQ(p.p.stop_ids[1], 9);
    T_EQ(p.p.max_tokens, 512);
    T_TRUE(p.line.chat == m.model.chat && p.line.tokenizer == m.tokenizer);
    ui_text_params_free(&p);
    rs_tokenizer_free(m.tokenizer);
}

static void lists(void)
{
    static ui_text_params p;
    ui_common c = {0};
    ui_text_opts o;
    opened m;
    T_TRUE(open_model(&m));
    ui_text_opts_defaults(&o);
    o.logit_bias = (ui_strings){{"5+1.5", "7-inf", "9-2"}, 3};
    o.dry_multiplier = 0.8;
    o.samplers = "top_k;temp";
    o.stop = (ui_strings){{"END"}, 1};
    T_OK(ui_text_params_make(&o, &c, &m.model, &p, &t_err));
    T_EQ(p.p.sampler.n_bias, 3);
    T_EQ(p.p.sampler.bias[0].id, 5);
    T_NEAR(p.p.sampler.bias[0].bias, 1.5, 0, 0);
    T_TRUE(isinf(p.p.sampler.bias[1].bias));
    T_NEAR(p.p.sampler.bias[2].bias, -2, 0, 0);
    T_STR(p.p.sampler.order, "top_k;temp");
    T_STR(p.p.stop_strings[0], "END");
    bool feed = false, letter = false;
    for (int i = 0; i < p.p.sampler.n_dry_breakers; i++) {
        feed |= p.p.sampler.dry_breakers[i] == 266; /* the line feed */
        letter |= p.p.sampler.dry_breakers[i] == 321;
    }
    T_TRUE(feed && !letter);
    ui_text_params_free(&p);
    o.dry_breakers = (ui_strings){{"none"}, 1};
    T_OK(ui_text_params_make(&o, &c, &m.model, &p, &t_err));
    T_EQ(p.p.sampler.n_dry_breakers, 0);
    ui_text_params_free(&p);
    rs_tokenizer_free(m.tokenizer);
}

static void refused(void)
{
    static ui_text_params p;
    static const char *const words[] = {
        "--logit-bias x+1",    "--logit-bias 5",      "--logit-bias 5+",
        "the sampler's top_p", "no sampler \"what\"", "--top-k 99999999999 is too large"};
    static const char *const biases[] = {"x+1", "5", "5+"};
    ui_common c = {0};
    opened m;
    T_TRUE(open_model(&m));
    for (int i = 0; i < 6; i++) {
        ui_text_opts o;
        ui_text_opts_defaults(&o);
        if (i < 3) o.logit_bias = (ui_strings){{biases[i]}, 1};
        if (i == 3) o.top_p = -1;
        if (i == 4) o.samplers = "what";
        if (i == 5) o.top_k = 99999999999;
        T_FAILS(ui_text_params_make(&o, &c, &m.model, &p, &t_err), RS_E_INVALID,
                words[i]);
        ui_text_params_free(&p);
    }
    rs_tokenizer_free(m.tokenizer);
}

/* A text must not move the cursor or change the colours of a terminal. */
static void terminal_text(void)
{
    static const char text[] = "a\tb\n\x1b[31m\x7f\xc2\x9b\xc3\xa9\xe2\x80\xae.\xe2\x80\xa6";
    rs_buf out = {0};
    ui_text_show(&out, text, sizeof text - 1, true);
    T_STR(rs_buf_str(&out), "a\tb\n?[31m??\xc3\xa9?.\xe2\x80\xa6");
    rs_buf_reset(&out);
    ui_text_show(&out, text, sizeof text - 1, false);
    T_STR(rs_buf_str(&out), text);
    rs_buf_free(&out);
}

T_MAIN(T_TEST(defaults), T_TEST(lists), T_TEST(refused), T_TEST(terminal_text))
