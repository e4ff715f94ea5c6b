/* Ring and the frame around it at every size: nothing crashes, nothing leaves its place. */
#include "tests/unit/ui_app_fake.h"

static const int sizes[][2] = {{80, 24},  {120, 40}, {60, 16},  {200, 60}, {79, 17},
                               {100, 30}, {119, 24}, {180, 45}, {66, 20},  {72, 20}};
enum { N_SIZES = sizeof sizes / sizeof *sizes };

/* Every row is as wide as the grid: cells are filled, wide characters have their right half. */
static bool grid_is_whole(void)
{
    screen();
    for (int y = 0; y < grid.height; y++) {
        int w = 0;
        for (int x = 0; x < grid.width; x++)
            w += ui_grid_at(&grid, x, y)->width;
        if (w != grid.width) {
            printf("row %d is %d wide, not %d\n", y, w, grid.width);
            return false;
        }
    }
    return grid.cursor_x < grid.width && grid.cursor_y < grid.height;
}

static bool is_ascii(void)
{
    for (const char *s = screen(); *s; s++)
        if ((unsigned char)*s > 127) {
            printf("not ASCII: %.60s\n", s);
            return false;
        }
    return true;
}

static void every_key_at_every_size(void)
{
    for (int level = 0; level < 2; level++) {
        T_TRUE(open_demo(80, 24, level ? UI_GLYPHS_ASCII : UI_GLYPHS_BRAILLE));
        for (int i = 0; i < N_SIZES; i++) {
            resize(sizes[i][0], sizes[i][1]);
            const ui_command *c;
            for (int k = 0; (c = ui_command_at(k, UI_N_SCREENS)) != NULL; k++) {
                for (const char *s = c->keys; s && *s;
                     s += strcspn(s, " "), s += *s == ' ') {
                    char name[24];
                    int code = 0;
                    snprintf(name, sizeof name, "%.*s", (int)strcspn(s, " "), s);
                    T_TRUE(ui_key_from_name(name, &code));
                    send((ui_msg){.kind = UI_MSG_KEY, .key = code});
                    if (!grid_is_whole() || (level && !is_ascii()))
                        T_FAIL("after key %s at %dx%d", name, sizes[i][0], sizes[i][1]);
                    ui_effects_clear(&fx);
                    send((ui_msg){.kind = UI_MSG_KEY, .key = UI_KEY_ESC});
                    if (!grid_is_whole()) T_FAIL("after Esc after %s", name);
                }
            }
            app->screen = UI_RING;
        }
        close_app();
    }
}

static void random_keys(void)
{
    T_TRUE(open_demo(80, 24, UI_GLYPHS_BRAILLE));
    unsigned state = 12345;
    for (int i = 0; i < 6000; i++) {
        state = state * 1103515245u + 12345u;
        int r = (int)(state >> 16 & 0x7fff), k = r % 10 < 7    ? 32 + r % 95
                                                 : r % 10 == 7 ? UI_KEY_UP + r % 18
                                                               : r % 32;
        send((ui_msg){.kind = UI_MSG_KEY, .key = k});
        if (i % 50 == 0) resize(40 + r % 170, 8 + r % 60);
        if (i % 7 == 0) T_TRUE(grid_is_whole());
        if (i % 97 == 0) send((ui_msg){.kind = UI_MSG_KEY, .key = UI_KEY_ESC});
        ui_effects_clear(&fx);
    }
    close_app();
}

static void mouse_everywhere(void)
{
    T_TRUE(open_demo(120, 40, UI_GLYPHS_BRAILLE));
    static const ui_mouse_what what[] = {UI_MOUSE_PRESS,    UI_MOUSE_DRAG,
                                         UI_MOUSE_RELEASE,  UI_MOUSE_DOUBLE,
                                         UI_MOUSE_WHEEL_UP, UI_MOUSE_WHEEL_DOWN};
    for (int y = 0; y < 40; y++)
        for (int x = 0; x < 120; x += 3)
            for (int w = 0; w < 6; w++) {
                ui_msg m = {.kind = UI_MSG_MOUSE};
                m.mouse.what = what[w];
                m.mouse.x = x;
                m.mouse.y = y;
                m.mouse.button = x % 9 ? 1 : 3;
                send(m);
                ui_effects_clear(&fx);
                if (app->mode != UI_MODE_NONE)
                    send((ui_msg){.kind = UI_MSG_KEY, .key = UI_KEY_ESC});
            }
    T_TRUE(grid_is_whole());
    close_app();
}

static void a_drag_is_one_step(void)
{
    T_TRUE(open_demo(80, 24, UI_GLYPHS_BRAILLE));
    ui_msg m = {.kind = UI_MSG_MOUSE};
    m.mouse.button = 1;
    m.mouse.y = 6;
    int steps = app->undo.n;
    for (int x = 30; x >= 27; x--) {
        m.mouse.what = x == 30 ? UI_MOUSE_PRESS : UI_MOUSE_DRAG;
        m.mouse.x = x;
        send(m);
    }
    m.mouse.what = UI_MOUSE_RELEASE;
    send(m);
    T_EQ(app->undo.n, steps + 1);
    T_EQ(app->rows.cursor, 2);
    T_TRUE(!ui_doc_is_saved(&app->doc));
    key("u");
    T_TRUE(ui_doc_is_saved(&app->doc));
    close_app();
}

static void too_small_takes_no_edits(void)
{
    T_TRUE(open_demo(80, 24, UI_GLYPHS_BRAILLE));
    resize(59, 15);
    T_TRUE(shows("ringside needs 60 columns and 16 rows."));
    key("h M y");
    T_TRUE(ui_doc_is_saved(&app->doc));
    T_TRUE(!effect(UI_FX_JOB_START));
    resize(80, 24);
    T_TRUE(strstr(row(1), "[1 Ring]") != NULL);
    close_app();
}

static void hostile_names(void)
{
    char path[512], text[1200], name[400];
    T_TRUE(open_demo(80, 24, UI_GLYPHS_BRAILLE));
    rs_recipe *r = NULL;
    T_OK(rs_recipe_clone(app->doc.at.recipe, &r, &t_err));
    memset(name, 'n', 300);
    strcpy(name + 300, "\x1b[2J\x07\n\t\xff end");
    r->name = rs_recipe_str(r, name);
    rs_buf b = {0};
    rs_recipe_text(r, folder, &b);
    rs_recipe_free(r);
    snprintf(path, sizeof path, "%s/bad.json", folder);
    T_OK(rs_os_write_file(path, rs_buf_str(&b), b.len, &t_err));
    rs_buf_free(&b);
    snprintf(text, sizeof text, "load \"%s\"", path);
    line(text);
    for (int i = 0; i < N_SIZES; i++) {
        resize(sizes[i][0], sizes[i][1]);
        T_TRUE(grid_is_whole());
        T_TRUE(!strchr(screen(), 0x1b));
        key("M");
        T_TRUE(grid_is_whole());
        key("Esc");
    }
    line("write");
    T_TRUE(!effect(UI_FX_SAVE) || !strchr(effect(UI_FX_SAVE)->path, 0x1b));
    close_app();
}

static void a_recipe_that_cannot_be_opened(void)
{
    snprintf(folder, sizeof folder, "%s", t_folder());
    T_TRUE(open_app("/nowhere/at/all.json", NULL, 80, 24, UI_GLYPHS_BRAILLE));
    T_TRUE(grid_is_whole());
    T_TRUE(shows("luchador-miniature")); /* the demo instead, with a toast */
    T_TRUE(app->n_toasts == 1);
    close_app();
}

static void wrong_lines_stay_in_the_prompt(void)
{
    T_TRUE(open_demo(80, 24, UI_GLYPHS_BRAILLE));
    static const char *const lines[] = {"gain layers.99 *0.5",
                                        "gain mpl *0.5",
                                        "gain",
                                        "t layers.1 0.5",
                                        "lambda x",
                                        "scale",
                                        "weight nobody =1",
                                        "curve nothing",
                                        "brush -1",
                                        "budget much",
                                        "heal norm=round",
                                        "load nothing-here",
                                        "nonsense",
                                        "set nothing=1",
                                        "dampen task",
                                        "normaliser none-such",
                                        "random",
                                        "gains 1,2,x",
                                        "scene D",
                                        "morph A A 0.5",
                                        "select zzz",
                                        "filter zzz",
                                        "sampler temp=x",
                                        "write-as ../up",
                                        "go nowhere",
                                        "sort nothing",
                                        "gain damage>x =1",
                                        "scene-clear A"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        key(":");
        type(lines[i]);
        key("Enter");
        if (app->mode != UI_MODE_PROMPT)
            T_FAIL("\"%s\" was taken: %s", lines[i], app->message);
        if (!app->message[0]) T_FAIL("\"%s\" was refused without a word", lines[i]);
        if (!ui_doc_is_saved(&app->doc)) T_FAIL("\"%s\" changed the recipe", lines[i]);
        T_TRUE(grid_is_whole());
        key("Esc");
    }
    close_app();
}

static void selectors_of_the_screen(void)
{
    T_TRUE(open_demo(80, 24, UI_GLYPHS_BRAILLE));
    line("select damage>0.53m");
    T_EQ(ui_rows_n_marked(&app->rows), 3); /* 4, 5 and 6: 0.536 0.578 0.563 */
    line("select !marked & full");
    T_EQ(ui_rows_n_marked(&app->rows), 2);
    line("filter sharer");
    T_EQ(ui_rows_shown(&app->rows), 2);
    line("gain marked *0.5");
    T_TRUE(strstr(app->message, "2 rows changed") != NULL);
    key("Esc");
    T_EQ(ui_rows_shown(&app->rows), 9);
    line("gain \"self_attn.o\" =0.5");
    T_TRUE(strstr(app->message, "8 cells changed") != NULL);
    close_app();
}

static void stale_numbers_say_so(void)
{
    T_TRUE(open_demo(80, 24, UI_GLYPHS_BRAILLE));
    key(".");
    T_TRUE(strstr(row(1), "out~") != NULL);
    T_TRUE(strstr(row(4), "~") != NULL);
    T_TRUE(measure_now());
    T_TRUE(strstr(row(1), "out ") != NULL);
    key("u"); /* sums of the lambda before are still known */
    T_TRUE(strstr(row(1), "out ") != NULL);
    T_TRUE(strstr(row(14), "3.857") != NULL);
    close_app();
}

T_MAIN(T_TEST(every_key_at_every_size), T_TEST(random_keys), T_TEST(mouse_everywhere),
       T_TEST(a_drag_is_one_step), T_TEST(too_small_takes_no_edits),
       T_TEST(hostile_names), T_TEST(a_recipe_that_cannot_be_opened),
       T_TEST(wrong_lines_stay_in_the_prompt), T_TEST(selectors_of_the_screen),
       T_TEST(stale_numbers_say_so))
