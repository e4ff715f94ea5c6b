/* Subspace masks in plans: section 7 of the reference formulas through models on disk. */
#include "tests/masks.h"

#include "merge/measure.h"
#include "store/tensor_file.h"


static const char *const names[] = {
    "model.layers.0.self_attn.q_proj", "model.layers.0.mlp.down_proj",
    "model.layers.1.self_attn.q_proj", "model.layers.1.input_layernorm",
    "model.layers.2.mlp.up_proj"};

static const char config[] =
    "{\"architectures\":[\"LlamaForCausalLM\"],\"model_type\":\"llama\",\"head_dim\":8,"
    "\"hidden_size\":40,\"intermediate_size\":24,\"num_attention_heads\":3,"
    "\"num_key_value_heads\":1,\"num_hidden_layers\":3,\"rms_norm_eps\":1e-5,"
    "\"vocab_size\":8,\"tie_word_embeddings\":true,\"max_position_embeddings\":64}";

/* The fixture's tensors under names of a model: `of` their values. */
static bool put_model(const char *folder, float (*of)[MAX_SIZE])
{
    rs_write_tensor t[MAX_TENSORS] = {{0}};
    rs_writer *w;
    char hash[33];
    for (int i = 0; i < fx.n; i++) {
        const char *name = kept(malloc(80));
        snprintf((char *)(uintptr_t)name, 80, "%s.weight", names[i]);
        bool vector = fx.rows[i] <= 1;
        t[i] = (rs_write_tensor){name, RS_DTYPE_F32, vector ? 1 : 2, {fx.size[i]}};
        if (!vector) t[i].dim[0] = fx.rows[i], t[i].dim[1] = fx.size[i] / fx.rows[i];
    }
    rs_write_plan plan = {.tensors = t, .n_tensors = fx.n};
    if (rs_writer_new(folder, &plan, &w, &t_err) != RS_OK) return false;
    for (int i = 0; i < fx.n; i++)
        if (rs_writer_write(w, i, 0, of[i], (size_t)fx.size[i] * 4, &t_err) != RS_OK)
            return false;
    bool fine =
        rs_writer_file(w, "config.json", config, sizeof config - 1, &t_err) == RS_OK &&
        rs_writer_finish(w, hash, &t_err) == RS_OK;
    rs_writer_free(w);
    return fine;
}

/* D1 as an adapter: B the identity, A the delta, of the matrices. */
static bool put_adapter(const char *folder)
{
    static const char peft[] =
        "{\"peft_type\":\"LORA\",\"r\":24,\"lora_alpha\":24,\"bias\":\"none\","
        "\"rank_pattern\":{\"model.layers.0.mlp.down_proj\":40},"
        "\"alpha_pattern\":{\"model.layers.0.mlp.down_proj\":40}}";
    static float eye[40 * 40];
    rs_write_tensor t[2 * MAX_TENSORS] = {{0}};
    int of[2 * MAX_TENSORS], n = 0;
    rs_writer *w;
    char hash[33];
    for (int i = 0; i < fx.n; i++)
        for (int k = 0; k < 2 && fx.rows[i] > 1; k++) {
            char *name = kept(malloc(120));
            snprintf(name, 120, "base_model.model.%s.lora_%c.weight", names[i], "AB"[k]);
            int64_t rows = fx.rows[i], cols = fx.size[i] / rows;
            of[n] = i;
            t[n++] =
                (rs_write_tensor){name, RS_DTYPE_F32, 2, {rows, k == 0 ? cols : rows}};
        }
    rs_write_plan plan = {.tensors = t, .n_tensors = n, .stem = "adapter_model"};
    if (rs_writer_new(folder, &plan, &w, &t_err) != RS_OK) return false;
    for (int k = 0; k < n; k++) {
        int64_t rows = t[k].dim[0];
        memset(eye, 0, sizeof eye);
        for (int64_t i = 0; i < rows; i++)
            eye[i * rows + i] = 1;
        if (rs_writer_write(w, k, 0, k % 2 ? eye : fx.delta[0][of[k]],
                            (size_t)(rows * t[k].dim[1]) * 4, &t_err) != RS_OK)
            return false;
    }
    bool fine = rs_writer_file(w, "adapter_config.json", peft, sizeof peft - 1, &t_err) ==
                    RS_OK &&
                rs_writer_finish(w, hash, &t_err) == RS_OK;
    rs_writer_free(w);
    return fine;
}

static bool put_subspace(const char *path)
{
    rs_write_tensor t[2 * MAX_TENSORS] = {{0}};
    static float values[2 * MAX_TENSORS][MAX_SIZE];
    rs_tensor_file *f;
    int n = 0;
    for (int i = 0; i < fx.n; i++)
        for (int k = 0; k < 2 && fx.rows[i] > 1; k++) {
            char *name = kept(malloc(80));
            char side[2] = {"UV"[k], 0};
            snprintf(name, 80, "%s.%s", names[i], side);
            int64_t rows = k == 0 ? fx.rows[i] : fx.size[i] / fx.rows[i];
            if (!read_into(fx.inputs, side, fx.name[i], values[n])) return false;
            t[n++] = (rs_write_tensor){name, RS_DTYPE_F32, 2, {rows, 5}};
        }
    rs_write_plan plan = {.tensors = t, .n_tensors = n};
    if (rs_tensor_file_new(path, &plan, false, &f, &t_err) != RS_OK) return false;
    for (int k = 0; k < n; k++)
        if (rs_tensor_file_write(f, k, 0, values[k], (size_t)t[k].dim[0] * 20, &t_err) !=
            RS_OK)
            return false;
    bool fine = rs_tensor_file_finish(f, &t_err) == RS_OK;
    rs_tensor_file_free(f);
    return fine;
}

/* |U^T x|^2/|x|^2 or |x V|^2/|x|^2 in float64. */
static double leak_of(int i, const float *x, char side)
{
    static float b[MAX_SIZE];
    char prefix[2] = {side, 0};
    int64_t rows = fx.rows[i], cols = fx.size[i] / rows;
    double inside = 0, all = 0;
    if (!read_into(fx.inputs, prefix, fx.name[i], b)) return NAN;
    for (int64_t e = 0; e < fx.size[i]; e++)
        all += (double)x[e] * (double)x[e];
    for (int64_t c = 0; c < 5; c++)
        for (int64_t a = 0; a < (side == 'U' ? cols : rows); a++) {
            double s = 0;
            for (int64_t j = 0; j < (side == 'U' ? rows : cols); j++)
                s += (double)b[j * 5 + c] *
                     (double)(side == 'U' ? x[j * cols + a] : x[a * cols + j]);
            inside += s * s;
        }
    return inside / all;
}

static void one_case(const char *folder, const rs_json *c, const char *input,
                     const rs_checkpoint *want)
{
    const rs_json *params = rs_json_get(c, "params");
    const char *kind = rs_json_string(rs_json_get(params, "kind"));
    const char *id = rs_json_string(rs_json_get(c, "id"));
    const char *side = strcmp(kind, "left") == 0    ? "out"
                       : strcmp(kind, "right") == 0 ? "in"
                                                    : kind;
    double strength = rs_json_number(rs_json_get(params, "strength"));
    char text[1500];
    rs_recipe *r;
    rs_plan *p;
    static float got[MAX_SIZE];
    snprintf(text, sizeof text,
             "{\"ringside\":1,\"models\":{\"zero\":{\"path\":\"%s/zero\"},\"full\":{"
             "\"path\":\"%s/full\"},\"lora\":{\"adapter\":\"%s/lora\"}},\"measures\":{"
             "\"s\":{\"subspace\":\"%s/s.safetensors\"}},\"stages\":[{\"name\":\"f\","
             "\"method\":\"task_arithmetic\",\"base\":\"zero\",\"inputs\":[{\"from\":"
             "\"%s\"}],\"mask\":{\"by\":\"s\",\"side\":\"%s\",\"strength\":%g}}],"
             "\"output\":{\"dtype\":\"float32\"}}",
             folder, folder, folder, folder, input, side, strength);
    T_OK(rs_recipe_parse(text, strlen(text), ".", "x", &r, &t_err));
    T_OK(rs_plan_build(&rt, r, NULL, &p, &t_err));
    for (int i = 0; i < fx.n; i++) {
        T_OK(rs_plan_produce_tensor(&rt, p, i, got, &t_err));
        if (fx.rows[i] <= 1) continue;
        NEAR(want, id, fx.name[i], got);
        double u = leak_of(i, got, 'U'), v = leak_of(i, got, 'V');
        const rs_json *leak =
            rs_json_get(rs_json_get(rs_json_get(c, "expect"), "leak"), fx.name[i]);
        T_NEAR(u, rs_json_number(rs_json_get(leak, "left")), 1e-12, 1e-5);
        T_NEAR(v, rs_json_number(rs_json_get(leak, "right")), 1e-12, 1e-5);
        rs_tensor_sums sums;
        T_OK(rs_sums_tensor(&rt, p, i, true, &sums, &t_err));
        T_NEAR(sums.leak[1] / sums.leak[0], u, 1e-12, 1e-6);
        T_NEAR(sums.leak[2] / sums.leak[0], v, 1e-12, 1e-6);
        T_NEAR(sums.stored[1] / sums.stored[0], u, 1e-12, 1e-6); /* W0 is 0 */
        T_NEAR(sums.stored[2] / sums.stored[0], v, 1e-12, 1e-6);
    }
    rs_plan_free(p);
    rs_recipe_free(r);
}

static void section_7(const char *isa)
{
    static float zero[MAX_TENSORS][MAX_SIZE];
    rs_checkpoint *want;
    T_TRUE(load(isa) && start(isa, 2));
    const char *folder = t_folder();
    for (int i = 0; i < fx.n; i++)
        fx.rows[i] = i == 1 ? 40 : i == 3 ? 1 : 24;
    T_TRUE(put_model(in_folder(folder, "zero"), zero));
    T_TRUE(put_model(in_folder(folder, "full"), fx.delta[0]));
    T_TRUE(put_adapter(in_folder(folder, "lora")));
    T_TRUE(put_subspace(in_folder(folder, "s.safetensors")));
    T_OK(rs_checkpoint_open(t_golden("merge/expected7.safetensors"), &want, &t_err));
    int n = 0;
    for (const rs_json *c = next_of_section(NULL, 7); c; c = next_of_section(c, 7), n++) {
        one_case(folder, c, "full", want);
        one_case(folder, c, "lora", want);
    }
    T_EQ(n, 8);
    rs_checkpoint_close(want);
}

static void section_7_base(void)
{
    section_7("base");
}
static void section_7_best(void)
{
    section_7(NULL);
}

T_MAIN(T_TEST(section_7_base), T_TEST(section_7_best))
