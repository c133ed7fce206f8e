/* SPDX-License-Identifier: Apache-2.0 */
/* Directories that belong to one process: made, locked, removed, swept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/directory.h"
#include "base/file.h"

static char top[] = "/tmp/vmtest-test-directory-XXXXXX";

static int setup(void **state) {
    (void)state;
    (void)strcpy(top + strlen(top) - 6, "XXXXXX");
    return mkdtemp(top) ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    return directory_remove(AT_FDCWD, top);
}

static char *below(const char *name) {
    return xasprintf("%s/%s", top, name);
}

static void write_text(const char *name) {
    _cleanup_free_ char *path = below(name);

    assert_int_equal(file_write_atomically(path, "text", 4, 0600, NULL), 0);
}

static bool is_there(const char *name) {
    _cleanup_free_ char *path = below(name);

    return path_exists(path);
}

static void make_directory(const char *name) {
    _cleanup_free_ char *path = below(name);

    assert_int_equal(mkdir(path, 0700), 0);
}

static void a_tree_goes_and_what_its_links_point_to_stays(void **state) {
    _cleanup_free_ char *outside = below("outside");
    _cleanup_free_ char *link = below("tree/deep/link");
    _cleanup_free_ char *tree = below("tree");

    (void)state;
    make_directory("outside");
    write_text("outside/kept");
    make_directory("tree");
    make_directory("tree/deep");
    write_text("tree/deep/file");
    assert_int_equal(symlink(outside, link), 0);
    assert_int_equal(directory_remove(AT_FDCWD, tree), 0);
    assert_false(is_there("tree"));
    assert_true(is_there("outside/kept"));
    assert_int_equal(directory_remove(AT_FDCWD, tree), -ENOENT);
}

static void a_link_is_removed_itself(void **state) {
    _cleanup_free_ char *outside = below("outside");
    _cleanup_free_ char *link = below("link");

    (void)state;
    make_directory("outside");
    write_text("outside/kept");
    assert_int_equal(symlink(outside, link), 0);
    assert_int_equal(directory_remove(AT_FDCWD, link), 0);
    assert_false(is_there("link"));
    assert_true(is_there("outside/kept"));
}

static void what_is_excepted_stays(void **state) {
    _cleanup_close_ int fd = open(top, O_RDONLY | O_DIRECTORY);

    (void)state;
    write_text("kept");
    write_text("gone");
    directory_empty(fd, "kept");
    assert_true(is_there("kept"));
    assert_false(is_there("gone"));
}

static void what_is_locked_is_not_swept(void **state) {
    _cleanup_free_ char *ours = NULL;
    _cleanup_free_ char *abandoned = NULL;
    int lock_fd = -1;
    int other_fd = -1;

    (void)state;
    assert_int_equal(directory_make_locked(top, "run-", &ours, &lock_fd, NULL), 0);
    assert_int_equal(directory_make_locked(top, "run-", &abandoned, &other_fd, NULL), 0);
    make_directory("other-prefix");
    assert_int_equal(close(other_fd), 0);
    directory_sweep(top, "run-");
    assert_true(path_is_directory(ours));
    assert_false(path_exists(abandoned));
    assert_true(is_there("other-prefix"));
    assert_int_equal(close(lock_fd), 0);
    directory_sweep(top, "run-");
    assert_false(path_exists(ours));
}

static void a_parent_that_is_missing_is_an_error_that_names_it(void **state) {
    _cleanup_error_ struct error *error = NULL;
    char *path = NULL;
    int lock_fd = 7;

    (void)state;
    assert_int_equal(directory_make_locked("/nonexistent/x", "run-", &path, &lock_fd, &error), -ENOENT);
    assert_non_null(strstr(error_message(error), "/nonexistent/x"));
    assert_null(path);
    assert_int_equal(lock_fd, 7);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_tree_goes_and_what_its_links_point_to_stays, setup, teardown),
        cmocka_unit_test_setup_teardown(a_link_is_removed_itself, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_excepted_stays, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_locked_is_not_swept, setup, teardown),
        cmocka_unit_test_setup_teardown(a_parent_that_is_missing_is_an_error_that_names_it, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
