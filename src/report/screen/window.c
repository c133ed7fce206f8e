/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drawing: the cursor goes up to where the region began, each row is cleared and then written, and what is left of the
 * old region is cleared. A row is cleared before it is written, not after: behind a text that fills the last column the
 * cursor still stands on that column, and clearing would take its character away. Each row is clipped to the width, so
 * that it takes exactly one row and the way up is known.
 */
#include "report/screen/window.h"

#include <sys/ioctl.h>

#define DEFAULT_COLUMNS 80

struct size {
    unsigned columns;
    unsigned rows; /* 0: not known */
};

static struct size window_size(const struct window *window) {
    struct winsize answer;

    if (window->columns > 0)
        return (struct size){window->columns, 0};
    if (ioctl(window->fd, TIOCGWINSZ, &answer) < 0 || answer.ws_col == 0)
        return (struct size){DEFAULT_COLUMNS, 0};
    return (struct size){answer.ws_col, answer.ws_row};
}

static void go_up(struct window *window, struct buffer *out) {
    if (window->n_drawn > 0)
        buffer_printf(out, "\r\033[%uA", window->n_drawn);
    window->n_drawn = 0;
}

static void draw_row(struct window *window, struct buffer *out, const char *text, unsigned columns, bool dim) {
    buffer_append_string(out, dim ? "\033[K\033[2m" : "\033[K");
    buffer_append(out, text, text_clip(text, columns));
    buffer_append_string(out, dim ? "\033[0m\n" : "\n");
    window->n_drawn++;
}

void window_draw(struct window *window, struct buffer *out, const struct strv *titles, const struct lines *lines) {
    struct size size = window_size(window);
    size_t count = lines_count(lines);
    size_t shown = WINDOW_LINES;

    /* The region must fit on the screen with the row of the cursor, or its top could not be reached again. */
    if (size.rows > 0 && size.rows < titles->count + shown + 1)
        shown = size.rows > titles->count + 1 ? size.rows - titles->count - 1 : 0;
    if (shown > count)
        shown = count;

    go_up(window, out);
    for (size_t i = 0; i < titles->count; i++)
        draw_row(window, out, titles->items[i], size.columns, false);
    for (size_t i = count - shown; i < count; i++)
        draw_row(window, out, lines_get(lines, i), size.columns, window->dim);
    buffer_append_string(out, "\033[J");
}

void window_clear_rows(struct buffer *out, unsigned count) {
    if (count == 0)
        return;
    buffer_printf(out, "\r\033[%uA", count);
    for (unsigned i = 0; i < count; i++)
        buffer_append_string(out, "\033[K\n");
    buffer_printf(out, "\033[%uA", count);
}

void window_erase(struct window *window, struct buffer *out) {
    window_clear_rows(out, window->n_drawn);
    window->n_drawn = 0;
}
