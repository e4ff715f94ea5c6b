/* corpus.h - a corpus and its weight in one word: FILE or FILE:WEIGHT. */
#ifndef UI_CORPUS_H
#define UI_CORPUS_H

/* The colon before the weight, which is any finite number; NULL: the word is all path (*weight
 * is 1), as where a file of that whole name is there. */
const char *ui_corpus_weight(const char *word, double *weight);

#endif
