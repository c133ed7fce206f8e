/* SPDX-License-Identifier: Apache-2.0 */
/* How the client of the QEMU guest agent comes into step with it, and what counts as a reply. */
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

static void a_sync_is_led_by_0xff(void **state) {
    static const struct {
        uint64_t id;
        const char *text;
    } cases[] = {
        {1, "\377{\"execute\":\"guest-sync-delimited\",\"arguments\":{\"id\":1}}\n"},
        {QGA_ID_MAX, "\377{\"execute\":\"guest-sync-delimited\",\"arguments\":{\"id\":2147483647}}\n"},
        /* Brought into the range. */
        {0, "\377{\"execute\":\"guest-sync-delimited\",\"arguments\":{\"id\":1}}\n"},
        {QGA_ID_MAX + 5ull, "\377{\"execute\":\"guest-sync-delimited\",\"arguments\":{\"id\":6}}\n"},
        {UINT64_MAX, "\377{\"execute\":\"guest-sync-delimited\",\"arguments\":{\"id\":4}}\n"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct qga qga = {0};

        qga_sync(&qga, cases[i].id);
        assert_string_equal(qga.out.data, cases[i].text);
        assert_int_equal(qga.out.size, strlen(cases[i].text));
        assert_true(qga.sync_id >= 1 && qga.sync_id <= QGA_ID_MAX);
        assert_false(qga.synced);
        qga_deinit(&qga);
    }
}

/* What comes before the answer to sync 7, and how many lines of it are dropped. */
static const struct {
    const char *name;
    const char *text;
    size_t size;
    unsigned dropped;
} stale[] = {
#define STALE(name, text, dropped)                                                                                     \
    { name, text, sizeof(text) - 1, dropped }
    STALE("nothing", "", 0),
    STALE("the error about 0xFF", STRAY, 1),
    STALE("answers to older syncs", STRAY SYNCED(5) STRAY SYNCED(6) STRAY, 5),
    STALE("an id that begins alike", SYNCED(70) SYNCED(71), 2),
    STALE("a negative id", SYNCED(-7), 1),
    STALE("an id that is no integer", SYNCED(7.0) SYNCED("7") SYNCED([7]) SYNCED(null), 4),
    STALE("ids beyond 32 and 64 bits", SYNCED(4294967303) SYNCED(18446744073709551623) SYNCED(1e999), 3),
    STALE("the id without 0xFF", "{\"return\": 7}\n", 1),
    STALE("the id under another key", "\377{\"error\": 7}\n\377{\"id\": 7}\n", 2),
    STALE("replies to a former client", "{\"return\": {}}\n{\"return\": {\"pid\": 7}}\r\n", 2),
    STALE("an unknown command", "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"guest-sync\"}}\n", 1),
    STALE("the end of a line", "urn\": {}}\n", 1),
    STALE("a line that is cut off", "{\"return\": {\"out-data\": \"AAAA", 1),
    STALE("an answer that is cut off", "\377{\"return\": 7", 1),
    STALE("several that are cut off", "\377{\"return\": 7}\377{\377\377}", 3),
    STALE("garbage", "login: \n\1\2\3\n[1]\n7\n{}\n\377garbage\n", 6),
    STALE("NULs", "\0\n\377{\"return\": 7}\0\n\0\0", 3),
    STALE("other bytes than UTF-8", "\200\n\377{\"return\": 7, \"a\": \"\300\"}\n", 2),
    STALE("the id twice", "\377{\"return\": 7, \"return\": 7}\n", 1),
    STALE("two in a line", "\377{\"return\": 7} {\"return\": 7}\n", 1),
    STALE("empty lines", "\n\r\n\377\n\377\r\n\377\377\n", 0),
};

static void assert_comes_into_step(size_t n, size_t piece) {
    _cleanup_buffer_ struct buffer text = {0};
    struct qga qga = {0};

    buffer_append(&text, stale[n].text, stale[n].size);
    buffer_append_string(&text, SYNCED(7));
    qga_sync(&qga, 5);
    qga_sync(&qga, 6);
    qga_sync(&qga, 7);
    for (size_t offset = 0; offset < text.size; offset += piece) {
        size_t size = text.size - offset < piece ? text.size - offset : piece;

        assert_false(qga.synced);
        assert_int_equal(qga_feed(&qga, text.data + offset, size, NULL), 0);
    }
    if (!qga.synced || qga.dropped != stale[n].dropped)
        fail_msg("%s, %zu bytes a time: synced %d, dropped %d", stale[n].name, piece, qga.synced, (int)qga.dropped);
    assert_null(qga.reply);
    assert_null(qga.error);
    assert_int_equal(qga.in.size, 0);

    /* From here on it counts. */
    qga_request(&qga, "guest-ping", NULL);
    feed(&qga, "{\"return\": {}}\n");
    assert_true(qga_answered(&qga));
    qga_deinit(&qga);
}

static void what_is_stale_is_dropped_however_it_is_cut(void **state) {
    for (size_t i = 0; i < ARRAY_SIZE(stale); i++) {
        assert_comes_into_step(i, SIZE_MAX / 2);
        for (size_t piece = 1; piece < 8; piece++)
            assert_comes_into_step(i, piece);
    }
}

static void the_answer_is_known_at_its_newline_only(void **state) {
    static const char *const answers[] = {SYNCED(1), "\377{\"return\": 1}\r\n", "\377{ \"id\": 3, \"return\":1 }\n"};

    for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
        struct qga qga = {0};
        size_t size = strlen(answers[i]);

        qga_sync(&qga, 1);
        for (size_t offset = 0; offset < size; offset++) {
            assert_int_equal(qga_feed(&qga, answers[i] + offset, 1, NULL), 0);
            assert_int_equal(qga.synced, offset + 1 == size);
        }
        assert_int_equal(qga.dropped, 0);
        qga_deinit(&qga);
    }
}

static void nothing_counts_before_a_sync(void **state) {
    struct qga qga = {0};

    feed(&qga, SYNCED(0) SYNCED(1) "{\"return\": {}}\ngarbage\n");
    assert_false(qga.synced);
    assert_false(qga_answered(&qga));
    assert_int_equal(qga.dropped, 4);
    qga_deinit(&qga);
}

static void a_request_is_one_line(void **state) {
    struct qga qga = synced();

    qga_request(&qga, "guest-ping", NULL);
    assert_string_equal(qga.out.data, "{\"execute\":\"guest-ping\"}\n");
    assert_true(qga.waiting);
    assert_false(qga_answered(&qga));
    qga.out.size = 0;
    feed(&qga, "{\"return\": {}}\n");
    qga_request(&qga, "guest-exec", json_pack("{s:s}", "path", "a\nb\xc3\xbc"));
    assert_string_equal(qga.out.data, "{\"execute\":\"guest-exec\",\"arguments\":{\"path\":\"a\\nb\xc3\xbc\"}}\n");
    qga_deinit(&qga);
}

static void a_reply_is_the_value_of_return(void **state) {
    static const struct {
        const char *line;
        const char *value;
    } cases[] = {
        {"{\"return\": {}}\n", "{}"},
        {"{\"return\": {\"pid\": 20610}}\n", "{\"pid\":20610}"},
        {"{\"return\": [1, null]}\r\n", "[1,null]"},
        {"\n{\"id\": 7, \"return\": 9223372036854775807}\n", "9223372036854775807"},
        {"\r\n{\"return\": \"\\u00fc\"}\n", "\"\xc3\xbc\""},
        {"{\"return\": null}\n", "null"},
        {"{\"return\": false}\n", "false"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct qga qga = synced();
        size_t size = strlen(cases[i].line);

        qga_request(&qga, "guest-info", NULL);
        for (size_t offset = 0; offset < size; offset++) {
            assert_false(qga_answered(&qga));
            assert_int_equal(qga_feed(&qga, cases[i].line + offset, 1, NULL), 0);
        }
        assert_true(qga_answered(&qga));
        _cleanup_free_ char *value = json_dumps(qga.reply, JSON_COMPACT | JSON_ENCODE_ANY);
        assert_string_equal(value, cases[i].value);
        assert_null(qga.error);
        assert_null(qga.error_class);
        assert_int_equal(qga.dropped, 0);
        qga_deinit(&qga);
    }
}

static void an_error_is_an_answer(void **state) {
    static const struct {
        const char *line;
        const char *class;
        const char *text;
    } cases[] = {
        /* 7.2 */
        {"{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"The command no-such has not been found\"}}\n",
         "CommandNotFound", "The command no-such has not been found"},
        {"{\"error\": {\"class\": \"GenericError\", \"desc\": \"Invalid parameter 'pid'\"}}\n", "GenericError",
         "Invalid parameter 'pid'"},
        {"{\"error\": {}}\n", "GenericError", "unknown error"},
        {"{\"error\": {\"class\": 1, \"desc\": null}}\n", "GenericError", "unknown error"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct qga qga = synced();

        qga_request(&qga, "guest-exec-status", NULL);
        feed(&qga, cases[i].line);
        assert_true(qga_answered(&qga));
        assert_null(qga.reply);
        assert_string_equal(qga.error_class, cases[i].class);
        assert_string_equal(qga.error, cases[i].text);
        qga_deinit(&qga);
    }
}

static void each_request_has_its_own_answer(void **state) {
    struct qga qga = synced();

    assert_false(qga_answered(&qga));
    qga_request(&qga, "guest-exec", NULL);
    feed(&qga, "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"no\"}}\n");
    qga_request(&qga, "guest-ping", NULL);
    assert_false(qga_answered(&qga));
    assert_null(qga.error);
    assert_null(qga.error_class);
    feed(&qga, "{\"return\": 1}\n");
    assert_int_equal(json_integer_value(qga.reply), 1);
    qga_request(&qga, "guest-ping", NULL);
    assert_false(qga_answered(&qga));
    assert_null(qga.reply);
    feed(&qga, "{\"return\": 2}\n");
    assert_int_equal(json_integer_value(qga.reply), 2);
    qga_deinit(&qga);
}

static void garbage_is_refused_once_synced(void **state) {
    static const struct {
        const char *text;
        size_t size;
        const char *message;
    } cases[] = {
#define BAD(text, message) {text "\n", sizeof(text), message}
        BAD("login:", "other than a JSON object"),
        BAD("{\"return\": {}", "other than a JSON object"),
        BAD("{\"return\": {}} {}", "other than a JSON object"),
        BAD("[{\"return\": {}}]", "other than a JSON object"),
        BAD("7", "other than a JSON object"),
        BAD("null", "other than a JSON object"),
        BAD("{\"return\": \"\300\"}", "other than a JSON object"),
        BAD("{\"return\": {}}\0", "other than a JSON object"),
        BAD("{\"return\": \"\\u0000\"}", "other than a JSON object"),
        BAD("{\"return\": 1, \"return\": 1}", "other than a JSON object"),
        BAD("{\"return\": {\"a\": 1, \"a\": 1}}", "other than a JSON object"),
        BAD("{\"return\": 9223372036854775808}", "other than a JSON object"),
        BAD("{\"return\": 1e999}", "other than a JSON object"),
        BAD("\377garbage", "other than a JSON object"),
        BAD("{}", "neither a value nor an error"),
        BAD("{\"event\": \"STOP\"}", "neither a value nor an error"),
        BAD("{\"return\": {}, \"error\": {}}", "neither a value nor an error"),
        BAD("{\"error\": \"odd\"}", "neither a value nor an error"),
        BAD("{\"error\": null}", "neither a value nor an error"),
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_error_ struct error *error = NULL;
        struct qga qga = synced();

        qga_request(&qga, "guest-ping", NULL);
        assert_int_equal(qga_feed(&qga, cases[i].text, cases[i].size, &error), -EPROTO);
        assert_non_null(strstr(error_message(error), cases[i].message));
        assert_false(qga_answered(&qga));
        qga_deinit(&qga);
    }
}

static void a_reply_to_nothing_is_refused(void **state) {
    struct qga qga = synced();

    assert_int_equal(qga_feed(&qga, "{\"return\": {}}\n", 15, NULL), -EPROTO);
    assert_null(qga.reply);
    qga_deinit(&qga);

    qga = synced();
    qga_request(&qga, "guest-ping", NULL);
    assert_int_equal(qga_feed(&qga, "{\"return\": 1}\n{\"return\": 2}\n", 28, NULL), -EPROTO);
    assert_int_equal(json_integer_value(qga.reply), 1);
    qga_deinit(&qga);
}

static void after_garbage_a_sync_begins_anew(void **state) {
    struct qga qga = synced();

    qga_request(&qga, "guest-ping", NULL);
    assert_int_equal(qga_feed(&qga, "garbage\n{\"return\": {}}\n", 23, NULL), -EPROTO);
    /* Nothing counts, not even the id of the sync before. */
    feed(&qga, "{\"return\": {}}\nmore\n" SYNCED(1));
    assert_false(qga.synced);
    assert_false(qga_answered(&qga));
    qga_sync(&qga, 2);
    feed(&qga, STRAY SYNCED(2));
    assert_true(qga.synced);
    qga_request(&qga, "guest-ping", NULL);
    feed(&qga, "{\"return\": {}}\n");
    assert_true(qga_answered(&qga));
    qga_deinit(&qga);
}

static void only_the_answer_to_a_sync_is_led_by_0xff(void **state) {
    struct qga qga = synced();

    qga_request(&qga, "guest-ping", NULL);
    feed(&qga, SYNCED(1) "{\"return\": {\"out-da" SYNCED(1));
    assert_false(qga_answered(&qga));
    assert_int_equal(qga.dropped, 3);
    feed(&qga, "{\"return\": {}}\n");
    assert_true(qga_answered(&qga));
    qga_deinit(&qga);
}

static void a_sync_forgets_what_is_under_way(void **state) {
    struct qga qga = synced();

    qga_request(&qga, "guest-ping", NULL);
    feed(&qga, "{\"return\": {}}\n");
    qga_request(&qga, "guest-exec", NULL);
    feed(&qga, "{\"return\": {\"pi");
    qga_sync(&qga, 2);
    assert_string_equal(qga.out.data, "\377{\"execute\":\"guest-sync-delimited\",\"arguments\":{\"id\":2}}\n");
    assert_false(qga.waiting);
    feed(&qga, "d\": 5}}\n" STRAY SYNCED(1));
    assert_false(qga.synced);
    feed(&qga, SYNCED(2));
    assert_true(qga.synced);
    assert_false(qga_answered(&qga));
    assert_int_equal(qga.dropped, 3);

    qga_request(&qga, "guest-ping", NULL);
    feed(&qga, "{\"return\": {}}\n");
    qga_sync(&qga, 3);
    assert_null(qga.reply);
    assert_false(qga_answered(&qga));
    qga_deinit(&qga);
}

/* An answer of which the beginning was written for the sync before does not count for the next one. */
static void a_sync_forgets_the_unfinished_line(void **state) {
    struct qga qga = {0};

    qga_sync(&qga, 1);
    feed(&qga, "\377");
    qga_sync(&qga, 2);
    feed(&qga, "{\"return\": 2}\n");
    assert_false(qga.synced);
    feed(&qga, SYNCED(2));
    assert_true(qga.synced);
    qga_deinit(&qga);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sync_is_led_by_0xff),
        cmocka_unit_test(what_is_stale_is_dropped_however_it_is_cut),
        cmocka_unit_test(the_answer_is_known_at_its_newline_only),
        cmocka_unit_test(nothing_counts_before_a_sync),
        cmocka_unit_test(a_request_is_one_line),
        cmocka_unit_test(a_reply_is_the_value_of_return),
        cmocka_unit_test(an_error_is_an_answer),
        cmocka_unit_test(each_request_has_its_own_answer),
        cmocka_unit_test(garbage_is_refused_once_synced),
        cmocka_unit_test(a_reply_to_nothing_is_refused),
        cmocka_unit_test(after_garbage_a_sync_begins_anew),
        cmocka_unit_test(only_the_answer_to_a_sync_is_led_by_0xff),
        cmocka_unit_test(a_sync_forgets_what_is_under_way),
        cmocka_unit_test(a_sync_forgets_the_unfinished_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
