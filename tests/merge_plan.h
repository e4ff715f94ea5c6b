/* merge_plan.h - plans of recipes on the sparring models, for the tests of core/merge: stages
 * and models as macros, tensors by a part of their name. */
#ifndef TESTS_MERGE_PLAN_H
#define TESTS_MERGE_PLAN_H

#include "merge/plan.h"
#include "tests/files.h"
#include "tests/t.h"

#include <unistd.h>

static rs_runtime rt;
static char root[1024]; /* of the tree: recipes here have absolute paths */

UNUSED void start(const char *isa)
{
    rs_options o = {.threads = 3, .isa = isa};
    if (!getcwd(root, sizeof root) || rs_init(&o, &rt, &t_err) != RS_OK)
        printf("%s\n", t_err.msg);
    kept(rt.pool);
}

/* models and stages of a recipe; "@/" stands for the tree's root. */
UNUSED rs_status parse(const char *models, const char *measures, const char *stages,
                       const char *output, rs_recipe **r)
{
    char text[8192], *full = malloc(65536);
    size_t n = 0;
    snprintf(text, sizeof text,
             "{\"ringside\":1,\"models\":{%s},\"measures\":{%s},\"stages\":[%s],"
             "\"output\":{%s}}",
             models, measures, stages, output);
    for (const char *c = text; *c; c++) {
        if (c[0] == '@' && c[1] == '/')
            n += (size_t)sprintf(full + n, "%s", root);
        else
            full[n++] = *c;
    }
    rs_status s = rs_recipe_parse(full, n, ".", "test.json", r, &t_err);
    free(full);
    kept(*r);
    return s;
}

UNUSED rs_status build(rs_recipe *r, rs_plan **p)
{
    rs_status s = rs_plan_build(&rt, r, NULL, p, &t_err);
    kept(*p);
    return s;
}

#define IT                                                                               \
    "\"it\":{\"path\":\"@/recipes/sparring/it\"},\"pt\":{\"path\":\"@/recipes/sparring/" \
    "pt\"},"
#define LORA(name) "\"" name "\":{\"adapter\":\"@/recipes/sparring/lora/" name "\"}"
#define ALL                                                                              \
    IT LORA("gothic") "," LORA("comic") "," LORA(                                        \
        "folk") ",\"style\":{\"adapter\":\"@/recipes/sparring/lora/"                     \
                "sea\",\"on\":\"it\"},"                                                  \
                "\"away\":{\"adapter\":\"@/recipes/sparring/lora/sea\",\"on\":\"pt\"}"
#define FISHER                                                                           \
    "\"f\":{\"fisher\":\"@/tests/golden/demo/sparring/fisher/"                             \
    "it-instruct.safetensors\",\"scale\":\"per_token\"}"
#define TASK(more)                                                                       \
    "{\"name\":\"fuel\",\"method\":\"task_arithmetic\",\"base\":\"it\",\"inputs\":[{"    \
    "\"from\":"                                                                          \
    "\"gothic\"},{\"from\":\"comic\",\"weight\":0.5}],\"scale\":0.3" more "}"
#define HEAL(more)                                                                       \
    ",{\"name\":\"heal\",\"method\":\"slerp\",\"inputs\":[{\"from\":\"fuel\"},{"         \
    "\"from\":\"style\"}]" more "}"

UNUSED char *bytes_of(const rs_plan *p, int i)
{
    char *dst = malloc((size_t)rs_plan_at(p, i)->out_bytes + 1);
    if (rs_plan_produce_tensor(&rt, p, i, dst, &t_err) == RS_OK) return dst;
    printf("%s\n", t_err.msg);
    free(dst);
    return NULL;
}

UNUSED int index_of(const rs_plan *p, const char *part)
{
    for (int i = 0; i < rs_plan_count(p); i++)
        if (strstr(rs_plan_at(p, i)->name, part)) return i;
    return -1;
}

/* How many tensors two plans make differently; fingerprints must say the same. */
UNUSED int differing(const rs_plan *a, const rs_plan *b)
{
    int n = 0;
    for (int i = 0; i < rs_plan_count(a); i++) {
        char *x = bytes_of(a, i), *y = bytes_of(b, i);
        bool same = x && y && memcmp(x, y, (size_t)rs_plan_at(a, i)->out_bytes) == 0;
        bool equal = rs_plan_fingerprint(a, i) == rs_plan_fingerprint(b, i);
        if (equal && !same)
            printf("equal fingerprints, other bytes: %s\n", rs_plan_at(a, i)->name);
        if (equal && !same) n += 10000;
        n += !same;
        free(x);
        free(y);
    }
    return n;
}

UNUSED rs_plan *plan_of(const char *measures, const char *stages, const char *output,
                        rs_recipe **r)
{
    rs_plan *p = NULL;
    if (parse(ALL, measures, stages, output, r) != RS_OK || build(*r, &p) != RS_OK)
        printf("%s\n", t_err.msg);
    return p;
}

UNUSED bool has_warning(const rs_plan *p, const char *text)
{
    for (int i = 0; i < rs_plan_n_warnings(p); i++)
        if (strstr(rs_plan_warning(p, i), text)) return true;
    return false;
}

#endif
