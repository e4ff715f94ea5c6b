#include "tui/term/prompt.h"

#include "base/os.h"
#include "base/utf8.h"
#include "tui/app/msg.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <readline/history.h>
#include <readline/readline.h>

enum { MAX_HISTORY = 1000, MAX_HISTORY_BYTES = 1 << 22, MAX_LINE = 16384 };

/* readline has one line for the whole process, so has this. */
static struct {
    bool is_ready, is_active, is_done, remembers;
    int number;     /* of the line */
    char queue[16]; /* bytes of one key, for rl_getc_function */
    int n_queue, taken;
    char *text; /* copy of the line, or the submitted one */
    size_t cursor;
} edit;

static struct {
    char **line; /* oldest first */
    int n;
} history;

/* --- what readline calls --- */

static int next_byte(FILE *unused)
{
    (void)unused;
    return edit.taken < edit.n_queue ? (unsigned char)edit.queue[edit.taken++] : EOF;
}

static int has_byte(void)
{
    return edit.taken < edit.n_queue;
}

static void draw_nothing(void) {}

static void on_line(char *line)
{
    free(edit.text);
    edit.text = line ? line : ui_strdup("");
    edit.cursor = strlen(edit.text);
    edit.is_done = true;
}

static char **complete_nothing(const char *text, int from, int to)
{
    (void)text, (void)from, (void)to;
    rl_attempted_completion_over = 1;
    return NULL;
}

static void prepare(void)
{
    if (edit.is_ready) return;
    edit.is_ready = true;
    rl_readline_name = "ringside";
    rl_catch_signals = rl_catch_sigwinch = rl_change_environment = 0;
    rl_outstream = fopen("/dev/null", "w"); /* whatever it may want to say */
    rl_getc_function = next_byte;
    /* Without this it looks ahead, sees the end of the queue and submits the line. */
    rl_input_available_hook = has_byte;
    rl_redisplay_function = draw_nothing;
    rl_prep_term_function = NULL;
    rl_deprep_term_function = NULL;
    rl_attempted_completion_function = complete_nothing;
    rl_completion_query_items = -1;
    rl_initialize();
    rl_variable_bind("editing-mode", "emacs");
    rl_variable_bind("bell-style", "none");
    rl_variable_bind("enable-bracketed-paste", "off");
    rl_variable_bind("revert-all-at-newline", "on");
    using_history();
}

/* --- the line --- */

static void copy_line(void)
{
    if (!edit.is_active || edit.is_done) return;
    free(edit.text);
    edit.text = ui_strdup(rl_line_buffer ? rl_line_buffer : "");
    edit.cursor = rl_point < 0 ? 0 : (size_t)rl_point;
}

/* Lines of the history are edited in place while one walks through them, so readline gets
 * them fresh for each prompt. */
static void load_into_readline(void)
{
    rl_clear_history();
    for (int i = 0; edit.remembers && i < history.n; i++)
        add_history(history.line[i]);
    using_history();
}

int ui_edit_start(const char *initial, bool remember)
{
    char *copy = ui_strdup(initial ? initial : ""); /* may be our own text */
    prepare();
    ui_edit_stop();
    edit.remembers = remember;
    load_into_readline();
    edit.is_done = false;
    edit.is_active = true;
    rl_callback_handler_install("", on_line);
    ui_edit_insert(copy);
    copy_line();
    free(copy);
    return ++edit.number;
}

bool ui_edit_is_current(int number)
{
    return number == edit.number;
}

void ui_edit_stop(void)
{
    if (!edit.is_active) return;
    edit.is_active = false;
    rl_callback_sigcleanup(); /* a search that goes on holds lines of the history */
    rl_callback_handler_remove();
}

static void run_queue(const char *bytes, int n)
{
    memcpy(edit.queue, bytes, (size_t)n);
    edit.n_queue = n;
    edit.taken = 0;
    while (has_byte() && !edit.is_done)
        rl_callback_read_char();
    edit.n_queue = edit.taken = 0;
}

static bool walks_history(int key)
{
    static const int keys[] = {UI_CTRL('P'),     UI_CTRL('N'),     UI_CTRL('R'),
                               UI_CTRL('S'),     UI_CTRL('O'),     UI_KEY_UP,
                               UI_KEY_DOWN,      UI_KEY_ALT + '<', UI_KEY_ALT + '>',
                               UI_KEY_ALT + 'p', UI_KEY_ALT + 'n', UI_KEY_ALT + '.',
                               UI_KEY_ALT + '_'};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (keys[i] == key) return true;
    return false;
}

static int control_for(int key)
{
    switch (key) {
    case UI_KEY_LEFT:
        return UI_CTRL('B');
    case UI_KEY_RIGHT:
        return UI_CTRL('F');
    case UI_KEY_HOME:
        return UI_CTRL('A');
    case UI_KEY_END:
        return UI_CTRL('E');
    case UI_KEY_UP:
        return UI_CTRL('P');
    case UI_KEY_DOWN:
        return UI_CTRL('N');
    default:
        return key;
    }
}

static void delete_forward(void)
{
    if (rl_point < rl_end) rl_delete(1, 0);
}

ui_edit_result ui_edit_key(int key)
{
    char bytes[5];
    if (!edit.is_active || edit.is_done) return UI_EDIT_DONE;
    if (!edit.remembers && walks_history(key)) return UI_EDIT_GOES_ON;
    key = control_for(key);
    if (key == UI_KEY_DELETE || key == UI_CTRL('D')) {
        delete_forward();
    } else if (key > UI_KEY_ALT && key < UI_KEY_ALT + 128) {
        bytes[0] = 27;
        bytes[1] = (char)(key - UI_KEY_ALT);
        run_queue(bytes, 2);
    } else if (key > 0 && key < 128) {
        bytes[0] = (char)key;
        if (rl_end < MAX_LINE || key < 32) run_queue(bytes, 1);
    } else if (key >= 128 && key < 0x110000) {
        int n = rs_utf8_encode((uint32_t)key, bytes);
        if (RL_ISSTATE(RL_STATE_ISEARCH)) {
            run_queue(bytes, n);
        } else {
            bytes[n] = 0;
            ui_edit_insert(bytes);
        }
    }
    if (edit.is_done) {
        edit.is_active = false;
        rl_callback_handler_remove();
        if (edit.remembers) ui_history_add(edit.text);
        return UI_EDIT_DONE;
    }
    copy_line();
    return UI_EDIT_GOES_ON;
}

void ui_edit_insert(const char *text)
{
    if (!edit.is_active) return;
    size_t n = strlen(text), room = rl_end < MAX_LINE ? (size_t)(MAX_LINE - rl_end) : 0;
    if (n > room) n = room;
    n -= rs_utf8_incomplete_tail(text, n);
    char *clean = ui_strdup(text);
    clean[n] = 0;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)clean[i] < 32 || clean[i] == 127) clean[i] = ' ';
    if (n) rl_insert_text(clean);
    free(clean);
    copy_line();
}

void ui_edit_replace(size_t from, size_t to, const char *text)
{
    size_t end = edit.is_active ? (size_t)rl_end : 0;
    if (!edit.is_active) return;
    if (to > end) to = end;
    if (from > to) from = to;
    rl_begin_undo_group();
    rl_delete_text((int)from, (int)to);
    rl_point = (int)from;
    ui_edit_insert(text);
    rl_end_undo_group();
    copy_line();
}

void ui_edit_move(size_t at)
{
    if (!edit.is_active) return;
    rl_point = at > (size_t)rl_end ? rl_end : (int)at;
    copy_line();
}

const char *ui_edit_text(void)
{
    return edit.text ? edit.text : "";
}
size_t ui_edit_cursor(void)
{
    return edit.cursor;
}

const char *ui_edit_message(void)
{
    bool searches = edit.is_active && RL_ISSTATE(RL_STATE_ISEARCH);
    return searches && rl_display_prompt ? rl_display_prompt : NULL;
}

/* --- history --- */

const char *ui_history_line(int i)
{
    return i >= 0 && i < history.n ? history.line[history.n - 1 - i] : NULL;
}

void ui_history_add(const char *line)
{
    size_t n = strlen(line);
    if (n == 0 || n > MAX_LINE || strspn(line, " ") == n) return;
    if (history.n && strcmp(history.line[history.n - 1], line) == 0) return;
    if (!history.line) history.line = calloc(MAX_HISTORY, sizeof *history.line);
    if (!history.line) return;
    if (history.n == MAX_HISTORY) {
        free(history.line[0]);
        memmove(history.line, history.line + 1, (MAX_HISTORY - 1) * sizeof *history.line);
        history.n--;
    }
    history.line[history.n++] = ui_strdup(line);
}

void ui_history_clear(void)
{
    for (int i = 0; i < history.n; i++)
        free(history.line[i]);
    free(history.line);
    history.line = NULL;
    history.n = 0;
}

rs_status ui_history_load(const char *path, rs_err *err)
{
    rs_buf b = {0};
    ui_history_clear();
    if (rs_os_kind(path) != RS_PATH_FILE) return RS_OK;
    rs_status s = rs_os_read_file(path, MAX_HISTORY_BYTES, &b, err);
    for (char *at = b.data, *end; s == RS_OK && at && *at; at = end) {
        end = at + strcspn(at, "\n");
        bool is_line = *end == '\n';
        *end = 0;
        if (rs_utf8_valid(at, strlen(at))) ui_history_add(at);
        end += is_line;
    }
    rs_buf_free(&b);
    return s;
}

rs_status ui_history_save(const char *path, rs_err *err)
{
    rs_buf b = {0};
    for (int i = 0; i < history.n; i++)
        rs_buf_printf(&b, "%s\n", history.line[i]);
    rs_status s = b.failed ? rs_fail(err, RS_E_NOMEM, "no memory to write %s", path)
                           : rs_os_write_file(path, rs_buf_str(&b), b.len, err);
    rs_buf_free(&b);
    return s;
}
