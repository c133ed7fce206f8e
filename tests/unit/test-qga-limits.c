/* SPDX-License-Identifier: Apache-2.0 */
/* The QEMU guest agent as an adversary: what has no end, and what has no sense. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "guest/qga.h"

/* What qemu-ga 7.2 answers to the 0xFF before a sync, and to a sync. */
#define STRAY "{\"error\": {\"class\": \"GenericError\", \"desc\": \"JSON parse error, stray '\\uFFFD'\"}}\n"
#define SYNCED(id) "\377{\"return\": " #id "}\n"

static void feed(struct qga *qga, const char *text) {
    assert_int_equal(qga_feed(qga, text, strlen(text), NULL), 0);
}

static struct qga synced(void) {
    struct qga qga = {0};

    qga_sync(&qga, 1);
    feed(&qga, SYNCED(1));
    assert_true(qga.synced);
    qga.out.size = 0;
    return qga;
}

static void nesting_without_end_is_garbage(void **state) {
    _cleanup_buffer_ struct buffer line = {0};
    struct qga qga = {0};

    buffer_append_string(&line, "\377{\"return\": ");
    for (unsigned i = 0; i < 1000000; i++)
        buffer_append(&line, "[", 1);
    buffer_append(&line, "\n", 1);
    qga_sync(&qga, 1);
    feed(&qga, line.data);
    assert_int_equal(qga.dropped, 1);
    feed(&qga, SYNCED(1));
    qga_request(&qga, "guest-ping", NULL);
    assert_int_equal(qga_feed(&qga, line.data + 1, line.size - 1, NULL), -EPROTO);
    qga_deinit(&qga);
}

/* Feeds `size` bytes of one line, without its end; tells how many were taken. */
static size_t feed_long(struct qga *qga, size_t size, struct error **ret_error) {
    _cleanup_free_ char *piece = xmalloc(1u << 20);
    size_t fed = 0;

    memset(piece, 'x', 1u << 20);
    while (fed < size) {
        size_t part = size - fed < 1u << 20 ? size - fed : 1u << 20;

        if (qga_feed(qga, piece, part, ret_error) < 0)
            break;
        fed += part;
    }
    return fed;
}

static void a_line_that_never_ends_is_dropped_while_syncing(void **state) {
    struct qga qga = {0};

    qga_sync(&qga, 1);
    assert_int_equal(feed_long(&qga, 3u * QGA_LINE_MAX, NULL), 3u * QGA_LINE_MAX);
    assert_int_equal(qga.dropped, 1);
    assert_int_equal(qga.in.size, 0);
    feed(&qga, "{\"return\": 1}\n");
    assert_int_equal(qga.dropped, 1);
    /* 0xFF ends one as a newline does. */
    (void)feed_long(&qga, QGA_LINE_MAX + 1u, NULL);
    assert_false(qga.synced);
    feed(&qga, SYNCED(1));
    assert_true(qga.synced);
    assert_int_equal(qga.dropped, 2);
    qga_deinit(&qga);
}

static void a_line_that_never_ends_is_refused_once_synced(void **state) {
    _cleanup_error_ struct error *error = NULL;
    struct qga qga = synced();

    qga_request(&qga, "guest-exec-status", NULL);
    assert_int_equal(feed_long(&qga, QGA_LINE_MAX + 1u, &error), QGA_LINE_MAX);
    assert_non_null(strstr(error_message(error), "too long"));
    assert_false(qga.synced);
    feed(&qga, "x\n");
    assert_int_equal(qga.dropped, 1);
    qga_sync(&qga, 2);
    feed(&qga, SYNCED(2));
    assert_true(qga.synced);
    qga_deinit(&qga);
}

/* What a command with 16 MiB of both outputs gives (7.2: 44739368 bytes and the newline). */
static void a_line_within_the_limit_is_taken(void **state) {
    _cleanup_buffer_ struct buffer line = {0};
    struct qga qga = synced();

    buffer_append_string(&line, "{\"return\": \"");
    memset(buffer_reserve(&line, QGA_LINE_MAX), 'A', QGA_LINE_MAX);
    line.size = QGA_LINE_MAX - 2;
    buffer_append_string(&line, "\"}\n");
    assert_int_equal(line.size, QGA_LINE_MAX + 1);
    qga_request(&qga, "guest-exec-status", NULL);
    for (size_t offset = 0; offset < line.size; offset += 65536) {
        size_t piece = line.size - offset < 65536 ? line.size - offset : 65536;

        assert_int_equal(qga_feed(&qga, line.data + offset, piece, NULL), 0);
    }
    assert_true(qga_answered(&qga));
    assert_int_equal(json_string_length(qga.reply), QGA_LINE_MAX - 14);
    /* And the memory for it is given back. */
    assert_true(qga.in.capacity < QGA_LINE_MAX);
    qga_deinit(&qga);
}

/* Random bytes and pieces of the protocol are no error before it is in step, and never stop it from coming into step.
 */
static void after_any_garbage_it_comes_into_step(void **state) {
    static const char *const pieces[] = {
        "\377", "\n", "\r\n", "{\"return\": ", "7", "}", "{", "[", "\"", "{}", STRAY, SYNCED(6), "{\"return\": 7}\n",
    };
    unsigned lost = 0;

    srandom(3);
    for (unsigned round = 0; round < 5000; round++) {
        struct qga qga = {0};

        qga_sync(&qga, 7);
        for (unsigned i = (unsigned)random() % 40; i > 0; i--) {
            const char *piece = pieces[(size_t)random() % ARRAY_SIZE(pieces)];
            char byte = (char)random();
            /* The pieces may make up the true answer; then garbage is an error. */
            bool in_step = qga.synced;
            int r = random() % 2 ? qga_feed(&qga, piece, strlen(piece), NULL) : qga_feed(&qga, &byte, 1, NULL);

            assert_true(r == 0 || (r == -EPROTO && in_step && !qga.synced));
            lost += r < 0;
        }
        qga_sync(&qga, 8);
        assert_false(qga.synced);
        feed(&qga, SYNCED(8));
        assert_true(qga.synced);
        qga_request(&qga, "guest-ping", NULL);
        feed(&qga, "{\"return\": {}}\n");
        assert_true(qga_answered(&qga));
        qga_deinit(&qga);
    }
    assert_true(lost > 0);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(nesting_without_end_is_garbage),
        cmocka_unit_test(a_line_that_never_ends_is_dropped_while_syncing),
        cmocka_unit_test(a_line_that_never_ends_is_refused_once_synced),
        cmocka_unit_test(a_line_within_the_limit_is_taken),
        cmocka_unit_test(after_any_garbage_it_comes_into_step),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
