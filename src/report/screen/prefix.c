/* SPDX-License-Identifier: Apache-2.0 */
#include "report/screen/prefix.h"

#include <unistd.h>

#include "report/lines.h"

/* A line that is longer goes out in pieces: its writer may never end it. */
#define LINE_MAX_SIZE (32U << 10)

static void put_line(struct prefix *prefix, int fd, const char *data, size_t size) {
    _cleanup_buffer_ struct buffer line = {0};

    buffer_append_string(&line, prefix->text);
    buffer_append(&line, data, size);
    if (size == 0 || data[size - 1] != '\n')
        buffer_append_string(&line, "\n");
    prefix->onward->write(prefix->onward, fd, line.data, line.size);
}

static void prefix_write(struct writer *writer, int fd, const void *data, size_t size) {
    struct prefix *prefix = (struct prefix *)writer;
    size_t index = fd != STDOUT_FILENO;
    struct buffer *pending = &prefix->pending[index];
    size_t start = 0;

    prefix->fds[index] = fd;
    buffer_append(pending, data, size);
    for (;;) {
        size_t left = pending->size - start;
        const char *end = left > 0 ? memchr(pending->data + start, '\n', left) : NULL;
        size_t length = end ? (size_t)(end + 1 - (pending->data + start)) : left;

        if (!end && left < LINE_MAX_SIZE)
            break;
        put_line(prefix, fd, pending->data + start, length);
        start += length;
    }
    buffer_consume(pending, start);
}

void prefix_init(struct prefix *prefix, const char *name, struct writer *onward) {
    _cleanup_free_ char *safe = text_sanitize(name);

    *prefix = (struct prefix){.writer = {prefix_write}, .onward = onward, .text = xasprintf("%s | ", safe)};
}

void prefix_flush(struct prefix *prefix) {
    for (size_t i = 0; i < ARRAY_SIZE(prefix->pending); i++) {
        if (prefix->pending[i].size > 0)
            put_line(prefix, prefix->fds[i], prefix->pending[i].data, prefix->pending[i].size);
        buffer_consume(&prefix->pending[i], prefix->pending[i].size);
    }
}

void prefix_deinit(struct prefix *prefix) {
    for (size_t i = 0; i < ARRAY_SIZE(prefix->pending); i++)
        buffer_deinit(&prefix->pending[i]);
    free(prefix->text);
    *prefix = (struct prefix){0};
}
