/* SPDX-License-Identifier: Apache-2.0 */
/* What bad configurations get: one line, with the place, what is wrong and what to do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config/config.h"

#define HEAD "[[target]]\nname = \"a\"\nkernel = \"k\"\ncommand = \"c\"\n"
#define IMAGE "[[target]]\nname = \"a\"\nimage = \"i\"\ncommand = \"c\"\n"
#define MOUNT HEAD "[target.vm.mounts]\n"

struct error_case {
    const char *text;
    const char *message; /* behind "f.toml:", or the beginning of it when it ends in "..." */
};

static void check_text(const char *text, size_t size, bool strict, const char *expected) {
    _cleanup_error_ struct error *error = NULL;
    _cleanup_config_ struct config *config = NULL;
    int r = config_parse(text, size, "f.toml", "/dir", strict, &config, &error);

    assert_true(r < 0);
    assert_null(config);
    const char *message = str_skip_prefix(error_message(error), "f.toml:");
    assert_non_null(message);
    assert_null(strchr(message, '\n'));
    if (str_has_suffix(expected, "..."))
        assert_memory_equal(message, expected, strlen(expected) - 3);
    else
        assert_string_equal(message, expected);
}

static void check_cases(const struct error_case *cases, size_t count) {
    for (size_t i = 0; i < count; i++)
        check_text(cases[i].text, strlen(cases[i].text), false, cases[i].message);
}

static void what_is_no_toml_is_refused(void **state) {
    static const struct error_case cases[] = {
        {"x y", "1:3: not valid TOML: ..."},
        {"\xef\xbb\xbfx y", "1:3: not valid TOML: ..."},
        {"a = 1\na = 2\n", "2:5: not valid TOML: ..."},
        {"a = \"x\ny\"", "1:7: not valid TOML: ..."},
        {"a = [", "1:6: not valid TOML: ..."},
        {"[.a]", "1:2: not valid TOML: ..."},
        {"[&", "1:2: not valid TOML: ..."},
        {"a = \xc3\xa9", "1:5: not valid TOML: ..."},
        {HEAD "x = '\xff'", "5:6: not valid TOML: the byte 0xff is not UTF-8; save the file as UTF-8"},
        {"\xff\xfe[", "1:1: not valid TOML: the byte 0xff is not UTF-8; save the file as UTF-8"},
        {"# \xc3\xa9\n'\xc3\xa9\xc3' = 1", "2:3: not valid TOML: the byte 0xc3 is not UTF-8; save the file as UTF-8"},
        {"a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q = 1", "1:32: not valid TOML: a key has more than 16 parts"},
    };

    check_cases(cases, ARRAY_SIZE(cases));
    check_text("a = 1\0", 6, false, "1:6: not valid TOML: ...");
}

static void depth_is_bounded(void **state) {
    static const char *const openers[] = {"[", "{a=", "[{a.b.c=", "{a.b.c.d.e.f.g.h="};

    for (size_t i = 0; i < ARRAY_SIZE(openers); i++) {
        _cleanup_buffer_ struct buffer text = {0};

        buffer_append_string(&text, "a=");
        while (text.size < 200000)
            buffer_append_string(&text, openers[i]);
        check_text(text.data, text.size, false, "1:...");
    }

    _cleanup_buffer_ struct buffer key = {0};
    buffer_append_string(&key, "[a");
    while (key.size < 200000)
        buffer_append_string(&key, " . \"#.'\"");
    check_text(key.data, key.size, false, "1:124: not valid TOML: a key has more than 16 parts");
}

static void a_large_file_is_read(void **state) {
    _cleanup_buffer_ struct buffer text = {0};

    buffer_append_string(&text, HEAD "vm.num_cpus = '");
    memset(buffer_reserve(&text, 10 << 20), '.', 10 << 20);
    text.size += 10 << 20;
    buffer_append_string(&text, "'\n");
    check_text(text.data, text.size, false, "5:15: 'vm.num_cpus' must be an integer, not a string");
}

static void targets_must_be_an_array_of_tables(void **state) {
    static const struct error_case cases[] = {
        {"", " there is no [[target]]; add one with name, kernel and command"},
        {"\r\n# nothing\r\n", " there is no [[target]]; add one with name, kernel and command"},
        {"target = []", " there is no [[target]]; add one with name, kernel and command"},
        {"[[targets]]\nname = 'a'", " there is no [[target]]; add one with name, kernel and command (f.toml:1:3: "
                                    "unknown key 'targets' is ignored; did you mean 'target'?)"},
        {"[target]\nname = 'a'", "1:1: 'target' must be an array of tables, not a table; write [[target]]"},
        {"target = 'a'", "1:10: 'target' must be an array of tables, not a string; write [[target]]"},
        {"target = [1]", "1:11: 'target' must be an array of tables, but holds an integer; write [[target]]"},
        {HEAD "vm = 3", "5:6: 'vm' must be a table, not an integer; write [target.vm]"},
        {HEAD "[[target.vm]]\nnum_cpus = 1", "5:1: 'vm' must be a table, not a list; write [target.vm]"},
    };

    check_cases(cases, ARRAY_SIZE(cases));
}

static void wrong_types_are_named(void **state) {
    static const struct error_case cases[] = {
        {HEAD "uefi = 'yes'", "5:8: 'uefi' must be true or false, not a string"},
        {"[[target]]\nname = 3", "2:8: 'name' must be a string, not an integer"},
        {"[[target]]\ncommand = ['x']", "2:11: 'command' must be a string, not a list"},
        {"[[target]]\nkernel = true", "2:10: 'kernel' must be a string, not a boolean"},
        {"[[target]]\nkernel = 1979-05-27", "2:10: 'kernel' must be a string, not a date or time"},
        {HEAD "vm.num_cpus = 2.0", "5:15: 'vm.num_cpus' must be an integer, not a floating-point number"},
        {HEAD "vm.memory = 4096", "5:13: 'vm.memory' must be a string such as \"4G\", not an integer"},
        {HEAD "timeout = true",
         "5:11: 'timeout' must be a duration such as \"90s\" or a number of seconds, not a boolean"},
        {HEAD "rootfs_mode = 1", "5:15: 'rootfs_mode' must be a string, not an integer"},
        {HEAD "vm.extra_args = '-x'", "5:17: 'vm.extra_args' must be a list of strings, not a string"},
        {HEAD "vm.extra_args = ['a', 1]",
         "5:23: 'vm.extra_args' must be a list of strings, but its item 2 is an integer"},
    };

    check_cases(cases, ARRAY_SIZE(cases));
}

static void values_out_of_range_are_refused(void **state) {
    static const struct error_case cases[] = {
        {HEAD "vm.num_cpus = 0", "5:15: 'vm.num_cpus' is 0; it must be from 1 to 255"},
        {HEAD "vm.num_cpus = -1", "5:15: 'vm.num_cpus' is -1; it must be from 1 to 255"},
        {HEAD "vm.num_cpus = 256", "5:15: 'vm.num_cpus' is 256; it must be from 1 to 255"},
        {HEAD "vm.memory = '1M'", "5:13: 'vm.memory': '1M' is too little memory; the least is 64M"},
        {HEAD "vm.memory = '4GB'", "5:13: 'vm.memory': '4GB' is not an amount of memory; ..."},
        {HEAD "timeout = '0s'", "5:11: 'timeout': '0s' is zero; a duration must be more than zero"},
        {HEAD "timeout = 'soon'", "5:11: 'timeout': 'soon' is not a duration; ..."},
        {HEAD "timeout = 0", "5:11: 'timeout' must be more than zero seconds"},
        {HEAD "timeout = -1.5", "5:11: 'timeout' must be more than zero seconds"},
        {HEAD "timeout = nan", "5:11: 'timeout' must be more than zero seconds"},
        {HEAD "timeout = inf", "5:11: 'timeout' is too long; the most is 500 years"},
        {HEAD "timeout = 9223372036854775807", "5:11: 'timeout' is too long; the most is 500 years"},
        {HEAD "accel = 'hvf'", "5:9: 'accel' is 'hvf'; it must be auto, kvm or tcg"},
        {HEAD "rootfs_mode = ''", "5:15: 'rootfs_mode' is ''; it must be overlay, ro or rw"},
        {HEAD "arch = 'amd64'", "5:8: there is no architecture 'amd64'; write x86_64, aarch64, s390x or riscv64"},
    };

    check_cases(cases, ARRAY_SIZE(cases));
}

static void names_and_paths_must_be_usable(void **state) {
    static const struct error_case cases[] = {
        {"[[target]]\nkernel = ''", "2:10: 'kernel' is empty; give a path or remove it"},
        {HEAD "rootfs = ''", "5:10: 'rootfs' is empty; give a path or remove it"},
        {HEAD "qemu_command = ''", "5:16: 'qemu_command' is empty; remove it or give it a value"},
        {"[[target]]\nkernel = \"a\\u0000b\"", "2:10: 'kernel' has a NUL character (\\u0000) in it; remove it"},
        {"[[target]]\nname = \"a\\u0000b\"", "2:8: 'name' has a NUL character (\\u0000) in it; remove it"},
        {HEAD "vm.extra_args = [\"\\u0000\"]", "5:18: 'vm.extra_args' has a NUL character (\\u0000) in it; remove it"},
        {"[[target]]\nname = ''\nkernel = 'k'\ncommand = 'c'", "2:8: 'name' is empty; give the target a name"},
        {"[[target]]\nname = \"a\\u001b[2J\"\nkernel = 'k'\ncommand = 'c'",
         "2:8: the name 'a\\x1b[2J' has a control character; use printable ones"},
        {"[[target]]\nname = \"a\\u009b\"\nkernel = 'k'\ncommand = 'c'",
         "2:8: the name 'a\\x9b' has a control character; use printable ones"},
        {HEAD HEAD, "6:8: the name 'a' is taken by the target at f.toml:2:8; give each target its own"},
    };

    check_cases(cases, ARRAY_SIZE(cases));
}

static void what_is_missing_is_named(void **state) {
    static const struct error_case cases[] = {
        {"[[target]]\nkernel = 'k'\ncommand = 'c'", "1:1: the target has no name; add name = \"...\""},
        {"[[target]]\nnam = 'x'", "1:1: the target has no name; add name = \"...\" (f.toml:2:1: unknown key 'nam' is "
                                  "ignored; did you mean 'name'?)"},
        {"[[target]]\nname = 'a'\nkernel = 'k'", "2:8: the target 'a' has no command; add command = \"...\""},
        {"[[target]]\nname = 'a'\nkernel = 'k'\ncommand = ' '",
         "4:11: 'command' is empty; give a command to run in the guest"},
        {"[[target]]\nname = 'a'\ncommand = 'c'",
         "2:8: the target 'a' has neither kernel nor image; add kernel = \"...\" or image = \"...\""},
    };

    check_cases(cases, ARRAY_SIZE(cases));
}

static void keys_that_do_not_go_together_are_refused(void **state) {
    static const struct error_case cases[] = {
        {HEAD "image = 'i'", "5:9: the target 'a' has both an image and a kernel; keep one of 'image' and 'kernel'"},
        {HEAD "uefi = true", "5:8: 'uefi' goes with an image only; remove it, or boot an image"},
        {HEAD "vm.bios = 'b'", "5:11: 'vm.bios' goes with uefi = true only; remove it"},
        {IMAGE "vm.bios = 'b'", "5:11: 'vm.bios' goes with uefi = true only; remove it, or add uefi = true"},
        {IMAGE "kernel_args = 'x'", "5:15: 'kernel_args' goes with a kernel only; remove it, or boot a kernel"},
        {IMAGE "rootfs = '/'", "5:10: 'rootfs' goes with a kernel only; remove it, or boot a kernel"},
        {IMAGE "rootfs_mode = 'ro'", "5:15: 'rootfs_mode' goes with a kernel only; remove it, or boot a kernel"},
        {IMAGE "modules = 'm'", "5:11: 'modules' goes with a kernel only; remove it, or boot a kernel"},
        {HEAD "format = 'raw'", "5:10: 'format' goes with an image only; remove it, or boot an image"},
        {HEAD "persist = true", "5:11: 'persist' goes with an image only; remove it, or boot an image"},
        {IMAGE "format = 'ext4'",
         "5:10: there is no image format 'ext4'; write raw, qcow2, vmdk, vdi, vhdx, vpc, qed or qcow"},
        {HEAD "share = 'none'", "5:9: 'share' can be none with an image only, since a kernel's root is a share"},
        {IMAGE "share = 'nfs'", "5:9: 'share' is 'nfs'; it must be 9p or none"},
        {IMAGE "share = 'none'\n[target.vm.mounts]\n'/x' = { host_path = 'x' }",
         "7:1: mounts need a share, but 'share' is none; remove one of the two"},
        {HEAD "rootfs_mode = 'overlay'\nkernel_args = 'ro'",
         "5:15: 'rootfs_mode' contradicts the word 'ro' in 'kernel_args'; remove one of the two"},
    };

    check_cases(cases, ARRAY_SIZE(cases));
}

static void mounts_are_checked(void **state) {
    static const struct error_case cases[] = {
        {HEAD "vm.mounts = []", "5:13: 'vm.mounts' must be a table GUEST_PATH = { host_path = \"...\" }, not a list"},
        {MOUNT "'/x' = 'y'", "6:8: 'vm.mounts.\"/x\"' must be a table { host_path = \"...\" }, not a string"},
        {MOUNT "'/x' = {}", "6:1: 'vm.mounts.\"/x\"' has no host_path; add host_path = \"...\""},
        {MOUNT "'/x' = { hostpath = 'x' }",
         "6:1: 'vm.mounts.\"/x\"' has no host_path; add host_path = \"...\" (f.toml:6:10: unknown key "
         "'vm.mounts.\"/x\".hostpath' is ignored; did you mean 'host_path'?)"},
        {MOUNT "'/x' = { host_path = '' }", "6:22: 'vm.mounts.\"/x\".host_path' is empty; give a path or remove it"},
        {MOUNT "'/x' = { host_path = 'x', writable = 1 }",
         "6:38: 'vm.mounts.\"/x\".writable' must be true or false, not an integer"},
        {MOUNT "x = {}", "6:1: the guest path 'x' in 'vm.mounts' is not absolute; begin it with a slash"},
        {MOUNT "'' = {}", "6:1: the guest path '' in 'vm.mounts' is not absolute; begin it with a slash"},
        {MOUNT "'/' = {}", "6:1: 'vm.mounts' cannot replace the guest's root; use 'rootfs'"},
        {MOUNT "'/./' = {}", "6:1: 'vm.mounts' cannot replace the guest's root; use 'rootfs'"},
        {MOUNT "'/a/../b' = {}", "6:1: the guest path '/a/../b' has '..' in it; write it without"},
        {MOUNT "\"/a\\n\" = {}", "6:1: the guest path '/a\\x0a' has a control character; rename it"},
        {MOUNT "'/proc/x' = {}",
         "6:1: '/proc/x' lies in the guest's own '/proc'; mount it elsewhere, such as under /mnt"},
        {MOUNT "'//sys' = {}", "6:1: '//sys' lies in the guest's own '/sys'; mount it elsewhere, such as under /mnt"},
        {MOUNT "'/mnt/vmtest/' = {}",
         "6:1: '/mnt/vmtest/' is where the directory of f.toml is shared; mount it elsewhere"},
        {MOUNT "'/x' = { host_path = 'a' }\n'//x/.' = { host_path = 'b' }",
         "7:1: '/x' is mounted already at f.toml:6:1; remove one of the two"},
    };

    check_cases(cases, ARRAY_SIZE(cases));
}

static void strict_makes_warnings_errors(void **state) {
    static const struct error_case cases[] = {
        {HEAD "vm.memroy = '4G'", "5:4: unknown key 'vm.memroy'; did you mean 'vm.memory'?"},
        {HEAD "zzz_zzz = 1", "5:1: unknown key 'zzz_zzz'; remove it"},
        {"tarrget = 1\n" HEAD, "1:1: unknown key 'tarrget'; did you mean 'target'?"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        check_text(cases[i].text, strlen(cases[i].text), true, cases[i].message);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_toml_is_refused),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(a_large_file_is_read),
        cmocka_unit_test(targets_must_be_an_array_of_tables),
        cmocka_unit_test(wrong_types_are_named),
        cmocka_unit_test(values_out_of_range_are_refused),
        cmocka_unit_test(names_and_paths_must_be_usable),
        cmocka_unit_test(what_is_missing_is_named),
        cmocka_unit_test(keys_that_do_not_go_together_are_refused),
        cmocka_unit_test(mounts_are_checked),
        cmocka_unit_test(strict_makes_warnings_errors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
