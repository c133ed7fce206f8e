/* SPDX-License-Identifier: Apache-2.0 */
/* vmtest.toml to targets: what good configurations become, what they warn of, and the key table itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/file.h"
#include "config/config-internal.h"
#include "config/config.h"
#include "console/findings.h"

#define HEAD "[[target]]\nname = \"a\"\nkernel = \"k\"\ncommand = \"c\"\n"

static struct config *parse(const char *text) {
    _cleanup_error_ struct error *error = NULL;
    struct config *config = NULL;

    if (config_parse(text, strlen(text), "f.toml", "/dir", false, &config, &error) < 0)
        fail_msg("%s", error_message(error));
    return config;
}

static void every_key_reaches_its_field(void **state) {
    _cleanup_config_ struct config *config = parse("[[target]]\n"
                                                   "name = 'all'\n"
                                                   "kernel = 'boot/vmlinuz'\n"
                                                   "kernel_args = 'quiet \"x ro\" -- rw'\n"
                                                   "modules = '../m'\n"
                                                   "kvm_cpu_args = 'max'\n"
                                                   "rootfs = '/srv/root'\n"
                                                   "rootfs_mode = 'rw'\n"
                                                   "arch = 's390x'\n"
                                                   "qemu_command = './qemu'\n"
                                                   "command = 'make check'\n"
                                                   "accel = 'tcg'\n"
                                                   "boot_timeout = '1m30s'\n"
                                                   "timeout = 1.5\n"
                                                   "kill_after = '250ms'\n"
                                                   "run_timeout = 90\n"
                                                   "fail_on = ['warn', 'oops']\n"
                                                   "dump = true\n"
                                                   "lost_after = '90s'\n"
                                                   "env_pass = ['CI_*', 'TERM']\n"
                                                   "sandbox = false\n"
                                                   "[target.vm]\n"
                                                   "num_cpus = 255\n"
                                                   "memory = '1.5g'\n"
                                                   "extra_args = ['-device', 'x']\n"
                                                   "[target.vm.mounts]\n"
                                                   "'/mnt/b/c/' = { host_path = 'data', writable = true }\n"
                                                   "'/mnt/b' = { host_path = '/abs' }\n");
    const struct target *target = config->targets[0];

    assert_int_equal(config->n_targets, 1);
    assert_int_equal(config->warnings.count, 0);
    assert_string_equal(target->name, "all");
    assert_string_equal(target->kernel, "/dir/boot/vmlinuz");
    assert_string_equal(target->kernel_args, "quiet \"x ro\" -- rw");
    assert_string_equal(target->modules, "/dir/../m");
    assert_string_equal(target->kvm_cpu_args, "max");
    assert_string_equal(target->rootfs, "/srv/root");
    assert_int_equal(target->rootfs_mode, ROOTFS_RW);
    assert_string_equal(target->arch, "s390x");
    assert_string_equal(target->qemu_command, "/dir/./qemu");
    assert_string_equal(target->command, "make check");
    assert_int_equal(target->accel, ACCEL_CHOICE_TCG);
    assert_true(target->boot_timeout == UINT64_C(90000000000));
    assert_true(target->timeout == UINT64_C(1500000000));
    assert_true(target->kill_after == UINT64_C(250000000));
    assert_true(target->run_timeout == UINT64_C(90000000000));
    assert_int_equal(target->fail_on, FINDING_BIT(FINDING_OOPS) | FINDING_BIT(FINDING_WARN));
    assert_true(target->dump);
    assert_true(target->lost_after == UINT64_C(90000000000));
    assert_false(target->sandbox);
    assert_int_equal(target->env_pass.count, 2);
    assert_string_equal(target->env_pass.items[0], "CI_*");
    assert_int_equal(target->num_cpus, 255);
    assert_true(target->memory == UINT64_C(1536) << 20);
    assert_string_equal(target->memory_text, "1.5g");
    assert_int_equal(target->extra_args.count, 2);
    assert_string_equal(target->extra_args.items[1], "x");
    assert_string_equal(target->share, "/dir");
    assert_string_equal(target->where[KEY_KERNEL], "f.toml:3:10");
    assert_string_equal(target->where[KEY_VM_MEMORY], "f.toml:24:10");
    assert_null(target->where[KEY_IMAGE]);

    /* A directory comes before what is mounted in it. */
    assert_int_equal(target->n_mounts, 2);
    assert_string_equal(target->mounts[0].guest_path, "/mnt/b");
    assert_string_equal(target->mounts[0].host_path, "/abs");
    assert_false(target->mounts[0].writable);
    assert_string_equal(target->mounts[1].guest_path, "/mnt/b/c");
    assert_string_equal(target->mounts[1].host_path, "/dir/data");
    assert_true(target->mounts[1].writable);
    assert_string_equal(target->mounts[1].where, "f.toml:27:1");
}

static void every_way_to_write_a_table_works(void **state) {
    static const char *const texts[] = {
        HEAD "[target.vm]\nnum_cpus = 3\n",
        HEAD "vm.num_cpus = 3\n",
        HEAD "vm = { num_cpus = 3 }\n",
        "target = [{ name = 'a', kernel = 'k', command = 'c', vm.num_cpus = 3 }]",
        "\xef\xbb\xbf[[target]]\r\nname = 'a'\r\nkernel = 'k'\r\ncommand = 'c'\r\nvm.num_cpus = 3\r\n",
    };

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        _cleanup_config_ struct config *config = parse(texts[i]);

        assert_int_equal(config->n_targets, 1);
        assert_int_equal(config->targets[0]->num_cpus, 3);
        assert_int_equal(config->warnings.count, 0);
    }
}

static void the_order_of_targets_is_kept(void **state) {
    _cleanup_config_ struct config *config = parse("[[target]]\nname='z'\nkernel='k'\ncommand='c'\n"
                                                   "[[target]]\nname='a'\nimage='i'\ncommand='c'\n"
                                                   "[[target]]\nname='m'\nkernel='k'\ncommand='c'\n");

    assert_int_equal(config->n_targets, 3);
    assert_string_equal(config->targets[0]->name, "z");
    assert_string_equal(config->targets[1]->name, "a");
    assert_string_equal(config->targets[2]->name, "m");
}

static void a_name_of_qemu_is_left_for_path(void **state) {
    _cleanup_config_ struct config *config = parse(HEAD "qemu_command = 'qemu-kvm'\n");

    assert_string_equal(config->targets[0]->qemu_command, "qemu-kvm");
}

static void kernel_args_set_the_rootfs_mode(void **state) {
    static const struct {
        const char *text;
        enum rootfs_mode mode;
    } cases[] = {
        {"", ROOTFS_OVERLAY},
        {"kernel_args = ''", ROOTFS_OVERLAY},
        {"kernel_args = 'ro'", ROOTFS_RO},
        {"kernel_args = 'quiet rw x'", ROOTFS_RW},
        {"kernel_args = 'rw ro'", ROOTFS_RO},
        {"kernel_args = 'root=ro row ro=1 a\"b ro\"'", ROOTFS_OVERLAY},
        {"kernel_args = 'quiet -- ro'", ROOTFS_OVERLAY},
        {"kernel_args = 'ro'\nrootfs_mode = 'ro'", ROOTFS_RO},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_free_ char *text = xasprintf(HEAD "%s\n", cases[i].text);
        _cleanup_config_ struct config *config = parse(text);

        if (config->targets[0]->rootfs_mode != cases[i].mode)
            fail_msg("case %zu: %s", i, cases[i].text);
    }
}

static void unknown_keys_are_warnings(void **state) {
    static const struct {
        const char *text;
        const char *warning;
    } cases[] = {
        {HEAD "vm.memroy = '4G'\n", "f.toml:5:4: unknown key 'vm.memroy' is ignored; did you mean 'vm.memory'?"},
        {HEAD "memory = '4G'\n", "f.toml:5:1: unknown key 'memory' is ignored; did you mean 'vm.memory'?"},
        {HEAD "vm.timeot = '4s'\n", "f.toml:5:4: unknown key 'vm.timeot' is ignored; did you mean 'timeout'?"},
        {HEAD "comand = 'x'\n", "f.toml:5:1: unknown key 'comand' is ignored; did you mean 'command'?"},
        {HEAD "\"vm.memory\" = 'x'\n", "f.toml:5:1: unknown key '\"vm.memory\"' is ignored; did you mean 'vm.memory'?"},
        {HEAD "something_else = 1\n", "f.toml:5:1: unknown key 'something_else' is ignored"},
        {HEAD "\"a\\nb\\u009b\" = 1\n", "f.toml:5:1: unknown key '\"a\\x0ab\\x9b\"' is ignored"},
        {"targets = 1\n" HEAD, "f.toml:1:1: unknown key 'targets' is ignored; did you mean 'target'?"},
        {HEAD "vm.mounts.'/x' = { host_path = 'x', writeable = true }\n",
         "f.toml:5:37: unknown key 'vm.mounts.\"/x\".writeable' is ignored; did you mean 'writable'?"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_config_ struct config *config = parse(cases[i].text);

        assert_int_equal(config->n_targets, 1);
        assert_int_equal(config->warnings.count, 1);
        assert_string_equal(config->warnings.items[0], cases[i].warning);
    }
}

static void warnings_are_bounded(void **state) {
    _cleanup_buffer_ struct buffer text = {0};

    buffer_append_string(&text, HEAD);
    for (int i = 0; i < 1000; i++)
        buffer_printf(&text, "x%d = 1\n", i);
    _cleanup_config_ struct config *config = parse(text.data);
    assert_int_equal(config->warnings.count, 101);
    assert_string_equal(config->warnings.items[100], "f.toml:105:1: this unknown key and those after it are ignored");
}

static void text_is_taken_as_it_is(void **state) {
    _cleanup_config_ struct config *config = parse(
        "[[target]]\nname = 'gr\xc3\xbc\xc3\x9f'\nkernel = 'k'\ncommand = \"\"\"\necho \\\n  \xc3\xa9\n# x\n\"\"\"\n");

    assert_string_equal(config->targets[0]->name, "gr\xc3\xbc\xc3\x9f");
    assert_string_equal(config->targets[0]->command, "echo \xc3\xa9\n# x\n");
}

static void a_file_is_loaded_from_its_directory(void **state) {
    char directory[] = "/tmp/vmtest-config-XXXXXX";
    _cleanup_free_ char *cwd = realpath(".", NULL);
    _cleanup_error_ struct error *error = NULL;
    _cleanup_config_ struct config *config = NULL;

    assert_non_null(mkdtemp(directory));
    _cleanup_free_ char *real = realpath(directory, NULL);
    assert_int_equal(chdir(directory), 0);
    assert_int_equal(config_load("vmtest.toml", false, &config, &error), -ENOENT);
    assert_string_equal(error_message(error), "vmtest.toml: no such file; create one or use -k KERNEL COMMAND");
    assert_int_equal(file_write_atomically("vmtest.toml", HEAD, strlen(HEAD), 0600, NULL), 0);
    assert_int_equal(config_load("vmtest.toml", false, &config, NULL), 0);
    assert_string_equal(config->path, "vmtest.toml");
    assert_string_equal(config->directory, real);
    assert_string_equal(config->targets[0]->share, real);

    error_free(TAKE_PTR(error));
    assert_int_equal(config_load("..", false, &config, &error), -EISDIR);
    assert_string_equal(error_message(error), "..: is a directory; give the file in it, such as vmtest.toml");
    assert_int_equal(unlink("vmtest.toml"), 0);
    assert_int_equal(chdir(cwd), 0);
    assert_int_equal(rmdir(directory), 0);
}

static void the_key_table_is_consistent(void **state) {
    for (size_t i = 0; i < config_key_count; i++) {
        const struct config_key_row *row = &config_keys[i];

        assert_non_null(row->name);
        assert_true(str_has_suffix(row->help, "."));
        assert_true(row->offset < sizeof(struct target));
        assert_true((row->type == CONFIG_INTEGER) == (row->maximum > 0));
        assert_true(row->minimum <= row->maximum);
        if (row->type == CONFIG_ENUM)
            assert_non_null(row->values);
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(row->name, config_keys[j].name);
            assert_int_not_equal(row->offset, config_keys[j].offset);
        }
    }
}

/* The bits are the kinds': the key's values have to be in their order, with `any` behind them. */
static void fail_on_knows_every_kind_of_finding(void **state) {
    struct buffer values = {0};

    for (enum finding_kind kind = 0; kind < FINDING_KIND_COUNT; kind++)
        buffer_printf(&values, "%s|", finding_kind_name(kind));
    buffer_append_string(&values, "any");
    assert_string_equal(config_keys[KEY_FAIL_ON].values, values.data);
    buffer_deinit(&values);
}

/* A key's default as TOML text. */
static char *default_text(const struct config_key_row *row) {
    bool bare = row->type == CONFIG_BOOL || row->type == CONFIG_INTEGER;

    return xasprintf("%s = %s%s%s\n", row->name, bare ? "" : "'", row->def, bare ? "" : "'");
}

static void every_default_parses_to_the_value_of_a_new_target(void **state) {
    _cleanup_target_ struct target *fresh = target_new();

    for (size_t i = 0; i < config_key_count; i++) {
        const struct config_key_row *row = &config_keys[i];

        if (!row->def)
            continue;
        _cleanup_free_ char *line = default_text(row);
        _cleanup_free_ char *text = xasprintf(HEAD "%s", line);
        _cleanup_config_ struct config *config = parse(text);
        const void *parsed = config_field(config->targets[0], row);
        const void *expected = config_field(fresh, row);

        assert_non_null(config->targets[0]->where[i]);
        if (row->type == CONFIG_STRING || row->type == CONFIG_PATH || row->type == CONFIG_PROGRAM)
            assert_string_equal(*(char *const *)parsed, *(char *const *)expected);
        else if (row->type == CONFIG_BOOL)
            assert_int_equal(*(const bool *)parsed, *(const bool *)expected);
        else if (row->type == CONFIG_MEMORY || row->type == CONFIG_DURATION)
            assert_true(*(const uint64_t *)parsed == *(const uint64_t *)expected);
        else
            assert_int_equal(*(const unsigned *)parsed, *(const unsigned *)expected);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_reaches_its_field),
        cmocka_unit_test(fail_on_knows_every_kind_of_finding),
        cmocka_unit_test(every_way_to_write_a_table_works),
        cmocka_unit_test(the_order_of_targets_is_kept),
        cmocka_unit_test(a_name_of_qemu_is_left_for_path),
        cmocka_unit_test(kernel_args_set_the_rootfs_mode),
        cmocka_unit_test(unknown_keys_are_warnings),
        cmocka_unit_test(warnings_are_bounded),
        cmocka_unit_test(text_is_taken_as_it_is),
        cmocka_unit_test(a_file_is_loaded_from_its_directory),
        cmocka_unit_test(the_key_table_is_consistent),
        cmocka_unit_test(every_default_parses_to_the_value_of_a_new_target),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
