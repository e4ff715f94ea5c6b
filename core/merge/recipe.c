#include "merge/recipe_internal.h"

#include "base/os.h"
#include "store/checkpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- names of things --- */

const char *const rs_method_names[] = {
    "task_arithmetic",
    "slerp", /* built; the rest is refused by plan, not by the parser */
    "linear",
    "passthrough",
    "nuslerp",
    "multislerp",
    "karcher",
    "ties",
    "dare_linear",
    "dare_ties",
    "della",
    "della_linear",
    "breadcrumbs",
    "breadcrumbs_ties",
    "sce",
    "model_stock",
    "nearswap",
    "arcee_fusion",
    "ram",
    "ramplus_tl",
    "fisher",
    "regmean",
    "contrastive",
};
const int rs_n_method_names = sizeof rs_method_names / sizeof *rs_method_names;

rs_method rs_method_of(const char *name)
{
    if (strcmp(name, "task_arithmetic") == 0) return RS_METHOD_TASK_ARITHMETIC;
    if (strcmp(name, "slerp") == 0) return RS_METHOD_SLERP;
    return RS_METHOD_LATER;
}

static const char *const dampen_names[] = {
    [RS_DAMPEN_NONE] = "none",           [RS_DAMPEN_EWC] = "ewc",
    [RS_DAMPEN_ONE_MINUS] = "one_minus", [RS_DAMPEN_TASK] = "task",
    [RS_DAMPEN_HARD] = "hard",
};

static const char *const normaliser_names[] = {
    [RS_NORM_MEAN] = "mean", [RS_NORM_MAX] = "max",   [RS_NORM_LOG] = "log",
    [RS_NORM_RANK] = "rank", [RS_NORM_NONE] = "none", [RS_NORM_P90] = "p90",
    [RS_NORM_P95] = "p95",   [RS_NORM_P99] = "p99",   [RS_NORM_P999] = "p999",
};

static int index_of(const char *name, const char *const *names, int n)
{
    for (int i = 0; i < n; i++)
        if (strcmp(name, names[i]) == 0) return i;
    return -1;
}

const char *rs_dampen_name(rs_dampen_kind k)
{
    return (unsigned)k < 5 ? dampen_names[k] : "unknown";
}

const char *rs_normaliser_name(rs_normaliser n)
{
    return (unsigned)n < 9 ? normaliser_names[n] : "unknown";
}

static const char *const side_names[] = {"out", "in", "both", "block"};

const char *rs_mask_side_name(rs_mask_side s)
{
    return (unsigned)s < 4 ? side_names[s] : "unknown";
}

bool rs_mask_side_from_name(const char *name, rs_mask_side *out)
{
    int i = index_of(name, side_names, 4);
    return i >= 0 ? (*out = (rs_mask_side)i, true) : false;
}

bool rs_dampen_from_name(const char *name, rs_dampen_kind *out)
{
    int i = index_of(name, dampen_names, 5);
    return i >= 0 ? (*out = (rs_dampen_kind)i, true) : false;
}

bool rs_normaliser_from_name(const char *name, rs_normaliser *out)
{
    int i = index_of(name, normaliser_names, 9);
    return i >= 0 ? (*out = (rs_normaliser)i, true) : false;
}

rs_normaliser rs_normaliser_default(rs_dampen_kind k)
{
    if (k == RS_DAMPEN_ONE_MINUS || k == RS_DAMPEN_HARD) return RS_NORM_P99;
    return k == RS_DAMPEN_EWC ? RS_NORM_MEAN : RS_NORM_NONE;
}

/* --- looking up --- */

const rs_model_entry *rs_recipe_model(const rs_recipe *r, const char *name)
{
    for (int i = 0; name && i < r->n_models; i++)
        if (strcmp(r->models[i].name, name) == 0) return &r->models[i];
    return NULL;
}

const rs_measure_entry *rs_recipe_measure(const rs_recipe *r, const char *name)
{
    for (int i = 0; name && i < r->n_measures; i++)
        if (strcmp(r->measures[i].name, name) == 0) return &r->measures[i];
    return NULL;
}

rs_stage *rs_recipe_stage(const rs_recipe *r, const char *name)
{
    for (int i = 0; name && i < r->n_stages; i++)
        if (strcmp(r->stages[i].name, name) == 0) return &r->stages[i];
    return NULL;
}

typedef struct search {
    const rs_recipe *r;
    bool seen[RS_RECIPE_ENTRIES]; /* or shared stages would be walked again and again */
    rs_stage *after;              /* the stage that uses the one found */
} search;

/* Nearest to the output first: the stage itself, then its inputs in order, each with what
 * lies behind it. Stages only refer to earlier ones, so this ends. */
static rs_stage *find_fuel(search *f, rs_stage *s)
{
    if (!s || s->method == RS_METHOD_TASK_ARITHMETIC) return s;
    int at = (int)(s - f->r->stages);
    if (at >= RS_RECIPE_ENTRIES || f->seen[at]) return NULL;
    f->seen[at] = true;
    for (int i = 0; i < s->n_inputs; i++) {
        rs_stage *in = rs_recipe_stage(f->r, s->inputs[i].from);
        if (in && in->method == RS_METHOD_TASK_ARITHMETIC) return f->after = s, in;
    }
    for (int i = 0; i < s->n_inputs; i++) {
        rs_stage *found = find_fuel(f, rs_recipe_stage(f->r, s->inputs[i].from));
        if (found) return found;
    }
    return NULL;
}

rs_stage *rs_recipe_fuel(const rs_recipe *r)
{
    return rs_recipe_fuel_of(r, rs_recipe_stage(r, r->output_stage), NULL);
}

rs_stage *rs_recipe_heal(const rs_recipe *r)
{
    rs_stage *after = NULL;
    rs_recipe_fuel_of(r, rs_recipe_stage(r, r->output_stage), &after);
    return after;
}

rs_stage *rs_recipe_fuel_of(const rs_recipe *r, rs_stage *out, rs_stage **heal)
{
    search f = {.r = r};
    rs_stage *fuel = find_fuel(&f, out);
    if (!fuel) f.after = out;
    if (heal) *heal = f.after && f.after->method == RS_METHOD_SLERP ? f.after : NULL;
    return fuel;
}

/* --- editing --- */

const char *rs_recipe_str(rs_recipe *r, const char *s)
{
    return rs_arena_strdup(&r->arena, s);
}

bool rs_pairs_set(rs_recipe *r, rs_pairs *p, const char *key, double value,
                  double neutral)
{
    int i = 0;
    while (i < p->n && strcmp(p->at[i].key, key) != 0)
        i++;
    if (value == neutral) {
        if (i == p->n) return true;
        memmove(&p->at[i], &p->at[i + 1], (size_t)(p->n - i - 1) * sizeof *p->at);
        p->n--;
        return true;
    }
    if (i < p->n) return p->at[i].value = value, true;
    rs_pair *grown = rs_arena_array(&r->arena, (size_t)p->n + 1, sizeof *grown);
    const char *copy = rs_recipe_str(r, key);
    if (!grown || !copy) return false;
    if (p->n) memcpy(grown, p->at, (size_t)p->n * sizeof *grown);
    grown[p->n++] = (rs_pair){copy, value};
    p->at = grown;
    return true;
}

bool rs_names_has(const rs_names *n, const char *name)
{
    for (int i = 0; i < n->n; i++)
        if (strcmp(n->at[i], name) == 0) return true;
    return false;
}

bool rs_names_add(rs_recipe *r, rs_names *n, const char *name)
{
    if (rs_names_has(n, name)) return true;
    const char *copy = rs_recipe_str(r, name);
    if (n->n >= n->cap) {
        int cap = n->n < 8 ? 8 : 2 * n->n;
        const char **grown = rs_arena_array(&r->arena, (size_t)cap, sizeof *grown);
        if (!grown) return false;
        if (n->n) memcpy(grown, n->at, (size_t)n->n * sizeof *grown);
        n->at = grown;
        n->cap = cap;
    }
    if (copy) n->at[n->n++] = copy;
    return copy != NULL;
}

/* --- whole recipes --- */

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

/* What people pass where a recipe is wanted. */
static rs_status refuse_model(const char *path, rs_err *err)
{
    char inside[4096];
    rs_path_kind kind = rs_os_kind(path);
    if (kind == RS_PATH_FILE && ends_with(path, ".safetensors"))
        return rs_fail(err, RS_E_INVALID, "%.300s is a model file, not a recipe", path);
    if (kind != RS_PATH_FOLDER ||
        !rs_path_join(inside, sizeof inside, path, "ringside.json") ||
        rs_os_kind(inside) == RS_PATH_FILE)
        return RS_OK;
    return rs_fail(err, RS_E_NOT_FOUND,
                   "%.300s is a folder without a ringside.json, so it holds no recipe",
                   path);
}

/* The recipe that a GGUF made by a merge holds; its paths as seen from the file's folder. */
static rs_status load_gguf(const char *path, rs_recipe **out, rs_err *err)
{
    char folder[4096];
    rs_checkpoint *c;
    RS_TRY(rs_checkpoint_open(path, &c, err));
    const char *text = rs_checkpoint_metadata(c, "ringside.recipe");
    rs_status s;
    if (!text)
        s = rs_fail(err, RS_E_INVALID, "%.300s is a model file, not a recipe", path);
    else if (!rs_path_dirname(folder, sizeof folder, path))
        s = rs_fail(err, RS_E_INVALID, "the path %.200s... is too long", path);
    else
        s = rs_recipe_parse(text, strlen(text), folder, path, out, err);
    rs_checkpoint_close(c);
    return s;
}

rs_status rs_recipe_load(const char *path, rs_recipe **out, rs_err *err)
{
    *out = NULL;
    char file[4096], folder[4096];
    RS_TRY(refuse_model(path, err));
    if (rs_os_kind(path) == RS_PATH_FILE && ends_with(path, ".gguf"))
        return load_gguf(path, out, err);
    bool fits = rs_os_kind(path) == RS_PATH_FOLDER
                    ? rs_path_join(file, sizeof file, path, "ringside.json")
                    : snprintf(file, sizeof file, "%s", path) < (int)sizeof file;
    if (!fits || !rs_path_dirname(folder, sizeof folder, file))
        return rs_fail(err, RS_E_INVALID, "the path %.200s... is too long", path);
    rs_buf text = {0};
    rs_status s = rs_os_read_file(file, RS_RECIPE_BYTES, &text, err);
    if (s == RS_OK)
        s = rs_recipe_parse(rs_buf_str(&text), text.len, folder, file, out, err);
    rs_buf_free(&text);
    return s;
}

rs_status rs_recipe_clone(const rs_recipe *r, rs_recipe **out, rs_err *err)
{
    *out = NULL;
    rs_buf text = {0};
    rs_recipe_text(r, NULL, &text);
    rs_status s = text.failed ? rs_fail(err, RS_E_NOMEM, "no memory to copy a recipe")
                              : rs_recipe_parse(rs_buf_str(&text), text.len, r->folder,
                                                r->name ? r->name : "recipe", out, err);
    rs_buf_free(&text);
    return s;
}

void rs_recipe_free(rs_recipe *r)
{
    if (!r) return;
    rs_arena_free(&r->arena);
    free(r);
}

bool rs_recipe_equal(const rs_recipe *a, const rs_recipe *b)
{
    rs_buf x = {0}, y = {0};
    rs_recipe_text(a, NULL, &x);
    rs_recipe_text(b, NULL, &y);
    bool same = !x.failed && !y.failed && x.len == y.len &&
                memcmp(rs_buf_str(&x), rs_buf_str(&y), x.len) == 0;
    rs_buf_free(&x);
    rs_buf_free(&y);
    return same;
}
