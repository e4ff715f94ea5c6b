#include "model/tokenizer_internal.h"

#include <stdlib.h>
#include <string.h>

static int by_bytes(const void *x, const void *y)
{
    const rs_added_token *a = x, *b = y;
    uint32_t n = a->n < b->n ? a->n : b->n;
    int c = memcmp(a->text, b->text, n);
    return c ? c : (a->n > b->n) - (a->n < b->n);
}

bool rs_added_build(rs_added *a, const rs_pieces *p)
{
    int32_t n = 0;
    for (int32_t id = 0; id < p->n; id++)
        n += rs_piece_is(p, id, RS_PIECE_ADDED);
    a->at = malloc(((size_t)n + 1) * sizeof *a->at);
    if (!a->at) return false;
    for (int32_t id = 0; id < p->n; id++)
        if (rs_piece_is(p, id, RS_PIECE_ADDED) && p->at[id].length)
            a->at[a->n++] = (rs_added_token){rs_piece_text(p, id), p->at[id].length, id};
    qsort(a->at, (size_t)a->n, sizeof *a->at, by_bytes);
    int32_t i = 0;
    for (int b = 0; b < 256; b++) {
        a->first[b] = i;
        while (i < a->n && (unsigned char)a->at[i].text[0] == b)
            i++;
    }
    a->first[256] = i;
    return true;
}

void rs_added_free(rs_added *a)
{
    free(a->at);
    *a = (rs_added){0};
}

/* The first of at[low .. high) whose byte i is at least b. All are longer than i. */
static int32_t lower(const rs_added *a, int32_t low, int32_t high, uint32_t i, int b)
{
    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        if ((unsigned char)a->at[middle].text[i] < b)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const rs_added_token *rs_added_match(const rs_added *a, const char *text, size_t n)
{
    if (n == 0) return NULL;
    int byte = (unsigned char)text[0];
    int32_t low = a->first[byte], high = a->first[byte + 1];
    const rs_added_token *longest = NULL;
    /* Invariant: at[low .. high) are those that begin with the first i bytes of text. */
    for (uint32_t i = 1; low < high; i++) {
        if (a->at[low].n == i) longest = &a->at[low++];
        if (i == n) break;
        byte = (unsigned char)text[i];
        low = lower(a, low, high, i, byte);
        high = lower(a, low, high, i, byte + 1);
    }
    return longest;
}
