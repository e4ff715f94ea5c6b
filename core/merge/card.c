#include "merge/card.h"

#include "base/os.h"
#include "model/import.h"

#include <stdio.h>
#include <string.h>

enum { MAX_CARD_BYTES = 1 << 20, PATH_LIMIT = 4096 };

/* Files that go along with a model's weights, unchanged but for config.json. */
static const char *const companions[] = {
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
    "vocab.json",
    "merges.txt",
    "preprocessor_config.json",
    "processor_config.json",
};

static rs_status copy_companions(const rs_plan *p, rs_writer *w, const char *folder,
                                 rs_err *err)
{
    for (size_t i = 0; i < sizeof companions / sizeof *companions; i++) {
        char from[PATH_LIMIT];
        if (!rs_path_join(from, sizeof from, folder, companions[i]))
            return rs_fail(err, RS_E_INVALID, "the path of %s is too long", folder);
        if (rs_os_kind(from) != RS_PATH_FILE) continue;
        bool config = strcmp(companions[i], "config.json") == 0;
        RS_TRY(config ? rs_card_config(p, w, from, err)
                      : rs_writer_copy(w, companions[i], from, err));
    }
    return RS_OK;
}

/* A GGUF base brings no files: its keys say the same. */
static rs_status write_gguf_companions(const rs_plan *p, rs_writer *w,
                                       const rs_checkpoint *base, rs_err *err)
{
    rs_dtype d = rs_plan_recipe(p)->output_dtype;
    bool named = d == RS_DTYPE_F32 || d == RS_DTYPE_F16;
    return rs_import_companions(base, named ? d : RS_DTYPE_BF16, w, err);
}

static const rs_checkpoint *base_of(const rs_plan *p)
{
    for (int i = 0; i < rs_plan_n_sources(p); i++) {
        const rs_plan_source *s = rs_plan_source_at(p, i);
        if (strcmp(s->path, rs_plan_base_path(p)) == 0) return s->file;
    }
    return NULL;
}

/* The line "license: ..." of the base's own card, with its line end; "" without one. */
static void licence_of(const char *folder, rs_buf *out)
{
    char path[PATH_LIMIT];
    rs_buf card = {0};
    if (!rs_path_join(path, sizeof path, folder, "README.md")) return;
    if (rs_os_kind(path) == RS_PATH_FILE &&
        rs_os_read_file(path, MAX_CARD_BYTES, &card, NULL) == RS_OK && card.len > 3) {
        const char *end = strstr(card.data + 3, "\n---");
        const char *line = strstr(rs_buf_str(&card), "\nlicense:");
        const char *stop = line ? strchr(line + 1, '\n') : NULL;
        if (end && stop && line < end && strncmp(card.data, "---", 3) == 0)
            rs_buf_add(out, line + 1, (size_t)(stop - line));
    }
    rs_buf_free(&card);
}

/* A name for YAML: quoted as JSON, which YAML takes. */
static void put_name(rs_buf *b, const char *name)
{
    rs_buf_json(b, name, strlen(name));
}

static void put_front_matter(const rs_plan *p, rs_buf *b)
{
    rs_buf_puts(b, "---\nbase_model:\n");
    for (int i = 0; i < rs_plan_n_sources(p); i++) {
        const rs_plan_source *s = rs_plan_source_at(p, i);
        if (strcmp(s->kind, "fisher") == 0) continue;
        rs_buf_puts(b, "- ");
        put_name(b, rs_path_basename(s->path));
        rs_buf_putc(b, '\n');
    }
    rs_buf_puts(b, "tags:\n- merge\n- ringside\n");
    const rs_checkpoint *base = base_of(p);
    if (base && rs_checkpoint_layout(base) != RS_LAYOUT_GGUF)
        licence_of(rs_checkpoint_folder(base), b);
    rs_buf_puts(b, "---\n\n");
}

static rs_status put_sources(const rs_plan *p, rs_buf *b, rs_err *err)
{
    rs_buf_puts(b, "| name | what | use | identity |\n| --- | --- | --- | --- |\n");
    for (int i = 0; i < rs_plan_n_sources(p); i++) {
        const rs_plan_source *s = rs_plan_source_at(p, i);
        char hex[33] = "";
        if (s->file) RS_TRY(rs_checkpoint_identity(s->file, hex, err));
        rs_buf_printf(b, "| %s | %s | %s | %s |\n", s->name, s->kind,
                      s->use ? s->use : "", hex);
    }
    rs_buf_putc(b, '\n');
    return RS_OK;
}

static rs_status write_card(const rs_plan *p, rs_writer *w, const char *recipe,
                            rs_err *err)
{
    rs_buf b = {0};
    const rs_recipe *r = rs_plan_recipe(p);
    rs_plan_needs need = rs_plan_need(p);
    put_front_matter(p, &b);
    rs_buf_printf(
        &b,
        "# %s\n\nA merge made with ringside: %d of %d tensors changed, stored as %s.\n\n",
        r->name ? r->name : "merge", need.n_changed, need.n_tensors,
        rs_dtype_name(r->output_dtype));
    if (r->notes && *r->notes) rs_buf_printf(&b, "%s\n\n", r->notes);
    rs_buf_puts(&b, "## Sources\n\n");
    rs_status s = put_sources(p, &b, err);
    rs_buf_printf(&b, "## Recipe\n\n```json\n%s\n```\n", recipe);
    if (s == RS_OK && b.failed)
        s = rs_fail(err, RS_E_NOMEM, "no memory for the model card");
    if (s == RS_OK) s = rs_writer_file(w, "README.md", b.data, b.len, err);
    rs_buf_free(&b);
    return s;
}

rs_status rs_card_write(const rs_plan *p, rs_writer *w, const char *stated,
                        const char *for_folder, rs_err *err)
{
    const rs_checkpoint *base = base_of(p);
    if (!base) return rs_fail(err, RS_E_BUG, "the plan has no base among its sources");
    RS_TRY(rs_checkpoint_layout(base) == RS_LAYOUT_GGUF
               ? write_gguf_companions(p, w, base, err)
               : copy_companions(p, w, rs_checkpoint_folder(base), err));
    RS_TRY(rs_writer_file(w, "ringside.json", for_folder, strlen(for_folder), err));
    return write_card(p, w, stated, err);
}
