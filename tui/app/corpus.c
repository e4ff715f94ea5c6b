#include "tui/app/corpus.h"

#include "base/os.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *ui_corpus_weight(const char *word, double *weight)
{
    const char *colon = strrchr(word, ':');
    char *end = NULL;
    *weight = 1;
    double w = colon ? strtod(colon + 1, &end) : 0;
    if (!colon || end == colon + 1 || *end || !isfinite(w)) return NULL;
    if (rs_os_kind(word) != RS_PATH_NONE) return NULL;
    *weight = w;
    return colon;
}
