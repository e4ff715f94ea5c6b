/* Fuzz target: the small files of a model or adapter folder. The first byte says which one the
 * rest is: c config.json, i the index of shards, a adapter_config.json, l the adapter's
 * safetensors; the others are sound. */
#include "base/bytes.h"
#include "base/os.h"
#include "merge/adapter.h"
#include "model/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char root[64];

static void remove_root(void)
{
    rs_err err;
    if (rs_os_remove_tree(root, &err) != RS_OK) abort();
}

static void put(const char *name, const void *data, size_t size)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", root, name);
    FILE *f = fopen(path, "wb");
    if (!f || (size && fwrite(data, 1, size, f) != size) || fclose(f) != 0) abort();
}

/* Tensors of zeros after this header. */
static void put_tensors(const char *name, const char *header, size_t bytes)
{
    static unsigned char file[4096];
    size_t n = strlen(header);
    memset(file, 0, sizeof file);
    for (int i = 0; i < 8; i++)
        file[i] = (unsigned char)((uint64_t)n >> (8 * i));
    memcpy(file + 8, header, n);
    put(name, file, 8 + n + bytes);
}

static const char factors[] = "{\"base_model.model.model.layers.0.self_attn.q_proj.lora_"
                              "A.weight\":{\"dtype\":\"F32\","
                              "\"shape\":[2,4],\"data_offsets\":[0,32]},"
                              "\"base_model.model.model.layers.0.self_attn.q_proj.lora_B."
                              "weight\":{\"dtype\":\"F32\","
                              "\"shape\":[4,2],\"data_offsets\":[32,64]}}";
static const char embed[] =
    "{\"model.embed_tokens.weight\":{\"dtype\":\"BF16\",\"shape\":[8,4],"
    "\"data_offsets\":[0,64]}}";
static const char lora[] =
    "{\"peft_type\":\"LORA\",\"r\":2,\"lora_alpha\":4,\"bias\":\"none\"}";

static void make_root(void)
{
    rs_err err;
    snprintf(root, sizeof root, "/tmp/ringside-fuzz-XXXXXX");
    if (!mkdtemp(root)) abort();
    atexit(remove_root);
    static const char *const below[] = {"m", "s", "a"};
    for (int i = 0; i < 3; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", root, below[i]);
        if (rs_os_mkdir(path, &err) != RS_OK) abort();
    }
    put_tensors("m/model.safetensors", embed, 64);
    put_tensors("s/model-00001-of-00002.safetensors", embed, 64);
    put_tensors("a/adapter_model.safetensors", factors, 64);
    put("a/adapter_config.json", lora, strlen(lora));
}

static void check_sentence(rs_status s, const rs_err *err)
{
    if (s != RS_OK && (!memchr(err->msg, 0, sizeof err->msg) || !err->msg[0])) abort();
}

static void open_model(const char *below)
{
    char path[128];
    rs_checkpoint *c;
    rs_config *config = NULL;
    rs_err err = {0};
    snprintf(path, sizeof path, "%s/%s", root, below);
    rs_status s = rs_checkpoint_open(path, &c, &err);
    check_sentence(s, &err);
    if (s != RS_OK) return;
    check_sentence(rs_config_load(c, &config, &err), &err);
    rs_config_free(config);
    rs_checkpoint_close(c);
}

static void open_adapter(void)
{
    char path[128];
    rs_adapter *a;
    rs_err err = {0};
    snprintf(path, sizeof path, "%s/a", root);
    rs_status s = rs_adapter_open(path, &a, &err);
    check_sentence(s, &err);
    if (s != RS_OK) return;
    for (int i = 0; i < a->n_pairs; i++) {
        const rs_adapter_pair *p = &a->pairs[i];
        size_t n_a = (size_t)p->rank * (size_t)rs_adapter_cols(a, p),
               n_b = (size_t)p->rank * (size_t)rs_adapter_rows(a, p);
        float *x = malloc((n_a + n_b) * sizeof *x + 1);
        bool exact;
        if (!x) continue;
        check_sentence(rs_adapter_read(a, p, x, x + n_a, &exact, &err), &err);
        free(x);
    }
    rs_adapter_close(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    if (!root[0]) make_root();
    const void *rest = data + 1;
    size_t n = size - 1;
    switch (data[0]) {
    case 'c':
        put("m/config.json", rest, n), open_model("m");
        break;
    case 'i':
        put("s/model.safetensors.index.json", rest, n), open_model("s");
        break;
    case 'a':
        put("a/adapter_config.json", rest, n), open_adapter();
        put("a/adapter_config.json", lora, strlen(lora));
        break;
    case 'l':
        put("a/adapter_model.safetensors", rest, n), open_adapter();
        put_tensors("a/adapter_model.safetensors", factors, 64);
        break;
    default:
        break;
    }
    return 0;
}
