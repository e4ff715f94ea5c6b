/* synthetic.h - models and adapters of any size and family with random numbers, for tests and
 * benchmarks where size matters. The names and shapes are those that the config asks for. */
#ifndef SYNTHETIC_H
#define SYNTHETIC_H

#include "base/buf.h"
#include "base/os.h"
#include "base/rng.h"
#include "model/family.h"
#include "store/writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SYNTHETIC_MAX = 8192, SYNTHETIC_CHUNK = 4 << 20 };

typedef struct synthetic {
    rs_config *config;
    rs_write_tensor at[SYNTHETIC_MAX];
    bool norm[SYNTHETIC_MAX]; /* holds what the model multiplies by: about 1 */
    int n;
} synthetic;

static inline void synthetic_add(synthetic *s, const char *name, int64_t rows,
                                 int64_t cols, bool norm)
{
    if (s->n == SYNTHETIC_MAX) return;
    char *copy = malloc(strlen(name) + 1);
    if (!copy) return;
    strcpy(copy, name);
    rs_write_tensor t = {copy, RS_DTYPE_BF16, cols ? 2 : 1, {rows, cols}};
    s->norm[s->n] = norm;
    s->at[s->n++] = t;
}

/* The config of a folder that has no weights yet: beside a file that holds nothing of it. */
static inline rs_status synthetic_config(const char *folder, const char *json,
                                         rs_config **out, rs_err *err)
{
    static const rs_write_tensor t = {"vision_tower.nothing", RS_DTYPE_BF16, 1, {1}};
    char path[1024], hash[33];
    rs_checkpoint *c;
    rs_writer *w;
    rs_write_plan plan = {.tensors = &t, .n_tensors = 1, .force = true};
    if (snprintf(path, sizeof path, "%s.config", folder) >= (int)sizeof path)
        return RS_E_INVALID;
    RS_TRY(rs_writer_new(path, &plan, &w, err));
    rs_status s = rs_writer_write(w, 0, 0, "\0\0", 2, err);
    if (s == RS_OK) s = rs_writer_file(w, "config.json", json, strlen(json), err);
    if (s == RS_OK) s = rs_writer_finish(w, hash, err);
    rs_writer_free(w);
    if (s == RS_OK) s = rs_checkpoint_open(path, &c, err);
    if (s != RS_OK) return s;
    s = rs_config_load(c, out, err);
    rs_checkpoint_close(c);
    return s == RS_OK ? rs_os_remove_tree(path, err) : s;
}

static inline void synthetic_slots(synthetic *s, int layer)
{
    const rs_config *c = s->config;
    const rs_slot *slot = layer < 0 ? c->family->model_slots : c->family->layer_slots;
    for (; slot->tail; slot++) {
        char name[256] = "model.";
        if (!rs_slot_needed(c, layer, slot)) continue;
        if (strcmp(slot->tail, "lm_head.weight") == 0) name[0] = 0;
        if (layer >= 0) snprintf(name, sizeof name, "model.layers.%d.", layer);
        snprintf(name + strlen(name), sizeof name - strlen(name), "%s", slot->tail);
        synthetic_add(s, name, rs_slot_size(c, layer, slot->rows),
                      slot->cols == RS_SIZE_NONE ? 0 : rs_slot_size(c, layer, slot->cols),
                      slot->form != RS_FORM_MATRIX);
    }
}

/* Random bf16 numbers: +-0.016 to 0.03, or (norms) what multiplies by 1. */
static inline rs_status synthetic_fill(rs_writer *w, const synthetic *s, rs_err *err)
{
    uint16_t *random = malloc(SYNTHETIC_CHUNK), *ones = malloc(SYNTHETIC_CHUNK);
    rs_rng r = rs_rng_stream(1, 0);
    bool zero = s->config && s->config->family->norm == RS_NORM_ONE_PLUS_W;
    for (int i = 0; random && i < SYNTHETIC_CHUNK / 2; i++)
        random[i] = (uint16_t)(0x3c80 | (rs_rng_next(&r) & 0x807f));
    for (int i = 0; ones && i < SYNTHETIC_CHUNK / 2; i++)
        ones[i] = zero ? 0 : 0x3f80;
    rs_status status = random && ones ? RS_OK : RS_E_NOMEM;
    for (int i = 0; i < s->n && status == RS_OK; i++) {
        uint64_t bytes = 2 * (uint64_t)s->at[i].dim[0];
        if (s->at[i].n_dims == 2) bytes *= (uint64_t)s->at[i].dim[1];
        for (uint64_t at = 0; at < bytes && status == RS_OK; at += SYNTHETIC_CHUNK) {
            uint64_t n = bytes - at < SYNTHETIC_CHUNK ? bytes - at : SYNTHETIC_CHUNK;
            status = rs_writer_write(w, i, at, s->norm[i] ? ones : random, n, err);
        }
    }
    free(random);
    free(ones);
    return status;
}

static inline rs_status synthetic_write(synthetic *s, const char *folder,
                                        const char *stem, const char *config_name,
                                        const char *json, rs_err *err)
{
    char hash[33];
    rs_writer *w;
    rs_write_plan plan = {
        .tensors = s->at, .n_tensors = s->n, .stem = stem, .force = true};
    rs_status status = rs_writer_new(folder, &plan, &w, err);
    if (status != RS_OK) return status;
    status = synthetic_fill(w, s, err);
    if (status == RS_OK) status = rs_writer_file(w, config_name, json, strlen(json), err);
    if (status == RS_OK) status = rs_writer_finish(w, hash, err);
    rs_writer_free(w);
    return status;
}

static inline void synthetic_free(synthetic *s)
{
    for (int i = 0; s && i < s->n; i++)
        free((char *)s->at[i].name);
    if (s) rs_config_free(s->config);
    free(s);
}

/* json: a config.json. */
static inline rs_status synthetic_model(const char *folder, const char *json, rs_err *err)
{
    synthetic *s = calloc(1, sizeof *s);
    if (!s) return RS_E_NOMEM;
    rs_status status = synthetic_config(folder, json, &s->config, err);
    for (int l = -1; status == RS_OK && l < s->config->n_layers; l++)
        synthetic_slots(s, l);
    if (status == RS_OK)
        status = synthetic_write(s, folder, NULL, "config.json", json, err);
    synthetic_free(s);
    return status;
}

static inline void synthetic_factors(synthetic *s, const rs_config *c, int layer,
                                     int rank)
{
    for (const rs_slot *t = c->family->layer_slots; t->tail; t++) {
        char name[256];
        const char *dot = strstr(t->tail, "_proj.weight");
        if (t->form != RS_FORM_MATRIX || !dot || !rs_slot_needed(c, layer, t)) continue;
        int n = snprintf(name, sizeof name, "base_model.model.model.layers.%d.%.*s",
                         layer, (int)(dot + 5 - t->tail), t->tail);
        snprintf(name + n, sizeof name - (size_t)n, ".lora_A.weight");
        synthetic_add(s, name, rank, rs_slot_size(c, layer, t->cols), false);
        snprintf(name + n, sizeof name - (size_t)n, ".lora_B.weight");
        synthetic_add(s, name, rs_slot_size(c, layer, t->rows), rank, false);
    }
}

/* An adapter for every *_proj of the layers of the model with this config.json. */
static inline rs_status synthetic_adapter(const char *folder, const char *json, int rank,
                                          rs_err *err)
{
    char text[256];
    rs_config *c = NULL;
    synthetic *s = calloc(1, sizeof *s);
    if (!s) return RS_E_NOMEM;
    rs_status status = synthetic_config(folder, json, &c, err);
    for (int l = 0; status == RS_OK && l < c->n_layers; l++)
        synthetic_factors(s, c, l, rank);
    snprintf(
        text, sizeof text,
        "{\"peft_type\":\"LORA\",\"task_type\":\"CAUSAL_LM\",\"r\":%d,\"lora_alpha\":%d,"
        "\"bias\":\"none\",\"target_modules\":\"all-linear\"}",
        rank, rank);
    if (status == RS_OK)
        status =
            synthetic_write(s, folder, "adapter_model", "adapter_config.json", text, err);
    rs_config_free(c);
    synthetic_free(s);
    return status;
}

#endif
