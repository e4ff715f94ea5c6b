/* sessions.c - what the next start brings back: the recipe as it is (saved or not), the undo
 * tree, scenes, screen, cursor, marks, prompt, seed, options. One JSON object; what is missing
 * or does not fit any more is left as it is at a first start. */
#include "base/json.h"
#include "tui/app/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put_string(rs_buf *out, const char *key, const char *value)
{
    rs_buf_printf(out, ",\n\"%s\":", key);
    if (value)
        rs_buf_json(out, value, strlen(value));
    else
        rs_buf_puts(out, "null");
}

static void put_file(const ui_file *f, rs_buf *out)
{
    rs_buf_printf(out, "{\"version\":%d", f->version);
    put_string(out, "path", f->path);
    put_string(out, "folder", f->folder);
    put_string(out, "saved", f->saved);
    rs_buf_putc(out, '}');
}

static void put_recipe(const ui_app *a, rs_buf *out)
{
    rs_buf_puts(out, ",\n\"files\":[");
    for (int i = 0; i < a->doc.n_files; i++) {
        if (i) rs_buf_putc(out, ',');
        put_file(&a->doc.files[i], out);
    }
    rs_buf_printf(out, "],\n\"file\":%d", a->doc.file);
    put_string(out, "recipe", ui_doc_base(&a->doc)->text);
    rs_buf_printf(out, ",\n\"scene\":%d,\n\"scenes\":[", a->i_scene);
    for (int i = 0; i < 3; i++) {
        if (i) rs_buf_putc(out, ',');
        if (a->scene[i].text)
            rs_buf_json(out, a->scene[i].text, strlen(a->scene[i].text));
        else
            rs_buf_puts(out, "null");
    }
    rs_buf_putc(out, ']');
}

/* place: where the states before this one stand in the list, -1: left out. Which child was used
 * last follows from the order in which they are read back. */
static void put_state(const ui_undo *u, int i, const int *place, int at, rs_buf *out)
{
    const ui_undo_node *s = &u->at[i];
    rs_buf_printf(
        out, "%s{\"parent\":%d,\"scene\":%d,\"file\":%d,\"wall\":%.0f,\"used\":%s",
        at ? "," : "", s->parent < 0 ? -1 : place[s->parent], s->scene, s->file, s->wall,
        s->parent >= 0 && u->at[s->parent].last_child == i ? "true" : "false");
    put_string(out, "line", s->line);
    put_string(out, "text", s->text);
    rs_buf_putc(out, '}');
}

/* A long tree is cut to the way from the root to where we are, and that to its newest part. */
static void put_undo(const ui_app *a, rs_buf *out)
{
    enum { WHOLE = 1 << 20, PATH = 4 << 20 };
    const ui_undo *u = &a->undo;
    int place[UI_UNDO_MAX], n = 0;
    bool keep[UI_UNDO_MAX] = {false};
    size_t bytes = 0;
    for (int i = 0; i < u->n; i++)
        bytes += strlen(u->at[i].text);
    for (int i = 0; i < u->n && bytes <= WHOLE; i++)
        keep[i] = true;
    bytes = 0;
    for (int i = u->n ? u->here : -1; i >= 0 && bytes <= PATH; i = u->at[i].parent) {
        keep[i] = true;
        bytes += strlen(u->at[i].text);
    }
    rs_buf_puts(out, ",\n\"undo\":[");
    for (int i = 0; i < u->n; i++) {
        place[i] = keep[i] ? n : -1;
        if (keep[i]) put_state(u, i, place, n++, out);
    }
    rs_buf_printf(out, "],\n\"here\":%d", u->n ? place[u->here] : -1);
}

static void put_rows(const ui_app *a, rs_buf *out)
{
    const ui_rows *r = &a->rows;
    rs_buf_printf(
        out,
        ",\n\"cursor\":%d,\n\"sort\":%d,\n\"reverse\":%s,\n\"brush\":%d,\n\"falloff\":%d",
        r->cursor, (int)r->sort, r->reverse ? "true" : "false", r->brush,
        (int)r->falloff);
    rs_buf_puts(out, ",\n\"marks\":[");
    for (int i = 0, n = 0; i < r->n; i++)
        if (r->marked[i]) rs_buf_printf(out, "%s%d", n++ ? "," : "", i);
    rs_buf_putc(out, ']');
}

static void put_text(const ui_app *a, rs_buf *out)
{
    put_string(out, "prompt_id", a->pinned.id);
    put_string(out, "prompt", a->pinned.title);
    rs_buf_printf(out, ",\n\"prompt_raw\":%s", a->pinned.raw ? "true" : "false");
    put_string(out, "system", a->system);
    rs_buf_puts(out, ",\n\"sampler\":");
    ui_sampling_json(&a->sampling, out);
}

static void put_options(const ui_app *a, rs_buf *out)
{
    rs_buf_puts(out, ",\n\"options\":{");
    for (int i = 0; ui_option_at(i); i++) {
        char value[48];
        ui_option_show(&a->opt, ui_option_at(i), value);
        rs_buf_printf(out, "%s\"%s\":\"%s\"", i ? "," : "", ui_option_at(i)->name, value);
    }
    rs_buf_putc(out, '}');
    put_string(out, "bindings", a->bindings);
}

void ui_session_text(const ui_app *a, rs_buf *out)
{
    rs_buf_puts(out, "{\"session\":1");
    rs_buf_printf(out, ",\n\"screen\":%d,\n\"lane_t\":%s,\n\"tour_seen\":%s",
                  (int)a->screen, a->lane_t ? "true" : "false",
                  a->tour.seen ? "true" : "false");
    rs_buf_printf(out, ",\n\"detail\":%d,\n\"left\":%.0f", a->detail.layer, a->wall);
    put_recipe(a, out);
    put_undo(a, out);
    put_rows(a, out);
    put_text(a, out);
    put_options(a, out);
    rs_buf_puts(out, "}\n");
}

/* --- and back --- */

static int64_t get_int(const rs_json *o, const char *key, int64_t lo, int64_t hi,
                       int64_t or_else)
{
    int64_t v = or_else;
    if (rs_json_opt_int(o, key, lo, hi, "session", &v, NULL) != RS_OK) v = or_else;
    return v;
}

static const char *get_string(const rs_json *o, const char *key)
{
    return rs_json_string(rs_json_get(o, key));
}

/* The file as it is on disk now, or as the session knew it. */
static void restore_file(ui_app *a, const rs_json *o)
{
    const char *path = get_string(o, "path"), *folder = get_string(o, "folder");
    int version = (int)get_int(o, "version", 0, 1000000, 0);
    rs_recipe *r = NULL;
    if (!path || ui_file_read(path, &r, &version, NULL) != RS_OK) {
        ui_doc_add_file(&a->doc, path, folder, get_string(o, "saved"), version);
        return;
    }
    char *text = ui_recipe_text(r);
    ui_doc_add_file(&a->doc, path, r->folder, text, version);
    free(text);
    rs_recipe_free(r);
}

static void restore_undo(ui_app *a, const rs_json *o)
{
    int n = 0;
    for (const rs_json *m = rs_json_first(rs_json_get(o, "undo")); m;
         m = rs_json_next(m), n++) {
        const char *text = get_string(m, "text"), *line = get_string(m, "line");
        int parent = (int)get_int(m, "parent", -1, n - 1, -2);
        int file = (int)get_int(m, "file", 0, a->doc.n_files - 1, -1);
        if (!text || !line || file < 0 || parent < -1 || (n > 0) != (parent >= 0) ||
            n >= UI_UNDO_MAX) {
            ui_undo_free(&a->undo);
            return;
        }
        ui_undo_add(&a->undo, parent,
                    &(ui_undo_node){.text = (char *)text,
                                    .line = (char *)line,
                                    .scene = (int)get_int(m, "scene", 0, 2, 0),
                                    .file = file,
                                    .wall = rs_json_number(rs_json_get(m, "wall"))},
                    rs_json_true(rs_json_get(m, "used")));
    }
    const ui_undo_node *here =
        ui_undo_go(&a->undo, (int)get_int(o, "here", 0, n - 1, n - 1));
    if (here && (here->file != a->doc.file || strcmp(here->text, a->doc.at.text) != 0))
        ui_undo_push(&a->undo, a->doc.at.text, "as left", here->scene, a->doc.file,
                     a->wall);
}

static bool restore_recipe(ui_app *a, const rs_json *o)
{
    const char *text = get_string(o, "recipe");
    rs_recipe *r = NULL;
    for (const rs_json *f = rs_json_first(rs_json_get(o, "files")); f;
         f = rs_json_next(f))
        restore_file(a, f);
    bool only_one = !rs_json_get(o, "files"); /* as sessions were written at first */
    if (only_one) restore_file(a, o);
    int file = only_one ? 0 : (int)get_int(o, "file", 0, a->doc.n_files - 1, -1);
    if (!text || file < 0 ||
        rs_recipe_parse(text, strlen(text), a->doc.files[file].folder, "the session", &r,
                        NULL) != RS_OK)
        return false;
    ui_doc_open(&a->doc, r, file);
    ui_edit_opened(a);
    restore_undo(a, o);
    a->i_scene = (int)get_int(o, "scene", 0, 2, 0);
    const rs_json *s = rs_json_first(rs_json_get(o, "scenes"));
    for (int i = 0; i < 3 && s; i++, s = rs_json_next(s))
        ui_replace(&a->scene[i].text, rs_json_string(s));
    return true;
}

static void restore_rows(ui_app *a, const rs_json *o)
{
    ui_rows *r = &a->rows;
    r->sort = (ui_sort)get_int(o, "sort", 0, UI_N_SORTS - 1, 0);
    r->reverse = rs_json_true(rs_json_get(o, "reverse"));
    r->brush = (int)get_int(o, "brush", 0, 1000, 0);
    r->falloff = (ui_falloff)get_int(o, "falloff", 0, UI_N_FALLS - 1, UI_FALL_LINEAR);
    if (r->n == 0) return;
    r->cursor = (int)get_int(o, "cursor", 0, r->n - 1, 0);
    for (const rs_json *m = rs_json_first(rs_json_get(o, "marks")); m;
         m = rs_json_next(m)) {
        int64_t row = -1;
        if (rs_json_as_int(m, 0, r->n - 1, "session", &row, NULL) == RS_OK)
            r->marked[row] = true;
    }
    ui_rows_arrange(r, &a->doc);
}

static void restore_sampler(ui_app *a, const rs_json *o)
{
    for (const rs_json *m = rs_json_first(rs_json_get(o, "sampler")); m;
         m = rs_json_next(m)) {
        char pair[96], why[160];
        rs_buf b = {0};
        rs_buf_json_double(&b, rs_json_number(m));
        snprintf(pair, sizeof pair, "%.40s=%.40s", rs_json_key(m), rs_buf_str(&b));
        ui_sampling_set(&a->sampling, pair, why);
        rs_buf_free(&b);
    }
}

static void restore_text(ui_app *a, const rs_json *o)
{
    const char *id = get_string(o, "prompt_id"), *text = get_string(o, "prompt");
    if (text) {
        ui_replace(&a->pinned.id, id ? id : "");
        ui_replace(&a->pinned.title, text);
        a->pinned.raw = rs_json_true(rs_json_get(o, "prompt_raw"));
    }
    ui_replace(&a->system, get_string(o, "system"));
    restore_sampler(a, o);
}

static void restore_options(ui_app *a, const rs_json *o)
{
    char why[96];
    for (const rs_json *m = rs_json_first(rs_json_get(o, "options")); m;
         m = rs_json_next(m)) {
        const ui_option *what = ui_option_named(rs_json_key(m));
        const char *value = rs_json_string(m);
        if (what && value) ui_option_set(&a->opt, what, value, why);
    }
    ui_replace(&a->bindings, get_string(o, "bindings"));
}

bool ui_session_restore(ui_app *a, const char *text, bool with_recipe)
{
    rs_json *root = NULL;
    if (rs_json_parse(text, strlen(text), "session", &root, NULL) != RS_OK) return false;
    bool good = get_int(root, "session", 1, 1, 0) == 1;
    if (good) {
        restore_options(a, root);
        restore_text(a, root);
        a->tour.seen = rs_json_true(rs_json_get(root, "tour_seen"));
        a->left = (double)get_int(root, "left", 0, INT64_C(1) << 40, 0);
    }
    if (good && with_recipe) good = restore_recipe(a, root);
    if (good && with_recipe) {
        restore_rows(a, root);
        a->lane_t = rs_json_true(rs_json_get(root, "lane_t"));
        int64_t screen = get_int(root, "screen", 0, UI_N_SCREENS - 1, UI_RING);
        a->screen =
            ui_screens[screen] && screen != UI_DUEL ? (ui_screen_id)screen : UI_RING;
        a->detail.layer =
            (int)get_int(root, "detail", 0, a->rows.n ? a->rows.n - 1 : 0, 0);
    }
    rs_json_free(root);
    return good;
}
