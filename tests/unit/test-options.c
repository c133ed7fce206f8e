/* SPDX-License-Identifier: Apache-2.0 */
/* The command line: what is understood, what is refused and how, and the target that a one-liner makes. */
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
    return options_parse(count, words, ret_options, ret_error);
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
    assert_null(options.kernel);
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

static void every_option_reaches_its_field(void **state) {
    _cleanup_options_ struct options options =
        parse_good("-k K --kargs quiet --kvm-cpu-args max -r R --rootfs-mode ro -a x86_64 -q Q --modules M "
                   "--accel=tcg --memory=1G --num-cpus=3 cmd");

    assert_string_equal(options.kernel, "K");
    assert_string_equal(options.kargs, "quiet");
    assert_string_equal(options.kvm_cpu_args, "max");
    assert_string_equal(options.rootfs, "R");
    assert_int_equal(options.rootfs_mode, ROOTFS_RO);
    assert_string_equal(options.arch, "x86_64");
    assert_string_equal(options.qemu_command, "Q");
    assert_string_equal(options.modules, "M");
    assert_int_equal(options.accel, ACCEL_CHOICE_TCG);
    assert_string_equal(options.memory, "1G");
    assert_int_equal(options.num_cpus, 3);

    _cleanup_options_ struct options more = parse_good("-k K --boot-timeout 90s --timeout 5m --kill-after 2s "
                                                       "--lost-after 3s --no-sandbox --format json --strict -f x cmd");
    assert_int_equal(more.boot_timeout, 90 * NSEC_PER_SEC);
    assert_int_equal(more.timeout, 300 * NSEC_PER_SEC);
    assert_int_equal(more.kill_after, 2 * NSEC_PER_SEC);
    assert_int_equal(more.lost_after, 3 * NSEC_PER_SEC);
    assert_true(more.no_sandbox);
    assert_int_equal(more.format, FORMAT_JSON);
    assert_true(more.strict);

    _cleanup_options_ struct options evidence =
        parse_good("-k K --run-timeout 1h --fail-on oops,kasan --dump --artifacts D cmd");
    assert_int_equal(evidence.run_timeout, 3600 * NSEC_PER_SEC);
    assert_int_equal(evidence.fail_on, FINDING_BIT(FINDING_OOPS) | FINDING_BIT(FINDING_KASAN));
    assert_true(evidence.dump);
    assert_string_equal(evidence.artifacts, "D");

    _cleanup_options_ struct options any = parse_good("-k K --fail-on warn,any cmd");
    assert_int_equal(any.fail_on, FINDING_MASK_ALL);
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
        assert_int_equal(options_parse(argc, (char *const *)cases[i].argv, &options, NULL), 0);
        again = options_again(&options, argc, (char *const *)cases[i].argv);
        assert_string_equal(again, cases[i].again);
    }
}

static void time_limits_go_with_a_file_too(void **state) {
    _cleanup_options_ struct options options = parse_good("-c F --timeout 1s --boot-timeout=2 --kill-after 1");

    assert_true(options.given[OPTION_TIMEOUT] && options.given[OPTION_BOOT_TIMEOUT]);
    assert_int_equal(options.timeout, NSEC_PER_SEC);
    assert_int_equal(options.boot_timeout, 2 * NSEC_PER_SEC);
    assert_int_equal(options.kill_after, NSEC_PER_SEC);
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
        assert_true(str_equal(options.kargs, cases[i].kargs));
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
    {"-k K ls -l", "unknown option '-l'; if it belongs to the command, put '--' in front of the command"},
    {"-k K ls --colour=never",
     "unknown option '--colour'; if it belongs to the command, put '--' in front of the command"},
    {"-k K prog --tim 3",
     "unknown option '--tim'; did you mean '--timeout'? if it belongs to the command, put '--' in front of the "
     "command"},
    {"-c", "option '--config' needs an argument: FILE"},
    {"--filter", "option '--filter' needs an argument: REGEX"},
    {"--quiet --verbose", "options '--quiet' and '--verbose' exclude each other"},
    {"--verbose --format json", "option '--verbose' is about what a person sees, and does not go with '--format json'"},
    {"--jobs 0", "option '--jobs': '0' is not a number from 1 to 100000"},
    {"--retries -1", "option '--retries': '-1' is not a number from 0 to 100000"},
    {"--shuffle=x", "option '--shuffle': 'x' is not a number from 0 to 18446744073709551615"},
    {"--report=", "option '--report' needs a KIND=FILE that is not empty"},
    {"ls -k", "option '--kernel' needs an argument: KERNEL"},
    {"--strict=yes", "option '--strict' takes no argument"},
    {"-c ''", "option '--config' needs a FILE that is not empty"},
    {"-k '' ls", "option '--kernel' needs a KERNEL that is not empty"},
    {"--format xml", "option '--format': 'xml' is not one of terminal|json"},
    {"--format ''", "option '--format': '' is not one of terminal|json"},
    {"-k K --accel hvf ls", "option '--accel': 'hvf' is not one of auto|kvm|tcg"},
    {"-k K --rootfs-mode r ls", "option '--rootfs-mode': 'r' is not one of overlay|ro|rw"},
    {"-k K --num-cpus 0 ls", "option '--num-cpus': '0' is not a number from 1 to 255"},
    {"-k K --num-cpus -1 ls", "option '--num-cpus': '-1' is not a number from 1 to 255"},
    {"-k K --num-cpus 2x ls", "option '--num-cpus': '2x' is not a number from 1 to 255"},
    {"-k K --num-cpus '' ls", "option '--num-cpus': '' is not a number from 1 to 255"},
    {"-k K --num-cpus 99999999999999999999 ls",
     "option '--num-cpus': '99999999999999999999' is not a number from 1 to 255"},
    {"-k K --timeout soon ls", "option '--timeout': 'soon' is not a duration*"},
    {"-k K --boot-timeout 0 ls", "option '--boot-timeout': '0' is no time at all*"},
    {"-k K --memory lots ls", "option '--memory': 'lots' is not an amount of memory*"},
    {"-k K --memory 1K ls", "option '--memory': '1K' is too little memory*"},
    {"-k K -i I ls", "options '--kernel' and '--image' exclude each other: boot one of the two"},
    {"-i I", "option '--image' needs a command to run: add one, or '-' for an interactive shell"},
    {"-i I -c F ls",
     "options '--image' and '--config' exclude each other: give the image and a command, or a file of targets"},
    {"-k K --share nfs ls", "option '--share': 'nfs' is not one of 9p|none"},
    {"--uefi", "option '--uefi' needs '-k KERNEL' or '-i IMAGE'; for the targets of a file, set the key 'uefi' there"},
    {"-k K -c F ls",
     "options '--kernel' and '--config' exclude each other: give the kernel and a command, or a file of targets"},
    {"-k K", "option '--kernel' needs a command to run: add one, or '-' for an interactive shell"},
    {"-k K --", "option '--kernel' needs a command to run: add one, or '-' for an interactive shell"},
    {"-k K ''", "the command is empty: give one, or '-' for an interactive shell"},
    {"-k K --format json -", "an interactive shell ('-') and '--format json' exclude each other"},
    {"uname -c F", "'uname' is a command's word, and a command needs '-k KERNEL' or '-i IMAGE', which is missing; '-f "
                   "REGEX' chooses among the targets of a file"},
    {"-- uname", "'uname' is a command's word, and a command needs '-k KERNEL' or '-i IMAGE', which is missing; '-f "
                 "REGEX' chooses among the targets of a file"},
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
        assert_null(options.kernel);
        if (begins ? strncmp(error_message(error), expected, length - 1) != 0
                   : strcmp(error_message(error), expected) != 0)
            fail_msg("%s: '%s' in place of '%s'", bad[i].line, error_message(error), expected);
    }
}

static void every_option_of_a_one_liner_needs_a_kernel_or_an_image(void **state) {
    for (size_t i = 0; i < OPTION_ID_COUNT; i++) {
        const struct option_row *row = &option_rows[i];
        _cleanup_free_ char *choice =
            xstrndup(row->values ? row->values : "", strcspn(row->values ? row->values : "", "|"));
        const char *value = row->type == OPTION_TYPE_CHOICE ? choice : row->type == OPTION_TYPE_FLAG ? "" : "128";

        if (row->group != GROUP_ONE_LINER || i == OPTION_KERNEL || i == OPTION_IMAGE)
            continue;
        _cleanup_free_ char *line = xasprintf("--%s %s", row->name, value);
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

static void help_names_every_option_within_80_columns(void **state) {
    _cleanup_free_ char *help = help_text();
    _cleanup_free_ char *roff = help_options_roff();

    for (size_t i = 0; i < OPTION_ID_COUNT; i++) {
        const struct option_row *row = &option_rows[i];
        _cleanup_free_ char *name =
            xasprintf("--%s%s%s", row->name, row->argument && row->argument[0] != '[' ? " " : "",
                      row->argument ? row->argument : "");

        assert_non_null(strstr(help, name));
        assert_true(str_has_suffix(row->help, ".") || str_has_suffix(row->help, ")."));
        assert_int_equal(row->argument == NULL, row->type == OPTION_TYPE_FLAG);
        assert_int_equal(row->values != NULL, row->type == OPTION_TYPE_CHOICE);
        assert_int_equal(row->key >= 0, row->group == GROUP_ONE_LINER || row->group == GROUP_EVERY);
    }
    for (const char *line = help; *line; line += strcspn(line, "\n") + 1)
        assert_in_range(strcspn(line, "\n"), 0, 80);
    assert_non_null(strstr(roff, "\\fB\\-k\\fR, \\fB\\-\\-kernel\\fR \\fIKERNEL\\fR\n"));
}

static void letters_and_names_are_unique(void **state) {
    for (size_t i = 0; i < OPTION_ID_COUNT; i++) {
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(option_rows[i].name, option_rows[j].name);
            assert_false(option_rows[i].letter && option_rows[i].letter == option_rows[j].letter);
        }
    }
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_command_line_says_nothing),
        cmocka_unit_test(short_and_long_options_mean_the_same),
        cmocka_unit_test(every_option_reaches_its_field),
        cmocka_unit_test(time_limits_go_with_a_file_too),
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
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
