/* sessions.c - what the next start brings back: the recipe as it is (saved or not), scenes,
 * screen, cursor, marks, prompt, seed, options. One JSON object; what is missing or does not
 * fit any more is left as it is at a first start. */
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

static void put_recipe(const ui_app *a, rs_buf *out)
{
    const ui_file *f = ui_doc_file_of(&a->doc);
    const ui_shown *s = ui_doc_base(&a->doc);
    put_string(out, "path", f ? f->path : NULL);
    put_string(out, "folder", s->recipe ? s->recipe->folder : NULL);
    put_string(out, "saved", f ? f->saved : NULL);
    rs_buf_printf(out, ",\n\"version\":%d", f ? f->version : 0);
    put_string(out, "recipe", s->text);
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
    rs_buf_printf(out, ",\n\"detail\":%d,\n\"left\":%.0f", a->detail_layer, a->wall);
    put_recipe(a, out);
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
static int restore_file(ui_app *a, const rs_json *o)
{
    const char *path = get_string(o, "path"), *folder = get_string(o, "folder");
    const char *saved = get_string(o, "saved");
    int version = (int)get_int(o, "version", 0, 1000000, 0);
    rs_recipe *r = NULL;
    if (path && ui_file_read(path, &r, &version, NULL) == RS_OK) {
        char *text = ui_recipe_text(r);
        int file = ui_doc_add_file(&a->doc, path, r->folder, text, version);
        free(text);
        rs_recipe_free(r);
        return file;
    }
    return ui_doc_add_file(&a->doc, path, folder, saved, version);
}

static bool restore_recipe(ui_app *a, const rs_json *o)
{
    const char *text = get_string(o, "recipe"), *folder = get_string(o, "folder");
    rs_recipe *r = NULL;
    if (!text ||
        rs_recipe_parse(text, strlen(text), folder, "the session", &r, NULL) != RS_OK)
        return false;
    ui_doc_open(&a->doc, r, restore_file(a, o));
    ui_edit_opened(a);
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
        a->detail_layer =
            (int)get_int(root, "detail", 0, a->rows.n ? a->rows.n - 1 : 0, 0);
    }
    rs_json_free(root);
    return good;
}
