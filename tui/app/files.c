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

rs_status ui_file_read(const char *path, rs_recipe **r, int *version, rs_err *err)
{
    RS_TRY(rs_recipe_load(path, r, err));
    bool is_folder = rs_os_kind(path) == RS_PATH_FOLDER;
    *version = is_folder ? 0 : newest_version(path);
    return RS_OK;
}
