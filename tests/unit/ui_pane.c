/* Texts that are written again, undo, the memory of sums, options, samplers. */
#include "tests/t.h"

#include "tui/app/mem.h"
#include "tui/app/options.h"
#include "tui/app/pane.h"
#include "tui/app/prompts.h"
#include "tui/app/undo.h"

static void event(ui_pane *p, ui_engine_what what, uint64_t run, int id, const char *text)
{
    ui_engine_event e = {.what = what,
                         .run = run,
                         .serial = run,
                         .id = id,
                         .text = text,
                         .n_text = what == UI_ENGINE_TOKEN ? strlen(text) : 0,
                         .replaced = true};
    ui_pane_event(p, &e);
}

static void overwrites_from_the_front(void)
{
    ui_pane p = {0};
    rs_buf shown = {0};
    size_t n_new = 0;
    ui_pane_begin(&p, 1, false);
    event(&p, UI_ENGINE_TOKEN, 1, 5, "The lamp");
    event(&p, UI_ENGINE_TOKEN, 1, 6, " swung once.");
    event(&p, UI_ENGINE_START, 1, 0, "");
    event(&p, UI_ENGINE_TOKEN, 1, 5, "The lamp");
    ui_pane_shown(&p, &shown, &n_new);
    T_STR(rs_buf_str(&shown), "The lamp swung once.");
    T_EQ(n_new, 8);
    T_TRUE(!p.has_differs);
    event(&p, UI_ENGINE_TOKEN, 1, 7, " went");
    ui_pane_shown(&p, &shown, &n_new);
    T_STR(rs_buf_str(&shown), "The lamp wentg once.");
    T_TRUE(p.has_differs);
    T_EQ(p.differs, 9);
    event(&p, UI_ENGINE_TOKEN, 9, 7, "of another run");
    T_EQ(p.text.len, 13);
    event(&p, UI_ENGINE_STOP, 1, 0, "length");
    ui_pane_shown(&p, &shown, &n_new);
    T_STR(rs_buf_str(&shown), "The lamp went");
    T_STR(p.stop, "length");
    rs_buf_free(&shown);
    ui_pane_free(&p);
}

static void keeps_whole_characters(void)
{
    ui_pane p = {0};
    rs_buf shown = {0};
    size_t n_new = 0;
    ui_pane_begin(&p, 1, false);
    event(&p, UI_ENGINE_TOKEN, 1, 1, "a\xc3\xa9\xc3\xa9");
    event(&p, UI_ENGINE_START, 1, 0, "");
    event(&p, UI_ENGINE_TOKEN, 1, 2, "ab");
    ui_pane_shown(&p, &shown, &n_new);
    T_STR(rs_buf_str(&shown), "ab\xc3\xa9");
    rs_buf_free(&shown);
    ui_pane_free(&p);
}

static void finds_where_texts_part(void)
{
    ui_pane a = {0}, b = {.slot = 1};
    ui_pane_begin(&a, 1, false);
    ui_pane_begin(&b, 2, false);
    b.slot = 0; /* events of this test carry slot 0 */
    event(&a, UI_ENGINE_TOKEN, 1, 10, "seemed");
    event(&b, UI_ENGINE_TOKEN, 2, 10, "seemed");
    T_EQ(ui_pane_divergence(&a, &b), -1);
    event(&a, UI_ENGINE_TOKEN, 1, 11, " to lean");
    event(&b, UI_ENGINE_TOKEN, 2, 12, " to hold");
    T_EQ(ui_pane_divergence(&a, &b), 1);
    T_EQ(ui_pane_token_start(&a, 1), 6);
    ui_pane_free(&a);
    ui_pane_free(&b);
}

static void counts_words_and_speech(void)
{
    const char *text = "\"Carrow,\" he said \xe2\x80\x94 didn't he? Well-known.";
    T_EQ(ui_text_words(text, strlen(text)), 6);
    T_NEAR(ui_text_dialogue(text, strlen(text)), 1.0 / 6, 1e-12, 0);
    T_TRUE(isnan(ui_text_dialogue("", 0)));
}

static void undo_is_a_tree(void)
{
    ui_undo u = {0};
    ui_undo_start(&u, "0", "as opened", 0, 0);
    ui_undo_push(&u, "1", "one", 0, 0, 0);
    ui_undo_push(&u, "2", "two", 0, 0, 0);
    T_STR(ui_undo_back(&u)->text, "1");
    T_STR(ui_undo_back(&u)->text, "0");
    T_TRUE(ui_undo_back(&u) == NULL);
    T_STR(ui_undo_here(&u)->text, "0");
    ui_undo_push(&u, "3", "three", 0, 0, 0);
    T_TRUE(ui_undo_forward(&u) == NULL);
    T_STR(ui_undo_back(&u)->text, "0");
    T_STR(ui_undo_forward(&u)->text, "3"); /* the branch used last */
    T_STR(ui_undo_go(&u, 2)->text, "2");
    T_EQ(ui_undo_since(&u, "0"), 2);
    for (int i = 0; i < 500; i++) {
        char text[16];
        snprintf(text, sizeof text, "s%d", i);
        ui_undo_push(&u, text, "x", 0, 0, 0);
        T_TRUE(u.n <= UI_UNDO_MAX);
        T_STR(ui_undo_here(&u)->text, text);
    }
    int back = 0;
    while (ui_undo_back(&u))
        back++;
    T_EQ(back, UI_UNDO_MAX - 1);
    for (int i = 0; i < 400; i++) { /* many branches of the root itself */
        ui_undo_push(&u, "leaf", "x", 0, 0, 0);
        ui_undo_back(&u);
    }
    T_TRUE(u.n <= UI_UNDO_MAX);
    ui_undo_free(&u);
}

static void options_and_samplers(void)
{
    ui_options o = ui_options_defaults();
    char text[96], now[48];
    T_TRUE(ui_option_set(&o, ui_option_named("gain.range"), "-0.5..2", text));
    T_TRUE(!ui_option_set(&o, ui_option_named("gain.range"), "2..1", text));
    T_TRUE(!ui_option_set(&o, ui_option_named("gain.range"), "nan..1", text));
    T_TRUE(ui_option_set(&o, ui_option_named("glyphs"), "ascii", text));
    T_TRUE(!ui_option_set(&o, ui_option_named("flash"), "maybe", text));
    ui_option_show(&o, ui_option_named("gain.range"), now);
    T_STR(now, "-0.5..2");
    T_TRUE(ui_option_named("nothing") == NULL);
    ui_sampling s = ui_sampling_defaults();
    char why[160];
    T_TRUE(ui_sampling_set(&s, "temp=0.8", why));
    T_TRUE(ui_sampling_set(&s, "min_p=0.05", why));
    T_TRUE(!ui_sampling_set(&s, "temp=hot", why));
    T_TRUE(!ui_sampling_set(&s, "top-k=1.5", why));
    T_TRUE(!ui_sampling_set(&s, "temp", why));
    rs_buf b = {0};
    ui_sampling_json(&s, &b);
    T_TRUE(strstr(rs_buf_str(&b), "\"temperature\":0.8") != NULL);
    T_TRUE(strstr(rs_buf_str(&b), "\"seed\":7") != NULL);
    rs_buf_free(&b);
}

static void library_of_prompts(void)
{
    ui_prompts p = {0};
    const char *text = "{\"id\":\"s01\",\"text\":\"Once\"}\nnonsense\n{\"id\":\"s02\","
                       "\"prompt\":\"Write\"}\n{\"id\":3}\n";
    T_EQ(ui_prompts_read(&p, text, strlen(text)), 2);
    T_EQ(p.n, 2);
    T_TRUE(ui_prompts_named(&p, "s01")->raw);
    T_TRUE(!ui_prompts_named(&p, "s02")->raw);
    ui_prompts_free(&p);
}

T_MAIN(T_TEST(overwrites_from_the_front), T_TEST(keeps_whole_characters),
       T_TEST(finds_where_texts_part), T_TEST(counts_words_and_speech),
       T_TEST(undo_is_a_tree), T_TEST(options_and_samplers), T_TEST(library_of_prompts))
