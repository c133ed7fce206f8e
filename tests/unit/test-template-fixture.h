/* SPDX-License-Identifier: Apache-2.0 */
/* A cache of its own for each test, and small templates to put there. */
#ifndef VMTEST_TEST_TEMPLATE_FIXTURE_H
#define VMTEST_TEST_TEMPLATE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/file.h"
#include "template/store.h"

#define KEY_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define KEY_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define KEY_C "cccccccccccccccccccccccccccccccc"
#define MEMORY_SIZE ((size_t)8 << 20)
#define STATE "the migration stream"
#define DISK_SIZE 100001

/* The cache directory as *state, which is also VMTEST_CACHE_DIR. */
static inline int make_cache(void **state) {
    char *path = xstrdup("/tmp/vmtest-store-XXXXXX");

    *state = path;
    if (!mkdtemp(path) || unsetenv("VMTEST_CACHE_SIZE") < 0)
        return -1;
    return setenv("VMTEST_CACHE_DIR", path, 1);
}

static inline int remove_cache(void **state) {
    _cleanup_free_ char *path = *state;
    _cleanup_free_ char *command = xasprintf("rm -rf -- '%s'", path);

    return system(command);
}

static inline char *in_store(void *const *state, const char *key, const char *name) {
    return xasprintf("%s/templates%s%s%s%s", (const char *)*state, *key ? "/" : "", key, *name ? "/" : "", name);
}

/* A guest's memory: `data` bytes that are not zero from the second page on. */
static inline int make_memory(size_t data) {
    int fd = memfd_create("memory", MFD_CLOEXEC);
    _cleanup_free_ char *bytes = xmalloc(data + 1);

    for (size_t i = 0; i < data; i++)
        bytes[i] = (char)(i % 251 + 1);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)MEMORY_SIZE), 0);
    assert_int_equal(pwrite(fd, bytes, data, 4096), data);
    return fd;
}

static inline void fill_draft(struct template_draft *draft, size_t data, bool disk) {
    _cleanup_close_ int memory = make_memory(data);
    int fd;

    assert_int_equal(template_draft_memory(draft, memory, MEMORY_SIZE, NULL), 0);
    assert_int_equal(template_draft_state(draft, &fd, NULL), 0);
    assert_int_equal(fd_write_all(fd, STATE, strlen(STATE)), 0);
    if (disk) {
        _cleanup_close_ int overlay = memfd_create("disk", MFD_CLOEXEC);

        assert_int_equal(ftruncate(overlay, DISK_SIZE), 0);
        assert_int_equal(pwrite(overlay, "QFI", 3, 0), 3);
        assert_int_equal(pwrite(overlay, "end", 3, DISK_SIZE - 3), 3);
        assert_int_equal(template_draft_disk(draft, overlay, NULL), 0);
    }
}

static const struct template_meta example_meta = {
    .source = "/boot/bzImage-6.1",
    .kernel_release = "6.1.0",
    .qemu_version = "7.2.0",
    .extra = "{\"a\": 1}",
};

/* Puts a template with so many bytes of data there. */
static inline void publish(const char *key, size_t data) {
    _cleanup_template_draft_ struct template_draft draft = TEMPLATE_DRAFT_NONE;

    assert_int_equal(template_draft(key, &draft, NULL), 0);
    fill_draft(&draft, data, true);
    assert_int_equal(template_publish(&draft, &example_meta, NULL), 0);
}

static inline bool is_there(const char *key) {
    _cleanup_template_ struct template template = TEMPLATE_NONE;
    int r = template_open(key, &template, NULL);

    assert_true(r == 0 || r == -ENOENT);
    return r == 0;
}

/* How many entries the store has, hidden ones as well. */
static inline unsigned count_entries(void *const *state) {
    _cleanup_free_ char *path = in_store(state, "", "");
    _cleanup_closedir_ DIR *dir = opendir(path);
    unsigned n = 0;

    for (struct dirent *entry; dir && (entry = readdir(dir)) != NULL;)
        n += !str_equal(entry->d_name, ".") && !str_equal(entry->d_name, "..");
    return n;
}

/* The exit status of what a child process does. */
static inline int in_child(int (*function)(void *data), void *data) {
    pid_t pid = fork();
    int status;

    if (pid == 0)
        _exit(function(data));
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

#define in_cache(test) cmocka_unit_test_setup_teardown(test, make_cache, remove_cache)

#endif
