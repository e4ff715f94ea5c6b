/* Plans on small models: what is refused and how, what stays, what a rebuild keeps. */
#include "merge/measure.h"
#include "merge/plan.h"

#include "base/json.h"
#include "base/os.h"
#include "store/writer.h"
#include "tensor/convert.h"
#include "tests/t.h"

#include <unistd.h>

/* What a test leaves to the end of its process stays reachable, so that a leak checker sees
 * only leaks of the engine. */
static void *remains[4096];
static int n_remains;
static void keep(void *p)
{
    if (n_remains < 4096) remains[n_remains++] = p;
}

static rs_runtime rt;
static char root[1024]; /* of the tree: recipes here have absolute paths */

static void start(const char *isa)
{
    rs_options o = {.threads = 3, .isa = isa};
    if (!getcwd(root, sizeof root) || rs_init(&o, &rt, &t_err) != RS_OK)
        printf("%s\n", t_err.msg);
    keep(rt.pool);
}

/* models and stages of a recipe; "@/" stands for the tree's root. */
static rs_status parse(const char *models, const char *measures, const char *stages,
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
    keep(*r);
    return s;
}

static rs_status build(rs_recipe *r, rs_plan **p)
{
    rs_status s = rs_plan_build(&rt, r, NULL, p, &t_err);
    keep(*p);
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
    "\"f\":{\"fisher\":\"@/tests/golden/demo/sparring/fisher/"                                     \
    "it-instruct.safetensors\",\"scale\":\"per_token\"}"
#define TASK(more)                                                                       \
    "{\"name\":\"fuel\",\"method\":\"task_arithmetic\",\"base\":\"it\",\"inputs\":[{"    \
    "\"from\":"                                                                          \
    "\"gothic\"},{\"from\":\"comic\",\"weight\":0.5}],\"scale\":0.3" more "}"
#define HEAL(more)                                                                       \
    ",{\"name\":\"heal\",\"method\":\"slerp\",\"inputs\":[{\"from\":\"fuel\"},{"         \
    "\"from\":\"style\"}]" more "}"

static char *bytes_of(const rs_plan *p, int i)
{
    char *dst = malloc((size_t)rs_plan_at(p, i)->out_bytes + 1);
    if (rs_plan_produce_tensor(&rt, p, i, dst, &t_err) == RS_OK) return dst;
    printf("%s\n", t_err.msg);
    free(dst);
    return NULL;
}

static int index_of(const rs_plan *p, const char *part)
{
    for (int i = 0; i < rs_plan_count(p); i++)
        if (strstr(rs_plan_at(p, i)->name, part)) return i;
    return -1;
}

/* How many tensors two plans make differently; fingerprints must say the same. */
static int differing(const rs_plan *a, const rs_plan *b)
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

static rs_plan *plan_of(const char *measures, const char *stages, const char *output,
                        rs_recipe **r)
{
    rs_plan *p = NULL;
    if (parse(ALL, measures, stages, output, r) != RS_OK || build(*r, &p) != RS_OK)
        printf("%s\n", t_err.msg);
    return p;
}

static void what_changes(void)
{
    rs_recipe *r;
    start(NULL);
    rs_plan *p = plan_of(
        FISHER, TASK(",\"dampen\":{\"by\":\"f\"},\"gain\":{\"mute\":[\"3\"]}"), "", &r);
    T_TRUE(p != NULL);
    rs_plan_needs n = rs_plan_need(p);
    T_EQ(n.n_tensors, 135);
    T_EQ(n.n_changed, 45);
    T_EQ(n.n_copied, 90);
    const rs_plan_tensor *t = rs_plan_at(p, index_of(p, "layers.3.mlp.up_proj"));
    T_TRUE(t->has_delta && !t->changes && t->gain == 0 && t->n_deltas == 2);
    t = rs_plan_at(p, index_of(p, "layers.4.mlp.up_proj"));
    T_TRUE(t->has_delta && t->changes && t->gain == 1 && isnan(t->t));
    T_EQ(rs_plan_n_sources(p), 4);
    T_STR(rs_plan_source_at(p, 0)->use, "base");
    T_EQ(rs_plan_source_at(p, 1)->n_matched, 52);
    rs_plan_free(p);
    rs_recipe_free(r);
}

/* Merging a model with itself, weights of nothing, gains of nothing: the base, byte for byte. */
static void nothing_is_nothing(void)
{
    static const char *const stages[] = {
        "{\"name\":\"s\",\"method\":\"slerp\",\"t\":0.4,\"inputs\":[{\"from\":\"it\"},{"
        "\"from\":\"it\"}]}",
        "{\"name\":\"s\",\"method\":\"task_arithmetic\",\"base\":\"it\",\"inputs\":[{"
        "\"from\":\"it\"}]}",
        "{\"name\":\"s\",\"method\":\"task_arithmetic\",\"base\":\"it\",\"inputs\":[{"
        "\"from\":\"gothic\","
        "\"weight\":0}]}",
        "{\"name\":\"s\",\"method\":\"task_arithmetic\",\"base\":\"it\",\"inputs\":[{"
        "\"from\":\"gothic\"}],"
        "\"scale\":0}",
        "{\"name\":\"s\",\"method\":\"task_arithmetic\",\"base\":\"it\",\"inputs\":[{"
        "\"from\":\"gothic\"}],"
        "\"gain\":{\"master\":0}}",
        "{\"name\":\"s\",\"method\":\"slerp\",\"t\":0,\"inputs\":[{\"from\":\"it\"},{"
        "\"from\":\"away\"}]}",
    };
    rs_recipe *r, *r0;
    rs_checkpoint *it;
    start(NULL);
    T_OK(rs_checkpoint_open("recipes/sparring/it", &it, &t_err));
    keep(it);
    rs_plan *first = plan_of("", stages[0], "", &r0);
    T_TRUE(first != NULL);
    for (int k = 0; k < 6; k++) {
        rs_plan *p = plan_of("", stages[k], "", &r);
        T_TRUE(p != NULL);
        T_EQ(rs_plan_need(p).n_changed, 0);
        for (int i = 0; i < rs_plan_count(p); i++) {
            T_TRUE(rs_plan_fingerprint(p, i) == rs_plan_fingerprint(first, i));
            const rs_tensor *t = rs_checkpoint_find(it, rs_plan_at(p, i)->name);
            char *x = bytes_of(p, i), *y = malloc((size_t)t->n_bytes);
            T_TRUE(x != NULL);
            T_OK(rs_checkpoint_read_raw(it, t, 0, (size_t)t->n_bytes, y, &t_err));
            T_TRUE(memcmp(x, y, (size_t)t->n_bytes) == 0);
            free(x);
            free(y);
        }
        rs_plan_free(p);
        rs_recipe_free(r);
    }
}

/* Two ways to say the same thing give the same bytes. */
static void same_said_twice(void)
{
    rs_recipe *a, *b;
    start(NULL);
    /* The difference to the base of an adapter folded on it is that adapter's delta. */
    rs_plan *p = plan_of(
        "",
        "{\"name\":\"s\",\"method\":\"task_arithmetic\",\"base\":\"it\",\"inputs\":[{"
        "\"from\":\"style\"}]}",
        "", &a);
    rs_plan *q = plan_of(
        "",
        "{\"name\":\"s\",\"method\":\"slerp\",\"t\":1,\"inputs\":[{\"from\":\"it\"},{"
        "\"from\":\"style\"}]}",
        "", &b);
    T_TRUE(p && q);
    T_EQ(differing(p, q), 0);
    rs_plan_free(q);
    rs_recipe_free(b);
    /* A stage in between is not rounded: halves add up. */
    q = plan_of("",
                "{\"name\":\"h\",\"method\":\"task_arithmetic\",\"base\":\"it\","
                "\"inputs\":[{\"from\":"
                "\"style\"}],\"scale\":0.5},{\"name\":\"s\",\"method\":\"task_"
                "arithmetic\",\"base\":"
                "\"h\",\"inputs\":[{\"from\":\"style\"}]}",
                "\"dtype\":\"float32\"", &b);
    rs_plan *f = NULL;
    rs_recipe *c;
    f = plan_of("",
                "{\"name\":\"s\",\"method\":\"task_arithmetic\",\"base\":\"it\","
                "\"inputs\":[{\"from\":"
                "\"style\"}]}",
                "\"dtype\":\"float32\"", &c);
    T_TRUE(q && f);
    int i = index_of(f, "layers.2.mlp.up_proj");
    float *x = (float *)(void *)bytes_of(q, i), *y = (float *)(void *)bytes_of(f, i);
    for (int64_t k = 0; k < rs_plan_at(f, i)->base->n_elements; k++)
        T_NEAR(x[k], y[k], 3e-8, 1e-6);
    free(x);
    free(y);
    rs_plan_free(p);
    rs_plan_free(q);
    rs_plan_free(f);
}

/* Any range of a tensor is that range of the whole, for every instruction set. */
static void ranges(void)
{
    static const char *const stages =
        TASK(",\"dampen\":{\"by\":\"f\",\"kind\":\"one_minus\",\"normaliser\":\"log\","
             "\"layer\":0.5}") HEAL(",\"t\":0.3,\"rowwise\":true,\"norm\":\"lerp\","
                                    "\"space\":\"delta\",\"base\":\"it\"");
    rs_recipe *r;
    rs_workspace *ws;
    static char whole[300000], part[300000], first[300000];
    for (int isa = 0; isa < 2; isa++) {
        start(isa ? NULL : "base");
        rs_plan *p = plan_of(FISHER, stages, "\"dtype\":\"float32\"", &r);
        T_TRUE(p != NULL);
        T_OK(rs_workspace_new(&rt, &ws, &t_err));
        int i = index_of(p, "layers.5.self_attn.q_proj");
        int64_t n = rs_plan_at(p, i)->base->n_elements;
        T_OK(rs_plan_produce_tensor(&rt, p, i, whole, &t_err));
        if (isa == 0) memcpy(first, whole, (size_t)n * 4);
        T_TRUE(memcmp(first, whole, (size_t)n * 4) == 0);
        for (int64_t at = 0, step = 1; at < n; at += step, step = step * 7 % 5003) {
            if (step > n - at) step = n - at;
            T_OK(rs_plan_produce(&rt, p, ws, i, at, step, part, &t_err));
            T_TRUE(memcmp(part, whole + at * 4, (size_t)step * 4) == 0);
        }
        rs_workspace_free(ws);
        rs_plan_free(p);
        rs_recipe_free(r);
        rs_quit(&rt);
    }
}

static bool has_warning(const rs_plan *p, const char *text)
{
    for (int i = 0; i < rs_plan_n_warnings(p); i++)
        if (strstr(rs_plan_warning(p, i), text)) return true;
    return false;
}

/* A Fisher that is not there, or is none, stops only what is dampened by it. */
static void a_missing_fisher(void)
{
    static const char *const files[] = {"nowhere.safetensors",
                                        "recipes/sparring/it/config.json"};
    char measures[256];
    rs_recipe *r, *next;
    rs_plan *p, *q;
    start(NULL);
    for (int k = 0; k < 2; k++) {
        snprintf(measures, sizeof measures, "\"f\":{\"fisher\":\"@/%s\"}", files[k]);
        T_OK(parse(ALL, measures, TASK(""), "", &r));
        T_OK(build(r, &p));
        T_TRUE(has_warning(p, "damage is not known: Fisher \"f\""));
        T_TRUE(has_warning(p, files[k]));
        T_OK(parse(ALL, measures, TASK(",\"dampen\":{\"by\":\"f\"}"), "", &next));
        rs_status want = k ? RS_E_FORMAT : RS_E_NOT_FOUND;
        T_FAILS(rs_plan_build(&rt, next, NULL, &q, &t_err), want, files[k]);
        T_FAILS(rs_plan_rebuild(&rt, p, next, NULL, &q, &t_err), want, files[k]);
        T_OK(parse(ALL, measures, TASK(",\"dampen\":{\"by\":\"f\",\"kind\":\"none\"}"),
                   "", &next));
        T_OK(build(next, &q));
        T_TRUE(has_warning(q, "damage is not known: Fisher \"f\""));
        T_TRUE(strstr(rs_plan_fisher_missing(q), files[k]) != NULL);
        rs_plan_free(p);
        rs_plan_free(q);
    }
}

#define MUTE ",\"dampen\":{\"by\":\"f\",\"kind\":\"none\"}"
#define AGAIN                                                                            \
    ",{\"name\":\"more\",\"method\":\"task_arithmetic\",\"base\":\"fuel\","              \
    "\"inputs\":[{\"from\":\"folk\"}]" MUTE "}"

/* An edit that begins to dampen by it finds it missing, though the sources are the same. */
static void a_missing_fisher_is_wanted(void)
{
    static const char gone[] = "\"f\":{\"fisher\":\"@/nowhere.safetensors\"}";
    static const char half[] = FISHER ",\"g\":{\"fisher\":\"@/nowhere.safetensors\"}";
    static const struct {
        const char *measures, *quiet, *loud;
    } cases[] = {
        {gone, TASK(MUTE), TASK(",\"dampen\":{\"by\":\"f\"}")},
        {half, TASK(",\"dampen\":{\"by\":\"f\",\"task\":\"g\",\"kind\":\"none\"}"),
         TASK(",\"dampen\":{\"by\":\"f\",\"task\":\"g\",\"kind\":\"task\"}")},
    };
    rs_recipe *r, *next;
    rs_plan *p, *q;
    start(NULL);
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        T_OK(parse(ALL, cases[k].measures, cases[k].quiet, "", &r));
        T_OK(build(r, &p));
        T_OK(parse(ALL, cases[k].measures, cases[k].loud, "", &next));
        T_FAILS(rs_plan_rebuild(&rt, p, next, NULL, &q, &t_err), RS_E_NOT_FOUND,
                "nowhere");
        rs_plan_free(p);
    }
}

/* Two stages that name it: one warning. A recipe without one: no reason. */
static void a_missing_fisher_is_told_once(void)
{
    rs_recipe *r;
    rs_plan *p;
    int told = 0;
    start(NULL);
    T_OK(parse(ALL, "\"f\":{\"fisher\":\"@/nowhere.safetensors\"}", TASK(MUTE) AGAIN,
               "\"stage\":\"more\"", &r));
    T_OK(build(r, &p));
    for (int i = 0; i < rs_plan_n_warnings(p); i++)
        told += strstr(rs_plan_warning(p, i), "damage is not known") != NULL;
    T_EQ(told, 1);
    rs_plan_free(p);
    T_OK(parse(ALL, "", TASK(""), "", &r));
    T_OK(build(r, &p));
    T_TRUE(rs_plan_fisher_missing(p) == NULL);
    rs_plan_free(p);
}

/* A rebuild makes what a new build makes, and fingerprints tell exactly what moved. */
static void rebuilding(void)
{
    static const char *const edits[] = {
        TASK(",\"dampen\":{\"by\":\"f\",\"lambda\":3}") HEAL(",\"t\":0.15"),
        TASK(",\"dampen\":{\"by\":\"f\",\"lambda\":3},\"gain\":{\"layers\":{\"5\":0.5}}")
            HEAL(",\"t\":0.15"),
        TASK(",\"dampen\":{\"by\":\"f\",\"lambda\":3},\"gain\":{\"layers\":{\"5\":0.5}}")
            HEAL(",\"t\":{\"default\":0.15,\"kinds\":{\"mlp\":0.2}}"),
        TASK(",\"dampen\":{\"by\":\"f\",\"kind\":\"hard\",\"q\":0.9}")
            HEAL(",\"t\":0.15"),
        TASK(",\"dampen\":{\"by\":\"f\",\"kind\":\"ewc\",\"normaliser\":\"rank\"}")
            HEAL(",\"t\":0.15"),
        TASK(",\"dampen\":{\"by\":\"f\",\"kind\":\"task\",\"task\":\"f\"}")
            HEAL(",\"t\":0.15"),
    };
    static const int moved[] = {0, 7, 24, 52, 52, 52};
    rs_recipe *r[6], *copy;
    rs_plan *last = NULL, *p, *fresh;
    start(NULL);
    for (int k = 0; k < 6; k++) {
        if (k == 0) last = plan_of(FISHER, edits[0], "", &r[0]);
        T_TRUE(last != NULL);
        T_OK(parse(ALL, FISHER, edits[k], "", &r[k]));
        T_OK(rs_plan_rebuild(&rt, last, r[k], NULL, &p, &t_err));
        T_OK(parse(ALL, FISHER, edits[k], "", &copy));
        T_OK(build(copy, &fresh));
        T_EQ(differing(p, fresh), 0);
        int n = 0;
        for (int i = 0; i < rs_plan_count(p); i++)
            n += rs_plan_fingerprint(p, i) != rs_plan_fingerprint(last, i);
        T_EQ(n, moved[k]);
        if (k == 1) T_EQ(differing(p, last), 7);
        rs_plan_free(last); /* the older goes first: the sources live on */
        rs_plan_free(fresh);
        rs_recipe_free(copy);
        last = p;
    }
    rs_plan_free(last);
}

static void fails(const char *models, const char *measures, const char *stages,
                  const char *output, rs_status status, const char *sentence)
{
    rs_recipe *r = NULL;
    rs_plan *p = NULL;
    T_OK(parse(models, measures, stages, output, &r));
    T_FAILS(build(r, &p), status, sentence);
    T_TRUE(p == NULL);
    rs_recipe_free(r);
}

static void refusals(void)
{
    start(NULL);
    fails(ALL,
          "\"m\":{\"subspace\":\"x\",\"make\":{\"from\":\"pt\",\"to\":\"it\",\"rank\":4}}",
          TASK(",\"mask\":{\"by\":\"m\"}"), "", RS_E_NOT_FOUND,
          "subspace \"m\" is not there yet (x): 'ringside prepare RECIPE' makes it");
    fails(ALL, "", "{\"name\":\"s\",\"method\":\"ties\",\"density\":0.2}", "",
          RS_E_UNSUPPORTED, "the method ties");
    fails(ALL, "", TASK(""), "\"rounding\":\"stochastic\"", RS_E_UNSUPPORTED,
          "stochastic");
    fails(ALL, "\"f\":{\"fisher\":\"x\",\"make\":{\"model\":\"it\",\"random\":1}}",
          TASK(",\"dampen\":{\"by\":\"f\"}"), "", RS_E_NOT_FOUND,
          "Fisher \"f\" is not there yet (x): 'ringside prepare RECIPE' makes it");
    fails(ALL ",\"new\":{\"adapter\":\"x\",\"make\":{\"model\":\"it\",\"corpora\":[\"a\"]}}",
          "",
          "{\"name\":\"s\",\"method\":\"task_arithmetic\",\"base\":\"it\",\"inputs\":[{"
          "\"from\":\"new\"}]}",
          "", RS_E_NOT_FOUND, "adapter \"new\" is not there yet (x)");
    fails(ALL, "\"f\":{\"fisher\":\"@/nowhere\"}", TASK(",\"dampen\":{\"by\":\"f\"}"), "",
          RS_E_NOT_FOUND, "Fisher \"f\": there is no ");
    fails(ALL, "",
          "{\"name\":\"s\",\"method\":\"task_arithmetic\",\"base\":\"it\",\"normalize\":"
          "true,"
          "\"inputs\":[{\"from\":\"gothic\"},{\"from\":\"comic\",\"weight\":-1}]}",
          "", RS_E_INVALID, "cannot be normalised");
    fails(ALL, "", TASK(",\"gain\":{\"layers\":{\"9\":0}}"), "", RS_E_MISMATCH,
          "stage \"fuel\": gain.layers: \"9\" reaches past the model's 8 layers");
    fails(IT "\"x\":{\"path\":\"@/tests/golden/models/gemma3\"}", "",
          "{\"name\":\"s\",\"method\":\"slerp\",\"t\":0.5,\"inputs\":[{\"from\":\"it\"},{"
          "\"from\":\"x\"}]}",
          "", RS_E_MISMATCH, "where the base has");
    fails(IT "\"x\":{\"adapter\":\"@/tests/golden/peft_merge/plain/adapter\"}", "",
          "{\"name\":\"s\",\"method\":\"task_arithmetic\",\"base\":\"it\",\"inputs\":[{"
          "\"from\":\"x\"}]}",
          "", RS_E_MISMATCH, "is made for a matrix [");
    fails("\"b\":{\"path\":\"@/tests/golden/models/gemma3\"}," LORA("folk"), "",
          "{\"name\":\"s\",\"method\":\"task_arithmetic\",\"base\":\"b\",\"inputs\":[{"
          "\"from\":\"folk\"}]}",
          "", RS_E_MISMATCH, "");
}

static void exploding_graphs(void)
{
    char stages[16384];
    start(NULL);
    int n = snprintf(
        stages, sizeof stages,
        "{\"name\":\"s0\",\"method\":\"slerp\",\"t\":0.5,\"inputs\":[{\"from\":\"it\"},"
        "{\"from\":\"pt\"}]}");
    for (int i = 1; i < 60; i++)
        n += snprintf(stages + n, sizeof stages - (size_t)n,
                      ",{\"name\":\"s%d\",\"method\":\"slerp\",\"t\":0.5,\"inputs\":[{"
                      "\"from\":\"s%d\"},"
                      "{\"from\":\"s%d\"}]}",
                      i, i - 1, i - 1);
    char text[20000];
    rs_recipe *r;
    rs_plan *p;
    snprintf(text, sizeof text,
             "{\"ringside\":1,\"models\":{\"it\":{\"path\":\"recipes/sparring/"
             "it\"},\"pt\":{\"path\":"
             "\"recipes/sparring/pt\"}},\"stages\":[%s]}",
             stages);
    T_OK(rs_recipe_parse(text, strlen(text), ".", "x", &r, &t_err));
    T_FAILS(build(r, &p), RS_E_UNSUPPORTED, "refers to other stages more than");
    rs_recipe_free(r);
}

static void warnings(void)
{
    rs_recipe *r;
    start(NULL);
    rs_plan *p = plan_of(
        FISHER,
        TASK(",\"dampen\":{\"by\":\"f\",\"kind\":\"one_minus\"}") ",{\"name\":\"heal\","
                                                                  "\"method\":\"slerp\","
                                                                  "\"t\":0.3,\"inputs\":["
                                                                  "{\"from\":\"fuel\"},"
                                                                  "{\"from\":\"away\"}]}",
        "", &r);
    T_TRUE(p != NULL);
    T_TRUE(has_warning(p, "away was trained on sparring-it and is folded on pt"));
    T_TRUE(has_warning(p, "takes back 30 %"));
    T_TRUE(has_warning(p, "one_minus with layer 1"));
    rs_plan_free(p);
    p = plan_of(FISHER, TASK(""), "", &r);
    T_TRUE(p && rs_plan_n_warnings(p) == 0);
    rs_plan_free(p);
}

/* --- damaged inputs --- */

/* sparring it with one element of one tensor replaced. */
static bool broken_copy(const char *folder, const char *tensor, int64_t element,
                        uint16_t bits)
{
    char path[600];
    rs_checkpoint *c;
    rs_buf file = {0};
    snprintf(path, sizeof path, "%s/config.json", folder);
    if (rs_os_copy("recipes/sparring/it/config.json", path, &t_err) != RS_OK)
        return false;
    if (rs_checkpoint_open("recipes/sparring/it", &c, &t_err) != RS_OK) return false;
    const rs_tensor *t = rs_checkpoint_find(c, tensor);
    if (!t || rs_os_read_file(rs_checkpoint_file(c, 0), 1 << 26, &file, &t_err) != RS_OK)
        return false;
    memcpy(file.data + t->offset + 2 * (uint64_t)element, &bits, 2);
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    bool fine = rs_os_write_file(path, file.data, file.len, &t_err) == RS_OK;
    rs_buf_free(&file);
    rs_checkpoint_close(c);
    return fine;
}

static void nan_is_named(void)
{
    static const char *const names[] = {"model.layers.4.mlp.up_proj.weight",
                                        "model.embed_tokens.weight"};
    static const char *const sentences[] = {
        "element 1234 is NaN in the model \"bad\"",
        "element 1234 is infinite in the model \"bad\""};
    const char *folder = t_folder();
    char text[2000], buffer[16];
    rs_recipe *r;
    rs_plan *p;
    rs_workspace *ws;
    start(NULL);
    for (int k = 0; k < 2; k++) {
        T_TRUE(broken_copy(folder, names[k], 1234, k ? 0xff80 : 0x7fc1));
        snprintf(
            text, sizeof text,
            "{\"ringside\":1,\"models\":{\"bad\":{\"path\":\"%s\"},\"sea\":{\"adapter\":"
            "\"recipes/sparring/lora/sea\"}},\"stages\":[{\"name\":\"s\",\"method\":"
            "\"task_arithmetic\",\"base\":\"bad\",\"inputs\":[{\"from\":\"sea\"}]}]}",
            folder);
        T_OK(rs_recipe_parse(text, strlen(text), ".", "x", &r, &t_err));
        T_OK(build(r, &p));
        T_OK(rs_workspace_new(&rt, &ws, &t_err));
        int i = index_of(p, names[k]);
        T_FAILS(rs_plan_produce(&rt, p, ws, i, 1230, 8, buffer, &t_err), RS_E_INVALID,
                sentences[k]);
        T_TRUE(strstr(t_err.msg, names[k]) && strstr(t_err.msg, folder));
        T_OK(rs_plan_produce(&rt, p, ws, i, 1235, 8, buffer, &t_err));
        rs_workspace_free(ws);
        rs_plan_free(p);
        rs_recipe_free(r);
    }
    T_OK(rs_os_remove_tree(folder, &t_err));
}

static void overflow_is_named(void)
{
    rs_recipe *r;
    rs_workspace *ws;
    char buffer[65536];
    start(NULL);
    rs_plan *p = plan_of(
        "",
        "{\"name\":\"s\",\"method\":\"task_arithmetic\",\"base\":\"it\",\"inputs\":[{"
        "\"from\":\"gothic\"}],\"scale\":1e7}",
        "\"dtype\":\"float16\"", &r);
    T_TRUE(p != NULL);
    T_OK(rs_workspace_new(&rt, &ws, &t_err));
    T_FAILS(rs_plan_produce(&rt, p, ws, index_of(p, "layers.4.mlp.up_proj"), 0, 30000,
                            buffer, &t_err),
            RS_E_INVALID, "which f16 cannot hold");
    rs_workspace_free(ws);
    rs_plan_free(p);
}

static void opposite_sides(void)
{
    rs_recipe *r;
    rs_workspace *ws;
    char buffer[64];
    static const char *const stages =
        "{\"name\":\"a\",\"method\":\"task_arithmetic\",\"base\":\"it\",\"inputs\":[{"
        "\"from\":\"gothic\"}]},"
        "{\"name\":\"b\",\"method\":\"task_arithmetic\",\"base\":\"it\",\"inputs\":[{"
        "\"from\":\"gothic\"}],"
        "\"scale\":-2},{\"name\":\"s\",\"method\":\"slerp\",\"space\":\"delta\",\"base\":"
        "\"it\",\"opposite\":"
        "\"error\",\"t\":0.5,\"inputs\":[{\"from\":\"a\"},{\"from\":\"b\"}]}";
    start(NULL);
    /* Rounding of the sums leaves an angle a little off pi. */
    char wide[1024];
    snprintf(wide, sizeof wide, "%.*s,\"flat_below\":0.001}", (int)strlen(stages) - 1,
             stages);
    rs_plan *p = plan_of("", wide, "", &r);
    T_TRUE(p != NULL);
    T_OK(rs_workspace_new(&rt, &ws, &t_err));
    T_FAILS(rs_plan_produce(&rt, p, ws, index_of(p, "layers.4.mlp.up_proj"), 0, 8, buffer,
                            &t_err),
            RS_E_INVALID, "point in opposite directions");
    rs_workspace_free(ws);
    rs_plan_free(p);
}

/* Kinds that a model of this family has no tensors of. */
static void idle_kinds(void)
{
    static const char stages[] =
        "{\"name\":\"s\",\"method\":\"slerp\",\"inputs\":[{\"from\":\"m\"},{\"from\":"
        "\"m\"}],"
        "\"t\":{\"default\":0.5,\"kinds\":{\"%s\":0.1},\"cells\":{\"1.%s\":0.2}}}";
    char text[512];
    rs_recipe *r;
    rs_plan *p;
    start(NULL);
    for (int i = 0; i < 2; i++) {
        snprintf(text, sizeof text, stages, i ? "q_proj" : "per_layer_projection",
                 i ? "mlp" : "ple");
        T_OK(parse("\"m\":{\"path\":\"@/tests/golden/models/llama\"}", "", text,
                   "\"stage\":\"s\"", &r));
        T_OK(build(r, &p));
        T_EQ(has_warning(p, "t.kinds: \"per_layer_projection\" names nothing that this "
                            "llama model has"),
             i == 0);
        T_EQ(has_warning(p, "t.cells: \"1.ple\" names nothing"), i == 0);
        T_EQ(has_warning(p, "names nothing"), i == 0);
        rs_plan_free(p);
    }
}

T_MAIN(T_TEST(what_changes), T_TEST(nothing_is_nothing), T_TEST(same_said_twice),
       T_TEST(ranges), T_TEST(a_missing_fisher), T_TEST(a_missing_fisher_is_wanted),
       T_TEST(a_missing_fisher_is_told_once), T_TEST(rebuilding), T_TEST(refusals),
       T_TEST(exploding_graphs), T_TEST(warnings), T_TEST(nan_is_named),
       T_TEST(overflow_is_named), T_TEST(opposite_sides), T_TEST(idle_kinds))
