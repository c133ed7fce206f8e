/* SPDX-License-Identifier: Apache-2.0 */
/* Paths, files that are replaced at once, and the cache directory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/file.h"

/* A fresh directory as *state, removed with all that the test left in it. */
static int make_directory(void **state) {
    char *path = xstrdup("/tmp/vmtest-file-XXXXXX");

    *state = path;
    return mkdtemp(path) ? 0 : -1;
}

static int remove_directory(void **state) {
    _cleanup_free_ char *path = *state;
    _cleanup_free_ char *command = xasprintf("rm -rf -- '%s'", path);

    return system(command);
}

static unsigned count_entries(const char *directory) {
    _cleanup_closedir_ DIR *dir = opendir(directory);
    unsigned n = 0;

    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        n += entry->d_name[0] != '.';
    return n;
}

static void what_a_killed_writer_left_is_swept_and_what_is_being_written_stays(void **state) {
    _cleanup_free_ char *left = xasprintf("%s/kernel.abc123.vmtest-new", (char *)*state);
    _cleanup_free_ char *written = xasprintf("%s/kernel.def456.vmtest-new", (char *)*state);
    _cleanup_free_ char *whole = xasprintf("%s/kernel", (char *)*state);
    _cleanup_close_ int left_fd = creat(left, 0600);
    _cleanup_close_ int written_fd = creat(written, 0600);

    assert_true(left_fd >= 0 && written_fd >= 0);
    assert_int_equal(flock(written_fd, LOCK_EX), 0);
    assert_int_equal(file_write_atomically(whole, "x", 1, 0600, NULL), 0);
    file_sweep(*state);
    assert_false(path_exists(left));
    assert_true(path_exists(written));
    assert_true(path_exists(whole));
    assert_int_equal(flock(written_fd, LOCK_UN), 0);
    file_sweep(*state);
    assert_int_equal(count_entries(*state), 1);
}

static void what_a_killed_writer_of_the_same_file_left_goes_with_the_next_one(void **state) {
    static const char *const others[] = {
        "report.xml.mine.vmtest-new", "report.xml.backup.new",   "report.xml",
        "report.xml.abcdef",          "other.abcdef.vmtest-new", "report.xmlxabcdef.vmtest-new"};
    _cleanup_free_ char *path = xasprintf("%s/report.xml", (char *)*state);
    _cleanup_free_ char *left = xasprintf("%s.abc123.vmtest-new", path);
    _cleanup_free_ char *written = xasprintf("%s.def456.vmtest-new", path);
    _cleanup_free_ char *pipe = xasprintf("%s.pipe12.vmtest-new", path);
    _cleanup_close_ int left_fd = creat(left, 0600);
    _cleanup_close_ int written_fd = creat(written, 0600);

    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        _cleanup_free_ char *other = xasprintf("%s/%s", (char *)*state, others[i]);
        _cleanup_close_ int fd = creat(other, 0600);

        assert_true(fd >= 0);
    }
    assert_true(left_fd >= 0 && written_fd >= 0);
    assert_int_equal(mkfifo(pipe, 0600), 0);
    assert_int_equal(flock(written_fd, LOCK_EX), 0);
    assert_int_equal(file_write_atomically(path, "x", 1, 0600, NULL), 0);
    assert_false(path_exists(left));
    assert_true(path_exists(written));
    assert_int_equal(count_entries(*state), ARRAY_SIZE(others) + 2);
}

static void a_new_file_has_the_mode_that_the_umask_leaves(void **state) {
    _cleanup_free_ char *path = xasprintf("%s/file", (char *)*state);
    struct stat status;
    mode_t mask = umask(027);

    assert_int_equal(file_write_atomically(path, "x", 1, 0644, NULL), 0);
    (void)umask(mask);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0640);
}

static void paths_are_taken_from_a_directory(void **state) {
    static const struct {
        const char *directory;
        const char *path;
        const char *resolved;
    } cases[] = {
        {"/a", "b", "/a/b"}, {"/a/", "b", "/a/b"},  {"/a", "/b", "/b"},
        {"/", "b", "/b"},    {".", "b/c", "./b/c"}, {"/a", "../b", "/a/../b"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_free_ char *resolved = path_resolve(cases[i].directory, cases[i].path);

        assert_string_equal(resolved, cases[i].resolved);
    }
}

static void a_path_has_a_parent_and_a_name(void **state) {
    static const struct {
        const char *path;
        const char *parent;
        const char *name;
    } cases[] = {
        {"/a/b", "/a", "b"}, {"a/b", "a", "b"}, {"a", ".", "a"},      {"/a", "/", "a"},
        {"/", "/", ""},      {"//a", "/", "a"}, {"/a//b", "/a", "b"}, {"/a/b/c.d", "/a/b", "c.d"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_free_ char *parent = path_parent(cases[i].path);

        assert_string_equal(parent, cases[i].parent);
        assert_string_equal(path_basename(cases[i].path), cases[i].name);
    }
}

static void a_path_is_below_a_directory_by_whole_names(void **state) {
    static const struct {
        const char *path;
        const char *directory;
        bool below;
    } cases[] = {
        {"/proc", "/proc", true}, {"/proc/1", "/proc", true},  {"/process", "/proc", false},
        {"/pro", "/proc", false}, {"/proc/1", "/proc/", true}, {"/a", "/", true},
        {"/", "/", true},         {"/", "/a", false},          {"/b/proc", "/proc", false},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_int_equal(path_is_below(cases[i].path, cases[i].directory), cases[i].below);
}

static void directories_are_made_with_their_parents(void **state) {
    _cleanup_free_ char *deep = xasprintf("%s/a/b//c", (char *)*state);
    struct stat status;

    assert_int_equal(path_make_directories(deep, 0700, NULL), 0);
    assert_true(path_is_directory(deep));
    assert_int_equal(stat(deep, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
    assert_int_equal(path_make_directories(deep, 0700, NULL), 0);
}

static void a_file_in_the_way_of_a_directory_is_named(void **state) {
    _cleanup_error_ struct error *error = NULL;
    _cleanup_error_ struct error *last = NULL;
    _cleanup_free_ char *file = xasprintf("%s/file", (char *)*state);
    _cleanup_free_ char *below = xasprintf("%s/file/below", (char *)*state);

    assert_int_equal(file_write_atomically(file, "x", 1, 0600, NULL), 0);
    assert_true(path_make_directories(below, 0700, &error) < 0);
    assert_non_null(strstr(error_message(error), file));
    assert_true(path_make_directories(file, 0700, &last) < 0);
    assert_non_null(strstr(error_message(last), file));
}

static void a_file_is_read_whole_within_its_limit(void **state) {
    _cleanup_free_ char *path = xasprintf("%s/file", (char *)*state);
    _cleanup_buffer_ struct buffer content = {0};
    _cleanup_error_ struct error *error = NULL;
    static char data[200000];

    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (char)(i * 7 + (i >> 8));
    assert_int_equal(file_write_atomically(path, data, sizeof(data), 0600, NULL), 0);
    buffer_append_string(&content, "before");
    assert_int_equal(file_read(path, sizeof(data), &content, NULL), 0);
    assert_int_equal(content.size, sizeof(data) + 6);
    assert_memory_equal(content.data, "before", 6);
    assert_memory_equal(content.data + 6, data, sizeof(data));

    assert_int_equal(file_read(path, sizeof(data) - 1, &content, &error), -EFBIG);
    assert_int_equal(content.size, sizeof(data) + 6);
    assert_non_null(strstr(error_message(error), path));
}

static void a_file_that_cannot_be_read_is_named(void **state) {
    _cleanup_free_ char *path = xasprintf("%s/missing", (char *)*state);
    _cleanup_buffer_ struct buffer content = {0};
    _cleanup_error_ struct error *missing = NULL;
    _cleanup_error_ struct error *directory = NULL;

    assert_int_equal(file_read(path, 10, &content, &missing), -ENOENT);
    assert_non_null(strstr(error_message(missing), "/missing: No such file or directory"));
    assert_int_equal(file_read(*state, 10, &content, &directory), -EISDIR);
    assert_int_equal(content.size, 0);
}

static void an_old_file_is_replaced_at_once(void **state) {
    _cleanup_free_ char *path = xasprintf("%s/file", (char *)*state);
    _cleanup_buffer_ struct buffer new = {0};
    struct stat status;

    assert_int_equal(file_write_atomically(path, "old", 3, 0600, NULL), 0);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(file_write_atomically(path, "newer", 5, 0640, NULL), 0);

    /* Who has the old file open still reads the old file. */
    char back[8];
    assert_int_equal(read(fd, back, sizeof(back)), 3);
    assert_memory_equal(back, "old", 3);
    assert_int_equal(file_read(path, 100, &new, NULL), 0);
    assert_string_equal(new.data, "newer");
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777 & ~0640u, 0);
    assert_int_equal(count_entries(*state), 1);
}

static void a_write_that_fails_leaves_the_old_file_and_nothing_else(void **state) {
    _cleanup_free_ char *path = xasprintf("%s/file", (char *)*state);
    _cleanup_free_ char *nowhere = xasprintf("%s/no/file", (char *)*state);
    _cleanup_buffer_ struct buffer content = {0};
    _cleanup_error_ struct error *full = NULL;
    _cleanup_error_ struct error *missing = NULL;
    struct rlimit before;
    static char data[65536];

    assert_int_equal(file_write_atomically(path, "old", 3, 0600, NULL), 0);
    assert_int_equal(file_write_atomically(nowhere, "x", 1, 0600, &missing), -ENOENT);
    assert_non_null(strstr(error_message(missing), "/no/file"));

    /* A limit on the size of files stands for a full disk. */
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    struct rlimit small = {.rlim_cur = 4096, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    int r = file_write_atomically(path, data, sizeof(data), 0600, &full);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(r, -EFBIG);
    assert_non_null(strstr(error_message(full), path));
    assert_int_equal(file_read(path, 100, &content, NULL), 0);
    assert_string_equal(content.data, "old");
    assert_int_equal(count_entries(*state), 1);
}

static void a_directory_is_not_replaced_by_a_file(void **state) {
    _cleanup_free_ char *path = xasprintf("%s/dir", (char *)*state);

    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(file_write_atomically(path, "x", 1, 0600, NULL), -EISDIR);
    assert_true(path_is_directory(path));
    assert_int_equal(count_entries(*state), 1);
}

static void a_memory_file_holds_the_bytes_from_its_start(void **state) {
    _cleanup_close_ int fd = -1;
    char back[16];

    assert_int_equal(fd_from_memory("test", "ab\0c", 4, &fd, NULL), 0);
    assert_int_equal(read(fd, back, sizeof(back)), 4);
    assert_memory_equal(back, "ab\0c", 4);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

static void a_descriptor_is_closed_and_forgotten(void **state) {
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(fd_set_nonblocking(fd), 0);
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_int_equal(fd_close(fd), -1);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    assert_int_equal(fd_close(-1), -1);
    assert_int_equal(fd_set_nonblocking(-1), -EBADF);
    assert_int_equal(fd_write_all(-1, "x", 1), -EBADF);
}

static void things_that_are_there_are_found(void **state) {
    _cleanup_free_ char *dangling = xasprintf("%s/link", (char *)*state);

    assert_true(path_exists("/dev/null"));
    assert_false(path_is_directory("/dev/null"));
    assert_true(path_is_directory(*state));
    assert_int_equal(symlink("/nonexistent", dangling), 0);
    assert_false(path_exists(dangling));
}

static void set(const char *name, const char *value) {
    if (value)
        assert_int_equal(setenv(name, value, 1), 0);
    else
        assert_int_equal(unsetenv(name), 0);
}

static void the_cache_directory_follows_the_environment(void **state) {
    static const struct {
        const char *own;
        const char *xdg;
        const char *home;
        const char *directory;
    } cases[] = {
        {"/own", "/xdg", "/home/u", "/own"},
        {"", "/xdg", "/home/u", "/xdg/vmtest"},
        {NULL, "/xdg", "/home/u", "/xdg/vmtest"},
        {NULL, "/xdg", NULL, "/xdg/vmtest"},
        {NULL, "relative", "/home/u", "/home/u/.cache/vmtest"}, /* XDG: a relative path is to be ignored */
        {NULL, "", "/home/u", "/home/u/.cache/vmtest"},
        {NULL, NULL, "/home/u", "/home/u/.cache/vmtest"},
        {NULL, NULL, "", NULL},
        {NULL, NULL, NULL, NULL},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        set("VMTEST_CACHE_DIR", cases[i].own);
        set("XDG_CACHE_HOME", cases[i].xdg);
        set("HOME", cases[i].home);
        _cleanup_free_ char *directory = path_cache_directory();

        if (cases[i].directory)
            assert_string_equal(directory, cases[i].directory);
        else
            assert_null(directory);
    }
}

#define in_directory(test) cmocka_unit_test_setup_teardown(test, make_directory, remove_directory)

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_are_taken_from_a_directory),
        cmocka_unit_test(a_path_has_a_parent_and_a_name),
        cmocka_unit_test(a_path_is_below_a_directory_by_whole_names),
        in_directory(directories_are_made_with_their_parents),
        in_directory(a_file_in_the_way_of_a_directory_is_named),
        in_directory(a_file_is_read_whole_within_its_limit),
        in_directory(a_file_that_cannot_be_read_is_named),
        in_directory(an_old_file_is_replaced_at_once),
        in_directory(a_write_that_fails_leaves_the_old_file_and_nothing_else),
        in_directory(a_directory_is_not_replaced_by_a_file),
        in_directory(what_a_killed_writer_left_is_swept_and_what_is_being_written_stays),
        in_directory(what_a_killed_writer_of_the_same_file_left_goes_with_the_next_one),
        in_directory(a_new_file_has_the_mode_that_the_umask_leaves),
        cmocka_unit_test(a_memory_file_holds_the_bytes_from_its_start),
        cmocka_unit_test(a_descriptor_is_closed_and_forgotten),
        in_directory(things_that_are_there_are_found),
        cmocka_unit_test(the_cache_directory_follows_the_environment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
