/* SPDX-License-Identifier: Apache-2.0 */
/* The guard of child processes: nothing is left behind, and nothing is signalled that is not the owner's any more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/child.h"

/* Forks a child that lasts until it is killed. */
static void child_last(struct child *ret_child) {
    int r = child_fork(SIGKILL, ret_child);

    while (r == 0)
        (void)pause();
    assert_int_equal(r, 1);
}

static bool has_children(void) {
    return waitpid(-1, NULL, WNOHANG) >= 0 || errno != ECHILD;
}

static void the_guard_kills_and_reaps(void **state) {
    (void)state;
    {
        _cleanup_child_ struct child child = CHILD_NONE;

        child_last(&child);
        assert_true(has_children());
    }
    assert_false(has_children());
}

static void a_guard_without_a_process_does_nothing(void **state) {
    struct child child = CHILD_NONE;

    (void)state;
    child_kill(&child, SIGKILL);
    assert_int_equal(child_reap(&child), 0);
    child_deinit(&child);
    assert_int_equal(child.pidfd, -1);
}

static void the_status_of_a_process_is_told_once(void **state) {
    _cleanup_child_ struct child child = CHILD_NONE;
    struct pollfd end;
    int status;
    int r = child_fork(SIGKILL, &child);

    (void)state;
    if (r == 0)
        _exit(7);
    assert_int_equal(r, 1);
    end = (struct pollfd){.fd = child.pidfd, .events = POLLIN};
    assert_int_equal(poll(&end, 1, 10000), 1);
    status = child_reap(&child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
    assert_int_equal(child_reap(&child), 0);
    child_kill(&child, SIGKILL);
}

static void a_signal_ends_a_process(void **state) {
    _cleanup_child_ struct child child = CHILD_NONE;
    int status;

    (void)state;
    child_last(&child);
    child_kill(&child, SIGTERM);
    status = child_reap(&child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGTERM);
}

static void a_process_that_is_not_ours_to_watch_is_an_error(void **state) {
    struct child child = CHILD_NONE;

    (void)state;
    /* No process has this number: it is above any limit of the kernel's. */
    assert_true(child_adopt(1 << 30, &child) < 0);
    assert_int_equal(child.pid, 0);
}

/* The pipe stays open as long as the grandchild lives. */
static void a_child_dies_with_its_owner(void **state) {
    struct child owner = CHILD_NONE;
    struct pollfd end;
    char byte;
    int ends[2];
    int r;

    (void)state;
    assert_int_equal(pipe(ends), 0);
    r = child_fork(SIGKILL, &owner);
    if (r == 0) {
        struct child grandchild = CHILD_NONE;

        r = child_fork(SIGKILL, &grandchild);
        if (r == 0) {
            (void)!write(ends[1], "x", 1);
            for (;;)
                (void)pause();
        }
        for (;;)
            (void)pause();
    }
    assert_int_equal(r, 1);
    (void)close(ends[1]);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    child_deinit(&owner);
    end = (struct pollfd){.fd = ends[0]};
    assert_int_equal(poll(&end, 1, 10000), 1);
    assert_true(end.revents & POLLHUP);
    (void)close(ends[0]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_guard_kills_and_reaps),
        cmocka_unit_test(a_guard_without_a_process_does_nothing),
        cmocka_unit_test(the_status_of_a_process_is_told_once),
        cmocka_unit_test(a_signal_ends_a_process),
        cmocka_unit_test(a_process_that_is_not_ours_to_watch_is_an_error),
        cmocka_unit_test(a_child_dies_with_its_owner),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
