/* SPDX-License-Identifier: Apache-2.0 */
/* [defaults]: which target gets what of it, and what is said of one that is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config/config.h"
#include "console/findings.h"

static struct config *parse(const char *text) {
    _cleanup_error_ struct error *error = NULL;
    struct config *config = NULL;

    if (config_parse(text, strlen(text), "f.toml", "/dir", false, &config, &error) < 0)
        fail_msg("%s\n%s", error_message(error), text);
    return config;
}

static void targets_override_defaults(void **state) {
    _cleanup_config_ struct config *config =
        parse("[[target]]\nname = 'a'\ncommand = 'c'\n"
              "[[target]]\nname = 'b'\nkernel = 'own'\ncommand = 'c'\nkernel_args = 'mine'\nvm.num_cpus = 3\n"
              "env_pass = []\nfail_on = ['warn']\nvm.extra_args = ['mine']\n"
              "vm.mounts = { '/x' = { host_path = '/own' }, '/y/' = { host_path = '/y' } }\n"
              "[[matrix]]\nname = '{a}'\na = ['m', 'n']\nkernel = ['/k']\n"
              "[defaults]\nkernel = 'base'\nkernel_args = 'quiet'\ncommand = 'run {a} {{'\nenv_pass = ['A', 'B']\n"
              "fail_on = ['oops']\n"
              "vm.memory = '1G'\nvm.num_cpus = 1\nvm.extra_args = ['-x', '-y']\n"
              "vm.mounts = { '/x' = { host_path = 'x' }, '/z' = { host_path = 'z' } }\n");
    const struct target *a = config->targets[0];
    const struct target *b = config->targets[1];
    const struct target *n = config->targets[3];

    assert_int_equal(config->n_targets, 4);
    assert_int_equal(config->warnings.count, 0);
    assert_string_equal(a->kernel, "/dir/base");
    assert_string_equal(a->kernel_args, "quiet");
    assert_int_equal(a->num_cpus, 1);
    assert_int_equal(a->extra_args.count, 2);
    assert_int_equal(a->n_mounts, 2);
    assert_string_equal(a->where[KEY_KERNEL], "f.toml:19:10");
    assert_string_equal(b->kernel, "/dir/own");
    assert_string_equal(b->kernel_args, "mine");
    assert_int_equal(b->num_cpus, 3);
    assert_true(b->memory == UINT64_C(1) << 30);
    assert_string_equal(b->memory_text, "1G");
    assert_int_equal(b->env_pass.count, 0);
    assert_int_equal(b->fail_on, FINDING_BIT(FINDING_WARN));
    assert_int_equal(b->extra_args.count, 1);
    assert_int_equal(b->n_mounts, 3);
    assert_string_equal(b->mounts[0].host_path, "/own");
    assert_string_equal(b->mounts[1].guest_path, "/y");
    assert_string_equal(b->mounts[2].host_path, "/dir/z");
    assert_string_equal(n->command, "run n {");
    assert_string_equal(n->kernel, "/k");
    assert_int_equal(n->num_cpus, 1);
}

static void defaults_are_for_the_targets_that_can_have_them(void **state) {
    _cleanup_config_ struct config *config =
        parse("[defaults]\nkernel = 'k'\nkernel_args = 'x'\nrootfs = 'r'\nrootfs_mode = 'rw'\nmodules = 'm'\n"
              "uefi = true\nformat = 'raw'\npersist = true\nvm.bios = 'b'\nshare = 'none'\n"
              "vm.mounts = { '/x' = { host_path = '/' } }\ncommand = 'c'\n"
              "[[target]]\nname = 'kernel'\n[[target]]\nname = 'image'\nimage = 'i'\n"
              "[[target]]\nname = 'bios'\nimage = 'i'\nuefi = false\ntemplate = true\nshare = '9p'\n"
              "[[target]]\nname = 'words'\nkernel_args = 'ro'\n"
              "[[target]]\nname = 'mounts'\nimage = 'i'\nvm.mounts = { '/y' = { host_path = '/' } }\n");
    const struct target *kernel = config->targets[0];
    const struct target *image = config->targets[1];
    const struct target *bios = config->targets[2];

    assert_string_equal(kernel->kernel_args, "x");
    assert_int_equal(kernel->rootfs_mode, ROOTFS_RW);
    assert_int_equal(kernel->share_choice, SHARE_9P);
    assert_int_equal(kernel->n_mounts, 1);
    assert_false(kernel->uefi);
    assert_null(kernel->bios);
    assert_null(image->kernel);
    assert_null(image->kernel_args);
    assert_string_equal(image->rootfs, "/");
    assert_true(image->uefi && image->persist);
    assert_string_equal(image->bios, "/dir/b");
    assert_int_equal(image->share_choice, SHARE_NONE);
    assert_int_equal(image->n_mounts, 0);
    assert_null(bios->bios);
    assert_false(bios->persist);
    assert_int_equal(bios->n_mounts, 1);
    assert_int_equal(config->targets[3]->rootfs_mode, ROOTFS_RO);
    assert_int_equal(config->targets[4]->share_choice, SHARE_9P);
    assert_int_equal(config->targets[4]->n_mounts, 2);
}

static void what_is_wrong_with_defaults_is_said_though_nothing_uses_it(void **state) {
#define TARGET "\n[[target]]\nname = 'n'\nimage = 'i'\ncommand = 'c'\nvm.num_cpus = 1\n"
    static const struct {
        const char *text;
        const char *expected;
    } cases[] = {
        {"defaults = 1", "f.toml:1:12: 'defaults' must be a table, not an integer; write [defaults]"},
        {"[[defaults]]", "f.toml:1:1: 'defaults' must be a table, not a list; write [defaults]"},
        {"[defaults]\nvm.num_cpus = 0" TARGET, "f.toml:2:15: 'vm.num_cpus' is 0; it must be from 1 to 255"},
        {"[defaults]\nkernel_args = 1" TARGET, "f.toml:2:15: 'kernel_args' must be a string, not an integer"},
        {"[defaults]\nkernel = ['a']" TARGET, "f.toml:2:10: 'kernel' must be a string, not a list"},
        {"[defaults]\nvm = 1" TARGET, "f.toml:2:6: 'vm' must be a table, not an integer; write [defaults.vm]"},
        {"[defaults]\nkernel = 'k'\nimage = 'i'" TARGET,
         "f.toml:3:9: [defaults] has both an image and a kernel; keep one of 'image' and 'kernel'"},
        {"[defaults]\nname = 'x'", "f.toml: there is no [[target]]; add one with name, kernel and command"},
        {"[defaults]\ntimeout = '{a}s'" TARGET,
         "f.toml:2:11: 'timeout': '{a}s' is not a duration; write it as 90s, 5m, 1h30m, 250ms or a number of seconds"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_error_ struct error *error = NULL;
        _cleanup_config_ struct config *config = NULL;

        assert_true(config_parse(cases[i].text, strlen(cases[i].text), "f.toml", "/dir", false, &config, &error) < 0);
        assert_string_equal(error_message(error), cases[i].expected);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(targets_override_defaults),
        cmocka_unit_test(defaults_are_for_the_targets_that_can_have_them),
        cmocka_unit_test(what_is_wrong_with_defaults_is_said_though_nothing_uses_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
