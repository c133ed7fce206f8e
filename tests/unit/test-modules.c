/* SPDX-License-Identifier: Apache-2.0 */
/* Where modules are looked for, which are loaded in which order, and what is said when a driver is missing. */
#include "test-modules-fixture.h"

#include "modules/modules.h"

#define RELEASE "6.1.0-unit-test"

struct fixture {
    char *root;
    char *cache;
    struct kernel kernel;
};

static int setup(void **state) {
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));
    char *made = fixture_directory();
    fixture->root = made;
    fixture->cache = xasprintf("%s/cache", made);
    fixture->kernel = (struct kernel){.path = xasprintf("%s/boot/vmlinuz", made),
                                      .format = KERNEL_VMLINUX,
                                      .release = xstrdup(RELEASE),
                                      .map = "",
                                      .size = 0};
    fixture_text(made, "boot/vmlinuz", "kernel");
    *state = fixture;
    return 0;
}

static int teardown(void **state) {
    struct fixture *fixture = *state;
    fixture_remove(fixture->root);
    free(fixture->cache);
    free(fixture->kernel.path);
    free(fixture->kernel.release);
    free(fixture);
    return 0;
}

/* The modules of a kernel that has everything as a module, below `directory`. */
static void write_modules(const char *root, const char *directory) {
    static const struct {
        const char *path;
        const char *modinfo;
    } modules[] = {
        {"kernel/drivers/virtio/virtio.ko", ""},
        {"kernel/drivers/virtio/virtio_pci.ko.xz", "depends=virtio|"},
        {"kernel/drivers/char/virtio_console.ko", "depends=virtio|"},
        {"kernel/net/9p/9pnet.ko", ""},
        {"kernel/net/9p/9pnet_virtio.ko", "depends=9pnet,virtio|"},
        {"kernel/fs/9p/9p.ko.zst", "depends=9pnet|softdep=pre: helper|"},
        {"kernel/fs/helper.ko", ""},
        {"kernel/fs/overlayfs/overlay.ko", ""},
        {"kernel/drivers/char/hw_random/virtio-rng.ko", "depends=virtio|"},
        {"kernel/unneeded.ko", ""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(modules); i++) {
        _cleanup_free_ char *path = xasprintf("%s/%s", directory, modules[i].path);
        fixture_write_module(root, path, modules[i].modinfo, "");
    }
    _cleanup_free_ char *builtin = xasprintf("%s/modules.builtin", directory);
    fixture_text(root, builtin, "kernel/fs/ext4/ext4.ko\n");
}

static void remove_file(const char *root, const char *path) {
    _cleanup_free_ char *full = xasprintf("%s/%s", root, path);
    assert_int_equal(unlink(full), 0);
}

static void find(struct fixture *fixture, const char *given, struct modules *ret) {
    _cleanup_error_ struct error *error = NULL;
    if (modules_find(&fixture->kernel, given, fixture->cache, -1, NULL, NULL, ret, &error) < 0)
        fail_msg("%s", error_message(error));
}

static void test_modules_are_found_near_the_kernel(void **state) {
    static const char *const places[] = {"lib/modules/" RELEASE, "usr/lib/modules/" RELEASE,
                                         "boot/lib/modules/" RELEASE};
    struct fixture *fixture = *state;
    for (size_t i = ARRAY_SIZE(places); i-- > 0;) { /* each wins over those behind it */
        _cleanup_modules_ struct modules modules = {0};
        _cleanup_free_ char *expected = xasprintf("%s/%s", fixture->root, places[i]);
        write_modules(fixture->root, places[i]);
        find(fixture, NULL, &modules);
        assert_string_equal(modules.directory, expected);
        assert_non_null(modules.index);
        assert_false(modules.build_tree);
    }
}

static void test_kernel_beside_its_modules_is_recognised_by_the_release(void **state) {
    struct fixture *fixture = *state;
    _cleanup_modules_ struct modules modules = {0};
    _cleanup_free_ char *expected = xasprintf("%s/" RELEASE, fixture->root);
    write_modules(fixture->root, RELEASE);
    fixture_text(fixture->root, RELEASE "/vmlinuz", "kernel");
    free(fixture->kernel.path);
    fixture->kernel.path = xasprintf("%s/" RELEASE "/vmlinuz", fixture->root);
    find(fixture, NULL, &modules);
    assert_string_equal(modules.directory, expected);
}

static void test_build_tree_is_recognised(void **state) {
    struct fixture *fixture = *state;
    _cleanup_modules_ struct modules modules = {0};
    fixture_text(fixture->root, "arch/x86/boot/bzImage", "kernel");
    fixture_text(fixture->root, "vmlinux", "kernel");
    fixture_text(fixture->root, "modules.order", "fs/9p/9p.o\n");
    fixture_write_module(fixture->root, "fs/9p/9p.ko", "", "");
    free(fixture->kernel.path);
    fixture->kernel.path = xasprintf("%s/arch/x86/boot/bzImage", fixture->root);
    find(fixture, NULL, &modules);
    assert_string_equal(modules.directory, fixture->root);
    assert_true(modules.build_tree);
}

static void test_no_modules_at_all_is_no_error_and_tells_the_places(void **state) {
    struct fixture *fixture = *state;
    _cleanup_modules_ struct modules modules = {0};
    find(fixture, NULL, &modules);
    assert_null(modules.directory);
    assert_null(modules.index);
    assert_true(strv_contains(&modules.searched, "/lib/modules/" RELEASE));
}

static void test_given_directory_is_taken_as_itself_or_as_a_root(void **state) {
    static const char *const given[] = {"", "/lib/modules", ("/lib/modules/" RELEASE)};
    struct fixture *fixture = *state;
    _cleanup_free_ char *expected = xasprintf("%s/other/lib/modules/" RELEASE, fixture->root);
    write_modules(fixture->root, "other/lib/modules/" RELEASE);
    for (size_t i = 0; i < ARRAY_SIZE(given); i++) {
        _cleanup_modules_ struct modules modules = {0};
        _cleanup_free_ char *path = xasprintf("%s/other%s", fixture->root, given[i]);
        find(fixture, path, &modules);
        assert_string_equal(modules.directory, expected);
    }
}

static void test_given_directory_without_the_modules_is_an_error(void **state) {
    static const struct {
        const char *given;
        const char *says;
    } cases[] = {
        {"nowhere", "No such file"},
        {"boot/vmlinuz", "is not a directory"},
        {"boot", "has no modules of " RELEASE},
        {"other", "(only of 5.10.1)"},
        {"other/lib/modules/5.10.1", "has the modules of 5.10.1, but the kernel"},
    };
    struct fixture *fixture = *state;
    write_modules(fixture->root, "other/lib/modules/5.10.1");
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_error_ struct error *error = NULL;
        struct modules modules = {0};
        _cleanup_free_ char *path = xasprintf("%s/%s", fixture->root, cases[i].given);
        assert_true(modules_find(&fixture->kernel, path, fixture->cache, -1, NULL, NULL, &modules, &error) < 0);
        if (!strstr(error_message(error), cases[i].says))
            fail_msg("'%s' is not said: %s", cases[i].says, error_message(error));
    }
}

/* The names in load order with spaces between them, or the error's message. */
static char *closure(struct fixture *fixture, const struct modules *modules, bool need_overlay) {
    _cleanup_error_ struct error *error = NULL;
    _cleanup_strv_ struct strv names = {0};
    struct module_file *files = NULL;
    size_t count = 0;
    if (modules_closure(&fixture->kernel, modules, share_transport(SHARE_9P), need_overlay, &files, &count, &error) < 0) {
        assert_null(strchr(error_message(error), '\n'));
        return xstrdup(error_message(error));
    }
    for (size_t i = 0; i < count; i++) {
        assert_true(path_exists(files[i].path));
        strv_append(&names, files[i].name);
    }
    module_files_free(files, count);
    return strv_join(&names, " ");
}

static void test_dependencies_are_loaded_first(void **state) {
    struct fixture *fixture = *state;
    _cleanup_modules_ struct modules modules = {0};
    write_modules(fixture->root, "lib/modules/" RELEASE);
    find(fixture, NULL, &modules);
    _cleanup_free_ char *names = closure(fixture, &modules, true);
    assert_string_equal(names, "virtio virtio_pci virtio_console helper 9pnet 9p 9pnet_virtio overlay virtio_rng");
}

static void test_built_in_drivers_are_not_loaded(void **state) {
    struct fixture *fixture = *state;
    _cleanup_modules_ struct modules modules = {0};
    write_modules(fixture->root, "lib/modules/" RELEASE);
    remove_file(fixture->root, "lib/modules/" RELEASE "/kernel/drivers/virtio/virtio_pci.ko.xz");
    fixture_text(fixture->root, "lib/modules/" RELEASE "/modules.builtin", "kernel/drivers/virtio/virtio-pci.ko\n");
    find(fixture, NULL, &modules);
    _cleanup_free_ char *names = closure(fixture, &modules, false);
    assert_string_equal(names, "virtio virtio_console helper 9pnet 9p 9pnet_virtio overlay virtio_rng");
}

static void says(const char *message, const char *part) {
    if (!strstr(message, part))
        fail_msg("'%s' is not said: %s", part, message);
}

static void test_kernel_without_9p_is_named(void **state) {
    struct fixture *fixture = *state;
    _cleanup_modules_ struct modules modules = {0};
    write_modules(fixture->root, "lib/modules/" RELEASE);
    fixture_text(fixture->root, "boot/config", "CONFIG_MODULES=y\n# CONFIG_9P_FS is not set\n");
    remove_file(fixture->root, "lib/modules/" RELEASE "/kernel/fs/9p/9p.ko.zst");
    remove_file(fixture->root, "lib/modules/" RELEASE "/kernel/net/9p/9pnet_virtio.ko");
    find(fixture, NULL, &modules);
    _cleanup_free_ char *message = closure(fixture, &modules, true);
    says(message, "has no 9p");
    says(message, "CONFIG_9P_FS, CONFIG_NET_9P_VIRTIO");
    says(message, modules.directory);
    assert_null(strstr(message, "CONFIG_OVERLAY_FS"));
}

static void test_module_of_the_configuration_without_its_file_is_named(void **state) {
    struct fixture *fixture = *state;
    _cleanup_modules_ struct modules modules = {0};
    write_modules(fixture->root, "lib/modules/" RELEASE);
    fixture_text(fixture->root, "boot/config-" RELEASE, "CONFIG_MODULES=y\nCONFIG_OVERLAY_FS=m\n");
    remove_file(fixture->root, "lib/modules/" RELEASE "/kernel/fs/overlayfs/overlay.ko");
    find(fixture, NULL, &modules);
    _cleanup_free_ char *message = closure(fixture, &modules, true);
    says(message, "lack overlay");
    says(message, "install the package");
    _cleanup_free_ char *without = closure(fixture, &modules, false);
    assert_string_equal(without, "virtio virtio_pci virtio_console helper 9pnet 9p 9pnet_virtio virtio_rng");
}

static const char all_built_in[] = "CONFIG_MODULES=y\nCONFIG_VIRTIO_PCI=y\nCONFIG_VIRTIO_CONSOLE=y\nCONFIG_9P_FS=y\n"
                                   "CONFIG_NET_9P_VIRTIO=y\nCONFIG_OVERLAY_FS=y\n";

static void test_configuration_beside_the_kernel_tells_what_is_built_in(void **state) {
    struct fixture *fixture = *state;
    struct modules modules = {0};
    fixture_text(fixture->root, "boot/config-" RELEASE, all_built_in);
    _cleanup_free_ char *names = closure(fixture, &modules, true);
    assert_string_equal(names, "");
}

static void test_configuration_within_the_kernel_tells_what_is_built_in(void **state) {
    struct fixture *fixture = *state;
    struct modules modules = {0};
    _cleanup_buffer_ struct buffer code = {0};
    buffer_append_string(&code, "some code IKCFG_ST");
    fixture_compress(ARCHIVE_FILTER_GZIP, all_built_in, strlen(all_built_in), &code);
    buffer_append_string(&code, "IKCFG_ED more code");
    fixture->kernel.map = code.data;
    fixture->kernel.size = code.size;
    _cleanup_free_ char *names = closure(fixture, &modules, true);
    assert_string_equal(names, "");
}

static void test_code_alone_tells_what_is_built_in(void **state) {
    struct fixture *fixture = *state;
    struct modules modules = {0};
    static const char code[] = "device uses modern interface but does not have VIRTIO_F_VERSION_1\0"
                               "Error allocating inbufs\0Installing v9fs 9p2000 file system support\0";
    fixture->kernel.map = code;
    fixture->kernel.size = sizeof(code);
    strv_append(&modules.searched, "/the/place");
    _cleanup_free_ char *message = closure(fixture, &modules, false);
    says(message, "CONFIG_NET_9P_VIRTIO=y (and CONFIG_NET_9P for them)");
    says(message, "searched /the/place");
    assert_null(strstr(message, "CONFIG_9P_FS"));
    assert_null(strstr(message, "CONFIG_VIRTIO_PCI"));
    strv_deinit(&modules.searched);
}

static void test_kernel_that_cannot_be_unpacked_is_an_error(void **state) {
    struct fixture *fixture = *state;
    struct modules modules = {0};
    struct module_file *files = NULL;
    size_t count = 7;
    _cleanup_error_ struct error *error = NULL;
    fixture->kernel.format = KERNEL_BZIMAGE;
    fixture->kernel.compression = KERNEL_UNKNOWN_COMPRESSION;
    assert_int_equal(
        modules_closure(&fixture->kernel, &modules, share_transport(SHARE_9P), false, &files, &count, &error),
        -EOPNOTSUPP);
    says(error_message(error), "not known");
    assert_int_equal(count, 7);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_modules_are_found_near_the_kernel, setup, teardown),
        cmocka_unit_test_setup_teardown(test_kernel_beside_its_modules_is_recognised_by_the_release, setup, teardown),
        cmocka_unit_test_setup_teardown(test_build_tree_is_recognised, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_modules_at_all_is_no_error_and_tells_the_places, setup, teardown),
        cmocka_unit_test_setup_teardown(test_given_directory_is_taken_as_itself_or_as_a_root, setup, teardown),
        cmocka_unit_test_setup_teardown(test_given_directory_without_the_modules_is_an_error, setup, teardown),
        cmocka_unit_test_setup_teardown(test_dependencies_are_loaded_first, setup, teardown),
        cmocka_unit_test_setup_teardown(test_built_in_drivers_are_not_loaded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_kernel_without_9p_is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(test_module_of_the_configuration_without_its_file_is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(test_configuration_beside_the_kernel_tells_what_is_built_in, setup, teardown),
        cmocka_unit_test_setup_teardown(test_configuration_within_the_kernel_tells_what_is_built_in, setup, teardown),
        cmocka_unit_test_setup_teardown(test_code_alone_tells_what_is_built_in, setup, teardown),
        cmocka_unit_test_setup_teardown(test_kernel_that_cannot_be_unpacked_is_an_error, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
