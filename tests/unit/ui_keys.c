#include "tests/t.h"

#include "tui/term/keys.h"

static char text[4096];

static void describe(const ui_msg *m, char *out, size_t n)
{
    static const char *const what[] = {"press",  "release", "drag",
                                       "double", "up",      "down"};
    char name[24];
    if (m->kind == UI_MSG_KEY)
        snprintf(out, n, "%s", ui_key_name(m->key, name));
    else if (m->kind == UI_MSG_FOCUS)
        snprintf(out, n, "focus%d", m->focused);
    else if (m->kind == UI_MSG_PASTE)
        snprintf(out, n, "paste(%s)", m->text);
    else
        snprintf(out, n, "%s%d@%d,%d%s", what[m->mouse.what], m->mouse.button, m->mouse.x,
                 m->mouse.y, m->mouse.ctrl ? "c" : "");
}

/* All messages that are there at `now`, parted by blanks. */
static const char *take(ui_keys *k, double now)
{
    ui_msg m;
    size_t at = 0;
    text[0] = 0;
    while (ui_keys_next(k, now, &m)) {
        char one[600];
        describe(&m, one, sizeof one);
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%s", at ? " " : "", one);
        if (at >= sizeof text) break;
    }
    return text;
}

/* bytes at time 1, everything that is there right then. */
static const char *at_once(const char *bytes)
{
    static ui_keys k;
    ui_keys_free(&k);
    ui_keys_feed(&k, bytes, strlen(bytes), 1);
    return take(&k, 1);
}

static const char *after_silence(const char *bytes)
{
    static ui_keys k;
    ui_keys_free(&k);
    ui_keys_feed(&k, bytes, strlen(bytes), 1);
    return take(&k, 2);
}

static void plain(void)
{
    T_STR(at_once("aQ\r\n\t \x7f\x08\x01\x1a"),
          "a Q Enter Enter Tab Space BackSpace BackSpace ^A ^Z");
    T_STR(at_once("é漢"), "é 漢");
    T_STR(at_once("a\xff\xfe"
                  "b"),
          "a b"); /* not UTF-8: nothing */
}

static void cursor_and_function_keys(void)
{
    T_STR(at_once("\033[A\033[B\033[C\033[D\033[H\033[F\033[Z"),
          "Up Down Right Left Home End S-Tab");
    T_STR(at_once("\033OA\033OP\033OS\033OH"), "Up F1 F4 Home");
    T_STR(at_once("\033[1~\033[2~\033[3~\033[4~\033[5~\033[6~"),
          "Home Ins Del End PgUp PgDn");
    T_STR(at_once("\033[15~\033[17~\033[21~\033[23~\033[24~"), "F5 F6 F10 F11 F12");
    T_STR(at_once("\033[[A\033[[E"), "F1 F5");
    T_STR(at_once("\033[1;2D\033[1;2C\033[1;3A\033[1;5B"), "S-Left S-Right Alt-Up Down");
    T_STR(at_once("\033[d\033[c"), "S-Left S-Right");
    T_STR(at_once("\033[97;5u\033[27;5;98~\033[13;1u"), "^A ^B Enter");
}

static void alt_and_escape(void)
{
    T_STR(at_once("\033x\033X\0331"), "Alt-x Alt-X Alt-1");
    T_STR(at_once("\033\303\251"), "Alt-é");
    T_STR(at_once("\033"), "");
    T_STR(after_silence("\033"), "Esc");
    T_STR(after_silence("\033["), "Alt-[");
    T_STR(after_silence("\033O"), "Alt-O");
    T_STR(at_once("\033\033[A"), "Esc Up");
    ui_keys k = {0};
    ui_keys_feed(&k, "\033", 1, 1);
    T_STR(take(&k, 1.024), "");
    T_NEAR(ui_keys_wait(&k, 1.010), 0.015, 1e-9, 0);
    T_STR(take(&k, 1.0251), "Esc");
    T_TRUE(ui_keys_wait(&k, 1.03) < 0);
    ui_keys_free(&k);
}

/* However the bytes are cut, the messages are the same. */
static void any_cut_gives_the_same(void)
{
    const char *all = "a\033[A\033[1;2Dé\033[<0;5;6M\033[<0;5;6m\033[15~\033[200~x\033["
                      "A\ny\033[201~\033OPz";
    char whole[1024];
    size_t n = strlen(all);
    snprintf(whole, sizeof whole, "%s", at_once(all));
    for (size_t cut = 1; cut < n; cut++) {
        char parts[2048];
        ui_keys k = {0};
        ui_keys_feed(&k, all, cut, 1);
        snprintf(parts, sizeof parts, "%s", take(&k, 1));
        ui_keys_feed(&k, all + cut, n - cut, 1.01);
        const char *rest = take(&k, 1.01);
        size_t at = strlen(parts);
        snprintf(parts + at, sizeof parts - at, "%s%s", at && *rest ? " " : "", rest);
        T_STR(parts, whole);
        ui_keys_free(&k);
    }
}

static void mouse(void)
{
    T_STR(at_once("\033[<0;5;6M\033[<32;7;6M\033[<0;7;6m"),
          "press1@4,5 drag1@6,5 release1@6,5");
    T_STR(at_once("\033[<2;1;1M\033[<16;1;2M"), "press3@0,0 press1@0,1c");
    T_STR(at_once("\033[<64;3;4M\033[<65;3;4M\033[<80;3;4M"),
          "up0@2,3 down0@2,3 up0@2,3c");
    T_STR(at_once("\033[<35;3;4M\033[<0;0;4M\033[<0;4M\033[<999;1;1M"),
          ""); /* bare motion; nonsense */
    T_STR(at_once("\033[<0;5;6M\033[<0;5;6m\033[<0;5;6M\033[<0;5;6m\033[<0;5;6M"),
          "press1@4,5 release1@4,5 double1@4,5 release1@4,5 press1@4,5");
    ui_keys k = {0};
    ui_keys_feed(&k, "\033[<0;5;6M", 9, 1);
    take(&k, 1);
    ui_keys_feed(&k, "\033[<0;5;6M", 9, 1.5);
    T_STR(take(&k, 1.5), "press1@4,5"); /* too slow for a double click */
    ui_keys_free(&k);
}

static void pastes(void)
{
    T_STR(at_once("\033[200~hello\nworld\033[Aq\033[201~x"),
          "paste(hello\nworld\033[Aq) x");
    T_STR(at_once("\033[200~open"), "");
    T_STR(at_once("\033[201~a"), "a"); /* an end without a start */
    ui_keys k = {0};
    ui_keys_feed(&k, "\033[200~lost", 10, 1);
    T_STR(take(&k, 1), "");
    T_TRUE(ui_keys_wait(&k, 1) > 1);
    T_STR(take(&k, 3.1), "paste(lost)"); /* the end never came: keys work again */
    ui_keys_feed(&k, "q", 1, 3.2);
    T_STR(take(&k, 3.2), "q");
    ui_keys_free(&k);
}

static void long_pastes_are_cut(void)
{
    ui_keys k = {0};
    ui_msg m;
    static char block[1 << 16];
    memset(block, 'x', sizeof block);
    ui_keys_feed(&k, "\033[200~", 6, 1);
    for (int i = 0; i < 40; i++) {
        ui_keys_feed(&k, block, sizeof block, 1);
        T_TRUE(!ui_keys_next(&k, 1, &m));
    }
    ui_keys_feed(&k, "\033[201~", 6, 1);
    T_TRUE(ui_keys_next(&k, 1, &m));
    T_EQ(strlen(m.text), UI_PASTE_MAX);
    ui_keys_free(&k);
}

static void focus(void)
{
    T_STR(at_once("\033[I\033[O"), "focus1 focus0");
}

static void unknown_sequences_are_swallowed(void)
{
    T_STR(at_once("\033[?1;2c\033[5n\033[99~\033[1;2;3;4;5;6;7x\033[8;40;120ta"), "a");
    T_STR(after_silence("\033[12;"), "");
    T_STR(at_once("\033[999999999999999999999~b"), "b");
    T_STR(at_once("\033[1\033[Aa"), "Up a");
}

static void terminfo_sequences(void)
{
    ui_keys k = {0};
    ui_keys_bind(&k, "\033Oq", UI_KEY_F1 + 6);
    ui_keys_bind(&k, NULL, UI_KEY_UP);
    ui_keys_bind(&k, "x", UI_KEY_UP); /* not a sequence */
    ui_keys_feed(&k, "\033Oqx", 4, 1);
    T_STR(take(&k, 1), "F7 x");
    ui_keys_free(&k);
}

/* Random bytes: every message is sane and the input is always used up in the end. */
static void noise(void)
{
    uint32_t seed = 7;
    ui_keys k = {0};
    double now = 1;
    for (int round = 0; round < 20000; round++) {
        char bytes[8];
        for (int i = 0; i < 8; i++) {
            static const char likely[] = "\033[O<;~MmA0123456789?2u\xc3\xa9";
            seed = seed * 1664525u + 1013904223u;
            bytes[i] = seed & 0x8000 ? likely[(seed >> 20) % (sizeof likely - 1)]
                                     : (char)(seed >> 24);
        }
        ui_keys_feed(&k, bytes, sizeof bytes, now);
        ui_msg m;
        while (ui_keys_next(&k, now, &m)) {
            T_TRUE(m.kind != UI_MSG_KEY || (m.key > 0 && m.key < UI_KEY_ALT * 2));
            T_TRUE(m.kind != UI_MSG_MOUSE || (m.mouse.x >= 0 && m.mouse.x < 100000));
        }
        now += round % 50 == 0 ? 3 : 0.001;
    }
    ui_msg m;
    now += 10;
    while (ui_keys_next(&k, now, &m)) {
    }
    T_TRUE(ui_keys_wait(&k, now) < 0);
    ui_keys_free(&k);
}

static void names_both_ways(void)
{
    static const char *const names[] = {
        "a",         "Z",   "é",  "Enter", "Esc",    "Space", "Tab",    "S-Tab",
        "^R",        "^Z",  "F1", "F12",   "S-Left", "Alt-x", "Alt-F5", "PgDn",
        "BackSpace", "Del", "\\", "^",     "~",      "\"",    "Alt-^A", ":"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        int key = 0;
        char out[24];
        T_TRUE(ui_key_from_name(names[i], &key));
        T_STR(ui_key_name(key, out), names[i]);
    }
    int key;
    T_TRUE(ui_key_from_name("enter", &key) && key == UI_KEY_ENTER);
    T_TRUE(ui_key_from_name("^r", &key) && key == UI_CTRL('R'));
    T_TRUE(!ui_key_from_name("", &key) && !ui_key_from_name("F13", &key));
    T_TRUE(!ui_key_from_name("nokey", &key) && !ui_key_from_name("Alt-Alt-x", &key));
    char out[24];
    for (int k = -5; k < 0x110100; k += 7)
        T_TRUE(strlen(ui_key_name(k, out)) < 24);
}

T_MAIN(T_TEST(plain), T_TEST(cursor_and_function_keys), T_TEST(alt_and_escape),
       T_TEST(any_cut_gives_the_same), T_TEST(mouse), T_TEST(pastes),
       T_TEST(long_pastes_are_cut), T_TEST(focus),
       T_TEST(unknown_sequences_are_swallowed), T_TEST(terminfo_sequences), T_TEST(noise),
       T_TEST(names_both_ways))
