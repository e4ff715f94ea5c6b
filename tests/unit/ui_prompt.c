#include "tests/unit/ui_fake.h"

#include "tui/app/prompt_state.h"
#include "tui/term/prompt.h"

#include <locale.h>

static void begin(void)
{
    setlocale(LC_ALL, "C.UTF-8");
    setenv("INPUTRC", "/dev/null", 1);
    app.screen = UI_RING;
}

static void type(const char *s)
{
    for (; *s; s++)
        ui_edit_key(*s);
}

static void edits_without_a_terminal(void)
{
    begin();
    ui_edit_start("gain", false);
    type(" mlp *0.5");
    T_STR(ui_edit_text(), "gain mlp *0.5");
    T_EQ(ui_edit_cursor(), 13);
    ui_edit_key(UI_KEY_HOME);
    T_EQ(ui_edit_cursor(), 0);
    ui_edit_key(UI_KEY_RIGHT);
    type("x");
    T_STR(ui_edit_text(), "gxain mlp *0.5");
    ui_edit_key(UI_KEY_BACKSPACE);
    ui_edit_key(UI_KEY_DELETE);
    T_STR(ui_edit_text(), "gin mlp *0.5");
    ui_edit_key(UI_KEY_END);
    ui_edit_key(UI_CTRL('W'));
    T_STR(ui_edit_text(), "gin mlp ");
    ui_edit_key(UI_CTRL('Y'));
    T_STR(ui_edit_text(), "gin mlp *0.5");
    ui_edit_key(UI_KEY_ALT + 'b');
    ui_edit_key(UI_CTRL('K'));
    T_STR(ui_edit_text(), "gin mlp *0.");
    ui_edit_key(UI_CTRL('U'));
    T_STR(ui_edit_text(), "");
    ui_edit_key(UI_CTRL('D')); /* not the end of anything */
    type("ok");
    T_EQ(ui_edit_key(UI_KEY_ENTER), UI_EDIT_DONE);
    T_STR(ui_edit_text(), "ok");
    T_EQ(ui_edit_key('x'), UI_EDIT_DONE); /* no line is open */
    T_STR(ui_edit_text(), "ok");
}

static void characters_beyond_ascii(void)
{
    begin();
    ui_edit_start("", false);
    ui_edit_key(0xE9);
    ui_edit_key(0x6F22);
    ui_edit_key('x');
    T_STR(ui_edit_text(), "é漢x");
    ui_edit_key(UI_KEY_LEFT);
    ui_edit_key(UI_KEY_LEFT);
    T_EQ(ui_edit_cursor(), 2);
    ui_edit_key(UI_KEY_BACKSPACE);
    T_STR(ui_edit_text(), "漢x");
    ui_edit_insert("a\nb\tc\x1b");
    T_STR(ui_edit_text(), "a b c 漢x");
    ui_edit_replace(2, 5, "long");
    T_STR(ui_edit_text(), "a long 漢x");
    T_EQ(ui_edit_cursor(), 6);
    ui_edit_replace(100, 200, "!");
    T_STR(ui_edit_text(), "a long 漢x!");
    ui_edit_key(UI_CTRL('_')); /* undo */
    T_STR(ui_edit_text(), "a long 漢x");
    ui_edit_stop();
}

static void long_lines_are_bounded(void)
{
    begin();
    static char big[1 << 18];
    memset(big, 'y', sizeof big - 1);
    ui_edit_start("", false);
    ui_edit_insert(big);
    size_t n = strlen(ui_edit_text());
    T_TRUE(n > 1000 && n <= 1 << 16);
    ui_edit_key('z');
    T_EQ(strlen(ui_edit_text()), n);
    ui_edit_stop();
}

static void enter_line(const char *s)
{
    ui_edit_start(s, true);
    ui_edit_key(UI_KEY_ENTER);
}

static void history_walks(void)
{
    begin();
    ui_history_clear();
    enter_line("first");
    enter_line("second");
    enter_line("second");
    enter_line("   ");
    T_STR(ui_history_line(0), "second");
    T_STR(ui_history_line(1), "first");
    T_TRUE(ui_history_line(2) == NULL);
    ui_edit_start("new", true);
    ui_edit_key(UI_CTRL('P'));
    T_STR(ui_edit_text(), "second");
    type("!"); /* edited, not entered */
    ui_edit_key(UI_CTRL('P'));
    T_STR(ui_edit_text(), "first");
    ui_edit_key(UI_CTRL('N'));
    ui_edit_key(UI_CTRL('N'));
    T_STR(ui_edit_text(), "new");
    ui_edit_stop();
    ui_edit_start("", true); /* the history is as it was */
    ui_edit_key(UI_KEY_UP);
    T_STR(ui_edit_text(), "second");
    ui_edit_stop();
    ui_edit_start("", false); /* an entry line has none */
    ui_edit_key(UI_CTRL('P'));
    ui_edit_key(UI_KEY_UP);
    ui_edit_key(UI_CTRL('R'));
    type("f");
    T_STR(ui_edit_text(), "f");
    ui_edit_key(UI_KEY_ENTER);
    T_STR(ui_history_line(0), "second");
}

static void searches_backwards(void)
{
    begin();
    ui_history_clear();
    enter_line("gain mlp *0.5");
    enter_line("undo");
    ui_edit_start("", true);
    T_TRUE(ui_edit_message() == NULL);
    ui_edit_key(UI_CTRL('R'));
    type("mlp");
    T_STR(ui_edit_text(), "gain mlp *0.5");
    T_TRUE(ui_edit_message() && strstr(ui_edit_message(), "mlp"));
    ui_edit_key(UI_CTRL('G'));
    T_TRUE(ui_edit_message() == NULL);
    T_STR(ui_edit_text(), "");
    ui_edit_key(UI_CTRL('R'));
    type("gain");
    T_EQ(ui_edit_key(UI_KEY_ENTER), UI_EDIT_DONE);
    T_STR(ui_edit_text(), "gain mlp *0.5");
}

/* A prompt that goes away while it searches leaves no search behind. */
static void a_search_cut_short(void)
{
    begin();
    ui_history_clear();
    enter_line("gain mlp *0.5");
    for (int way = 0; way < 2; way++) {
        ui_edit_start("", true);
        ui_edit_key(UI_CTRL('R'));
        type("ml");
        T_TRUE(ui_edit_message() != NULL);
        if (way) ui_edit_stop();
        ui_edit_start("0.", false);
        T_TRUE(ui_edit_message() == NULL);
        type("25");
        T_STR(ui_edit_text(), "0.25");
    }
}

static void history_on_disk(void)
{
    char path[256];
    begin();
    const char *folder = t_folder();
    snprintf(path, sizeof path, "%s/history", folder);
    T_OK(ui_history_load(path, &t_err)); /* not there: empty */
    T_TRUE(ui_history_line(0) == NULL);
    for (int i = 0; i < 1500; i++) {
        char line[32];
        snprintf(line, sizeof line, "line %d", i);
        ui_history_add(line);
    }
    T_OK(ui_history_save(path, &t_err));
    ui_history_clear();
    T_OK(ui_history_load(path, &t_err));
    T_STR(ui_history_line(0), "line 1499");
    T_STR(ui_history_line(999), "line 500");
    T_TRUE(ui_history_line(1000) == NULL);
    FILE *f = fopen(path, "wb");
    fwrite("good\n\xff\xfe bad\n\nalso good", 1, 22, f);
    fclose(f);
    T_OK(ui_history_load(path, &t_err));
    T_STR(ui_history_line(0), "also good");
    T_STR(ui_history_line(1), "good");
    T_TRUE(ui_history_line(2) == NULL);
    T_FAILS(ui_history_save("/nonexistent/folder/history", &t_err), RS_E_NOT_FOUND,
            "/nonexistent/folder");
    remove(path);
    rmdir(folder);
}

/* --- the app's prompt --- */

static ui_prompt_result press(ui_prompt *p, const char *s)
{
    ui_prompt_result r = UI_PROMPT_EDITING;
    for (; *s; s++)
        r = ui_prompt_key(p, &app, *s);
    return r;
}

static char *view(const ui_prompt *p, int w, int h, ui_glyph_level level)
{
    static char out[1 << 16];
    ui_grid g = {.glyphs = level};
    rs_buf b = {0};
    ui_grid_resize(&g, w, h);
    ui_prompt_view(p, &g, (ui_rect){0, 2, w, h - 5}, (ui_rect){0, h - 3, w, 1});
    ui_grid_dump(&g, true, &b);
    snprintf(out, sizeof out, "%s", rs_buf_str(&b));
    rs_buf_free(&b);
    ui_grid_free(&g);
    return out;
}

static void prompt_submits_and_cancels(void)
{
    begin();
    ui_prompt *p = ui_prompt_open(&app, ":", "");
    T_EQ(press(p, "undo"), UI_PROMPT_EDITING);
    T_EQ(ui_prompt_key(p, &app, UI_KEY_ENTER), UI_PROMPT_SUBMITTED);
    T_STR(ui_prompt_text(p), "undo");
    ui_prompt_free(p);
    p = ui_prompt_open(&app, ":", "");
    press(p, "x");
    T_EQ(ui_prompt_key(p, &app, UI_KEY_ESC), UI_PROMPT_CANCELLED);
    ui_prompt_free(p);
    p = ui_prompt_open(&app, ":", "a");
    T_EQ(ui_prompt_key(p, &app, UI_KEY_BACKSPACE), UI_PROMPT_EDITING);
    T_EQ(ui_prompt_key(p, &app, UI_KEY_BACKSPACE),
         UI_PROMPT_CANCELLED); /* nothing left to erase */
    ui_prompt_free(p);
    p = ui_prompt_open(NULL, "gain of layers.4 = ", "");
    T_EQ(press(p, "0.5"), UI_PROMPT_EDITING);
    T_TRUE(strstr(view(p, 60, 10, UI_GLYPHS_BRAILLE), " gain of layers.4 = 0.5▌\n") !=
           NULL);
    T_EQ(ui_prompt_key(p, NULL, UI_CTRL('C')), UI_PROMPT_CANCELLED);
    ui_prompt_free(p);
}

static void tab_completes(void)
{
    begin();
    ui_prompt *p = ui_prompt_open(&app, ":", "");
    press(p, "dam\t");
    T_STR(ui_prompt_text(p), "dampen ");
    press(p, "\t"); /* five kinds, nothing in common: the first is offered */
    T_EQ(ui_prompt_key(p, &app, UI_KEY_DOWN), UI_PROMPT_EDITING);
    press(p, "\t");
    T_STR(ui_prompt_text(p), "dampen ewc ");
    ui_prompt_free(p);
    p = ui_prompt_open(&app, ":", "curve g");
    press(p, "\t");
    T_STR(ui_prompt_text(p), "curve grad_");
    ui_prompt_free(p);
    p = ui_prompt_open(&app, ":", "gain layers.4-7 & ml");
    const char *s = view(p, 80, 24, UI_GLYPHS_BRAILLE);
    T_TRUE(strstr(s, "─ selector ─") && strstr(s, "gate, up, down") &&
           strstr(s, "3 a layer"));
    T_TRUE(strstr(s, "layers.4-7: 4 layers, 24 tensors with a delta") != NULL);
    T_TRUE(strstr(s, " :gain layers.4-7 & ml▌\n") != NULL);
    ui_prompt_key(p, &app, UI_KEY_DOWN);
    T_EQ(ui_prompt_key(p, &app, UI_KEY_ENTER),
         UI_PROMPT_EDITING); /* takes the row, runs nothing */
    T_STR(ui_prompt_text(p), "gain layers.4-7 & mlp ");
    ui_prompt_free(p);
    p = ui_prompt_open(&app, ":", "load rec");
    press(p, "\t");
    T_STR(ui_prompt_text(p), "load recipes/"); /* a folder goes on */
    ui_prompt_free(p);
}

static void up_and_down_are_history_without_a_popup(void)
{
    begin();
    ui_history_clear();
    ui_history_add("undo");
    ui_prompt *p = ui_prompt_open(&app, ":", "");
    ui_prompt_key(p, &app, UI_KEY_UP);
    T_STR(ui_prompt_text(p), "undo");
    ui_prompt_free(p);
}

static void refused_lines_stay(void)
{
    begin();
    ui_prompt *p = ui_prompt_open(&app, ":", "gain layrs.4 *0.5");
    T_EQ(ui_prompt_key(p, &app, UI_KEY_ENTER), UI_PROMPT_SUBMITTED);
    ui_prompt_refuse(p, 5, 12);
    T_STR(ui_prompt_text(p), "gain layrs.4 *0.5");
    T_EQ(ui_prompt_cursor(p), 12);
    const char *s = view(p, 60, 10, UI_GLYPHS_BRAILLE);
    T_TRUE(strstr(strstr(s, "roles"), "xxxxxxx") != NULL);
    ui_prompt_key(p, &app, UI_KEY_BACKSPACE);
    T_STR(ui_prompt_text(p), "gain layrs. *0.5");
    T_TRUE(strstr(strstr(view(p, 60, 10, UI_GLYPHS_BRAILLE), "roles"), "xxx") == NULL);
    ui_prompt_free(p);
}

/* A command that was typed may open an entry line before its own prompt is closed. */
static void closing_late_spares_the_next_line(void)
{
    begin();
    ui_prompt *old = ui_prompt_open(&app, ":", "gain");
    ui_prompt_key(old, &app, UI_KEY_ENTER);
    ui_prompt *next = ui_prompt_open(&app, "gain of layers.4 = ", "");
    ui_prompt_free(old);
    press(next, "0.5");
    T_STR(ui_prompt_text(next), "0.5");
    ui_prompt_free(next);
}

static void pastes_are_inserted_as_one_line(void)
{
    begin();
    ui_prompt *p = ui_prompt_open(&app, ":", "ga");
    ui_prompt_paste(p, &app, "in mlp\n*0.5\n");
    T_STR(ui_prompt_text(p), "gain mlp *0.5 ");
    ui_prompt_free(p);
}

static void hints(void)
{
    begin();
    rs_buf b = {0};
    ui_prompt *p = ui_prompt_open(&app, ":", "gain layers.4-7 & ml");
    ui_prompt_hint(p, &b);
    T_STR(rs_buf_str(&b), "gain SELECTOR OPVALUE      completing word 4");
    ui_prompt_free(p);
    rs_buf_reset(&b);
    p = ui_prompt_open(&app, ":", "ga");
    ui_prompt_hint(p, &b);
    T_TRUE(strstr(rs_buf_str(&b), "Tab completes") != NULL);
    ui_prompt_free(p);
    rs_buf_free(&b);
}

static void drawn_at_every_size(void)
{
    begin();
    ui_prompt *p = ui_prompt_open(
        &app, ":", "gain layers.4-7 & é漢 mlp and a tail that is quite long");
    for (int i = 0; i < 60; i++) {
        for (int w = 1; w < 90; w += 11)
            for (int h = 6; h < 30; h += 5)
                view(p, w, h, UI_GLYPHS_BLOCK);
        ui_prompt_key(p, &app, i < 40 ? UI_KEY_LEFT : UI_KEY_RIGHT);
    }
    for (const char *s = view(p, 80, 24, UI_GLYPHS_ASCII); *s; s++)
        T_TRUE((unsigned char)*s < 128);
    ui_prompt_free(p);
}

T_MAIN(T_TEST(edits_without_a_terminal), T_TEST(characters_beyond_ascii),
       T_TEST(long_lines_are_bounded), T_TEST(history_walks), T_TEST(searches_backwards),
       T_TEST(a_search_cut_short), T_TEST(history_on_disk),
       T_TEST(prompt_submits_and_cancels), T_TEST(tab_completes),
       T_TEST(up_and_down_are_history_without_a_popup), T_TEST(refused_lines_stay),
       T_TEST(closing_late_spares_the_next_line), T_TEST(pastes_are_inserted_as_one_line),
       T_TEST(hints), T_TEST(drawn_at_every_size))
