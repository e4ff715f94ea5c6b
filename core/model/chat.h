/* chat.h - conversations as the text that a model was trained on.
 *
 * A chat format is one row of a const table (gemma2 to 4, chatml and Qwen's, llama3, mistral).
 * It is recognised from the model's chat template and control tokens, or named by the user.
 * No Jinja is run. */
#ifndef RS_CHAT_H
#define RS_CHAT_H

#include "base/buf.h"
#include "base/json.h"
#include "model/tokenizer.h"

typedef struct rs_message {
    const char *role, *content;
} rs_message;

typedef struct rs_chat_format rs_chat_format;

const rs_chat_format *rs_chat_named(const char *name); /* NULL: unknown */
const char *rs_chat_name(const rs_chat_format *f);
const char *rs_chat_names(void); /* "gemma2, gemma3, ..." for messages */
/* The format of the model in this folder or GGUF; RS_E_UNSUPPORTED if none is recognised. */
rs_status rs_chat_detect(const char *model_path, const rs_tokenizer *t,
                         const rs_chat_format **out, rs_err *err) RS_MUST_USE;
/* The template itself, appended to out: chat_template.jinja, else the one (or the default one)
 * of tokenizer_config.json, or a GGUF's. *found: there is one. */
rs_status rs_chat_template(const char *model_path, rs_buf *out, bool *found,
                           rs_err *err) RS_MUST_USE;
/* Text with its bos written out (tokenize it with add_special = false). Roles: system,
 * developer, user, assistant, model; others and wrong orders are errors in words. */
rs_status rs_chat_render(const rs_chat_format *f, const rs_message *messages, int n,
                         bool add_generation_prompt, rs_buf *out,
                         rs_err *err) RS_MUST_USE;
/* The same with a mark for every byte of out, appended to marks: 1 for what the model says
 * itself (an assistant's text and the token that ends its turn), 0 for everything else. */
rs_status rs_chat_render_marked(const rs_chat_format *f, const rs_message *messages,
                                int n, bool add_generation_prompt, rs_buf *out,
                                rs_buf *marks, rs_err *err) RS_MUST_USE;
/* Ids that end a turn (besides the config's eos), e.g. <end_of_turn>; returns how many. */
int rs_chat_stop_ids(const rs_chat_format *f, const rs_tokenizer *t, int32_t ids[4]);

#endif
