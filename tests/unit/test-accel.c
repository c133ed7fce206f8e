/* SPDX-License-Identifier: Apache-2.0 */
/* What the probe says of devices that cannot be KVM. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"
#include "qemu/accel.h"

static void a_device_that_is_no_kvm_is_named_with_the_reason(void **state) {
    static const struct {
        const char *device;
        int code;
        const char *message;
    } cases[] = {
        {"/dev/null", ENOTTY, "/dev/null is not KVM's"},
        {"/dev/zero", ENOTTY, "/dev/zero is not KVM's"},
        {"/nonexistent/kvm", ENOENT, "/nonexistent/kvm: No such file or directory"},
        {"/dev", EISDIR, "/dev: Is a directory"},
        {"/dev/null/kvm", ENOTDIR, "/dev/null/kvm: Not a directory"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_error_ struct error *error = NULL;

        assert_int_equal(accel_probe_kvm(cases[i].device, &error), -cases[i].code);
        assert_string_equal(error_message(error), cases[i].message);
        assert_int_equal(accel_probe_kvm(cases[i].device, NULL), -cases[i].code);
    }
}

static void the_tsc_is_stable_where_the_kernel_lists_it(void **state) {
    static const struct {
        const char *list;
        bool stable;
    } cases[] = {
        {"tsc hpet acpi_pm \n", true},
        {"kvm-clock tsc acpi_pm \n", true},
        {"hpet tsc", true},
        {"hpet acpi_pm \n", false},
        {"tsc-early hpet\n", false},
        {"", false},
        {"\n", false},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char path[] = "/tmp/test-accel-XXXXXX";
        int fd = mkstemp(path);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, cases[i].list, strlen(cases[i].list)), strlen(cases[i].list));
        assert_int_equal(close(fd), 0);
        assert_true(accel_has_clock("tsc", path) == cases[i].stable);
        assert_int_equal(unlink(path), 0);
        assert_false(accel_has_clock("tsc", path));
    }
}

/* Whatever this host has: the probe ends soon, with a reason if it says no, and leaves no alarm behind. */
static void the_probe_of_this_host_ends_and_leaves_no_timer(void **state) {
    _cleanup_error_ struct error *error = NULL;
    uint64_t start = clock_now();
    int r = accel_probe_kvm(NULL, &error);
    struct itimerval timer;
    struct sigaction action;

    assert_true(clock_now() - start < 10 * NSEC_PER_SEC);
    assert_int_equal(r == 0, error == NULL);
    if (r < 0)
        assert_non_null(str_skip_prefix(error_message(error), "/dev/kvm"));
    assert_int_equal(getitimer(ITIMER_REAL, &timer), 0);
    assert_int_equal(timer.it_value.tv_sec, 0);
    assert_int_equal(timer.it_value.tv_usec, 0);
    assert_int_equal(sigaction(SIGALRM, NULL, &action), 0);
    assert_true(action.sa_handler == SIG_DFL);
}

static void accelerators_have_qemus_names(void **state) {
    assert_string_equal(accel_name(ACCEL_TCG), "tcg");
    assert_string_equal(accel_name(ACCEL_KVM), "kvm");
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_tsc_is_stable_where_the_kernel_lists_it),
        cmocka_unit_test(a_device_that_is_no_kvm_is_named_with_the_reason),
        cmocka_unit_test(the_probe_of_this_host_ends_and_leaves_no_timer),
        cmocka_unit_test(accelerators_have_qemus_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
