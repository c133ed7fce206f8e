/* SPDX-License-Identifier: Apache-2.0 */
/* A small screen for tests of what is drawn on a terminal. To be included behind cmocka.h. */
#ifndef VMTEST_TESTS_SCREEN_H
#define VMTEST_TESTS_SCREEN_H

#include <cmocka.h>

#include "base/str.h"

/*
 * The screen: a list of rows; "\n" also returns the carriage, as a terminal's driver has it. A row longer than the
 * width is a failure, as is going up above the top, and clearing the screen from its first place on: tmux would keep
 * what was there in its history.
 */
struct screen {
    struct buffer rows[64];
    size_t row;
    size_t column;
};

static void screen_deinit(struct screen *screen) {
    for (size_t i = 0; i < ARRAY_SIZE(screen->rows); i++)
        buffer_deinit(&screen->rows[i]);
}
#define _cleanup_screen_ _cleanup_(screen_deinit)

static void screen_cut(struct screen *screen, size_t row, size_t size) {
    if (screen->rows[row].size > size) {
        screen->rows[row].size = size;
        screen->rows[row].data[size] = '\0';
    }
}

static const char *screen_sequence(struct screen *screen, const char *p) {
    char *end;
    unsigned long count = strtoul(p, &end, 10);

    switch (*end) {
    case 'A':
        assert_in_range(count, 1, screen->row);
        screen->row -= count;
        break;
    case 'K':
        screen_cut(screen, screen->row, screen->column);
        break;
    case 'J':
        assert_true(screen->row > 0 || screen->column > 0);
        screen_cut(screen, screen->row, screen->column);
        for (size_t i = screen->row + 1; i < ARRAY_SIZE(screen->rows); i++)
            screen_cut(screen, i, 0);
        break;
    case 'm':
        break;
    default:
        fail_msg("an unexpected sequence: ESC [ %s", p);
    }
    return end + 1;
}

/* What is on a screen behind these bytes; rows joined by line feeds. Caller frees. */
static char *screen_show(const char *text) {
    _cleanup_screen_ struct screen screen = {0};
    struct buffer shown = {0};
    size_t used = 0;

    while (*text) {
        if (strncmp(text, "\033[", 2) == 0) {
            text = screen_sequence(&screen, text + 2);
            continue;
        }
        if (*text == '\n') {
            assert_in_range(++screen.row, 0, ARRAY_SIZE(screen.rows) - 1);
            screen.column = 0;
        } else if (*text == '\r') {
            screen.column = 0;
        } else {
            screen_cut(&screen, screen.row, screen.column++);
            buffer_append(&screen.rows[screen.row], text, 1);
        }
        text++;
    }
    for (size_t i = 0; i < ARRAY_SIZE(screen.rows); i++)
        used = screen.rows[i].size > 0 ? i + 1 : used;
    for (size_t i = 0; i < used; i++) {
        buffer_append(&shown, screen.rows[i].data ? screen.rows[i].data : "", screen.rows[i].size);
        buffer_append_string(&shown, "\n");
    }
    return buffer_take(&shown);
}

static void assert_screen(const char *text, const char *expected) {
    _cleanup_free_ char *shown = screen_show(text);

    assert_string_equal(shown, expected);
}

#endif
