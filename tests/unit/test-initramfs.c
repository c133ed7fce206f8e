/* SPDX-License-Identifier: Apache-2.0 */
/* The initramfs, read back by libarchive. */
#include "test-modules-fixture.h"

#include <sys/sysmacros.h>

#include "modules/initramfs.h"

static int setup(void **state) {
    char *root = fixture_directory();
    fixture_write_module(root, "first.ko", "name=first|", "");
    fixture_write_module(root, "second.ko.xz", "name=second|", "");
    *state = root;
    return 0;
}

static int teardown(void **state) {
    fixture_remove(*state);
    return 0;
}

static int build(const char *root) {
    _cleanup_error_ struct error *error = NULL;
    _cleanup_free_ char *first = xasprintf("%s/first.ko", root);
    _cleanup_free_ char *second = xasprintf("%s/second.ko.xz", root);
    char names[2][8] = {"first", "second"};
    const struct module_file modules[] = {{names[0], first}, {names[1], second}};
    int fd = -1;
    if (initramfs_build("agent", 5, modules, 2, &fd, &error) < 0)
        fail_msg("%s", error_message(error));
    assert_int_equal(lseek(fd, 0, SEEK_CUR), 0);
    return fd;
}

/* Finds a member, whose content is left to be read from *ret_archive. */
static struct archive_entry *find(int fd, const char *path, struct archive **ret_archive) {
    struct archive *archive = archive_read_new();
    struct archive_entry *entry;
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    (void)archive_read_support_format_cpio(archive);
    assert_int_equal(archive_read_open_fd(archive, fd, 65536), ARCHIVE_OK);
    while (archive_read_next_header(archive, &entry) == ARCHIVE_OK)
        if (strcmp(archive_entry_pathname(entry), path) == 0) {
            *ret_archive = archive;
            return entry;
        }
    fail_msg("%s is not in the initramfs", path);
    return NULL;
}

static void assert_file(int fd, const char *path, mode_t mode, const void *content, size_t size) {
    struct archive *archive = NULL;
    struct archive_entry *entry = find(fd, path, &archive);
    _cleanup_free_ char *data = xmalloc(size + 1);
    assert_int_equal(archive_entry_mode(entry), mode);
    assert_int_equal(archive_entry_uid(entry), 0);
    assert_int_equal(archive_entry_mtime(entry), 0);
    assert_int_equal(archive_read_data(archive, data, size + 1), size);
    if (size > 0)
        assert_memory_equal(data, content, size);
    (void)archive_read_free(archive);
}

static void test_agent_is_init(void **state) {
    _cleanup_close_ int fd = build(*state);
    assert_file(fd, "init", S_IFREG | 0755, "agent", 5);
}

static void test_modules_are_decompressed_and_listed_in_order(void **state) {
    static const char list[] = "/modules/000-first.ko\n/modules/001-second.ko\n";
    _cleanup_close_ int fd = build(*state);
    _cleanup_buffer_ struct buffer first = {0};
    _cleanup_buffer_ struct buffer second = {0};
    fixture_module("name=first|", "", &first);
    fixture_module("name=second|", "", &second);
    assert_file(fd, "modules/000-first.ko", S_IFREG | 0644, first.data, first.size);
    assert_file(fd, "modules/001-second.ko", S_IFREG | 0644, second.data, second.size);
    assert_file(fd, "modules/load", S_IFREG | 0644, list, strlen(list));
}

static void test_directories_and_console_are_there(void **state) {
    static const char *const directories[] = {"dev", "proc", "sys", "newroot", "tmp", "run", "overlay"};
    _cleanup_close_ int fd = build(*state);
    struct archive *archive = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(directories); i++)
        assert_file(fd, directories[i], S_IFDIR | 0755, NULL, 0);
    struct archive_entry *console = find(fd, "dev/console", &archive);
    assert_int_equal(archive_entry_filetype(console), AE_IFCHR);
    assert_int_equal(archive_entry_rdev(console), makedev(5, 1));
    (void)archive_read_free(archive);
}

static void test_same_input_gives_same_bytes(void **state) {
    _cleanup_close_ int first = build(*state);
    _cleanup_close_ int second = build(*state);
    struct stat a, b;
    assert_int_equal(fstat(first, &a), 0);
    assert_int_equal(fstat(second, &b), 0);
    assert_true(a.st_size > 0 && a.st_size == b.st_size);
    _cleanup_free_ char *x = xmalloc((size_t)a.st_size);
    _cleanup_free_ char *y = xmalloc((size_t)a.st_size);
    assert_int_equal(pread(first, x, (size_t)a.st_size, 0), a.st_size);
    assert_int_equal(pread(second, y, (size_t)a.st_size, 0), a.st_size);
    assert_memory_equal(x, y, a.st_size);
}

static void test_no_modules_give_an_empty_list(void **state) {
    int fd = -1;
    assert_int_equal(initramfs_build("agent", 5, NULL, 0, &fd, NULL), 0);
    assert_file(fd, "modules/load", S_IFREG | 0644, NULL, 0);
    (void)close(fd);
}

static void test_module_that_cannot_be_read_is_an_error(void **state) {
    _cleanup_error_ struct error *error = NULL;
    _cleanup_free_ char *path = xasprintf("%s/nowhere.ko", (const char *)*state);
    char name[] = "nowhere";
    const struct module_file module = {name, path};
    int fd = -1;
    assert_int_equal(initramfs_build("agent", 5, &module, 1, &fd, &error), -ENOENT);
    assert_non_null(strstr(error_message(error), path));
    assert_int_equal(fd, -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_agent_is_init, setup, teardown),
        cmocka_unit_test_setup_teardown(test_modules_are_decompressed_and_listed_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_directories_and_console_are_there, setup, teardown),
        cmocka_unit_test_setup_teardown(test_same_input_gives_same_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_modules_give_an_empty_list, setup, teardown),
        cmocka_unit_test_setup_teardown(test_module_that_cannot_be_read_is_an_error, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
