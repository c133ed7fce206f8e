/* SPDX-License-Identifier: Apache-2.0 */
/* The verdicts' names and exit statuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "event/verdict.h"

static void each_verdict_has_the_name_that_is_documented(void **state) {
    static const char *const names[VERDICT_COUNT] = {
        [VERDICT_PASS] = "pass",       [VERDICT_FAIL] = "fail",           [VERDICT_SIGNAL] = "signal",
        [VERDICT_TIMEOUT] = "timeout", [VERDICT_PANIC] = "panic",         [VERDICT_LOST] = "lost",
        [VERDICT_ERROR] = "error",     [VERDICT_CANCELLED] = "cancelled", [VERDICT_FLAKY] = "flaky",
        [VERDICT_SKIPPED] = "skipped",
    };

    for (enum verdict verdict = 0; verdict < VERDICT_COUNT; verdict++)
        assert_string_equal(verdict_name(verdict), names[verdict]);
}

static void the_exit_status_of_a_single_run_follows_its_verdict(void **state) {
    static const struct {
        enum verdict verdict;
        int detail;
        int status;
    } cases[] = {
        {VERDICT_PASS, 0, 0},         {VERDICT_PASS, 7, 0},        {VERDICT_FAIL, 1, 1},
        {VERDICT_FAIL, 255, 255},     {VERDICT_FAIL, 0, 1},        {VERDICT_FAIL, 256, 1},
        {VERDICT_SIGNAL, 9, 137},     {VERDICT_SIGNAL, 11, 139},   {VERDICT_SIGNAL, 64, 192},
        {VERDICT_SIGNAL, 0, 137},     {VERDICT_TIMEOUT, 0, 124},   {VERDICT_PANIC, 0, 69},
        {VERDICT_LOST, 3, 69},        {VERDICT_ERROR, 0, 69},      {VERDICT_CANCELLED, 2, 130},
        {VERDICT_CANCELLED, 15, 143}, {VERDICT_CANCELLED, 1, 129}, {VERDICT_CANCELLED, 0, 130},
        {VERDICT_FLAKY, 0, 0},        {VERDICT_SKIPPED, 0, 1},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_int_equal(verdict_exit_status(cases[i].verdict, cases[i].detail), cases[i].status);
}

static void only_what_passed_exits_with_zero(void **state) {
    for (enum verdict verdict = 0; verdict < VERDICT_COUNT; verdict++) {
        for (int detail = -300; detail <= 300; detail++) {
            int status = verdict_exit_status(verdict, detail);

            assert_int_equal(status == 0, verdict == VERDICT_PASS || verdict == VERDICT_FLAKY);
            assert_int_equal(status == 0, verdict_passed(verdict));
            assert_in_range(status, 0, 255);
        }
    }
}

static void many_failures_are_counted_up_to_125(void **state) {
    assert_int_equal(verdict_exit_status_of_many(0), 0);
    assert_int_equal(verdict_exit_status_of_many(1), 1);
    assert_int_equal(verdict_exit_status_of_many(125), 125);
    assert_int_equal(verdict_exit_status_of_many(126), 125);
    assert_int_equal(verdict_exit_status_of_many(256), 125);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_verdict_has_the_name_that_is_documented),
        cmocka_unit_test(the_exit_status_of_a_single_run_follows_its_verdict),
        cmocka_unit_test(only_what_passed_exits_with_zero),
        cmocka_unit_test(many_failures_are_counted_up_to_125),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
