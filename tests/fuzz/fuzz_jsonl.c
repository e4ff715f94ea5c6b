/* Fuzz target: lines of JSON of any content, without a tokenizer (so ids and errors only) and
 * through the streaming reader alone. */
#include "base/json_pull.h"
#include "model/jsonl.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Copies every value as JSON; a copy must be readable again. */
static void copy_values(const char *text, size_t n)
{
    rs_pull *p, *again;
    rs_pull_event e;
    rs_err err;
    rs_buf out = {0};
    if (rs_pull_memory(text, n, "text", &p, &err) != RS_OK) return;
    if (rs_pull_next(p, &e, &err) == RS_OK && e.kind != RS_PULL_END &&
        rs_pull_copy(p, &e, 1 << 20, &out, &err) == RS_OK &&
        rs_pull_memory(out.data, out.len, "copy", &again, &err) == RS_OK) {
        if (rs_pull_next(again, &e, &err) != RS_OK) abort();
        if (rs_pull_skip(again, &e, &err) != RS_OK) abort();
        if (rs_pull_need(again, RS_PULL_END, &e, &err) != RS_OK) abort();
        rs_pull_close(again);
    }
    rs_pull_close(p);
    rs_buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    rs_line_options o = {.chat = rs_chat_named(size % 2 ? "gemma3" : "gemma4")};
    rs_line line = {0};
    rs_err err;
    if (rs_line_parse(text, size, "line", &o, &line, &err) == RS_OK) {
        if ((int64_t)line.mask.len != line.ids.n) abort();
    } else if (!err.msg[0]) {
        abort();
    }
    rs_line_free(&line);
    copy_values(text, size);
    return 0;
}
