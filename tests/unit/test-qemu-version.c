/* SPDX-License-Identifier: Apache-2.0 */
/* What programs say of their version, and that they are asked once as long as they are the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/str.h"
#include "qemu/version.h"

static void what_programs_print(void **state) {
    static const struct {
        const char *text;
        int major, minor; /* -1: no version */
        bool safe;
    } cases[] = {
        {"QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)\nCopyright (c) 2003-2022\n", 7, 2, false},
        {"QEMU emulator version 8.0.5\n", 8, 0, false},
        {"QEMU emulator version 8.1.0 (v8.1.0)\n", 8, 1, true},
        {"QEMU emulator version 8.2.2 (Debian 1:8.2.2+ds-0ubuntu1)\n", 8, 2, true},
        {"QEMU emulator version 10.0.50 (v10.0.0-1-g0)\n", 10, 0, true},
        {"a wrapper\nQEMU emulator version 9.1.0\n", 9, 1, true},
        {"QEMU emulator version\n", -1, -1, false},
        {"QEMU emulator version -7.2\n", -1, -1, false},
        {"7.2\n", -1, -1, false},
        {"", -1, -1, false},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct qemu_version version = {-1, -1};

        assert_int_equal(qemu_version_parse(cases[i].text, &version), cases[i].major >= 0);
        assert_int_equal(version.major, cases[i].major);
        assert_int_equal(version.minor, cases[i].minor);
        if (cases[i].major >= 0)
            assert_int_equal(qemu_version_has_safe_threads(&version), cases[i].safe);
    }
}

/* A program that notes each time it is run, and prints `text`. */
static char *write_program(const char *directory, const char *text) {
    char *path = xasprintf("%s/qemu", directory);
    _cleanup_free_ char *script = xasprintf("#!/bin/sh\necho \"$*\" >> '%s/asked'\nprintf '%s'\n", directory, text);
    _cleanup_error_ struct error *error = NULL;

    assert_int_equal(file_write_atomically(path, script, strlen(script), 0755, &error), 0);
    return path;
}

static size_t count_asked(const char *directory) {
    _cleanup_free_ char *path = xasprintf("%s/asked", directory);
    _cleanup_buffer_ struct buffer text = {0};

    if (file_read(path, 4096, &text, NULL) < 0)
        return 0;
    assert_int_equal(text.size % strlen("--version\n"), 0);
    return text.size / strlen("--version\n");
}

static int find(const char *program, struct qemu_version *ret_version) {
    _cleanup_error_ struct error *error = NULL;
    int r = qemu_version_find(program, -1, ret_version, &error);

    assert_int_equal(r < 0, error != NULL);
    return r;
}

static void a_program_is_asked_until_it_is_another(void **state) {
    const char *directory = *state;
    _cleanup_free_ char *program = write_program(directory, "QEMU emulator version 7.2.0\\n");
    struct qemu_version version;

    for (int i = 0; i < 3; i++) {
        assert_int_equal(find(program, &version), 0);
        assert_int_equal(version.major, 7);
    }
    assert_int_equal(count_asked(directory), 1);
    free(program);
    program = write_program(directory, "QEMU emulator version 10.1.0, which is another\\n");
    assert_int_equal(find(program, &version), 0);
    assert_int_equal(version.major, 10);
    assert_int_equal(version.minor, 1);
    assert_int_equal(count_asked(directory), 2);
}

static void what_a_killed_vmtest_left_is_swept(void **state) {
    const char *directory = *state;
    _cleanup_free_ char *program = write_program(directory, "QEMU emulator version 7.2.0\\n");
    _cleanup_free_ char *answers = xasprintf("%s/cache/qemu", directory);
    _cleanup_free_ char *left = xasprintf("%s/0123.abcdef.vmtest-new", answers);
    _cleanup_error_ struct error *error = NULL;
    struct qemu_version version;

    assert_int_equal(path_make_directories(answers, 0777, &error), 0);
    assert_int_equal(file_write_atomically(left, "", 0, 0600, &error), 0);
    assert_int_equal(find(program, &version), 0);
    assert_int_equal(access(left, F_OK), -1);
}

static void without_a_cache_it_is_asked_each_time(void **state) {
    const char *directory = *state;
    _cleanup_free_ char *program = write_program(directory, "QEMU emulator version 9.2.0\\n");
    struct qemu_version version;

    assert_int_equal(setenv("VMTEST_CACHE_DIR", "/proc/no/such", 1), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(find(program, &version), 0);
    assert_int_equal(version.major, 9);
    assert_int_equal(count_asked(directory), 2);
}

static void what_does_not_tell_is_an_error_and_not_kept(void **state) {
    const char *directory = *state;
    _cleanup_free_ char *program = write_program(directory, "something else\\n");
    _cleanup_free_ char *missing = xasprintf("%s/missing", directory);
    struct qemu_version version;

    for (int i = 0; i < 2; i++)
        assert_int_equal(find(program, &version), -EPROTO);
    assert_int_equal(count_asked(directory), 2);
    assert_int_equal(find(missing, &version), -ENOENT);
    assert_int_equal(find(directory, &version), -EACCES);
}

static void who_stops_does_not_wait(void **state) {
    const char *directory = *state;
    _cleanup_free_ char *program = xasprintf("%s/qemu", directory);
    static const char script[] = "#!/bin/sh\nexec sleep 100\n";
    _cleanup_error_ struct error *error = NULL;
    struct qemu_version version;
    int fds[2];

    assert_int_equal(file_write_atomically(program, script, strlen(script), 0755, &error), 0);
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write(fds[1], "x", 1), 1);
    assert_int_equal(qemu_version_find(program, fds[0], &version, &error), -ECANCELED);
    (void)close(fds[0]);
    (void)close(fds[1]);
}

static int set_up(void **state) {
    char template[] = "/tmp/vmtest-unit.XXXXXX";
    _cleanup_free_ char *cache = NULL;

    if (!mkdtemp(template))
        return -1;
    *state = xstrdup(template);
    cache = xasprintf("%s/cache", template);
    return setenv("VMTEST_CACHE_DIR", cache, 1);
}

static int tear_down(void **state) {
    _cleanup_free_ char *directory = *state;
    _cleanup_free_ char *command = xasprintf("rm -rf '%s'", directory);

    return system(command); /* NOLINT(cert-env33-c): a directory of ours */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_programs_print),
        cmocka_unit_test_setup_teardown(a_program_is_asked_until_it_is_another, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_a_killed_vmtest_left_is_swept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_a_cache_it_is_asked_each_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_does_not_tell_is_an_error_and_not_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_stops_does_not_wait, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
