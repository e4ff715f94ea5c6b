/* The layer detail: histogram and spectrum of the tensor under the cursor, asked for one by
 * one and drawn from what comes back. */
#include "tests/unit/ui_app_fake.h"

#include "learn/subspace.h"
#include "tensor/svd.h"
#include "tui/screens/screens.h"

static int n_looks; /* that were answered */

/* Answers the looks in the list as the reader's process would; false: one failed. */
static bool answer_looks(void)
{
    rs_err err;
    for (int i = 0; i < fx.n; i++) {
        ui_effect *e = &fx.at[i];
        if (e->kind != UI_FX_LOOK || e->slot == 77) continue;
        e->slot = 77;
        if (!e->text) continue;
        const rs_plan *p = ui_app_plan(app);
        ui_engine_event v = {
            .what = UI_ENGINE_LOOK, .run = e->run, .id = (int32_t)e->value};
        static rs_spread spread;
        rs_spreads *s = NULL;
        rs_checkpoint *from = NULL, *to = NULL;
        double *values = NULL;
        int64_t n = 0;
        bool good;
        if (e->value == UI_LOOK_SPREAD) {
            good =
                rs_spreads_open(&rig_rt, p, NULL, NULL, &s, &err) == RS_OK &&
                rs_spreads_tensor(s, (int)e->serial, NULL, NULL, &spread, &err) == RS_OK;
            v.text = (const char *)&spread;
            v.n_text = sizeof spread;
        } else {
            good =
                rs_checkpoint_open("recipes/sparring/pt", &from, &err) == RS_OK &&
                rs_checkpoint_open("recipes/sparring/it", &to, &err) == RS_OK &&
                rs_subspace_values(&rig_rt, from, to, rs_plan_at(p, (int)e->serial)->name,
                                   &values, &n, &err) == RS_OK;
            v.text = (const char *)values;
            v.n_text = (size_t)n * sizeof *values;
        }
        if (!good) printf("%s\n", err.msg);
        n_looks++;
        if (good) send((ui_msg){.kind = UI_MSG_ENGINE, .engine = &v});
        rs_spreads_close(s);
        rs_checkpoint_close(from);
        rs_checkpoint_close(to);
        free(values);
        if (!good) return false;
    }
    return true;
}

static bool open_layer(int w, int h, ui_glyph_level glyphs)
{
    if (!open_demo(w, h, glyphs)) return false;
    for (int i = 0; i < 5; i++)
        key("j");
    ui_effects_clear(&fx);
    key("Enter");
    return app->screen == UI_DETAIL;
}

static ui_effect *asked(void)
{
    ui_effect *e = effect(UI_FX_LOOK);
    return e && e->slot != 77 ? e : NULL;
}

static void one_look_after_another(void)
{
    T_TRUE(open_layer(80, 24, UI_GLYPHS_BRAILLE));
    T_SHOWS("the Fisher is being read ~");
    T_SHOWS("computing its singular values ~");
    const rs_plan *p = ui_app_plan(app);
    T_TRUE(asked() && asked()->value == UI_LOOK_SPREAD);
    T_TRUE(
        strstr(rs_plan_at(p, (int)asked()->serial)->name, "layers.5.self_attn.q_proj"));
    T_TRUE(asked()->text && asked()->path);
    T_TRUE(answer_looks());
    T_EQ(n_looks, 8); /* seven rows and the spectrum of the first */
    T_TRUE(!asked());
    T_SHOWS("of it - pt, q_proj");
    T_SHOWS("90 % needs 94"); /* the spectrum of the models that are shipped */
    key("j");
    T_TRUE(asked() && asked()->value == UI_LOOK_SPECTRUM);
    T_TRUE(answer_looks());
    T_EQ(n_looks, 9);
    key("k");
    T_TRUE(!asked()); /* what came is kept */
    key("q");
    T_TRUE(!asked());
    close_app();
}

static void the_cut_of_the_spectrum_moves(void)
{
    T_TRUE(open_layer(120, 40, UI_GLYPHS_BRAILLE));
    T_TRUE(answer_looks());
    const ui_spectrum *s = ui_detail_spectrum(app, ui_detail_here(app));
    T_TRUE(s && s->n == 192);
    int rank = rs_svd_rank_of(s->s, s->n, 0.5);
    T_EQ(ui_detail_rank(app, s), rank); /* half of the energy, where nobody says */
    int edits = app->undo.n;
    key("Tab l");
    T_EQ(ui_detail_rank(app, s), rank + 1);
    key("L");
    T_EQ(ui_detail_rank(app, s), rank + 9);
    key("h H h");
    T_EQ(ui_detail_rank(app, s), rank - 1);
    char want[80];
    snprintf(want, sizeof want, "rank %d keeps %.1f %% of the energy", rank - 1,
             100 * rs_svd_kept(s->s, s->n, rank - 1));
    T_SHOWS(want);
    for (int i = 0; i < 30; i++)
        key("H");
    T_EQ(ui_detail_rank(app, s), 1);
    key("h");
    T_EQ(ui_detail_rank(app, s), 1);
    for (int i = 0; i < 30; i++)
        key("L");
    T_EQ(ui_detail_rank(app, s), 192);
    T_SHOWS("keeps 100.0 %");
    line("rank energy=0.9");
    T_EQ(ui_detail_rank(app, s), 94);
    line("rank 16");
    T_EQ(ui_detail_rank(app, s), 16);
    line("rank 1.5");
    T_TRUE(app->message_warns);
    line("rank energy=2");
    T_TRUE(app->message_warns);
    T_EQ(ui_detail_rank(app, s), 16);
    T_EQ(app->undo.n, edits); /* nothing of it is an edit of the recipe */
    close_app();
}

static void a_click_sets_the_cut(void)
{
    T_TRUE(open_layer(120, 40, UI_GLYPHS_BRAILLE));
    T_TRUE(answer_looks());
    const ui_spectrum *s = ui_detail_spectrum(app, ui_detail_here(app));
    int n = 0, more = 0, last = 0;
    free(ui_detail_tensors(app, &n, &more));
    ui_detail_layout l = ui_detail_layout_of(app, ui_body(app), n);
    for (int x = l.spectrum.x; x < l.spectrum.x + l.spectrum.w; x++) {
        ui_msg m = {.kind = UI_MSG_MOUSE};
        m.mouse.what = x == l.spectrum.x ? UI_MOUSE_PRESS : UI_MOUSE_DRAG;
        m.mouse.button = 1;
        m.mouse.x = x;
        m.mouse.y = l.spectrum.y + 4;
        send(m);
        T_TRUE(ui_detail_rank(app, s) >= last);
        last = ui_detail_rank(app, s);
    }
    T_TRUE(last >= 188); /* the right edge is the last of them */
    T_EQ(app->detail.focus, UI_DETAIL_SPECTRUM);
    /* The rule is drawn where the click was. */
    ui_msg m = {.kind = UI_MSG_MOUSE};
    m.mouse.what = UI_MOUSE_PRESS;
    m.mouse.button = 1;
    m.mouse.x = l.spectrum.x + 30;
    m.mouse.y = l.spectrum.y + 3;
    send(m);
    screen();
    bool found = false;
    for (int x = 29; x <= 31; x++)
        found |= ui_grid_at(&grid, l.spectrum.x + x, l.spectrum.y + 2)->cp[0] == 0x2503;
    T_TRUE(found);
    m.mouse.x = l.histogram.x + 10;
    send(m);
    T_EQ(app->detail.focus, UI_DETAIL_HISTOGRAM);
    m.mouse.x = 5;
    m.mouse.y = l.rows + 2;
    send(m);
    T_EQ(app->detail.focus, UI_DETAIL_ROWS);
    T_EQ(app->detail.row, 2);
    close_app();
}

static void the_cut_of_the_histogram_moves(void)
{
    T_TRUE(open_layer(120, 40, UI_GLYPHS_BRAILLE));
    T_TRUE(answer_looks());
    bool old;
    const rs_spread *s = ui_detail_spread(app, ui_detail_here(app), &old);
    char want[80];
    T_TRUE(s && !old && s->cut.normaliser == RS_NORM_MEAN);
    snprintf(want, sizeof want, "at the cut or above: %.1f %%",
             100 * s->cut.above / s->n);
    T_SHOWS(want);
    T_SHOWS("mean, d 0.25 here");
    int edits = app->undo.n;
    key("S-Tab h"); /* the mean is the first */
    T_EQ(app->undo.n, edits);
    key("l l l");
    T_EQ(rs_recipe_fuel(app->doc.at.recipe)->dampen.normaliser, RS_NORM_P99);
    T_EQ(app->undo.n, edits + 3);
    s = ui_detail_spread(app, ui_detail_here(app), &old);
    T_TRUE(s && old); /* what it was cut by before, and it says so */
    T_SHOWS("~ ");
    T_TRUE(asked());
    T_TRUE(answer_looks());
    s = ui_detail_spread(app, ui_detail_here(app), &old);
    T_TRUE(s && !old && s->cut.normaliser == RS_NORM_P99);
    T_EQ(s->other.normaliser, RS_NORM_MEAN);
    key("u u");
    T_TRUE(asked());
    ui_effects_clear(&fx);
    key("u"); /* the first is known still */
    T_TRUE(!asked());
    T_SHOWS("mean, d 0.25 here");
    line("dampen hard");
    T_TRUE(answer_looks());
    T_SHOWS("hard q 0.99");
    T_SHOWS("d 0.00 here");
    line("dampen none");
    T_TRUE(answer_looks());
    T_SHOWS("p99");
    close_app();
}

static void fails(uint64_t key, const char *why)
{
    ui_engine_event v = {.what = UI_ENGINE_LOOK,
                         .run = key,
                         .text = why,
                         .n_text = strlen(why),
                         .last = true};
    send((ui_msg){.kind = UI_MSG_ENGINE, .engine = &v});
}

/* A failure is told once and not asked for again; what is damaged is a failure. */
static void what_does_not_come(void)
{
    T_TRUE(open_layer(80, 24, UI_GLYPHS_BRAILLE));
    int asks = 0;
    for (ui_effect *e = asked(); e && asks < 50; e = asked(), asks++) {
        e->slot = 77;
        if (asks % 2) {
            ui_engine_event v = {.what = UI_ENGINE_LOOK,
                                 .run = e->run,
                                 .text = "abc",
                                 .n_text = 3,
                                 .id = (int32_t)e->value};
            send((ui_msg){.kind = UI_MSG_ENGINE, .engine = &v});
        } else {
            fails(e->run, "the disk is on fire");
        }
    }
    T_TRUE(asks >= 7 && asks <= 9);
    T_SHOWS("Fisher of q_proj");
    fails(0, "the process ended"); /* and nothing was under way */
    T_TRUE(!asked());
    key("j k");
    T_TRUE(!asked() || asked()->value == UI_LOOK_SPECTRUM);
    line("refresh"); /* the files may be others now */
    T_TRUE(asked() && asked()->text);
    close_app();
}

static void nothing_to_look_at(void)
{
    T_TRUE(open_layer(80, 24, UI_GLYPHS_BRAILLE));
    T_TRUE(answer_looks());
    key("Enter"); /* all tensors, norms among them */
    for (int i = 0; i < 7; i++)
        key("j");
    T_SHOWS("only matrices of layers have one");
    const double zeros[192] = {0};
    key("g");
    ui_engine_event v = {.what = UI_ENGINE_LOOK,
                         .id = UI_LOOK_SPECTRUM,
                         .run = ui_detail_spectrum(app, ui_detail_here(app))->key,
                         .text = (const char *)zeros,
                         .n_text = sizeof zeros};
    ui_looks_free(&app->detail.looks);
    send((ui_msg){.kind = UI_MSG_ENGINE, .engine = &v});
    T_SHOWS("the two models do not differ here");
    key("q G Enter"); /* outside the layers */
    T_TRUE(answer_looks());
    T_SHOWS("only matrices");
    close_app();
}

static void it_fits_everywhere(void)
{
    static const int sizes[][2] = {{80, 24},  {60, 16}, {120, 40},
                                   {200, 60}, {79, 17}, {100, 21}};
    for (int level = 0; level < 2; level++) {
        T_TRUE(open_layer(80, 24, level ? UI_GLYPHS_ASCII : UI_GLYPHS_BRAILLE));
        T_TRUE(answer_looks());
        for (int i = 0; i < 6; i++) {
            resize(sizes[i][0], sizes[i][1]);
            for (int k = 0; k < 3; k++) {
                key("Tab");
                const char *s = screen();
                for (; *s; s++)
                    T_TRUE(!level || (unsigned char)*s < 128);
                T_SHOWS(">");
            }
        }
        close_app();
    }
}

/* A job is started with the cut that the spectrum shows. */
static void a_subspace_is_made(void)
{
    T_TRUE(open_layer(120, 40, UI_GLYPHS_BRAILLE));
    T_TRUE(answer_looks());
    line("rank 16");
    line("subspace");
    ui_effect *e = effect(UI_FX_JOB_START);
    T_TRUE(e && strstr(e->text, "\"--rank\",\"16\""));
    T_TRUE(strstr(e->text, "sparring/pt\",\"--to\"") != NULL);
    T_TRUE(strstr(e->path, "out/subspace/it-pt-r16.safetensors") != NULL);
    ui_effects_clear(&fx);
    line("subspace it pt energy=0.8 out=x");
    e = effect(UI_FX_JOB_START);
    T_TRUE(e && strstr(e->text, "\"--energy\",\"0.8\"") &&
           strstr(e->text, "sparring/it\",\"--to\""));
    ui_effects_clear(&fx);
    line("subspace it");
    T_TRUE(app->message_warns && !effect(UI_FX_JOB_START));
    line("subspace it gothic");
    T_TRUE(app->message_warns && !effect(UI_FX_JOB_START));
    line("subspace rank=4 energy=0.4");
    T_TRUE(app->message_warns && !effect(UI_FX_JOB_START));
    close_app();
}

/* Any keys, with looks answered at any time, also with what nobody asked for. */
static void random_keys(void)
{
    static const char *const names[] = {
        "Tab", "S-Tab", "h",   "l", "H",  "L",     "j", "k", "J",   "Enter", "d",
        "%",   ",",     ".",   "u", "^R", "m",     "K", "q", "g",   "G",     "O",
        "F",   "i",     "Esc", "R", "^D", "Space", "I", "t", "PgUp"};
    T_TRUE(open_layer(80, 24, UI_GLYPHS_BRAILLE));
    unsigned state = 7;
    for (int i = 0; i < 1500; i++) {
        state = state * 1103515245u + 12345u;
        unsigned r = state >> 16 & 0x7fff;
        key(names[r % (sizeof names / sizeof *names)]);
        if (r % 11 == 0 && app->screen != UI_DETAIL) key("Esc 1 Esc Enter");
        if (r % 50 == 0 && app->doc.at.plan) (void)answer_looks();
        if (r % 23 == 0) {
            ui_engine_event v = {.what = UI_ENGINE_LOOK,
                                 .run = r % 2 ? app->detail.looks.asked : r,
                                 .id = (int32_t)(r % 4) - 1,
                                 .text = "0123456789abcdef",
                                 .n_text = r % 17,
                                 .last = r % 3 == 0};
            send((ui_msg){.kind = UI_MSG_ENGINE, .engine = &v});
        }
        if (r % 31 == 0) resize(40 + (int)(r % 120), 10 + (int)(r % 45));
        if (i % 3 == 0) (void)screen();
        if (fx.n > 40) ui_effects_clear(&fx);
    }
    close_app();
}

T_MAIN(T_TEST(one_look_after_another), T_TEST(the_cut_of_the_spectrum_moves),
       T_TEST(a_click_sets_the_cut), T_TEST(the_cut_of_the_histogram_moves),
       T_TEST(what_does_not_come), T_TEST(nothing_to_look_at), T_TEST(it_fits_everywhere),
       T_TEST(a_subspace_is_made), T_TEST(random_keys))
