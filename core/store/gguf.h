/* gguf.h - a GGUF file: its keys, its tensors, and what they mean for Hugging Face.
 *
 * The file, little-endian: "GGUF", u32 version (2 or 3), u64 tensors, u64 keys; keys as
 * string, u32 type, value; tensors as string, u32 dimensions (at most 4), u64 for each, u32
 * type, u64 offset; then, aligned, the data. A string is u64 length and bytes. Arrays hold
 * one type; arrays of arrays are refused.
 *
 * The part before the data is kept in memory (6.5 MB for Gemma's 262,144 pieces) with an
 * offset for each string of an array. All counts are checked against the bytes that are
 * there before anything is allocated. Immutable after opening; values are borrowed. */
#ifndef RS_GGUF_H
#define RS_GGUF_H

#include "base/buf.h"
#include "base/hash.h"
#include "base/status.h"
#include "store/checkpoint.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum rs_gguf_type {
    RS_GGUF_U8,
    RS_GGUF_I8,
    RS_GGUF_U16,
    RS_GGUF_I16,
    RS_GGUF_U32,
    RS_GGUF_I32,
    RS_GGUF_F32,
    RS_GGUF_BOOL,
    RS_GGUF_STRING,
    RS_GGUF_ARRAY,
    RS_GGUF_U64,
    RS_GGUF_I64,
    RS_GGUF_F64,
    RS_GGUF_N_TYPES
} rs_gguf_type;

typedef struct rs_gguf_value {
    const char *key;
    rs_gguf_type type; /* of the elements, where is_array */
    bool is_array;
    int64_t count;             /* 1 unless is_array */
    const unsigned char *data; /* the elements as stored (strings: their lengths too) */
    const uint32_t *string_at; /* of string arrays: where each begins, from data */
} rs_gguf_value;

typedef struct rs_gguf rs_gguf;

/* Reads the header of an open file of `size` bytes. path is for the sentences. */
rs_status rs_gguf_open(int fd, const char *path, uint64_t size, rs_gguf **out,
                       rs_err *err) RS_MUST_USE;
/* The same of bytes in memory, which are copied: the first n of a file of `size` bytes. */
rs_status rs_gguf_parse(const void *bytes, size_t n, uint64_t size, const char *path,
                        rs_gguf **out, rs_err *err) RS_MUST_USE;
void rs_gguf_free(rs_gguf *g); /* NULL is fine */

int rs_gguf_n_keys(const rs_gguf *g);
const rs_gguf_value *rs_gguf_key_at(const rs_gguf *g, int i);
const rs_gguf_value *rs_gguf_get(const rs_gguf *g, const char *key); /* NULL: absent */

/* Element i of a value, 0 <= i < count. false: not of that kind. Integers: any integer type,
 * bool, or a float that is whole; numbers: any of these and floats. */
bool rs_gguf_int_at(const rs_gguf_value *v, int64_t i, int64_t *out);
bool rs_gguf_number_at(const rs_gguf_value *v, int64_t i, double *out);
/* Not 0-terminated, any bytes. NULL: not a string. */
const char *rs_gguf_string_at(const rs_gguf_value *v, int64_t i, size_t *n);

/* Single values by key. false or NULL: absent, an array, or not of that kind. */
bool rs_gguf_int(const rs_gguf *g, const char *key, int64_t *out);
bool rs_gguf_number(const rs_gguf *g, const char *key, double *out);
bool rs_gguf_bool(const rs_gguf *g, const char *key, bool *out);
const char *rs_gguf_string(const rs_gguf *g, const char *key, size_t *n);
const char *rs_gguf_arch(const rs_gguf *g); /* general.architecture, "" if absent */

/* Tensors in file order, names as stored, dimensions already turned round to row-major,
 * offsets from the start of the file. */
int rs_gguf_n_tensors(const rs_gguf *g);
const rs_tensor *rs_gguf_tensor(const rs_gguf *g, int i);
const rs_tensor *rs_gguf_find(const rs_gguf *g, const char *stored_name);
uint64_t rs_gguf_data_start(const rs_gguf *g);
rs_hash128 rs_gguf_hash(const rs_gguf *g); /* of everything before the data */

/* What rope_freqs.weight holds: a divisor for the frequency of each pair of a head. NULL:
 * there is no such vector of float32, or it lies behind the bytes that were parsed. */
const float *rs_gguf_rope_factors(const rs_gguf *g, int *n);

/* gguf_pairs.c: *heads > 0 where the file stores the rows of this tensor (an entry of g) so
 * that the two which RoPE turns together are neighbours: rows 2p, 2p + 1 of a head are rows
 * p, p + head/2 at Hugging Face. Architecture llama does so with q and k. RS_E_FORMAT: the
 * rows are not that many heads. */
rs_status rs_gguf_paired_heads(const rs_gguf *g, const rs_tensor *t, int64_t *heads,
                               rs_err *err) RS_MUST_USE;
/* Where such a file has row `row` of the matrix at Hugging Face, by the rows of a head. */
uint64_t rs_gguf_paired_row(uint64_t head_dim, uint64_t row);

/* What Llama 3's scaling divides the frequency of a wave of this length by: waves longer than
 * original/low are stretched by the factor, those shorter than original/high stay, a blend
 * between. Where RS_GGUF_LLAMA3_KEY is there, it holds factor, low, high and original. */
#define RS_GGUF_LLAMA3_KEY "ringside.rope.llama3"
double rs_gguf_llama3_divisor(double wave, double factor, double low, double high,
                              double original);
/* Caps of gemma3 as a list, attention and logits, 0: none. The keys that other architectures
 * have for them are there in published files whose models have no caps. */
#define RS_GGUF_CAPS_KEY "ringside.softcapping"

/* gguf_names.c: the Hugging Face name of a tensor of this architecture into dst, and what is
 * to be added to its values (-1 for gemma3's norms, which carry a 1). false: not known, use
 * the stored name. */
bool rs_gguf_hf_name(const char *arch, const char *stored, char *dst, size_t n,
                     float *shift);
/* A table of frequencies (rope_freqs.weight), which is no tensor of the model: config.json
 * says what it holds. */
bool rs_gguf_is_table(const char *stored);
bool rs_gguf_arch_is_known(const char *arch);
/* The other way: the name in a GGUF of this architecture for a Hugging Face name
 * without its prefix ("embed_tokens.weight", in a layer "mlp.up_proj.weight"; layer -1:
 * outside), and what is to be added to its values. false: GGUF has no such tensor. */
bool rs_gguf_stored_name(const char *arch, int layer, const char *tail, char *dst,
                         size_t n, float *shift);

/* gguf_config.c: a config.json as Hugging Face would write it, from the keys (and where no
 * key says it, from the rules of the architecture). RS_E_UNSUPPORTED: another architecture. */
rs_status rs_gguf_config_json(const rs_gguf *g, rs_buf *out, rs_err *err) RS_MUST_USE;
/* The same, saying that the weights are F32, F16 or BF16 (what _json says). */
rs_status rs_gguf_config_for(const rs_gguf *g, rs_dtype dtype, rs_buf *out,
                             rs_err *err) RS_MUST_USE;

#endif
