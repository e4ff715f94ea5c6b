#define NCURSES_WIDECHAR 1
#include "tui/term/term.h"

#include "tui/term/keys.h"
#include "tui/term/restore.h"

#include <curses.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <term.h>
#include <unistd.h>
#include <wchar.h>

struct ui_term {
    SCREEN *screen;
    int in, out;
    ui_depth depth;
    ui_theme theme;
    bool mouse, has_titles, suspended;
    int width, height;
    ui_keys keys;
    ui_grid shown; /* what the terminal has */
    bool redraw;
    int cursor; /* 1: visible */
    char *goodbye;
};

/* --- raw output, beside curses (which has flushed after each refresh) --- */

static void send_bytes(const ui_term *t, const char *s, size_t n)
{
    while (n > 0) {
        ssize_t done = write(t->out, s, n);
        if (done > 0) {
            s += done;
            n -= (size_t)done;
        } else if (done < 0 && errno == EAGAIN) {
            struct pollfd p = {t->out, POLLOUT, 0};
            if (poll(&p, 1, 200) == 0) return; /* a stuck terminal: give the rest up */
        } else if (done == 0 || errno != EINTR) {
            return;
        }
    }
}

static void send_text(const ui_term *t, const char *s)
{
    send_bytes(t, s, strlen(s));
}

static const char mouse_on[] = "\033[?1000h\033[?1002h\033[?1006h";
static const char mouse_off[] = "\033[?1006l\033[?1002l\033[?1000l";
static const char reports_on[] = "\033[?2004h\033[?1004h";
static const char reports_off[] = "\033[?1004l\033[?2004l";

static void reports(const ui_term *t, bool on)
{
    send_text(t, on ? reports_on : reports_off);
    if (t->mouse) send_text(t, on ? mouse_on : mouse_off);
}

/* --- opening --- */

static bool wants_true_colour(const ui_term_options *o)
{
    return o->colorterm && (strcasecmp(o->colorterm, "truecolor") == 0 ||
                            strcasecmp(o->colorterm, "24bit") == 0);
}

/* The entry with direct colours that goes with a terminal: tmux-256color -> tmux-direct. */
static SCREEN *open_direct(const ui_term_options *o)
{
    char name[64];
    int stem = (int)strcspn(o->term, "-");
    snprintf(name, sizeof name, "%.*s-direct", stem < 40 ? stem : 40, o->term);
    SCREEN *s = newterm(name, stdout, stdin);
    if (s || strncmp(o->term, "xterm", 5) == 0) return s;
    bool is_like_xterm = strstr(o->term, "256color") != NULL;
    return is_like_xterm ? newterm("xterm-direct", stdout, stdin) : NULL;
}

/* curses puts in handlers of its own; signals are the loop's matter. */
static const int kept_signals[] = {SIGINT, SIGTERM, SIGTSTP, SIGWINCH};
enum { N_KEPT = sizeof kept_signals / sizeof *kept_signals };

static SCREEN *open_screen(const ui_term_options *o, bool *direct)
{
    struct sigaction kept[N_KEPT];
    for (int i = 0; i < N_KEPT; i++)
        sigaction(kept_signals[i], NULL, &kept[i]);
    SCREEN *s = NULL;
    *direct = false;
    if (!o->no_color && wants_true_colour(o)) {
        s = open_direct(o);
        *direct = s != NULL;
    }
    if (!s) s = newterm(o->term, stdout, stdin);
    for (int i = 0; i < N_KEPT; i++)
        sigaction(kept_signals[i], &kept[i], NULL);
    return s;
}

static ui_depth find_depth(const ui_term_options *o, bool direct)
{
    if (o->no_color || !has_colors()) return UI_DEPTH_MONO;
    if (direct && COLORS >= 1 << 24) return UI_DEPTH_TRUE;
    if (COLORS >= 256) return UI_DEPTH_256;
    if (COLORS >= 16) return UI_DEPTH_16;
    return COLORS >= 8 ? UI_DEPTH_8 : UI_DEPTH_MONO;
}

static void bind_terminfo(ui_keys *k)
{
    static const struct {
        const char *cap;
        int key;
    } caps[] = {
        {"kcuu1", UI_KEY_UP},     {"kcud1", UI_KEY_DOWN},   {"kcub1", UI_KEY_LEFT},
        {"kcuf1", UI_KEY_RIGHT},  {"khome", UI_KEY_HOME},   {"kend", UI_KEY_END},
        {"kpp", UI_KEY_PGUP},     {"knp", UI_KEY_PGDN},     {"kich1", UI_KEY_INSERT},
        {"kdch1", UI_KEY_DELETE}, {"kcbt", UI_KEY_BACKTAB}, {"kLFT", UI_KEY_SLEFT},
        {"kRIT", UI_KEY_SRIGHT}};
    for (size_t i = 0; i < sizeof caps / sizeof *caps; i++) {
        const char *seq = tigetstr(caps[i].cap);
        if (seq != (char *)-1) ui_keys_bind(k, seq, caps[i].key);
    }
    for (int f = 1; f <= 12; f++) {
        char cap[16];
        snprintf(cap, sizeof cap, "kf%d", f);
        const char *seq = tigetstr(cap);
        if (seq != (char *)-1) ui_keys_bind(k, seq, UI_KEY_F1 + f - 1);
    }
}

static void init_colours(ui_term *t)
{
    if (t->depth == UI_DEPTH_MONO) return;
    use_default_colors();
    for (int r = 0; r < UI_N_ROLES; r++) {
        ui_look look = ui_theme_look(t->theme, t->depth, (ui_role)r);
        init_extended_pair(r + 1, look.fg, look.bg);
    }
}

static void ask_size(ui_term *t)
{
    struct winsize size = {0};
    if (ioctl(t->out, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0) {
        t->width = size.ws_col;
        t->height = size.ws_row;
    } else {
        t->width = COLS;
        t->height = LINES;
    }
}

static bool understands_titles(const char *term)
{
    static const char *const not [] = {"linux", "vt", "ansi", "cons", "eterm"};
    for (size_t i = 0; i < sizeof not / sizeof *not ; i++)
        if (strncmp(term, not [i], strlen(not [i])) == 0) return false;
    return true;
}

/* What brings any terminal of ours back, for a handler that may not call curses. */
static void arm_restore(ui_term *t)
{
    rs_buf b = {0};
    rs_buf_puts(&b, mouse_off);
    rs_buf_puts(&b, reports_off);
    static const char *const caps[] = {"sgr0", "op", "cnorm", "rmcup"};
    for (size_t i = 0; i < sizeof caps / sizeof *caps; i++) {
        const char *s = tigetstr(caps[i]);
        if (s && s != (char *)-1) rs_buf_puts(&b, s);
    }
    if (t->has_titles) rs_buf_puts(&b, "\033[23;2t");
    rs_buf_puts(&b, "\r\n");
    ui_restore_arm(t->in, t->out, rs_buf_str(&b), t->goodbye);
    rs_buf_free(&b);
}

static void set_modes(ui_term *t)
{
    raw();
    noecho();
    nonl();
    intrflush(stdscr, FALSE);
    keypad(stdscr, FALSE);
    idlok(stdscr, FALSE);
    scrollok(stdscr, FALSE);
    typeahead(-1);
    t->cursor = -1;
}

rs_status ui_term_open(const ui_term_options *o, ui_term **out, rs_err *err)
{
    static bool at_exit_set;
    bool direct = false;
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
        return rs_fail(err, RS_E_UNSUPPORTED,
                       "the workbench needs a terminal on standard input and output");
    if (!o->term || !*o->term || strcmp(o->term, "dumb") == 0)
        return rs_fail(err, RS_E_UNSUPPORTED,
                       "the workbench cannot draw on a terminal of TERM=%s; every task "
                       "has a verb too",
                       o->term && *o->term ? o->term : "(not set)");
    ui_term *t = calloc(1, sizeof *t);
    if (!t) return rs_fail(err, RS_E_NOMEM, "no memory for the terminal");
    ui_restore_remember(STDIN_FILENO);
    t->screen = open_screen(o, &direct);
    if (!t->screen) {
        free(t);
        return rs_fail(err, RS_E_UNSUPPORTED, "terminfo has no usable entry for TERM=%s",
                       o->term);
    }
    set_term(t->screen);
    t->in = STDIN_FILENO;
    t->out = STDOUT_FILENO;
    t->theme = o->theme;
    t->mouse = o->mouse;
    t->has_titles = o->title && understands_titles(o->term);
    t->goodbye = o->goodbye ? strdup(o->goodbye) : NULL;
    set_modes(t);
    if (!o->no_color && has_colors()) start_color();
    t->depth = find_depth(o, direct);
    init_colours(t);
    bind_terminfo(&t->keys);
    ask_size(t);
    arm_restore(t);
    if (!at_exit_set) at_exit_set = atexit(ui_restore_now) == 0;
    if (t->has_titles) send_text(t, "\033[22;2t");
    if (o->title) ui_term_set_title(t, o->title);
    reports(t, true);
    t->redraw = true;
    *out = t;
    return RS_OK;
}

void ui_term_close(ui_term *t)
{
    if (!t) return;
    if (!t->suspended) {
        reports(t, false);
        if (t->has_titles) send_text(t, "\033[23;2t");
        curs_set(1);
        endwin();
    }
    ui_restore_disarm();
    delscreen(t->screen);
    ui_keys_free(&t->keys);
    ui_grid_free(&t->shown);
    free(t->goodbye);
    free(t);
}

/* --- small things --- */

ui_depth ui_term_depth(const ui_term *t)
{
    return t->depth;
}

void ui_term_size(const ui_term *t, int *width, int *height)
{
    *width = t->width;
    *height = t->height;
}

void ui_term_resized(ui_term *t, int *width, int *height)
{
    ask_size(t);
    resize_term(t->height, t->width);
    t->redraw = true;
    ui_term_size(t, width, height);
}

void ui_term_set_theme(ui_term *t, ui_theme theme)
{
    if (theme == t->theme) return;
    t->theme = theme;
    init_colours(t);
    t->redraw = true;
}

void ui_term_set_mouse(ui_term *t, bool on)
{
    if (on == t->mouse) return;
    t->mouse = on;
    send_text(t, on ? mouse_on : mouse_off);
}

void ui_term_redraw(ui_term *t)
{
    t->redraw = true;
}
int ui_term_fd(const ui_term *t)
{
    return t->in;
}

bool ui_term_read(ui_term *t, double now)
{
    char bytes[4096];
    struct pollfd p = {t->in, POLLIN, 0};
    if (poll(&p, 1, 0) <= 0) return true;
    ssize_t n = read(t->in, bytes, sizeof bytes);
    if (n > 0) ui_keys_feed(&t->keys, bytes, (size_t)n, now);
    return n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN));
}

bool ui_term_next(ui_term *t, double now, ui_msg *out)
{
    return ui_keys_next(&t->keys, now, out);
}
double ui_term_wait(const ui_term *t, double now)
{
    return ui_keys_wait(&t->keys, now);
}

void ui_term_bell(ui_term *t)
{
    send_text(t, "\a");
}

void ui_term_copy(ui_term *t, const char *text)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *s = (const unsigned char *)text;
    size_t n = strlen(text);
    rs_buf b = {0};
    if (n > 74994) return; /* more than terminals take at once */
    rs_buf_puts(&b, "\033]52;c;");
    for (size_t i = 0; i < n; i += 3) {
        unsigned v = (unsigned)s[i] << 16 | (i + 1 < n ? (unsigned)s[i + 1] << 8 : 0) |
                     (i + 2 < n ? s[i + 2] : 0);
        rs_buf_putc(&b, digits[v >> 18 & 63]);
        rs_buf_putc(&b, digits[v >> 12 & 63]);
        rs_buf_putc(&b, i + 1 < n ? digits[v >> 6 & 63] : '=');
        rs_buf_putc(&b, i + 2 < n ? digits[v & 63] : '=');
    }
    rs_buf_puts(&b, "\033\\");
    if (!b.failed) send_bytes(t, b.data, b.len);
    rs_buf_free(&b);
}

void ui_term_set_title(ui_term *t, const char *title)
{
    rs_buf b = {0};
    if (!t->has_titles) return;
    rs_buf_puts(&b, "\033]2;");
    for (const char *s = title; *s && b.len < 300; s++)
        if ((unsigned char)*s >= 0x20 && *s != 0x7f) rs_buf_putc(&b, *s);
    rs_buf_puts(&b, "\033\\");
    if (!b.failed) send_bytes(t, b.data, b.len);
    rs_buf_free(&b);
}

void ui_term_suspend(ui_term *t)
{
    if (t->suspended) return;
    reports(t, false);
    curs_set(1);
    endwin();
    ui_restore_disarm();
    t->suspended = true;
}

void ui_term_resume(ui_term *t)
{
    if (!t->suspended) return;
    ui_restore_remember(t->in);
    reset_prog_mode();
    doupdate();
    set_modes(t);
    arm_restore(t);
    reports(t, true);
    ask_size(t);
    resize_term(t->height, t->width);
    t->suspended = false;
    t->redraw = true;
}

/* --- copying the grid --- */

static attr_t attributes_of(const ui_look *look)
{
    attr_t a = A_NORMAL;
    if (look->attrs & UI_ATTR_BOLD) a |= A_BOLD;
    if (look->attrs & UI_ATTR_DIM) a |= A_DIM;
    if (look->attrs & UI_ATTR_UNDERLINE) a |= A_UNDERLINE;
    if (look->attrs & UI_ATTR_REVERSE) a |= A_REVERSE;
    return a;
}

/* A character that the locale would give another width than the grid's is not sent: it would
 * shift the rest of the row. */
static bool fits_locale(const ui_cell *c)
{
    return c->cp[0] < 0x80 || wcwidth((wchar_t)c->cp[0]) == c->width;
}

static void put_cell(const ui_term *t, int x, int y, const ui_cell *c,
                     const attr_t *attrs)
{
    cchar_t out;
    wchar_t text[4] = {(wchar_t)c->cp[0], 0, 0, 0};
    int pair = t->depth == UI_DEPTH_MONO ? 0 : c->role + 1;
    if (c->width == 0) return;
    if (!fits_locale(c)) {
        text[0] = L'?';
    } else if (c->cp[1]) {
        for (int i = 1; i < 3 && c->cp[i]; i++)
            if (wcwidth((wchar_t)c->cp[i]) == 0)
                text[i] = (wchar_t)c->cp[i];
            else
                break;
    }
    setcchar(&out, text, attrs[c->role], 0, &pair);
    mvadd_wch(y, x, &out);
    if (c->width == 2 && text[0] == L'?') {
        text[0] = L' ';
        setcchar(&out, text, attrs[c->role], 0, &pair);
        mvadd_wch(y, x + 1, &out);
    }
}

static bool same_cell(const ui_cell *a, const ui_cell *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

/* The part of a row that differs, widened so that no wide character is cut. */
static void copy_row(ui_term *t, int y, const ui_cell *now, ui_cell *old, int w,
                     const attr_t *attrs)
{
    int from = 0, to = w;
    if (!t->redraw) {
        while (from < w && same_cell(&now[from], &old[from]))
            from++;
        if (from == w) return;
        while (to > from && same_cell(&now[to - 1], &old[to - 1]))
            to--;
        while (from > 0 && (now[from].width == 0 || old[from].width == 0))
            from--;
        while (to < w && (now[to].width == 0 || old[to].width == 0))
            to++;
    }
    for (int x = from; x < to; x++)
        put_cell(t, x, y, &now[x], attrs);
    memcpy(old + from, now + from, (size_t)(to - from) * sizeof *now);
}

static void place_cursor(ui_term *t, const ui_grid *g)
{
    bool visible = g->cursor_x >= 0 && g->cursor_y >= 0 && g->cursor_x < t->width &&
                   g->cursor_y < t->height;
    if (visible) move(g->cursor_y, g->cursor_x);
    if (t->cursor != visible) curs_set(visible);
    t->cursor = visible;
}

void ui_term_present(ui_term *t, const ui_grid *g)
{
    attr_t attrs[UI_N_ROLES];
    if (t->suspended) return;
    if (t->shown.width != g->width || t->shown.height != g->height) {
        if (!ui_grid_resize(&t->shown, g->width, g->height)) return;
        t->redraw = true;
    }
    for (int r = 0; r < UI_N_ROLES; r++) {
        ui_look look = ui_theme_look(t->theme, t->depth, (ui_role)r);
        attrs[r] = attributes_of(&look);
    }
    if (t->redraw) clear();
    int w = g->width < t->width ? g->width : t->width,
        h = g->height < t->height ? g->height : t->height;
    for (int y = 0; y < h; y++) {
        size_t row = (size_t)y * (size_t)g->width;
        copy_row(t, y, g->cells + row, t->shown.cells + row, w, attrs);
    }
    t->redraw = false;
    place_cursor(t, g);
    refresh();
}
