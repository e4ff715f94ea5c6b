/* utf8.h - decoding of UTF-8, strict: no overlong forms, no surrogates, at most U+10FFFF. */
#ifndef RS_UTF8_H
#define RS_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Length (1-4) of the character at s, its code point in *cp. 0 if the bytes are not a valid
 * character or n is too small. */
int rs_utf8_decode(const char *s, size_t n, uint32_t *cp);
/* Writes cp (at most U+10FFFF) as 1-4 bytes, returns how many. */
int rs_utf8_encode(uint32_t cp, char out[4]);
bool rs_utf8_valid(const char *s, size_t n);
/* Replaces, in place, what must not reach a terminal by '?', one for each byte: control
 * characters (also of the second block, U+0080 on), characters that turn the direction of
 * text, and bytes that are not UTF-8. */
void rs_utf8_clean(char *s);
/* How many bytes at the end of s could be the start of a character that is not complete yet
 * (0-3): what a streaming printer has to hold back. */
size_t rs_utf8_incomplete_tail(const char *s, size_t n);

#endif
