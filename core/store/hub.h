/* hub.h - from what a user types for a model to a path.
 *
 * Tried in this order, offline: an existing path; `org/name[@revision]` in the Hugging Face
 * cache; the same in further model folders. The cache keeps `models--org--name/` with
 * `refs/REVISION` (a file holding a commit) and `snapshots/COMMIT/` (links to the files);
 * the revision is `main` unless given, and may be a commit itself. Names that could lead out
 * of the cache are refused. Core reads no environment: the program passes the places. */
#ifndef RS_HUB_H
#define RS_HUB_H

#include "base/status.h"

#include <stddef.h>

typedef struct rs_hub {
    const char *root;           /* the cache's hub folder; NULL or "": none */
    const char *const *folders; /* further folders holding org/name or name */
    int n_folders;
} rs_hub;

/* The path into out (n bytes). RS_E_NOT_FOUND says what was looked for and where. hub may be
 * NULL: paths only. */
rs_status rs_model_path_resolve(const char *what, const rs_hub *hub, char *out, size_t n,
                                rs_err *err) RS_MUST_USE;

#endif
