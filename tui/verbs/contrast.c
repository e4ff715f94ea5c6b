#include "tui/verbs/contrast.h"

#include "base/hash.h"
#include "base/os.h"
#include "store/partial.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { RUNS = 4, MAX_PROMPT = 1 << 20 };

static const char *const run_name[RUNS] = {"a-plus", "a-minus", "b-plus", "b-minus"};
static const char *const run_part[RUNS] = {"model, plus", "model, minus", "other, plus",
                                           "other, minus"};

typedef struct contrast {
    ui_common *c;
    const ui_contrast *q;
    ui_progress *show;
    char folder[4096];
    rs_buf prompt[2], work[RUNS]; /* work: what each run is made from */
    rs_checkpoint *file[RUNS];
} contrast;

static rs_status path_of(const contrast *k, int i, char out[4096], rs_err *err)
{
    int n = snprintf(out, 4096, "%s/%s.safetensors", k->folder, run_name[i]);
    if (n > 0 && n < 4096 - 16) return RS_OK;
    return rs_fail(err, RS_E_INVALID, "the path %.200s is too long", k->q->out);
}

/* --- what goes in --- */

static rs_status read_prompt(contrast *k, int i, rs_err *err)
{
    rs_buf *b = &k->prompt[i];
    RS_TRY(ui_read_text(k->q->prompt[i], MAX_PROMPT, b, err));
    while (b->len > 0 && strchr(" \t\r\n", b->data[b->len - 1]))
        b->data[--b->len] = 0;
    if (!memchr(rs_buf_str(b), 0, b->len)) return RS_OK;
    return rs_fail(err, RS_E_INVALID, "%s contains a zero byte", k->q->prompt[i]);
}

static void hash_of(const rs_buf *b, char hex[33])
{
    rs_hash_hex(rs_hash(rs_buf_str(b), b->len), hex);
}

/* Everything that run i depends on, so that a resumed one is of the same work. */
static rs_status describe(contrast *k, int i, rs_err *err)
{
    char model[33], data[33], prompt[33];
    const rs_make *m = k->q->make;
    RS_TRY(ui_identity(k->c, k->q->model[i / 2], UI_ID_TEXT, k->show, model, err));
    RS_TRY(ui_file_identity(k->q->data, data, err));
    hash_of(&k->prompt[i % 2], prompt);
    rs_buf_printf(
        &k->work[i],
        "contrast model %s data %s prompt %s kind %s labels %s tensors %s dtype %s "
        "chat %s length %" PRId64 " sequences %" PRId64 " seed %" PRId64 " per_token %d",
        model, data, prompt, m->kind, m->labels, m->tensors ? m->tensors : "-", m->dtype,
        m->chat_template ? m->chat_template : "-", m->length, m->sequences, m->seed,
        m->per_token);
    if (!k->work[i].failed) return RS_OK;
    return rs_fail(err, RS_E_NOMEM, "no memory for a contrast");
}

static rs_status prepare(contrast *k, rs_err *err)
{
    const ui_contrast *q = k->q;
    if (!q->force && rs_os_kind(q->out) != RS_PATH_NONE)
        return rs_fail(err, RS_E_EXISTS, "%s exists; --force replaces it", q->out);
    RS_TRY(read_prompt(k, 0, err));
    RS_TRY(read_prompt(k, 1, err));
    if (strcmp(rs_buf_str(&k->prompt[0]), rs_buf_str(&k->prompt[1])) == 0)
        return rs_fail(err, RS_E_INVALID, "%s and %s say the same: there is no contrast",
                       q->prompt[0], q->prompt[1]);
    for (int i = 0; i < RUNS; i++)
        RS_TRY(describe(k, i, err));
    return RS_OK;
}

/* --- the runs --- */

/* Opens run i if it is there whole. */
static rs_status find_run(contrast *k, int i, const char *path, rs_err *err)
{
    if (!k->q->resume || rs_os_kind(path) != RS_PATH_FILE) return RS_OK;
    RS_TRY(rs_checkpoint_open(path, &k->file[i], err));
    const char *work = rs_checkpoint_metadata(k->file[i], UI_MADE_FROM);
    if (work && strcmp(work, rs_buf_str(&k->work[i])) == 0) return RS_OK;
    return rs_fail(err, RS_E_MISMATCH,
                   "%s is of other work (another model, text, prompt or option): without "
                   "--resume it begins again",
                   path);
}

static rs_status make_run(contrast *k, int i, rs_err *err)
{
    char path[4096];
    RS_TRY(path_of(k, i, path, err));
    RS_TRY(find_run(k, i, path, err));
    if (k->file[i]) return RS_OK;
    const char *data = k->q->data;
    ui_product p = {.model = {k->q->model[i / 2]},
                    .data = &data,
                    .instead = rs_buf_str(&k->prompt[i % 2]),
                    .out = path,
                    .made_from = rs_buf_str(&k->work[i]),
                    .resume = k->q->resume,
                    .checkpoint = k->q->checkpoint};
    k->show->common->part = run_part[i];
    rs_status s = ui_fisher_make(k->c, k->q->make, &p, k->show, err);
    k->show->common->part = NULL;
    return s == RS_OK ? rs_checkpoint_open(path, &k->file[i], err) : s;
}

/* Both prompts must have left the same answers to count, whatever --length cut away. */
static rs_status same_answers(const contrast *k, int plus, rs_err *err)
{
    const char *a = rs_checkpoint_metadata(k->file[plus], "tokens");
    const char *b = rs_checkpoint_metadata(k->file[plus + 1], "tokens");
    if (a && b && strcmp(a, b) == 0) return RS_OK;
    return rs_fail(err, RS_E_MISMATCH,
                   "%s tokens of answers count with %s and %s with %s: --length %" PRId64
                   " cuts answers away",
                   a ? a : "no", k->q->prompt[0], b ? b : "no", k->q->prompt[1],
                   k->q->make->length);
}

static rs_status make_mask(contrast *k, rs_contrast_result *r, rs_err *err)
{
    char prompt[2][33];
    const rs_checkpoint *file[RUNS];
    for (int i = 0; i < RUNS; i++)
        file[i] = k->file[i];
    for (int i = 0; i < 2; i++)
        hash_of(&k->prompt[i], prompt[i]);
    rs_string_pair pairs[] = {
        {"kind", "contrast"},
        {"fisher", k->q->make->kind},
        {"labels", k->q->make->labels},
        {"model_hash", rs_checkpoint_metadata(file[0], "model_hash")},
        {"other_hash", rs_checkpoint_metadata(file[2], "model_hash")},
        {"plus_hash", prompt[0]},
        {"minus_hash", prompt[1]},
        {"data_hash", rs_checkpoint_metadata(file[0], "data_hash")},
        {"sequences", rs_checkpoint_metadata(file[0], "sequences")}};
    int n = sizeof pairs / sizeof *pairs;
    for (int i = 0; i < n; i++)
        if (!pairs[i].value) pairs[i].value = "";
    rs_contrast_options o = {.metadata = pairs,
                             .n_metadata = n,
                             .out = k->q->out,
                             .force = k->q->force,
                             .progress = ui_progress_step,
                             .progress_ctx = k->show};
    return rs_contrast_run(&k->c->rt, file, &o, r, err);
}

static rs_status make_all(contrast *k, rs_contrast_result *r, rs_err *err)
{
    for (int i = 0; i < RUNS; i++) {
        RS_TRY(make_run(k, i, err));
        if (i % 2) RS_TRY(same_answers(k, i - 1, err));
    }
    return make_mask(k, r, err);
}

/* Did a run leave something to go on from? */
static bool is_resumable(const contrast *k)
{
    char path[4096], partial[4112];
    for (int i = 0; i < RUNS; i++) {
        if (path_of(k, i, path, NULL) != RS_OK) return false;
        snprintf(partial, sizeof partial, "%s.partial", path);
        if (rs_os_kind(path) != RS_PATH_NONE || rs_os_kind(partial) != RS_PATH_NONE)
            return true;
    }
    return false;
}

static rs_status in_folder(contrast *k, rs_contrast_result *r, rs_err *err)
{
    int lock = -1;
    int n = snprintf(k->folder, sizeof k->folder, "%s.runs", k->q->out);
    if (n < 0 || (size_t)n >= sizeof k->folder - 64)
        return rs_fail(err, RS_E_INVALID, "the path %.200s is too long", k->q->out);
    rs_status s =
        (k->q->resume ? rs_partial_keep : rs_partial_take)(k->folder, &lock, err);
    bool ours = s == RS_OK;
    if (s == RS_OK) s = make_all(k, r, err);
    for (int i = 0; i < RUNS; i++)
        rs_checkpoint_close(k->file[i]);
    if (ours && (s == RS_OK || !is_resumable(k))) rs_partial_remove(k->folder);
    rs_os_close(lock);
    return s;
}

rs_status ui_contrast_make(ui_common *c, const ui_contrast *q, ui_progress *show,
                           rs_contrast_result *r, rs_err *err)
{
    contrast k = {.c = c, .q = q, .show = show};
    rs_status s = prepare(&k, err);
    if (s == RS_OK) s = in_folder(&k, r, err);
    for (int i = 0; i < 2; i++)
        rs_buf_free(&k.prompt[i]);
    for (int i = 0; i < RUNS; i++)
        rs_buf_free(&k.work[i]);
    return s;
}
