/* tokens.h - what the tokenizer tests share: the fixture's cases, and Gemma 3's published
 * tokenizer unpacked into a folder of its own (its files lie packed beside the project). */
#ifndef TOKENS_H
#define TOKENS_H

#include "base/json_pull.h"
#include "model/tokenizer.h"
#include "tests/t.h"

typedef struct token_case {
    rs_buf text, decoded, decoded_skip;
    bool has_skip;
    rs_ids ids, ids_special;
} token_case;

static __attribute__((unused)) void token_case_free(token_case *c)
{
    rs_buf_free(&c->text);
    rs_buf_free(&c->decoded);
    rs_buf_free(&c->decoded_skip);
    rs_ids_free(&c->ids);
    rs_ids_free(&c->ids_special);
    *c = (token_case){0};
}

static __attribute__((unused)) bool token_read_ids(rs_pull *p, rs_ids *ids)
{
    rs_pull_event e;
    if (rs_pull_need(p, RS_PULL_ARRAY, &e, &t_err) != RS_OK) return false;
    for (;;) {
        int64_t id;
        if (rs_pull_next(p, &e, &t_err) != RS_OK) return false;
        if (e.kind == RS_PULL_ARRAY_END) return true;
        if (rs_pull_int(p, &e, 0, INT32_MAX, "an id", &id, &t_err) != RS_OK) return false;
        if (!rs_ids_add(ids, (int32_t)id)) return false;
    }
}

static __attribute__((unused)) bool token_read_text(rs_pull *p, rs_buf *out)
{
    rs_pull_event e;
    if (rs_pull_need(p, RS_PULL_STRING, &e, &t_err) != RS_OK) return false;
    rs_buf_add(out, e.text, e.n);
    return true;
}

/* After the { of a case: reads it to its }. */
static __attribute__((unused)) bool token_read_case(rs_pull *p, token_case *c)
{
    token_case_free(c);
    for (;;) {
        rs_pull_event e;
        if (rs_pull_next(p, &e, &t_err) != RS_OK) return false;
        if (e.kind == RS_PULL_OBJECT_END) return true;
        bool ok;
        if (rs_pull_is(&e, "text"))
            ok = token_read_text(p, &c->text);
        else if (rs_pull_is(&e, "decoded"))
            ok = token_read_text(p, &c->decoded);
        else if (rs_pull_is(&e, "decoded_skip_special"))
            ok = c->has_skip = token_read_text(p, &c->decoded_skip);
        else if (rs_pull_is(&e, "ids"))
            ok = token_read_ids(p, &c->ids);
        else if (rs_pull_is(&e, "ids_special"))
            ok = token_read_ids(p, &c->ids_special);
        else
            ok = rs_pull_next(p, &e, &t_err) == RS_OK &&
                 rs_pull_skip(p, &e, &t_err) == RS_OK;
        if (!ok) return false;
    }
}

/* Goes to the first case of a fixture file. */
static __attribute__((unused)) bool token_open_cases(const char *path, rs_pull **p)
{
    rs_pull_event e;
    if (rs_pull_open(path, 1 << 24, p, &t_err) != RS_OK) return false;
    if (rs_pull_need(*p, RS_PULL_OBJECT, &e, &t_err) != RS_OK) return false;
    for (;;) {
        if (rs_pull_need(*p, RS_PULL_KEY, &e, &t_err) != RS_OK) return false;
        bool found = rs_pull_is(&e, "cases");
        if (rs_pull_next(*p, &e, &t_err) != RS_OK) return false;
        if (found) return e.kind == RS_PULL_ARRAY;
        if (rs_pull_skip(*p, &e, &t_err) != RS_OK) return false;
    }
}

/* One more case; false at the end or after an error (then p has failed). */
static __attribute__((unused)) bool token_next_case(rs_pull *p, token_case *c)
{
    rs_pull_event e;
    return rs_pull_next(p, &e, &t_err) == RS_OK && e.kind == RS_PULL_OBJECT &&
           token_read_case(p, c);
}

/* The folder of a published tokenizer, unpacked; NULL if it is not there. */
static __attribute__((unused)) const char *token_published(const char *name)
{
    static char folder[64];
    char below[128], command[2600];
    snprintf(below, sizeof below, "data/tokenizers/%s/tokenizer.json.xz", name);
    const char *packed = t_shared(below);
    if (!packed) return NULL;
    snprintf(folder, sizeof folder, "%s", t_folder());
    snprintf(
        command, sizeof command,
        "xz -dc '%s' > %s/tokenizer.json && cd '%.*s' && xz -dc tokenizer_config.json.xz "
        "> %s/tokenizer_config.json",
        packed, folder, (int)(strrchr(packed, '/') - packed), packed, folder);
    return system(command) == 0 ? folder : NULL;
}

static __attribute__((unused)) void token_remove(const char *folder)
{
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", folder);
    if (system(command) != 0) printf("could not remove %s\n", folder);
}

#endif
