/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8 that comes in pieces: what base/str.h's utf8_valid_prefix() leaves open. */
#ifndef VMTEST_BASE_UTF8_H
#define VMTEST_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <wchar.h>

/* The most bytes of a sequence. */
#define UTF8_MAX 4

/* U+FFFD, what stands in for bytes that are not UTF-8. */
#define UTF8_REPLACEMENT "\xef\xbf\xbd"

/* Whether these bytes are the beginning, and not the whole, of one valid sequence. */
bool utf8_is_incomplete(const void *data, size_t size);
/* How many bytes at the end of `data` are the beginning of a sequence that more bytes could complete: 0 to 3. */
size_t utf8_incomplete_tail(const void *data, size_t size);
/* The character of one valid sequence of `size` bytes. */
wchar_t utf8_decode(const void *data, size_t size);
/* Columns that a character takes on a terminal; -1 for one that is not printable. Independent of the locale set. */
int utf8_width(wchar_t character);

#endif
