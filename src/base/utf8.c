/* SPDX-License-Identifier: Apache-2.0 */
#include "base/utf8.h"

#include <locale.h>
#include <string.h>

#include "base/str.h"

static size_t length_by_first_byte(unsigned char byte) {
    if (byte >= 0xf0)
        return 4;
    if (byte >= 0xe0)
        return 3;
    return byte >= 0xc0 ? 2 : 1;
}

bool utf8_is_incomplete(const void *data, size_t size) {
    unsigned char whole[UTF8_MAX];

    if (size == 0 || size >= UTF8_MAX)
        return false;
    memcpy(whole, data, size);
    size_t length = length_by_first_byte(whole[0]);
    if (length <= size)
        return false;

    /* The ranges of continuation bytes differ, but each of them includes its lowest or its highest value. */
    memset(whole + size, 0x80, length - size);
    if (utf8_valid_prefix(whole, length) == length)
        return true;
    memset(whole + size, 0xbf, length - size);
    return utf8_valid_prefix(whole, length) == length;
}

size_t utf8_incomplete_tail(const void *data, size_t size) {
    const unsigned char *end = (const unsigned char *)data + size;

    for (size_t tail = 1; tail < UTF8_MAX && tail <= size; tail++) {
        if (utf8_is_incomplete(end - tail, tail))
            return tail;
    }
    return 0;
}

wchar_t utf8_decode(const void *data, size_t size) {
    const unsigned char *bytes = data;

    if (size == 1)
        return bytes[0];
    wchar_t character = bytes[0] & (0x7f >> size);
    for (size_t i = 1; i < size; i++)
        character = (wchar_t)((character << 6) | (bytes[i] & 0x3f));
    return character;
}

int utf8_width(wchar_t character) {
    static locale_t utf8;

    if (character < 0x7f)
        return character >= 0x20 ? 1 : -1;
    if (!utf8)
        utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    if (!utf8)
        return character >= 0xa0 ? 1 : -1;
    locale_t before = uselocale(utf8);
    int width = wcwidth(character);
    (void)uselocale(before);
    return width;
}
