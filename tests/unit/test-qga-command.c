/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked of the QEMU guest agent, and what its answers mean. Those marked "7.2" are a real agent's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "guest/qga-command.h"

static json_t *parse(const char *text) {
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);

    assert_non_null(value);
    return value;
}

static struct qga_info parse_info(const char *text) {
    struct qga_info info = {0};
    json_t *reply = parse(text);

    assert_int_equal(qga_parse_info(reply, &info, NULL), 0);
    json_decref(reply);
    return info;
}

static void info_tells_what_is_switched_on(void **state) {
    /* 7.2, started with --block-rpcs=guest-exec,guest-file-open; most commands left out. */
    _cleanup_qga_info_ struct qga_info info =
        parse_info("{\"version\": \"7.2.22\", \"supported_commands\": ["
                   "{\"enabled\": true, \"name\": \"guest-get-osinfo\", \"success-response\": true}, "
                   "{\"enabled\": false, \"name\": \"guest-exec\", \"success-response\": true}, "
                   "{\"enabled\": true, \"name\": \"guest-exec-status\", \"success-response\": true}, "
                   "{\"enabled\": false, \"name\": \"guest-file-open\", \"success-response\": true}, "
                   "{\"enabled\": true, \"name\": \"guest-shutdown\", \"success-response\": false}]}");

    assert_string_equal(info.version, "7.2.22");
    assert_int_equal(info.exec, QGA_DISABLED);
    assert_int_equal(info.exec_status, QGA_ENABLED);
}

/* Each command switches its own field, and no other. */
static void info_takes_each_command_for_itself(void **state) {
    static const struct {
        const char *name;
        bool exec, exec_status;
    } cases[] = {
        {"guest-exec", .exec = true},
        {"guest-exec-status", .exec_status = true},
        {"guest-execs"},
        {"guest-exe"},
        {"guest-ping"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        for (unsigned enabled = 0; enabled < 2; enabled++) {
            _cleanup_free_ char *text =
                xasprintf("{\"version\": \"9\", \"supported_commands\": [{\"name\": \"%s\", \"enabled\": %s}]}",
                          cases[i].name, enabled ? "true" : "false");
            _cleanup_qga_info_ struct qga_info info = parse_info(text);

            enum qga_support support = enabled ? QGA_ENABLED : QGA_DISABLED;

            assert_int_equal(info.exec, cases[i].exec ? support : QGA_UNKNOWN);
            assert_int_equal(info.exec_status, cases[i].exec_status ? support : QGA_UNKNOWN);
        }
    }
}

static void info_of_another_shape_is_refused(void **state) {
    static const char *const cases[] = {
        "[]",
        "{}",
        "{\"version\": \"7\"}",
        "{\"supported_commands\": []}",
        "{\"version\": 7, \"supported_commands\": []}",
        "{\"version\": \"7\", \"supported_commands\": {}}",
        "{\"version\": \"7\", \"supported_commands\": [\"guest-exec\"]}",
        "{\"version\": \"7\", \"supported_commands\": [{\"name\": \"guest-exec\"}]}",
        "{\"version\": \"7\", \"supported_commands\": [{\"enabled\": true}]}",
        "{\"version\": \"7\", \"supported_commands\": [{\"name\": \"guest-exec\", \"enabled\": 1}]}",
        "{\"version\": \"7\", \"supported_commands\": [{\"name\": \"a\", \"enabled\": true}, null]}",
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_error_ struct error *error = NULL;
        struct qga_info info = {.exec = QGA_ENABLED};
        json_t *reply = parse(cases[i]);

        assert_int_equal(qga_parse_info(reply, &info, &error), -EPROTO);
        assert_non_null(strstr(error_message(error), "guest-info"));
        assert_int_equal(info.exec, QGA_ENABLED);
        assert_null(info.version);
        json_decref(reply);
    }
}

static void osinfo_tells_the_system(void **state) {
    /* 7.2 */
    json_t *reply = parse("{\"name\": \"Debian GNU/Linux\", \"kernel-release\": \"6.18.44\", \"version\": \"12 "
                          "(bookworm)\", \"pretty-name\": \"Debian GNU/Linux 12 (bookworm)\", \"version-id\": \"12\", "
                          "\"kernel-version\": \"#1 SMP\", \"machine\": \"x86_64\", \"id\": \"debian\"}");
    _cleanup_qga_osinfo_ struct qga_osinfo osinfo = {0};

    assert_int_equal(qga_parse_osinfo(reply, &osinfo, NULL), 0);
    assert_string_equal(osinfo.id, "debian");
    assert_string_equal(osinfo.name, "Debian GNU/Linux 12 (bookworm)");
    assert_string_equal(osinfo.kernel_release, "6.18.44");
    assert_string_equal(osinfo.machine, "x86_64");
    json_decref(reply);
}

static void any_field_of_osinfo_may_be_missing(void **state) {
    json_t *reply = parse("{\"machine\": \"arm64\"}");
    json_t *empty = parse("{}");
    _cleanup_qga_osinfo_ struct qga_osinfo osinfo = {0};
    struct qga_osinfo none = {.id = (char *)"set"};

    assert_int_equal(qga_parse_osinfo(reply, &osinfo, NULL), 0);
    assert_null(osinfo.id);
    assert_null(osinfo.name);
    assert_null(osinfo.kernel_release);
    assert_string_equal(osinfo.machine, "arm64");
    assert_int_equal(qga_parse_osinfo(empty, &none, NULL), 0);
    assert_null(none.id);
    assert_null(none.machine);
    json_decref(reply);
    json_decref(empty);
}

static void osinfo_of_another_shape_is_refused(void **state) {
    static const char *const cases[] = {
        "[]", "null", "\"linux\"", "{\"id\": 5}", "{\"id\": \"a\", \"pretty-name\": \"b\", \"machine\": null}",
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct qga_osinfo osinfo = {0};
        json_t *reply = parse(cases[i]);

        assert_int_equal(qga_parse_osinfo(reply, &osinfo, NULL), -EPROTO);
        assert_null(osinfo.id);
        json_decref(reply);
    }
}

static void assert_arguments(json_t *arguments, const char *expected) {
    _cleanup_free_ char *text = json_dumps(arguments, JSON_SORT_KEYS | JSON_COMPACT);

    assert_non_null(arguments);
    assert_string_equal(text, expected);
    json_decref(arguments);
}

static void exec_carries_the_whole_command(void **state) {
    static const char input[] = "hello\0\1\377";
    char *environment[] = {(char *)"A=B", (char *)"C=d e", NULL};
    _cleanup_strv_ struct strv arguments = {0};

    strv_append(&arguments, "-c");
    strv_append(&arguments, "echo \"\\\n\x7f\1\xc3\xbc");
    assert_arguments(qga_exec_arguments("/bin/sh", &arguments, environment, input, 8),
                     "{\"arg\":[\"-c\",\"echo \\\"\\\\\\n\x7f\\u0001\xc3\xbc\"],\"capture-output\":true,"
                     "\"env\":[\"A=B\",\"C=d e\"],\"input-data\":\"aGVsbG8AAf8=\",\"path\":\"/bin/sh\"}");
}

/* No environment is not an empty one, and no input is not an empty one. */
static void exec_leaves_out_what_is_not_given(void **state) {
    char *environment[] = {NULL};
    struct strv none = {0};

    assert_arguments(qga_exec_arguments("true", NULL, NULL, NULL, 0), "{\"capture-output\":true,\"path\":\"true\"}");
    assert_arguments(qga_exec_arguments("true", &none, NULL, NULL, 0), "{\"capture-output\":true,\"path\":\"true\"}");
    assert_arguments(qga_exec_arguments("true", NULL, environment, "", 0),
                     "{\"capture-output\":true,\"env\":[],\"input-data\":\"\",\"path\":\"true\"}");
}

static void exec_cannot_carry_other_bytes_than_utf8(void **state) {
    static const char *const bad[] = {"\xff", "a\x80", "\xc3", "\xed\xa0\x80", "\xf5\x80\x80\x80", "\xc0\xaf"};

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        char *environment[] = {(char *)"A=B", (char *)bad[i], NULL};
        _cleanup_strv_ struct strv arguments = {0};

        strv_append(&arguments, "good");
        strv_append(&arguments, bad[i]);
        assert_null(qga_exec_arguments(bad[i], NULL, NULL, NULL, 0));
        assert_null(qga_exec_arguments("true", &arguments, NULL, NULL, 0));
        assert_null(qga_exec_arguments("true", NULL, environment, NULL, 0));
    }
}

static void exec_tells_the_process(void **state) {
    static const struct {
        const char *reply;
        int64_t pid;
    } cases[] = {
        {"{\"pid\": 20610}", 20610}, /* 7.2 */
        {"{\"pid\": 9223372036854775807}", INT64_MAX},
        {"{}", 0},
        {"[]", 0},
        {"5", 0},
        {"{\"pid\": 0}", 0},
        {"{\"pid\": -1}", 0},
        {"{\"pid\": \"5\"}", 0},
        {"{\"pid\": 5.0}", 0},
        {"{\"pid\": null}", 0},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        json_t *reply = parse(cases[i].reply);
        int64_t pid = 0;

        assert_int_equal(qga_parse_exec(reply, &pid, NULL), cases[i].pid ? 0 : -EPROTO);
        assert_int_equal(pid, cases[i].pid);
        json_decref(reply);
    }
    assert_arguments(qga_exec_status_arguments(INT64_MAX), "{\"pid\":9223372036854775807}");
}

static void the_end_of_a_process_is_told(void **state) {
    static const struct {
        const char *reply;
        bool exited, signalled;
        int status;
    } cases[] = {
        {"{\"exited\": false}", false, false, 0},                  /* 7.2 */
        {"{\"exitcode\": 0, \"exited\": true}", true, false, 0},   /* 7.2 */
        {"{\"exitcode\": 44, \"exited\": true}", true, false, 44}, /* 7.2 */
        {"{\"signal\": 9, \"exited\": true}", true, true, 9},      /* 7.2 */
        {"{\"signal\": 11, \"exitcode\": 0, \"exited\": true}", true, true, 11},
        {"{\"signal\": 0, \"exitcode\": 3, \"exited\": true}", true, false, 3},
        /* Windows */
        {"{\"signal\": 3221225477, \"exited\": true}", true, true, (int)0xc0000005},
        {"{\"exitcode\": 4294967295, \"exited\": true}", true, false, -1},
        {"{\"exitcode\": -1, \"exited\": true}", true, false, -1},
        {"{\"exitcode\": -2147483648, \"exited\": true}", true, false, INT32_MIN},
        /* Before the end nothing else means anything. */
        {"{\"exited\": false, \"exitcode\": 5, \"out-data\": \"!\"}", false, false, 0},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_qga_exec_status_ struct qga_exec_status status = {.status = 77, .signalled = true};
        json_t *reply = parse(cases[i].reply);

        assert_int_equal(qga_parse_exec_status(reply, &status, NULL), 0);
        assert_int_equal(status.exited, cases[i].exited);
        assert_int_equal(status.signalled, cases[i].signalled);
        assert_int_equal(status.status, cases[i].status);
        assert_int_equal(status.out.size, 0);
        assert_int_equal(status.err.size, 0);
        json_decref(reply);
    }
}

static void the_output_is_decoded(void **state) {
    _cleanup_qga_exec_status_ struct qga_exec_status status = {0};
    /* 7.2, but for the one that is truncated and the NUL. */
    json_t *reply = parse("{\"exitcode\": 44, \"err-data\": \"ZXJyCg==\", \"out-data\": \"b3UAdAo=\", "
                          "\"err-truncated\": false, \"out-truncated\": true, \"exited\": true}");

    assert_int_equal(qga_parse_exec_status(reply, &status, NULL), 0);
    assert_int_equal(status.out.size, 5);
    assert_memory_equal(status.out.data, "ou\0t\n", 5);
    assert_int_equal(status.err.size, 4);
    assert_string_equal(status.err.data, "err\n");
    assert_true(status.out_truncated);
    assert_false(status.err_truncated);
    json_decref(reply);
    qga_exec_status_deinit(&status);

    reply = parse("{\"signal\": 9, \"err-data\": \"ZXJyCg==\", \"err-truncated\": true, \"exited\": true}");
    assert_int_equal(qga_parse_exec_status(reply, &status, NULL), 0);
    assert_int_equal(status.out.size, 0);
    assert_false(status.out_truncated);
    assert_true(status.err_truncated);
    json_decref(reply);
}

static void a_status_of_another_shape_is_refused(void **state) {
    static const struct {
        const char *reply;
        const char *message;
    } cases[] = {
        {"{\"exited\": true}", "neither exit code nor signal"},
        {"{\"exited\": true, \"out-data\": \"b3V0Cg==\"}", "neither exit code nor signal"},
        {"{\"exited\": true, \"signal\": 0}", "neither exit code nor signal"},
        {"{}", "whether the process has exited"},
        {"[]", "whether the process has exited"},
        {"{\"exitcode\": 0}", "whether the process has exited"},
        {"{\"exitcode\": 0, \"exited\": 1}", "whether the process has exited"},
        {"{\"exitcode\": null, \"exited\": true}", "'exitcode'"},
        {"{\"exitcode\": \"0\", \"exited\": true}", "'exitcode'"},
        {"{\"exitcode\": 0.0, \"exited\": true}", "'exitcode'"},
        {"{\"exitcode\": 4294967296, \"exited\": true}", "'exitcode'"},
        {"{\"exitcode\": -2147483649, \"exited\": true}", "'exitcode'"},
        {"{\"exitcode\": 0, \"signal\": null, \"exited\": true}", "'signal'"},
        {"{\"exitcode\": 0, \"signal\": 4294967296, \"exited\": true}", "'signal'"},
        {"{\"exitcode\": 0, \"out-data\": 5, \"exited\": true}", "'out-data'"},
        {"{\"exitcode\": 0, \"out-data\": \"b3V0Cg\", \"exited\": true}", "'out-data': base64"},
        {"{\"exitcode\": 0, \"out-data\": \"b3V0Cg==\", \"err-data\": \"Zg=!\", \"exited\": true}",
         "'err-data': base64"},
        {"{\"exitcode\": 0, \"out-data\": \"b3V0Cg==\", \"out-truncated\": 0, \"exited\": true}", "'out-truncated'"},
        {"{\"exitcode\": 0, \"err-truncated\": \"no\", \"exited\": true}", "'err-truncated'"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_error_ struct error *error = NULL;
        struct qga_exec_status status = {.status = 77};
        json_t *reply = parse(cases[i].reply);

        assert_int_equal(qga_parse_exec_status(reply, &status, &error), -EPROTO);
        assert_non_null(strstr(error_message(error), cases[i].message));
        assert_int_equal(status.status, 77);
        assert_null(status.out.data);
        json_decref(reply);
    }
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(info_tells_what_is_switched_on),
        cmocka_unit_test(info_takes_each_command_for_itself),
        cmocka_unit_test(info_of_another_shape_is_refused),
        cmocka_unit_test(osinfo_tells_the_system),
        cmocka_unit_test(any_field_of_osinfo_may_be_missing),
        cmocka_unit_test(osinfo_of_another_shape_is_refused),
        cmocka_unit_test(exec_carries_the_whole_command),
        cmocka_unit_test(exec_leaves_out_what_is_not_given),
        cmocka_unit_test(exec_cannot_carry_other_bytes_than_utf8),
        cmocka_unit_test(exec_tells_the_process),
        cmocka_unit_test(the_end_of_a_process_is_told),
        cmocka_unit_test(the_output_is_decoded),
        cmocka_unit_test(a_status_of_another_shape_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
