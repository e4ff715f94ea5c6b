/* One tensor by all threads: a workspace and an error for each. */
#include "merge/eval.h"

#include <stdlib.h>

void rs_team_close(rs_team *t)
{
    for (int i = 0; t->ws && i < t->threads; i++)
        rs_workspace_free(t->ws[i]);
    free(t->ws);
    free(t->status);
    free(t->errors);
}

rs_status rs_team_open(rs_team *t, const rs_runtime *rt, const rs_plan *p, int i,
                       const rs_pool *pool, rs_err *err)
{
    size_t n = (size_t)rs_pool_threads(pool);
    *t = (rs_team){.rt = rt, .p = p, .i = i, .threads = (int)n};
    t->ws = calloc(n, sizeof *t->ws);
    t->status = calloc(n, sizeof *t->status);
    t->errors = calloc(n, sizeof *t->errors);
    if (!t->ws || !t->status || !t->errors)
        return rs_fail(err, RS_E_NOMEM, "no memory to merge a tensor");
    for (size_t k = 0; k < n; k++)
        RS_TRY(rs_workspace_new(rt, &t->ws[k], err));
    return RS_OK;
}

rs_status rs_team_error(const rs_team *t, rs_err *err)
{
    for (int i = 0; i < t->threads; i++)
        if (t->status[i] != RS_OK) {
            if (err) *err = t->errors[i];
            return t->status[i];
        }
    return rs_fail(err, RS_E_BUG, "a tensor was not made to its end");
}
