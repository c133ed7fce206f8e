/* SPDX-License-Identifier: Apache-2.0 */
/* The private directory of a run: made, locked, swept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/file.h"
#include "prepare/persist.h"
#include "prepare/scratch.h"

static char top[] = "/tmp/vmtest-test-scratch-XXXXXX";

static int setup(void **state) {
    (void)state;
    (void)strcpy(top + strlen(top) - 6, "XXXXXX");
    if (!mkdtemp(top))
        return -1;
    return setenv("TMPDIR", top, 1) < 0 || setenv("XDG_STATE_HOME", top, 1) < 0;
}

static int teardown(void **state) {
    _cleanup_free_ char *command = xasprintf("rm -rf -- %s", top);

    (void)state;
    return system(command);
}

static char *below(const char *name) {
    return xasprintf("%s/%s", top, name);
}

static void write_text(const char *path, const char *text) {
    assert_int_equal(file_write_atomically(path, text, strlen(text), 0600, NULL), 0);
}

static void a_directory_is_private_and_goes_with_its_files(void **state) {
    struct scratch scratch = {.lock_fd = -1};
    struct stat status;

    (void)state;
    assert_int_equal(scratch_make(&scratch, NULL), 0);
    assert_true(path_is_below(scratch.path, top));
    assert_int_equal(stat(scratch.path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0700);

    _cleanup_free_ char *path = xstrdup(scratch.path);
    _cleanup_free_ char *file = xasprintf("%s/overlay", path);
    write_text(file, "x");
    scratch_remove(&scratch);
    assert_false(path_exists(path));
    scratch_remove(&scratch); /* twice is fine */
}

static void what_a_dead_run_left_is_swept_and_what_lives_is_not(void **state) {
    _cleanup_free_ char *dead = below("vmtest-run-dead");
    _cleanup_free_ char *file = below("vmtest-run-dead/overlay");
    _cleanup_free_ char *alive = below("vmtest-run-alive");
    _cleanup_free_ char *other = below("other");
    struct scratch scratch = {.lock_fd = -1};

    (void)state;
    assert_int_equal(mkdir(dead, 0700), 0);
    write_text(file, "x");
    assert_int_equal(mkdir(alive, 0700), 0);
    assert_int_equal(mkdir(other, 0700), 0);
    _cleanup_close_ int lock = open(alive, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(flock(lock, LOCK_EX), 0);

    assert_int_equal(scratch_make(&scratch, NULL), 0);
    assert_false(path_exists(dead));
    assert_true(path_exists(alive));
    assert_true(path_exists(other));
    scratch_remove(&scratch);
}

static void a_directory_that_is_missing_is_named(void **state) {
    _cleanup_error_ struct error *error = NULL;
    _cleanup_free_ char *missing = below("missing");
    struct scratch scratch = {.lock_fd = -1};

    (void)state;
    assert_int_equal(setenv("TMPDIR", missing, 1), 0);
    assert_int_equal(scratch_make(&scratch, &error), -ENOENT);
    assert_non_null(strstr(error_message(error), missing));
    assert_non_null(strstr(error_message(error), "TMPDIR"));
}

static struct target *make_target(void) {
    struct target *target = target_new();
    char *path = below("disk");

    write_text(path, "x");
    target->name = xstrdup("t");
    target->image = path;
    return target;
}

static void one_run_at_a_time_may_write_to_an_image(void **state) {
    _cleanup_target_ struct target *target = make_target();
    _cleanup_error_ struct error *error = NULL;
    int first = -1;
    int second = -1;

    (void)state;
    assert_int_equal(persist_claim(target, "raw", &first, NULL), 0);
    assert_int_equal(persist_claim(target, "raw", &second, &error), -EBUSY);
    assert_int_equal(second, -1);
    assert_non_null(strstr(error_message(error), target->image));
    assert_int_equal(close(first), 0);
    assert_int_equal(persist_claim(target, "raw", &second, NULL), 0);
    assert_int_equal(close(second), 0);
}

static void a_format_that_has_changed_is_refused(void **state) {
    _cleanup_target_ struct target *target = make_target();
    _cleanup_error_ struct error *error = NULL;
    int fd = -1;

    (void)state;
    assert_int_equal(persist_claim(target, "raw", &fd, NULL), 0);
    assert_int_equal(close(fd), 0);
    fd = -1;
    assert_int_equal(persist_claim(target, "qcow2", &fd, &error), -EINVAL);
    assert_int_equal(fd, -1);
    assert_non_null(strstr(error_message(error), "was raw"));
    assert_non_null(strstr(error_message(error), "is qcow2 now"));
    assert_non_null(strstr(error_message(error), "format = \"raw\""));
    assert_int_equal(persist_claim(target, "raw", &fd, NULL), 0);
    assert_int_equal(close(fd), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_directory_is_private_and_goes_with_its_files, setup, teardown),
        cmocka_unit_test_setup_teardown(what_a_dead_run_left_is_swept_and_what_lives_is_not, setup, teardown),
        cmocka_unit_test_setup_teardown(a_directory_that_is_missing_is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(one_run_at_a_time_may_write_to_an_image, setup, teardown),
        cmocka_unit_test_setup_teardown(a_format_that_has_changed_is_refused, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
