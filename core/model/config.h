/* config.h - what a checkpoint's config.json (or a GGUF's keys) says about the computation.
 *
 * One rs_config describes a text model of any supported family completely: after loading no
 * code looks at JSON again. Everything is checked (ranges, agreement of layers, agreement
 * with the tensors' shapes). Spellings: gemma.md 1; unknown families, rope types and
 * bidirectional attention are refused by name. Immutable after loading; owned by caller. */
#ifndef RS_CONFIG_H
#define RS_CONFIG_H

#include "base/status.h"
#include "store/checkpoint.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct rs_family rs_family; /* family.h: the row of the family table */

typedef struct rs_layer_config {
    bool is_full;   /* full attention; else sliding */
    bool is_sharer; /* has no K/V of its own */
    bool is_donor;  /* another layer reads its K/V */
    int kv_layer;   /* whose K/V it reads: itself unless is_sharer */
    int head_dim, n_kv_heads, intermediate;
    int rope_pairs; /* how many of head_dim/2 pairs turn (proportional RoPE: fewer) */
    double rope_theta, rope_factor; /* frequencies are divided by rope_factor (linear) */
    double rope_low, rope_high, rope_original; /* llama3: where they are; 0: not llama3 */
} rs_layer_config;

typedef struct rs_config {
    const rs_family *family;
    char model_type[64]; /* "gemma4_text" ... */
    int n_layers, hidden, n_heads, vocab, sliding_window, max_positions;
    int ple_width, ple_vocab; /* per-layer embeddings; 0 where there are none */
    double rms_eps, final_softcap /* 0: none */, attn_softcap, attn_scale, embed_scale;
    bool tied_head;
    int bos, pad;            /* -1: none */
    int eos[16], n_eos;      /* union of config.json and generation_config.json */
    rs_layer_config *layers; /* [n_layers] */
    /* generation_config.json's defaults, where given */
    bool do_sample;
    double temperature, top_p;
    int top_k;
} rs_config;

rs_status rs_config_load(const rs_checkpoint *c, rs_config **out,
                         rs_err *err) RS_MUST_USE;
void rs_config_free(rs_config *c); /* NULL is fine */

/* The largest of any layer: heads x head_dim, K/V heads x head_dim, ... */
typedef struct rs_widths {
    int64_t queries, keys, mlp, head;
} rs_widths;

rs_widths rs_config_widest(const rs_config *c);

#endif
