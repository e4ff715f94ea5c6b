/* card.h - what stands beside the weights of a merged model: config.json and tokenizer of the
 * base, ringside.json (the recipe, paths relative to the new folder), and README.md, a model
 * card with front matter for the hub. */
#ifndef RS_CARD_H
#define RS_CARD_H

#include "merge/plan.h"
#include "store/writer.h"

/* The recipe's text twice: with the paths that it states (for the card, which may be published
 * and should tell nothing of the disk), and with paths from the new folder. */
rs_status rs_card_write(const rs_plan *p, rs_writer *w, const char *stated,
                        const char *for_folder, rs_err *err) RS_MUST_USE;

/* config.json of the base at path, with the values of dtype and tie_word_embeddings that are
 * true of what is written: card_config.c. */
rs_status rs_card_config(const rs_plan *p, rs_writer *w, const char *path,
                         rs_err *err) RS_MUST_USE;

#endif
