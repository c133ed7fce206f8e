/* SPDX-License-Identifier: Apache-2.0 */
/* Programs that are run to their end, and those that do not come to one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/subprocess.h"

#define LIMIT (1u << 20)

static int run(const char *script, int stop_fd, deadline_t deadline, size_t limit, struct subprocess_result *result,
               struct error **error) {
    _cleanup_strv_ struct strv argv = {0};

    strv_append(&argv, "sh");
    strv_append(&argv, "-c");
    strv_append(&argv, script);
    return subprocess_run(&argv, stop_fd, deadline, limit, result, error);
}

static deadline_t soon(void) {
    return deadline_in(60 * NSEC_PER_SEC);
}

static unsigned count_descriptors(void) {
    _cleanup_closedir_ DIR *directory = opendir("/proc/self/fd");
    unsigned count = 0;

    while (readdir(directory))
        count++;
    return count;
}

static void output_errors_and_status_are_apart(void **state) {
    static const struct {
        const char *script;
        const char *output;
        const char *errors;
        int code;
    } cases[] = {
        {"echo out; echo err >&2; exit 7", "out\n", "err\n", 7},
        {"printf 'a\\n'", "a\n", "", 0},
        {"cat", "", "", 0}, /* its standard input is empty */
        {"echo $LC_ALL", "C\n", "", 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_subprocess_result_ struct subprocess_result result = {0};
        unsigned before = count_descriptors();

        assert_int_equal(run(cases[i].script, -1, soon(), LIMIT, &result, NULL), 0);
        assert_true(WIFEXITED(result.status));
        assert_int_equal(WEXITSTATUS(result.status), cases[i].code);
        assert_string_equal(result.output.data ? result.output.data : "", cases[i].output);
        assert_string_equal(result.errors.data ? result.errors.data : "", cases[i].errors);
        assert_int_equal(count_descriptors(), before);
    }
}

static void a_signal_is_told(void **state) {
    _cleanup_subprocess_result_ struct subprocess_result result = {0};

    (void)state;
    assert_int_equal(run("kill -SEGV $$", -1, soon(), LIMIT, &result, NULL), 0);
    assert_true(WIFSIGNALED(result.status));
    assert_int_equal(WTERMSIG(result.status), SIGSEGV);
}

static void more_than_a_pipe_holds_comes_through_up_to_the_limit(void **state) {
    static const char script[] = "dd if=/dev/zero bs=1000 count=500 2>/dev/null; "
                                 "dd if=/dev/zero bs=1000 count=300 >&2 2>/dev/null";
    _cleanup_subprocess_result_ struct subprocess_result whole = {0};
    _cleanup_subprocess_result_ struct subprocess_result part = {0};

    (void)state;
    assert_int_equal(run(script, -1, soon(), LIMIT, &whole, NULL), 0);
    assert_int_equal(whole.output.size, 500000);
    assert_int_equal(whole.errors.size, 300000);
    assert_int_equal(run(script, -1, soon(), 70000, &part, NULL), 0);
    assert_int_equal(part.output.size, 70000);
    assert_int_equal(part.errors.size, 70000);
    assert_int_equal(part.status, 0);
}

static void a_program_that_is_missing_is_named(void **state) {
    _cleanup_subprocess_result_ struct subprocess_result result = {0};
    _cleanup_error_ struct error *error = NULL;
    _cleanup_strv_ struct strv argv = {0};

    (void)state;
    strv_append(&argv, "vmtest-no-such-program");
    assert_int_equal(subprocess_run(&argv, -1, soon(), LIMIT, &result, &error), -ENOENT);
    assert_non_null(strstr(error_message(error), "vmtest-no-such-program"));
}

static void a_program_without_end_is_killed_at_the_deadline(void **state) {
    _cleanup_subprocess_result_ struct subprocess_result result = {0};

    (void)state;
    assert_int_equal(run("trap '' TERM; echo $$; while :; do read x < /dev/zero; done", -1, deadline_in(NSEC_PER_SEC),
                         LIMIT, &result, NULL),
                     -ETIMEDOUT);
    assert_true(WIFSIGNALED(result.status));
    assert_int_equal(WTERMSIG(result.status), SIGKILL);
    assert_int_equal(kill(atoi(result.output.data), 0), -1);
}

static void whoever_stops_it_is_heard_and_not_read(void **state) {
    _cleanup_subprocess_result_ struct subprocess_result result = {0};
    int ends[2];
    char byte;

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(write(ends[1], "x", 1), 1);
    assert_int_equal(run("exec sleep 1000", ends[0], soon(), LIMIT, &result, NULL), -ECANCELED);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    assert_int_equal(close(ends[0]) + close(ends[1]), 0);
}

static void a_grandchild_that_keeps_the_output_open_is_not_waited_for(void **state) {
    _cleanup_subprocess_result_ struct subprocess_result result = {0};

    (void)state;
    assert_int_equal(run("sleep 20 & echo here", -1, soon(), LIMIT, &result, NULL), 0);
    assert_string_equal(result.output.data, "here\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(output_errors_and_status_are_apart),
        cmocka_unit_test(a_signal_is_told),
        cmocka_unit_test(more_than_a_pipe_holds_comes_through_up_to_the_limit),
        cmocka_unit_test(a_program_that_is_missing_is_named),
        cmocka_unit_test(a_program_without_end_is_killed_at_the_deadline),
        cmocka_unit_test(whoever_stops_it_is_heard_and_not_read),
        cmocka_unit_test(a_grandchild_that_keeps_the_output_open_is_not_waited_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
