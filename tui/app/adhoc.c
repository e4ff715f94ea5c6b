#include "tui/app/adhoc.h"

#include "base/buf.h"
#include "base/os.h"
#include "base/rng.h"
#include "merge/recipe.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* The file's name tells people the model and the program which of two equal names. */
static void name_of(const char *model, char out[64])
{
    size_t n = 0;
    for (const char *c = rs_path_basename(model); *c && n < 40; c++)
        out[n++] = isalnum((unsigned char)*c) || *c == '.' || *c == '_' ? *c : '-';
    if (n > 5 && memcmp(out + n - 5, ".gguf", 5) == 0) n -= 5;
    snprintf(out + n, 64 - n, "-%04x", (unsigned)(rs_rng_name(model) & 0xffff));
}

static void write_recipe(const char *name, const char *model, rs_buf *b)
{
    rs_buf_puts(b, "{\n  \"ringside\": 1,\n  \"name\": ");
    rs_buf_json(b, name, strlen(name));
    rs_buf_puts(b, ",\n  \"models\": {\n    \"base\": {\"path\": ");
    rs_buf_json(b, model, strlen(model));
    rs_buf_puts(b, "}\n  },\n  \"stages\": [\n    {\n      \"name\": \"fuel\",\n"
                   "      \"method\": \"task_arithmetic\",\n      \"base\": \"base\",\n"
                   "      \"inputs\": []\n    }\n  ],\n"
                   "  \"output\": {\"stage\": \"fuel\", \"dtype\": \"bfloat16\"}\n}\n");
}

static bool is_there(const rs_recipe *r, const char *path)
{
    char at[4096];
    return !path || (rs_path_join(at, sizeof at, r->folder, path) &&
                     rs_os_kind(at) != RS_PATH_NONE);
}

static bool sources_are_there(const rs_recipe *r)
{
    bool all = true;
    for (int i = 0; i < r->n_models; i++)
        all = all && is_there(r, r->models[i].path) && is_there(r, r->models[i].adapter);
    for (int i = 0; i < r->n_measures; i++)
        all = all && is_there(r, r->measures[i].path);
    return all;
}

bool ui_holds_recipe(const char *path)
{
    char inside[4096];
    size_t n = strlen(path);
    rs_recipe *r = NULL;
    if (n <= 5 || strcmp(path + n - 5, ".gguf") != 0)
        return rs_path_join(inside, sizeof inside, path, "ringside.json") &&
               rs_os_kind(inside) == RS_PATH_FILE;
    if (rs_recipe_load(path, &r, NULL) != RS_OK) return false;
    bool good = sources_are_there(r);
    rs_recipe_free(r);
    return good;
}

rs_status ui_adhoc_recipe(const char *model, const char *data, char out[4096],
                          rs_err *err)
{
    char name[64], file[80], folder[4096];
    name_of(model, name);
    snprintf(file, sizeof file, "%s.json", name);
    if (!rs_path_join(folder, sizeof folder, data, "adhoc") ||
        !rs_path_join(out, 4096, folder, file))
        return rs_fail(err, RS_E_INVALID, "the path of the data folder is too long");
    if (rs_os_kind(out) == RS_PATH_FILE) return RS_OK;
    RS_TRY(rs_os_mkdir(folder, err));
    rs_buf text = {0};
    write_recipe(name, model, &text);
    rs_status s = text.failed ? rs_fail(err, RS_E_NOMEM, "no memory for a recipe")
                              : rs_os_write_file(out, text.data, text.len, err);
    rs_buf_free(&text);
    return s;
}
