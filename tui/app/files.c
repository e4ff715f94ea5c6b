/* files.c - recipes on disk and their versions: NAME.json is the newest, older ones lie in
 * NAME.versions/N.json beside it. */
#include "base/os.h"
#include "tui/app/document.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "…/NAME" of "…/NAME.json". */
int ui_stem_length(const char *path)
{
    size_t n = strlen(path);
    return (int)(n > 5 && strcmp(path + n - 5, ".json") == 0 ? n - 5 : n);
}

bool ui_version_path(const char *path, int version, char *dst, size_t n)
{
    int len =
        snprintf(dst, n, "%.*s.versions/%d.json", ui_stem_length(path), path, version);
    return len > 0 && (size_t)len < n;
}

int ui_version_of(const char *path, char *newest, size_t n)
{
    static const char mark[] = ".versions/";
    const char *name = strrchr(path, '/'), *at = name ? name + 1 : "";
    char *end = NULL;
    long v = *at >= '1' && *at <= '9' ? strtol(at, &end, 10) : 0;
    size_t stem = name ? (size_t)(name + 1 - path) : 0;
    if (v < 1 || v >= 1000000 || strcmp(end, ".json") != 0 || stem < sizeof mark ||
        strncmp(path + stem - (sizeof mark - 1), mark, sizeof mark - 1) != 0)
        return 0;
    int len = snprintf(newest, n, "%.*s.json", (int)(stem - (sizeof mark - 1)), path);
    return len > 0 && (size_t)len < n ? (int)v : 0;
}

/* 1 + the largest N of NAME.versions/N.json. */
static int newest_version(const char *path)
{
    char folder[4096];
    int len =
        snprintf(folder, sizeof folder, "%.*s.versions", ui_stem_length(path), path);
    if (len <= 0 || (size_t)len >= sizeof folder) return 1;
    if (rs_os_kind(folder) != RS_PATH_FOLDER) return 1;
    rs_buf names = {0};
    int count = 0, newest = 0;
    if (rs_os_list(folder, &names, &count, NULL) != RS_OK) count = 0;
    const char *at = rs_buf_str(&names);
    for (int i = 0; i < count; i++, at += strlen(at) + 1) {
        char *end = NULL;
        long v = strtol(at, &end, 10);
        if (v > newest && v < 1000000 && end != at && strcmp(end, ".json") == 0)
            newest = (int)v;
    }
    rs_buf_free(&names);
    return newest + 1;
}

int ui_newest_version(const char *path)
{
    return newest_version(path) - (rs_os_kind(path) == RS_PATH_FILE ? 0 : 1);
}

rs_recipe *ui_recipe_moved(const rs_recipe *r, const char *folder, rs_err *err)
{
    rs_buf b = {0};
    rs_recipe *moved = NULL;
    rs_recipe_text(r, folder, &b);
    if (rs_recipe_parse(rs_buf_str(&b), b.len, folder, r->name ? r->name : "the recipe",
                        &moved, err) != RS_OK)
        moved = NULL;
    rs_buf_free(&b);
    return moved;
}

bool ui_is_recipe_file(const char *path)
{
    size_t n = strlen(path);
    bool merged = n > 5 && strcmp(path + n - 5, ".gguf") == 0;
    return !merged && rs_os_kind(path) == RS_PATH_FILE;
}

rs_status ui_file_read(const char *path, rs_recipe **r, int *version, rs_err *err)
{
    RS_TRY(rs_recipe_load(path, r, err));
    *version = ui_is_recipe_file(path) ? newest_version(path) : 0;
    return RS_OK;
}
