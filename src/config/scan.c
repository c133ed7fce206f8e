/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The look over a text before it is parsed. The parser bounds how deep values nest, but not how many parts a dotted
 * key has, and each part is a level of recursion when the tree is taken down. So the text is walked once: strings and
 * comments are skipped, and dots are counted between the characters that end a key. The parser then judges everything
 * else; a text that is no TOML at all may confuse this walk, but only as to where strings are, never past a bound: a
 * dot that the parser could take as part of a key is a dot outside a string here as well.
 */
#include <errno.h>

#include "base/str.h"
#include "config/toml.h"

struct scan {
    const char *text;
    size_t size;
    size_t offset;
    unsigned parts; /* of the key at hand */
};

/* Line and column of an offset. */
static struct toml_position position_at(const char *text, size_t offset) {
    struct toml_position position = {.line = 1, .column = 1};

    for (size_t i = 0; i < offset; i++) {
        if (text[i] == '\n') {
            position.line++;
            position.column = 1;
        } else if (((unsigned char)text[i] & 0xc0) != 0x80) {
            position.column++;
        }
    }
    return position;
}

static bool scan_at(const struct scan *scan, const char *what) {
    size_t length = strlen(what);

    return scan->size - scan->offset >= length && memcmp(scan->text + scan->offset, what, length) == 0;
}

/* Moves behind the string that begins here. One that does not end stops at its line's or the text's end. */
static void skip_string(struct scan *scan) {
    char quote = scan->text[scan->offset];
    const char triple[] = {quote, quote, quote, '\0'};
    bool multiline = scan_at(scan, triple);

    scan->offset += multiline ? 3 : 1;
    while (scan->offset < scan->size) {
        char c = scan->text[scan->offset];

        if (c == '\n' && !multiline)
            return;
        if (c == '\\' && quote == '"') {
            scan->offset += 2;
        } else if (c == quote && (!multiline || scan_at(scan, triple))) {
            scan->offset += multiline ? 3 : 1;
            /* Up to two quotes may stand right before the closing three. */
            for (int i = 0; multiline && i < 2 && scan->offset < scan->size && scan->text[scan->offset] == quote; i++)
                scan->offset++;
            return;
        } else {
            scan->offset++;
        }
    }
    scan->offset = scan->size;
}

static void skip_comment(struct scan *scan) {
    const char *end = memchr(scan->text + scan->offset, '\n', scan->size - scan->offset);

    scan->offset = end ? (size_t)(end - scan->text) : scan->size;
}

/* Moves to the dot that makes a key too long; false when there is none. */
static bool find_long_key(struct scan *scan) {
    while (scan->offset < scan->size) {
        char c = scan->text[scan->offset];

        if (c == '"' || c == '\'') {
            skip_string(scan);
            continue;
        }
        if (c == '#') {
            skip_comment(scan);
            continue;
        }
        if (strchr("\n=,[]{}", c) && c != '\0')
            scan->parts = 0;
        else if (c == '.' && ++scan->parts >= TOML_MAX_KEY_PARTS)
            return true;
        scan->offset++;
    }
    return false;
}

int toml_scan(const char *text, size_t size, struct toml_problem *ret_problem) {
    size_t valid = utf8_valid_prefix(text, size);
    struct scan scan = {.text = text, .size = size};

    if (valid < size) {
        ret_problem->position = position_at(text, valid);
        ret_problem->message =
            xasprintf("the byte 0x%02x is not UTF-8; save the file as UTF-8", (unsigned)(unsigned char)text[valid]);
        return -EINVAL;
    }
    if (find_long_key(&scan)) {
        ret_problem->position = position_at(text, scan.offset);
        ret_problem->message = xasprintf("a key has more than %d parts", TOML_MAX_KEY_PARTS);
        return -EINVAL;
    }
    return 0;
}
