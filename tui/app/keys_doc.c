#include "tui/app/keys_doc.h"

#include "tui/app/command.h"

#include <stdbool.h>
#include <string.h>

static const char *group_of(const ui_command *c)
{
    return c->group ? c->group : "other";
}

static bool opens_group(const ui_command *c)
{
    const ui_command *other;
    for (int i = 0; (other = ui_command_at(i, UI_N_SCREENS)) != NULL && other != c; i++)
        if (strcmp(group_of(other), group_of(c)) == 0) return false;
    return true;
}

/* In a table cell a bar would end the cell. */
static void put_cell(rs_buf *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '|') rs_buf_putc(out, '\\');
        rs_buf_putc(out, *text);
    }
}

static void put_keys(rs_buf *out, const char *keys)
{
    while (keys && *keys) {
        size_t n = strcspn(keys, " ");
        bool is_backtick = n == 1 && *keys == '`';
        rs_buf_puts(out, is_backtick ? "`` " : "`");
        for (size_t i = 0; i < n; i++) {
            if (keys[i] == '|') rs_buf_putc(out, '\\');
            rs_buf_putc(out, keys[i]);
        }
        rs_buf_puts(out, is_backtick ? " ``" : "`");
        keys += n;
        if (*keys == ' ') rs_buf_putc(out, *keys++);
    }
}

static void put_screens(rs_buf *out, unsigned screens)
{
    if (screens == UI_EVERYWHERE) {
        rs_buf_puts(out, "all");
        return;
    }
    bool first = true;
    for (int i = 0; i < UI_N_SCREENS; i++) {
        if (!(screens & UI_ON(i))) continue;
        if (!first) rs_buf_putc(out, ' ');
        rs_buf_puts(out, ui_screen_word(i));
        first = false;
    }
}

static void put_row(rs_buf *out, const ui_command *c)
{
    rs_buf_printf(out, "| `%s` | ", c->name);
    put_keys(out, c->keys);
    rs_buf_puts(out, " | ");
    if (c->args) {
        rs_buf_putc(out, '`');
        put_cell(out, c->args);
        rs_buf_putc(out, '`');
    }
    rs_buf_puts(out, " | ");
    put_screens(out, c->screens);
    rs_buf_puts(out, " | ");
    put_cell(out, c->help ? c->help : "");
    rs_buf_puts(out, " |\n");
}

void ui_keys_markdown(rs_buf *out)
{
    const ui_command *c, *row;
    rs_buf_puts(
        out,
        "# Keys and commands\n\n"
        "Written from the command table by `make docs`; the `?` screen shows the same "
        "rows.\nEvery command can be typed after `:`; `^X` is Control with that key, "
        "`S-` is Shift.\n`SELECTOR` names rows or tensors (`layers.3-5 & mlp`, `k_proj`, "
        "`marked`; see formats.md), `OPVALUE` is `=0.5`, `+0.1`,\n`-0.1` or `*0.9`: "
        "`:gain layers.3-5 & mlp =0.6`.\n");
    for (int i = 0; (c = ui_command_at(i, UI_N_SCREENS)) != NULL; i++) {
        if (!opens_group(c)) continue;
        rs_buf_printf(out,
                      "\n## %s\n\n| command | keys | arguments | screens | does |\n"
                      "| --- | --- | --- | --- | --- |\n",
                      group_of(c));
        for (int k = 0; (row = ui_command_at(k, UI_N_SCREENS)) != NULL; k++)
            if (strcmp(group_of(row), group_of(c)) == 0) put_row(out, row);
    }
}
