/* SPDX-License-Identifier: Apache-2.0 */
/* What the QMP client keeps of QEMU's lines, however they are cut, and what it refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "qemu/qmp.h"

#define GREETING                                                                                                       \
    "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 19, \"minor\": 2, \"major\": 7}, \"package\": \"Debian\"}, "       \
    "\"capabilities\": [\"oob\"]}}\r\n"
#define SHUTDOWN_EVENT                                                                                                 \
    "{\"timestamp\": {\"seconds\": 1, \"microseconds\": 2}, \"event\": \"SHUTDOWN\", \"data\": {\"guest\": true, "     \
    "\"reason\": \"guest-reset\"}}\r\n"

static void feed(struct qmp *qmp, const char *text) {
    assert_int_equal(qmp_feed(qmp, text, strlen(text), NULL), 0);
}

static void refuse(const char *text, const char *message) {
    _cleanup_error_ struct error *error = NULL;
    struct qmp qmp = {0};

    assert_int_equal(qmp_feed(&qmp, text, strlen(text), &error), -EPROTO);
    assert_non_null(strstr(error_message(error), message));
    qmp_deinit(&qmp);
}

static void the_greeting_tells_the_version(void **state) {
    struct qmp qmp = {0};

    feed(&qmp, GREETING);
    assert_true(qmp.greeted);
    assert_int_equal(qmp.version[0], 7);
    assert_int_equal(qmp.version[1], 2);
    assert_int_equal(qmp.version[2], 19);
    assert_null(qmp.shutdown);
    assert_false(qmp.panicked);
    assert_null(qmp.failure);
    qmp_deinit(&qmp);
    assert_false(qmp.greeted);
}

static void lines_may_be_cut_at_any_byte(void **state) {
    static const char text[] = GREETING SHUTDOWN_EVENT;

    for (size_t cut = 0; cut < sizeof(text); cut++) {
        struct qmp qmp = {0};

        assert_int_equal(qmp_feed(&qmp, text, cut, NULL), 0);
        assert_int_equal(qmp.greeted, cut >= strlen(GREETING));
        assert_int_equal(qmp_feed(&qmp, text + cut, strlen(text) - cut, NULL), 0);
        assert_true(qmp.greeted);
        assert_string_equal(qmp.shutdown, "guest-reset");
        assert_int_equal(qmp.in.size, 0);
        qmp_deinit(&qmp);
    }
}

static void a_line_ends_with_or_without_a_carriage_return(void **state) {
    struct qmp qmp = {0};

    feed(&qmp, "\n\r\n{\"event\": \"RESUME\"}\n{\"event\": \"STOP\"}\r\n");
    feed(&qmp, "{\"event\": \"GUEST_PANICKED\", \"data\": {\"action\": \"pause\"}}\n");
    assert_true(qmp.panicked);
    assert_int_equal(qmp.in.size, 0);
    qmp_deinit(&qmp);
}

static void events_that_mean_an_end_are_kept(void **state) {
    struct qmp qmp = {0};

    feed(&qmp, SHUTDOWN_EVENT);
    assert_string_equal(qmp.shutdown, "guest-reset");
    feed(&qmp, "{\"event\": \"SHUTDOWN\", \"data\": {\"guest\": true, \"reason\": \"guest-shutdown\"}}\n");
    assert_string_equal(qmp.shutdown, "guest-shutdown");
    feed(&qmp, "{\"event\": \"SHUTDOWN\", \"data\": 7}\n");
    assert_string_equal(qmp.shutdown, "unknown");
    assert_false(qmp.panicked);
    qmp_deinit(&qmp);
}

static void other_messages_are_passed_over(void **state) {
    static const char *const lines[] = {
        "{}\n",
        "{\"return\": {}}\n",
        "{\"return\": [1, 2, {\"a\": null}], \"id\": \"x\"}\n",
        "{\"event\": \"NIC_RX_FILTER_CHANGED\", \"data\": {\"name\": \"n\", \"path\": \"/p\"}}\n",
        "{\"event\": 5}\n",
        "{\"event\": null, \"data\": []}\n",
        "{\"event\": \"SHUTDOWNS\", \"data\": {\"reason\": \"guest-reset\"}}\n",
    };
    struct qmp qmp = {0};

    for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
        feed(&qmp, lines[i]);
    assert_false(qmp.greeted);
    assert_false(qmp.panicked);
    assert_null(qmp.shutdown);
    assert_null(qmp.failure);
    qmp_deinit(&qmp);
}

static void the_first_error_is_kept(void **state) {
    struct qmp qmp = {0};

    feed(&qmp, "{\"error\": {\"class\": \"GenericError\", \"desc\": \"first\"}}\n");
    feed(&qmp, "{\"error\": {\"class\": \"GenericError\", \"desc\": \"second\"}}\n");
    assert_string_equal(qmp.failure, "first");
    qmp_deinit(&qmp);
    feed(&qmp, "{\"error\": \"odd\"}\n");
    assert_string_equal(qmp.failure, "unknown error");
    qmp_deinit(&qmp);
}

static void garbage_is_refused(void **state) {
    refuse("SeaBIOS (version 1.16)\n", "QMP: not a JSON object");
    refuse("{\"event\": \"STOP\"\n", "QMP: not a JSON object");
    refuse("{\"event\": \"A\", \"event\": \"B\"}\n", "QMP: not a JSON object");
    refuse("{\"event\": \"\377\"}\n", "QMP: not a JSON object");
    refuse("[1, 2]\n", "QMP: not a JSON object");
    refuse("\"QMP\"\n", "QMP: not a JSON object");
    refuse("17\n", "QMP: not a JSON object");
    refuse("null\n", "QMP: not a JSON object");
    refuse("\1\2\3\n", "QMP: not a JSON object");
    refuse("{} {}\n", "QMP: not a JSON object");
}

static void a_nul_in_a_line_is_refused(void **state) {
    struct qmp qmp = {0};

    assert_int_equal(qmp_feed(&qmp, "{}\0{}\n", 6, NULL), -EPROTO);
    qmp_deinit(&qmp);
}

static void a_greeting_without_a_version_is_refused(void **state) {
    refuse("{\"QMP\": {}}\n", "greeting without QEMU's version");
    refuse("{\"QMP\": 5}\n", "greeting without QEMU's version");
    refuse("{\"QMP\": {\"version\": {\"qemu\": {\"major\": \"7\", \"minor\": 2, \"micro\": 0}}}}\n",
           "greeting without QEMU's version");
    refuse("{\"QMP\": {\"version\": {\"qemu\": {\"major\": 7, \"minor\": 2}}}}\n", "greeting without QEMU's version");
}

static void nesting_without_end_is_refused(void **state) {
    _cleanup_buffer_ struct buffer line = {0};

    buffer_append_string(&line, "{\"a\":");
    for (unsigned i = 0; i < 100000; i++)
        buffer_append_string(&line, "[");
    buffer_append_string(&line, "\n");
    refuse(line.data, "QMP: not a JSON object");
}

static void a_line_that_never_ends_is_refused(void **state) {
    _cleanup_error_ struct error *error = NULL;
    struct qmp qmp = {0};
    char piece[4096];
    size_t fed = 0;
    int r;

    memset(piece, ' ', sizeof(piece));
    do {
        r = qmp_feed(&qmp, piece, sizeof(piece), &error);
        fed += sizeof(piece);
    } while (r == 0 && fed < 4u * QMP_LINE_MAX);
    assert_int_equal(r, -EPROTO);
    assert_int_equal(fed, QMP_LINE_MAX + sizeof(piece));
    assert_non_null(strstr(error_message(error), "a line of over"));
    qmp_deinit(&qmp);
}

static void a_long_line_within_the_limit_is_taken(void **state) {
    _cleanup_buffer_ struct buffer line = {0};
    struct qmp qmp = {0};

    buffer_append_string(&line, "{\"event\": \"GUEST_PANICKED\", \"data\": \"");
    while (line.size < QMP_LINE_MAX - 16)
        buffer_append_string(&line, "x");
    buffer_append_string(&line, "\"}\n");
    for (size_t offset = 0; offset < line.size; offset += 4096) {
        size_t piece = line.size - offset < 4096 ? line.size - offset : 4096;

        assert_int_equal(qmp_feed(&qmp, line.data + offset, piece, NULL), 0);
    }
    assert_true(qmp.panicked);
    qmp_deinit(&qmp);
}

static void the_reply_to_a_command_is_known_by_its_id(void **state) {
    _cleanup_buffer_ struct buffer out = {0};
    struct qmp qmp = {0};

    qmp_execute(&qmp, &out, "stop", NULL);
    assert_string_equal(out.data, "{\"execute\":\"stop\",\"id\":1}\n");
    assert_false(qmp.answered);
    feed(&qmp, "{\"return\": {}}\n{\"return\": {}, \"id\": 7}\n{\"return\": {}, \"id\": \"1\"}\n");
    assert_false(qmp.answered);
    feed(&qmp, "{\"return\": {}, \"id\": 1}\n");
    assert_true(qmp.answered);
    assert_null(qmp.failure);

    buffer_consume(&out, out.size);
    qmp_execute(&qmp, &out, "getfd", json_pack("{s:s}", "fdname", "a\"b"));
    assert_string_equal(out.data, "{\"execute\":\"getfd\",\"id\":2,\"arguments\":{\"fdname\":\"a\\\"b\"}}\n");
    assert_false(qmp.answered);
    feed(&qmp, "{\"id\": 2, \"error\": {\"class\": \"GenericError\", \"desc\": \"no\"}}\n");
    assert_true(qmp.answered);
    assert_string_equal(qmp.failure, "no");
    qmp_execute(&qmp, &out, "cont", NULL);
    assert_null(qmp.failure); /* what came before is forgotten */
    qmp_deinit(&qmp);
}

static void the_guest_agents_port_is_told_from_others(void **state) {
    struct qmp qmp = {0};

    feed(&qmp, "{\"event\": \"VSERPORT_CHANGE\", \"data\": {\"open\": true, \"id\": \"agent\"}}\n");
    assert_false(qmp.qga_open);
    feed(&qmp, "{\"event\": \"VSERPORT_CHANGE\", \"data\": {\"open\": true, \"id\": \"" QMP_QGA_ID "\"}}\n");
    assert_true(qmp.qga_open);
    feed(&qmp, "{\"event\": \"VSERPORT_CHANGE\", \"data\": {\"open\": false, \"id\": \"" QMP_QGA_ID "\"}}\n");
    assert_false(qmp.qga_open);
    assert_int_equal(qmp.qga_opened, 1);
    feed(&qmp, "{\"event\": \"VSERPORT_CHANGE\"}\n{\"event\": \"VSERPORT_CHANGE\", \"data\": 5}\n");
    assert_false(qmp.qga_open);
    qmp_deinit(&qmp);
}

static void reboots_of_the_guest_are_counted(void **state) {
    struct qmp qmp = {0};

    feed(&qmp, "{\"event\": \"RESET\", \"data\": {\"guest\": true, \"reason\": \"guest-reset\"}}\n");
    feed(&qmp, "{\"event\": \"RESET\", \"data\": {\"guest\": false, \"reason\": \"host-qmp-system-reset\"}}\n");
    assert_int_equal(qmp.resets, 1);
    qmp_deinit(&qmp);
}

#define IO_ERROR(action, nospace, reason)                                                                              \
    "{\"event\": \"BLOCK_IO_ERROR\", \"data\": {\"device\": \"\", \"node-name\": \"disk\", \"operation\": \"write\", " \
    "\"action\": \"" action "\", \"nospace\": " nospace ", \"reason\": \"" reason "\"}}\n"

static void the_first_error_of_a_disk_is_kept(void **state) {
    struct qmp qmp = {0};

    feed(&qmp, IO_ERROR("ignore", "false", "passed over"));
    assert_null(qmp.io_error);
    feed(&qmp, IO_ERROR("stop", "true", "No space left on device"));
    feed(&qmp, IO_ERROR("report", "false", "Input/output error"));
    assert_string_equal(qmp.io_error, "No space left on device");
    assert_true(qmp.no_space);
    qmp_deinit(&qmp);
}

static void the_last_state_of_a_migration_counts(void **state) {
    struct qmp qmp = {0};

    feed(&qmp, "{\"event\": \"MIGRATION\", \"data\": {\"status\": \"active\"}}\n");
    feed(&qmp, "{\"event\": \"MIGRATION\", \"data\": {\"status\": \"completed\"}}\n");
    assert_string_equal(qmp.migration, "completed");
    feed(&qmp, "{\"event\": \"MIGRATION\"}\n");
    assert_string_equal(qmp.migration, "unknown");
    qmp_deinit(&qmp);
}

static void the_question_whether_qemu_is_alive_disturbs_no_command(void **state) {
    struct qmp qmp = {0};
    _cleanup_buffer_ struct buffer out = {0};

    assert_false(qmp_is_busy(&qmp));
    qmp_execute(&qmp, &out, "stop", NULL);
    qmp_heartbeat(&qmp, &out);
    assert_true(qmp_is_busy(&qmp));
    assert_non_null(strstr(out.data, "\n{\"execute\":\"query-status\""));
    feed(&qmp, "{\"return\": {\"status\": \"running\"}, \"id\": \"alive\"}\n");
    assert_int_equal(qmp.heartbeats_answered, qmp.heartbeats_sent);
    assert_true(qmp_is_busy(&qmp));
    feed(&qmp, "{\"return\": {}, \"id\": 1}\n");
    assert_false(qmp_is_busy(&qmp));
    qmp_heartbeat(&qmp, &out);
    assert_int_not_equal(qmp.heartbeats_answered, qmp.heartbeats_sent);
    feed(&qmp, "{\"error\": {\"class\": \"GenericError\", \"desc\": \"no\"}, \"id\": \"alive\"}\n");
    assert_int_equal(qmp.heartbeats_answered, qmp.heartbeats_sent);
    assert_null(qmp.failure);
    qmp_deinit(&qmp);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_greeting_tells_the_version),
        cmocka_unit_test(lines_may_be_cut_at_any_byte),
        cmocka_unit_test(a_line_ends_with_or_without_a_carriage_return),
        cmocka_unit_test(events_that_mean_an_end_are_kept),
        cmocka_unit_test(other_messages_are_passed_over),
        cmocka_unit_test(the_first_error_is_kept),
        cmocka_unit_test(garbage_is_refused),
        cmocka_unit_test(a_nul_in_a_line_is_refused),
        cmocka_unit_test(a_greeting_without_a_version_is_refused),
        cmocka_unit_test(nesting_without_end_is_refused),
        cmocka_unit_test(a_line_that_never_ends_is_refused),
        cmocka_unit_test(a_long_line_within_the_limit_is_taken),
        cmocka_unit_test(the_reply_to_a_command_is_known_by_its_id),
        cmocka_unit_test(the_guest_agents_port_is_told_from_others),
        cmocka_unit_test(reboots_of_the_guest_are_counted),
        cmocka_unit_test(the_first_error_of_a_disk_is_kept),
        cmocka_unit_test(the_last_state_of_a_migration_counts),
        cmocka_unit_test(the_question_whether_qemu_is_alive_disturbs_no_command),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
