/* Binding the tensors of a folder to a model, and loading it. */
#include "tests/forward.h"

/* The multimodal folder's index holds the unused K/V of sharers: they are left alone, and so
 * are towers. A missing tensor is named. */
static void binding(void)
{
    subject s;
    rs_checkpoint *inert;
    rs_model *m;
    T_OK(open_subject("tests/golden/models/gemma4_e4b_mm", 1, NULL, &s));
    T_OK(rs_checkpoint_open("tests/golden/models/gemma4_e4b_mm/model-inert.safetensors",
                            &inert, &t_err));
    for (int i = 0; i < rs_checkpoint_count(inert); i++) {
        const rs_tensor *t = rs_checkpoint_at(inert, i);
        bool used = true;
        T_OK(rs_model_bind(s.model, t->name, t->dtype, t->n_dims, t->dim, &s, &used,
                           &t_err));
        T_TRUE(!used);
    }
    T_OK(rs_model_new(s.config, &m, &t_err));
    T_FAILS(rs_model_complete(m, &t_err), RS_E_MISMATCH, "embed_tokens.weight");
    int64_t dim[] = {400, 31};
    T_FAILS(rs_model_bind(m, "model.embed_tokens.weight", RS_DTYPE_BF16, 2, dim, &s, NULL,
                          &t_err),
            RS_E_MISMATCH, "[400, 31]");
    dim[1] = 32;
    T_FAILS(rs_model_bind(m, "model.embed_tokens.weight", RS_DTYPE_I8, 2, dim, &s, NULL,
                          &t_err),
            RS_E_UNSUPPORTED, "i8");
    rs_model_free(m);
    rs_checkpoint_close(inert);
    close_subject(&s);
}

static void loading_can_be_cancelled(void)
{
    subject s;
    rs_model *m;
    T_OK(open_subject("recipes/sparring/it", 1, NULL, &s));
    T_FAILS(rs_model_load(&s.rt, s.file, s.config, stop_at_once, NULL, &m, &t_err),
            RS_E_CANCELLED, "cancelled");
    T_TRUE(m == NULL);
    close_subject(&s);
}

/* What lies outside the layers, loaded alone, has all but the table of per-layer embeddings,
 * whose rows are read one by one, bit for bit those of the whole. */
static void rows_of_the_per_layer_table(void)
{
    static const int32_t ids[] = {7, 399, 0, 7};
    enum { N = sizeof ids / sizeof *ids };
    subject s;
    rs_model *m;
    uint64_t part;
    T_OK(open_subject("tests/golden/models/gemma4_e4b", 2, NULL, &s));
    T_OK(rs_model_new(s.config, &m, &t_err));
    T_OK(rs_model_load_part(&s.rt, s.file, m, -1, &t_err));
    const rs_matrix *t = &m->ple_embed, *whole = &s.model->ple_embed;
    T_TRUE(!t->data && m->embed.data && m->ple_model_proj.data && m->final_norm);
    T_TRUE(t->dtype == whole->dtype && t->rows == 400 && t->cols == whole->cols);
    size_t row = (size_t)t->cols * 2;
    T_EQ(rs_model_ple_bytes(s.file, s.config, N), N * row);
    char *rows = malloc(N * row);
    T_OK(rs_model_read_ple(s.file, m, ids, N, rows, &t_err));
    for (int i = 0; i < N; i++)
        T_TRUE(memcmp(rows + i * row, (const char *)whole->data + ids[i] * row, row) ==
               0);
    T_FAILS(rs_model_read_ple(s.file, m, (int32_t[]){400}, 1, rows, &t_err),
            RS_E_INVALID, "embed_tokens_per_layer.weight has no row 400");
    T_FAILS(rs_model_read_ple(s.file, m, (int32_t[]){-1}, 1, rows, &t_err), RS_E_INVALID,
            "no row -1");
    T_OK(rs_model_part_bytes(s.file, s.config, -1, &part, &t_err));
    T_TRUE(part >= 400 * 32 * 2 && part <= 4 << 20);
    free(rows);
    rs_model_free(m);
    close_subject(&s);
}

T_MAIN(T_TEST(binding), T_TEST(loading_can_be_cancelled),
       T_TEST(rows_of_the_per_layer_table))
