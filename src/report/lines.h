/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's bytes as lines that are safe to show: valid UTF-8, tabs expanded, no control characters and no escape
 * sequences. Memory is bounded: the oldest lines go when there are too many, and are counted.
 */
#ifndef VMTEST_REPORT_LINES_H
#define VMTEST_REPORT_LINES_H

#include <stdint.h>

#include "base/str.h"
#include "base/utf8.h"

#define LINES_MAX 10000
#define LINES_MAX_BYTES (4U << 20)

enum lines_state {
    LINES_GROUND,        /* text */
    LINES_ESCAPE,        /* behind ESC */
    LINES_ESCAPE_CHARS,  /* ESC and intermediate characters: one final character ends it */
    LINES_CSI,           /* ESC [ parameters */
    LINES_STRING,        /* an operating system command or the like, up to BEL or ESC \ */
    LINES_STRING_ESCAPE, /* ESC within such a string */
};

struct lines {
    char **items; /* a ring of LINES_MAX whole lines */
    size_t first;
    size_t count;
    size_t bytes;
    uint64_t n_dropped;

    struct buffer current; /* the line that has not ended yet */
    unsigned column;       /* where its next character goes */
    bool rewind;           /* a carriage return came: the next character begins the line anew */
    enum lines_state state;
    unsigned char pending[UTF8_MAX]; /* of a sequence that is not complete */
    size_t n_pending;
};

void lines_init(struct lines *lines);
void lines_deinit(struct lines *lines);
/* Forgets everything. */
void lines_clear(struct lines *lines);
void lines_feed(struct lines *lines, const void *data, size_t size);
/* The number of lines held, with an unfinished one. */
size_t lines_count(const struct lines *lines);
/* Line `index` of them, the oldest first; valid until the next call that changes them. */
const char *lines_get(const struct lines *lines, size_t index);

/* How many bytes of `text`, a line as above, fit into `columns`; combining characters stay with their base. */
size_t text_clip(const char *text, unsigned columns);
/* Any string as one safe line; line ends become blanks. Caller frees. */
char *text_sanitize(const char *text);

#endif
