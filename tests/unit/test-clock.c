/* SPDX-License-Identifier: Apache-2.0 */
/* Deadlines: what poll() is told, and the ends of the range. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"

static void the_clock_does_not_go_back(void **state) {
    uint64_t last = clock_now();

    assert_true(last > 0);
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t now = clock_now();

        assert_true(now >= last);
        last = now;
    }
}

static void a_deadline_lies_as_far_ahead_as_asked(void **state) {
    uint64_t before = clock_now();
    deadline_t deadline = deadline_in(5 * NSEC_PER_SEC);
    uint64_t after = clock_now();

    assert_true(deadline >= before + 5 * NSEC_PER_SEC);
    assert_true(deadline <= after + 5 * NSEC_PER_SEC);
    assert_false(deadline_passed(deadline_in(3600 * NSEC_PER_SEC)));
    assert_true(deadline_passed(deadline_in(0)));
    assert_true(deadline_passed(1));
}

static void a_deadline_too_far_ahead_never_comes(void **state) {
    assert_true(deadline_in(UINT64_MAX) == DEADLINE_NONE);
    assert_true(deadline_in(UINT64_MAX - 1) == DEADLINE_NONE);
    assert_false(deadline_passed(DEADLINE_NONE));
}

static void the_earlier_of_two_deadlines_counts(void **state) {
    assert_true(deadline_earlier(1, 2) == 1);
    assert_true(deadline_earlier(2, 1) == 1);
    assert_true(deadline_earlier(DEADLINE_NONE, 7) == 7);
    assert_true(deadline_earlier(7, DEADLINE_NONE) == 7);
    assert_true(deadline_earlier(DEADLINE_NONE, DEADLINE_NONE) == DEADLINE_NONE);
}

static void poll_is_told_milliseconds_rounded_up(void **state) {
    /* An hour, so that a slow machine cannot pass it between two calls. */
    int msec = deadline_poll_timeout(deadline_in(3600 * NSEC_PER_SEC));

    assert_in_range(msec, 3000 * 1000, 3600 * 1000);
    /* Half a millisecond ahead is not yet 0, or the loop would spin. */
    for (unsigned i = 0; i < 100; i++) {
        deadline_t deadline = clock_now() + NSEC_PER_MSEC / 2;
        int timeout = deadline_poll_timeout(deadline);

        assert_true(timeout == 1 || (timeout == 0 && clock_now() >= deadline));
    }
}

static void poll_is_told_the_ends_of_the_range(void **state) {
    assert_int_equal(deadline_poll_timeout(DEADLINE_NONE), -1);
    assert_int_equal(deadline_poll_timeout(0), 0);
    assert_int_equal(deadline_poll_timeout(1), 0);
    assert_int_equal(deadline_poll_timeout(DEADLINE_NONE - 1), INT_MAX);
    assert_int_equal(deadline_poll_timeout(deadline_in((uint64_t)INT_MAX * 2 * NSEC_PER_MSEC)), INT_MAX);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_clock_does_not_go_back),           cmocka_unit_test(a_deadline_lies_as_far_ahead_as_asked),
        cmocka_unit_test(a_deadline_too_far_ahead_never_comes), cmocka_unit_test(the_earlier_of_two_deadlines_counts),
        cmocka_unit_test(poll_is_told_milliseconds_rounded_up), cmocka_unit_test(poll_is_told_the_ends_of_the_range),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
