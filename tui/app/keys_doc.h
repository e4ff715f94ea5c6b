/* keys_doc.h - docs/keys.md, written from the command table. */
#ifndef UI_KEYS_DOC_H
#define UI_KEYS_DOC_H

#include "base/buf.h"

/* Appends every command by group: keys, name, arguments, screens, what it does. */
void ui_keys_markdown(rs_buf *out);

#endif
