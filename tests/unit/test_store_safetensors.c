/* One safetensors file: what is read from it, and every way in which it can be bad. */
#include "base/rng.h"
#include "store/checkpoint.h"
#include "tensor/convert.h"
#include "tests/files.h"
#include "tests/t.h"

#include <stdint.h>

static const char *dir; /* of the running test */

static rs_status open_with(const char *header, size_t n_data, rs_checkpoint **c)
{
    const char *path = in_folder(dir, "x.safetensors");
    put_safetensors(path, header, n_data);
    return rs_checkpoint_open(path, c, &t_err);
}

static void reads_header_and_data(void)
{
    dir = t_folder();
    rs_checkpoint *c;
    T_OK(open_with(
        "{\"__metadata__\":{\"format\":\"pt\",\"n\\u00f6te\":\"x\"},"
        "\"b\":{\"dtype\":\"BF16\",\"shape\":[2,3],\"data_offsets\":[8,20]},"
        "\"a\":{\"data_offsets\":[0,8],\"shape\":[2],\"dtype\":\"F32\",\"extra\":[{}]},"
        "\"empty\":{\"dtype\":\"F32\",\"shape\":[0,7],\"data_offsets\":[20,20]},"
        "\"scalar\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[20,21]}}   ",
        21, &c));
    T_EQ(rs_checkpoint_count(c), 4);
    T_EQ(rs_checkpoint_layout(c), RS_LAYOUT_FILE);
    T_EQ(rs_checkpoint_bytes(c), 21);
    T_STR(rs_checkpoint_at(c, 0)->name, "a"); /* in the file's order */
    T_STR(rs_checkpoint_at(c, 1)->name, "b");
    const rs_tensor *b = rs_checkpoint_find(c, "b");
    T_TRUE(b == rs_checkpoint_at(c, 1) && b->n_dims == 2 && b->dim[0] == 2 &&
           b->dim[1] == 3);
    T_EQ(b->n_elements, 6);
    T_EQ(b->n_bytes, 12);
    T_EQ(b->dtype, RS_DTYPE_BF16);
    T_STR(b->stored_name, "b");
    char shape[64];
    rs_tensor_shape(b, shape, sizeof shape);
    T_STR(shape, "[2, 3] bf16");
    rs_tensor_shape(rs_checkpoint_find(c, "scalar"), shape, sizeof shape);
    T_STR(shape, "[] u8");
    unsigned char raw[12];
    T_OK(rs_checkpoint_read_raw(c, b, 4, 3, raw, &t_err));
    T_TRUE(raw[0] == 12 && raw[2] == 14);
    float f[6];
    T_OK(rs_checkpoint_read_f32(c, b, 1, 2, f, &t_err));
    T_TRUE(f[0] == rs_bf16_to_f32(0x0b0a) && f[1] == rs_bf16_to_f32(0x0d0c));
    T_OK(rs_checkpoint_read_f32(c, rs_checkpoint_find(c, "scalar"), 0, 1, f, &t_err));
    T_TRUE(f[0] == 20);
    T_OK(rs_checkpoint_read_f32(c, rs_checkpoint_find(c, "empty"), 0, 0, f, &t_err));
    T_STR(rs_checkpoint_metadata(c, "format"), "pt");
    T_STR(rs_checkpoint_metadata(c, "n\xc3\xb6te"), "x");
    T_TRUE(rs_checkpoint_metadata(c, "none") == NULL &&
           rs_checkpoint_find(c, "none") == NULL);
    T_EQ(rs_checkpoint_n_metadata(c), 2);
    T_STR(rs_checkpoint_folder(c), dir);
    T_TRUE(rs_checkpoint_gguf(c) == NULL);
    rs_checkpoint_close(c);
}

static void ranges_are_checked(void)
{
    dir = t_folder();
    rs_checkpoint *c;
    float f[8];
    T_OK(open_with("{\"w\":{\"dtype\":\"F16\",\"shape\":[4],\"data_offsets\":[0,8]},"
                   "\"q\":{\"dtype\":\"F8_E4M3\",\"shape\":[4],\"data_offsets\":[8,12]}}",
                   12, &c));
    const rs_tensor *w = rs_checkpoint_find(c, "w"), *q = rs_checkpoint_find(c, "q");
    T_FAILS(rs_checkpoint_read_f32(c, w, 2, 3, f, &t_err), RS_E_INVALID,
            "3 elements from 2 of tensor w, which has 4");
    T_FAILS(rs_checkpoint_read_f32(c, w, -1, 1, f, &t_err), RS_E_INVALID, "w");
    T_FAILS(rs_checkpoint_read_f32(c, w, 1, INT64_MAX, f, &t_err), RS_E_INVALID, "w");
    T_FAILS(rs_checkpoint_read_raw(c, w, 9, 0, f, &t_err), RS_E_INVALID, "which has 8");
    T_FAILS(rs_checkpoint_read_raw(c, w, 4, SIZE_MAX, f, &t_err), RS_E_INVALID, "w");
    T_FAILS(rs_checkpoint_read_f32(c, q, 0, 4, f, &t_err), RS_E_UNSUPPORTED,
            "tensor q is f8_e4m3");
    T_OK(rs_checkpoint_read_raw(c, q, 0, 4, f, &t_err)); /* but carried through */
    rs_checkpoint_close(c);
}

#define T1 "\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}"

static const struct bad_header {
    const char *header;
    size_t n_data;
    rs_status status;
    const char *says;
} bad_headers[] = {
    {"", 0, RS_E_FORMAT, "x.safetensors"},
    {"[]", 0, RS_E_FORMAT, "the header is not a JSON object"},
    {"{" T1, 8, RS_E_FORMAT, "byte"},
    {"{" T1 "} x", 8, RS_E_FORMAT, "x.safetensors"},
    {"{" T1 "," T1 "}", 8, RS_E_FORMAT, "has the tensor a twice"},
    {"{\"\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, RS_E_FORMAT,
     "name is empty"},
    {"{\"a\\u0000b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8,
     RS_E_FORMAT, "has a zero in it"},
    {"{\"a\":7}", 8, RS_E_FORMAT, "tensor a: its entry is not an object"},
    {"{\"a\":{\"shape\":[2],\"data_offsets\":[0,8]}}", 8, RS_E_FORMAT, "it has no dtype"},
    {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,8]}}", 8, RS_E_FORMAT,
     "it has no shape"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", 8, RS_E_FORMAT,
     "it has no data_offsets"},
    {"{\"a\":{\"dtype\":3,\"shape\":[2],\"data_offsets\":[0,8]}}", 8, RS_E_FORMAT,
     "dtype is not a string"},
    {"{\"a\":{\"dtype\":\"F33\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8,
     RS_E_UNSUPPORTED, "its dtype \"F33\" is not known"},
    {"{\"a\":{\"dtype\":\"bf16\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4,
     RS_E_UNSUPPORTED, "its dtype \"bf16\""},
    {"{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,"
     "8]}}",
     8, RS_E_FORMAT, "its dtype is given twice"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"shape\":[2],\"data_offsets\":[0,8]}}", 8,
     RS_E_FORMAT, "its shape is given twice"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":2,\"data_offsets\":[0,8]}}", 8, RS_E_FORMAT,
     "its shape is not an array"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[\"2\"],\"data_offsets\":[0,8]}}", 8,
     RS_E_FORMAT, "something else than numbers"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}", 8, RS_E_FORMAT,
     "a dimension"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2.5],\"data_offsets\":[0,8]}}", 8, RS_E_FORMAT,
     "a dimension"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1e30],\"data_offsets\":[0,8]}}", 8,
     RS_E_FORMAT, "a dimension"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,2],\"data_offsets\":[0,8]}"
     "}",
     8, RS_E_UNSUPPORTED, "more than 8 dimensions"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":["
     "0,8]}}",
     8, RS_E_FORMAT, "the product of its dimensions overflows"},
    {"{\"a\":{\"dtype\":\"F64\",\"shape\":[4503599627370496,2048],\"data_offsets\":["
     "0,8]}}",
     8, RS_E_FORMAT, "overflows"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,8]}}", 8, RS_E_FORMAT,
     "[3] f32 needs 12 bytes but its offsets span 8"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0]}}", 8, RS_E_FORMAT,
     "not an array of two numbers"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8,9]}}", 8, RS_E_FORMAT,
     "not an array of two numbers"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[-8,0]}}", 8, RS_E_FORMAT,
     "a data offset"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}", 8, RS_E_FORMAT,
     "ends at 0, before its start 8"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 7, RS_E_FORMAT,
     "ends at 8 but the file has 7 bytes of data"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[9007199254740984,"
     "9007199254740992]}}",
     8, RS_E_FORMAT, "but the file has 8 bytes"},
    {"{" T1 "}", 9, RS_E_FORMAT, "1 bytes after the last tensor belong to no tensor"},
    {"{" T1 ",\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}", 12,
     RS_E_FORMAT, "tensors a and b share 4 bytes"},
    {"{" T1 ",\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[10,12]}}", 12,
     RS_E_FORMAT, "2 bytes before tensor b belong to no tensor"},
    {"{\"__metadata__\":[]," T1 "}", 8, RS_E_FORMAT, "__metadata__ is not an object"},
    {"{\"__metadata__\":{\"k\":1}," T1 "}", 8, RS_E_FORMAT,
     "__metadata__ \"k\" is not a string"},
    {"{\"__metadata__\":{},\"__metadata__\":{}," T1 "}", 8, RS_E_FORMAT, "twice"},
    {"{\"a\xff\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8,
     RS_E_FORMAT, "UTF-8"},
};

static void refuses_bad_headers(void)
{
    dir = t_folder();
    int open_before = count_open_files();
    for (size_t i = 0; i < sizeof bad_headers / sizeof *bad_headers; i++) {
        rs_checkpoint *c;
        const struct bad_header *bad = &bad_headers[i];
        T_FAILS(open_with(bad->header, bad->n_data, &c), bad->status, bad->says);
        T_TRUE(c == NULL && strstr(t_err.msg, "x.safetensors"));
    }
    T_EQ(count_open_files(), open_before);
}

static void refuses_bad_lengths(void)
{
    dir = t_folder();
    const char *path = in_folder(dir, "x.safetensors");
    rs_checkpoint *c;
    unsigned char start[16] = "";
    put_file(path, "", 0);
    T_FAILS(rs_checkpoint_open(path, &c, &t_err), RS_E_FORMAT, "has 0 bytes: too short");
    put_file(path, start, 7);
    T_FAILS(rs_checkpoint_open(path, &c, &t_err), RS_E_FORMAT, "has 7 bytes: too short");
    rs_put_le64(start, 9);
    put_file(path, start, 16);
    T_FAILS(rs_checkpoint_open(path, &c, &t_err), RS_E_FORMAT,
            "should have 9 bytes but the file has 16");
    rs_put_le64(start, UINT64_MAX);
    put_file(path, start, 16);
    T_FAILS(rs_checkpoint_open(path, &c, &t_err), RS_E_FORMAT,
            "18446744073709551615 bytes");
    /* a sparse file that could hold it: the cap speaks */
    rs_put_le64(start, 200000000);
    put_file(path, start, 16);
    T_EQ(truncate(path, 300000000), 0);
    T_FAILS(rs_checkpoint_open(path, &c, &t_err), RS_E_FORMAT,
            "a header of 200000000 bytes, at most 100000000 are accepted");
}

static void refuses_deep_headers(void)
{
    dir = t_folder();
    enum { DEEP = 100000 };
    char *text = kept(malloc(DEEP + 16));
    int n = sprintf(text, "{\"a\":{\"x\":");
    memset(text + n, '[', DEEP);
    text[n + DEEP] = 0;
    rs_checkpoint *c;
    T_FAILS(open_with(text, 0, &c), RS_E_FORMAT, "deep");
}

static void refuses_what_is_no_tensor_file(void)
{
    dir = t_folder();
    rs_checkpoint *c;
    put_text(in_folder(dir, "pytorch_model.bin"), "PK");
    T_FAILS(rs_checkpoint_open(in_folder(dir, "pytorch_model.bin"), &c, &t_err),
            RS_E_UNSUPPORTED, "pickle file, which can run any code");
    put_file(in_folder(dir, "weights"), "PK\3\4 and so on", 12);
    T_FAILS(rs_checkpoint_open(in_folder(dir, "weights"), &c, &t_err), RS_E_UNSUPPORTED,
            "zip archive");
    put_text(in_folder(dir, "model.gguf"), "not really");
    T_FAILS(rs_checkpoint_open(in_folder(dir, "model.gguf"), &c, &t_err), RS_E_FORMAT,
            "does not begin with \"GGUF\"");
    T_FAILS(rs_checkpoint_open(in_folder(dir, "gone"), &c, &t_err), RS_E_NOT_FOUND,
            "gone");
    char longer[5000];
    memset(longer, 'a', sizeof longer);
    longer[4999] = 0;
    T_FAILS(rs_checkpoint_open(longer, &c, &t_err), RS_E_INVALID, "too long");
    T_EQ(symlink("loop.safetensors", in_folder(dir, "loop.safetensors")), 0);
    T_FAILS(rs_checkpoint_open(in_folder(dir, "loop.safetensors"), &c, &t_err), RS_E_IO,
            "Too many levels of symbolic links");
}

static void a_file_that_shrinks_is_an_error(void)
{
    dir = t_folder();
    rs_checkpoint *c;
    float f[2];
    T_OK(open_with("{" T1 "}", 8, &c));
    T_EQ(truncate(in_folder(dir, "x.safetensors"), 60), 0);
    T_FAILS(rs_checkpoint_read_f32(c, rs_checkpoint_at(c, 0), 0, 2, f, &t_err), RS_E_IO,
            "tensor a: read");
    rs_checkpoint_close(c);
}

static void identity_tells_files_apart(void)
{
    dir = t_folder();
    rs_checkpoint *c;
    char a[33], b[33], again[33];
    T_OK(open_with("{" T1 "}", 8, &c));
    T_OK(rs_checkpoint_identity(c, a, &t_err));
    rs_checkpoint_close(c);
    T_OK(rs_checkpoint_open(in_folder(dir, "x.safetensors"), &c, &t_err));
    T_OK(rs_checkpoint_identity(c, again, &t_err));
    rs_checkpoint_close(c);
    T_STR(a, again);
    T_EQ(strlen(a), 32);
    T_OK(open_with("{" T1 "} ", 8, &c));
    T_OK(rs_checkpoint_identity(c, b, &t_err));
    rs_checkpoint_close(c);
    T_TRUE(strcmp(a, b) != 0);
}

/* 40,000 tensors: as large models of many experts have. */
static void many_tensors(void)
{
    dir = t_folder();
    rs_buf h = {0};
    rs_checkpoint *c;
    enum { MANY = 40000 };
    for (int i = 0; i < MANY; i++)
        rs_buf_printf(
            &h,
            "%s\"model.layers.%d.mlp.experts.%d.down_proj.weight\":{\"dtype\":\"BF16\","
            "\"shape\":[1,2],\"data_offsets\":[%d,%d]}",
            i ? "," : "{", i / 400, i % 400, 4 * i, 4 * i + 4);
    rs_buf_puts(&h, "}");
    T_OK(open_with(h.data, MANY * 4, &c));
    T_EQ(rs_checkpoint_count(c), MANY);
    const rs_tensor *t =
        rs_checkpoint_find(c, "model.layers.99.mlp.experts.399.down_proj.weight");
    T_TRUE(t == rs_checkpoint_at(c, MANY - 1));
    rs_checkpoint_close(c);
    rs_buf_free(&h);
}

/* Any range of elements, across the pieces that reading is done in. */
static void ranges_join_up(void)
{
    dir = t_folder();
    rs_checkpoint *c;
    enum { N = 1 << 20 };
    char header[128];
    snprintf(header, sizeof header,
             "{\"w\":{\"dtype\":\"I16\",\"shape\":[%d],\"data_offsets\":[0,%d]}}", N,
             2 * N);
    put_safetensors(in_folder(dir, "w.safetensors"), header, 2 * N);
    T_OK(rs_checkpoint_open(in_folder(dir, "w.safetensors"), &c, &t_err));
    const rs_tensor *w = rs_checkpoint_at(c, 0);
    float *all = kept(malloc(N * sizeof *all)), *part = kept(malloc(N * sizeof *part));
    T_OK(rs_checkpoint_read_f32(c, w, 0, N, all, &t_err));
    T_TRUE(all[128] == 256 && all[255] == (float)(int16_t)0xfffe); /* bytes 0 1 2 ... */
    for (uint64_t i = 0; i < 200; i++) {
        int64_t first = (int64_t)(rs_rng_at(9, 0, i) % N);
        int64_t n = (int64_t)(rs_rng_at(9, 1, i) % (uint64_t)(N - first + 1));
        T_OK(rs_checkpoint_read_f32(c, w, first, n, part, &t_err));
        T_EQ(memcmp(part, all + first, (size_t)n * 4), 0);
    }
    rs_checkpoint_close(c);
}

T_MAIN(T_TEST(reads_header_and_data), T_TEST(ranges_are_checked),
       T_TEST(refuses_bad_headers), T_TEST(refuses_bad_lengths),
       T_TEST(refuses_deep_headers), T_TEST(refuses_what_is_no_tensor_file),
       T_TEST(a_file_that_shrinks_is_an_error), T_TEST(identity_tells_files_apart),
       T_TEST(many_tensors), T_TEST(ranges_join_up))
