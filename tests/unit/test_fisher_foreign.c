/* Fisher files from elsewhere: any safetensors with the model's names and shapes does what one
 * of ours does, with or without metadata, float32 or bfloat16, whatever else lies in it. */
#include "merge/measure.h"
#include "store/tensor_file.h"
#include "tensor/half.h"
#include "tests/files.h"
#include "tests/t.h"

#include "base/rng.h"

#include <math.h>
#include <unistd.h>

static rs_runtime rt;
static const char *folder;

/* Which file, and what the recipe says of it. */
typedef struct foreign {
    rs_dtype type;
    bool metadata, extra /* tensors that no model has */, half /* only layers 0-3 */;
    const char *scale; /* of the measure in the recipe, or NULL */
} foreign;

/* The same numbers for every file: exact in bfloat16. */
static float value(const char *name, int64_t k)
{
    uint64_t r = rs_rng_at(3, rs_rng_name(name), (uint64_t)k);
    float f = (float)exp((double)(r >> 11) * 0x1p-53 * 9 - 16);
    return rs_float_of(rs_bits_of(f) & 0xffff0000u);
}

static bool wanted(const foreign *w, const char *name)
{
    static const char *const low[] = {"layers.0.", "layers.1.", "layers.2.", "layers.3."};
    for (int i = 0; i < 4; i++)
        if (strstr(name, low[i])) return true;
    return !w->half && strstr(name, "layers.");
}

static rs_status write_values(rs_tensor_file *f, int i, const rs_write_tensor *t)
{
    int64_t n = t->dim[0] * (t->n_dims > 1 ? t->dim[1] : 1);
    float *v = malloc((size_t)n * sizeof *v);
    uint16_t *half = (uint16_t *)(void *)v;
    for (int64_t k = 0; k < n; k++) {
        float x = value(t->name, k);
        if (t->dtype == RS_DTYPE_BF16)
            half[k] = (uint16_t)(rs_bits_of(x) >> 16);
        else
            v[k] = x;
    }
    size_t each = t->dtype == RS_DTYPE_BF16 ? sizeof *half : sizeof *v;
    rs_status s = rs_tensor_file_write(f, i, 0, v, (size_t)n * each, &t_err);
    free(v);
    return s;
}

static rs_status write_fisher(const char *path, const foreign *w)
{
    static const rs_string_pair pairs[] = {{"kind", "sequence"},
                                           {"scale", "per_token"},
                                           {"sequences", "4"},
                                           {"tokens", "9"}};
    rs_checkpoint *it;
    rs_tensor_file *f;
    rs_write_tensor t[200];
    int n = 0;
    RS_TRY(rs_checkpoint_open("recipes/sparring/it", &it, &t_err));
    if (w->extra) t[n++] = (rs_write_tensor){"optimizer.state", w->type, 1, {7}};
    for (int i = 0; i < rs_checkpoint_count(it); i++) {
        const rs_tensor *own = rs_checkpoint_at(it, i);
        if (!wanted(w, own->name) || strstr(own->name, "layer_scalar")) continue;
        t[n] = (rs_write_tensor){own->name, w->type, own->n_dims, {0}};
        memcpy(t[n++].dim, own->dim, sizeof own->dim);
    }
    rs_write_plan plan = {.tensors = t,
                          .n_tensors = n,
                          .metadata = pairs,
                          .n_metadata = w->metadata ? 4 : 0,
                          .force = true};
    RS_TRY(rs_tensor_file_new(path, &plan, false, &f, &t_err));
    for (int i = 0; i < n; i++)
        RS_TRY(write_values(f, i, &t[i]));
    rs_status s = rs_tensor_file_finish(f, &t_err);
    rs_tensor_file_free(f);
    rs_checkpoint_close(it);
    return s;
}

static rs_status make_recipe(const char *fisher, const foreign *w, rs_recipe **out)
{
    char text[5000], cwd[1024];
    if (!getcwd(cwd, sizeof cwd)) return RS_E_IO;
    snprintf(
        text, sizeof text,
        "{\"ringside\":1,\"name\":\"f\",\"models\":{\"it\":{\"path\":\"%s/recipes/"
        "sparring/it\"},\"gothic\":{\"adapter\":\"%s/recipes/sparring/lora/gothic\"}},"
        "\"measures\":{\"m\":{\"fisher\":\"%s\"%s%s%s}},\"stages\":[{\"name\":\"fuel\","
        "\"method\":\"task_arithmetic\",\"base\":\"it\",\"inputs\":[{\"from\":"
        "\"gothic\"}],\"scale\":0.5,\"dampen\":{\"by\":\"m\",\"kind\":\"ewc\","
        "\"lambda\":3}}],\"output\":{\"stage\":\"fuel\",\"dtype\":\"bfloat16\"}}",
        cwd, cwd, fisher, w->scale ? ",\"scale\":\"" : "", w->scale ? w->scale : "",
        w->scale ? "\"" : "");
    return rs_recipe_parse(text, strlen(text), folder, "f", out, &t_err);
}

static rs_status measure(const foreign *w, rs_measure **m)
{
    rs_recipe *r = NULL;
    rs_plan *p = NULL;
    const char *path = in_folder(folder, "fisher.safetensors");
    RS_TRY(write_fisher(path, w));
    RS_TRY(make_recipe(path, w, &r));
    kept(r);
    RS_TRY(rs_plan_build(&rt, r, NULL, &p, &t_err));
    kept(p);
    rs_tensor_sums *s = kept(calloc((size_t)rs_plan_count(p), sizeof *s));
    for (int i = 0; i < rs_plan_count(p); i++)
        RS_TRY(rs_sums_tensor(&rt, p, i, false, &s[i], &t_err));
    RS_TRY(rs_measure_from(p, s, m, &t_err));
    kept(*m);
    return RS_OK;
}

static void start(void)
{
    folder = t_folder();
    T_OK(rs_init(NULL, &rt, &t_err));
    kept(rt.pool);
}

/* Damage, kept and the mean d of ours, of one without metadata, in bfloat16, with more in it. */
static void the_same_numbers(void)
{
    static const foreign ours = {RS_DTYPE_F32, true, false, false, NULL};
    static const foreign others[] = {{RS_DTYPE_F32, false, false, false, "per_token"},
                                     {RS_DTYPE_BF16, true, false, false, NULL},
                                     {RS_DTYPE_BF16, false, true, false, "per_token"}};
    rs_measure *a, *b;
    start();
    T_OK(measure(&ours, &a));
    T_TRUE(!a->units_unknown && a->all.damage > 0 && a->all.d > 0 && a->all.d < 1);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        T_OK(measure(&others[i], &b));
        T_TRUE(!b->units_unknown);
        T_EQ(b->n_tensors, a->n_tensors);
        T_NEAR(b->all.damage, a->all.damage, 0, 0);
        T_NEAR(b->all.kept, a->all.kept, 0, 0);
        T_NEAR(b->all.d, a->all.d, 0, 0);
        for (int t = 0; t < a->n_tensors; t++)
            T_TRUE(memcmp(&b->tensor[t].d, &a->tensor[t].d, sizeof(double)) == 0);
    }
    printf("  damage %.4g, d %.3f\n", a->all.damage, a->all.d);
}

/* Without a scale anywhere: the numbers are there, and are not called nat. */
static void no_scale(void)
{
    static const foreign said = {RS_DTYPE_F32, true, false, false, NULL},
                         silent = {RS_DTYPE_F32, false, false, false, NULL};
    rs_measure *a, *b;
    start();
    T_OK(measure(&said, &a));
    T_OK(measure(&silent, &b));
    T_TRUE(b->units_unknown && !a->units_unknown);
    T_NEAR(b->all.d, a->all.d, 0, 0);
    T_NEAR(b->all.damage / b->scale, a->all.damage / a->scale, 0, 1e-12);
}

/* Of half the layers: what it does not name is not dampened. */
static void a_part_of_the_model(void)
{
    static const foreign half = {RS_DTYPE_F32, false, false, true, "per_token"};
    rs_measure *m;
    start();
    T_OK(measure(&half, &m));
    T_TRUE(m->n_layers == 8);
    T_TRUE(m->layer[1].d < 0.999);
    T_NEAR(m->layer[6].d, 1, 0, 0);
}

T_MAIN(T_TEST(the_same_numbers), T_TEST(no_scale), T_TEST(a_part_of_the_model))
