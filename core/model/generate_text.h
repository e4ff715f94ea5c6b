/* generate_text.h - from ids that come one by one to text that may be shown. Internal.
 *
 * text[0 .. shown) is settled: whole characters that no stop string can take back. What
 * follows waits for the rest of a character or for what becomes of the beginning of a stop
 * string. When a stop string is complete the text ends before it. */
#ifndef RS_GENERATE_TEXT_H
#define RS_GENERATE_TEXT_H

#include "base/buf.h"
#include "model/tokenizer.h"

typedef struct rs_text_flow {
    rs_buf text;
    size_t shown;
    bool byte_level; /* of the tokenizer */
    rs_buf run;  /* bytes of byte tokens that are no text yet */
    char **stop; /* owned copies */
    int n_stop;
} rs_text_flow;

rs_status rs_text_flow_init(rs_text_flow *f, const char *const *stop, int n_stop,
                            rs_err *err) RS_MUST_USE;
void rs_text_flow_free(rs_text_flow *f);
/* One more token. true: a stop string is complete, the flow is at its end. */
bool rs_text_flow_add(rs_text_flow *f, const rs_tokenizer *t, int32_t id);
/* No more tokens: everything is settled. true as above. */
bool rs_text_flow_end(rs_text_flow *f);

#endif
