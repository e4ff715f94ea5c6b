/* card.h - what stands beside the weights of a merged model: config.json and tokenizer of the
 * base, ringside.json (the recipe, paths relative to the new folder), and README.md, a model
 * card with front matter for the hub. */
#ifndef RS_CARD_H
#define RS_CARD_H

#include "merge/plan.h"
#include "store/writer.h"

/* recipe_text: as it goes into ringside.json. */
rs_status rs_card_write(const rs_plan *p, rs_writer *w, const char *recipe_text,
                        rs_err *err) RS_MUST_USE;

#endif
