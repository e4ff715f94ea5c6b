/* masks.h - what the tests of masks share: a runtime, made anew for each instruction set. */
#ifndef MASKS_H
#define MASKS_H

#include "tests/merge_fixture.h"

#include <unistd.h>

static rs_runtime rt;
static char root[1024];

static bool start(const char *isa, int threads)
{
    rs_options o = {.threads = threads, .isa = isa};
    rs_quit(&rt); /* of the start before */
    if (!getcwd(root, sizeof root) || rs_init(&o, &rt, &t_err) != RS_OK)
        return printf("%s\n", t_err.msg), false;
    return true;
}

#endif
