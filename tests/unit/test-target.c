/* SPDX-License-Identifier: Apache-2.0 */
/* Targets as the command line makes them, and what only this build cannot run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "arch/arch.h"
#include "config/config.h"

static struct target *one_liner(void) {
    struct target *target = target_new();

    target->name = xstrdup("bzImage");
    target->kernel = xstrdup("/boot/bzImage");
    target->where[KEY_KERNEL] = xstrdup("--kernel");
    target->command = xstrdup("true");
    return target;
}

static void check_message(const struct target *target, int code, const char *message) {
    _cleanup_error_ struct error *error = NULL;

    assert_int_equal(target_check(target, &error), -code);
    assert_string_equal(error_message(error), message);
}

static void a_new_target_has_the_defaults(void **state) {
    _cleanup_target_ struct target *target = target_new();

    assert_null(target->name);
    assert_string_equal(target->kvm_cpu_args, "host");
    assert_string_equal(target->rootfs, "/");
    assert_int_equal(target->rootfs_mode, ROOTFS_OVERLAY);
    assert_string_equal(target->arch, arch_host_name());
    assert_int_equal(target->num_cpus, 2);
    assert_true(target->memory == UINT64_C(4) << 30);
    assert_string_equal(target->memory_text, "4G");
    assert_true(target->boot_timeout == 0 && target->timeout == 0);
    assert_true(target->kill_after == UINT64_C(5000000000) && target->lost_after == 0 && target->sandbox);
    target_free(NULL);
}

static void the_command_gets_the_variables_that_are_passed(void **state) {
    static const struct {
        const char *patterns[3];
        const char *entry;
        bool passed;
    } cases[] = {
        {{"HOME"}, "HOME=/root", true},
        {{"HOME"}, "HOMER=x", false},
        {{"HOM"}, "HOME=/root", false},
        {{"CI_*", "TERM"}, "TERM=xterm", true},
        {{"CI_*", "TERM"}, "CI_JOB=1", true},
        {{"CI_*"}, "XCI_JOB=CI_", false},
        {{"*"}, "ANY=thing", true},
        {{"LC_?"}, "LC_A=", true},
        {{"[AB]"}, "B=1", true},
        {{"A=1"}, "A=1", false},
        {{NULL}, "A=1", false},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_target_ struct target *target = target_new();

        assert_true(target_passes(target, cases[i].entry));
        target->image = xstrdup("/disk.raw");
        assert_false(target_passes(target, cases[i].entry));
        for (size_t j = 0; cases[i].patterns[j]; j++)
            strv_append(&target->env_pass, cases[i].patterns[j]);
        target->where[KEY_ENV_PASS] = xstrdup("f.toml:1:1");
        assert_true(target_passes(target, cases[i].entry) == cases[i].passed);
    }
}

static void a_command_may_be_words_or_a_shell(void **state) {
    _cleanup_target_ struct target *target = one_liner();

    assert_int_equal(target_check(target, NULL), 0);
    free(TAKE_PTR(target->command));
    check_message(target, EINVAL, "bzImage: the target 'bzImage' has no command; add command = \"...\"");
    target->interactive = true;
    assert_int_equal(target_check(target, NULL), 0);
    target->interactive = false;
    strv_append(&target->argv, "prog");
    assert_int_equal(target_check(target, NULL), 0);
}

static void options_are_named_as_options(void **state) {
    _cleanup_target_ struct target *target = one_liner();

    target->kernel_args = xstrdup("quiet ro");
    target->where[KEY_KERNEL_ARGS] = xstrdup("--kargs");
    target_apply_kernel_args(target);
    assert_int_equal(target->rootfs_mode, ROOTFS_RO);
    assert_int_equal(target_check(target, NULL), 0);

    target->rootfs_mode = ROOTFS_RW;
    target->where[KEY_ROOTFS_MODE] = xstrdup("--rootfs-mode");
    target_apply_kernel_args(target);
    assert_int_equal(target->rootfs_mode, ROOTFS_RW);
    check_message(target, EINVAL,
                  "--rootfs-mode: '--rootfs-mode' contradicts the word 'ro' in '--kargs'; remove one of the two");
}

static void another_architecture_is_not_built_in(void **state) {
    _cleanup_target_ struct target *target = one_liner();
    const char *other = str_equal(arch_host_name(), "s390x") ? "x86_64" : "s390x";
    _cleanup_free_ char *message =
        xasprintf("--arch: the architecture %s is not supported on this %s host; supported: %s", other,
                  arch_host_name(), arch_names());

    free(target->arch);
    target->arch = xstrdup(other);
    target->where[KEY_ARCH] = xstrdup("--arch");
    check_message(target, EOPNOTSUPP, message);
}

static void an_image_is_a_target(void **state) {
    static const char text[] = "[[target]]\nname = 'i'\nimage = 'disk.qcow2'\nuefi = true\ncommand = 'c'\n"
                               "format = 'raw'\npersist = true\nshare = 'none'\nvm.bios = 'fw'\n";
    _cleanup_config_ struct config *config = NULL;

    assert_int_equal(config_parse(text, strlen(text), "f.toml", "/dir", true, &config, NULL), 0);
    assert_int_equal(target_check(config->targets[0], NULL), 0);
    assert_string_equal(config->targets[0]->image, "/dir/disk.qcow2");
    assert_string_equal(config->targets[0]->format, "raw");
    assert_string_equal(config->targets[0]->bios, "/dir/fw");
    assert_true(config->targets[0]->uefi);
    assert_true(config->targets[0]->persist);
    assert_int_equal(config->targets[0]->share_choice, SHARE_NONE);
}

static void a_key_is_found_where_it_was_set(void **state) {
    _cleanup_target_ struct target *target = one_liner();

    assert_string_equal(target_where(target, KEY_KERNEL), "--kernel");
    assert_string_equal(target_where(target, KEY_ROOTFS), "bzImage");
    free(TAKE_PTR(target->name));
    assert_string_equal(target_where(target, KEY_ROOTFS), "target");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_target_has_the_defaults),
        cmocka_unit_test(a_command_may_be_words_or_a_shell),
        cmocka_unit_test(options_are_named_as_options),
        cmocka_unit_test(another_architecture_is_not_built_in),
        cmocka_unit_test(the_command_gets_the_variables_that_are_passed),
        cmocka_unit_test(an_image_is_a_target),
        cmocka_unit_test(a_key_is_found_where_it_was_set),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
