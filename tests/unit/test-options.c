/* SPDX-License-Identifier: Apache-2.0 */
/* The command line: options, verbs and their help, errors, and the target that a one-liner makes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "cli/help.h"
#include "cli/options.h"
#include "config/config.h"
#include "console/findings.h"

#define MAX_WORDS 32

/* A command line as it would be typed, without quoting; words are separated by blanks, and an empty one is written ''.
 */
static int parse(const char *line, struct options *ret_options, struct error **ret_error) {
    _cleanup_free_ char *copy = xasprintf("vmtest %s", line);
    char *words[MAX_WORDS + 1] = {0};
    int count = 0;

    for (char *word = strtok(copy, " "); word; word = strtok(NULL, " ")) {
        assert_true(count < MAX_WORDS);
        words[count++] = strcmp(word, "''") == 0 ? word + 2 : word;
    }
    return options_parse(NULL, count, words, ret_options, ret_error);
}

static struct options parse_good(const char *line) {
    struct options options = {0};
    _cleanup_error_ struct error *error = NULL;

    if (parse(line, &options, &error) < 0)
        fail_msg("%s: %s", line, error_message(error));
    return options;
}

static struct target *target_of(const char *line) {
    _cleanup_options_ struct options options = parse_good(line);
    _cleanup_error_ struct error *error = NULL;
    struct target *target = NULL;

    if (options_to_target(&options, "/project", &target, &error) < 0)
        fail_msg("%s: %s", line, error_message(error));
    return target;
}

static void an_empty_command_line_says_nothing(void **state) {
    _cleanup_options_ struct options options = parse_good("");

    for (size_t i = 0; i < OPTION_ID_COUNT; i++)
        assert_false(options.given[i]);
    assert_null(options.config);
    for (size_t i = 0; i < config_key_count; i++)
        assert_null(options.keys[i]);
    assert_int_equal(options.format, FORMAT_TERMINAL);
    assert_int_equal(options.words.count, 0);
}

static void short_and_long_options_mean_the_same(void **state) {
    static const char *const lines[] = {
        "-c a.toml -f x",           "-ca.toml -fx", "--config a.toml --filter x", "--config=a.toml --filter=x",
        "-c b.toml -f x -c a.toml",
    };

    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        _cleanup_options_ struct options options = parse_good(lines[i]);

        assert_string_equal(options.config, "a.toml");
        assert_string_equal(options.filters.items[0], "x");
        assert_true(options.given[OPTION_CONFIG]);
        assert_false(options.given[OPTION_STRICT]);
    }
}

static void every_option_of_a_key_reaches_the_target(void **state) {
    _cleanup_target_ struct target *target =
        target_of("-k K --kargs quiet --kvm-cpu-args max -r R --rootfs-mode ro -a x86_64 -q Q --modules M "
                  "--accel=tcg --memory=1G --num-cpus=3 cmd");

    assert_string_equal(target->kernel, "/project/K");
    assert_string_equal(target->kernel_args, "quiet");
    assert_string_equal(target->kvm_cpu_args, "max");
    assert_string_equal(target->rootfs, "/project/R");
    assert_int_equal(target->rootfs_mode, ROOTFS_RO);
    assert_string_equal(target->arch, "x86_64");
    assert_string_equal(target->qemu_command, "Q");
    assert_string_equal(target->modules, "/project/M");
    assert_int_equal(target->accel, ACCEL_CHOICE_TCG);
    assert_string_equal(target->memory_text, "1G");
    assert_int_equal(target->num_cpus, 3);

    _cleanup_target_ struct target *limits =
        target_of("-k K --boot-timeout 90s --timeout 5m --kill-after 2s --lost-after 3s --run-timeout 1h --no-sandbox "
                  "--fail-on oops,kasan --dump --results tap cmd");
    assert_int_equal(limits->boot_timeout, 90 * NSEC_PER_SEC);
    assert_int_equal(limits->timeout, 300 * NSEC_PER_SEC);
    assert_int_equal(limits->kill_after, 2 * NSEC_PER_SEC);
    assert_int_equal(limits->lost_after, 3 * NSEC_PER_SEC);
    assert_int_equal(limits->run_timeout, 3600 * NSEC_PER_SEC);
    assert_int_equal(limits->fail_on, FINDING_BIT(FINDING_OOPS) | FINDING_BIT(FINDING_KASAN));
    assert_true(limits->dump && !limits->sandbox);
    assert_string_equal(limits->results, "tap");

    _cleanup_target_ struct target *any = target_of("-k K --fail-on warn,any cmd");
    assert_int_equal(any->fail_on, FINDING_MASK_ALL);
}

static void every_other_option_reaches_its_field(void **state) {
    _cleanup_options_ struct options options = parse_good("-k K --format json --strict -f x --artifacts D -j 3 cmd");

    assert_string_equal(options.keys[KEY_KERNEL], "K");
    assert_int_equal(options.format, FORMAT_JSON);
    assert_true(options.strict);
    assert_string_equal(options.artifacts, "D");
    assert_int_equal(options.jobs, 3);
}

static void what_is_run_again_is_the_line_or_a_choice_of_targets(void **state) {
    static const struct {
        const char *argv[8];
        const char *again;
    } cases[] = {
        {{"vmtest", "-k", "a b", "--", "sh", "-c", "x $y"}, "vmtest -k 'a b' -- sh -c 'x $y'"},
        {{"./vmtest", "-f", "x", "-c", "my file", "--format", "json"}, "./vmtest --config 'my file'"},
        {{"vmtest", "--artifacts=D", "--dump", "--timeout", "5m"}, "vmtest --timeout 5m --dump"},
        {{"vmtest"}, "vmtest"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_options_ struct options options = {0};
        _cleanup_free_ char *again = NULL;
        int argc = 0;

        while (argc < 8 && cases[i].argv[argc])
            argc++;
        assert_int_equal(options_parse(NULL, argc, (char *const *)cases[i].argv, &options, NULL), 0);
        again = options_again(&options, argc, (char *const *)cases[i].argv);
        assert_string_equal(again, cases[i].again);
    }
}

static void options_for_every_target_override_a_file(void **state) {
    _cleanup_options_ struct options options =
        parse_good("-c F --timeout 1s --boot-timeout=2 --kill-after 1 --no-template --results tap");
    _cleanup_target_ struct target *target = target_new();

    target->template = true;
    target->where[KEY_TEMPLATE] = xstrdup("f.toml:5:12");
    target->results = xstrdup("junit:x");
    assert_int_equal(options_apply(&options, "/project", target, NULL), 0);
    assert_int_equal(target->timeout, NSEC_PER_SEC);
    assert_int_equal(target->boot_timeout, 2 * NSEC_PER_SEC);
    assert_int_equal(target->kill_after, NSEC_PER_SEC);
    assert_int_equal(target_template_choice(target), TEMPLATE_OFF);
    assert_string_equal(target->where[KEY_TEMPLATE], "--no-template");
    assert_string_equal(target->results, "tap");
}

static void settings_are_named_as_the_user_writes_them(void **state) {
    static const struct {
        enum config_key key;
        const char *value;
        const char *on_line; /* in a one-liner */
        const char *in_file;
    } cases[] = {
        {KEY_MODULES, NULL, "--modules DIR", "modules = \"DIR\""},
        {KEY_SHARE, "none", "--share none", "share = \"none\""},
        {KEY_UEFI, NULL, "--uefi", "uefi = true"},
        {KEY_VM_NUM_CPUS, "3", "--num-cpus 3", "vm.num_cpus = 3"},
        {KEY_VM_EXTRA_ARGS, NULL, "vm.extra_args = \"ARGS\"", "vm.extra_args = \"ARGS\""},
    };
    _cleanup_target_ struct target *line = target_of("-k K cmd");
    _cleanup_target_ struct target *file = target_new();

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_free_ char *on_line = target_setting(line, cases[i].key, cases[i].value);
        _cleanup_free_ char *in_file = target_setting(file, cases[i].key, cases[i].value);

        assert_string_equal(on_line, cases[i].on_line);
        assert_string_equal(in_file, cases[i].in_file);
    }
    file->where[KEY_TIMEOUT] = xstrdup("--timeout"); /* which overrides the file */
    assert_string_equal(target_key_name(file, KEY_TIMEOUT), "--timeout");
    assert_string_equal(target_key_name(file, KEY_MODULES), "modules");
}

static void options_may_stand_anywhere_before_two_dashes(void **state) {
    static const struct {
        const char *line;
        size_t before;
        const char *words;
        const char *kargs;
    } cases[] = {
        {"-k K ls -- -l", 1, "ls -l", NULL},     {"ls -k K /tmp --kargs quiet", 2, "ls /tmp", "quiet"},
        {"ls /tmp -kK", 2, "ls /tmp", NULL},     {"-k K -- ls --kargs quiet", 0, "ls --kargs quiet", NULL},
        {"-k K -- ls -- x", 0, "ls -- x", NULL}, {"-k K ls - x", 3, "ls - x", NULL},
        {"-k K a '' b", 3, "a  b", NULL},        {"-k K --kargs -- cmd", 1, "cmd", "--"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_options_ struct options options = parse_good(cases[i].line);
        _cleanup_free_ char *words = strv_join(&options.words, " ");

        assert_string_equal(words, cases[i].words);
        assert_int_equal(options.n_words_before, cases[i].before);
        assert_true(str_equal(options.keys[KEY_KERNEL_ARGS], cases[i].kargs));
    }
}

static void help_and_version_end_the_checks(void **state) {
    static const char *const lines[] = {"-h", "--help", "--kargs x -h --nonsense", "-k K -h", "word --help -k"};

    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        _cleanup_options_ struct options options = parse_good(lines[i]);

        assert_true(options.help);
    }
    _cleanup_options_ struct options options = parse_good("-V");
    assert_true(options.version);
}

/* Everything that is refused, and what is said of it. */
static const struct {
    const char *line;
    const char *message;
} bad[] = {
    {"--kernal K", "unknown option '--kernal'; did you mean '--kernel'?"},
    {"--kern K ls", "unknown option '--kern'; did you mean '--kernel'?"},
    {"--kern=K ls", "unknown option '--kern'; did you mean '--kernel'?"},
    {"--mem 1G", "unknown option '--mem'; did you mean '--memory'?"},
    {"--something-else", "unknown option '--something-else'"},
    {"--st=''", "unknown option '--st'; did you mean '--strict'?"},
    {"-x", "unknown option '-x'"},
    {"-k K ls -l", "unknown option '-l'; if it belongs to the command, put '--' before the command"},
    {"-k K ls --colour=never", "unknown option '--colour'; if it belongs to the command, put '--' before the command"},
    {"-k K prog --tim 3",
     "unknown option '--tim'; did you mean '--timeout'? if it belongs to the command, put '--' before the "
     "command"},
    {"-c", "option '--config' needs an argument: FILE"},
    {"--filter", "option '--filter' needs an argument: REGEX"},
    {"--quiet --verbose", "options '--quiet' and '--verbose' exclude each other"},
    {"--verbose --format json", "options '--verbose' and '--format json' exclude each other"},
    {"--jobs 0", "option '--jobs': '0' is not a number from 1 to 100000"},
    {"--retries -1", "option '--retries': '-1' is not a number from 0 to 100000"},
    {"--shuffle=x", "option '--shuffle': 'x' is not a number from 0 to 18446744073709551615"},
    {"--report=", "option '--report' needs a KIND=FILE that is not empty"},
    {"ls -k", "option '--kernel' needs an argument: KERNEL"},
    {"--strict=yes", "option '--strict' takes no argument"},
    {"-c ''", "option '--config' needs a FILE that is not empty"},
    {"-k '' ls", "option '--kernel' is empty; give a path or remove it"},
    {"--format xml", "option '--format' is 'xml'; it must be terminal or json"},
    {"--format ''", "option '--format' is ''; it must be terminal or json"},
    {"-k K --accel hvf ls", "option '--accel' is 'hvf'; it must be auto, kvm or tcg"},
    {"-k K --rootfs-mode r ls", "option '--rootfs-mode' is 'r'; it must be overlay, ro or rw"},
    {"-k K --num-cpus 0 ls", "option '--num-cpus' is 0; it must be from 1 to 255"},
    {"-k K --num-cpus -1 ls", "option '--num-cpus': '-1' is not a number from 1 to 255"},
    {"-k K --num-cpus 2x ls", "option '--num-cpus': '2x' is not a number from 1 to 255"},
    {"-k K --num-cpus '' ls", "option '--num-cpus': '' is not a number from 1 to 255"},
    {"-k K --num-cpus 99999999999999999999 ls",
     "option '--num-cpus': '99999999999999999999' is not a number from 1 to 255"},
    {"-k K --timeout soon ls", "option '--timeout': 'soon' is not a duration*"},
    {"-k K --boot-timeout 0 ls", "option '--boot-timeout': '0' is zero*"},
    {"-k K --memory lots ls", "option '--memory': 'lots' is not an amount of memory*"},
    {"-k K --memory 1K ls", "option '--memory': '1K' is too little memory*"},
    {"-k K -q '' ls", "option '--qemu-command' is empty; remove it or give it a value"},
    {"-k K --results nose ls", "option '--results': there are no results 'nose'; write tap or junit:PATH"},
    {"-k K --fail-on warn,nose ls", "option '--fail-on': 'nose' is not a valid value (expected oops, *"},
    {"-k K --results tap -", "option '--results' needs a command, not an interactive shell"},
    {"-k K -i I ls", "options '--kernel' and '--image' exclude each other: boot one of the two"},
    {"-i I", "option '--image' needs a command to run: add one, or '-' for an interactive shell"},
    {"-i I -c F ls",
     "options '--image' and '--config' exclude each other: give the image and a command, or a file of targets"},
    {"-k K --share nfs ls", "option '--share' is 'nfs'; it must be 9p or none"},
    {"--uefi", "option '--uefi' needs '-k KERNEL' or '-i IMAGE'; for the targets of a file, set the key 'uefi' there"},
    {"-k K -c F ls",
     "options '--kernel' and '--config' exclude each other: give the kernel and a command, or a file of targets"},
    {"-k K", "option '--kernel' needs a command to run: add one, or '-' for an interactive shell"},
    {"-k K --", "option '--kernel' needs a command to run: add one, or '-' for an interactive shell"},
    {"-k K ''", "the command is empty: give one, or '-' for an interactive shell"},
    {"-k K --format json -", "an interactive shell ('-') and '--format json' exclude each other"},
    {"uname -c F", "no kernel or image for the command 'uname': add -k KERNEL or -i IMAGE; to choose among the targets "
                   "of a file, use -f REGEX"},
    {"-- uname", "no kernel or image for the command 'uname': *"},
    {"--kargs x",
     "option '--kargs' needs '-k KERNEL' or '-i IMAGE'; for the targets of a file, set the key 'kernel_args' there"},
    {"-r /",
     "option '--rootfs' needs '-k KERNEL' or '-i IMAGE'; for the targets of a file, set the key 'rootfs' there"},
    {"--num-cpus 3 ls",
     "option '--num-cpus' needs '-k KERNEL' or '-i IMAGE'; for the targets of a file, set the key 'vm.num_cpus' there"},
};

static void a_wrong_command_line_is_refused_with_its_reason(void **state) {
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        _cleanup_error_ struct error *error = NULL;
        struct options options = {0};
        const char *expected = bad[i].message;
        size_t length = strlen(expected);
        bool begins = str_has_suffix(expected, "*");

        assert_int_equal(parse(bad[i].line, &options, &error), -EINVAL);
        assert_null(options.keys[KEY_KERNEL]);
        if (begins ? strncmp(error_message(error), expected, length - 1) != 0
                   : strcmp(error_message(error), expected) != 0)
            fail_msg("%s: '%s' in place of '%s'", bad[i].line, error_message(error), expected);
    }
}

static void every_option_of_a_one_liner_needs_a_kernel_or_an_image(void **state) {
    for (enum config_key key = 0; key < config_key_count; key++) {
        const struct config_key_row *row = &config_keys[key];
        _cleanup_free_ char *choice =
            xstrndup(row->values ? row->values : "", strcspn(row->values ? row->values : "", "|"));
        const char *value = row->values ? choice : row->type == CONFIG_BOOL ? "" : "128";

        if (!row->option.name || row->option.every_target || key == KEY_KERNEL || key == KEY_IMAGE)
            continue;
        _cleanup_free_ char *line = xasprintf("%s %s", row->option.name, value);
        _cleanup_error_ struct error *error = NULL;
        struct options options = {0};

        assert_int_equal(parse(line, &options, &error), -EINVAL);
        assert_non_null(strstr(error_message(error), "needs '-k KERNEL' or '-i IMAGE'"));
    }
}

static void a_one_liner_becomes_a_target_with_defaults(void **state) {
    _cleanup_target_ struct target *target = target_of("-k boot/bzImage uname -- -r");
    _cleanup_target_ struct target *defaults = target_new();

    assert_true(target->one_liner);
    assert_string_equal(target->name, "bzImage");
    assert_string_equal(target->kernel, "/project/boot/bzImage");
    assert_string_equal(target->share, "/project");
    assert_string_equal(target->command, "uname -r");
    assert_string_equal(target->where[KEY_KERNEL], "--kernel");
    assert_null(target->where[KEY_ROOTFS]);
    assert_string_equal(target->rootfs, defaults->rootfs);
    assert_string_equal(target->arch, defaults->arch);
    assert_int_equal(target->memory, defaults->memory);
    assert_int_equal(target->num_cpus, defaults->num_cpus);
    assert_int_equal(target->rootfs_mode, ROOTFS_OVERLAY);
    assert_null(target->qemu_command);
}

static void an_image_one_liner_becomes_a_target(void **state) {
    _cleanup_target_ struct target *target = target_of("-i images/disk.qcow2 --uefi --bios fw.fd --image-format raw "
                                                       "--persist --share none -- uname -r");

    assert_true(target->one_liner);
    assert_string_equal(target->name, "disk.qcow2");
    assert_null(target->kernel);
    assert_string_equal(target->image, "/project/images/disk.qcow2");
    assert_string_equal(target->format, "raw");
    assert_string_equal(target->bios, "/project/fw.fd");
    assert_true(target->uefi);
    assert_true(target->persist);
    assert_int_equal(target->share_choice, SHARE_NONE);
    assert_string_equal(target->where[KEY_IMAGE], "--image");
    assert_string_equal(target->where[KEY_FORMAT], "--image-format");
    assert_int_equal(target_check(target, NULL), 0);
}

static void the_options_of_a_one_liner_reach_the_target(void **state) {
    _cleanup_target_ struct target *target =
        target_of("-k /k/vmlinux -r root -q ./qemu --modules m --memory 1G --num-cpus 7 --accel kvm --timeout 2 "
                  "true");

    assert_string_equal(target->kernel, "/k/vmlinux");
    assert_string_equal(target->rootfs, "/project/root");
    assert_string_equal(target->qemu_command, "/project/./qemu");
    assert_string_equal(target->modules, "/project/m");
    assert_int_equal(target->memory, UINT64_C(1) << 30);
    assert_string_equal(target->memory_text, "1G");
    assert_int_equal(target->num_cpus, 7);
    assert_int_equal(target->accel, ACCEL_CHOICE_KVM);
    assert_int_equal(target->timeout, 2 * NSEC_PER_SEC);
    assert_string_equal(target->where[KEY_VM_NUM_CPUS], "--num-cpus");

    _cleanup_target_ struct target *by_name = target_of("-k K -q qemu-kvm true");
    assert_string_equal(by_name->qemu_command, "qemu-kvm");
}

static void kernel_arguments_set_the_mode_of_the_root(void **state) {
    static const struct {
        const char *line;
        enum rootfs_mode mode;
    } cases[] = {
        {"-k K --kargs quiet true", ROOTFS_OVERLAY},   {"-k K --kargs ro true", ROOTFS_RO},
        {"-k K --kargs=rw true", ROOTFS_RW},           {"-k K --kargs row true", ROOTFS_OVERLAY},
        {"-k K --rootfs-mode rw true", ROOTFS_RW},     {"-k K --rootfs-mode rw --kargs rw true", ROOTFS_RW},
        {"-k K --kargs root=rw true", ROOTFS_OVERLAY},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_target_ struct target *target = target_of(cases[i].line);

        assert_int_equal(target->rootfs_mode, cases[i].mode);
    }
}

static void the_words_become_a_command_an_argument_vector_or_a_shell(void **state) {
    static const struct {
        const char *line;
        const char *command;
        const char *argv; /* joined by '|' */
        bool interactive;
    } cases[] = {
        {"-k K a b c", "a b c", "", false},      {"-k K a -- b c", "a b c", "", false},
        {"-k K -- a", "a", "", false},           {"-k K -- a b", NULL, "a|b", false},
        {"-k K -- a '' b", NULL, "a||b", false}, {"-k K -", NULL, "", true},
        {"-k K -- -", NULL, "", true},           {"-k K - a", "- a", "", false},
        {"-k K -- - a", NULL, "-|a", false},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_target_ struct target *target = target_of(cases[i].line);
        _cleanup_free_ char *argv = strv_join(&target->argv, "|");

        assert_true(str_equal(target->command, cases[i].command));
        assert_string_equal(argv, cases[i].argv);
        assert_int_equal(target->interactive, cases[i].interactive);
    }
}

static void an_option_that_may_be_repeated_keeps_all(void **state) {
    _cleanup_options_ struct options options = parse_good("-f x --exclude=a -f y --report tap=t --report github");

    assert_int_equal(options.filters.count, 2);
    assert_string_equal(options.filters.items[1], "y");
    assert_int_equal(options.excludes.count, 1);
    assert_int_equal(options.reports.count, 2);
    assert_string_equal(options.reports.items[0], "tap=t");
}

static void an_optional_argument_stands_behind_an_equals_sign(void **state) {
    _cleanup_options_ struct options without = parse_good("--shuffle");
    _cleanup_options_ struct options with = parse_good("--shuffle=18446744073709551615");

    assert_true(without.given[OPTION_SHUFFLE] && !without.text[OPTION_SHUFFLE]);
    assert_string_equal(with.text[OPTION_SHUFFLE], "18446744073709551615");
    assert_true(with.seed == UINT64_MAX);

    _cleanup_options_ struct options last = parse_good("--shuffle=5 --shuffle");
    assert_null(last.text[OPTION_SHUFFLE]);
}

static void check_width(const char *text) {
    for (const char *line = text; *line; line += strcspn(line, "\n") + 1)
        assert_in_range(strcspn(line, "\n"), 0, 80);
}

static void help_names_every_option_within_80_columns(void **state) {
    _cleanup_free_ char *help = help_text(NULL);
    _cleanup_free_ char *roff = help_options_roff();
    struct option_info info;

    for (size_t i = 0; i < OPTIONS_MAX; i++) {
        if (!option_describe(i, &info))
            continue;
        _cleanup_free_ char *name = xasprintf("%s%s%s", info.name, info.argument && info.argument[0] != '[' ? " " : "",
                                              info.argument ? info.argument : "");

        assert_non_null(strstr(help, name));
        assert_true(str_has_suffix(info.help, "."));
        assert_true(!info.values || info.argument);
    }
    check_width(help);
    assert_non_null(strstr(help, "(default: 4G).\n"));
    assert_non_null(strstr(roff, "\\fB\\-k\\fR, \\fB\\-\\-kernel\\fR \\fIKERNEL\\fR\n"));
}

static void letters_and_names_are_unique(void **state) {
    struct option_info one;
    struct option_info other;

    for (size_t i = 0; i < OPTIONS_MAX; i++) {
        for (size_t j = 0; j < i && option_describe(i, &one); j++) {
            if (!option_describe(j, &other))
                continue;
            assert_string_not_equal(one.name, other.name);
            assert_false(one.letter && one.letter == other.letter);
        }
    }
}

/* The words of a verb's command line, split at blanks. */
static int parse_verb(const char *line, const struct verb **ret_verb, struct options *ret_options,
                      struct error **ret_error) {
    _cleanup_free_ char *copy = xstrdup(line);
    char *words[MAX_WORDS + 1] = {0};
    size_t count = 0;
    size_t used = 0;

    for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
        words[count++] = strcmp(word, "''") == 0 ? word + 2 : word;
    *ret_verb = verb_find(words, count, &used);
    assert_non_null(*ret_verb);
    return options_parse(*ret_verb, (int)(count - used + 1), words + used - 1, ret_options, ret_error);
}

static void a_verb_is_the_longest_name_that_begins_the_line(void **state) {
    static const struct {
        const char *line;
        const char *name;
        const char *words;
        bool help;
    } cases[] = {
        {"list -f x", "list", "", false},
        {"list --help", "list", "", true},
        {"list -h --nonsense", "list", "", true},
        {"cache -h", "cache", "", true},
        {"cache list --format json", "cache list", "", false},
        {"cache list --help", "cache list", "", true},
        {"cache clear x --help", "cache clear", "x", true},
        {"cache clear -- --format", "cache clear", "--format", false},
        {"merge a --report=tap=t b", "merge", "a b", false},
        {"merge --help", "merge", "", true},
        {"help cache list", "help", "cache list", false},
        {"help", "help", "", false},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_options_ struct options options = {0};
        _cleanup_error_ struct error *error = NULL;
        const struct verb *verb;

        if (parse_verb(cases[i].line, &verb, &options, &error) < 0)
            fail_msg("%s: %s", cases[i].line, error_message(error));
        _cleanup_free_ char *words = strv_join(&options.words, " ");
        assert_string_equal(verb->name, cases[i].name);
        assert_string_equal(words, cases[i].words);
        assert_int_equal(options.help, cases[i].help);
    }
}

static void a_wrong_command_line_of_a_verb_is_refused(void **state) {
    static const struct {
        const char *line;
        const char *message;
    } cases[] = {
        {"list x", "list: unexpected argument 'x'; usage: vmtest list [OPTION]..."},
        {"list -k K", "list: --kernel does not go with the targets of a file; remove it"},
        {"list --strct", "list: unknown option '--strct'; did you mean '--strict'?"},
        {"cache", "cache: a verb is missing; give one of list, clear, path, verify"},
        {"cache lst", "cache: there is no verb 'lst'; give one of list, clear, path, verify"},
        {"cache list x", "cache list: unexpected argument 'x'; usage: vmtest cache list [--format json]"},
        {"cache list --format", "cache list: option '--format' needs an argument: FORMAT"},
        {"cache list --format xml", "cache list: option '--format' is 'xml'; it must be terminal or json"},
        {"cache list --memory 1G", "cache list: unknown option '--memory'"},
        {"cache clear -f", "cache clear: unknown option '-f'"},
        {"cache clear a b", "cache clear: unexpected argument 'b'; usage: vmtest cache clear [NAME]"},
        {"cache clear ''", "cache clear: an argument is empty; usage: vmtest cache clear [NAME]"},
        {"cache path --x", "cache path: unknown option '--x'"},
        {"merge", "merge: an argument is missing; usage: vmtest merge DIR... [--report KIND=FILE]..."},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_error_ struct error *error = NULL;
        struct options options = {0};
        const struct verb *verb;

        assert_int_equal(parse_verb(cases[i].line, &verb, &options, &error), -EINVAL);
        assert_string_equal(error_message(error), cases[i].message);
    }
}

static void each_verb_has_its_help(void **state) {
    _cleanup_free_ char *all = help_text(NULL);
    _cleanup_free_ char *roff = help_verbs_roff();

    for (size_t i = 0; i < n_verbs; i++) {
        const struct verb *verb = &verbs[i];
        _cleanup_free_ char *help = help_text(verb);
        _cleanup_free_ char *usage = xasprintf("Usage: vmtest %s", verb->name);
        _cleanup_free_ char *entry = xasprintf("\n  %s", verb->name);

        assert_non_null(str_skip_prefix(help, usage));
        assert_non_null(strstr(help, "-h, --help"));
        check_width(help);
        assert_true(!verb->run || strstr(all, entry));
        assert_true(!verb->run || strstr(roff, verb->name));
        assert_true(str_has_suffix(verb->summary, "."));
    }
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_command_line_says_nothing),
        cmocka_unit_test(short_and_long_options_mean_the_same),
        cmocka_unit_test(every_option_of_a_key_reaches_the_target),
        cmocka_unit_test(every_other_option_reaches_its_field),
        cmocka_unit_test(options_for_every_target_override_a_file),
        cmocka_unit_test(settings_are_named_as_the_user_writes_them),
        cmocka_unit_test(what_is_run_again_is_the_line_or_a_choice_of_targets),
        cmocka_unit_test(options_may_stand_anywhere_before_two_dashes),
        cmocka_unit_test(help_and_version_end_the_checks),
        cmocka_unit_test(a_wrong_command_line_is_refused_with_its_reason),
        cmocka_unit_test(every_option_of_a_one_liner_needs_a_kernel_or_an_image),
        cmocka_unit_test(a_one_liner_becomes_a_target_with_defaults),
        cmocka_unit_test(an_image_one_liner_becomes_a_target),
        cmocka_unit_test(the_options_of_a_one_liner_reach_the_target),
        cmocka_unit_test(kernel_arguments_set_the_mode_of_the_root),
        cmocka_unit_test(the_words_become_a_command_an_argument_vector_or_a_shell),
        cmocka_unit_test(an_option_that_may_be_repeated_keeps_all),
        cmocka_unit_test(an_optional_argument_stands_behind_an_equals_sign),
        cmocka_unit_test(help_names_every_option_within_80_columns),
        cmocka_unit_test(letters_and_names_are_unique),
        cmocka_unit_test(a_verb_is_the_longest_name_that_begins_the_line),
        cmocka_unit_test(a_wrong_command_line_of_a_verb_is_refused),
        cmocka_unit_test(each_verb_has_its_help),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
