/* What stands beside the weights, out of a GGUF's keys. */
#include "base/json.h"
#include "model/import.h"
#include "model/tokenizer_write.h"
#include "store/gguf.h"

#include <inttypes.h>
#include <string.h>

typedef rs_status (*text_fn)(const rs_checkpoint *c, rs_buf *out, rs_err *err);

static rs_status put_file(rs_writer *w, const char *name, const rs_checkpoint *c,
                          text_fn text, rs_err *err)
{
    rs_buf b = {0};
    rs_status s = text(c, &b, err);
    if (s == RS_OK && b.failed) s = rs_fail(err, RS_E_NOMEM, "no memory for %s", name);
    if (s == RS_OK) s = rs_writer_file(w, name, b.data, b.len, err);
    rs_buf_free(&b);
    return s;
}

static rs_status put_config(rs_writer *w, const rs_checkpoint *c, rs_dtype dtype,
                            rs_err *err)
{
    rs_buf b = {0};
    rs_status s = rs_gguf_config_for(rs_checkpoint_gguf(c), dtype, &b, err);
    if (s != RS_OK) s = rs_err_prefix(err, "%s", rs_checkpoint_path(c));
    if (s == RS_OK) s = rs_writer_file(w, "config.json", b.data, b.len, err);
    rs_buf_free(&b);
    return s;
}

static void put_id(rs_buf *out, const rs_json *v)
{
    rs_buf_printf(out, "%.0f", rs_json_number(v));
}

/* The ids stand in config.json too, with both tokens that end a text. */
static void put_ids(const rs_json *config, rs_buf *out)
{
    static const char *const keys[] = {"bos_token_id", "eos_token_id", "pad_token_id"};
    rs_buf_puts(out, "{");
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const rs_json *v = rs_json_get(config, keys[i]);
        if (rs_json_is_null(v)) continue;
        rs_buf_printf(out, "%s\n  \"%s\": ", out->len > 1 ? "," : "", keys[i]);
        if (!rs_json_is_array(v)) {
            put_id(out, v);
            continue;
        }
        rs_buf_putc(out, '[');
        for (const rs_json *e = rs_json_first(v); e; e = rs_json_next(e)) {
            if (e != rs_json_first(v)) rs_buf_puts(out, ", ");
            put_id(out, e);
        }
        rs_buf_putc(out, ']');
    }
    rs_buf_puts(out, "\n}\n");
}

static rs_status generation_config(const rs_checkpoint *c, rs_buf *out, rs_err *err)
{
    rs_buf text = {0};
    rs_json *config = NULL;
    rs_status s = rs_gguf_config_json(rs_checkpoint_gguf(c), &text, err);
    if (s == RS_OK)
        s = rs_json_parse(rs_buf_str(&text), text.len, "config.json", &config, err);
    if (s == RS_OK) put_ids(config, out);
    rs_json_free(config);
    rs_buf_free(&text);
    return s;
}

rs_status rs_import_companions(const rs_checkpoint *c, rs_dtype dtype, rs_writer *w,
                               rs_err *err)
{
    RS_TRY(put_config(w, c, dtype, err));
    RS_TRY(put_file(w, "generation_config.json", c, generation_config, err));
    if (!rs_gguf_get(rs_checkpoint_gguf(c), "tokenizer.ggml.tokens")) return RS_OK;
    RS_TRY(put_file(w, "tokenizer_config.json", c, rs_tokenizer_write_config, err));
    return put_file(w, "tokenizer.json", c, rs_tokenizer_write_json, err);
}
