/* Fuzz target: any text as a recipe. What is accepted comes back from its own text. */
#include "merge/recipe.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void round_trip(const rs_recipe *r)
{
    rs_buf once = {0}, twice = {0};
    rs_recipe *again;
    rs_err err;
    rs_recipe_text(r, r->folder, &once);
    if (rs_recipe_parse(once.data, once.len, r->folder, "again", &again, &err) != RS_OK)
        abort();
    rs_recipe_text(again, again->folder, &twice);
    if (once.len != twice.len || memcmp(once.data, twice.data, once.len) != 0) abort();
    rs_recipe_free(again);
    rs_buf_free(&once);
    rs_buf_free(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = malloc(size ? size : 1); /* of the exact size, for the sanitizer */
    rs_recipe *r = NULL;
    rs_err err = {0};
    if (!copy) return 0;
    memcpy(copy, data, size);
    if (rs_recipe_parse(copy, size, "/somewhere", "recipe", &r, &err) == RS_OK)
        round_trip(r);
    else if (!memchr(err.msg, 0, sizeof err.msg) || !err.msg[0])
        abort(); /* every refusal is a sentence */
    rs_recipe_free(r);
    free(copy);
    return 0;
}
