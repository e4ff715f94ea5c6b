/* gguf_config_parts.h - what the files that make a config.json out of a GGUF share: keys of
 * the architecture, lines of JSON, and the lines that all families have. */
#ifndef RS_GGUF_CONFIG_PARTS_H
#define RS_GGUF_CONFIG_PARTS_H

#include "store/gguf.h"

typedef struct rs_gc {
    const rs_gguf *g;
    const char *arch;
    rs_buf *out; /* the text so far; rs_gc_put_start begins it */
    rs_err *err;
    int64_t n_layers;
} rs_gc;

enum {
    RS_GC_NUMBER = 48, /* bytes of a number's text */
    RS_GC_MAX_LAYERS = 2048
};

/* The key ARCH.name, or NULL. */
const rs_gguf_value *rs_gc_find(const rs_gc *b, const char *name);
rs_status rs_gc_need_int(const rs_gc *b, const char *name, int64_t *out) RS_MUST_USE;
/* One number or one for each layer: its value for a layer. */
rs_status rs_gc_need_layer_int(const rs_gc *b, const char *name, int64_t layer,
                               int64_t *out) RS_MUST_USE;
/* The same value for all layers, or an error. */
rs_status rs_gc_need_same_int(const rs_gc *b, const char *name, int64_t *out) RS_MUST_USE;
/* *out stays where there is no such key; what is there must be a finite number. */
rs_status rs_gc_opt_number(const rs_gc *b, const char *name, double *out) RS_MUST_USE;
rs_status rs_gc_rows_of(const rs_gc *b, const char *tensor, int64_t *rows) RS_MUST_USE;

/* "key": text */
void rs_gc_put(const rs_gc *b, const char *key, const char *text);
void rs_gc_put_int(const rs_gc *b, const char *key, int64_t v);
void rs_gc_put_number(const rs_gc *b, const char *key, double v);
/* Keys hold float32 numbers: the shortest text that gives the same float32. */
void rs_gc_number_text(double v, char text[RS_GC_NUMBER]);
/* A whole-number key of the same meaning. */
rs_status rs_gc_copy_int(const rs_gc *b, const char *key, const char *name) RS_MUST_USE;
rs_status rs_gc_copy_same_int(const rs_gc *b, const char *key,
                              const char *name) RS_MUST_USE;
rs_status rs_gc_copy_number(const rs_gc *b, const char *key, const char *name,
                            double otherwise) RS_MUST_USE;

/* RS_E_UNSUPPORTED: the key is there and has another value. */
rs_status rs_gc_must_be(const rs_gc *b, const char *name, int64_t want) RS_MUST_USE;
/* Experts, scales, caps and attention to what follows: what the models of this architecture
 * do not have. */
rs_status rs_gc_refuse_others(const rs_gc *b) RS_MUST_USE;

/* Class, tokens, activation; then the sizes, which stand in keys of one name. */
void rs_gc_put_start(const rs_gc *b, const char *class, const char *model_type,
                     const char *activation, rs_dtype d);
rs_status rs_gc_put_sizes(const rs_gc *b) RS_MUST_USE;
/* Values are as long as keys, and every pair of a head turns, or RS_E_UNSUPPORTED. */
rs_status rs_gc_one_head(const rs_gc *b, int64_t head_dim) RS_MUST_USE;
/* "layer_types": by attention.sliding_window_pattern, a list or a number, else each
 * every-th layer is full. *slides: some layer slides. */
rs_status rs_gc_put_layer_types(const rs_gc *b, int64_t every, bool *slides) RS_MUST_USE;

/* By how much the keys divide positions, 1: not at all. Any other scaling of RoPE (yarn,
 * longrope ...) is RS_E_UNSUPPORTED. */
rs_status rs_gc_linear_factor(const rs_gc *b, double *factor) RS_MUST_USE;
/* "rope_scaling": null, or linear by the factor. */
void rs_gc_put_linear(const rs_gc *b, double factor);

/* gguf_config_llama.c: architecture llama, which Llama and Mistral share. */
rs_status rs_gc_llama(const rs_gc *b, rs_dtype d) RS_MUST_USE;

#endif
