/* SPDX-License-Identifier: Apache-2.0 */
/* What workers hand on of a kernel; that it is taken while nothing has changed, tests/peers/test_shelf.py shows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "prepare/kernel-cache.h"

/* A preparation of two files in memory. */
static void begin_preparation(struct preparation *preparation) {
    *preparation = PREPARATION_EMPTY;
    preparation->release = xstrdup("6.1.0");
    preparation->kernel_fd = memfd_create("kernel", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    preparation->initrd_fd = memfd_create("initrd", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_true(preparation->kernel_fd >= 0 && preparation->initrd_fd >= 0);
    strv_append(&preparation->inputs, "/a/kernel");
    strv_append(&preparation->inputs, "");
}

static void offer(struct kernel_cache *kernel_cache, const char *kernel, const struct preparation *preparation) {
    struct target target = {.kernel = (char *)(uintptr_t)kernel};

    kernel_cache_offer(kernel_cache, &target, preparation);
    kernel_cache_receive(kernel_cache);
}

static void what_is_offered_is_kept_once(void **state) {
    struct kernel_cache *kernel_cache = kernel_cache_new();
    struct preparation preparation;

    begin_preparation(&preparation);
    offer(kernel_cache, "/a/kernel", &preparation);
    offer(kernel_cache, "/a/kernel", &preparation);
    assert_int_equal(kernel_cache->count, 1);
    assert_int_equal(strncmp(kernel_cache->items[0].text.data, "/a/kernel\n", 10), 0);
    /* It is the same file, and nobody can write to it any more. */
    struct stat there;
    struct stat here;
    assert_int_equal(fstat(kernel_cache->items[0].initrd_fd, &there) | fstat(preparation.initrd_fd, &here), 0);
    assert_true(there.st_ino == here.st_ino && kernel_cache->items[0].initrd_fd != preparation.initrd_fd);
    assert_int_equal(write(kernel_cache->items[0].initrd_fd, "x", 1), -1);
    assert_true(fcntl(kernel_cache->items[0].kernel_fd, F_GETFD) & FD_CLOEXEC);
    preparation_deinit(&preparation);
    kernel_cache_free(kernel_cache);
}

static void the_oldest_makes_room(void **state) {
    struct kernel_cache *kernel_cache = kernel_cache_new();
    struct preparation preparation;

    begin_preparation(&preparation);
    for (unsigned i = 0; i < KERNEL_CACHE_MAX + 2; i++) {
        _cleanup_free_ char *path = xasprintf("/kernel-%u", i);

        offer(kernel_cache, path, &preparation);
    }
    assert_int_equal(kernel_cache->count, KERNEL_CACHE_MAX);
    assert_int_equal(strncmp(kernel_cache->items[0].text.data, "/kernel-32\n", 11), 0);
    assert_int_equal(strncmp(kernel_cache->items[1].text.data, "/kernel-33\n", 11), 0);
    assert_int_equal(strncmp(kernel_cache->items[2].text.data, "/kernel-2\n", 10), 0);
    preparation_deinit(&preparation);
    kernel_cache_free(kernel_cache);
}

static void what_may_change_unseen_is_not_offered(void **state) {
    struct kernel_cache *kernel_cache = kernel_cache_new();
    struct preparation preparation;
    char path[] = "/tmp/vmtest-kernel_cache-XXXXXX";
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    begin_preparation(&preparation);
    kernel_cache_note(&preparation.inputs, path); /* just written */
    offer(kernel_cache, "/a/kernel", &preparation);
    assert_int_equal(kernel_cache->count, 0);
    preparation_deinit(&preparation);

    begin_preparation(&preparation);
    preparation.modules.temporary = true;
    offer(kernel_cache, "/a/kernel", &preparation);
    assert_int_equal(kernel_cache->count, 0);
    preparation.modules.temporary = false;
    strv_deinit(&preparation.inputs);
    preparation.inputs = (struct strv){0};
    offer(kernel_cache, "/a/kernel", &preparation); /* nobody could tell whether it is up to date */
    assert_int_equal(kernel_cache->count, 0);
    preparation_deinit(&preparation);
    kernel_cache_free(kernel_cache);
    assert_int_equal(unlink(path), 0);
    (void)close(fd);
}

static void garbage_is_dropped(void **state) {
    static const char *const texts[] = {"", "x", "a\0b"};
    struct kernel_cache *kernel_cache = kernel_cache_new();

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        (void)send(kernel_cache->write_fd, texts[i], strlen(texts[i]) + 1, 0);
        kernel_cache_receive(kernel_cache);
    }
    kernel_cache_receive(kernel_cache); /* and nothing at all */
    assert_int_equal(kernel_cache->count, 0);
    kernel_cache_free(kernel_cache);
}

static void without_it_nothing_is_taken(void **state) {
    struct target target = {.kernel = (char *)(uintptr_t) "/a/kernel"};
    struct kernel_cache *kernel_cache = kernel_cache_new();
    struct preparation preparation = PREPARATION_EMPTY;

    assert_false(kernel_cache_take(NULL, &target, "/nowhere", &preparation));
    assert_false(kernel_cache_take(kernel_cache, &target, "/nowhere", &preparation));
    assert_int_equal(preparation.kernel_fd, -1);
    kernel_cache_free(kernel_cache);
}

/* The input has come into being since. */
static void what_has_changed_is_not_taken(void **state) {
    struct kernel_cache *kernel_cache = kernel_cache_new();
    char path[] = "/tmp/vmtest-kernel_cache-XXXXXX";
    int fd = mkstemp(path);
    struct target target = {.kernel = path};
    struct preparation preparation;
    struct preparation taken = PREPARATION_EMPTY;

    assert_true(fd >= 0);
    begin_preparation(&preparation);
    strv_append(&preparation.inputs, path);
    strv_append(&preparation.inputs, "");
    offer(kernel_cache, path, &preparation);
    assert_int_equal(kernel_cache->count, 1);
    assert_false(kernel_cache_take(kernel_cache, &target, "/nowhere", &taken));
    assert_true(taken.kernel_fd == -1 && !taken.release);
    preparation_deinit(&preparation);
    kernel_cache_free(kernel_cache);
    assert_int_equal(unlink(path), 0);
    (void)close(fd);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_offered_is_kept_once),          cmocka_unit_test(the_oldest_makes_room),
        cmocka_unit_test(what_may_change_unseen_is_not_offered), cmocka_unit_test(garbage_is_dropped),
        cmocka_unit_test(without_it_nothing_is_taken),           cmocka_unit_test(what_has_changed_is_not_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
