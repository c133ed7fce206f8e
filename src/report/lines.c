/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes to safe lines: a state machine that skips escape sequences (ECMA-48: ESC, CSI, and the strings of OSC, DCS,
 * SOS, PM and APC) and understands of the control characters only line feed, carriage return, backspace and tab. A line
 * feed ends every sequence, so that one that is never closed hides no more than its own line.
 */
#include "report/lines.h"

#define TAB_WIDTH 8
/* A line is broken here, so that output without any line end stays bounded too. */
#define LINE_MAX_BYTES (64U << 10)

void lines_init(struct lines *lines) {
    *lines = (struct lines){.items = xcalloc(LINES_MAX, sizeof(char *))};
}

void lines_deinit(struct lines *lines) {
    lines_clear(lines);
    buffer_deinit(&lines->current);
    free(lines->items);
    lines->items = NULL;
}

static void drop_oldest(struct lines *lines) {
    char **oldest = &lines->items[lines->first];

    lines->bytes -= strlen(*oldest) + 1;
    free(*oldest);
    *oldest = NULL;
    lines->first = (lines->first + 1) % LINES_MAX;
    lines->count--;
}

void lines_clear(struct lines *lines) {
    while (lines->count > 0)
        drop_oldest(lines);
    buffer_consume(&lines->current, lines->current.size);
    lines->first = 0;
    lines->n_dropped = 0;
    lines->column = 0;
    lines->rewind = false;
    lines->state = LINES_GROUND;
    lines->n_pending = 0;
}

static void end_line(struct lines *lines) {
    size_t size = lines->current.size + 1;

    while (lines->count == LINES_MAX || (lines->count > 0 && lines->bytes + size > LINES_MAX_BYTES)) {
        drop_oldest(lines);
        lines->n_dropped++;
    }
    lines->items[(lines->first + lines->count++) % LINES_MAX] =
        xstrndup(lines->current.size ? lines->current.data : "", lines->current.size);
    lines->bytes += size;
    buffer_consume(&lines->current, lines->current.size);
    lines->column = 0;
    lines->rewind = false;
}

/* Appends text that takes `columns`. */
static void put(struct lines *lines, const void *text, size_t size, unsigned columns) {
    if (lines->rewind) {
        buffer_consume(&lines->current, lines->current.size);
        lines->column = 0;
        lines->rewind = false;
    }
    if (lines->current.size + size > LINE_MAX_BYTES)
        end_line(lines);
    buffer_append(&lines->current, text, size);
    lines->column += columns;
}

/* Where the last character of `text` begins, and its width. */
static size_t last_character(const char *text, size_t size, int *ret_width) {
    size_t start = size - 1;

    while (start > 0 && ((unsigned char)text[start] & 0xc0) == 0x80)
        start--;
    *ret_width = utf8_width(utf8_decode(text + start, size - start));
    return start;
}

/* Takes the last character back, with what is combined with it. */
static void backspace(struct lines *lines) {
    int width = 0;

    while (lines->current.size > 0 && width <= 0) {
        size_t start = last_character(lines->current.data, lines->current.size, &width);

        lines->current.size = start;
        lines->current.data[start] = '\0';
    }
    if (width > 0)
        lines->column -= (unsigned)width < lines->column ? (unsigned)width : lines->column;
}

static void control(struct lines *lines, unsigned char byte) {
    static const char blanks[TAB_WIDTH + 1] = "        ";
    unsigned gap;

    switch (byte) {
    case '\n':
        end_line(lines);
        break;
    case '\r':
        lines->rewind = true;
        break;
    case '\b':
        backspace(lines);
        break;
    case '\t':
        gap = TAB_WIDTH - (lines->rewind ? 0 : lines->column) % TAB_WIDTH;
        put(lines, blanks, gap, gap);
        break;
    case '\033':
        lines->state = LINES_ESCAPE;
        break;
    default:
        break;
    }
}

/* One byte that is not ASCII, or comes where a sequence is not complete. */
static void multibyte(struct lines *lines, unsigned char byte) {
    lines->pending[lines->n_pending++] = byte;
    if (utf8_is_incomplete(lines->pending, lines->n_pending))
        return;

    size_t size = lines->n_pending;
    lines->n_pending = 0;
    if (utf8_valid_prefix(lines->pending, size) == size) {
        int width = utf8_width(utf8_decode(lines->pending, size));

        if (width >= 0)
            put(lines, lines->pending, size, (unsigned)width);
    } else {
        put(lines, UTF8_REPLACEMENT, strlen(UTF8_REPLACEMENT), 1);
        if (size > 1)
            multibyte(lines, byte);
    }
}

static bool is_final(unsigned char byte) {
    return byte >= 0x40 && byte <= 0x7e;
}

/* The state behind `byte` within an escape sequence. */
static enum lines_state next_state(enum lines_state state, unsigned char byte) {
    switch (state) {
    case LINES_ESCAPE:
        if (byte == '[')
            return LINES_CSI;
        if (byte == ']' || byte == 'P' || byte == 'X' || byte == '^' || byte == '_')
            return LINES_STRING;
        if (byte >= 0x20 && byte <= 0x2f)
            return LINES_ESCAPE_CHARS;
        return LINES_GROUND;
    case LINES_ESCAPE_CHARS:
        return byte >= 0x20 && byte <= 0x2f ? state : LINES_GROUND;
    case LINES_CSI:
        return is_final(byte) || byte >= 0x80 ? LINES_GROUND : state;
    case LINES_STRING:
        if (byte == '\a')
            return LINES_GROUND;
        return byte == '\033' ? LINES_STRING_ESCAPE : state;
    case LINES_STRING_ESCAPE:
        return byte == '\\' ? LINES_GROUND : LINES_STRING;
    case LINES_GROUND:
        break;
    }
    return state;
}

static void feed_byte(struct lines *lines, unsigned char byte) {
    if (lines->n_pending > 0 && byte < 0x80) {
        lines->n_pending = 0;
        put(lines, UTF8_REPLACEMENT, strlen(UTF8_REPLACEMENT), 1);
    }
    if (lines->state != LINES_GROUND && byte != '\n') {
        if (byte == '\033' && lines->state != LINES_STRING)
            lines->state = LINES_ESCAPE;
        else
            lines->state = next_state(lines->state, byte);
        return;
    }
    lines->state = LINES_GROUND;
    if (byte < 0x20 || byte == 0x7f)
        control(lines, byte);
    else if (byte < 0x80)
        put(lines, &byte, 1, 1);
    else
        multibyte(lines, byte);
}

void lines_feed(struct lines *lines, const void *data, size_t size) {
    const unsigned char *bytes = data;
    size_t i = 0;

    while (i < size) {
        size_t end = i;

        /* Most of what comes is plain text, which is taken in one piece. */
        if (lines->state == LINES_GROUND && lines->n_pending == 0) {
            while (end < size && end - i < LINE_MAX_BYTES && bytes[end] >= 0x20 && bytes[end] < 0x7f)
                end++;
        }
        if (end > i) {
            put(lines, bytes + i, end - i, (unsigned)(end - i));
            i = end;
        } else {
            feed_byte(lines, bytes[i++]);
        }
    }
}

size_t lines_count(const struct lines *lines) {
    return lines->count + (lines->current.size > 0);
}

const char *lines_get(const struct lines *lines, size_t index) {
    return index < lines->count ? lines->items[(lines->first + index) % LINES_MAX] : lines->current.data;
}

size_t text_clip(const char *text, unsigned columns) {
    size_t size = strlen(text);
    size_t fits = 0;
    unsigned used = 0;

    while (fits < size) {
        size_t length = 1;

        while (fits + length < size && ((unsigned char)text[fits + length] & 0xc0) == 0x80)
            length++;
        int width = utf8_width(utf8_decode(text + fits, length));
        if (width > 0 && used + (unsigned)width > columns)
            break;
        used += width > 0 ? (unsigned)width : 0;
        fits += length;
    }
    return fits;
}

char *text_sanitize(const char *text) {
    struct lines lines;
    struct buffer safe = {0};

    lines_init(&lines);
    lines_feed(&lines, text, strlen(text));
    for (size_t i = 0; i < lines_count(&lines); i++) {
        if (i > 0)
            buffer_append_string(&safe, " ");
        buffer_append_string(&safe, lines_get(&lines, i));
    }
    lines_deinit(&lines);
    return buffer_take(&safe);
}
