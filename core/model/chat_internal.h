/* chat_internal.h - the table of chat formats: a turn is open, role, role_end, text, close,
 * turn_end. */
#ifndef RS_CHAT_INTERNAL_H
#define RS_CHAT_INTERNAL_H

#include "model/chat.h"

/* How a system message is put. */
typedef enum rs_system_style {
    RS_SYSTEM_IS_A_TURN,
    RS_SYSTEM_IN_FIRST_USER_TURN, /* untrimmed, with an empty line behind it */
    RS_SYSTEM_REFUSED
} rs_system_style;

/* What becomes of thoughts in the assistant's messages. */
typedef enum rs_thoughts {
    RS_THOUGHTS_STAY,
    RS_THOUGHTS_CHANNEL, /* <|channel> ... <channel|>: stripped */
    RS_THOUGHTS_THINK    /* <think> ... </think>: kept after the last question only */
} rs_thoughts;

struct rs_chat_format {
    const char *name;
    const char *bos; /* in front of everything */
    const char *open, *role_end, *close, *turn_end;
    const char *model_role; /* the others are called user and system */
    const char *must_have,
        *not_if;                /* in a template, to tell formats with the same tokens */
    const char *default_system; /* where the conversation has none; NULL: nothing */
    rs_system_style system;
    rs_thoughts thoughts;
    bool alternates;   /* user and assistant must take turns */
    bool keeps_blanks; /* around a message; else they are trimmed */
    bool inst;         /* Mistral's: [INST] question [/INST] answer, no roles */
};

extern const rs_chat_format rs_chat_formats[]; /* ends with a row of name NULL */

#endif
