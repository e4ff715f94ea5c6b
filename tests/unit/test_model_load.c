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

T_MAIN(T_TEST(binding), T_TEST(loading_can_be_cancelled))
