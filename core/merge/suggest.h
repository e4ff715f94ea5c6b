/* suggest.h - "did you mean": the nearest of some known words, by edit distance. */
#ifndef RS_SUGGEST_H
#define RS_SUGGEST_H

#include <stddef.h>

/* The known word that needs the fewest insertions, deletions, replacements and swaps of
 * neighbours, or NULL if none is near (at most a third of the length, at least 1). Case and
 * the difference of - and _ cost nothing. */
const char *rs_nearest(const char *word, const char *const *known, int n);
/* ", did you mean \"mlp\"?" or "" into dst; returns dst. */
const char *rs_did_you_mean(char *dst, size_t size, const char *word,
                            const char *const *known, int n);

#endif
