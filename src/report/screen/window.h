/* SPDX-License-Identifier: Apache-2.0 */
/* The region of a terminal that is drawn anew with each event: stage lines and, below, the last lines of output. */
#ifndef VMTEST_REPORT_SCREEN_WINDOW_H
#define VMTEST_REPORT_SCREEN_WINDOW_H

#include "report/lines.h"

/* How many of the last lines are shown. */
#define WINDOW_LINES 10

struct window {
    int fd;           /* the terminal; asked for its size, never written to here */
    unsigned columns; /* fixed width, or 0: ask */
    bool dim;
    unsigned n_drawn; /* rows of the region on the screen; the cursor stands below them, at column 0 */
};

/* Appends to `out` what turns the region as drawn last into `titles` and the last ones of `lines`. */
void window_draw(struct window *window, struct buffer *out, const struct strv *titles, const struct lines *lines);
/* Appends to `out` what removes the region; the cursor is then where the region began. */
void window_erase(struct window *window, struct buffer *out);

/*
 * Appends to `out` what clears the `count` rows above the cursor's and leaves it at the first of them. Row by row: to
 * clear the rest of the screen from its first place on (ED) makes tmux keep all of it in its history.
 */
void window_clear_rows(struct buffer *out, unsigned count);

#endif
