/* SPDX-License-Identifier: Apache-2.0 */
/* [[matrix]]: which targets it stands for, in which order, and what is said of one that is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/verb-list.h"
#include "config/matrix.h"
#include "console/findings.h"

#define HEAD "[[matrix]]\nname = '{a}'\nkernel = 'k'\ncommand = 'c'\n"

/* Patterns and what they match here, none in its order. */
static int fake_glob(const char *directory, const char *pattern, struct strv *ret_paths, struct error **ret_error) {
    static const struct {
        const char *pattern;
        const char *paths[6];
    } files[] = {
        {"k/*/bzImage", {"/dir/k/6.1/bzImage", "/dir/k/5.10.1/bzImage", "/dir/k/6.12/bzImage", "/dir/k/5.10/bzImage"}},
        {"d/*/vmlinuz-*", {"/dir/d/bookworm/vmlinuz-6.1", "/dir/d/bullseye/vmlinuz-5.10"}},
        {"k/vmlinuz-*", {"/dir/k/vmlinuz-6.12", "/dir/k/vmlinuz-6.2", "/dir/k/vmlinuz-6.12.1", "/dir/k/vmlinuz-5.10"}},
        {"k/vmlinuz-6*", {"/dir/k/vmlinuz-6.12", "/dir/k/vmlinuz-6.2"}},
        {"/abs/*", {"/abs/{a}"}},
        {"m/*", {"/dir/m/z/vmlinuz-1", "/dir/m/a/vmlinuz-2", "/dir/m/m/kernel"}},
        {"./m/*", {"/dir/./m/m/kernel", "/dir/m//a/vmlinuz-2"}},
        {"bad/utf8*", {"/dir/bad/utf8\xff"}},
        {"bad/control*", {"/dir/bad/control\n"}},
    };

    assert_string_equal(directory, "/dir");
    if (str_equal(pattern, "unreadable/*"))
        return error_new(ret_error, EACCES, "/dir/unreadable: Permission denied");
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        for (size_t j = 0; str_equal(files[i].pattern, pattern) && j < 6 && files[i].paths[j]; j++)
            strv_append(ret_paths, files[i].paths[j]);
    }
    return 0;
}

static struct config *parse(const char *text) {
    _cleanup_error_ struct error *error = NULL;
    struct config *config = NULL;

    if (config_parse_globbing(text, strlen(text), "f.toml", "/dir", false, fake_glob, &config, &error) < 0)
        fail_msg("%s\n%s", error_message(error), text);
    return config;
}

/* The names of all targets. Caller frees. */
static char *names(const struct config *config) {
    _cleanup_strv_ struct strv list = {0};

    for (size_t i = 0; i < config->n_targets; i++)
        strv_append(&list, config->targets[i]->name);
    return strv_join(&list, "|");
}

struct text_case {
    const char *text;
    const char *expected;
};

static void check_names(const struct text_case *cases, size_t count) {
    for (size_t i = 0; i < count; i++) {
        _cleanup_config_ struct config *config = parse(cases[i].text);
        _cleanup_free_ char *found = names(config);

        assert_string_equal(found, cases[i].expected);
        assert_int_equal(config->warnings.count, 0);
    }
}

static void check_errors(const struct text_case *cases, size_t count, bool strict) {
    for (size_t i = 0; i < count; i++) {
        _cleanup_error_ struct error *error = NULL;
        _cleanup_config_ struct config *config = NULL;
        const char *text = cases[i].text;

        assert_true(config_parse_globbing(text, strlen(text), "f.toml", "/dir", strict, fake_glob, &config, &error) <
                    0);
        assert_null(config);
        assert_string_equal(error_message(error), cases[i].expected);
    }
}

static void combinations_come_in_the_order_of_the_file(void **state) {
    static const struct text_case cases[] = {
        {HEAD "a = ['x']", "x"},
        {HEAD "a = ['x', 'y']", "x|y"},
        {"[[matrix]]\nkernel = 'k'\na = ['1', '2']\nname = '{a}{b}{c}'\nb = ['x', 'y']\ncommand = 'c'\nc = ['p', 'q']",
         "1xp|1xq|1yp|1yq|2xp|2xq|2yp|2yq"},
        /* A table that is written in two places has its axes where they stand. */
        {"[[matrix]]\nname = '{vm.num_cpus}{a}{vm.memory}'\nkernel = 'k'\ncommand = 'c'\nvm.num_cpus = [1, 2]\n"
         "a = ['x', 'y']\nvm.memory = ['1G', '2G']",
         "1x1G|1x2G|1y1G|1y2G|2x1G|2x2G|2y1G|2y2G"},
        {"[[target]]\nname = 'one'\nkernel = 'k'\ncommand = 'c'\n" HEAD "a = ['x', 'y']\n"
         "[[target]]\nname = 'two'\nkernel = 'k'\ncommand = 'c'\n[[matrix]]\nname = 'm{a}'\nkernel = 'k'\n"
         "command = 'c'\na = ['z']",
         "one|x|y|two|mz"},
        /* Without an axis it is one target. */
        {"[[matrix]]\nname = 'only'\nkernel = 'k'\ncommand = 'c'", "only"},
        {"matrix = [{ name = '{a}', kernel = 'k', command = 'c', a = ['x', 'y'] }]", "x|y"},
    };

    check_names(cases, ARRAY_SIZE(cases));
}

static void only_placeholders_of_axes_are_replaced(void **state) {
    static const struct text_case cases[] = {
        {"{a}", "V"},
        {"x{a}y{a}", "xVyV"},
        {"{a.name}", "V"},
        {"${a}", "${a}"},
        {"$ {a}", "$ V"},
        {"$${a}", "$${a}"},
        {"{{", "{"},
        {"{{a}", "{a}"},
        {"{{{a}}}", "{V}}"},
        {"{{{{a}}}}", "{{a}}}}"},
        {"${{a}}", "${a}}"},
        {"${X_{a}}", "${X_V}"},
        {"{b}{ a}{a }{A}{}{a", "{b}{ a}{a }{A}{}{a"},
        {"{a.names}{a.name.name}", "{a.names}{a.name.name}"},
        {"{print {a}}", "{print V}"},
        {"{a,b}{1..3}", "{a,b}{1..3}"},
        {"{kernel}{command}", "{kernel}{command}"},
        {"{", "{"},
        {"}{", "}{"},
        {"{\xc3\xa9}{a}\xc3\xa9", "{\xc3\xa9}V\xc3\xa9"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_free_ char *text = xasprintf("[[matrix]]\nname = 'n {a}'\nkernel = 'k'\na = ['V']\ncommand = '%s'\n"
                                              "kernel_args = '%s'\nvm.extra_args = ['%s']\nenv_pass = ['%s']\n",
                                              cases[i].text, cases[i].text, cases[i].text, cases[i].text);
        _cleanup_config_ struct config *config = parse(text);

        assert_string_equal(config->targets[0]->command, cases[i].expected);
        assert_string_equal(config->targets[0]->kernel_args, cases[i].expected);
        assert_string_equal(config->targets[0]->extra_args.items[0], cases[i].expected);
        assert_string_equal(config->targets[0]->env_pass.items[0], cases[i].expected);
    }
}

static void a_plain_target_has_no_placeholders(void **state) {
    _cleanup_config_ struct config *config = parse("[[target]]\nname = '{a} {{'\nkernel = 'k'\ncommand = '{{a} {a}'\n");

    assert_string_equal(config->targets[0]->name, "{a} {{");
    assert_string_equal(config->targets[0]->command, "{{a} {a}");
    assert_int_equal(config->targets[0]->n_axes, 0);
}

static void what_was_put_in_is_not_replaced_again(void **state) {
    _cleanup_config_ struct config *config =
        parse("[[matrix]]\nname = '{a} {kernel}'\ncommand = '{a}{b}'\na = ['{{', '{c}']\nb = ['{d}']\n"
              "kernel = ['/abs/*']\n");

    assert_int_equal(config->n_targets, 2);
    assert_string_equal(config->targets[0]->command, "{{{d}");
    assert_string_equal(config->targets[1]->command, "{c}{d}");
    assert_string_equal(config->targets[1]->kernel, "/abs/{a}");
    assert_string_equal(config->targets[1]->name, "{c} /abs/{a}");
}

static void every_kind_of_string_takes_placeholders(void **state) {
    _cleanup_config_ struct config *config =
        parse("[[matrix]]\nname = '{a}'\nkernel = 'k/{a}/bz'\nrootfs = '{a}'\ncommand = 'c'\na = ['7']\n"
              "timeout = '{a}s'\nfail_on = ['{f}']\nf = ['oops']\n[matrix.vm]\nmemory = '{a}G'\n"
              "mounts = { '/mnt/{a}' = { host_path = 'h{a}' } }\n");
    const struct target *target = config->targets[0];

    assert_string_equal(target->kernel, "/dir/k/7/bz");
    assert_string_equal(target->rootfs, "/dir/7");
    assert_true(target->timeout == UINT64_C(7000000000));
    assert_true(target->memory == UINT64_C(7) << 30);
    assert_int_equal(target->fail_on, FINDING_BIT(FINDING_OOPS));
    assert_string_equal(target->mounts[0].guest_path, "/mnt/7");
    assert_string_equal(target->mounts[0].host_path, "/dir/h7");
}

static void a_list_is_an_axis_where_a_scalar_is_wanted(void **state) {
    _cleanup_config_ struct config *config =
        parse("[[matrix]]\nimage = ['i', 'j']\nuefi = [true, false]\nvm.num_cpus = [1, 4]\ntimeout = [1.5, 5, '2m']\n"
              "vm.memory = ['1G']\ncommand = ['one', 'two']\nkvm_cpu_args = ['max', '']\naccel = ['tcg']\n"
              "vm.extra_args = ['x', 'y']\nfail_on = ['oops', 'warn']\nenv_pass = ['A', 'B']\n"
              "exclude = [{ kvm_cpu_args = '' }]\n");
    const struct target *target = config->targets[1];

    assert_int_equal(config->n_targets, 2 * 2 * 2 * 3 * 2);
    assert_int_equal(config->warnings.count, 0);
    assert_int_equal(target->n_axes, 8);
    assert_string_equal(target->name, "i, uefi=true, vm.num_cpus=1, timeout=1.5, 1G, two, max, tcg");
    assert_string_equal(target->image, "/dir/i");
    assert_true(target->uefi);
    assert_int_equal(target->num_cpus, 1);
    assert_true(target->timeout == UINT64_C(1500000000));
    assert_string_equal(target->command, "two");
    assert_int_equal(target->extra_args.count, 2);
    assert_int_equal(target->env_pass.count, 2);
    assert_int_equal(target->fail_on, FINDING_BIT(FINDING_OOPS) | FINDING_BIT(FINDING_WARN));
    assert_string_equal(config->targets[47]->name, "j, uefi=false, vm.num_cpus=4, 2m, 1G, two, max, tcg");
    assert_string_equal(target->where[KEY_COMMAND], "f.toml:7:19");
    assert_string_equal(target->where[KEY_VM_NUM_CPUS], "f.toml:4:16");
}

static void an_axis_may_be_called_as_a_key(void **state) {
    static const struct text_case cases[] = {
        {"[[matrix]]\nname = ['x {b}', 'y']\nkernel = 'k'\ncommand = '{name}'\n", "x {b}|y"},
        {"[[matrix]]\nname = '{command}'\nkernel = 'k'\ncommand = ['a b', 'c']\n", "a b|c"},
        {"[[matrix]]\nname = '{gr\xc3\xb6\xc3\x9f"
         "e}'\nkernel = 'k'\ncommand = 'c'\n"
         "\"gr\xc3\xb6\xc3\x9f"
         "e\" = ['\xc3\xa4', '\xe6\x97\xa5']",
         "\xc3\xa4|\xe6\x97\xa5"},
        {HEAD "a = [true, 3, 0x10, -1, 'x']", "true|3|16|-1|x"},
    };

    check_names(cases, ARRAY_SIZE(cases));
}

static void patterns_expand_to_versions_in_their_order(void **state) {
    static const struct text_case cases[] = {
        {"[[matrix]]\nkernel = ['k/vmlinuz-*']\ncommand = 'c'", "vmlinuz-5.10|vmlinuz-6.2|vmlinuz-6.12|vmlinuz-6.12.1"},
        {"[[matrix]]\nkernel = ['k/*/bzImage']\ncommand = 'c'", "5.10|5.10.1|6.1|6.12"},
        {"[[matrix]]\nkernel = ['d/*/vmlinuz-*']\ncommand = 'c'", "vmlinuz-5.10|vmlinuz-6.1"},
        /* A file that two patterns match is there once, where it was found first. */
        {"[[matrix]]\nkernel = ['k/vmlinuz-6*', 'k/vmlinuz-*']\ncommand = 'c'",
         "vmlinuz-6.2|vmlinuz-6.12|vmlinuz-5.10|vmlinuz-6.12.1"},
        {"[[matrix]]\nkernel = ['k/vmlinuz-6.12', 'k/vmlinuz-6*']\ncommand = 'c'", "vmlinuz-6.12|vmlinuz-6.2"},
        {"[[matrix]]\nname = '{kernel}'\nkernel = ['no/such', '/a/b']\ncommand = 'c'", "/dir/no/such|/a/b"},
        {"[[matrix]]\nimage = ['k/vmlinuz-6*']\ncommand = 'c'", "vmlinuz-6.2|vmlinuz-6.12"},
        {"[[matrix]]\nname = '{rootfs.name}'\nkernel = 'k'\nrootfs = ['k/vmlinuz-6*']\ncommand = 'c'",
         "vmlinuz-6.2|vmlinuz-6.12"},
        /* One order for all: by the names only where each of them has a version. */
        {"[[matrix]]\nkernel = ['m/*']\ncommand = 'c'", "vmlinuz-2|kernel|vmlinuz-1"},
        {"[[matrix]]\nname = '{kernel}'\nkernel = ['./m/*', 'm/*', 'm/./z//vmlinuz-1']\ncommand = 'c'",
         "/dir/m/a/vmlinuz-2|/dir/m/m/kernel|/dir/m/z/vmlinuz-1"},
        /* Of what is no path a star is a star. */
        {HEAD "a = ['*', 'k/*/bzImage']", "*|k/*/bzImage"},
    };

    check_names(cases, ARRAY_SIZE(cases));
}

static void a_pattern_stands_for_itself_where_nothing_may_be_read(void **state) {
    static const char text[] = "[[matrix]]\nname = '{kernel.name}'\nkernel = ['k/*']\ncommand = 'c'\n";
    _cleanup_config_ struct config *config = NULL;

    assert_int_equal(config_parse(text, strlen(text), "f.toml", "/dir", true, &config, NULL), 0);
    assert_string_equal(config->targets[0]->kernel, "/dir/k/*");
}

static void labels_are_as_short_as_tells_paths_apart(void **state) {
    static const struct {
        const char *paths[4];
        const char *labels[4];
    } cases[] = {
        {{"/a/vmlinuz"}, {"vmlinuz"}},
        {{"/a/b/"}, {"b"}},
        {{"/"}, {"/"}},
        {{"/x"}, {"x"}},
        {{"/k/6.1", "/k/6.12"}, {"6.1", "6.12"}},
        {{"/k/6.1/bzImage", "/k/6.12/bzImage"}, {"6.1", "6.12"}},
        {{"/a/arch/x86/boot/bzImage", "/b/arch/x86/boot/bzImage"}, {"a", "b"}},
        {{"/k/6.1/bzImage", "/k/6.12/bzImage", "/k/6.12/vmlinux"}, {"6.1/bzImage", "6.12/bzImage", "vmlinux"}},
        {{"/a/x/k", "/b/x/k", "/b/y/k"}, {"a/x", "b/x", "y"}},
        {{"/bzImage", "/a/bzImage"}, {"/bzImage", "a/bzImage"}},
        {{"/a/./k", "/a//k"}, {"/a/./k", "/a//k"}},
        {{"/dir/./a/k", "/dir//b/k"}, {"a", "b"}},
        {{"qemu-a", "/x/qemu-b"}, {"qemu-a", "qemu-b"}},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct axis_value values[4] = {{.text = NULL}};
        size_t count = 0;

        for (; count < 4 && cases[i].paths[count]; count++)
            values[count].text = xstrdup(cases[i].paths[count]);
        axis_set_path_labels(values, count);
        for (size_t j = 0; j < count; j++) {
            assert_string_equal(values[j].label, cases[i].labels[j]);
            free(values[j].text);
            free(values[j].label);
        }
    }
}

static void what_is_excluded_is_left_out(void **state) {
#define TWO "[[matrix]]\nname = '{kernel.name}{a}'\nkernel = ['k/vmlinuz-6*']\ncommand = 'c'\na = ['x', 'y']\n"
#define ALL "vmlinuz-6.2x|vmlinuz-6.2y|vmlinuz-6.12x|vmlinuz-6.12y"
    static const struct text_case cases[] = {
        {TWO, ALL},
        {TWO "exclude = []", ALL},
        {TWO "exclude = [{ a = 'z' }]", ALL},
        {TWO "exclude = [{ a = [] }]", ALL},
        {TWO "exclude = [{ a = 'x' }]", "vmlinuz-6.2y|vmlinuz-6.12y"},
        {TWO "exclude = [{ a = 'x', kernel = '*6.12' }]", "vmlinuz-6.2x|vmlinuz-6.2y|vmlinuz-6.12y"},
        {TWO "exclude = [{ a = 'x', kernel = '*6.2' }, { kernel = '*-6.12', a = '[w-y]' }]", "vmlinuz-6.2y"},
        {TWO "exclude = [{ a = ['w', 'x'], kernel = ['*6.12', '*6.2'] }]", "vmlinuz-6.2y|vmlinuz-6.12y"},
        /* By the label, by the path from the configuration on, and by the whole path. */
        {TWO "exclude = [{ kernel = 'vmlinuz-6.12' }]", "vmlinuz-6.2x|vmlinuz-6.2y"},
        {TWO "exclude = [{ kernel = 'k/*6.12' }]", "vmlinuz-6.2x|vmlinuz-6.2y"},
        {TWO "exclude = [{ kernel = '/dir/k/*6.12' }]", "vmlinuz-6.2x|vmlinuz-6.2y"},
        {TWO "exclude = [{ kernel = '6.12' }]", ALL},
        /* What lies above the configuration leaves nothing out, unless the pattern says so. */
        {TWO "exclude = [{ kernel = '*dir*' }]", ALL},
        {TWO "exclude = [{ kernel = '/d*6.12' }]", "vmlinuz-6.2x|vmlinuz-6.2y"},
        {TWO "exclude = [{ kernel = 'dir/*' }]", ALL},
        {TWO "[[matrix.exclude]]\na = 'x'\n[[matrix.exclude]]\nkernel = '*6.2'", "vmlinuz-6.12y"},
        {"[[matrix]]\nname = '{vm.num_cpus}{uefi}'\nimage = 'i'\ncommand = 'c'\nvm.num_cpus = [1, 2, 11]\n"
         "uefi = [true, false]\nexclude = [{ vm.num_cpus = 1, uefi = true }, { vm = { num_cpus = [2, 3] } }]",
         "1false|11true|11false"},
    };

    check_names(cases, ARRAY_SIZE(cases));
}

static void a_target_knows_its_axes(void **state) {
    _cleanup_config_ struct config *config =
        parse("[[matrix]]\nkernel = ['k/*/bzImage']\ncommand = '{my-test}'\nmy-test = ['x']\n");
    const struct target *target = config->targets[3];
    _cleanup_free_ char *variable = target_axis_variable("my-test");
    _cleanup_free_ char *dotted = target_axis_variable("vm.num_cpus");
    _cleanup_free_ char *foreign = target_axis_variable("gr\xc3\xb6\xc3\x9f"
                                                        "E1");

    assert_int_equal(target->n_axes, 2);
    assert_string_equal(target->axes[0].name, "kernel");
    assert_string_equal(target->axes[0].value, "/dir/k/6.12/bzImage");
    assert_string_equal(target->axes[0].label, "6.12");
    assert_string_equal(target->axes[1].name, "my-test");
    assert_string_equal(target->where[KEY_NAME], "f.toml:1:1");
    assert_string_equal(target->where[KEY_KERNEL], "f.toml:2:11");
    assert_string_equal(variable, "VMTEST_AXIS_MY_TEST");
    assert_string_equal(dotted, "VMTEST_AXIS_VM_NUM_CPUS");
    assert_string_equal(foreign, "VMTEST_AXIS_GR__E1");
}

static void a_warning_is_given_once(void **state) {
    static const struct text_case cases[] = {
        {HEAD "a = ['x', 'y']\nzzzz = 1", "f.toml:6:1: unknown key 'zzzz' is ignored"},
        {HEAD "a = ['x', 'y']\nzzzz = ['1']",
         "f.toml:6:1: unknown key 'zzzz' is ignored; to make it an axis, write {zzzz} where it is wanted"},
        {HEAD "a = ['x', 'y']\nzzzz = '1'\nkernel_args = '{zzzz.name}'",
         "f.toml:6:1: unknown key 'zzzz' is ignored; to make it an axis, give it a list"},
        {HEAD "a = ['x', 'y']\nvm.memroy = ['1G']",
         "f.toml:6:4: unknown key 'vm.memroy' is ignored; did you mean 'vm.memory'?"},
        {HEAD "a = ['x', 'y']\nzzzz = ['1']\nkernel_args = '${zzzz} {{zzzz}'",
         "f.toml:6:1: unknown key 'zzzz' is ignored; to make it an axis, write {zzzz} where it is wanted"},
        {HEAD "a = ['x', 'y']\n\"z.z\" = ['1']\nkernel_args = '{z.z}'", "f.toml:6:1: unknown key '\"z.z\"' is ignored"},
        {HEAD "a = ['x', 'y']\n[matrix.vm.mounts]\n'/x' = { host_path = '/', zzzz = 1 }",
         "f.toml:7:27: unknown key 'vm.mounts.\"/x\".zzzz' is ignored"},
        {"[defaults]\nzzzz = 1\nvm.mounts = { '/x' = { host_path = '/', yyyyyyy = 1 } }\n" HEAD "a = ['x', 'y']",
         "f.toml:2:1: unknown key 'zzzz' is ignored|"
         "f.toml:3:41: unknown key 'vm.mounts.\"/x\".yyyyyyy' is ignored"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_config_ struct config *config = parse(cases[i].text);
        _cleanup_free_ char *warnings = strv_join(&config->warnings, "|");

        assert_string_equal(warnings, cases[i].expected);
        assert_int_equal(config->n_targets, 2);
    }

    static const struct text_case strict[] = {
        {HEAD "a = ['x', 'y']\nzzzz = ['1']",
         "f.toml:6:1: unknown key 'zzzz'; to make it an axis, write {zzzz} where it is wanted"},
        {HEAD "a = ['x', 'y']\nzzzz = 1", "f.toml:6:1: unknown key 'zzzz'; remove it"},
    };
    check_errors(strict, ARRAY_SIZE(strict), true);
}

static void what_is_wrong_with_an_axis_is_said(void **state) {
    static const struct text_case cases[] = {
        {HEAD "a = []", "f.toml:5:5: the axis 'a' is empty; give it a value or remove it"},
        {"[[matrix]]\nkernel = []", "f.toml:2:10: the axis 'kernel' is empty; give it a value or remove it"},
        {HEAD "a = ['x', 'y', 'x']", "f.toml:5:16: the axis 'a' has the value 'x' twice; remove one"},
        {HEAD "a = [1, '1']", "f.toml:5:9: the axis 'a' has the value '1' twice; remove one"},
        {HEAD "a = [['x']]",
         "f.toml:5:6: the values of the axis 'a' must be strings, integers or booleans, not a list"},
        {HEAD "a = [{}]", "f.toml:5:6: the values of the axis 'a' must be strings, integers or booleans, not a table"},
        {HEAD "a = [5.10]", "f.toml:5:6: the axis 'a' has a floating-point number, which does not keep how it is "
                            "written; put it in quotes"},
        {HEAD "a = [\"x\\u0000\"]", "f.toml:5:6: 'a' has a NUL character (\\u0000) in it; remove it"},
        {HEAD "vm.num_cpus = ['x']\na = ['x']", "f.toml:5:16: 'vm.num_cpus' must be an integer, not a string"},
        {HEAD "vm.num_cpus = [1, 0]\na = ['x']", "f.toml:5:19: 'vm.num_cpus' is 0; it must be from 1 to 255"},
        {HEAD "arch = ['x']\na = ['x']",
         "f.toml:5:9: there is no architecture 'x'; write x86_64, aarch64, s390x or riscv64"},
        {HEAD "vm = [1]\na = ['x']", "f.toml:5:6: 'vm' must be a table, not a list; write [matrix.vm]"},
        {"[[matrix]]\nkernel = ['']\ncommand = 'c'", "f.toml:2:11: 'kernel' is empty; give a path or remove it"},
        {"[[matrix]]\nkernel = ['no/*']",
         "f.toml:2:11: 'kernel': no file matches the pattern 'no/*'; patterns are taken from /dir"},
        {"[[matrix]]\nkernel = ['unreadable/*']",
         "f.toml:2:11: 'kernel': the pattern 'unreadable/*': /dir/unreadable: Permission denied"},
        {"[[matrix]]\nkernel = ['bad/utf8*']", "f.toml:2:11: 'kernel': the pattern 'bad/utf8*' matches a name that is "
                                               "not printable UTF-8, '/dir/bad/utf8'; rename it"},
        {"[[matrix]]\nkernel = ['bad/control*']",
         "f.toml:2:11: 'kernel': the pattern 'bad/control*' matches a name that is not printable UTF-8, "
         "'/dir/bad/control\\x0a'; rename it"},
        {"[[matrix]]\nkernel = 'k/*'",
         "f.toml:2:10: 'kernel' is a pattern, and those are expanded in a list only; write [\"k/*\"]"},
        {HEAD "a = ['x']\nb = ['{a}']\nkernel_args = '{b}'", "f.toml:6:6: 'b': the values of an axis are taken as they "
                                                             "are, so {a} would not be replaced in this one; write "
                                                             "it in a key that has no list"},
        {HEAD "a-b = ['x']\na_b = ['y']\nkernel_args = '{a_b}{a-b}'\na = ['z']",
         "f.toml:6:1: the axes 'a-b' and 'a_b' would both be VMTEST_AXIS_A_B for the command; rename one"},
        {"matrix = 1", "f.toml:1:10: 'matrix' must be an array of tables, not an integer; write [[matrix]]"},
        {"[matrix]\n", "f.toml:1:1: 'matrix' must be an array of tables, not a table; write [[matrix]]"},
        {"matrix = [1]", "f.toml:1:11: 'matrix' must be an array of tables, but holds an integer; write [[matrix]]"},
        {"matrix = []", "f.toml: there is no [[target]]; add one with name, kernel and command"},
        {"[[matrix]]\n", "f.toml:1:1: the target has no name; add name = \"...\""},
    };

    check_errors(cases, ARRAY_SIZE(cases), false);
}

static void what_is_wrong_with_exclude_is_said(void **state) {
    static const struct text_case cases[] = {
        {HEAD "a = ['x']\nexclude = { a = 'x' }",
         "f.toml:6:11: 'exclude' must be a list of tables, not a table; write [{ ... }]"},
        {HEAD "a = ['x']\nexclude = ['x']", "f.toml:6:12: 'exclude' must be a list of tables, but holds a string"},
        {HEAD "a = ['x']\nexclude = [{}]",
         "f.toml:6:12: 'exclude' has an empty table, which would leave out everything; name an axis in it"},
        {HEAD "a = ['x']\nexclude = [{ b = 'x' }]",
         "f.toml:6:14: 'exclude': 'b' is not an axis of this matrix; its axis is a"},
        {HEAD "a = ['x']\nvm.num_cpus = [1]\nexclude = [{ kernel = 'x' }]",
         "f.toml:7:14: 'exclude': 'kernel' is not an axis of this matrix; its axes are a, vm.num_cpus"},
        {"[[matrix]]\nname = 'n'\nexclude = [{ a = 'x' }]",
         "f.toml:3:14: 'exclude': 'a' is not an axis of this matrix; it has none"},
        {"[[matrix]]\nname = 'n'\nb = ['x']\nexclude = [{ b = 'x' }]",
         "f.toml:4:14: 'exclude': 'b' is not an axis of this matrix; it has none (f.toml:3:1: unknown key 'b' is ignored; "
         "to make it an axis, write {b} where it is wanted)"},
        {HEAD "a = ['x']\nexclude = [{ a = { b = 1 } }]",
         "f.toml:6:18: 'exclude': 'a' must be a pattern, a number, true or false, or a list of them, not a table"},
        {HEAD "a = ['x', 'y']\nexclude = [{ a = '?' }]",
         "f.toml:6:11: 'exclude' leaves nothing of this matrix; remove one of its tables or the matrix"},
    };

    check_errors(cases, ARRAY_SIZE(cases), false);
}

static void names_that_clash_are_refused(void **state) {
    static const struct text_case cases[] = {
        {"[[matrix]]\nname = 'n'\nkernel = ['k/vmlinuz-6.1', 'k/vmlinuz-6.2']\ncommand = 'c'",
         "f.toml:2:8: several combinations have the name 'n'; write {kernel.name} in it, which is 'vmlinuz-6.1' in one "
         "of them"},
        {HEAD "a = ['x']\n[[target]]\nname = 'x'\nkernel = 'k'\ncommand = 'c'",
         "f.toml:7:8: the name 'x' is taken by the target at f.toml:2:8; give each target its own"},
        {HEAD "a = ['x', 'y']\n[[matrix]]\nname = '{b}'\nkernel = 'k'\ncommand = 'c'\nb = ['z', 'y']",
         "f.toml:7:8: the name 'y' is taken by the target at f.toml:2:8; give each target its own"},
        {"[defaults]\nname = 'n'\nkernel = 'k'\ncommand = 'c'\n[[target]]\n[[target]]\n",
         "f.toml:2:8: several targets have the name 'n'; give each its own"},
    };

    check_errors(cases, ARRAY_SIZE(cases), false);
}

static void the_expansion_is_bounded(void **state) {
    _cleanup_buffer_ struct buffer text = {0};
    _cleanup_buffer_ struct buffer large = {0};

    /* Ten to the power of forty: nobody counts them. */
    buffer_append_string(&text, "[[matrix]]\nkernel = 'k'\ncommand = '");
    for (int i = 0; i < 40; i++)
        buffer_printf(&text, "{a%d}", i);
    buffer_append_string(&text, "'\n");
    for (int i = 0; i < 40; i++)
        buffer_printf(&text, "a%d = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]\n", i);

    buffer_append_string(&large, "[[matrix]]\nkernel = 'k'\nname = '{a}{b}{c}'\na = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]\n"
                                 "b = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]\nc = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]\n"
                                 "kernel_args = 'x'\ncommand = '");
    memset(buffer_reserve(&large, 1 << 20), '.', 1 << 20);
    large.size += 1 << 20;
    buffer_append_string(&large, "'\n");

    const struct text_case cases[] = {
        {text.data, "f.toml:1:1: the matrix has more than 100000 combinations; give its axes fewer values"},
        {large.data, "f.toml:8:11: all combinations together have more than 256 MiB of text; make the strings or the "
                     "axes shorter"},
    };
    check_errors(cases, ARRAY_SIZE(cases), false);
}

static void a_list_shows_names_and_what_chooses_them(void **state) {
    _cleanup_config_ struct config *config =
        parse("[[matrix]]\nname = '{kernel.name}: {a}'\nkernel = ['k/*/bzImage']\ncommand = '{a}{filter}{axes}'\n"
              "a = ['x+']\nfilter = ['f']\naxes = ['q']\nexclude = [{ kernel = ['5*', '*6.12/*'] }]\n"
              "[[target]]\nname = 'plain'\nimage = 'i'\ncommand = 'c'\n");
    _cleanup_free_ char *text = list_to_text(config);
    json_t *json = list_to_json(config);
    _cleanup_free_ char *dump = json_dumps(json, JSON_COMPACT);

    json_decref(json);
    assert_string_equal(text, "6.1: x+\nplain\n");
    assert_string_equal(dump, "{\"include\":[{\"name\":\"6.1: x+\",\"filter\":\"^6\\\\.1: x\\\\+$\","
                              "\"kernel\":\"/dir/k/6.1/bzImage\",\"a\":\"x+\",\"axes\":{"
                              "\"kernel\":{\"value\":\"/dir/k/6.1/bzImage\",\"label\":\"6.1\"},"
                              "\"a\":{\"value\":\"x+\",\"label\":\"x+\"},"
                              "\"filter\":{\"value\":\"f\",\"label\":\"f\"},"
                              "\"axes\":{\"value\":\"q\",\"label\":\"q\"}}},"
                              "{\"name\":\"plain\",\"filter\":\"^plain$\",\"image\":\"/dir/i\",\"axes\":{}}]}");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(combinations_come_in_the_order_of_the_file),
        cmocka_unit_test(only_placeholders_of_axes_are_replaced),
        cmocka_unit_test(a_plain_target_has_no_placeholders),
        cmocka_unit_test(what_was_put_in_is_not_replaced_again),
        cmocka_unit_test(every_kind_of_string_takes_placeholders),
        cmocka_unit_test(a_list_is_an_axis_where_a_scalar_is_wanted),
        cmocka_unit_test(an_axis_may_be_called_as_a_key),
        cmocka_unit_test(patterns_expand_to_versions_in_their_order),
        cmocka_unit_test(a_pattern_stands_for_itself_where_nothing_may_be_read),
        cmocka_unit_test(labels_are_as_short_as_tells_paths_apart),
        cmocka_unit_test(what_is_excluded_is_left_out),
        cmocka_unit_test(a_target_knows_its_axes),
        cmocka_unit_test(a_warning_is_given_once),
        cmocka_unit_test(what_is_wrong_with_an_axis_is_said),
        cmocka_unit_test(what_is_wrong_with_exclude_is_said),
        cmocka_unit_test(names_that_clash_are_refused),
        cmocka_unit_test(the_expansion_is_bounded),
        cmocka_unit_test(a_list_shows_names_and_what_chooses_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
