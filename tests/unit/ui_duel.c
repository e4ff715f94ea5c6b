/* Duel, the preview and Jobs: what the engine and the jobs tell, on the screen. */
#include "tests/unit/ui_app_fake.h"

static void engine(ui_engine_what what, int slot, uint64_t run, int id, const char *text)
{
    ui_engine_event e = {.what = what,
                         .slot = slot,
                         .run = run,
                         .serial = slot ? app->duel.serial : app->doc.serial,
                         .id = id,
                         .text = text,
                         .n_text = what == UI_ENGINE_TOKEN ? strlen(text) : 0,
                         .replaced = true,
                         .tokens_per_second = 61};
    send((ui_msg){.kind = UI_MSG_ENGINE, .engine = &e});
}

static uint64_t run_of(int slot)
{
    for (int i = fx.n - 1; i >= 0; i--)
        if (fx.at[i].kind == UI_FX_GENERATE && fx.at[i].slot == slot) return fx.at[i].run;
    return 0;
}

static void preview_follows_the_edits(void)
{
    T_TRUE(open_demo(80, 24, UI_GLYPHS_BRAILLE));
    ui_effect *follow = effect(UI_FX_FOLLOW), *text = effect(UI_FX_GENERATE);
    T_TRUE(follow && text && effect(UI_FX_MEASURE));
    T_TRUE(strstr(text->prompt, "lighthouse") != NULL);
    T_TRUE(strstr(text->sampler, "\"temperature\":0,") != NULL);
    uint64_t run = text->run;
    engine(UI_ENGINE_START, 0, run, 0, "");
    engine(UI_ENGINE_TOKEN, 0, run, 1, "The lamp swung once");
    T_TRUE(shows(" The lamp swung once▌"));
    T_TRUE(strstr(row(15), "preview s01 \"The lighthouse keeper"));
    T_TRUE(strstr(row(15), "seed 7  T 0  61 tok/s  now ─"));
    key("h");
    T_TRUE(strstr(row(15), "1 edit ago ~"));
    engine(UI_ENGINE_START, 0, run, 0, "");
    engine(UI_ENGINE_TOKEN, 0, run, 1, "The lamp");
    T_TRUE(shows("swung once")); /* the old text is overwritten from the front */
    engine(UI_ENGINE_STOP, 0, run, 0, "eos");
    T_TRUE(!shows("swung once"));
    key(">");
    T_TRUE(strstr(row(15), "seed 8"));
    T_TRUE(strstr(effect(UI_FX_GENERATE)->sampler, "\"seed\":8") != NULL);
    ui_engine_event died = {.what = UI_ENGINE_DIED,
                            .text = "engine ended (out of memory), starting again"};
    send((ui_msg){.kind = UI_MSG_ENGINE, .engine = &died});
    T_TRUE(shows("engine ended (out of memory), starting again"));
    close_app();
}

static void two_texts_side_by_side(void)
{
    T_TRUE(open_demo(80, 24, UI_GLYPHS_BRAILLE));
    key("V");
    T_TRUE(shows("no saved version of luchador-miniature differs"));
    key("J");
    line("gain cursor *0.5");
    key("V");
    T_TRUE(strstr(row(1), "[2 Duel]") != NULL);
    T_TRUE(strstr(row(3), " A luchador-miniature*  v1") != NULL);
    T_TRUE(strstr(row(3), "│ B luchador-miniature  v1") != NULL);
    uint64_t a = run_of(0), b = run_of(1);
    T_TRUE(a && b && a != b);
    engine(UI_ENGINE_TOKEN, 0, a, 1, "The whole room seemed to");
    engine(UI_ENGINE_TOKEN, 1, b, 1, "The whole room seemed to");
    T_TRUE(shows("no difference yet"));
    engine(UI_ENGINE_TOKEN, 0, a, 2, " lean");
    engine(UI_ENGINE_TOKEN, 1, b, 3, " hold");
    T_TRUE(shows("first difference at token 2: A \" lean\"  B \" hold\""));
    T_TRUE(strstr(row(6), "▸The whole room seemed to lean") != NULL);
    T_TRUE(strstr(row(4), "6 words") != NULL);
    engine(UI_ENGINE_TOKEN, 0, a, 9, ".\n\nNext.\n\nLast.");
    engine(UI_ENGINE_STOP, 0, a, 0, "length");
    engine(UI_ENGINE_STOP, 1, b, 0, "length");
    key("j");
    T_EQ(app->duel.paragraph[0], 1);
    T_TRUE(strstr(row(6), "Next.") != NULL);
    key("D");
    T_TRUE(shows("layer 5"));
    key("q 1");
    line("lambda 2");
    key("2");
    T_TRUE(strstr(row(3), "v1 ~") != NULL);
    key("r");
    T_TRUE(!strstr(row(3), "~"));
    T_TRUE(run_of(1) > b);
    line("versus naive-0.3");
    T_TRUE(shows("B naive-0.3"));
    T_TRUE(effect(UI_FX_FOLLOW) != NULL);
    close_app();
}

static void jobs_in_the_background(void)
{
    T_TRUE(open_demo(80, 24, UI_GLYPHS_BRAILLE));
    ui_job jobs[2] = {{.id = 14,
                       .kind = "merge",
                       .title = "luchador-miniature v3",
                       .state = UI_JOB_RUNNING,
                       .done = 63,
                       .total = 100,
                       .unit = "bytes",
                       .rate = 4.1e6,
                       .seconds_left = 1,
                       .started = 1700000000,
                       .last_news = 1700000100,
                       .what = "layers.5.mlp"},
                      {.id = 9,
                       .kind = "merge",
                       .title = "naive-0.3",
                       .state = UI_JOB_STOPPED,
                       .done = 41,
                       .total = 100,
                       .unit = "bytes",
                       .seconds_left = -1}};
    send((ui_msg){.kind = UI_MSG_JOB, .jobs = jobs, .n_jobs = 2});
    key("4");
    T_TRUE(strstr(row(2), " 1 running  0 waiting  1 ended") != NULL);
    T_TRUE(strstr(row(4), "> 14 merge   luchador-miniature") != NULL);
    T_TRUE(strstr(row(4), "63 %") != NULL);
    T_TRUE(strstr(row(5), "stopped") != NULL);
    rig_now += 12;
    send((ui_msg){.kind = UI_MSG_TICK});
    T_TRUE(strstr(row(4), "quiet 0:12") != NULL);
    key("x");
    T_TRUE(shows("Stop job 14 (luchador-miniature v3) at 63 %? y/N"));
    key("Enter");
    T_TRUE(!effect(UI_FX_JOB_STOP));
    key("x y");
    T_TRUE(effect(UI_FX_JOB_STOP) && !effect(UI_FX_JOB_STOP)->full);
    rig_now += 6;
    send((ui_msg){.kind = UI_MSG_TICK});
    T_TRUE(effect(UI_FX_JOB_STOP)->full); /* it did not listen */
    jobs[0].state = UI_JOB_DONE;
    snprintf(jobs[0].hash, sizeof jobs[0].hash, "00112233445566778899aabbccddeeff");
    snprintf(jobs[0].out, sizeof jobs[0].out, "%s", folder);
    send((ui_msg){.kind = UI_MSG_JOB, .jobs = jobs, .n_jobs = 2});
    T_TRUE(shows("merge done: luchador-miniature v3"));
    T_TRUE(shows("00112233445566778899aabbccddeeff"));
    key("j Del y");
    T_EQ(effect(UI_FX_JOB_FORGET)->value, 9);
    line("job-log 14");
    T_TRUE(shows("log of job 14"));
    close_app();
}

T_MAIN(T_TEST(preview_follows_the_edits), T_TEST(two_texts_side_by_side),
       T_TEST(jobs_in_the_background))
