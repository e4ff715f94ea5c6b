/* config_internal.h - what the two files that read a config share. */
#ifndef RS_CONFIG_INTERNAL_H
#define RS_CONFIG_INTERNAL_H

#include "base/json.h"
#include "model/family.h"

typedef struct config_reader {
    const char *where;   /* how errors call the text: the path of config.json */
    const rs_json *root; /* the whole config */
    const rs_json *text; /* the text model's part; root itself unless wrapped */
    rs_config *c;
    rs_err *err;
} config_reader;

/* A needed whole number, at least 1. */
rs_status rs_config_need(const config_reader *r, const char *key, int64_t max,
                         int *out) RS_MUST_USE;
/* Types, head sizes, K/V sharing, MLP widths and RoPE of every layer. The scalar fields of
 * the config are set already. */
rs_status rs_config_read_layers(const config_reader *r) RS_MUST_USE;

#endif
