/* Fuzz target: a tokenizer.json of any content, and, if it is accepted, any text through it. */
#include "model/tokenizer_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char path[64];

static void remove_file(void)
{
    unlink(path);
}

/* The reader takes a file, so the bytes go through one. */
static const char *write_file(const uint8_t *data, size_t size)
{
    if (!path[0]) {
        snprintf(path, sizeof path, "/tmp/ringside-fuzz-XXXXXX");
        int fd = mkstemp(path);
        if (fd < 0) abort();
        close(fd);
        atexit(remove_file);
    }
    FILE *f = fopen(path, "wb");
    if (!f || (size && fwrite(data, 1, size, f) != size) || fclose(f) != 0) abort();
    return path;
}

static void use(const rs_tokenizer *t, const char *text, size_t n)
{
    rs_ids ids = {0};
    rs_buf back = {0};
    rs_err err;
    if (rs_tokenize(t, text, n, true, &ids, &err) == RS_OK) {
        for (int64_t i = 0; i < ids.n; i++)
            if (ids.at[i] < 0 || ids.at[i] >= rs_tokenizer_size(t)) abort();
        if (rs_detokenize(t, ids.at, ids.n, false, &back, &err) != RS_OK) abort();
    }
    rs_ids_free(&ids);
    rs_buf_free(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rs_tokenizer *t = calloc(1, sizeof *t);
    rs_err err;
    if (!t) return 0;
    t->bos = -1;
    if (rs_tokenizer_read_json(t, write_file(data, size), &err) == RS_OK) {
        use(t, (const char *)data, size);
        use(t, "a b  abc<eos>\n\xff", 15);
    } else if (!memchr(err.msg, 0, sizeof err.msg) || !err.msg[0]) {
        abort(); /* every refusal is a sentence */
    }
    rs_tokenizer_free(t);
    return 0;
}
