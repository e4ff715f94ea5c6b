/* What is kept: saved versions, the session, edits that another recipe takes the place of. */
#include "tests/gguf_build.h"
#include "tests/unit/ui_app_fake.h"
#include "tui/app/adhoc.h"

static void session_comes_back(void)
{
    T_TRUE(open_demo(80, 24, UI_GLYPHS_BRAILLE));
    key("j j Space h B");
    rig_now += 2;
    send((ui_msg){.kind = UI_MSG_TICK});
    ui_effect *e = effect(UI_FX_SESSION);
    T_TRUE(e != NULL);
    char *session = ui_strdup(e->text), *text = ui_strdup(app->doc.at.text);
    close_app();
    T_TRUE(open_app(NULL, session, 80, 24, UI_GLYPHS_BRAILLE));
    T_STR(app->doc.at.text, text);
    T_EQ(app->rows.cursor, 3);
    T_TRUE(app->rows.marked[2]);
    T_EQ(app->i_scene, 1);
    T_TRUE(app->scene[0].text != NULL);
    T_ROW(0, "luchador-miniature*");
    key("u"); /* the tree is there, too: scene B, then the edit in A */
    T_EQ(app->i_scene, 0);
    key("u");
    T_TRUE(ui_doc_is_saved(&app->doc));
    key("^R ^R");
    T_STR(app->doc.at.text, text);
    T_EQ(app->i_scene, 1);
    free(session);
    free(text);
    close_app();
}

static bool holds_text(const char *below, const char *text)
{
    char path[512];
    rs_buf b = {0};
    snprintf(path, sizeof path, "%s/%s", folder, below);
    bool there = rs_os_read_file(path, 1 << 20, &b, &t_err) == RS_OK &&
                 strstr(rs_buf_str(&b), text) != NULL;
    rs_buf_free(&b);
    return there;
}

/* What another program wrote into the file is kept as a version; so is what :write-as takes
 * the place of. */
static void nothing_saved_is_lost(void)
{
    char path[512];
    rs_buf b = {0};
    T_TRUE(open_demo(80, 24, UI_GLYPHS_BRAILLE));
    snprintf(path, sizeof path, "%s/luchador-miniature.json", folder);
    T_OK(rs_os_read_file(path, 1 << 20, &b, &t_err));
    char *scale = strstr(rs_buf_str(&b), "\"scale\": 0.3");
    T_TRUE(scale != NULL);
    scale[strlen("\"scale\": 0.")] = '7';
    T_OK(rs_os_write_file(path, b.data, b.len, &t_err));
    rs_buf_free(&b);
    line("scale 0.25");
    line("write");
    T_SHOWS("saved as luchador-miniature v2");
    T_TRUE(holds_text("luchador-miniature.versions/1.json", "\"scale\": 0.7"));
    T_TRUE(holds_text("luchador-miniature.json", "\"scale\": 0.25"));
    line("write-as other");
    line("scale 0.2");
    line("write");
    T_SHOWS("saved as other v2");
    line("load luchador-miniature");
    line("scale 0.1");
    line("write-as other");
    type("other");
    key("Enter");
    T_SHOWS("saved as other v3");
    T_TRUE(holds_text("other.versions/1.json", "\"scale\": 0.25"));
    T_TRUE(holds_text("other.versions/2.json", "\"scale\": 0.2"));
    T_TRUE(holds_text("other.json", "\"scale\": 0.1"));
    close_app();
}

/* The older version goes out first; what fails stops the rest. */
static void a_failed_save_touches_nothing(void)
{
    T_TRUE(open_demo(80, 24, UI_GLYPHS_BRAILLE));
    ui_effects_clear(&fx);
    send((ui_msg){.kind = UI_MSG_COMMAND, .text = "scale 0.25"});
    send((ui_msg){.kind = UI_MSG_COMMAND, .text = "write \"a note\""});
    ui_effect *e = effect(UI_FX_SAVE);
    T_TRUE(e && strstr(e->path, "luchador-miniature.versions/1.json"));
    ui_effects_clear(&fx);
    send((ui_msg){.kind = UI_MSG_DONE, .done_effect = UI_FX_SAVE, .text = "disk full"});
    T_TRUE(!effect(UI_FX_SAVE));
    T_SHOWS("not saved: the recipe stays as it was");
    T_TRUE(!ui_doc_is_saved(&app->doc));
    key("Esc");
    line("write");
    T_SHOWS("saved as luchador-miniature v2");
    close_app();
}

/* A file under the name that is no recipe (any more) may be somebody's work: it stays. */
static void a_broken_file_stays(void)
{
    static const char broken[] = "{\"ringside\": 1, \"name\": half a recipe";
    char path[512];
    T_TRUE(open_demo(80, 24, UI_GLYPHS_BRAILLE));
    snprintf(path, sizeof path, "%s/luchador-miniature.json", folder);
    T_OK(rs_os_write_file(path, broken, strlen(broken), &t_err));
    line("scale 0.25");
    line("write");
    T_SHOWS("luchador-miniature.json");
    T_TRUE(!ui_doc_is_saved(&app->doc));
    T_TRUE(holds_text("luchador-miniature.json", "half a recipe"));
    line("write-as other");
    T_SHOWS("saved as other v1");
    T_TRUE(holds_text("luchador-miniature.json", "half a recipe"));
    close_app();
}

/* Notes that cannot be read are not replaced by the new one. */
static void notes_are_kept(void)
{
    char path[512], notes[600];
    rs_buf b = {0};
    T_TRUE(open_demo(120, 40, UI_GLYPHS_BRAILLE));
    line("scale 0.25");
    line("write \"one\"");
    line("scale 0.24");
    line("write \"two\"");
    T_TRUE(holds_text("luchador-miniature.versions/notes.jsonl", "\"one\"}\n{"));
    snprintf(path, sizeof path, "%s/luchador-miniature.versions", folder);
    snprintf(notes, sizeof notes, "%s/notes.jsonl", path);
    for (int i = 0; i < (1 << 20) + 10; i++)
        rs_buf_putc(&b, 'x');
    T_OK(rs_os_write_file(notes, b.data, b.len, &t_err));
    line("scale 0.23");
    line("write \"three\"");
    T_SHOWS("not saved, :write without a note does");
    T_TRUE(!ui_doc_is_saved(&app->doc));
    T_TRUE(!holds_text("luchador-miniature.versions/notes.jsonl", "three"));
    line("write");
    T_SHOWS("saved as luchador-miniature v4");
    rs_buf_free(&b);
    close_app();
}

/* Two recipes for a duel, with edits that are not saved: asked first, and the second one is
 * not forgotten. */
static void a_duel_of_two_others(void)
{
    T_TRUE(open_demo(80, 24, UI_GLYPHS_BRAILLE));
    line("write-as one");
    line("scale 0.2");
    line("write-as two");
    line("scale 0.1");
    line("versus one two");
    T_SHOWS("two has unsaved edits: s save v2  k keep in undo  d drop  Esc stay");
    key("s");
    T_SHOWS("duel: one against two");
    T_TRUE(holds_text("two.json", "\"scale\": 0.1"));
    T_STR(app->duel.name, "two");
    T_EQ(app->duel.version, 2);
    close_app();
}

/* An older version is opened as an edit of its recipe: saved, it is the next one. */
static void an_old_version_is_no_file(void)
{
    char newest[256];
    T_EQ(ui_version_of("a/x.versions/3.json", newest, sizeof newest), 3);
    T_STR(newest, "a/x.json");
    T_EQ(ui_version_of("a/x.versions/0.json", newest, sizeof newest), 0);
    T_EQ(ui_version_of("a/x.versions/3.txt", newest, sizeof newest), 0);
    T_EQ(ui_version_of("x.versions", newest, sizeof newest), 0);
    T_TRUE(open_demo(80, 24, UI_GLYPHS_BRAILLE));
    line("scale 0.2");
    line("write");
    line("scale 0.1");
    line("write");
    line("load luchador-miniature@2");
    T_SHOWS("luchador-miniature v2 is in the editor: W saves it as v4");
    T_ROW(0, "luchador-miniature*  v3");
    line("scale 0.33");
    line("write");
    T_SHOWS("saved as luchador-miniature v4");
    T_TRUE(holds_text("luchador-miniature.versions/2.json", "\"scale\": 0.2"));
    T_TRUE(holds_text("luchador-miniature.versions/3.json", "\"scale\": 0.1"));
    T_TRUE(holds_text("luchador-miniature.json", "\"scale\": 0.33"));
    line("versus luchador-miniature@2");
    T_EQ(app->duel.version, 2);
    key("1");
    line("recall -1");
    T_SHOWS("version 3 is in the editor");
    line("recall -9");
    T_SHOWS("luchador-miniature.json has versions 1 to 4: none is 9 before the last");
    close_app();
}

/* The newest file is gone: its versions stay as they are, numbers go on. */
static void a_version_without_its_newest(void)
{
    char path[512];
    T_TRUE(open_demo(80, 24, UI_GLYPHS_BRAILLE));
    line("scale 0.2");
    line("write");
    line("scale 0.1");
    line("write");
    close_app();
    snprintf(path, sizeof path, "%s/luchador-miniature.json", folder);
    T_EQ(unlink(path), 0);
    snprintf(path, sizeof path, "%s/luchador-miniature.versions/1.json", folder);
    T_TRUE(open_app(path, NULL, 80, 24, UI_GLYPHS_BRAILLE));
    line("scale 0.4");
    line("write");
    T_SHOWS("saved as luchador-miniature v3");
    T_TRUE(holds_text("luchador-miniature.versions/1.json", "\"scale\": 0.3"));
    T_TRUE(holds_text("luchador-miniature.versions/2.json", "\"scale\": 0.2"));
    T_TRUE(holds_text("luchador-miniature.json", "\"scale\": 0.4"));
    close_app();
}

/* d before a load: u leads to what is saved, not to the edits; k: to the edits. */
static void dropped_before_a_load(void)
{
    T_TRUE(open_demo(80, 24, UI_GLYPHS_BRAILLE));
    char *saved = ui_strdup(app->doc.at.text);
    T_TRUE(copy_recipe("naive-0.3"));
    line("scale 0.2");
    line("scale 0.1");
    line("load naive-0.3");
    key("d");
    T_SHOWS("naive-0.3 is open");
    key("u");
    T_STR(app->doc.at.text, saved);
    T_TRUE(ui_doc_is_saved(&app->doc));
    line("scale 0.1");
    char *edited = ui_strdup(app->doc.at.text);
    line("load naive-0.3");
    key("k");
    T_SHOWS("naive-0.3 is open");
    key("u");
    T_STR(app->doc.at.text, edited);
    free(saved);
    free(edited);
    close_app();
}

/* What cannot be opened drops nothing. */
static void dropped_for_nothing(void)
{
    char path[512];
    T_TRUE(open_demo(80, 24, UI_GLYPHS_BRAILLE));
    snprintf(path, sizeof path, "%s/bad.json", folder);
    T_OK(rs_os_write_file(path, "{}", 2, &t_err));
    line("scale 0.2");
    char *edited = ui_strdup(app->doc.at.text);
    line("load bad");
    key("d");
    T_STR(app->doc.at.text, edited);
    T_STR(ui_undo_here(&app->undo)->text, edited);
    free(edited);
    close_app();
}

/* A path of any length is opened whole after the question. */
static void a_long_path_is_whole(void)
{
    char path[2000];
    T_TRUE(open_demo(80, 24, UI_GLYPHS_BRAILLE));
    int n = snprintf(path, sizeof path, "load %s", folder);
    for (int i = 0; i < 400; i++)
        n += snprintf(path + n, sizeof path - (size_t)n, "/.");
    snprintf(path + n, sizeof path - (size_t)n, "/naive-0.3.json");
    T_TRUE(copy_recipe("naive-0.3"));
    line("scale 0.2");
    line(path);
    key("k");
    T_SHOWS("naive-0.3 is open");
    close_app();
}

static char *session_text(void)
{
    rs_buf b = {0};
    ui_session_text(app, &b);
    char *text = ui_strdup(rs_buf_str(&b));
    rs_buf_free(&b);
    return text;
}

/* The edits are dropped, the states of the session are not. */
static void dropped_at_the_end(void)
{
    T_TRUE(open_demo(80, 24, UI_GLYPHS_BRAILLE));
    char *saved = ui_strdup(app->doc.at.text);
    line("scale 0.2");
    line("scale 0.1");
    key("Q d");
    T_TRUE(effect(UI_FX_QUIT) != NULL);
    char *session = session_text();
    close_app();
    T_TRUE(open_app(NULL, session, 80, 24, UI_GLYPHS_BRAILLE));
    T_STR(app->doc.at.text, saved);
    T_EQ(app->undo.n, 3);
    key("^R ^R");
    T_SHOWS("scale 0.1");
    T_TRUE(strstr(app->doc.at.text, "\"scale\": 0.1") != NULL);
    free(session);
    free(saved);
    close_app();
}

/* The recipe of a session is not where its tree stands: both are kept. */
static void a_tree_that_does_not_fit(void)
{
    T_TRUE(open_demo(80, 24, UI_GLYPHS_BRAILLE));
    line("scale 0.2");
    char *session = session_text();
    char *here = strstr(session, "\"here\":1");
    T_TRUE(here != NULL);
    here[strlen("\"here\":")] = '0';
    close_app();
    T_TRUE(open_app(NULL, session, 80, 24, UI_GLYPHS_BRAILLE));
    T_TRUE(strstr(app->doc.at.text, "\"scale\": 0.2") != NULL);
    T_EQ(app->undo.n, 3);
    key("u");
    T_TRUE(strstr(app->doc.at.text, "\"scale\": 0.3") != NULL);
    free(session);
    close_app();
}

/* Sessions named one file only, once; their unsaved recipe comes back, too. */
static void a_session_of_one_file(void)
{
    T_TRUE(open_demo(80, 24, UI_GLYPHS_BRAILLE));
    const ui_file *f = ui_doc_file_of(&app->doc);
    rs_buf b = {0};
    line("scale 0.2");
    rs_buf_printf(&b,
                  "{\"session\":1,\"path\":\"%s\",\"folder\":\"%s\",\"saved\":", f->path,
                  f->folder);
    rs_buf_json(&b, f->saved, strlen(f->saved));
    rs_buf_puts(&b, ",\"version\":1,\"recipe\":");
    rs_buf_json(&b, app->doc.at.text, strlen(app->doc.at.text));
    rs_buf_puts(&b, "}");
    close_app();
    T_TRUE(open_app(NULL, rs_buf_str(&b), 80, 24, UI_GLYPHS_BRAILLE));
    T_TRUE(strstr(app->doc.at.text, "\"scale\": 0.2") != NULL);
    T_ROW(0, "luchador-miniature*  v1");
    rs_buf_free(&b);
    close_app();
}

static void merged_gguf(const char *path, const char *recipe)
{
    gguf_build g = GGUF_BUILD;
    float x[4] = {1, 2, 3, 4};
    gb_string(&g, "general.architecture", "none");
    gb_string(&g, "ringside.recipe", recipe);
    gb_tensor(&g, "x", RS_DTYPE_F32, 1, 4, x, sizeof x);
    gb_save(&g, path);
}

/* A merged GGUF is opened as a merged folder is, where the sources are found; it is never
 * written to. */
static void a_merged_gguf_is_its_recipe(void)
{
    char path[512];
    T_TRUE(open_demo(80, 24, UI_GLYPHS_BRAILLE));
    snprintf(path, sizeof path, "%s/made.gguf", folder);
    merged_gguf(path, app->doc.at.text);
    line("load made.gguf");
    T_SHOWS("luchador-miniature is open");
    T_EQ(rs_recipe_fuel(app->doc.at.recipe)->n_inputs, 7);
    T_TRUE(app->doc.at.plan && !ui_doc_file(&app->doc)->path);
    line("scale 0.2");
    line("write");
    T_TRUE(ui_holds_recipe(path));
    T_TRUE(holds_text("recipes/luchador-miniature.json", "\"scale\": 0.2"));
    merged_gguf(path,
                "{\"ringside\":1,\"models\":{\"m\":{\"path\":\"gone\"}},\"stages\":[{"
                "\"name\":\"f\",\"method\":\"task_arithmetic\",\"base\":\"m\","
                "\"inputs\":[]}],\"output\":{\"stage\":\"f\"}}");
    T_TRUE(!ui_holds_recipe(path));
    merged_gguf(path, "{\"ringside\":");
    T_TRUE(!ui_holds_recipe(path));
    close_app();
}

/* What a merge saves first does not end the tour before its last step was shown. */
static void the_tour_ends_with_w(void)
{
    T_TRUE(open_demo(120, 40, UI_GLYPHS_BRAILLE));
    line("scale 0.2");
    line("tour 9");
    key("M");
    key("y");
    T_SHOWS("merging luchador-miniature v2 into");
    T_SHOWS("tour 10 of 10");
    key("W");
    T_SHOWS("That was the way round");
    key("Enter");
    T_SHOWS("tour: :tour brings it back");
    close_app();
}

static void asks_before_it_leaves(void)
{
    T_TRUE(open_demo(80, 24, UI_GLYPHS_BRAILLE));
    key("Q");
    T_TRUE(effect(UI_FX_QUIT) != NULL); /* nothing to lose */
    ui_effects_clear(&fx);
    key("h Q");
    T_TRUE(!effect(UI_FX_QUIT));
    T_SHOWS("luchador-miniature: 1 edit since v1.  s save v2  k keep  d drop  Esc stay");
    key("Esc");
    T_TRUE(!effect(UI_FX_QUIT));
    key("Q s");
    T_TRUE(effect(UI_FX_QUIT) != NULL); /* after the save was answered */
    T_TRUE(ui_doc_is_saved(&app->doc));
    close_app();
}

T_MAIN(T_TEST(session_comes_back), T_TEST(nothing_saved_is_lost),
       T_TEST(a_failed_save_touches_nothing), T_TEST(a_broken_file_stays),
       T_TEST(notes_are_kept), T_TEST(a_duel_of_two_others),
       T_TEST(asks_before_it_leaves), T_TEST(an_old_version_is_no_file),
       T_TEST(a_version_without_its_newest), T_TEST(dropped_before_a_load),
       T_TEST(dropped_for_nothing), T_TEST(a_long_path_is_whole),
       T_TEST(dropped_at_the_end), T_TEST(a_tree_that_does_not_fit),
       T_TEST(a_session_of_one_file), T_TEST(the_tour_ends_with_w),
       T_TEST(a_merged_gguf_is_its_recipe))
