/* SPDX-License-Identifier: Apache-2.0 */
/* Programs that are run to their end: what they print, how they end, and what is left of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/subprocess.h"

#define LIMIT (4u << 20)
/* Far more than a program here needs, far less than the test's own time. */
#define AMPLE (15 * NSEC_PER_SEC)
#define SHORT (200 * NSEC_PER_MSEC)
/* Does nothing for longer than anybody waits, whatever but SIGKILL it is sent. */
#define LASTING "trap '' TERM INT HUP; exec sleep 60"

static int run_shell(const char *script, int cancel_fd, uint64_t time, size_t limit,
                     struct subprocess_result *ret_result, struct error **ret_error) {
    _cleanup_strv_ struct strv argv = {0};

    strv_append(&argv, "sh");
    strv_append(&argv, "-c");
    strv_append(&argv, script);
    return subprocess_run(&argv, cancel_fd, deadline_in(time), limit, ret_result, ret_error);
}

static int run_program(const char *program, const char *argument, struct subprocess_result *ret_result,
                       struct error **ret_error) {
    _cleanup_strv_ struct strv argv = {0};

    strv_append(&argv, program);
    if (argument)
        strv_append(&argv, argument);
    return subprocess_run(&argv, -1, deadline_in(AMPLE), LIMIT, ret_result, ret_error);
}

static const char *text(const struct buffer *buffer) {
    return buffer->data ? buffer->data : "";
}

static void assert_output(const char *script, const char *expected) {
    _cleanup_subprocess_result_ struct subprocess_result result = {0};

    assert_int_equal(run_shell(script, -1, AMPLE, LIMIT, &result, NULL), 0);
    assert_string_equal(text(&result.output), expected);
}

static void assert_all(const struct buffer *buffer, size_t size, char c) {
    assert_int_equal(buffer->size, size);
    for (size_t i = 0; i < size; i++)
        assert_int_equal(buffer->data[i], c);
}

/* Whether every writer of the pipe is gone, or is within some seconds. */
static bool hangs_up(int fd) {
    struct pollfd one = {.fd = fd};

    return poll(&one, 1, 10000) == 1 && (one.revents & POLLHUP);
}

static unsigned count_descriptors(void) {
    _cleanup_closedir_ DIR *directory = opendir("/proc/self/fd");
    unsigned n = 0;

    assert_non_null(directory);
    while (readdir(directory))
        n++;
    return n;
}

static void output_and_errors_are_kept_apart(void **state) {
    _cleanup_subprocess_result_ struct subprocess_result result = {0};

    assert_int_equal(run_shell("printf o1; printf e1 >&2; printf o2; printf e2 >&2", -1, AMPLE, LIMIT, &result, NULL),
                     0);
    assert_string_equal(text(&result.output), "o1o2");
    assert_string_equal(text(&result.errors), "e1e2");
    subprocess_result_deinit(&result);
    assert_null(result.output.data);
    assert_null(result.errors.data);
}

static void more_than_a_pipe_holds_is_read_in_either_order(void **state) {
    static const char *const scripts[] = {
        "head -c 1000000 /dev/zero | tr '\\0' o; head -c 1000000 /dev/zero | tr '\\0' e >&2",
        "head -c 1000000 /dev/zero | tr '\\0' e >&2; head -c 1000000 /dev/zero | tr '\\0' o",
    };

    for (size_t i = 0; i < ARRAY_SIZE(scripts); i++) {
        _cleanup_subprocess_result_ struct subprocess_result result = {0};

        assert_int_equal(run_shell(scripts[i], -1, AMPLE, LIMIT, &result, NULL), 0);
        assert_all(&result.output, 1000000, 'o');
        assert_all(&result.errors, 1000000, 'e');
    }
}

/* What is beyond the limit is dropped, and the program ends as if it had been read. */
static void each_output_has_the_limit(void **state) {
    static const size_t limits[] = {0, 1, 65536, 65537, 299999, 300000, 300001};

    for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
        _cleanup_subprocess_result_ struct subprocess_result result = {0};
        size_t kept = limits[i] < 300000 ? limits[i] : 300000;

        assert_int_equal(run_shell("set -e; head -c 300000 /dev/zero | tr '\\0' o\n"
                                   "head -c 300000 /dev/zero | tr '\\0' e >&2; exit 3",
                                   -1, AMPLE, limits[i], &result, NULL),
                         0);
        assert_all(&result.output, kept, 'o');
        assert_all(&result.errors, kept, 'e');
        assert_int_equal(WEXITSTATUS(result.status), 3);
    }
}

static void the_end_of_the_program_is_told(void **state) {
    static const struct {
        const char *script;
        int code;
        int signal;
    } cases[] = {
        {"exit 0", 0, 0},
        {"exit 42", 42, 0},
        {"exit 127", 127, 0}, /* no sign of a program that could not be started */
        {"exit 255", 255, 0},
        {"exec 1>&- 2>&-; exit 7", 7, 0},
        {"kill -KILL $$", 0, SIGKILL},
        {"kill -TERM $$", 0, SIGTERM},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_subprocess_result_ struct subprocess_result result = {0};

        assert_int_equal(run_shell(cases[i].script, -1, AMPLE, LIMIT, &result, NULL), 0);
        if (cases[i].signal) {
            assert_true(WIFSIGNALED(result.status));
            assert_int_equal(WTERMSIG(result.status), cases[i].signal);
        } else {
            assert_true(WIFEXITED(result.status));
            assert_int_equal(WEXITSTATUS(result.status), cases[i].code);
        }
    }
}

static void a_program_that_cannot_be_started_is_named(void **state) {
    static const struct {
        const char *program;
        int code;
        const char *message;
    } cases[] = {
        {"vmtest-no-such-program", ENOENT, "running vmtest-no-such-program: No such file or directory"},
        {"/nonexistent/program", ENOENT, "running /nonexistent/program: No such file or directory"},
        {"/dev/null", EACCES, "running /dev/null: Permission denied"},
        {"/dev/null/program", ENOTDIR, "running /dev/null/program: Not a directory"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_subprocess_result_ struct subprocess_result result = {0};
        _cleanup_error_ struct error *error = NULL;

        assert_int_equal(run_program(cases[i].program, NULL, &result, &error), -cases[i].code);
        assert_string_equal(error_message(error), cases[i].message);
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    }
}

static void at_the_deadline_the_program_is_killed_and_reaped(void **state) {
    static const char *const scripts[] = {
        ("echo $$; " LASTING),
        "echo $$; trap '' TERM; exec 1>&- 2>&-; while :; do :; done",
        "echo $$; trap '' TERM; while :; do echo more >&2; done",
    };

    for (size_t i = 0; i < ARRAY_SIZE(scripts); i++) {
        _cleanup_subprocess_result_ struct subprocess_result result = {0};
        _cleanup_error_ struct error *error = NULL;
        uint64_t begin = clock_now();
        uint64_t time = 3 * SHORT;

        assert_int_equal(run_shell(scripts[i], -1, time, 1000, &result, &error), -ETIMEDOUT);
        assert_true(clock_now() - begin >= time);
        assert_true(clock_now() - begin < AMPLE);
        assert_string_equal(error_message(error), "running sh: Connection timed out");
        assert_true(WIFSIGNALED(result.status));
        assert_int_equal(WTERMSIG(result.status), SIGKILL);
        assert_true(strtol(text(&result.output), NULL, 10) > 1);
        assert_int_equal(kill((pid_t)strtol(text(&result.output), NULL, 10), 0), -1);
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    }
}

static void a_stop_ends_the_program_and_is_not_read(void **state) {
    static const struct {
        const char *script;
        bool stopped_before;
    } cases[] = {
        {LASTING, true},
        /* The program itself brings the stop about, some way into its run. */
        {"echo x > /proc/$PPID/fd/%d; " LASTING, false},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_subprocess_result_ struct subprocess_result result = {0};
        _cleanup_error_ struct error *error = NULL;
        _cleanup_close_ int stop = -1;
        _cleanup_close_ int writer = -1;
        int fds[2];
        char back;

        assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
        stop = fds[0];
        writer = fds[1];
        _cleanup_free_ char *script =
            cases[i].stopped_before ? xstrdup(cases[i].script) : xasprintf(cases[i].script, writer);
        if (cases[i].stopped_before)
            assert_int_equal(write(writer, "x", 1), 1);
        uint64_t begin = clock_now();
        assert_int_equal(run_shell(script, stop, AMPLE, LIMIT, &result, &error), -ECANCELED);
        assert_true(clock_now() - begin < AMPLE);
        assert_string_equal(error_message(error), "running sh: Operation canceled");
        assert_int_equal(read(stop, &back, 1), 1);
        assert_int_equal(back, 'x');
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    }
}

static void a_stop_that_does_not_come_changes_nothing(void **state) {
    _cleanup_subprocess_result_ struct subprocess_result result = {0};
    _cleanup_close_ int stop = -1;
    _cleanup_close_ int writer = -1;
    int fds[2];

    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    stop = fds[0];
    writer = fds[1];
    assert_int_equal(run_shell("echo done", stop, AMPLE, LIMIT, &result, NULL), 0);
    assert_string_equal(text(&result.output), "done\n");
    assert_true(fcntl(stop, F_GETFD) >= 0);
}

static void a_grandchild_that_keeps_the_pipes_is_not_waited_for(void **state) {
    _cleanup_subprocess_result_ struct subprocess_result result = {0};
    uint64_t begin = clock_now();
    pid_t grandchild;

    assert_int_equal(run_shell("sleep 60 & echo $!; exit 5", -1, AMPLE, LIMIT, &result, NULL), 0);
    grandchild = (pid_t)strtol(text(&result.output), NULL, 10);
    assert_true(grandchild > 1);
    assert_int_equal(kill(grandchild, SIGKILL), 0);
    assert_int_equal(WEXITSTATUS(result.status), 5);
    assert_true(clock_now() - begin < AMPLE);
}

/* The inherited write end of a pipe is open as long as the program runs. */
static void the_program_ends_with_the_process_that_runs_it(void **state) {
    _cleanup_close_ int reader = -1;
    int fds[2];
    char byte;

    assert_int_equal(pipe(fds), 0);
    reader = fds[0];
    _cleanup_free_ char *script = xasprintf("echo >&%d; " LASTING, fds[1]);
    pid_t runner = fork();
    assert_true(runner >= 0);
    if (runner == 0) {
        struct subprocess_result result;

        _exit(run_shell(script, -1, 4 * AMPLE, LIMIT, &result, NULL) == 0);
    }
    (void)close(fds[1]);
    assert_int_equal(read(reader, &byte, 1), 1);
    assert_int_equal(kill(runner, SIGKILL), 0);
    assert_int_equal(waitpid(runner, NULL, 0), runner);
    assert_true(hangs_up(reader));
}

static void the_programs_input_is_empty_whatever_ours_is(void **state) {
    _cleanup_close_ int saved = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    _cleanup_close_ int ours = -1;
    char back[8];

    assert_int_equal(fd_from_memory("input", "ours", 4, &ours, NULL), 0);
    assert_int_equal(dup2(ours, STDIN_FILENO), STDIN_FILENO);
    assert_output("cat; readlink /proc/self/fd/0", "/dev/null\n");
    ssize_t left = read(STDIN_FILENO, back, sizeof(back));
    if (saved >= 0)
        (void)dup2(saved, STDIN_FILENO);
    assert_int_equal(left, 4);
}

static void the_program_speaks_the_c_locale_and_has_the_rest_of_our_environment(void **state) {
    assert_int_equal(setenv("LC_ALL", "de_DE.UTF-8", 1), 0);
    assert_int_equal(setenv("VMTEST_UNIT", "kept", 1), 0);
    assert_output("echo $LC_ALL $VMTEST_UNIT", "C kept\n");
    assert_string_equal(getenv("LC_ALL"), "de_DE.UTF-8");
    assert_int_equal(unsetenv("LC_ALL"), 0);
    assert_output("echo $LC_ALL", "C\n");
}

static void signals_that_we_hold_back_reach_the_program(void **state) {
    _cleanup_subprocess_result_ struct subprocess_result blocked = {0};
    _cleanup_subprocess_result_ struct subprocess_result ignored = {0};
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    assert_int_equal(sigprocmask(SIG_BLOCK, &set, NULL), 0);
    (void)signal(SIGPIPE, SIG_IGN);
    assert_int_equal(run_shell("kill -TERM $$", -1, AMPLE, LIMIT, &blocked, NULL), 0);
    assert_int_equal(run_shell("kill -PIPE $$", -1, AMPLE, LIMIT, &ignored, NULL), 0);
    (void)signal(SIGPIPE, SIG_DFL);
    assert_int_equal(sigprocmask(SIG_UNBLOCK, &set, NULL), 0);
    assert_int_equal(WTERMSIG(blocked.status), SIGTERM);
    assert_int_equal(WTERMSIG(ignored.status), SIGPIPE);
}

/* The fourth is that of the directory, which `ls` itself has open. */
static void the_program_has_three_descriptors(void **state) {
    _cleanup_subprocess_result_ struct subprocess_result result = {0};
    _cleanup_close_ int ours = open("/dev/null", O_RDONLY | O_CLOEXEC);

    assert_true(ours >= 0);
    assert_int_equal(run_program("ls", "/proc/self/fd", &result, NULL), 0);
    assert_string_equal(text(&result.output), "0\n1\n2\n3\n");
}

static void no_descriptor_is_left_open_however_it_ends(void **state) {
    _cleanup_close_ int stop = -1;
    const struct {
        const char *script; /* NULL: a program that is not there */
        bool stopped;
        int code;
    } cases[] = {
        {"echo out; echo err >&2", false, 0}, {NULL, false, ENOENT},      {"sleep 60 & kill $!", false, 0},
        {LASTING, false, ETIMEDOUT},          {LASTING, true, ECANCELED},
    };

    assert_int_equal(fd_from_memory("stop", "x", 1, &stop, NULL), 0);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_subprocess_result_ struct subprocess_result result = {0};
        unsigned before = count_descriptors();
        uint64_t time = cases[i].code == ETIMEDOUT ? SHORT : AMPLE;
        int r = cases[i].script ? run_shell(cases[i].script, cases[i].stopped ? stop : -1, time, LIMIT, &result, NULL)
                                : run_program("vmtest-no-such-program", NULL, &result, NULL);

        assert_int_equal(r, -cases[i].code);
        assert_int_equal(count_descriptors(), before);
    }
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(output_and_errors_are_kept_apart),
        cmocka_unit_test(more_than_a_pipe_holds_is_read_in_either_order),
        cmocka_unit_test(each_output_has_the_limit),
        cmocka_unit_test(the_end_of_the_program_is_told),
        cmocka_unit_test(a_program_that_cannot_be_started_is_named),
        cmocka_unit_test(at_the_deadline_the_program_is_killed_and_reaped),
        cmocka_unit_test(a_stop_ends_the_program_and_is_not_read),
        cmocka_unit_test(a_stop_that_does_not_come_changes_nothing),
        cmocka_unit_test(a_grandchild_that_keeps_the_pipes_is_not_waited_for),
        cmocka_unit_test(the_program_ends_with_the_process_that_runs_it),
        cmocka_unit_test(the_programs_input_is_empty_whatever_ours_is),
        cmocka_unit_test(the_program_speaks_the_c_locale_and_has_the_rest_of_our_environment),
        cmocka_unit_test(signals_that_we_hold_back_reach_the_program),
        cmocka_unit_test(the_program_has_three_descriptors),
        cmocka_unit_test(no_descriptor_is_left_open_however_it_ends),
    };

    /* What the test's own runner left open would be counted. */
    (void)close_range(3, ~0u, 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
