#include "tests/unit/ui_fake.h"

#include "tui/app/help.h"
#include "tui/app/keys_doc.h"
#include "tui/app/palette.h"

/* --- the table --- */

static void lookups(void)
{
    T_STR(ui_command_for_key('m', UI_RING)->name, "mute");
    T_STR(ui_command_for_key('m', UI_JOBS)->name, "hold");
    T_TRUE(ui_command_for_key('m', UI_DUEL) == NULL);
    T_STR(ui_command_for_key(UI_KEY_F1 + 4, UI_DUEL)->name, "merge");
    T_STR(ui_command_for_key('*', UI_DETAIL)->name, "gain");
    T_TRUE(ui_command_for_key('*', UI_JOBS) == NULL);
    T_STR(ui_command_for_key(UI_CTRL('P'), UI_JOBS)->name, "palette");
    T_TRUE(ui_command_named("gain", UI_JOBS) == NULL);
    T_TRUE(ui_command_named("gain", UI_N_SCREENS) != NULL);
    T_TRUE(ui_command_named("nothing", UI_RING) == NULL);
    int n = 0;
    while (ui_command_at(n, UI_N_SCREENS))
        n++;
    T_EQ(n, 16);
}

static void argument_words(void)
{
    ui_args a;
    T_TRUE(ui_args_parse("  layers.4-7 & mlp  *0.5 ", &a));
    T_EQ(a.n, 4);
    T_STR(a.line, "layers.4-7 & mlp  *0.5");
    T_STR(a.word[3], "*0.5");
    ui_args_free(&a);
    T_TRUE(ui_args_parse("\"a b\" c \"say \\\"hi\\\" \\\\\" \"\"", &a));
    T_EQ(a.n, 4);
    T_STR(a.word[0], "a b");
    T_STR(a.word[2], "say \"hi\" \\");
    T_STR(a.word[3], "");
    T_STR(a.line, "\"a b\" c \"say \\\"hi\\\" \\\\\" \"\"");
    ui_args_free(&a);
    T_TRUE(!ui_args_parse("\"open", &a));
    ui_args_free(&a);
    T_TRUE(ui_args_parse("", &a));
    T_EQ(a.n, 0);
    T_STR(a.line, "");
    ui_args_free(&a);
    char many[200] = "";
    for (int i = 0; i < 33; i++)
        strcat(many, "x ");
    T_TRUE(!ui_args_parse(many, &a));
    ui_args_free(&a);
    many[64] = 0;
    T_TRUE(ui_args_parse(many, &a));
    T_EQ(a.n, 32);
    ui_args_free(&a);
}

static void lines_run(void)
{
    ui_effects fx = {0};
    app.screen = UI_RING;
    T_TRUE(ui_command_line(&app, ":gain layers.4-7 & mlp *0.5", &fx));
    T_STR(app.ran, "layers.4-7 & mlp *0.5|layers.4-7|&|mlp|*0.5");
    T_TRUE(ui_command_line(&app, "undo", &fx));
    T_STR(app.ran, "");
    T_TRUE(ui_command_line(&app, "  : ", &fx)); /* nothing typed */
    T_TRUE(!ui_command_line(&app, "gain refuse", &fx));
    T_TRUE(!ui_command_line(&app, "lamdba 2", &fx));
    T_TRUE(strstr(app.said, "did you mean lambda?") != NULL);
    T_TRUE(!ui_command_line(&app, "xyzzyx", &fx));
    T_TRUE(strstr(app.said, "no command xyzzyx") != NULL);
    T_TRUE(!ui_command_line(&app, "undo \"1", &fx));
    T_TRUE(strstr(app.said, "quote") != NULL);
    app.screen = UI_JOBS;
    T_TRUE(!ui_command_line(&app, "gain * *2", &fx));
    T_TRUE(strstr(app.said, "gain is not a command of this screen: Ring has it") != NULL);
    char longest[300];
    memset(longest, 'a', sizeof longest);
    longest[299] = 0;
    T_TRUE(!ui_command_line(&app, longest, &fx));
    ui_effects_free(&fx);
}

static void nearest_names(void)
{
    static const char *const names[] = {"gain", "gains", "lambda", "normaliser", "merge"};
    T_STR(ui_nearest("lamda", names, 5), "lambda");
    T_STR(ui_nearest("agin", names, 5), "gain");
    T_STR(ui_nearest("Merge", names, 5), "merge");
    T_STR(ui_nearest("norm", names, 5), "normaliser");
    T_TRUE(ui_nearest("zebra", names, 5) == NULL);
    T_TRUE(ui_nearest("", names, 5) == NULL);
}

static void effects_own_their_strings(void)
{
    ui_effects fx = {0};
    for (int i = 0; i < 50; i++) {
        ui_effect *e = ui_effects_add(&fx, UI_FX_SAVE);
        T_TRUE(e->kind == UI_FX_SAVE && !e->text && !e->path);
        e->text = ui_strdup("text");
        e->path = ui_strdup("path");
    }
    T_EQ(fx.n, 50);
    ui_effects_clear(&fx);
    T_EQ(fx.n, 0);
    ui_effects_free(&fx);
    T_TRUE(ui_strdup(NULL) == NULL);
}

/* --- completion --- */

static const char *complete(const char *line)
{
    static char out[4096];
    static ui_completions c;
    app.screen = UI_RING;
    ui_complete(&app, line, strlen(line), &c);
    size_t at = (size_t)snprintf(out, sizeof out, "%s@%zu:", c.title, c.word_start);
    for (int i = 0; i < c.n; i++)
        at += (size_t)snprintf(out + at, sizeof out - at, "%s%s", i ? " " : "",
                               c.at[i].text);
    if (*c.summary) snprintf(out + at, sizeof out - at, "\n%s", c.summary);
    return out;
}

static void completes_names(void)
{
    T_STR(complete("la"), "command@0:lambda");
    T_STR(complete("m"), "command@0:merge mouse mute");
    T_STR(complete("ette"), "command@0:palette"); /* inside, where nothing begins so */
    T_STR(complete("zzz"), "command@0:");
    T_TRUE(strstr(complete(""), "budget") != NULL);
}

static void completes_lists(void)
{
    T_STR(complete("dampen "), "kind@7:one_minus ewc task hard none");
    T_STR(complete("dampen o"), "kind@7:one_minus");
    T_STR(complete("theme s"), "theme@6:safe");
    T_STR(complete("curve grad_"), "curve@6:grad_up grad_down grad_v grad_a");
    T_STR(complete("mouse "), "on|off@6:on off");
    T_STR(complete("scene "), "a|b|c@6:A B C");
    T_STR(complete("lambda "), "value@7:1.500");
    T_STR(complete("sampler t"), "name=value@8:temp= top-k=");
    T_STR(complete("sampler temp=1 top"), "name=value@15:top-k=");
    T_STR(complete("nothing x"), "@8:");
    T_STR(complete("less x"), "@5:");
}

static void completes_keyed_words(void)
{
    T_STR(complete("budget 1m "), "of=stage|out@10:of=");
    T_STR(complete("budget 1m of="), "of=stage|out@10:of=fuel of=heal of=out");
    T_STR(complete("budget 1m of=h"), "of=stage|out@10:of=heal");
}

static void completes_selectors(void)
{
    T_TRUE(strncmp(complete("gain "), "selector@5:* layers. mlp attn", 29) == 0);
    T_STR(complete("gain mlp"), "selector@5:mlp\nmlp: 8 layers, 24 tensors");
    T_STR(complete("gain layers.4-7 & ml"),
          "selector@18:mlp\nlayers.4-7: 4 layers, 24 tensors with a delta\n"
          "& mlp: 12 tensors, 1.47 M numbers");
    T_STR(complete("gain layers.7"), "selector@5:layers.7");
    T_TRUE(strstr(complete("gain layers."), "layers. layers.0 layers.1") != NULL);
    T_STR(complete("gain layers.4-7.gate"), "selector@16:gate_proj");
    T_STR(complete("gain !slid"), "selector@6:sliding");
    T_STR(complete("gain mlp *"), "opvalue@9:*");
    T_STR(complete("gain mlp & *"), "opvalue@11:*");
}

static void completes_paths(void)
{
    T_STR(complete("load "), "recipe@5:recipes/");
    T_STR(complete("load recipes/"), "recipe@5:recipes/a.json recipes/b.json");
    T_STR(complete("load recipes/b"), "recipe@5:recipes/b.json");
    T_STR(complete("load .h"), "recipe@5:.hidden/");
    T_STR(complete("merge "), "folder@6:recipes/ dtype=");
}

/* Lines of any shape, the cursor anywhere: no crash, and the word starts before the cursor. */
static void completes_anything(void)
{
    static const char *const words[] = {
        "gain", " ",    "layers.4-7.", "&",      "!", "\"",       "*0.5", "of=",
        "é",    "load", "\xff",        "budget", "=", "recipes/", ":",    "theme"};
    uint32_t seed = 3;
    ui_completions c = {0};
    app.screen = UI_RING;
    for (int round = 0; round < 3000; round++) {
        char line[600] = "";
        int n = (int)(seed >> 8) % 12;
        for (int i = 0; i < n; i++) {
            seed = seed * 1664525u + 1013904223u;
            strcat(line, words[(seed >> 16) % 16]);
        }
        seed = seed * 1664525u + 1013904223u;
        size_t at = strlen(line) ? (seed >> 16) % (strlen(line) + 2) : 0;
        ui_complete(&app, line, at, &c);
        T_TRUE(c.word_start <= strlen(line));
    }
    char huge[5000];
    memset(huge, 'x', sizeof huge);
    memcpy(huge, "gain ", 5);
    huge[4999] = 0;
    ui_complete(&app, huge, 4999, &c);
    ui_completions_free(&c);
}

/* --- help --- */

static char *shot(const ui_grid *g)
{
    static char out[1 << 16];
    rs_buf b = {0};
    ui_grid_dump(g, false, &b);
    snprintf(out, sizeof out, "%s", rs_buf_str(&b));
    rs_buf_free(&b);
    return out;
}

static const char *help_shot(const ui_help *h, int w, int rows, ui_glyph_level level)
{
    ui_grid g = {.glyphs = level};
    ui_grid_resize(&g, w, rows);
    ui_help_view(h, &g, (ui_rect){0, 2, w, rows - 5});
    char *s = shot(&g);
    ui_grid_free(&g);
    return s;
}

static void help_lists_the_screens_keys(void)
{
    ui_help *h = ui_help_open(UI_RING, NULL);
    const char *s = help_shot(h, 120, 24, UI_GLYPHS_BRAILLE);
    T_TRUE(strstr(s, "keys of Ring   (type to search, Enter runs, q closes)") != NULL);
    T_TRUE(strstr(s, "values") && strstr(s, "dampening") && strstr(s, "= + - *"));
    T_TRUE(strstr(s, ">h Left       less, by 0.05") != NULL);
    T_TRUE(strstr(s, "pause and let go") == NULL); /* a Jobs command */
    T_TRUE(strstr(s, "1-15 of 15") != NULL);
    T_EQ(ui_help_key(h, '?'), UI_POPUP_STAYS);
    s = help_shot(h, 120, 24, UI_GLYPHS_ASCII);
    T_TRUE(strstr(s, "keys of all screens") && strstr(s, "pause and let go"));
    for (const char *c = s; *c; c++)
        T_TRUE((unsigned char)*c < 128);
    ui_help_free(h);
}

static void help_searches_and_runs(void)
{
    ui_help *h = ui_help_open(UI_RING, "");
    const char *s;
    for (s = "lamb"; *s; s++)
        T_EQ(ui_help_key(h, *s), UI_POPUP_STAYS);
    s = help_shot(h, 80, 24, UI_GLYPHS_BRAILLE);
    T_TRUE(strstr(s, "search: lamb") && strstr(s, "1-1 of 1"));
    T_EQ(ui_help_key(h, UI_KEY_ENTER), UI_POPUP_ASKS); /* it needs a value */
    T_STR(ui_help_line(h), "lambda ");
    ui_help_key(h, UI_CTRL('U'));
    for (s = "und"; *s; s++)
        ui_help_key(h, *s);
    T_EQ(ui_help_key(h, UI_KEY_ENTER), UI_POPUP_RUNS);
    T_STR(ui_help_line(h), "undo");
    T_EQ(ui_help_key(h, 'q'), UI_POPUP_STAYS); /* a letter while searching */
    T_TRUE(strstr(help_shot(h, 80, 24, UI_GLYPHS_BRAILLE), "nothing of that name") !=
           NULL);
    T_EQ(ui_help_key(h, UI_KEY_ENTER), UI_POPUP_STAYS);
    ui_help_key(h, UI_CTRL('U'));
    T_EQ(ui_help_key(h, 'q'), UI_POPUP_CLOSES);
    T_EQ(ui_help_key(h, UI_KEY_ESC), UI_POPUP_CLOSES);
    ui_help_free(h);
}

static void help_moves(void)
{
    ui_help *h = ui_help_open(UI_RING, NULL);
    ui_help_key(h, UI_KEY_DOWN);
    T_EQ(ui_help_key(h, UI_KEY_ENTER), UI_POPUP_ASKS);
    T_STR(ui_help_line(h), "gain ");
    ui_help_key(h, UI_KEY_END);
    ui_help_key(h, UI_KEY_DOWN);
    ui_help_key(h, UI_KEY_ENTER);
    T_STR(ui_help_line(h), "palette");
    for (int i = 0; i < 100; i++)
        ui_help_key(h, UI_KEY_UP);
    ui_help_key(h, UI_KEY_ENTER);
    T_STR(ui_help_line(h), "less");
    for (int i = 0; i < 3; i++)
        ui_help_key(h, UI_KEY_PGDN);
    for (int w = 1; w < 130;
         w += 7) /* at every size the cursor's row is there or nothing is */
        for (int rows = 6; rows < 40; rows += 3)
            help_shot(h, w, rows, UI_GLYPHS_BLOCK);
    ui_help_free(h);
}

/* --- palette --- */

static void fuzzy_order(void)
{
    T_TRUE(ui_fuzzy_score("lambda", "lambda") > ui_fuzzy_score("lamb", "lambda"));
    T_TRUE(ui_fuzzy_score("lamb", "lambda") > ui_fuzzy_score("td", "tab-down"));
    T_TRUE(ui_fuzzy_score("td", "tab-down") > ui_fuzzy_score("down", "tab-down"));
    T_TRUE(ui_fuzzy_score("down", "tab-down") > ui_fuzzy_score("own", "tab-down"));
    T_TRUE(ui_fuzzy_score("own", "tab-down") > ui_fuzzy_score("tbn", "tab-down"));
    T_TRUE(ui_fuzzy_score("tbn", "tab-down") > 0);
    T_EQ(ui_fuzzy_score("xyz", "tab-down"), 0);
    T_EQ(ui_fuzzy_score("longer than it", "it"), 0);
    T_TRUE(ui_fuzzy_score("", "anything") > 0);
    T_TRUE(ui_fuzzy_score("LAMB", "lambda") > 0);
}

static const char *palette_shot(const ui_palette *p, int w, int rows,
                                ui_glyph_level level)
{
    ui_grid g = {.glyphs = level};
    ui_grid_resize(&g, w, rows);
    ui_palette_view(p, &g, (ui_rect){0, 2, w, rows - 5});
    char *s = shot(&g);
    ui_grid_free(&g);
    return s;
}

static void type_into(ui_palette *p, const char *s)
{
    for (; *s; s++)
        ui_palette_key(p, *s);
}

static void palette_finds_and_runs(void)
{
    static const char *const recent[] = {"gain layers.0-11 *0.5", "undo", "gone 1"};
    ui_sources sources;
    app.screen = UI_RING;
    ui_app_sources(&app, &sources);
    ui_palette *p = ui_palette_open(UI_RING, recent, 3, &sources);
    T_EQ(ui_palette_key(p, UI_KEY_ENTER),
         UI_POPUP_RUNS); /* the newest line is the first row */
    T_STR(ui_palette_line(p), "gain layers.0-11 *0.5");
    type_into(p, "lamb");
    const char *s = palette_shot(p, 80, 24, UI_GLYPHS_BRAILLE);
    T_TRUE(strstr(s, "> lamb▌") && strstr(s, "> lambda VALUE") &&
           strstr(s, "lambda is 1.500"));
    T_TRUE(strstr(s, "recent") && strstr(s, "gain layers.0-11 *0.5"));
    T_TRUE(strstr(s, "gone") == NULL); /* no command of this name */
    T_EQ(ui_palette_key(p, UI_KEY_ENTER), UI_POPUP_ASKS);
    T_STR(ui_palette_line(p), "lambda ");
    ui_palette_key(p, UI_CTRL('U'));
    type_into(p, "ewc");
    T_EQ(ui_palette_key(p, UI_KEY_ENTER), UI_POPUP_RUNS);
    T_STR(ui_palette_line(p), "dampen ewc");
    T_EQ(ui_palette_key(p, UI_KEY_TAB), UI_POPUP_ASKS);
    T_STR(ui_palette_line(p), "dampen ewc");
    ui_palette_key(p, UI_CTRL('U'));
    type_into(p, "undo");
    T_EQ(ui_palette_key(p, UI_KEY_TAB), UI_POPUP_ASKS);
    T_STR(ui_palette_line(p), "undo");
    T_EQ(ui_palette_key(p, UI_KEY_ESC), UI_POPUP_CLOSES);
    ui_palette_free(p);
}

static void palette_at_every_size(void)
{
    ui_palette *p = ui_palette_open(UI_RING, NULL, 0, NULL);
    for (int i = 0; i < 30; i++)
        ui_palette_key(p, UI_KEY_DOWN);
    for (int w = 1; w < 130; w += 5)
        for (int rows = 6; rows < 40; rows += 3)
            palette_shot(p, w, rows, UI_GLYPHS_BLOCK);
    for (const char *c = palette_shot(p, 80, 24, UI_GLYPHS_ASCII); *c; c++)
        T_TRUE((unsigned char)*c < 128);
    type_into(p, "zzzzzzzz");
    T_TRUE(strstr(palette_shot(p, 80, 24, UI_GLYPHS_BLOCK), "nothing like that") != NULL);
    T_EQ(ui_palette_key(p, UI_KEY_ENTER), UI_POPUP_STAYS);
    ui_palette_key(p, UI_KEY_UP);
    ui_palette_key(p, UI_KEY_PGDN);
    ui_palette_free(p);
}

static void keys_page(void)
{
    rs_buf b = {0};
    ui_keys_markdown(&b);
    const char *s = rs_buf_str(&b);
    T_TRUE(strstr(s, "## values\n") && strstr(s, "## program\n"));
    T_TRUE(strstr(s, "| `gain` | `=` `+` `-` `*` | `SELECTOR OPVALUE` | Ring Detail | "
                     "set, add, take, "
                     "multiply |\n") != NULL);
    T_TRUE(strstr(s, "| `mouse` |  | `on\\|off` | all | mouse reporting |\n") != NULL);
    T_TRUE(strstr(s, "damage budget \\| nat |\n") != NULL);
    rs_buf_free(&b);
}

T_MAIN(T_TEST(lookups), T_TEST(argument_words), T_TEST(lines_run), T_TEST(nearest_names),
       T_TEST(effects_own_their_strings), T_TEST(completes_names),
       T_TEST(completes_lists), T_TEST(completes_keyed_words),
       T_TEST(completes_selectors), T_TEST(completes_paths), T_TEST(completes_anything),
       T_TEST(help_lists_the_screens_keys), T_TEST(help_searches_and_runs),
       T_TEST(help_moves), T_TEST(fuzzy_order), T_TEST(palette_finds_and_runs),
       T_TEST(palette_at_every_size), T_TEST(keys_page))
