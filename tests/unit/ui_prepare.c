/* :prepare in the workbench: a recipe whose files are not there yet opens, the job is started
 * on its file, and when it is done the numbers appear. */
#include "tests/unit/ui_app_fake.h"

#include <unistd.h>

static char recipe_path[512], fisher_path[512];

/* A recipe in a folder of its own that describes its Fisher, or not. */
static bool open_recipe(bool describes)
{
    char cwd[2048], text[8192];
    rs_err err;
    snprintf(folder, sizeof folder, "%s", t_folder());
    snprintf(recipe_path, sizeof recipe_path, "%s/mine.json", folder);
    snprintf(fisher_path, sizeof fisher_path, "%s/fisher/it.st", folder);
    if (!getcwd(cwd, sizeof cwd)) return false;
    int n = snprintf(
        text, sizeof text,
        "{\"ringside\":1,\"name\":\"mine\",\"models\":{\"it\":{\"path\":"
        "\"%s/recipes/sparring/it\"},\"sea\":{\"adapter\":\"%s/recipes/sparring/lora/sea\"}},"
        "\"measures\":{\"f\":{\"fisher\":\"fisher/it.st\"%s}},\"stages\":[{\"name\":\"fuel\","
        "\"method\":\"task_arithmetic\",\"base\":\"it\",\"inputs\":[{\"from\":\"sea\"}],"
        "\"dampen\":{\"by\":\"f\",\"kind\":\"%s\"}}]}",
        cwd, cwd, describes ? ",\"make\":{\"model\":\"it\",\"random\":4}" : "",
        describes ? "ewc" : "none");
    return n < (int)sizeof text &&
           rs_os_write_file(recipe_path, text, (size_t)n, &err) == RS_OK &&
           open_app(recipe_path, NULL, 80, 24, UI_GLYPHS_BRAILLE);
}

static void send_job(ui_job_state state, const char *out)
{
    ui_job job = {.id = 7, .state = state, .seconds_left = -1};
    snprintf(job.kind, sizeof job.kind, "prepare");
    snprintf(job.title, sizeof job.title, "mine");
    snprintf(job.out, sizeof job.out, "%s", out);
    send((ui_msg){.kind = UI_MSG_JOB, .jobs = &job, .n_jobs = 1});
}

static ui_effect *job_started(void)
{
    return effect(UI_FX_JOB_START);
}

static bool put_fisher(void)
{
    char dir[600];
    rs_err err;
    return rs_path_dirname(dir, sizeof dir, fisher_path) &&
           rs_os_mkdir(dir, &err) == RS_OK &&
           rs_os_copy("tests/golden/demo/sparring/fisher/it-instruct.safetensors", fisher_path,
                      &err) == RS_OK;
}

/* As it is on disk, without a plan: the Ring says what makes it, and the job is on the file. */
static void starts_without_its_files(void)
{
    T_TRUE(open_recipe(true));
    T_TRUE(ui_app_plan(app) == NULL);
    T_SHOWS("Fisher \"f\" is not there yet (fisher/it.st)");
    T_SHOWS(":prepare makes what is missing");
    ui_effects_free(&fx);
    line("prepare");
    ui_effect *e = job_started();
    T_TRUE(e && strstr(e->text, ",\"prepare\",") && strstr(e->text, "/mine.json\"]"));
    T_STR(e->path, recipe_path);
    T_STR(e->title, "mine");
    T_SHOWS("preparing mine: 4 shows it");
    close_app();
}

/* What the end of the job brings. */
static void numbers_appear(void)
{
    T_TRUE(open_recipe(true));
    send_job(UI_JOB_RUNNING, recipe_path);
    ui_effects_free(&fx);
    line("prepare");
    T_TRUE(!job_started());
    T_SHOWS("job 7 is preparing it");
    T_TRUE(put_fisher());
    send_job(UI_JOB_DONE, recipe_path);
    T_TRUE(ui_app_plan(app) != NULL);
    T_TRUE(effect(UI_FX_DROP_SLOT) != NULL);
    T_SHOWS("prepare done: mine");
    T_TRUE(measure_now());
    T_TRUE(!shows("not there yet"));
    close_app();
}

/* Of another recipe's files, or stopped: nothing is read again. */
static void another_ones_job(void)
{
    T_TRUE(open_recipe(true));
    send_job(UI_JOB_RUNNING, "/elsewhere.json");
    T_TRUE(put_fisher());
    ui_effects_free(&fx);
    send_job(UI_JOB_DONE, "/elsewhere.json");
    T_TRUE(ui_app_plan(app) == NULL && !effect(UI_FX_DROP_SLOT));
    send_job(UI_JOB_STOPPED, recipe_path);
    T_TRUE(ui_app_plan(app) == NULL);
    key("R");
    T_TRUE(ui_app_plan(app) != NULL);
    close_app();
}

/* What is being typed is neither taken nor dropped by the end of a job. */
static void an_open_edit_stays(void)
{
    T_TRUE(open_recipe(true));
    T_TRUE(put_fisher());
    key("R");
    T_TRUE(measure_now());
    key("*");
    type("0.5");
    T_TRUE(ui_doc_is_live(&app->doc));
    send_job(UI_JOB_RUNNING, recipe_path);
    ui_effects_free(&fx);
    send_job(UI_JOB_DONE, recipe_path);
    T_TRUE(ui_doc_is_live(&app->doc) && !effect(UI_FX_DROP_SLOT));
    key("Esc");
    T_TRUE(!ui_doc_is_live(&app->doc));
    close_app();
}

/* Edits are saved before the job reads the file. */
static void edits_are_saved_first(void)
{
    T_TRUE(open_recipe(true));
    T_TRUE(put_fisher());
    key("R");
    line("scale 0.5");
    ui_effects_free(&fx);
    line("prepare");
    T_TRUE(effect(UI_FX_SAVE) != NULL && job_started() != NULL);
    T_TRUE(ui_doc_is_saved(&app->doc));
    rs_recipe *r = NULL;
    T_OK(rs_recipe_load(recipe_path, &r, &t_err));
    T_NEAR(r->stages[0].scale, 0.5, 0, 0);
    rs_recipe_free(r);
    close_app();
}

/* A folder that cannot be written: the recipe gets a place that can, though nothing is there
 * yet that a plan could be made of. */
static void a_place_that_can_be_written(void)
{
    char wanted[600];
    T_TRUE(open_recipe(true));
    snprintf(wanted, sizeof wanted, "%s/recipes/mine.json", folder);
    ui_replace(&ui_doc_file(&app->doc)->path, NULL); /* as out of a merged folder */
    ui_effects_free(&fx);
    line("prepare");
    T_TRUE(job_started() != NULL);
    T_STR(job_started()->path, wanted);
    T_TRUE(rs_os_kind(wanted) == RS_PATH_FILE);
    T_SHOWS("not there yet");
    close_app();
}

static void nothing_to_make(void)
{
    T_TRUE(open_recipe(false));
    ui_effects_free(&fx);
    line("prepare");
    T_TRUE(!job_started());
    T_SHOWS("nothing in this recipe says how it is made");
    close_app();
}

T_MAIN(T_TEST(starts_without_its_files), T_TEST(numbers_appear), T_TEST(another_ones_job), T_TEST(an_open_edit_stays),
       T_TEST(edits_are_saved_first), T_TEST(a_place_that_can_be_written),
       T_TEST(nothing_to_make))
