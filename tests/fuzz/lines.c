/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's bytes as lines that are safe to show on a terminal. */
#include "report/lines.h"
#include "fuzz.h"

/* A line longer than this is broken where a piece of input ends. */
#define INPUT_MAX 60000

static unsigned width_of(const char *text, size_t size) {
    unsigned width = 0;

    for (size_t at = 0, length; at < size; at += length) {
        for (length = 1; at + length < size && ((unsigned char)text[at + length] & 0xc0) == 0x80;)
            length++;
        width += (unsigned)utf8_width(utf8_decode(text + at, length));
    }
    return width;
}

static void check_safe(const char *text) {
    size_t size = strlen(text);

    FUZZ_CHECK(utf8_valid_prefix(text, size) == size);
    for (size_t at = 0, length; at < size; at += length) {
        for (length = 1; at + length < size && ((unsigned char)text[at + length] & 0xc0) == 0x80;)
            length++;
        FUZZ_CHECK(utf8_width(utf8_decode(text + at, length)) >= 0);
    }
}

static void check_clip(const char *line, unsigned columns) {
    size_t fits = text_clip(line, columns);

    FUZZ_CHECK(fits <= strlen(line) && utf8_valid_prefix(line, fits) == fits);
    FUZZ_CHECK(width_of(line, fits) <= columns);
}

static void compare(const struct lines *a, const struct lines *b) {
    FUZZ_CHECK(lines_count(a) == lines_count(b) && a->n_dropped == b->n_dropped && a->bytes == b->bytes);
    FUZZ_CHECK(a->column == b->column && a->state == b->state && a->n_pending == b->n_pending);
    for (size_t i = 0; i < lines_count(a); i++)
        FUZZ_CHECK(str_equal(lines_get(a, i), lines_get(b, i)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t choice = fuzz_choice(&data, &size);
    _cleanup_free_ char *text = xstrndup((const char *)data, size);
    _cleanup_free_ char *sanitized = text_sanitize(text);
    struct lines lines[2];
    size_t piece = choice + 1u;

    if (size > INPUT_MAX)
        return 0;
    check_safe(sanitized);
    lines_init(&lines[0]);
    lines_init(&lines[1]);
    lines_feed(&lines[0], data, size);
    for (size_t at = 0; at < size; at += piece)
        lines_feed(&lines[1], data + at, size - at < piece ? size - at : piece);
    compare(&lines[0], &lines[1]);
    for (size_t i = 0; i < lines_count(&lines[0]); i++) {
        check_safe(lines_get(&lines[0], i));
        check_clip(lines_get(&lines[0], i), choice);
    }
    FUZZ_CHECK(lines[0].column == width_of(lines[0].current.data, lines[0].current.size));
    lines_deinit(&lines[0]);
    lines_deinit(&lines[1]);
    return 0;
}
