/* What the workbench answers: whole sentences, at every size, to every key and command. */
#include "tests/unit/ui_app_fake.h"
#include "tui/screens/screens.h"

/* The screen's text without line ends and the blanks around them: a wrapped sentence is whole. */
static bool tells(const char *text)
{
    static char flat[80 * 1024];
    size_t n = 0;
    for (const char *s = screen(); *s && n + 1 < sizeof flat; s++) {
        bool blank = *s == ' ' || *s == '\n';
        if (!blank)
            flat[n++] = *s;
        else if (n && flat[n - 1] != ' ')
            flat[n++] = ' ';
    }
    flat[n] = 0;
    return strstr(flat, text) != NULL;
}

#define T_TELLS(text)                                                                    \
    do {                                                                                 \
        if (!tells(text)) T_FAIL("not told: \"%s\"\n%s", text, screen());                \
    } while (0)

static void command(const char *text)
{
    key(":");
    type(text);
    key("Enter");
}

static const int sizes[][2] = {{60, 16}, {80, 24}, {120, 40}};

/* A refusal longer than the row is told whole, with hints and without. */
static void refusals_are_whole(void)
{
    static const char *const lines[] = {"gain layrs.3 =0.6", "weight see =0.5",
                                        "heal flat_below=-1"};
    T_TRUE(open_demo(80, 24, UI_GLYPHS_BRAILLE));
    for (int hints = 0; hints < 2; hints++)
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
            for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
                app->opt.hints = hints;
                resize(sizes[s][0], sizes[s][1]);
                command(lines[i]);
                if (app->mode != UI_MODE_PROMPT || !app->message[0])
                    T_FAIL("%s was not refused: \"%s\"", lines[i], app->message);
                T_TELLS(app->message);
                T_TELLS(lines[i] + strlen(lines[i]) - 5); /* still in the line */
                key("Esc");
            }
    close_app();
}

/* A key without a use on the screen says so, and does not leave the last answer standing. */
static void keys_without_a_use_say_so(void)
{
    static const struct {
        const char *screen, *keys;
    } idle[] = {{"detail", "s Space v ( c P r S ~"},
                {"duel", "/ s Space h l c O v n J"},
                {"jobs", "h l s Space v P Tab"},
                {"ring", "3 5 6 F7"}};
    char go[32];
    T_TRUE(open_demo(80, 24, UI_GLYPHS_BRAILLE));
    for (size_t i = 0; i < sizeof idle / sizeof *idle; i++) {
        snprintf(go, sizeof go, "go %s", idle[i].screen);
        line(go);
        char *text = ui_strdup(app->doc.at.text);
        for (const char *k = idle[i].keys; *k;
             k += strcspn(k, " ") + (strchr(k, ' ') != NULL)) {
            char name[24];
            snprintf(name, sizeof name, "%.*s", (int)strcspn(k, " "), k);
            snprintf(app->message, sizeof app->message, "an older answer");
            key(name);
            if (!strstr(app->message, "does nothing on") &&
                strncmp(app->message, "there is no", 11))
                T_FAIL("%s on %s says \"%s\"", name, idle[i].screen, app->message);
            T_EQ(app->mode, UI_MODE_NONE);
        }
        T_STR(app->doc.at.text, text);
        free(text);
    }
    line("go duel");
    key("y");
    T_TELLS("there is no duel to copy from");
    T_TRUE(effect(UI_FX_COPY) == NULL);
    close_app();
}

static void words_that_are_not_known(void)
{
    static const struct {
        const char *line, *says;
    } wrong[] = {{"w", "did you mean worst, weight, write, write-as?"},
                 {"quit foo", "quit takes nothing, or force"},
                 {"stop 77", "there is no job \"77\""},
                 {"go nowhere", "ring duel jobs"}};
    T_TRUE(open_demo(80, 24, UI_GLYPHS_BRAILLE));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        command(wrong[i].line);
        T_TELLS(wrong[i].says);
        T_TRUE(effect(UI_FX_QUIT) == NULL);
        key("Esc");
    }
    line("help zzz");
    T_TELLS("no key or command is about \"zzz\"");
    line("help forget"); /* a key of Jobs */
    T_TELLS("take the job off the list");
    close_app();
}

static bool touch(const char *where, const char *name)
{
    rs_err err;
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", where, name);
    return rs_os_write_file(path, "{}", 2, &err) == RS_OK;
}

/* Names at the end of a path that is wider than the popup, and only what the command takes. */
static void long_paths_show_their_ends(void)
{
    static const char deep[] =
        "models-of-a-long-name/and-another-folder-with-a-long-name/"
        "checkpoints-of-the-second-run/step";
    char where[600], text[700];
    rs_err err;
    T_TRUE(open_demo(80, 24, UI_GLYPHS_BRAILLE));
    snprintf(where, sizeof where, "%s/%s", folder, deep);
    snprintf(text, sizeof text, "%s/gothic", where);
    T_TRUE(rs_os_mkdir(text, &err) == RS_OK);
    snprintf(text, sizeof text, "%s/noir", where);
    T_TRUE(rs_os_mkdir(text, &err) == RS_OK);
    T_TRUE(touch(where, "SOURCE.md") && touch(where, "it.gguf") &&
           touch(where, "r.json"));
    snprintf(text, sizeof text, "add %s/", where);
    key(":");
    type(text);
    T_SHOWS(" gothic/ ");
    T_SHOWS(" it.gguf ");
    T_SHOWS(" noir/ ");
    T_TRUE(!shows("SOURCE") && !shows("r.json"));
    type("g");
    key("Tab");
    T_TRUE(strstr(ui_prompt_text(app->prompt), "step/gothic/"));
    key("Esc");
    key(":");
    snprintf(text, sizeof text, "load %s/", where);
    type(text);
    T_SHOWS(" r.json ");
    T_TRUE(!shows("it.gguf"));
    key("Esc");
    key(":");
    snprintf(text, sizeof text, "load %.*s", (int)strlen(folder) + 5, where);
    type(text); /* "load .../mode" */
    key("Tab");
    T_TRUE(strstr(ui_prompt_text(app->prompt), "models-of-a-long-name/"));
    key("Esc");
    close_app();
}

static void tensors_are_named_as_tensors(void)
{
    T_TRUE(open_demo(80, 24, UI_GLYPHS_BRAILLE));
    key("Enter j"); /* k_proj of layer 0 */
    key("K h");
    T_TELLS("this tensor of layer 0 is locked");
    key("K h");
    key("BackSpace");
    T_TELLS("1 cell changed");
    close_app();
}

/* A recipe that only has its base: no Fisher, no heal, no adapter. */
static bool open_plain(void)
{
    char path[1024], text[4096], cwd[2048];
    rs_err err;
    snprintf(folder, sizeof folder, "%s", t_folder());
    snprintf(path, sizeof path, "%s/plain.json", folder);
    if (!getcwd(cwd, sizeof cwd)) return false;
    snprintf(text, sizeof text,
             "{\"ringside\":1,\"name\":\"plain\",\"models\":{\"it\":{\"path\":"
             "\"%s/recipes/sparring/it\"}},\"stages\":[{\"name\":\"fuel\",\"method\":"
             "\"task_arithmetic\",\"base\":\"it\",\"inputs\":[]}],\"output\":"
             "{\"stage\":\"fuel\"}}",
             cwd);
    return rs_os_write_file(path, text, strlen(text), &err) == RS_OK &&
           open_app(path, NULL, 80, 24, UI_GLYPHS_BRAILLE) && measure_now();
}

static void a_plain_model_says_what_to_do(void)
{
    char cwd[2048], text[2200];
    T_TRUE(open_plain());
    T_TELLS("nothing is mixed in yet: a adds");
    T_SHOWS("a adds an adapter");
    T_TRUE(getcwd(cwd, sizeof cwd) != NULL);
    snprintf(text, sizeof text, "add %s/recipes/sparring/lora/gothic", cwd);
    line(text);
    T_TELLS("adapter gothic is in fuel with weight 1 ");
    line(text);
    T_TELLS("which has it as gothic already");
    T_TRUE(measure_now());
    T_EQ(ui_heat_shade(app), UI_SHADE_DELTA); /* a Fisher would be 1 everywhere */
    key("i");
    T_TRUE(!strstr(rs_buf_str(&app->page.text), "nan"));
    T_TRUE(strstr(rs_buf_str(&app->page.text), "damage    not known"));
    T_TRUE(strstr(rs_buf_str(&app->page.text), "attention with a window"));
    key("q");
    close_app();
}

static void a_locale_of_ascii_draws_no_braille(void)
{
    T_TRUE(open_demo(80, 24, UI_GLYPHS_ASCII));
    app->ascii_only = true;
    command("glyphs braille");
    T_TELLS("only ascii can be shown");
    key("Esc");
    T_EQ(app->opt.glyphs, UI_GLYPHS_ASCII);
    app->ascii_only = false;
    line("glyphs braille");
    T_EQ(app->opt.glyphs, UI_GLYPHS_BRAILLE);
    close_app();
}

/* The tour's box leaves free what it speaks of: the bar and the text. */
static void the_tour_shows_what_it_means(void)
{
    T_TRUE(open_demo(80, 24, UI_GLYPHS_BRAILLE));
    line("tour 7");
    T_SHOWS("0.0039/0.0060");
    T_SHOWS("tour 7 of 10");
    line("tour 2");
    T_SHOWS("preview s01");
    T_ROW(4, "1.000 0.38  0.408"); /* and the row under the cursor */
    key("h");
    line("tour 10");
    T_SHOWS("tour 10 of 10");
    key("W");
    T_SHOWS("saved as luchador-miniature v2");
    T_TELLS("That was the way round"); /* a last word, until it was read */
    key("j Enter");
    T_TRUE(!shows("the way round"));
    T_SHOWS(":tour brings it back");
    close_app();
}

T_MAIN(T_TEST(refusals_are_whole), T_TEST(keys_without_a_use_say_so),
       T_TEST(words_that_are_not_known), T_TEST(long_paths_show_their_ends),
       T_TEST(tensors_are_named_as_tensors), T_TEST(a_plain_model_says_what_to_do),
       T_TEST(the_tour_shows_what_it_means), T_TEST(a_locale_of_ascii_draws_no_braille))
