/* Measuring and training in the background as the screens show it: a heatmap that fills, the
 * curves of a training. Jobs come in as messages, their events as lines. */
#include "tests/unit/ui_app_fake.h"

#include "base/json.h"
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

T_MAIN(T_TEST(a_heatmap_fills), T_TEST(without_a_fisher_it_stays),
       T_TEST(jobs_shows_the_layers))
