#include "model/generate_text.h"

#include "base/utf8.h"
#include "model/byte_level.h"

#include <stdlib.h>
#include <string.h>

rs_status rs_text_flow_init(rs_text_flow *f, const char *const *stop, int n_stop,
                            rs_err *err)
{
    *f = (rs_text_flow){0};
    for (int i = 0; i < n_stop; i++)
        if (stop[i][0] == 0) return rs_fail(err, RS_E_INVALID, "a stop string is empty");
    f->stop = calloc((size_t)n_stop + 1, sizeof *f->stop);
    if (!f->stop) return rs_fail(err, RS_E_NOMEM, "no memory for stop strings");
    for (int i = 0; i < n_stop; i++) {
        size_t n = strlen(stop[i]) + 1;
        f->stop[i] = malloc(n);
        if (!f->stop[i]) return rs_fail(err, RS_E_NOMEM, "no memory for stop strings");
        memcpy(f->stop[i], stop[i], n);
        f->n_stop++;
    }
    return RS_OK;
}

void rs_text_flow_free(rs_text_flow *f)
{
    rs_buf_free(&f->text);
    rs_buf_free(&f->run);
    for (int i = 0; i < f->n_stop; i++)
        free(f->stop[i]);
    free(f->stop);
    *f = (rs_text_flow){0};
}

/* The run of bytes has ended: text if it is UTF-8, else U+FFFD for each. */
static void end_run(rs_text_flow *f)
{
    if (f->byte_level)
        rs_byte_level_text(rs_buf_str(&f->run), f->run.len, &f->text);
    else if (rs_utf8_valid(rs_buf_str(&f->run), f->run.len))
        rs_buf_add(&f->text, rs_buf_str(&f->run), f->run.len);
    else
        for (size_t i = 0; i < f->run.len; i++)
            rs_buf_puts(&f->text, "\xef\xbf\xbd");
    rs_buf_reset(&f->run);
}

/* Pieces of bytes: whole characters are text, what may still become one waits. */
static void take_bytes(rs_text_flow *f, const rs_tokenizer *t, int32_t id)
{
    rs_token_bytes(t, id, true, &f->run);
    size_t tail = rs_utf8_incomplete_tail(rs_buf_str(&f->run), f->run.len);
    char rest[4];
    memcpy(rest, rs_buf_str(&f->run) + f->run.len - tail, tail);
    rs_byte_level_text(rs_buf_str(&f->run), f->run.len - tail, &f->text);
    rs_buf_reset(&f->run);
    rs_buf_add(&f->run, rest, tail);
}

/* Where the first complete stop string begins in what is not shown yet. */
static bool find_stop(const rs_text_flow *f, size_t *at)
{
    const char *from = rs_buf_str(&f->text) + f->shown;
    size_t n = f->text.len - f->shown;
    bool found = false;
    for (int s = 0; s < f->n_stop; s++) {
        size_t len = strlen(f->stop[s]);
        for (size_t i = 0; i + len <= n && !(found && i >= *at); i++)
            if (memcmp(from + i, f->stop[s], len) == 0) {
                *at = i;
                found = true;
            }
    }
    if (found) *at += f->shown;
    return found;
}

/* How many bytes at the end could be the beginning of a stop string. */
static size_t held_back(const rs_text_flow *f)
{
    size_t n = f->text.len - f->shown, most = 0;
    const char *end = rs_buf_str(&f->text) + f->text.len;
    for (int s = 0; s < f->n_stop; s++)
        for (size_t len = strlen(f->stop[s]) - 1; len > most; len--)
            if (len <= n && memcmp(end - len, f->stop[s], len) == 0) most = len;
    return most;
}

static bool settle(rs_text_flow *f, bool ends)
{
    size_t stop_at = 0;
    if (find_stop(f, &stop_at)) {
        f->text.len = f->shown = stop_at;
        f->text.data[stop_at] = 0;
        rs_buf_reset(&f->run);
        return true;
    }
    f->shown = f->text.len - (ends ? 0 : held_back(f));
    return false;
}

bool rs_text_flow_add(rs_text_flow *f, const rs_tokenizer *t, int32_t id)
{
    int byte = rs_tokenizer_byte(t, id);
    f->byte_level = rs_tokenizer_is_byte_level(t);
    if (f->byte_level) {
        take_bytes(f, t, id);
    } else if (byte >= 0) {
        rs_buf_putc(&f->run, (char)byte);
        if (rs_utf8_valid(rs_buf_str(&f->run), f->run.len)) end_run(f);
    } else {
        end_run(f);
        rs_token_bytes(t, id, true, &f->text);
    }
    return settle(f, false);
}

bool rs_text_flow_end(rs_text_flow *f)
{
    end_run(f);
    return settle(f, true);
}
