/* SPDX-License-Identifier: Apache-2.0 */
/* The index that is built for modules without one, read back by libkmod itself. */
#include "test-modules-fixture.h"

#include <fcntl.h>
#include <libkmod.h>
#include <sys/file.h>

#include "modules/depmod-trie.h"
#include "modules/depmod.h"

#define RELEASE "6.1.0-test"

struct fixture {
    char *root;
    char *directory;
    char *cache;
    unsigned notices;
};

static void count_notice(void *data, const char *line) {
    struct fixture *fixture = data;
    assert_non_null(strstr(line, RELEASE));
    fixture->notices++;
}

static int setup(void **state) {
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));
    fixture->root = fixture_directory();
    fixture->directory = xasprintf("%s/modules", fixture->root);
    fixture->cache = xasprintf("%s/cache", fixture->root);
    fixture_write_module(fixture->directory, "kernel/net/base.ko", "alias=net-pf-77|", "base_send|");
    fixture_write_module(fixture->directory, "kernel/net/mid-dle.ko.xz", "depends=base|alias=virtio:d0000000[0-9]v*|",
                         "");
    fixture_write_module(fixture->directory, "kernel/fs/top.ko.zst",
                         "depends=mid_dle,base|softdep=pre: other|alias=fs-top|", "");
    fixture_write_module(fixture->directory, "kernel/other.ko.gz", "alias=char-major-10-77|alias=devname:other-node|",
                         "");
    fixture_text(fixture->directory, "modules.order", "kernel/fs/top.ko\nkernel/other.ko\nkernel/net/base.ko\n");
    fixture_text(fixture->directory, "modules.builtin", "kernel/drivers/virtio/virtio-pci.ko\n");
    fixture_write(fixture->directory, "modules.builtin.modinfo", "virtio_pci.alias=pci:v1AF4-*\0virtio_pci.x=y", 40);
    *state = fixture;
    return 0;
}

static int teardown(void **state) {
    struct fixture *fixture = *state;
    fixture_remove(fixture->root);
    free(fixture->directory);
    free(fixture->cache);
    free(fixture);
    return 0;
}

static char *build(struct fixture *fixture, bool build_tree, const char *cache, bool *ret_temporary) {
    _cleanup_error_ struct error *error = NULL;
    char *index = NULL;
    if (depmod_build(fixture->directory, RELEASE, build_tree, cache, -1, count_notice, fixture, &index, ret_temporary,
                     &error) < 0)
        fail_msg("%s", error_message(error));
    return index;
}

static void test_a_run_that_is_stopped_gets_no_index_and_leaves_nothing(void **state) {
    struct fixture *fixture = *state;
    _cleanup_error_ struct error *error = NULL;
    char *index = NULL;
    bool temporary;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    (void)close(ends[1]); /* readable from now on */
    assert_int_equal(depmod_build(fixture->directory, RELEASE, false, fixture->cache, ends[0], count_notice, fixture,
                                  &index, &temporary, &error),
                     -ECANCELED);
    (void)close(ends[0]);
    assert_null(index);
    _cleanup_free_ char *modules = xasprintf("%s/modules", fixture->cache);
    assert_int_equal(rmdir(modules), 0);
}

static struct kmod_ctx *open_kmod(const char *index) {
    static const char *const none[] = {NULL};
    _cleanup_free_ char *view = depmod_view(index);
    struct kmod_ctx *kmod = kmod_new(view, none);
    assert_non_null(kmod);
    assert_int_equal(kmod_load_resources(kmod), 0);
    return kmod;
}

/* The names that libkmod finds for an alias, with spaces between them. */
static char *look_up(struct kmod_ctx *kmod, const char *alias) {
    struct kmod_list *list = NULL, *at;
    _cleanup_strv_ struct strv names = {0};
    assert_true(kmod_module_new_from_lookup(kmod, alias, &list) >= 0);
    kmod_list_foreach(at, list) {
        struct kmod_module *module = kmod_module_get_module(at);
        strv_append(&names, kmod_module_get_name(module));
        (void)kmod_module_unref(module);
    }
    (void)kmod_module_unref_list(list);
    return strv_join(&names, " ");
}

static void test_libkmod_finds_aliases_symbols_and_built_ins(void **state) {
    static const struct {
        const char *alias;
        const char *names;
    } cases[] = {
        {"net-pf-77", "base"},
        {"fs-top", "top"},
        {"virtio:d00000007vABC", "mid_dle"},
        {"virtio:d0000000avABC", ""},
        {"symbol:base_send", "base"},
        {"pci:v1AF4-77", "virtio_pci"},
        {"net-pf-7", ""},
        {"mid-dle", "mid_dle"},
    };
    bool temporary;
    struct fixture *fixture = *state;
    _cleanup_free_ char *index = build(fixture, false, fixture->cache, &temporary);
    struct kmod_ctx *kmod = open_kmod(index);
    assert_false(temporary);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_free_ char *names = look_up(kmod, cases[i].alias);
        if (strcmp(names, cases[i].names) != 0)
            fail_msg("%s: '%s'", cases[i].alias, names);
    }
    (void)kmod_unref(kmod);
}

static char *read_index(const char *index, const char *name) {
    struct buffer content = {0};
    _cleanup_free_ char *path = xasprintf("%s/%s", index, name);
    assert_int_equal(file_read(path, 1 << 20, &content, NULL), 0);
    return buffer_take(&content);
}

static void test_text_files_are_as_modprobe_reads_them(void **state) {
    bool temporary;
    struct fixture *fixture = *state;
    _cleanup_free_ char *index = build(fixture, false, fixture->cache, &temporary);
    _cleanup_free_ char *dep = read_index(index, "modules.dep");
    _cleanup_free_ char *softdep = read_index(index, "modules.softdep");
    _cleanup_free_ char *devname = read_index(index, "modules.devname");
    _cleanup_free_ char *alias = read_index(index, "modules.alias");
    /* In modules.order's order, what it does not name last; what a module needs is loaded from right to left. */
    assert_string_equal(dep, "kernel/fs/top.ko.zst: kernel/net/mid-dle.ko.xz kernel/net/base.ko\n"
                             "kernel/other.ko.gz:\n"
                             "kernel/net/base.ko:\n"
                             "kernel/net/mid-dle.ko.xz: kernel/net/base.ko\n");
    assert_non_null(strstr(softdep, "\nsoftdep top pre: other\n"));
    assert_non_null(strstr(devname, "\nother other-node c10:77\n"));
    assert_non_null(strstr(alias, "\nalias virtio:d0000000[0-9]v* mid_dle\n"));
}

static void test_index_is_built_once_and_again_after_a_change(void **state) {
    bool temporary;
    struct fixture *fixture = *state;
    _cleanup_free_ char *first = build(fixture, false, fixture->cache, &temporary);
    _cleanup_free_ char *second = build(fixture, false, fixture->cache, &temporary);
    assert_int_equal(fixture->notices, 1);
    assert_string_equal(first, second);
    fixture_write_module(fixture->directory, "kernel/net/new.ko", "alias=net-pf-88|", "");
    _cleanup_free_ char *third = build(fixture, false, fixture->cache, &temporary);
    assert_int_equal(fixture->notices, 2);
    assert_string_not_equal(first, third);
    struct kmod_ctx *kmod = open_kmod(third);
    _cleanup_free_ char *names = look_up(kmod, "net-pf-88");
    assert_string_equal(names, "new");
    (void)kmod_unref(kmod);
}

static void test_without_a_cache_the_index_is_private(void **state) {
    static const char *const no_cache = "/proc/nowhere";
    bool temporary = false;
    struct fixture *fixture = *state;
    _cleanup_free_ char *index = build(fixture, false, no_cache, &temporary);
    assert_true(temporary);
    assert_true(depmod_exists(index));
    depmod_remove(index);
    _cleanup_free_ char *entry = path_parent(index);
    assert_false(path_exists(entry));
}

static void test_module_in_updates_wins(void **state) {
    bool temporary;
    struct fixture *fixture = *state;
    fixture_write_module(fixture->directory, "updates/base.ko", "alias=newer|", "");
    _cleanup_free_ char *index = build(fixture, false, fixture->cache, &temporary);
    _cleanup_free_ char *dep = read_index(index, "modules.dep");
    assert_non_null(strstr(dep, "updates/base.ko:\n"));
    assert_null(strstr(dep, "kernel/net/base.ko"));
}

static void test_unreadable_and_circular_modules_do_no_harm(void **state) {
    bool temporary;
    struct fixture *fixture = *state;
    fixture_text(fixture->directory, "kernel/broken.ko", "this is no module");
    fixture_text(fixture->directory, "kernel/broken2.ko.xz", "nor is this");
    fixture_write_module(fixture->directory, "kernel/a.ko", "depends=b|", "");
    fixture_write_module(fixture->directory, "kernel/b.ko", "depends=a,nowhere|", "");
    fixture_write_module(fixture->directory, "kernel/c.ko", "alias=bad[|alias=line\nbreak|alias=b\xc3\xa4|alias=good|",
                         "");
    _cleanup_free_ char *index = build(fixture, false, fixture->cache, &temporary);
    _cleanup_free_ char *dep = read_index(index, "modules.dep");
    assert_non_null(strstr(dep, "kernel/broken.ko:\n"));
    assert_non_null(strstr(dep, "kernel/a.ko: kernel/b.ko\n"));
    struct kmod_ctx *kmod = open_kmod(index);
    _cleanup_free_ char *names = look_up(kmod, "good");
    assert_string_equal(names, "c");
    (void)kmod_unref(kmod);
}

static void test_build_tree_has_the_modules_of_its_order_file(void **state) {
    bool temporary;
    struct fixture *fixture = *state;
    fixture_write_module(fixture->directory, "fs/old.ko", "alias=stale|", "");
    fixture_write_module(fixture->directory, "fs/9p/9p.ko", "alias=fs-9p|", "");
    fixture_write_module(fixture->directory, "net/n.ko", "alias=net|", "");
    fixture_text(fixture->directory, "modules.order", "fs/9p/9p.o\nkernel/net/n.ko\nfs/gone.o\n");
    _cleanup_free_ char *index = build(fixture, true, fixture->cache, &temporary);
    _cleanup_free_ char *dep = read_index(index, "modules.dep");
    assert_string_equal(dep, "fs/9p/9p.ko:\nnet/n.ko:\n");
}

static void test_trie_keeps_keys_that_begin_alike_apart(void **state) {
    static const char *const keys[] = {"ask", "ate", "on", "once", "one", "o", ""};
    struct fixture *fixture = *state;
    _cleanup_(trie_deinit) struct trie trie = {0};
    _cleanup_buffer_ struct buffer file = {0};
    bool temporary;
    _cleanup_free_ char *index = build(fixture, false, fixture->cache, &temporary);
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        trie_add(&trie, keys[i], keys[i], 0);
    trie_add(&trie, "on", "later", 9);
    trie_add(&trie, "on", "sooner", 1);
    assert_int_equal(trie_write(&trie, &file), 0);
    fixture_write(index, "modules.alias.bin", file.data, file.size);
    struct kmod_ctx *kmod = open_kmod(index);
    for (size_t i = 0; i + 1 < ARRAY_SIZE(keys); i++) {
        _cleanup_free_ char *names = look_up(kmod, keys[i]);
        assert_string_equal(names, strcmp(keys[i], "on") == 0 ? "on sooner later" : keys[i]);
    }
    _cleanup_free_ char *none = look_up(kmod, "onc");
    assert_string_equal(none, "");
    (void)kmod_unref(kmod);
}

static void test_what_killed_runs_left_is_swept_and_what_is_being_built_stays(void **state) {
    struct fixture *fixture = *state;
    _cleanup_free_ char *alive = xasprintf("%s/modules/building-alive", fixture->cache);
    _cleanup_free_ char *dead_top = xasprintf("%s/modules/building-dead", fixture->cache);
    _cleanup_free_ char *private_top = xasprintf("%s/vmtest-modules-dead", fixture->root);
    bool temporary;
    fixture_text(dead_top, "index/modules.dep", "x");
    fixture_text(alive, "index/modules.dep", "x");
    fixture_text(private_top, "view/x", "x");
    _cleanup_close_ int lock = open(alive, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(flock(lock, LOCK_EX), 0);
    assert_int_equal(setenv("TMPDIR", fixture->root, 1), 0);
    _cleanup_free_ char *index = build(fixture, false, fixture->cache, &temporary);
    assert_int_equal(unsetenv("TMPDIR"), 0);
    assert_false(path_exists(dead_top));
    assert_false(path_exists(private_top));
    assert_true(path_exists(alive));
    assert_true(depmod_exists(index));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_libkmod_finds_aliases_symbols_and_built_ins, setup, teardown),
        cmocka_unit_test_setup_teardown(test_text_files_are_as_modprobe_reads_them, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_run_that_is_stopped_gets_no_index_and_leaves_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_index_is_built_once_and_again_after_a_change, setup, teardown),
        cmocka_unit_test_setup_teardown(test_without_a_cache_the_index_is_private, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_killed_runs_left_is_swept_and_what_is_being_built_stays, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_module_in_updates_wins, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unreadable_and_circular_modules_do_no_harm, setup, teardown),
        cmocka_unit_test_setup_teardown(test_build_tree_has_the_modules_of_its_order_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_trie_keeps_keys_that_begin_alike_apart, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
