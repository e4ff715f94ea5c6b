/* train_output.c - the adapter as PEFT keeps it: adapter_config.json,
 * adapter_model.safetensors (float32: bfloat16 would put about a thousandth back into
 * protected directions), and a card. */
#include "learn/train_internal.h"

#include "base/os.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char prefix[] = "base_model.model.";

static int module_length(const rs_lora_pair *p)
{
    return (int)(strlen(p->weight) - strlen(".weight"));
}

static rs_status plan_tensors(const rs_lora *l, rs_arena *a, rs_write_tensor *out,
                              rs_err *err)
{
    for (int i = 0; i < l->n; i++) {
        const rs_lora_pair *p = &l->pairs[i];
        int n = module_length(p);
        out[2 * i] = (rs_write_tensor){
            rs_arena_printf(a, "%s%.*s.lora_A.weight", prefix, n, p->weight),
            RS_DTYPE_F32,
            2,
            {l->rank, p->cols}};
        out[2 * i + 1] = (rs_write_tensor){
            rs_arena_printf(a, "%s%.*s.lora_B.weight", prefix, n, p->weight),
            RS_DTYPE_F32,
            2,
            {p->rows, l->rank}};
        if (!out[2 * i].name || !out[2 * i + 1].name)
            return rs_fail(err, RS_E_NOMEM, "no memory for names of tensors");
    }
    return RS_OK;
}

rs_status rs_training_begin_output(rs_training *t, rs_err *err)
{
    rs_arena a = {0};
    const rs_lora *l = t->l;
    rs_write_tensor *all = rs_arena_array(&a, (size_t)(2 * l->n), sizeof *all);
    rs_status s = all ? plan_tensors(l, &a, all, err)
                      : rs_fail(err, RS_E_NOMEM, "no memory for names of tensors");
    rs_write_plan plan = {.tensors = all,
                          .n_tensors = 2 * l->n,
                          .metadata = t->o->metadata,
                          .n_metadata = t->o->n_metadata,
                          .stem = "adapter_model",
                          .shard_bytes = UINT64_MAX,
                          .force = t->o->force};
    if (s == RS_OK) s = rs_writer_new(t->o->out, &plan, &t->writer, err);
    rs_arena_free(&a);
    return s;
}

/* --- adapter_config.json --- */

/* PEFT takes a list of ends of names: "q_proj" alone, where every such matrix is a
 * target. */
static void put_targets(const rs_lora *l, rs_buf *b)
{
    bool first = true;
    for (int i = 0; i < l->n; i++) {
        const char *name = l->pairs[i].weight, *end = name + module_length(&l->pairs[i]);
        bool seen = false;
        if (l->kinds_suffice) {
            while (end[-1] != '.')
                end--;
            name = end;
            end = l->pairs[i].weight + module_length(&l->pairs[i]);
            for (int k = 0; k < i && !seen; k++)
                seen = l->pairs[k].at.offset == l->pairs[i].at.offset;
        }
        if (seen) continue;
        rs_buf_puts(b, first ? "\n    " : ",\n    ");
        rs_buf_json(b, name, (size_t)(end - name));
        first = false;
    }
}

static rs_status write_config(const rs_training *t, rs_err *err)
{
    const rs_lora *l = t->l;
    rs_buf b = {0};
    rs_buf_puts(&b, "{\n  \"alpha_pattern\": {},\n  \"base_model_name_or_path\": ");
    rs_buf_json(&b, t->o->base_name, strlen(t->o->base_name));
    rs_buf_puts(&b, ",\n  \"bias\": \"none\",\n  \"fan_in_fan_out\": false,\n"
                    "  \"inference_mode\": true,\n  \"init_lora_weights\": true,\n"
                    "  \"layers_pattern\": null,\n  \"layers_to_transform\": null,\n"
                    "  \"lora_alpha\": ");
    rs_buf_json_double(&b, l->alpha);
    rs_buf_printf(&b,
                  ",\n  \"lora_dropout\": 0.0,\n  \"modules_to_save\": null,\n"
                  "  \"peft_type\": \"LORA\",\n  \"r\": %d,\n  \"rank_pattern\": {},\n"
                  "  \"target_modules\": [",
                  l->rank);
    put_targets(l, &b);
    rs_buf_printf(&b,
                  "\n  ],\n  \"task_type\": \"CAUSAL_LM\",\n  \"use_dora\": false,\n"
                  "  \"use_rslora\": %s\n}\n",
                  l->rslora ? "true" : "false");
    rs_status s =
        b.failed ? rs_fail(err, RS_E_NOMEM, "no memory for a configuration")
                 : rs_writer_file(t->writer, "adapter_config.json", b.data, b.len, err);
    rs_buf_free(&b);
    return s;
}

/* --- README.md --- */

/* Text of somebody else's in a table or in front matter: no line feeds, no bars. */
static void put_plain(rs_buf *b, const char *text)
{
    for (; *text; text++)
        rs_buf_putc(b, (unsigned char)*text < 32 || *text == '|' ? ' ' : *text);
}

static void put_protection(const rs_training *t, rs_buf *b)
{
    static const char *const how[] = {[RS_PROJECT_EXACT] =
                                          "factors projected after every step",
                                      [RS_PROJECT_GRADIENT] = "gradients projected",
                                      [RS_PROJECT_NONE] = "measured only"};
    const rs_leak *leak = &t->records[t->o->adamw.steps - 1].leak;
    if (!rs_protects(t->p)) return;
    rs_buf_printf(b, "| protected subspace | %s, strength %g |\n", how[t->o->projecting],
                  t->o->strength);
    rs_buf_printf(b, "| of the change inside it | %.2g (outputs), %.2g (inputs) |\n",
                  leak->out, leak->in);
}

static void put_card(const rs_training *t, rs_buf *b)
{
    const rs_train_options *o = t->o;
    const rs_adamw *a = &o->adamw;
    rs_buf_puts(b, "---\nbase_model: ");
    rs_buf_json(b, o->base_name, strlen(o->base_name));
    rs_buf_puts(
        b, "\nlibrary_name: peft\ntags:\n- lora\n- ringside\n---\n\n# LoRA adapter\n\n"
           "Trained with ringside, the base model frozen.\n\n| | |\n| --- | --- |\n");
    rs_buf_printf(b, "| matrices | %d |\n| rank, alpha | %d, %g%s |\n", t->l->n,
                  t->l->rank, t->l->alpha, t->l->rslora ? " (rsLoRA)" : "");
    rs_buf_printf(b, "| steps | %" PRId64 " of %" PRId64 " sequences |\n", a->steps,
                  o->batch);
    rs_buf_printf(
        b, "| AdamW | rate %g, %s, %" PRId64 " steps of warm-up, decay %g, clip %g |\n",
        a->rate, a->schedule == RS_SCHEDULE_COSINE ? "cosine" : "constant", a->warmup,
        a->decay, a->clip);
    rs_buf_printf(b, "| loss of the last step | %.4f nat a token |\n",
                  t->records[a->steps - 1].loss);
    put_protection(t, b);
    rs_buf_puts(b, "\n## Corpora\n\n| corpus | weight | sequences | epochs |\n"
                   "| --- | --- | --- | --- |\n");
    for (int i = 0; i < t->n_corpora; i++) {
        const rs_train_corpus *c = &t->corpora[i];
        rs_buf_puts(b, "| ");
        put_plain(b, rs_path_basename(c->name)); /* it tells nothing of the disk */
        rs_buf_printf(b, " | %g | %d | %.2f |\n", c->weight, c->n_train,
                      (double)t->queues[i].taken / (double)c->n_train);
    }
}

static rs_status write_card(const rs_training *t, rs_err *err)
{
    rs_buf b = {0};
    put_card(t, &b);
    rs_status s = b.failed ? rs_fail(err, RS_E_NOMEM, "no memory for a card")
                           : rs_writer_file(t->writer, "README.md", b.data, b.len, err);
    rs_buf_free(&b);
    return s;
}

static rs_status write_factors(const rs_training *t, rs_err *err)
{
    for (int i = 0; i < t->l->n; i++) {
        const rs_lora_pair *p = &t->l->pairs[i];
        size_t a = (size_t)(t->l->rank * p->cols) * sizeof(float);
        size_t b = (size_t)(t->l->rank * p->rows) * sizeof(float);
        RS_TRY(rs_writer_write(t->writer, 2 * i, 0, p->a, a, err));
        RS_TRY(rs_writer_write(t->writer, 2 * i + 1, 0, p->b, b, err));
    }
    return RS_OK;
}

rs_status rs_training_write(rs_training *t, char hash[33], rs_err *err)
{
    RS_TRY(write_factors(t, err));
    RS_TRY(write_config(t, err));
    RS_TRY(write_card(t, err));
    RS_TRY(rs_writer_finish(t->writer, hash, err));
    t->can_resume = false; /* nothing is left to do */
    return RS_OK;
}
