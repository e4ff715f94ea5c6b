#include "tui/app/paths.h"

#include "base/os.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool join(char out[4096], const char *folder, const char *name)
{
    return rs_path_join(out, 4096, folder, name);
}

/* $variable/ringside, or $HOME/fallback/ringside, or root/word. */
static bool base_folder(char out[4096], const char *root, const char *word,
                        const char *variable, const char *fallback)
{
    char folder[4096];
    if (root) return join(out, root, word);
    const char *value = getenv(variable), *home = getenv("HOME");
    if (value && *value == '/') return join(out, value, "ringside");
    if (!home || *home != '/') home = "/tmp";
    return join(folder, home, fallback) && join(out, folder, "ringside");
}

static void executable(char out[4096])
{
    ssize_t n = readlink("/proc/self/exe", out, 4095);
    out[n > 0 ? n : 0] = 0;
}

/* recipes/ beside the binary, else where it was installed. */
static void find_library(ui_paths *p)
{
    char exe[4096], folder[4096], demo[4096];
    executable(exe);
    p->library_installed = false;
    if (rs_path_dirname(folder, sizeof folder, exe) &&
        join(p->library, folder, "recipes") &&
        join(demo, p->library, "luchador-miniature.json") &&
        rs_os_kind(demo) == RS_PATH_FILE)
        return;
    p->library_installed = true;
    if (join(p->library, RS_PREFIX, "share/ringside/recipes") &&
        rs_os_kind(p->library) == RS_PATH_FOLDER)
        return;
    if (join(p->library, RS_PREFIX, "share/ringside") &&
        rs_os_kind(p->library) == RS_PATH_FOLDER)
        return;
    p->library[0] = 0;
}

rs_status ui_paths_find(const char *root, ui_paths *p, rs_err *err)
{
    bool ok = base_folder(p->state, root, "state", "XDG_STATE_HOME", ".local/state") &&
              base_folder(p->data, root, "data", "XDG_DATA_HOME", ".local/share") &&
              join(p->jobs, p->state, "jobs") &&
              join(p->session, p->state, "session.json") &&
              join(p->session_lock, p->state, "session.lock") &&
              join(p->log, p->state, "log") && join(p->history, p->state, "history");
    if (!ok)
        return rs_fail(err, RS_E_INVALID,
                       "the path of the user's state folder is too long");
    if (!getcwd(p->cwd, sizeof p->cwd))
        return rs_fail_errno(err, errno, "the current folder");
    find_library(p);
    return RS_OK;
}
