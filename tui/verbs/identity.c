/* identity.c - what is in a file, as a hash: of models kept under their cheap identity. */
#include "base/hash.h"
#include "base/os.h"
#include "store/content_hash.h"
#include "tui/app/mem.h"
#include "tui/verbs/products.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE = 1 << 20, HEX = 32 };

/* --- the cache --- */

/* false: there is no place for it. */
static bool cache_path(const char *identity, char out[4096])
{
    char folder[4096], base[4096];
    const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (xdg && *xdg == '/')
        snprintf(base, sizeof base, "%s", xdg);
    else if (!home || *home != '/' || !rs_path_join(base, sizeof base, home, ".cache"))
        return false;
    return rs_path_join(folder, sizeof folder, base, "ringside/content") &&
           rs_path_join(out, 4096, folder, identity);
}

static bool is_hex(const char *s, size_t n)
{
    return n == HEX && strspn(s, "0123456789abcdef") == HEX;
}

static bool cache_get(const char *identity, char hex[33])
{
    char path[4096];
    rs_buf text = {0};
    bool found = cache_path(identity, path) && rs_os_kind(path) == RS_PATH_FILE &&
                 rs_os_read_file(path, HEX, &text, NULL) == RS_OK &&
                 is_hex(rs_buf_str(&text), text.len);
    if (found) memcpy(hex, text.data, HEX + 1);
    rs_buf_free(&text);
    return found;
}

/* Without a cache things take longer, that is all. */
static void cache_put(const char *identity, const char *hex)
{
    char path[4096], folder[4096];
    if (!cache_path(identity, path) || !rs_path_dirname(folder, sizeof folder, path)) return;
    if (rs_os_mkdir(folder, NULL) != RS_OK) return;
    rs_status ignored = rs_os_write_file(path, hex, HEX, NULL);
    (void)ignored;
}

rs_status ui_content_hash(ui_common *c, const rs_checkpoint *f, ui_progress *show,
                          char hex[33], rs_err *err)
{
    char identity[33];
    RS_TRY(rs_checkpoint_identity(f, identity, err));
    if (cache_get(identity, hex)) return RS_OK;
    RS_TRY(rs_checkpoint_content_hash(&c->rt, f, show ? ui_progress_step : NULL, show, hex,
                                      err));
    cache_put(identity, hex);
    return RS_OK;
}

/* --- files --- */

static rs_status add_range(rs_hasher *h, int fd, const char *path, uint64_t size,
                           rs_err *err)
{
    char *piece = ui_alloc(PIECE, 1);
    rs_status s = RS_OK;
    for (uint64_t at = 0; at < size && s == RS_OK; at += PIECE) {
        size_t n = size - at < PIECE ? (size_t)(size - at) : PIECE;
        s = rs_os_read(fd, path, at, piece, n, err);
        if (s == RS_OK) rs_hasher_add(h, piece, n);
    }
    free(piece);
    return s;
}

/* At most `most` bytes from the start. */
static rs_status add_file(rs_hasher *h, const char *path, uint64_t most, rs_err *err)
{
    int fd;
    uint64_t size;
    RS_TRY(rs_os_open(path, &fd, &size, err));
    rs_status s = add_range(h, fd, path, size < most ? size : most, err);
    rs_os_close(fd);
    return s;
}

static rs_status end(rs_hasher *h, rs_status s, char hex[33])
{
    if (s == RS_OK) rs_hash_hex(rs_hasher_end(h), hex);
    rs_hasher_free(h);
    return s;
}

rs_status ui_file_identity(const char *path, char hex[33], rs_err *err)
{
    rs_hasher *h = rs_hasher_new();
    if (!h) return rs_fail(err, RS_E_NOMEM, "no memory for a hash");
    return end(h, add_file(h, path, UINT64_MAX, err), hex);
}

/* --- models --- */

/* The files beside the tensors that say what they mean. */
static rs_status add_companions(rs_hasher *h, const char *folder, ui_depth depth,
                                rs_err *err)
{
    static const char *const names[] = {"config.json",           "adapter_config.json",
                                        "tokenizer.json",        "tokenizer.model",
                                        "tokenizer_config.json", "chat_template.jinja",
                                        "chat_template.json"};
    int n = depth == UI_ID_TEXT ? 7 : 2;
    for (int i = 0; i < n; i++) {
        char path[4096];
        if (!rs_path_join(path, sizeof path, folder, names[i]))
            return rs_fail(err, RS_E_INVALID, "the path %.200s... is too long", folder);
        if (rs_os_kind(path) != RS_PATH_FILE) continue;
        rs_hasher_add(h, names[i], strlen(names[i]) + 1);
        RS_TRY(add_file(h, path, UINT64_MAX, err));
    }
    return RS_OK;
}

/* A GGUF says all of that before its tensors. */
static rs_status add_meaning(rs_hasher *h, const rs_checkpoint *f, ui_depth depth,
                             rs_err *err)
{
    if (rs_checkpoint_layout(f) != RS_LAYOUT_GGUF)
        return add_companions(h, rs_checkpoint_folder(f), depth, err);
    uint64_t first = UINT64_MAX;
    for (int i = 0; i < rs_checkpoint_count(f); i++)
        if (rs_checkpoint_at(f, i)->offset < first) first = rs_checkpoint_at(f, i)->offset;
    return add_file(h, rs_checkpoint_file(f, 0), first, err);
}

static rs_status add_all(ui_common *c, rs_hasher *h, const rs_checkpoint *f,
                         ui_depth depth, ui_progress *show, rs_err *err)
{
    char content[33];
    RS_TRY(ui_content_hash(c, f, show, content, err));
    rs_hasher_add(h, content, HEX);
    return depth == UI_ID_TENSORS ? RS_OK : add_meaning(h, f, depth, err);
}

rs_status ui_identity(ui_common *c, const char *path, ui_depth depth, ui_progress *show,
                      char hex[33], rs_err *err)
{
    rs_checkpoint *f;
    RS_TRY(rs_checkpoint_open(path, &f, err));
    rs_hasher *h = rs_hasher_new();
    rs_status s = h ? add_all(c, h, f, depth, show, err)
                    : rs_fail(err, RS_E_NOMEM, "no memory for a hash");
    if (h) s = end(h, s, hex);
    rs_checkpoint_close(f);
    return s;
}
