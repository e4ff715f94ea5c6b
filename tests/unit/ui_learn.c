/* Measuring and training in the background as the screens show it: a heatmap that fills, the
 * curves of a training. Jobs come in as messages, their events as lines. */
#include "tests/unit/ui_app_fake.h"

#include "base/json.h"
#include "base/os.h"
#include "store/tensor_file.h"
#include "tui/app/corpus.h"
#include "tui/app/track.h"
#include "tui/screens/screens.h"

static ui_track *track;

static void tell(const char *text)
{
    rs_json *v;
    if (rs_json_parse(text, strlen(text), "event", &v, &t_err) != RS_OK) {
        printf("%s\n", t_err.msg);
        return;
    }
    ui_track_add(track, v);
    rs_json_free(v);
}

/* One layer's means: the k-th kind's is base * (k + 1). */
static void tell_layer(int layer, double base)
{
    rs_buf b = {0};
    rs_buf_printf(&b, "{\"event\":\"fisher\",\"layer\":%d,\"tensors\":[", layer);
    for (int k = 0, n = 0; k < RS_N_LAYER_KINDS; k++) {
        int i = ui_doc_tensor(&app->doc, layer, k);
        if (i < 0) continue;
        rs_buf_printf(&b, "%s{\"name\":\"%s\",\"mean\":%g,\"max\":1}", n++ ? "," : "",
                      rs_plan_at(app->doc.at.plan, i)->name, base * (k + 1));
    }
    rs_buf_puts(&b, "]}");
    tell(rs_buf_str(&b));
    rs_buf_free(&b);
}

static void jobs(const ui_job *list, int n)
{
    send((ui_msg){.kind = UI_MSG_JOB, .jobs = list, .n_jobs = n});
}

static ui_job a_job(const char *kind, ui_job_state state)
{
    ui_job j = {.id = 3,
                .state = state,
                .total = 100,
                .done = 40,
                .seconds_left = -1,
                .track = track,
                .started = 1700000000};
    snprintf(j.kind, sizeof j.kind, "%s", kind);
    snprintf(j.title, sizeof j.title, "a title");
    snprintf(j.unit, sizeof j.unit, "steps");
    snprintf(j.out, sizeof j.out, "/out/f.safetensors");
    snprintf(j.model, sizeof j.model, "%s", rs_plan_base_path(app->doc.at.plan));
    return j;
}

static bool begin(int w, int h, ui_glyph_level glyphs)
{
    track = ui_track_new();
    return open_demo(w, h, glyphs);
}

static void end(void)
{
    close_app();
    ui_track_drop(track);
}

static void a_heatmap_fills(void)
{
    T_TRUE(begin(120, 40, UI_GLYPHS_ASCII));
    double own = ui_heat_value(app, 7, 0);
    char word[32];
    T_TRUE(own > 0 && !ui_heat_word(app, word));
    ui_job j = a_job("fisher", UI_JOB_RUNNING);
    jobs(&j, 1);
    T_TRUE(ui_heat_word(app, word));
    T_STR(word, "heat 0/8~");
    T_TRUE(isnan(ui_heat_value(app, 7, 0)));
    T_TRUE(strstr(row(11), "  7 F -- -- --") != NULL);
    tell_layer(7, 0.25);
    jobs(&j, 1);
    T_TRUE(ui_heat_value(app, 7, 0) == 0.25);
    T_TRUE(ui_heat_value(app, 7, RS_KIND_DOWN) == 0.25 * (RS_KIND_DOWN + 1));
    T_TRUE(isnan(ui_heat_value(app, 7, RS_KIND_K))); /* no such tensor there */
    T_TRUE(isnan(ui_heat_value(app, 6, 0)));
    double min, max;
    ui_heat_range(app, &min, &max); /* over what is there */
    T_TRUE(min == 0.25 && max == 0.25 * RS_N_LAYER_KINDS);
    T_SHOWS("heat 1/8~ 0 .25 9 2.2");
    T_TRUE(strstr(row(11), "  7 F 00 -- -- ") != NULL);
    tell_layer(6, 1);
    jobs(&j, 1);
    T_SHOWS("heat 2/8~ 0 .25 9 9");
    line("shade delta"); /* another view is what it was */
    T_TRUE(!ui_heat_word(app, word) && strcmp(word, "delta") == 0);
    line("shade fisher");
    j.state = UI_JOB_DONE; /* the recipe has a Fisher of its own: that is shown again */
    jobs(&j, 1);
    T_TRUE(ui_heat_value(app, 7, 0) == own);
    end();
}

static void without_a_fisher_it_stays(void)
{
    T_TRUE(begin(80, 24, UI_GLYPHS_BRAILLE));
    line("dampen none");
    ui_job j = a_job("fisher", UI_JOB_RUNNING);
    tell_layer(7, 0.5);
    jobs(&j, 1);
    T_TRUE(ui_heat_shade(app) == UI_SHADE_FISHER);
    T_ROW(3, "heat 1/8~"); /* at 80 columns in the head */
    j.state = UI_JOB_STOPPED;
    jobs(&j, 1);
    T_TRUE(strstr(row(3), "heat") == NULL);
    snprintf(j.model, sizeof j.model, "/another/model");
    j.state = UI_JOB_RUNNING;
    jobs(&j, 1);
    T_TRUE(strstr(row(3), "heat") == NULL); /* is not of this model */
    end();
}

static void jobs_shows_the_layers(void)
{
    T_TRUE(begin(80, 24, UI_GLYPHS_ASCII));
    ui_job j = a_job("fisher", UI_JOB_RUNNING);
    for (int l = 7; l >= 4; l--)
        tell_layer(l, 1 + l);
    jobs(&j, 1);
    key("4");
    T_SHOWS("layers  ----0379  4 of 8");
    j.state = UI_JOB_STOPPED;
    jobs(&j, 1);
    T_SHOWS("r resumes");
    j.state = UI_JOB_DONE;
    jobs(&j, 1);
    T_SHOWS("Enter adds it to the open recipe");
    end();
}

/* --- what matters for this text --- */

static void write_text(const char *first, const char *second)
{
    const char *const text[] = {first, second};
    ui_engine_event e = {.what = UI_ENGINE_START, .run = app->text.run, .serial = 1};
    send((ui_msg){.kind = UI_MSG_ENGINE, .engine = &e});
    for (int i = 0; i < 2; i++) {
        e = (ui_engine_event){.what = UI_ENGINE_TOKEN,
                              .run = app->text.run,
                              .serial = 1,
                              .index = i,
                              .id = 5,
                              .text = text[i],
                              .n_text = strlen(text[i])};
        send((ui_msg){.kind = UI_MSG_ENGINE, .engine = &e});
    }
}

static void what_matters_for_a_text(void)
{
    char word[32];
    T_TRUE(begin(120, 40, UI_GLYPHS_ASCII));
    line("fisher-text");
    T_TRUE(app->message_warns && !effect(UI_FX_JOB_START)); /* there is no text yet */
    line("shade text");
    T_TRUE(app->message_warns && app->opt.shade == UI_SHADE_FISHER);
    for (int i = 0; i < UI_N_SHADES; i++) {
        key("F");
        T_TRUE(app->opt.shade != UI_SHADE_TEXT);
    }
    write_text(" A \"lamp\"", " in the f\xc3"); /* the last character is not whole */
    line("fisher-text");
    ui_effect *e = effect(UI_FX_JOB_START);
    T_TRUE(e && e->prompt && strstr(e->text, "\"--jsonl\",\"@data\""));
    T_TRUE(strstr(e->text, "\"--raw\"") != NULL); /* the first prompt is an opening */
    T_TRUE(strstr(e->prompt, "\"response\":\" A \\\"lamp\\\" in the f\"}") != NULL);
    T_TRUE(strncmp(e->prompt, "{\"prompt\":\"The lighthouse", 24) == 0);
    T_STR(e->path, "@out");
    T_TRUE(app->opt.shade == UI_SHADE_TEXT);
    ui_job j = a_job("fisher", UI_JOB_RUNNING);
    snprintf(j.out, sizeof j.out, "/state/jobs/3/text-fisher.safetensors");
    tell_layer(7, 2);
    jobs(&j, 1);
    T_SHOWS("text 1/8~ 0 2 9 18");
    T_TRUE(ui_heat_value(app, 7, 0) == 2 && isnan(ui_heat_value(app, 0, 0)));
    T_EQ(app->heat_model.id, 0); /* it is not a Fisher of the model */
    for (int l = 6; l >= 0; l--)
        tell_layer(l, 1);
    j.state = UI_JOB_DONE;
    jobs(&j, 1);
    ui_heat_word(app, word);
    T_STR(word, "text");
    write_text(" Another", " text");
    ui_heat_word(app, word);
    T_STR(word, "text~"); /* of a text that is gone */
    line("shade fisher");
    ui_heat_word(app, word);
    T_STR(word, "heat");
    T_TRUE(ui_heat_value(app, 7, 0) != 2);
    key("4 Enter");
    T_TRUE(app->screen == UI_RING && app->opt.shade == UI_SHADE_TEXT);
    jobs(NULL, 0); /* forgotten: the recipe's own again */
    T_TRUE(ui_heat_shade(app) == UI_SHADE_FISHER && ui_heat_value(app, 7, 0) > 0);
    end();
}

/* --- contrast --- */

/* A mask over three tensors of four numbers each, whatever the model's shapes are. */
static bool write_mask(const char *path, const char *kind)
{
    static const char *const names[] = {"model.layers.7.self_attn.q_proj.weight",
                                        "model.layers.0.self_attn.o_proj.weight",
                                        "model.norm.weight"};
    const float values[3][4] = {{0, 0.5f, 0.5f, 0}, {1, 1, 0.5f, 0.5f}, {9, 9, 9, 9}};
    rs_string_pair pair = {"kind", kind};
    rs_write_tensor t[3];
    rs_tensor_file *f;
    rs_err err;
    for (int i = 0; i < 3; i++)
        t[i] = (rs_write_tensor){names[i], RS_DTYPE_F32, 1, {4}};
    rs_write_plan plan = {
        .tensors = t, .n_tensors = 3, .metadata = &pair, .n_metadata = 1};
    if (rs_tensor_file_new(path, &plan, false, &f, &err) != RS_OK) return false;
    bool good = true;
    for (int i = 0; i < 3; i++)
        good = good &&
               rs_tensor_file_write(f, i, 0, values[i], sizeof values[i], &err) == RS_OK;
    good = good && rs_tensor_file_finish(f, &err) == RS_OK;
    rs_tensor_file_free(f);
    return good;
}

static void look_answers(const double *means, size_t n, bool failed)
{
    ui_effect *e = effect(UI_FX_LOOK);
    ui_engine_event v = {.what = UI_ENGINE_LOOK,
                         .run = e ? e->run : 0,
                         .id = UI_LOOK_MEANS,
                         .text = failed ? "gone" : (const char *)means,
                         .n_text = failed ? 4 : n * sizeof *means,
                         .last = failed};
    ui_effects_clear(&fx);
    send((ui_msg){.kind = UI_MSG_ENGINE, .engine = &v});
}

static void a_contrast_mask(void)
{
    char path[400], text[500];
    T_TRUE(begin(120, 40, UI_GLYPHS_ASCII));
    line("shade contrast");
    T_TRUE(app->message_warns && app->opt.shade == UI_SHADE_FISHER);
    snprintf(path, sizeof path, "%s/mask.safetensors", folder);
    T_TRUE(write_mask(path, "contrast"));
    const char *by = rs_recipe_fuel(app->doc.at.recipe)->dampen.by;
    char was[80];
    snprintf(was, sizeof was, "%s", by ? by : "");
    snprintf(text, sizeof text, "add %s", path);
    line(text);
    T_TRUE(strstr(app->message, "contrast mask") != NULL);
    T_STR(rs_recipe_fuel(app->doc.at.recipe)->dampen.by, was); /* as before */
    ui_effects_clear(&fx);
    line("shade contrast");
    ui_effect *e = effect(UI_FX_LOOK);
    T_TRUE(e && e->value == UI_LOOK_MEANS && strstr(e->text, "mask.safetensors"));
    T_TRUE(isnan(ui_heat_value(app, 7, 0)));
    const double means[] = {0.25, 0.75, 9};
    look_answers(means, 3, false);
    T_TRUE(ui_heat_value(app, 7, RS_KIND_Q) == 0.25);
    T_TRUE(ui_heat_value(app, 0, RS_KIND_O) == 0.75);
    T_TRUE(isnan(ui_heat_value(app, 3, RS_KIND_O)));
    T_SHOWS("contrast 0 .25 9 .75");
    T_TRUE(!effect(UI_FX_LOOK)); /* once is enough */
    line("refresh");
    e = effect(UI_FX_LOOK);
    T_TRUE(e && e->value == UI_LOOK_MEANS); /* the file may be another now */
    look_answers(NULL, 0, true);
    T_TRUE(app->message_warns && strstr(app->message, "gone"));
    key("j");
    T_TRUE(!effect(UI_FX_LOOK)); /* and a failure is not asked for again and again */
    end();
}

/* A mask is no Fisher: no damage is told by it, and it dampens nothing by itself. */
static void a_mask_is_no_fisher(void)
{
    char path[400], text[500];
    T_TRUE(begin(80, 24, UI_GLYPHS_ASCII));
    snprintf(path, sizeof path, "%s/mask.safetensors", folder);
    T_TRUE(write_mask(path, "contrast"));
    rs_recipe *r = ui_edit_begin(app);
    r->n_measures = 0;
    rs_recipe_fuel(r)->dampen = (rs_dampen_spec){0};
    T_TRUE(ui_edit_end(app, r, "x", "x"));
    snprintf(text, sizeof text, "add %s", path);
    line(text);
    T_TRUE(rs_recipe_fuel(app->doc.at.recipe)->dampen.by == NULL);
    T_TRUE(app->doc.at.plan != NULL);
    bool unknown;
    T_TRUE(isnan(rs_plan_damage_scale(app->doc.at.plan, &unknown)));
    T_EQ(rs_spread_fingerprint(app->doc.at.plan, 0), 0);
    end();
}

/* --- training --- */

/* A step of `steps` with three corpora, as train writes it; the loss falls as 4 - step/100. */
static void tell_step(int step, int steps, bool leaks)
{
    char text[800], leak[80] = "\"leak\":null,\"leak_out\":null,\"leak_in\":null";
    if (leaks)
        snprintf(leak, sizeof leak,
                 "\"leak\":3e-17,\"leak_out\":1e-17,\"leak_in\":3e-17");
    double loss = 4 - step / 100.0;
    snprintf(text, sizeof text,
             "{\"event\":\"train\",\"step\":%d,\"steps\":%d,\"loss\":%g,\"lr\":%g,"
             "\"norm\":0.83,%s,"
             "\"tokens\":512,\"tokens_per_second\":6350,\"corpora\":["
             "{\"name\":\"/c/gothic.txt\",\"loss\":%g,\"tokens\":100,\"epochs\":1.5},"
             "{\"name\":\"/c/sea.txt\",\"loss\":%s,\"tokens\":0,\"epochs\":0.25},"
             "{\"name\":\"/c/scientific.txt\",\"loss\":null,\"tokens\":0,\"epochs\":0}]}",
             step, steps, loss, 1e-3 * (step + 1) / steps, leak, loss,
             step % 2 ? "null" : "3.5");
    tell(text);
}

static void tell_valid(int step, double loss)
{
    char text[300];
    snprintf(text, sizeof text,
             "{\"event\":\"valid\",\"step\":%d,\"steps\":100,\"loss\":%g,\"corpora\":[{"
             "\"name\":"
             "\"/c/gothic.txt\",\"loss\":%g,\"tokens\":9}]}",
             step, loss, loss);
    tell(text);
}

/* One word for :train and for the verb. */
static void a_corpus_has_a_weight(void)
{
    double w;
    const char *colon = ui_corpus_weight("no/f.txt:1e3", &w);
    T_TRUE(colon && strcmp(colon, ":1e3") == 0);
    T_NEAR(w, 1000, 0, 0);
    T_TRUE(ui_corpus_weight("no/f:2.txt:0.5", &w) && w == 0.5);
    T_TRUE(ui_corpus_weight("no/f.txt:-1", &w) && w == -1); /* refused later, by its value */
    T_TRUE(!ui_corpus_weight("no/f.txt", &w) && w == 1);
    T_TRUE(!ui_corpus_weight("no/f.txt:", &w) && w == 1);
    T_TRUE(!ui_corpus_weight("no/f.txt:2x", &w) && w == 1);
    T_TRUE(!ui_corpus_weight("no/f.txt:inf", &w) && w == 1);
    char path[1100];
    snprintf(path, sizeof path, "%s/f:2", t_folder());
    T_OK(rs_os_write_file(path, "x", 1, &t_err));
    T_TRUE(!ui_corpus_weight(path, &w) && w == 1);
}

static void curves_of_a_training(void)
{
    T_TRUE(begin(120, 40, UI_GLYPHS_BRAILLE));
    tell_valid(0, 4.25);
    for (int i = 0; i < 50; i++)
        tell_step(i, 100, true);
    tell_valid(50, 3.75);
    T_EQ(track->n_points, 50);
    T_EQ(track->n_valid, 2);
    T_NEAR(ui_track_recent(track, UI_TRACK_LOSS, 20), 4 - 0.395, 1e-12, 0);
    ui_job j = a_job("train", UI_JOB_RUNNING);
    jobs(&j, 1);
    key("4");
    T_SHOWS("loss 3.605  valid 3.750");
    T_SHOWS("50/100");
    T_SHOWS("gothic        3.605 3.750   1.50 ");
    T_SHOWS("sea           3.500     -   0.25 ");
    T_SHOWS("scientific        -     -   0.00 ");
    T_SHOWS("lr 5.0e-04");
    T_SHOWS("norm 0.83");
    T_SHOWS("leak meter");
    T_SHOWS("1e-17");
    T_SHOWS("3e-17");
    resize(80, 24);
    T_SHOWS("leak U 1e-17  V 3e-17");
    T_SHOWS("gothic     3.605 3.750 ");
    resize(60, 16);
    T_SHOWS("loss 3.605");
    end();
}

/* The line of the loss falls: its dots in the first columns lie above those in the last. */
static void the_line_falls(void)
{
    T_TRUE(begin(80, 24, UI_GLYPHS_ASCII));
    for (int i = 0; i < 100; i++)
        tell_step(i, 100, false);
    ui_job j = a_job("train", UI_JOB_RUNNING);
    jobs(&j, 1);
    key("4");
    T_SHOWS("no subspace is protected");
    screen();
    int first = -1, last = -1;
    for (int y = 6; y < 19; y++)
        for (int x = 6; x < 46; x++)
            if (ui_grid_at(&grid, x, y)->role == UI_SERIES0) {
                if (first < 0) first = y;
                last = y;
            }
    T_TRUE(first >= 6 && last - first >= 6);
    for (int x = 7; x < 44; x++) { /* and it is on every column */
        int n = 0;
        for (int y = 6; y < 19; y++)
            n += ui_grid_at(&grid, x, y)->role == UI_SERIES0;
        T_TRUE(n >= 1);
    }
    end();
}

static void long_trainings_are_thinned(void)
{
    track = ui_track_new();
    for (int i = 0; i < 20000; i++)
        tell_step(i, 20000, true);
    T_TRUE(track->n_points <= UI_TRACK_POINTS && track->n_points > UI_TRACK_POINTS / 4);
    double steps = 0, sum = 0;
    for (int i = 0; i < track->n_points; i++) {
        T_TRUE(i == 0 || track->points[i].step > track->points[i - 1].step);
        steps += track->points[i].n[UI_TRACK_LOSS];
        sum += track->points[i].v[UI_TRACK_LOSS] * track->points[i].n[UI_TRACK_LOSS];
    }
    T_EQ(steps, 20000); /* nothing is lost but detail */
    T_NEAR(sum / steps, 4 - 199.99 / 2, 1e-9, 0);
    T_EQ(track->points[0].n[UI_TRACK_CORPUS + 1] * 2, track->points[0].n[UI_TRACK_LOSS]);
    tell_step(15000, 20000, true); /* resumed from an earlier state */
    T_TRUE(track->points[track->n_points - 1].step <= 15000);
    T_EQ(track->last.step, 15000);
    tell_step(0, 100, true); /* another training of the same job */
    T_EQ(track->n_points, 1);
    T_EQ(track->n_corpora, 3);
    ui_track_drop(track);
}

static void hostile_events(void)
{
    track = ui_track_new();
    tell("{\"event\":\"train\"}");
    tell("{\"event\":\"train\",\"step\":-1,\"steps\":5}");
    tell("{\"event\":\"train\",\"step\":1e300,\"steps\":5}");
    tell("{\"event\":\"train\",\"step\":\"2\",\"corpora\":3}");
    T_EQ(track->n_points, 0);
    tell("{\"event\":\"train\",\"step\":1,\"steps\":0,\"loss\":null,\"corpora\":[7,{},{"
         "\"name\":"
         "\"a\\u001b[31m/\"}]}");
    T_EQ(track->n_points, 1);
    T_EQ(track->n_corpora, 3);
    T_TRUE(strchr(track->corpus[2].name, 27) == NULL);
    T_TRUE(isnan(ui_track_recent(track, UI_TRACK_LOSS, 5)));
    tell("{\"event\":\"valid\",\"step\":3,\"loss\":null}");
    T_EQ(track->n_valid, 0);
    rs_buf b = {0};
    rs_buf_puts(&b, "{\"event\":\"train\",\"step\":2,\"corpora\":[");
    for (int i = 0; i < 60; i++)
        rs_buf_printf(&b, "%s{\"name\":\"%d\",\"loss\":1}", i ? "," : "", i);
    rs_buf_puts(&b, "]}");
    tell(rs_buf_str(&b));
    rs_buf_free(&b);
    T_EQ(track->n_corpora, UI_TRACK_CORPORA);
    for (int i = 0; i < 20000; i += 1000) {
        char text[200];
        snprintf(text, sizeof text, "{\"event\":\"valid\",\"step\":%d,\"loss\":1}", i);
        tell(text);
    }
    ui_track_drop(track);
}

static void a_training_is_started(void)
{
    T_TRUE(begin(80, 24, UI_GLYPHS_BRAILLE));
    char path[400];
    snprintf(path, sizeof path, "%s/sea.txt", folder);
    T_OK(rs_os_write_file(path, "The sea.", 8, &t_err));
    snprintf(path, sizeof path, "%s/fog.txt", folder);
    T_OK(rs_os_write_file(path, "The fog.", 8, &t_err));
    line("train pt sea.txt:0.25 fog.txt steps=20 lr=1e-3 out=x");
    ui_effect *e = effect(UI_FX_JOB_START);
    T_TRUE(e != NULL);
    T_TRUE(strstr(e->text, "\"train\",\"--model\",\"") &&
           strstr(e->text, "sparring/pt\""));
    T_TRUE(strstr(e->text, "sea.txt:0.25\",\"--corpus\",\"") != NULL);
    T_TRUE(strstr(e->text, "\"--steps\",\"20\",\"--lr\",\"1e-3\",\"--out\"") != NULL);
    ui_effects_clear(&fx);
    line("train sea.txt:2"); /* of the base, under a name of its own */
    e = effect(UI_FX_JOB_START);
    T_TRUE(e && strstr(e->text, "sparring/it\"") && strstr(e->path, "out/train/it-sea"));
    ui_effects_clear(&fx);
    const char *const wrong[] = {"train",
                                 "train pt",
                                 "train pt no.txt",
                                 "train sea.txt spets=4",
                                 "train sea.txt subspace=nowhere",
                                 "train gothic sea.txt",
                                 "train sea.txt out=sea.txt"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        app->message_warns = false;
        line(wrong[i]);
        if (!app->message_warns || effect(UI_FX_JOB_START))
            T_FAIL("%s was not refused: %s", wrong[i], app->message);
    }
    end();
}

T_MAIN(T_TEST(a_heatmap_fills), T_TEST(without_a_fisher_it_stays),
       T_TEST(jobs_shows_the_layers), T_TEST(what_matters_for_a_text),
       T_TEST(a_contrast_mask), T_TEST(a_mask_is_no_fisher), T_TEST(a_corpus_has_a_weight),
       T_TEST(curves_of_a_training),
       T_TEST(the_line_falls), T_TEST(long_trainings_are_thinned), T_TEST(hostile_events),
       T_TEST(a_training_is_started))
