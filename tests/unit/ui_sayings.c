/* What the workbench answers: whole sentences, at every size, to every key and command. */
#include "tests/unit/ui_app_fake.h"

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

T_MAIN(T_TEST(refusals_are_whole))
