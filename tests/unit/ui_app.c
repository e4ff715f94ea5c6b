/* The workbench's state and what it shows: the session of screens.md 5, as far as it goes. */
#include "tests/unit/ui_app_fake.h"
#include "tui/app/chrome.h"

static void shows_the_demo(void)
{
    T_TRUE(open_demo(80, 24, UI_GLYPHS_BRAILLE));
    T_ROW(0, "ringside  luchador-miniature  v1");
    T_ROW(1, "[1 Ring] 2 Duel");
    T_ROW(1, "style 47 %");
    T_ROW(
        2,
        " fuel ×0.300  ewc lambda 3.000 by instruct/mean  mask off │ heal slerp/weight");
    T_ROW(
        3,
        "  lay  q k v o g u d G P  gain               d   mnat  %|W| theta      t surv");
    T_ROW(4, "  0 S ░ ▒ ▓ ▒ ░ ░ ▒ ▒ █  ━━━━━━●── 1.000 0.38  0.408  0.62 ");
    T_ROW(9, "   5 S ░ ▒ ▓ ░ ░ ░ ░ ▒ ▒  ━━━━━━●── 1.000 0.50  0.578  0.90 ");
    T_ROW(12, "  emb  no fuel delta                    —    —  0.000  0.00");
    T_ROW(14, "3.857");
    T_ROW(14, "0.0039/0.0060");
    close_app();
}

static void the_script(void)
{
    T_TRUE(open_demo(80, 24, UI_GLYPHS_BRAILLE));
    key("J");
    T_ROW(9, ">  5 S");
    T_ROW(9, "0.578");
    key("*");
    type("0.5");
    T_ROW(9, "0.500");
    T_ROW(9, "0.144"); /* live, before Enter */
    T_ROW(14, "3.423");
    key("Enter");
    T_SHOWS("1 row changed, fuel 0.0039 -> 0.0034 nat   (u undoes)");
    T_ROW(0, "luchador-miniature*");
    T_ROW(1, "style 43 %");
    key("u");
    T_ROW(9, "0.578");
    T_SHOWS("undone: gain layers.5 *0.5");
    T_TRUE(!strstr(row(0), "*"));
    key("^R");
    T_ROW(9, "0.500");
    line("write \"layer 5 halved\"");
    T_SHOWS("saved as luchador-miniature v2");
    T_TRUE(!strstr(row(0), "*"));
    key("K");
    T_ROW(9, ">  5 SK");
    T_SHOWS("layers.5 locked at 0.500");
    char *before = ui_strdup(app->doc.at.text);
    key("h");
    T_SHOWS("layer 5 is locked: K unlocks it before a gain can change");
    T_STR(app->doc.at.text, before);
    free(before);
    key(", , , ,");
    T_ROW(2, "lambda 1.500");
    T_TRUE(measure_now());
    T_ROW(14, "6.574");
    T_ROW(14, "OVER");
    T_ROW(1, "style 57 %");
    close_app();
}

static void lanes_cells_and_scenes(void)
{
    T_TRUE(open_demo(80, 24, UI_GLYPHS_BRAILLE));
    line("gains 0.93,0.848,0.856,0.988,1,0.5,1,1");
    line("lambda 1.5");
    T_TRUE(measure_now());
    T_ROW(14, "5.997");
    T_ROW(1, "style 55 %");
    T_ROW(14, "▆▅▅██▃█▇");
    T_ROW(14, "▕█████████▉▏ 0.0060/0.0060");
    key("G k v k Enter"); /* emb, layer 7; range 7 to 6 */
    T_ROW(10, ">• 6 S");
    T_ROW(11, " • 7 F");
    key("t =");
    type("0.2");
    key("Enter");
    T_SHOWS("2 rows changed, out ");
    T_ROW(10, "0.200");
    key("u");
    T_ROW(10, "0.150");
    line("gain layers.6-7 & mlp *1.2");
    T_SHOWS("6 cells changed");
    T_ROW(10, "±1.172");
    T_ROW(11, "±1.151");
    T_ROW(14, "6.667");
    T_ROW(1, "style 58 %");
    key("u U t");
    line("lock layers.5");
    key("B");
    T_ROW(0, "scenes A [B] -");
    line("curve grad_a 0.5 1");
    T_ROW(5, "0.643");
    T_ROW(9, "0.500");
    T_ROW(10, "0.643");
    T_SHOWS("7 rows changed");
    key("A");
    T_ROW(4, "0.930");
    T_ROW(0, "scenes [A] B -");
    line("morph A B 0.5");
    T_ROW(5, "0.746"); /* between 0.848 and 0.643 */
    close_app();
}

static void detail_of_a_layer(void)
{
    T_TRUE(open_demo(80, 24, UI_GLYPHS_BRAILLE));
    key("G k Enter");
    T_ROW(2, "layer 7  full  k, v read from 3");
    T_ROW(4, "> q_proj");
    key("q k k Enter");
    T_ROW(2, "layer 5  sliding  own k, v");
    T_SHOWS("k_proj");
    T_SHOWS("192x192");
    key("j =");
    type("0.5");
    key("Enter");
    T_SHOWS("1 cell changed");
    key("q");
    T_ROW(9, "±");
    close_app();
}

static void merges_by_a_plan_page(void)
{
    T_TRUE(open_demo(80, 24, UI_GLYPHS_BRAILLE));
    key("M");
    T_SHOWS("52 tensors change");
    T_SHOWS("heal adds");
    T_SHOWS("out/luchador-miniature-v1   (new folder)");
    T_SHOWS("10.4 MB, 135 tensors, bfloat16");
    key("Enter"); /* the default is no */
    T_TRUE(!effect(UI_FX_JOB_START));
    key("j h M");
    T_SHOWS("luchador-miniature v2 (saved first)");
    key("y");
    ui_effect *e = effect(UI_FX_JOB_START);
    T_TRUE(e != NULL);
    T_TRUE(strstr(e->text, "\"merge\"") != NULL);
    T_TRUE(strstr(e->text, "luchador-miniature.json") != NULL);
    T_STR(e->title, "luchador-miniature v2");
    ui_job job = {.id = 1,
                  .kind = "merge",
                  .title = "luchador-miniature v2",
                  .state = UI_JOB_RUNNING,
                  .done = 6553600,
                  .total = 10431768,
                  .unit = "bytes",
                  .rate = 4.1e6,
                  .seconds_left = 1,
                  .started = 1700000000};
    send((ui_msg){.kind = UI_MSG_JOB, .jobs = &job, .n_jobs = 1});
    T_ROW(0, "merge 62 %  4.1 MB/s  0:01");
    job.state = UI_JOB_FAILED;
    snprintf(job.error, sizeof job.error,
             "write out/x: no space left on device after 6553600 of 10431768 bytes.");
    send((ui_msg){.kind = UI_MSG_JOB, .jobs = &job, .n_jobs = 1});
    T_SHOWS("no space left on device");
    T_ROW(0, "1 failed");
    key("4");
    T_ROW(1, "[4 Jobs]");
    T_TRUE(!strstr(row(0), "1 failed"));
    T_SHOWS("failed");
    key("r");
    T_TRUE(effect(UI_FX_JOB_AGAIN) != NULL);
    close_app();
}

static void many_edits_in_a_frame(void)
{
    T_TRUE(open_demo(80, 24, UI_GLYPHS_BRAILLE));
    ui_effects_clear(&fx);
    for (int i = 0; i < 100; i++)
        send((ui_msg){.kind = UI_MSG_KEY, .key = i % 2 ? 'l' : 'h'});
    T_TRUE(ui_doc_is_saved(&app->doc)); /* a step and its opposite cancel exactly */
    for (int i = 0; i < 7; i++)
        send((ui_msg){.kind = UI_MSG_KEY, .key = 'h'});
    T_ROW(4, "0.650");
    ui_effect *e = effect(UI_FX_FOLLOW);
    T_TRUE(e != NULL);
    T_STR(e->text, app->doc.at.text);
    close_app();
}

/* Numbers of the screen are those of the measure that damage prints. */
static void numbers_are_the_measures(void)
{
    T_TRUE(open_demo(120, 40, UI_GLYPHS_BRAILLE));
    rs_measure *m = NULL;
    T_OK(rs_measure_from(ui_app_plan(app), app->doc.sums.at, &m, &t_err));
    for (int l = 0; l < m->n_layers; l++) {
        char want[64];
        snprintf(want, sizeof want, "%.3f %.2f  %.3f  %3.0f %%  %.2f", m->layer[l].gain,
                 m->layer[l].d, m->layer[l].damage * 1000, m->layer[l].kept * 100,
                 m->layer[l].norm * 100);
        T_ROW(4 + l, want);
        snprintf(want, sizeof want, "%.5f %.5f", m->layer[l].c_a, m->layer[l].c_b);
        T_ROW(4 + l, want);
    }
    rs_measure_free(m);
    close_app();
}

/* A line with the path of something of the tree. */
static void line_of_tree(const char *command, const char *below)
{
    char cwd[2048], text[2300];
    snprintf(text, sizeof text, "%s %s/%s", command, getcwd(cwd, sizeof cwd), below);
    line(text);
}

/* Sentences after a command, each about what was really done. */
static void sentences(void)
{
    T_TRUE(open_demo(120, 40, UI_GLYPHS_BRAILLE));
    line("scale 0.3");
    T_SHOWS("nothing changed: the recipe was so before   scale 0.3");
    line("gain layers.0 & q_proj =1.001");
    T_SHOWS("fuel 0.00385"); /* more decimals where four would look the same */
    key("u");
    line("stop 77");
    T_SHOWS("there is no job \"77\"");
    line("lambda 1e30");
    T_SHOWS("lambda takes a number from 0 to 1000000, not \"1e30\"");
    line("dampen none");
    line("lambda 3");
    T_SHOWS("lambda: there is no dampening, d chooses a kind");
    line("versus");
    T_SHOWS("duel: luchador-miniature v1 edited against luchador-miniature v1");
    close_app();
}

/* p on the plan page shows the whole plan; q leads back to the page as it was. */
static void the_full_plan_leads_back(void)
{
    T_TRUE(open_demo(120, 40, UI_GLYPHS_BRAILLE));
    line("merge elsewhere");
    key("o p");
    T_SHOWS("are copied"); /* its first line */
    key("q");
    T_EQ(app->mode, UI_MODE_PLAN);
    T_TRUE(app->plan.duel && strstr(app->plan.folder, "elsewhere"));
    T_SHOWS("Merge?");
    key("q");
    T_EQ(app->mode, UI_MODE_NONE);
    T_SHOWS("nothing was merged");
    close_app();
}

/* Keys change t only where there is one. */
static void the_lane_goes_with_the_heal(void)
{
    T_TRUE(open_demo(80, 24, UI_GLYPHS_BRAILLE));
    key("t");
    T_ROW(3, "t (lane)");
    line_of_tree("load", "tests/golden/demo/naive-0.3.json");
    T_TRUE(!rs_recipe_heal(app->doc.at.recipe) && !app->lane_t);
    T_TRUE(!strstr(row(3), "t (lane)"));
    close_app();
}

static void sources_come_and_go(void)
{
    T_TRUE(open_demo(120, 40, UI_GLYPHS_BRAILLE));
    int n = rs_recipe_fuel(app->doc.at.recipe)->n_inputs;
    char *before = ui_strdup(app->doc.at.text);
    line_of_tree("add", "recipes/sparring/lora/sea/");
    T_SHOWS("adapter sea-2 is in fuel, which has it as sea already");
    T_EQ(rs_recipe_fuel(app->doc.at.recipe)->n_inputs, n + 1);
    T_TRUE(rs_plan_n_sources(app->doc.at.plan) > 0);
    line("weight sea-2 =0.25");
    T_SHOWS("weight of sea-2 1.000 -> 0.250");
    line("remove sea-2");
    T_EQ(rs_recipe_fuel(app->doc.at.recipe)->n_inputs, n);
    line("remove nobody");
    T_SHOWS("remove: the name of an input of fuel, not \"nobody\"");
    key("Esc u u u");
    T_STR(app->doc.at.text, before);
    line_of_tree("add", "tests/golden/demo/sparring/fisher/it-instruct.safetensors");
    T_SHOWS("Fisher it-instruct is there for dampening");
    key("u");
    line_of_tree("add", "recipes/sparring/nothing");
    T_SHOWS("add: the path of an adapter");
    key("Esc");
    line("write first");
    line("scale 0.25");
    line("write");
    line("recall 1");
    T_SHOWS("version 1 is in the editor");
    T_TRUE(rs_recipe_fuel(app->doc.at.recipe)->scale == 0.3);
    key("u");
    T_TRUE(rs_recipe_fuel(app->doc.at.recipe)->scale == 0.25);
    line("recall 9");
    T_SHOWS("has versions 1 to 3, not 9");
    free(before);
    close_app();
}

/* A cell that was 0 is set like any other. */
static void a_zero_cell_comes_back(void)
{
    T_TRUE(open_demo(80, 24, UI_GLYPHS_BRAILLE));
    line("gain * *0.5");
    line("gain layers.4 & mlp =0");
    line("gain layers.4 & mlp =0.4");
    int up = ui_doc_tensor(&app->doc, 4, RS_KIND_UP);
    T_NEAR(rs_plan_at(app->doc.at.plan, up)->gain, 0.4, 1e-9, 0);
    close_app();
}

/* What has ended under the cursor is not what x means while another job runs; r says what
 * makes another of its kind. */
static void keys_mean_the_job_at_work(void)
{
    ui_job jobs[2] = {{.id = 5, .kind = "train", .state = UI_JOB_RUNNING, .title = "t"},
                      {.id = 4, .kind = "fisher", .state = UI_JOB_DONE, .title = "f"}};
    T_TRUE(open_demo(80, 24, UI_GLYPHS_BRAILLE));
    send((ui_msg){.kind = UI_MSG_JOB, .jobs = jobs, .n_jobs = 2});
    key("4 j");
    key("r");
    T_SHOWS("job 4 is done and its result is there: F6 measures anew");
    key("x");
    T_SHOWS("Stop job 5");
    key("Esc");
    jobs[0].state = UI_JOB_DONE;
    send((ui_msg){.kind = UI_MSG_JOB, .jobs = jobs, .n_jobs = 2});
    key("x");
    T_SHOWS("job 4 has ended already");
    ui_job more[3] = {{.id = 6, .kind = "merge", .state = UI_JOB_RUNNING, .title = "m"},
                      jobs[0], jobs[1]};
    send((ui_msg){.kind = UI_MSG_JOB, .jobs = more, .n_jobs = 3});
    T_EQ(app->jobs.cursor, 2); /* not while one looks at it */
    key("1");
    more[0].id = 7;
    send((ui_msg){.kind = UI_MSG_JOB, .jobs = more, .n_jobs = 3});
    T_EQ(app->jobs.cursor, 0);
    close_app();
}

/* What a clock is wanted for, and until when. */
static void wakes_only_for_clocks(void)
{
    T_TRUE(open_demo(80, 24, UI_GLYPHS_BRAILLE));
    rig_now += 5;
    send((ui_msg){.kind = UI_MSG_TICK});
    T_TRUE(ui_app_wake(app, rig_now) < 0);
    ui_job job = {.id = 3, .kind = "merge", .state = UI_JOB_RUNNING, .title = "m"};
    send((ui_msg){.kind = UI_MSG_JOB, .jobs = &job, .n_jobs = 1});
    T_NEAR(ui_app_wake(app, rig_now + 0.25), 0.75, 1e-9, 0);
    T_TRUE(ui_app_wake(app, rig_now + 2) == 0); /* due, whoever asks later */
    ui_effects_clear(&fx);
    line("stop 3");
    key("y");
    T_TRUE(effect(UI_FX_JOB_STOP) && !effect(UI_FX_JOB_STOP)->full);
    ui_effects_clear(&fx);
    for (int i = 0; i < 6 && !effect(UI_FX_JOB_STOP); i++) {
        rig_now += 1;
        send((ui_msg){.kind = UI_MSG_TICK});
    }
    T_TRUE(effect(UI_FX_JOB_STOP) && effect(UI_FX_JOB_STOP)->full);
    job.state = UI_JOB_STOPPED;
    send((ui_msg){.kind = UI_MSG_JOB, .jobs = &job, .n_jobs = 1});
    rig_now += 61;
    send((ui_msg){.kind = UI_MSG_TICK});
    T_TRUE(ui_app_wake(app, rig_now) < 0);
    close_app();
}

/* R: the engine lets the old files go, and no sum of theirs is taken any more. */
static void files_are_read_again(void)
{
    T_TRUE(open_demo(80, 24, UI_GLYPHS_BRAILLE));
    rs_tensor_sums old = app->doc.sums.at[20];
    uint64_t serial = app->doc.serial;
    T_TRUE(old.valid);
    ui_effects_clear(&fx);
    key("R");
    T_EQ(fx.at[0].kind, UI_FX_DROP_SLOT);
    T_EQ(fx.at[1].kind, UI_FX_DROP_SLOT);
    T_TRUE(effect(UI_FX_FOLLOW) && effect(UI_FX_MEASURE) && effect(UI_FX_GENERATE));
    T_TRUE(!ui_sums_is_known(&app->doc.sums, 20));
    ui_engine_event e = {
        .what = UI_ENGINE_SUMS, .serial = serial, .sums = &old, .n_sums = 1};
    send((ui_msg){.kind = UI_MSG_ENGINE, .engine = &e});
    T_TRUE(!ui_sums_is_known(&app->doc.sums, 20));
    T_TRUE(measure_now());
    T_SHOWS("3.857");
    close_app();
}

static void esc_takes_the_filter_back(void)
{
    T_TRUE(open_demo(80, 24, UI_GLYPHS_BRAILLE));
    line("filter layers.2-5");
    T_EQ(app->rows.n_order, 4);
    key("\\");
    type(" & mlp");
    key("Esc");
    T_STR(app->rows.filter, "layers.2-5");
    key("\\");
    type("x");
    key("Esc");
    T_EQ(app->rows.n_order, 4);
    close_app();
}

static void long_number_lines_are_whole(void)
{
    T_TRUE(open_demo(80, 24, UI_GLYPHS_BRAILLE));
    rs_buf b = {0};
    for (int i = 0; i < app->doc.n_layers; i++)
        rs_buf_printf(&b, "%s0.%0*d", i ? "," : "", 100, 5);
    rs_buf_puts(&b, ",1"); /* one too many: asked, filled from the first row */
    send((ui_msg){.kind = UI_MSG_PASTE, .text = rs_buf_str(&b)});
    T_SHOWS("s stretch, f fill");
    key("f");
    T_STR(app->last_edit + strlen("gains "), rs_buf_str(&b));
    rs_buf_free(&b);
    close_app();
}

static void budgets_of_what_is_measured(void)
{
    T_TRUE(open_demo(80, 24, UI_GLYPHS_BRAILLE));
    line("budget 0.005 of=out");
    T_NEAR(ui_budget_used(app), app->doc.at.measure->all.out, 0, 0);
    line("budget 0.005 of=heal");
    T_SHOWS("only the damage of the stage");
    T_STR(app->doc.at.recipe->budget_of, "out");
    key("Esc");
    line("budget 0.005 of=fuel");
    T_NEAR(ui_budget_used(app), app->doc.at.measure->all.damage, 0, 0);
    close_app();
}

T_MAIN(T_TEST(shows_the_demo), T_TEST(the_script), T_TEST(lanes_cells_and_scenes),
       T_TEST(detail_of_a_layer), T_TEST(merges_by_a_plan_page),
       T_TEST(many_edits_in_a_frame), T_TEST(numbers_are_the_measures),
       T_TEST(sources_come_and_go), T_TEST(a_zero_cell_comes_back),
       T_TEST(wakes_only_for_clocks),
       T_TEST(keys_mean_the_job_at_work), T_TEST(files_are_read_again),
       T_TEST(esc_takes_the_filter_back), T_TEST(long_number_lines_are_whole),
       T_TEST(budgets_of_what_is_measured), T_TEST(sentences),
       T_TEST(the_full_plan_leads_back), T_TEST(the_lane_goes_with_the_heal))
