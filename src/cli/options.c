/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line: the table of options, its parser around getopt_long(), the checks, and the target that a one-liner
 * describes. getopt_long() runs in its "return in order" mode: the command's words come as they stand, so that options
 * may follow them, and what lies behind `--` is told from what lies before it.
 */
#include "cli/options.h"

#include <assert.h>
#include <getopt.h>
#include <inttypes.h>

#include "base/file.h"
#include "config/config.h"

/* getopt_long() gives a letter for a short option; a row's long option gives this plus its id. */
#define LONG_BASE 256
#define GETOPT_WORD 1

#define FIELD(field) offsetof(struct options, field)

/* clang-format off */
const struct option_row option_rows[OPTION_ID_COUNT] = {
    [OPTION_CONFIG] = {"config", 'c', "FILE", OPTION_TYPE_PATH, GROUP_CONFIG, FIELD(config), NULL, NO_KEY,
        "Run the targets of FILE in place of vmtest.toml in the current directory."},
    [OPTION_FILTER] = {"filter", 'f', "REGEX", OPTION_TYPE_LIST, GROUP_CONFIG, FIELD(filters), NULL, NO_KEY,
        "Run only the targets whose name matches the regular expression REGEX (PCRE2, found anywhere in the name). Given "
        "several times, a target is run if one of them matches."},
    [OPTION_EXCLUDE] = {"exclude", '\0', "REGEX", OPTION_TYPE_LIST, GROUP_CONFIG, FIELD(excludes), NULL, NO_KEY,
        "Leave out the targets whose name matches REGEX, whatever --filter says. May be given several times."},
    [OPTION_FAILED] = {"failed", '\0', NULL, OPTION_TYPE_FLAG, GROUP_CONFIG, FIELD(failed), NULL, NO_KEY,
        "Run only the targets that did not pass the last time."},
    [OPTION_STRICT] = {"strict", '\0', NULL, OPTION_TYPE_FLAG, GROUP_CONFIG, FIELD(strict), NULL, NO_KEY,
        "Make every warning about the file an error, such as a key that is not known."},
    [OPTION_KERNEL] = {"kernel", 'k', "KERNEL", OPTION_TYPE_PATH, GROUP_ONE_LINER, FIELD(kernel), NULL, KEY_KERNEL,
        "Boot KERNEL (a bzImage or a vmlinux) and run COMMAND in it. No file is read, and --filter is not applied."},
    [OPTION_IMAGE] = {"image", 'i', "IMAGE", OPTION_TYPE_PATH, GROUP_ONE_LINER, FIELD(image), NULL, KEY_IMAGE,
        "Boot the disk image IMAGE and run COMMAND in it. What the guest writes to it is thrown away. No file is read, "
        "and --filter is not applied."},
    [OPTION_IMAGE_FORMAT] = {"image-format", '\0', "FORMAT", OPTION_TYPE_STRING, GROUP_ONE_LINER, FIELD(image_format),
        NULL, KEY_FORMAT,
        "The format of IMAGE, such as raw or qcow2 (default: found out)."},
    [OPTION_UEFI] = {"uefi", '\0', NULL, OPTION_TYPE_FLAG, GROUP_ONE_LINER, FIELD(uefi), NULL, KEY_UEFI,
        "Boot IMAGE with UEFI firmware in place of a BIOS."},
    [OPTION_BIOS] = {"bios", '\0', "FILE", OPTION_TYPE_PATH, GROUP_ONE_LINER, FIELD(bios), NULL, KEY_VM_BIOS,
        "The UEFI firmware to use (default: the one that QEMU's firmware descriptors name)."},
    [OPTION_PERSIST] = {"persist", '\0', NULL, OPTION_TYPE_FLAG, GROUP_ONE_LINER, FIELD(persist), NULL, KEY_PERSIST,
        "Write to IMAGE itself, and shut the guest down at the end."},
    [OPTION_KARGS] = {"kargs", '\0', "ARGS", OPTION_TYPE_STRING, GROUP_ONE_LINER, FIELD(kargs), NULL, KEY_KERNEL_ARGS,
        "Append ARGS to the kernel's command line. A bare ro or rw among them sets the root's mode."},
    [OPTION_KVM_CPU_ARGS] = {"kvm-cpu-args", '\0', "ARGS", OPTION_TYPE_STRING, GROUP_ONE_LINER, FIELD(kvm_cpu_args),
        NULL, KEY_KVM_CPU_ARGS,
        "The CPU model, as QEMU's -cpu takes it, where KVM is used (default: host)."},
    [OPTION_ROOTFS] = {"rootfs", 'r', "DIR", OPTION_TYPE_PATH, GROUP_ONE_LINER, FIELD(rootfs), NULL, KEY_ROOTFS,
        "Use the directory DIR as the guest's root (default: /, the host's own)."},
    [OPTION_ROOTFS_MODE] = {"rootfs-mode", '\0', "MODE", OPTION_TYPE_CHOICE, GROUP_ONE_LINER, FIELD(rootfs_mode),
        "overlay|ro|rw", KEY_ROOTFS_MODE,
        "How the guest may write to its root: into memory only, not at all, or through to the directory itself "
        "(default: overlay)."},
    [OPTION_ARCH] = {"arch", 'a', "ARCH", OPTION_TYPE_STRING, GROUP_ONE_LINER, FIELD(arch), NULL, KEY_ARCH,
        "The machine's architecture (default and only choice: the one that vmtest was built for)."},
    [OPTION_QEMU_COMMAND] = {"qemu-command", 'q', "QEMU", OPTION_TYPE_PATH, GROUP_ONE_LINER, FIELD(qemu_command), NULL,
        KEY_QEMU_COMMAND,
        "The QEMU to run, a path or a name that is looked up in PATH (default: qemu-system-ARCH)."},
    [OPTION_MODULES] = {"modules", '\0', "DIR", OPTION_TYPE_PATH, GROUP_ONE_LINER, FIELD(modules), NULL, KEY_MODULES,
        "The directory that holds the kernel's modules (default: looked for beside the kernel, then in /lib/modules)."},
    [OPTION_SHARE] = {"share", '\0', "HOW", OPTION_TYPE_CHOICE, GROUP_ONE_LINER, FIELD(share), SHARE_VALUES, KEY_SHARE,
        "How the guest sees the current directory: over 9p, or not at all (default: 9p). none goes with an image only."},
    [OPTION_ACCEL] = {"accel", '\0', "ACCEL", OPTION_TYPE_CHOICE, GROUP_ONE_LINER, FIELD(accel), "auto|kvm|tcg",
        KEY_ACCEL,
        "Use KVM when it works, insist on it, or emulate (default: auto)."},
    [OPTION_MEMORY] = {"memory", '\0', "SIZE", OPTION_TYPE_MEMORY, GROUP_ONE_LINER, FIELD(memory), NULL, KEY_VM_MEMORY,
        "The guest's memory, as QEMU's -m takes it: a number and K, M, G or T (default: 4G)."},
    [OPTION_NUM_CPUS] = {"num-cpus", '\0', "N", OPTION_TYPE_CPUS, GROUP_ONE_LINER, FIELD(num_cpus), NULL,
        KEY_VM_NUM_CPUS,
        "The number of the guest's processors (default: 2)."},
    [OPTION_NO_TEMPLATE] = {"no-template", '\0', NULL, OPTION_TYPE_FLAG, GROUP_EVERY, FIELD(no_template), NULL,
        KEY_TEMPLATE,
        "Boot cold: clone no machine from a template, and make none."},
    [OPTION_BOOT_TIMEOUT] = {"boot-timeout", '\0', "TIME", OPTION_TYPE_DURATION, GROUP_EVERY, FIELD(boot_timeout),
        NULL, KEY_BOOT_TIMEOUT,
        "How long the boot may take, such as 90s or 5m, whatever the file says (default: 60s with KVM, 300s emulated; for an "
        "image twice as long)."},
    [OPTION_TIMEOUT] = {"timeout", '\0', "TIME", OPTION_TYPE_DURATION, GROUP_EVERY, FIELD(timeout), NULL,
        KEY_TIMEOUT,
        "How long the command may take, such as 90s or 5m, whatever the file says (default: as long as it wants)."},
    [OPTION_KILL_AFTER] = {"kill-after", '\0', "TIME", OPTION_TYPE_DURATION, GROUP_EVERY, FIELD(kill_after), NULL,
        KEY_KILL_AFTER,
        "How long a command whose time is up has to end after SIGTERM, before SIGKILL, whatever the file says (default: 5s)."},
    [OPTION_RUN_TIMEOUT] = {"run-timeout", '\0', "TIME", OPTION_TYPE_DURATION, GROUP_EVERY, FIELD(run_timeout), NULL,
        KEY_RUN_TIMEOUT,
        "How long the whole run of a target may take, such as 90s or 5m, whatever the file says (default: as long as "
        "the boot and the command may)."},
    [OPTION_FAIL_ON] = {"fail-on", '\0', "KINDS", OPTION_TYPE_SET, GROUP_EVERY, FIELD(fail_on), NULL, KEY_FAIL_ON,
        "Fail where the guest's kernel reports one of KINDS on its console, such as oops,warn, though the command passes; any "
        "stands for all of them. Whatever the file says."},
    [OPTION_RESULTS] = {"results", '\0', "KIND", OPTION_TYPE_STRING, GROUP_EVERY, FIELD(results), NULL, KEY_RESULTS,
        "Tell the results of the command's own tests, and fail where one of them failed: tap reads TAP or KTAP from its standard "
        "output, junit:PATH the JUnit file that it leaves in the guest. Whatever the file says."},
    [OPTION_DUMP] = {"dump", '\0', NULL, OPTION_TYPE_FLAG, GROUP_EVERY, FIELD(dump), NULL, KEY_DUMP,
        "Keep the guest's memory where it panicked or its time was up, in the directory of --artifacts."},
    [OPTION_LOST_AFTER] = {"lost-after", '\0', "TIME", OPTION_TYPE_DURATION, GROUP_EVERY, FIELD(lost_after), NULL,
        KEY_LOST_AFTER,
        "How long the guest may leave the question unanswered whether it is alive, whatever the file says (default: 60s with KVM, 300s emulated)."},
    [OPTION_NO_SANDBOX] = {"no-sandbox", '\0', NULL, OPTION_TYPE_FLAG, GROUP_EVERY, FIELD(no_sandbox), NULL, KEY_SANDBOX,
        "Do not confine QEMU, whatever the file says: for a QEMU that was built without its filter for system calls, or that "
        "needs other files than the run's."},
    [OPTION_JOBS] = {"jobs", 'j', "N", OPTION_TYPE_POSITIVE, GROUP_MANY, FIELD(jobs), NULL, NO_KEY,
        "Run at most N targets at once, as far as the host's memory allows (default: as many as there are memory and "
        "processors for)."},
    [OPTION_FAIL_FAST] = {"fail-fast", '\0', NULL, OPTION_TYPE_FLAG, GROUP_MANY, FIELD(fail_fast), NULL, NO_KEY,
        "Start no further target once one has not passed; those that run are let finish."},
    [OPTION_RETRIES] = {"retries", '\0', "N", OPTION_TYPE_COUNT, GROUP_MANY, FIELD(retries), NULL, NO_KEY,
        "Try a target that does not pass up to N times more. One that passes then is reported as flaky (default: 0)."},
    [OPTION_FLAKY_FAILS] = {"flaky-fails", '\0', NULL, OPTION_TYPE_FLAG, GROUP_MANY, FIELD(flaky_fails), NULL, NO_KEY,
        "Fail a target that passes at a further attempt only."},
    [OPTION_REPEAT] = {"repeat", '\0', "N", OPTION_TYPE_POSITIVE, GROUP_MANY, FIELD(repeat), NULL, NO_KEY,
        "Run each target N times (default: 1)."},
    [OPTION_SHUFFLE] = {"shuffle", '\0', "[=SEED]", OPTION_TYPE_SEED, GROUP_MANY, FIELD(seed), NULL, NO_KEY,
        "Start the targets in random order. SEED, a number, gives the order of an earlier run again."},
    [OPTION_SHARD] = {"shard", '\0', "I/N", OPTION_TYPE_STRING, GROUP_MANY, FIELD(shard), NULL, NO_KEY,
        "Run only part I, from 1, of the N parts that the list of targets is split into. auto takes both numbers from "
        "the environment of the CI system or cluster, auto/N only the first."},
    [OPTION_TIMINGS] = {"timings", '\0', "FILE", OPTION_TYPE_PATH, GROUP_MANY, FIELD(timings), NULL, NO_KEY,
        "Split by the durations in FILE, a JSON report of an earlier run, in place of by name. All shards have to be given the same."},
    [OPTION_ARTIFACTS] = {"artifacts", '\0', "DIR", OPTION_TYPE_PATH, GROUP_OUTPUT, FIELD(artifacts), NULL, NO_KEY,
        "Keep the console, the output and what else explains a verdict in DIR, in a directory for each target."},
    [OPTION_REPORT] = {"report", '\0', "KIND=FILE", OPTION_TYPE_LIST, GROUP_OUTPUT, FIELD(reports), NULL, NO_KEY,
        "Write a report to FILE: junit, tap, json, markdown or html. github needs no FILE: it annotates a run of GitHub "
        "Actions. May be given several times."},
    [OPTION_QUIET] = {"quiet", '\0', NULL, OPTION_TYPE_FLAG, GROUP_OUTPUT, FIELD(quiet), NULL, NO_KEY,
        "Show only the targets that do not pass, and the summary."},
    [OPTION_VERBOSE] = {"verbose", '\0', NULL, OPTION_TYPE_FLAG, GROUP_OUTPUT, FIELD(verbose), NULL, NO_KEY,
        "Show everything as it comes, each line with its target's name in front."},
    [OPTION_FORMAT] = {"format", '\0', "FORMAT", OPTION_TYPE_CHOICE, GROUP_OUTPUT, FIELD(format), "terminal|json",
        NO_KEY,
        "Show the run to a person, or print one JSON object a line for each event (default: terminal)."},
    [OPTION_HELP] = {"help", 'h', NULL, OPTION_TYPE_FLAG, GROUP_GENERAL, FIELD(help), NULL, NO_KEY,
        "Show this help and exit."},
    [OPTION_VERSION] = {"version", 'V', NULL, OPTION_TYPE_FLAG, GROUP_GENERAL, FIELD(version), NULL, NO_KEY,
        "Show the version and exit."},
};
/* clang-format on */

void options_deinit(struct options *options) {
    for (size_t i = 0; i < OPTION_ID_COUNT; i++) {
        const struct option_row *row = &option_rows[i];

        if (row->type == OPTION_TYPE_STRING || row->type == OPTION_TYPE_PATH || row->type == OPTION_TYPE_MEMORY)
            free(*(char **)((char *)options + row->offset));
        if (row->type == OPTION_TYPE_LIST)
            strv_deinit((struct strv *)(void *)((char *)options + row->offset));
    }
    for (size_t i = 0; i < OPTION_ID_COUNT; i++)
        free(options->text[i]);
    strv_deinit(&options->words);
    *options = (struct options){0};
}

/* The row of what getopt_long() returned or left in optopt, or NULL. */
static const struct option_row *row_of_value(int value) {
    for (size_t i = 0; i < OPTION_ID_COUNT; i++) {
        if (value == LONG_BASE + (int)i || (value != '\0' && value == option_rows[i].letter))
            return &option_rows[i];
    }
    return NULL;
}

static int choice_parse(const struct option_row *row, const char *text, int *ret_index, struct error **ret_error) {
    size_t length = strlen(text);
    int index = 0;

    for (const char *value = row->values; value; index++) {
        size_t value_length = strcspn(value, "|");

        if (value_length == length && memcmp(value, text, length) == 0) {
            *ret_index = index;
            return 0;
        }
        value = value[value_length] == '|' ? value + value_length + 1 : NULL;
    }
    return error_new(ret_error, EINVAL, "option '--%s': '%s' is not one of %s", row->name, text, row->values);
}

static int cpus_parse(const struct option_row *row, const char *text, unsigned *ret_cpus, struct error **ret_error) {
    const struct config_key_row *key = &config_keys[KEY_VM_NUM_CPUS];
    char *end;

    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (errno != 0 || text[0] < '0' || text[0] > '9' || *end != '\0' || number < key->minimum || number > key->maximum)
        return error_new(ret_error, EINVAL, "option '--%s': '%s' is not a number from %lld to %lld", row->name, text,
                         key->minimum, key->maximum);
    *ret_cpus = (unsigned)number;
    return 0;
}

static int number_parse(const struct option_row *row, const char *text, uint64_t minimum, uint64_t maximum,
                        uint64_t *ret_number, struct error **ret_error) {
    char *end;

    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (errno != 0 || text[0] < '0' || text[0] > '9' || *end != '\0' || number < minimum || number > maximum)
        return error_new(ret_error, EINVAL, "option '--%s': '%s' is not a number from %" PRIu64 " to %" PRIu64,
                         row->name, text, minimum, maximum);
    *ret_number = number;
    return 0;
}

/* Names with commas between them. */
static int set_parse(const struct option_row *row, const char *text, unsigned *bits, struct error **ret_error) {
    _cleanup_free_ char *copy = xstrdup(text);
    char *rest = copy;
    char *name;
    int r = 0;

    *bits = 0;
    while (r == 0 && (name = strsep(&rest, ",")) != NULL)
        r = config_set_add(&config_keys[row->key], name, bits, ret_error);
    return r;
}

static void set_string(void *field, const char *text) {
    char **string = field;

    free(*string);
    *string = text ? xstrdup(text) : NULL;
}

/* Gives an option its value; one that is given twice keeps the last one. */
static int option_set(struct options *options, const struct option_row *row, const char *text,
                      struct error **ret_error) {
    void *field = (char *)options + row->offset;
    const char *value = text ? text : "";
    uint64_t number = 0;
    uint64_t bytes;
    int r = 0;

    options->given[row - option_rows] = true;
    if (row->type == OPTION_TYPE_SEED || (row->type != OPTION_TYPE_FLAG && text))
        set_string(&options->text[row - option_rows], text);
    switch (row->type) {
    case OPTION_TYPE_FLAG:
        *(bool *)field = true;
        return 0;
    case OPTION_TYPE_PATH:
        if (str_empty(text))
            return error_new(ret_error, EINVAL, "option '--%s' needs a %s that is not empty", row->name, row->argument);
        set_string(field, text);
        return 0;
    case OPTION_TYPE_STRING:
        set_string(field, text);
        return 0;
    case OPTION_TYPE_CHOICE:
        return choice_parse(row, value, field, ret_error);
    case OPTION_TYPE_CPUS:
        return cpus_parse(row, value, field, ret_error);
    case OPTION_TYPE_COUNT:
    case OPTION_TYPE_POSITIVE:
        r = number_parse(row, value, row->type == OPTION_TYPE_POSITIVE, OPTION_COUNT_MAX, &number, ret_error);
        if (r == 0)
            *(unsigned *)field = (unsigned)number;
        return r;
    case OPTION_TYPE_SEED:
        return text ? number_parse(row, text, 0, UINT64_MAX, field, ret_error) : 0;
    case OPTION_TYPE_LIST:
        if (str_empty(text))
            return error_new(ret_error, EINVAL, "option '--%s' needs a %s that is not empty", row->name, row->argument);
        strv_append(field, text);
        return 0;
    case OPTION_TYPE_SET:
        r = set_parse(row, text, field, ret_error);
        break;
    case OPTION_TYPE_DURATION:
        r = config_parse_duration(text, field, ret_error);
        break;
    case OPTION_TYPE_MEMORY:
        r = config_parse_memory(text, &bytes, ret_error);
        if (r == 0)
            set_string(field, text);
        break;
    }
    if (r < 0) {
        error_context(ret_error, "option '--%s'", row->name);
        return -EINVAL;
    }
    return 0;
}

/* The long option that `name` is most likely meant to be: the one it begins, else the nearest. May be NULL. */
static const char *nearest_option(const char *name) {
    const char *names[OPTION_ID_COUNT + 1] = {0};

    for (size_t i = 0; i < OPTION_ID_COUNT; i++) {
        names[i] = option_rows[i].name;
        if (name[0] != '\0' && str_skip_prefix(names[i], name))
            return names[i];
    }
    return str_nearest(name, names);
}

/* `token` is the word of the command line that holds the option; `letter` the short option that is not known, or 0. */
static int unknown_option(const struct options *options, const char *token, int letter, struct error **ret_error) {
    _cleanup_buffer_ struct buffer message = {0};
    const char *name = letter ? NULL : str_skip_prefix(token, "--");

    if (name) {
        _cleanup_free_ char *bare = xstrndup(name, strcspn(name, "="));
        const char *nearest = nearest_option(bare);

        buffer_printf(&message, "unknown option '--%s'", bare);
        if (nearest)
            buffer_printf(&message, "; did you mean '--%s'?", nearest);
    } else if (letter > ' ' && letter < 0x7f) {
        buffer_printf(&message, "unknown option '-%c'", letter);
    } else {
        buffer_printf(&message, "unknown option '%s'", token);
    }
    if (options->words.count > 0)
        buffer_printf(&message, "%s if it belongs to the command, put '--' in front of the command",
                      str_has_suffix(message.data, "?") ? "" : ";");
    return error_new(ret_error, EINVAL, "%s", message.data);
}

/* Whether `token` spells the long option in full: getopt_long() would take a beginning of it as well. */
static bool is_spelled_out(const char *token, const struct option_row *row) {
    const char *name = str_skip_prefix(token, "--");
    size_t length = strlen(row->name);

    return !name || (strncmp(name, row->name, length) == 0 && (name[length] == '\0' || name[length] == '='));
}

/* What getopt_long() could not take: `value` is '?' or ':'. */
static int bad_option(const struct options *options, const char *token, int value, int offending,
                      struct error **ret_error) {
    const struct option_row *row = row_of_value(offending);

    if (row && offending >= LONG_BASE && !is_spelled_out(token, row))
        return unknown_option(options, token, 0, ret_error);
    if (row && value == ':')
        return error_new(ret_error, EINVAL, "option '--%s' needs an argument: %s", row->name, row->argument);
    if (row && offending >= LONG_BASE)
        return error_new(ret_error, EINVAL, "option '--%s' takes no argument", row->name);
    return unknown_option(options, token, offending, ret_error);
}

static int argument_rule(const struct option_row *row) {
    if (row->type == OPTION_TYPE_SEED)
        return optional_argument;
    return row->argument ? required_argument : no_argument;
}

/* The table as getopt_long() wants it. `letters` holds two bytes for each row and three more. */
static void getopt_tables(struct option *long_options, char *letters) {
    *letters++ = '-';
    *letters++ = ':';
    for (size_t i = 0; i < OPTION_ID_COUNT; i++) {
        const struct option_row *row = &option_rows[i];

        long_options[i] = (struct option){row->name, argument_rule(row), NULL, LONG_BASE + (int)i};
        if (row->letter == '\0')
            continue;
        *letters++ = row->letter;
        if (row->argument)
            *letters++ = ':';
    }
    long_options[OPTION_ID_COUNT] = (struct option){0};
    *letters = '\0';
}

static int parse_words(int argc, char *const argv[], struct options *options, struct error **ret_error) {
    struct option long_options[OPTION_ID_COUNT + 1];
    char letters[2 * OPTION_ID_COUNT + 3];

    getopt_tables(long_options, letters);
    optind = 0; /* glibc: begin anew */
    opterr = 0;
    for (int next = 1;; next = optind) {
        int value = getopt_long(argc, argv, letters, long_options, NULL);

        if (value == -1)
            break;
        if (value == GETOPT_WORD) {
            strv_append(&options->words, optarg);
            continue;
        }
        const struct option_row *row = value == '?' || value == ':' ? NULL : row_of_value(value);
        if (!row)
            return bad_option(options, argv[next], value, optopt, ret_error);
        if (value >= LONG_BASE && !is_spelled_out(argv[next], row))
            return unknown_option(options, argv[next], 0, ret_error);
        int r = option_set(options, row, optarg, ret_error);
        if (r < 0)
            return r;
        if (options->help || options->version)
            return 0;
    }
    options->n_words_before = options->words.count;
    for (int i = optind; i < argc; i++)
        strv_append(&options->words, argv[i]);
    return 0;
}

bool options_is_interactive(const struct options *options) {
    return options->words.count == 1 && str_equal(options->words.items[0], "-");
}

static bool is_blank(const char *text) {
    return text[strspn(text, " \t\n")] == '\0';
}

bool options_is_one_liner(const struct options *options) {
    return options->kernel || options->image;
}

static int check_file_of_targets(const struct options *options, struct error **ret_error) {
    for (size_t i = 0; i < OPTION_ID_COUNT; i++) {
        const struct option_row *row = &option_rows[i];

        if (options->given[i] && row->group == GROUP_ONE_LINER)
            return error_new(
                ret_error, EINVAL,
                "option '--%s' needs '-k KERNEL' or '-i IMAGE'; for the targets of a file, set the key '%s' there",
                row->name, config_keys[row->key].name);
    }
    if (options->words.count > 0)
        return error_new(ret_error, EINVAL,
                         "'%s' is a command's word, and a command needs '-k KERNEL' or '-i IMAGE', which is missing; "
                         "'-f REGEX' chooses among the targets of a file",
                         options->words.items[0]);
    return 0;
}

static int check_one_liner(const struct options *options, struct error **ret_error) {
    const char *what = options->kernel ? "kernel" : "image";

    if (options->kernel && options->image)
        return error_new(ret_error, EINVAL, "options '--kernel' and '--image' exclude each other: boot one of the two");
    if (options->given[OPTION_CONFIG])
        return error_new(ret_error, EINVAL,
                         "options '--%s' and '--config' exclude each other: give the %s and a command, or a file of "
                         "targets",
                         what, what);
    if (options->words.count == 0)
        return error_new(ret_error, EINVAL,
                         "option '--%s' needs a command to run: add one, or '-' for an interactive shell", what);
    if (options->words.count == 1 && is_blank(options->words.items[0]))
        return error_new(ret_error, EINVAL, "the command is empty: give one, or '-' for an interactive shell");
    if (options_is_interactive(options) && options->format != FORMAT_TERMINAL)
        return error_new(ret_error, EINVAL, "an interactive shell ('-') and '--format json' exclude each other");
    return 0;
}

static int check_output(const struct options *options, struct error **ret_error) {
    const char *shown = options->quiet ? "quiet" : "verbose";

    if (options->quiet && options->verbose)
        return error_new(ret_error, EINVAL, "options '--quiet' and '--verbose' exclude each other");
    if (options->results && options_is_interactive(options))
        return error_new(ret_error, EINVAL, "option '--results' is for a command, and an interactive shell is none");
    if (options->results) {
        int r = config_check_results(options->results, ret_error);

        if (r < 0) {
            error_context(ret_error, "option '--results'");
            return r;
        }
    }
    if ((options->quiet || options->verbose) && options->format == FORMAT_JSON)
        return error_new(ret_error, EINVAL,
                         "option '--%s' is about what a person sees, and does not go with '--format json'", shown);
    return 0;
}

int options_parse(int argc, char *const argv[], struct options *ret_options, struct error **ret_error) {
    _cleanup_options_ struct options options = {0};
    int r = parse_words(argc, argv, &options, ret_error);

    if (r == 0 && !options.help && !options.version)
        r = options_is_one_liner(&options) ? check_one_liner(&options, ret_error)
                                           : check_file_of_targets(&options, ret_error);
    if (r == 0 && !options.help && !options.version)
        r = check_output(&options, ret_error);
    if (r < 0)
        return r;
    *ret_options = options;
    options = (struct options){0};
    return 0;
}

static void add_word(struct buffer *line, const char *word) {
    _cleanup_free_ char *quoted = str_shell_quote(word);

    buffer_printf(line, "%s%s", line->size > 0 ? " " : "", quoted);
}

/* Options that the line which runs one target again has no use for. */
static bool chooses_targets(size_t id) {
    return id == OPTION_FILTER || id == OPTION_EXCLUDE || id == OPTION_FAILED;
}

char *options_again(const struct options *options, int argc, char *const argv[]) {
    bool one_liner = options_is_one_liner(options);
    struct buffer line = {0};

    for (int i = 0; i < (one_liner ? argc : 1); i++)
        add_word(&line, argv[i]);
    for (size_t i = 0; !one_liner && i < OPTION_ID_COUNT; i++) {
        const struct option_row *row = &option_rows[i];
        _cleanup_free_ char *name = xasprintf("--%s", row->name);

        if (!options->given[i] || chooses_targets(i) || row->group == GROUP_MANY || row->group == GROUP_OUTPUT)
            continue;
        add_word(&line, name);
        if (options->text[i])
            add_word(&line, options->text[i]);
    }
    return buffer_take(&line);
}
