/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base64.h"

#include <stdint.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(struct buffer *buffer, const void *data, size_t size) {
    const unsigned char *in = data;
    size_t groups = size / 3 + (size % 3 > 0);
    size_t length;
    char *out;

    if (__builtin_mul_overflow(groups, 4, &length))
        abort();
    out = buffer_reserve(buffer, length);
    for (; size >= 3; size -= 3, in += 3, out += 4) {
        uint32_t bits = (uint32_t)in[0] << 16 | (uint32_t)in[1] << 8 | in[2];

        out[0] = alphabet[bits >> 18];
        out[1] = alphabet[bits >> 12 & 63];
        out[2] = alphabet[bits >> 6 & 63];
        out[3] = alphabet[bits & 63];
    }
    if (size > 0) {
        uint32_t bits = (uint32_t)in[0] << 16 | (size > 1 ? (uint32_t)in[1] << 8 : 0);

        out[0] = alphabet[bits >> 18];
        out[1] = alphabet[bits >> 12 & 63];
        out[2] = size > 1 ? alphabet[bits >> 6 & 63] : '=';
        out[3] = '=';
        out += 4;
    }
    out[0] = '\0';
    buffer->size += length;
}

/* What each character stands for, plus one; 0 for one that is not in the alphabet. */
static const unsigned char values[256] = {
    ['A'] = 1,  ['B'] = 2,  ['C'] = 3,  ['D'] = 4,  ['E'] = 5,  ['F'] = 6,  ['G'] = 7,  ['H'] = 8,
    ['I'] = 9,  ['J'] = 10, ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16,
    ['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21, ['V'] = 22, ['W'] = 23, ['X'] = 24,
    ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28, ['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32,
    ['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36, ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40,
    ['o'] = 41, ['p'] = 42, ['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48,
    ['w'] = 49, ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56,
    ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62, ['+'] = 63, ['/'] = 64,
};

/* The bits of `count` characters, the first one highest; -1 when one is not in the alphabet. */
static int32_t take_bits(const char *text, size_t count) {
    uint32_t bits = 0;

    for (size_t i = 0; i < count; i++) {
        unsigned value = values[(unsigned char)text[i]];

        if (value == 0)
            return -1;
        bits = bits << 6 | (value - 1);
    }
    return (int32_t)bits;
}

static int bad_character(struct buffer *buffer, const char *text, struct error **ret_error) {
    size_t offset = 0;

    buffer->data[buffer->size] = '\0';
    while (values[(unsigned char)text[offset]] != 0)
        offset++;
    return error_new(ret_error, EINVAL, "base64: byte 0x%02x does not belong there", (unsigned char)text[offset]);
}

int base64_decode(struct buffer *buffer, const char *text, size_t length, struct error **ret_error) {
    size_t padding = 0;
    size_t rest;
    unsigned char *out;
    int32_t bits;

    if (length % 4 != 0)
        return error_new(ret_error, EINVAL, "base64: %zu characters are no multiple of 4", length);
    if (length == 0)
        return 0;
    while (padding < 2 && text[length - 1 - padding] == '=')
        padding++;
    rest = padding > 0 ? 4 - padding : 0;

    out = buffer_reserve(buffer, length / 4 * 3);
    for (length -= rest > 0 ? 4 : 0; length > 0; length -= 4, text += 4, out += 3) {
        bits = take_bits(text, 4);
        if (bits < 0)
            return bad_character(buffer, text, ret_error);
        out[0] = (unsigned char)(bits >> 16);
        out[1] = (unsigned char)(bits >> 8);
        out[2] = (unsigned char)bits;
    }
    if (rest > 0) {
        bits = take_bits(text, rest);
        if (bits < 0)
            return bad_character(buffer, text, ret_error);
        /* 18 bits for 2 bytes, or 12 bits for 1. */
        if ((bits & (rest == 3 ? 0x3 : 0xf)) != 0) {
            buffer->data[buffer->size] = '\0';
            return error_new(ret_error, EINVAL, "base64: bits after the last byte are not 0");
        }
        bits <<= rest == 3 ? 6 : 12;
        for (size_t i = 0; i + 1 < rest; i++)
            *out++ = (unsigned char)(bits >> (16 - 8 * i));
    }
    out[0] = '\0';
    buffer->size = (size_t)((char *)out - buffer->data);
    return 0;
}
