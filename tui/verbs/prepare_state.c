#include "tui/verbs/prepare_state.h"

#include "base/json.h"
#include "base/os.h"
#include "base/utf8.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

const char *ui_made_state_name(ui_made_state s)
{
    static const char *const names[] = {"fresh",   "missing", "stale",
                                        "foreign", "unknown", "damaged"};
    return names[s];
}

static void because(ui_made_row *row, ui_made_state state, const char *fmt, ...)
    RS_PRINTF(3, 4);
static void because(ui_made_row *row, ui_made_state state, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(row->why, sizeof row->why, fmt, ap);
    va_end(ap);
    rs_utf8_clean(row->why); /* some of it is out of a file */
    row->state = state;
}

/* --- in which way it is stale --- */

static bool same(const rs_json *a, const rs_json *b)
{
    if (rs_json_is_string(a) && rs_json_is_string(b))
        return strcmp(rs_json_string(a), rs_json_string(b)) == 0;
    if (rs_json_is_number(a) && rs_json_is_number(b))
        return rs_json_number(a) == rs_json_number(b);
    if (rs_json_is_bool(a) && rs_json_is_bool(b)) return rs_json_true(a) == rs_json_true(b);
    if (rs_json_is_null(a) || rs_json_is_null(b))
        return rs_json_is_null(a) && rs_json_is_null(b);
    if (!rs_json_is_array(a) || !rs_json_is_array(b)) return false;
    const rs_json *x = rs_json_first(a), *y = rs_json_first(b);
    for (; x && y; x = rs_json_next(x), y = rs_json_next(y))
        if (!same(x, y)) return false;
    return !x && !y;
}

static const char *word_of(const rs_json *v, char buf[48])
{
    if (rs_json_is_string(v)) return snprintf(buf, 48, "%.40s", rs_json_string(v)), buf;
    if (rs_json_is_number(v)) return snprintf(buf, 48, "%.9g", rs_json_number(v)), buf;
    if (rs_json_is_bool(v)) return rs_json_true(v) ? "on" : "off";
    return "none";
}

static void explain_key(ui_made_row *row, const rs_make_key *k, const rs_json *was,
                        const rs_json *now)
{
    char x[48], y[48];
    const char *name = k->holds == RS_HOLDS_CORPORA || k->holds == RS_HOLDS_DATA
                           ? NULL
                           : rs_make_string(row->made.make, k);
    if (!rs_make_names(k))
        because(row, UI_MADE_STALE, "%s %s -> %s", k->name, word_of(was, x),
                word_of(now, y));
    else if (k->holds == RS_HOLDS_CORPORA)
        because(row, UI_MADE_STALE, "the corpora are others");
    else
        because(row, UI_MADE_STALE, "%s%s%s is another", k->name, name ? " " : "",
                name ? name : "");
}

/* Settings before contents: they say more. */
static void explain_keys(ui_made_row *row, const rs_json *was, const rs_json *now)
{
    for (int contents = 0; contents < 2; contents++)
        for (const rs_make_key *k = rs_make_keys(row->made.make->type); k->name; k++) {
            const rs_json *x = rs_json_get(was, k->name), *y = rs_json_get(now, k->name);
            if (rs_make_names(k) != (contents == 1) || same(x, y)) continue;
            explain_key(row, k, x, y);
            return;
        }
}

static void explain(ui_made_row *row, const char *was_text, const rs_buf *now_text)
{
    rs_json *was = NULL, *now = NULL;
    because(row, UI_MADE_STALE, "made by another version of ringside");
    if (rs_json_parse(was_text, strlen(was_text), "", &was, NULL) == RS_OK &&
        rs_json_parse(now_text->data, now_text->len, "", &now, NULL) == RS_OK &&
        same(rs_json_get(was, "made"), rs_json_get(now, "made")) &&
        same(rs_json_get(was, "version"), rs_json_get(now, "version")))
        explain_keys(row, was, now);
    rs_json_free(was);
    rs_json_free(now);
}

/* --- one row --- */

static rs_status compare(ui_preparation *p, ui_made_row *row, const char *was, rs_err *err)
{
    rs_err why;
    ui_inputs in;
    rs_buf now = {0};
    rs_status s = ui_inputs_find(p, row->made.make, false, &in, &why);
    if (s == RS_OK) s = ui_inputs_text(p, row->made.make, &in, &now, &why);
    if (s == RS_E_CANCELLED || s == RS_E_NOMEM)
        s = rs_fail(err, s, "%s", why.msg);
    else if (s != RS_OK) {
        because(row, UI_MADE_UNKNOWN, "%.180s", why.msg);
        s = RS_OK;
    } else if (strcmp(rs_buf_str(&now), was) == 0)
        row->state = UI_MADE_FRESH;
    else
        explain(row, was, &now);
    rs_buf_free(&now);
    ui_inputs_free(&in);
    return s;
}

static rs_status look(ui_preparation *p, ui_made_row *row, rs_err *err)
{
    rs_err why;
    rs_checkpoint *f;
    row->why[0] = 0;
    row->state = UI_MADE_MISSING;
    if (rs_os_kind(row->path) == RS_PATH_NONE) return RS_OK;
    rs_status s = rs_checkpoint_open(row->path, &f, &why);
    if (s == RS_E_NOMEM) return rs_fail(err, s, "%s", why.msg);
    if (s != RS_OK) return because(row, UI_MADE_DAMAGED, "%.180s", why.msg), RS_OK;
    const char *was = rs_checkpoint_metadata(f, UI_MADE_FROM);
    if (was)
        s = compare(p, row, was, err);
    else
        because(row, UI_MADE_FOREIGN, "not made by this entry");
    rs_checkpoint_close(f);
    return s;
}

/* What it needs is made before it, or has to be there. */
static rs_status check_inputs(ui_preparation *p, const ui_made_row *row, rs_err *err)
{
    ui_inputs in;
    rs_status s = ui_inputs_find(p, row->made.make, true, &in, err);
    ui_inputs_free(&in);
    if (s == RS_OK) return RS_OK;
    return rs_err_prefix(err, "%s \"%s\"", rs_make_word(row->made.make->type),
                         row->made.name);
}

/* The nearest folder that is there has to take it. */
static rs_status check_room(const ui_made_row *row, rs_err *err)
{
    char folder[4096], up[4096];
    if (!rs_path_dirname(folder, sizeof folder, row->path)) folder[0] = 0;
    while (rs_os_kind(folder) == RS_PATH_NONE && strlen(folder) > 1) {
        if (!rs_path_dirname(up, sizeof up, folder)) break;
        memcpy(folder, up, sizeof folder);
    }
    if (rs_os_kind(folder) == RS_PATH_FOLDER && access(folder, W_OK | X_OK) == 0)
        return RS_OK;
    return rs_fail(err, RS_E_IO,
                   "%s \"%s\": %s cannot be written: save the recipe in a folder of yours "
                   "(W in the workbench) and prepare that",
                   rs_make_word(row->made.make->type), row->made.name, folder);
}

/* What is wanted can be made; what is not can be used. */
static rs_status check_row(ui_preparation *p, const ui_made_row *row, rs_err *err)
{
    if (row->state == UI_MADE_DAMAGED && !row->wanted)
        return rs_fail(err, RS_E_FORMAT, "%s \"%s\": %s (--force --only %s makes it anew)",
                       rs_make_word(row->made.make->type), row->made.name, row->why,
                       row->made.name);
    if (!row->wanted) return RS_OK;
    RS_TRY(ui_prepare_apart(p, row, err));
    RS_TRY(check_inputs(p, row, err));
    return check_room(row, err);
}

static void follow(ui_preparation *p, ui_made_row *row)
{
    if (row->state != UI_MADE_FRESH && row->state != UI_MADE_UNKNOWN) return;
    for (const ui_made_row *r = p->rows; r < row; r++)
        if (r->wanted && rs_made_needs(p->recipe, &row->made, &r->made)) {
            because(row, UI_MADE_STALE, "%.120s is made anew", r->made.name);
            return;
        }
}

rs_status ui_prepare_look_again(ui_preparation *p, ui_made_row *row, rs_err *err)
{
    RS_TRY(look(p, row, err));
    row->wanted = row->forced || row->state == UI_MADE_MISSING || row->state == UI_MADE_STALE;
    return RS_OK;
}

rs_status ui_prepare_look(ui_preparation *p, const char *only, bool force, rs_err *err)
{
    for (int i = 0; i < p->n; i++) {
        ui_made_row *row = &p->rows[i];
        row->seconds = -1;
        if (!rs_path_join(row->path, sizeof row->path, p->recipe->folder, row->made.path))
            return rs_fail(err, RS_E_INVALID, "the path %.200s... is too long",
                           row->made.path);
        RS_TRY(ui_prepare_look_again(p, row, err));
        follow(p, row);
        row->wanted = row->state == UI_MADE_MISSING || row->state == UI_MADE_STALE;
        row->forced = force && (!only || strcmp(only, row->made.name) == 0);
        row->wanted |= row->forced;
    }
    for (int i = 0; i < p->n; i++)
        RS_TRY(check_row(p, &p->rows[i], err));
    return RS_OK;
}
