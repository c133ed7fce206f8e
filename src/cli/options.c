/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of the options that set no key, the parser around getopt_long() for all options, and the checks.
 * getopt_long() runs in its "return in order" mode: words arrive in their order, so that options may follow them, and
 * what comes after `--` is kept apart from what comes before.
 */
#include "cli/options.h"

#include <getopt.h>
#include <inttypes.h>

#include "cli/verbs.h"

/* getopt_long() returns a letter for a short option, and this plus the index for a long one. */
#define LONG_BASE 256
#define GETOPT_WORD 1

#define FIELD(field) offsetof(struct options, field)

/* clang-format off */
const struct option_row option_rows[OPTION_ID_COUNT] = {
    [OPTION_CONFIG] = {"--config", 'c', "FILE", OPTION_TYPE_PATH, GROUP_CONFIG, FIELD(config), NULL, "vmtest.toml",
        "Run the targets of FILE."},
    [OPTION_FILTER] = {"--filter", 'f', "REGEX", OPTION_TYPE_LIST, GROUP_CONFIG, FIELD(filters), NULL, NULL,
        "Run only targets whose name matches REGEX, a PCRE2 expression that may match anywhere in the name. Can be "
        "repeated; a target then has to match one of them."},
    [OPTION_EXCLUDE] = {"--exclude", '\0', "REGEX", OPTION_TYPE_LIST, GROUP_CONFIG, FIELD(excludes), NULL, NULL,
        "Leave out targets whose name matches REGEX, even if --filter matches them. Can be repeated."},
    [OPTION_FAILED] = {"--failed", '\0', NULL, OPTION_TYPE_FLAG, GROUP_CONFIG, FIELD(failed), NULL, NULL,
        "Run only targets that did not pass last time."},
    [OPTION_STRICT] = {"--strict", '\0', NULL, OPTION_TYPE_FLAG, GROUP_CONFIG, FIELD(strict), NULL, NULL,
        "Treat warnings about the file as errors, such as an unknown key."},
    [OPTION_JOBS] = {"--jobs", 'j', "N", OPTION_TYPE_POSITIVE, GROUP_MANY, FIELD(jobs), NULL,
        "as many as memory and CPUs allow",
        "Run at most N targets at once, and never more than fit into memory."},
    [OPTION_FAIL_FAST] = {"--fail-fast", '\0', NULL, OPTION_TYPE_FLAG, GROUP_MANY, FIELD(fail_fast), NULL, NULL,
        "Start no further target once one has not passed; let running ones finish."},
    [OPTION_RETRIES] = {"--retries", '\0', "N", OPTION_TYPE_COUNT, GROUP_MANY, FIELD(retries), NULL, "0",
        "Retry a target that does not pass up to N times. One that passes on a retry is reported as flaky."},
    [OPTION_FLAKY_FAILS] = {"--flaky-fails", '\0', NULL, OPTION_TYPE_FLAG, GROUP_MANY, FIELD(flaky_fails), NULL, NULL,
        "Count flaky targets as failures."},
    [OPTION_REPEAT] = {"--repeat", '\0', "N", OPTION_TYPE_POSITIVE, GROUP_MANY, FIELD(repeat), NULL, "1",
        "Run each target N times."},
    [OPTION_SHUFFLE] = {"--shuffle", '\0', "[=SEED]", OPTION_TYPE_SEED, GROUP_MANY, FIELD(seed), NULL, NULL,
        "Start the targets in random order. SEED, a number, repeats the order of an earlier run."},
    [OPTION_SHARD] = {"--shard", '\0', "I/N", OPTION_TYPE_STRING, GROUP_MANY, FIELD(shard), NULL, NULL,
        "Split the targets into N parts and run only part I, counted from 1. auto takes both numbers from the "
        "environment of the CI system or cluster, auto/N only the first."},
    [OPTION_TIMINGS] = {"--timings", '\0', "FILE", OPTION_TYPE_PATH, GROUP_MANY, FIELD(timings), NULL, NULL,
        "Split by the durations in FILE, a JSON report of an earlier run, instead of by name. All shards need the "
        "same FILE."},
    [OPTION_ARTIFACTS] = {"--artifacts", '\0', "DIR", OPTION_TYPE_PATH, GROUP_OUTPUT, FIELD(artifacts), NULL, NULL,
        "Keep each target's console, output and other evidence in a directory of its own in DIR."},
    [OPTION_REPORT] = {"--report", '\0', "KIND=FILE", OPTION_TYPE_LIST, GROUP_OUTPUT, FIELD(reports), NULL, NULL,
        "Write a report to FILE: junit, tap, json, markdown or html. github needs no FILE and annotates a run of GitHub "
        "Actions. Can be repeated."},
    [OPTION_QUIET] = {"--quiet", '\0', NULL, OPTION_TYPE_FLAG, GROUP_OUTPUT, FIELD(quiet), NULL, NULL,
        "Show only the targets that do not pass, and the summary."},
    [OPTION_VERBOSE] = {"--verbose", '\0', NULL, OPTION_TYPE_FLAG, GROUP_OUTPUT, FIELD(verbose), NULL, NULL,
        "Show all output as it arrives, each line prefixed with the name of its target."},
    [OPTION_FORMAT] = {"--format", '\0', "FORMAT", OPTION_TYPE_CHOICE, GROUP_OUTPUT, FIELD(format), "terminal|json",
        "terminal",
        "Print text for people, or JSON."},
    [OPTION_HELP] = {"--help", 'h', NULL, OPTION_TYPE_FLAG, GROUP_GENERAL, FIELD(help), NULL, NULL,
        "Show this help and exit."},
    [OPTION_VERSION] = {"--version", 'V', NULL, OPTION_TYPE_FLAG, GROUP_GENERAL, FIELD(version), NULL, NULL,
        "Show the version and exit."},
};
/* clang-format on */

bool option_describe(size_t index, struct option_info *ret_info) {
    if (index >= CONFIG_KEYS_MAX) {
        const struct option_row *row = &option_rows[index - CONFIG_KEYS_MAX];

        *ret_info = (struct option_info){row->name, row->letter, row->argument, row->group, row->values,
                                         row->def,  row->help,   row,           NULL};
        return true;
    }
    if (index >= config_key_count || !config_keys[index].option.name)
        return false;

    const struct config_key_row *key = &config_keys[index];
    const struct config_option *option = &key->option;
    bool is_flag = key->type == CONFIG_BOOL;
    *ret_info = (struct option_info){
        .name = option->name,
        .letter = option->letter,
        .argument = is_flag ? NULL : key->argument,
        .group = option->every_target ? GROUP_EVERY : GROUP_ONE_LINER,
        .values = key->values,
        .def = is_flag ? NULL : (key->def ? key->def : key->absent),
        .help = option->negated_help ? option->negated_help : key->help,
        .key = key,
    };
    return true;
}

void options_deinit(struct options *options) {
    for (size_t i = 0; i < OPTION_ID_COUNT; i++) {
        const struct option_row *row = &option_rows[i];

        if (row->type == OPTION_TYPE_STRING || row->type == OPTION_TYPE_PATH)
            free(*(char **)((char *)options + row->offset));
        if (row->type == OPTION_TYPE_LIST)
            strv_deinit((struct strv *)(void *)((char *)options + row->offset));
        free(options->text[i]);
    }
    for (size_t i = 0; i < config_key_count; i++)
        free(options->keys[i]);
    strv_deinit(&options->words);
    *options = (struct options){0};
}

/* Finds the option that getopt_long() returned or left in optopt. */
static bool option_find(int value, struct option_info *ret_info) {
    for (size_t i = 0; i < OPTIONS_MAX; i++) {
        if (option_describe(i, ret_info) &&
            (value == LONG_BASE + (int)i || (value != '\0' && value == ret_info->letter)))
            return true;
    }
    return false;
}

static int number_parse(const char *name, const char *text, uint64_t minimum, uint64_t maximum, uint64_t *ret_number,
                        struct error **ret_error) {
    char *end;

    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (errno != 0 || text[0] < '0' || text[0] > '9' || *end != '\0' || number < minimum || number > maximum)
        return error_new(ret_error, EINVAL, "option '%s': '%s' is not a number from %" PRIu64 " to %" PRIu64, name,
                         text, minimum, maximum);
    *ret_number = number;
    return 0;
}

static void string_replace(char **string, const char *text) {
    free(*string);
    *string = text ? xstrdup(text) : NULL;
}

/* Sets the field of an option that sets no key. */
static int field_set(struct options *options, const struct option_row *row, const char *text,
                     struct error **ret_error) {
    void *field = (char *)options + row->offset;
    uint64_t number = 0;
    int r = 0;

    switch (row->type) {
    case OPTION_TYPE_FLAG:
        *(bool *)field = true;
        break;
    case OPTION_TYPE_PATH:
    case OPTION_TYPE_LIST:
        if (str_empty(text))
            return error_new(ret_error, EINVAL, "option '%s' needs a %s that is not empty", row->name, row->argument);
        if (row->type == OPTION_TYPE_LIST)
            strv_append(field, text);
        else
            string_replace(field, text);
        break;
    case OPTION_TYPE_STRING:
        string_replace(field, text);
        break;
    case OPTION_TYPE_CHOICE:
        *(int *)field = config_value_index(row->values, text);
        if (*(int *)field < 0) {
            _cleanup_free_ char *known = config_values_text(row->values);

            return error_new(ret_error, EINVAL, "option '%s' is '%s'; it must be %s", row->name, text, known);
        }
        break;
    case OPTION_TYPE_COUNT:
    case OPTION_TYPE_POSITIVE:
        r = number_parse(row->name, text, row->type == OPTION_TYPE_POSITIVE, OPTION_COUNT_MAX, &number, ret_error);
        *(unsigned *)field = (unsigned)number;
        break;
    case OPTION_TYPE_SEED:
        if (text)
            r = number_parse(row->name, text, 0, UINT64_MAX, field, ret_error);
        break;
    }
    return r;
}

/* Takes the argument of an option, NULL for a flag. A repeated option replaces the earlier one, unless it is a list. */
static int option_take(struct options *options, const struct option_info *info, const char *text,
                       struct error **ret_error) {
    if (info->row) {
        options->given[info->row - option_rows] = true;
        string_replace(&options->text[info->row - option_rows], text);
        return field_set(options, info->row, text, ret_error);
    }

    /* The value is kept as text and set in each target later; a wrong one has to be found now. */
    _cleanup_target_ struct target *scratch = target_new();
    enum config_key key = (enum config_key)(info->key - config_keys);
    string_replace(&options->keys[key], text ? text : "");
    return config_set_option(scratch, key, text, "/", ret_error) < 0 ? -EINVAL : 0;
}

/* The option that `name` most likely means: the one that it begins, else the nearest. May be NULL. */
static const char *nearest_option(const struct verb *verb, const char *name) {
    const char *names[OPTIONS_MAX + 1] = {0};
    struct option_info info;
    size_t n = 0;

    for (size_t i = 0; i < OPTIONS_MAX; i++) {
        if (!option_describe(i, &info) || !verb_takes(verb, &info))
            continue;
        if (strlen(name) > 2 && str_skip_prefix(info.name, name))
            return info.name;
        names[n++] = info.name;
    }
    return str_nearest(name, names);
}

/* `token` is the word of the command line that has the option; `letter` an unknown short option, or 0. */
static int unknown_option(const struct verb *verb, const struct options *options, const char *token, int letter,
                          struct error **ret_error) {
    _cleanup_buffer_ struct buffer message = {0};

    if (!letter && str_skip_prefix(token, "--")) {
        _cleanup_free_ char *bare = xstrndup(token, strcspn(token, "="));
        const char *nearest = nearest_option(verb, bare);

        buffer_printf(&message, "unknown option '%s'", bare);
        if (nearest)
            buffer_printf(&message, "; did you mean '%s'?", nearest);
    } else if (letter > ' ' && letter < 0x7f) {
        buffer_printf(&message, "unknown option '-%c'", letter);
    } else {
        buffer_printf(&message, "unknown option '%s'", token);
    }
    if (!verb && options->words.count > 0)
        buffer_printf(&message, "%s if it belongs to the command, put '--' before the command",
                      str_has_suffix(message.data, "?") ? "" : ";");
    return error_new(ret_error, EINVAL, "%s", message.data);
}

/* The long option is spelled in full: getopt_long() takes an abbreviation as well. */
static bool is_spelled_out(const char *token, const struct option_info *info) {
    const char *rest = str_skip_prefix(token, info->name);

    return token[1] != '-' || (rest && (*rest == '\0' || *rest == '='));
}

/* Refuses what getopt_long() did not take: `value` is '?' or ':'. */
static int bad_option(const struct verb *verb, const struct options *options, const char *token, int value,
                      int offending, struct error **ret_error) {
    bool is_long = offending >= LONG_BASE;
    struct option_info info;

    if (!option_find(offending, &info) || (is_long && !is_spelled_out(token, &info)))
        return unknown_option(verb, options, token, is_long ? 0 : offending, ret_error);
    if (value == ':')
        return error_new(ret_error, EINVAL, "option '%s' needs an argument: %s", info.name, info.argument);
    if (is_long)
        return error_new(ret_error, EINVAL, "option '%s' takes no argument", info.name);
    return unknown_option(verb, options, token, offending, ret_error);
}

/* The options as getopt_long() wants them. `letters` holds two bytes for each and three more. */
static void getopt_tables(const struct verb *verb, struct option *long_options, char *letters) {
    struct option_info info;

    *letters++ = '-';
    *letters++ = ':';
    for (size_t i = 0; i < OPTIONS_MAX; i++) {
        if (!option_describe(i, &info) || !verb_takes(verb, &info))
            continue;
        bool is_optional = info.argument && info.argument[0] == '[';
        int rule = is_optional ? optional_argument : info.argument ? required_argument : no_argument;

        *long_options++ = (struct option){info.name + 2, rule, NULL, LONG_BASE + (int)i};
        if (info.letter == '\0')
            continue;
        *letters++ = info.letter;
        if (info.argument)
            *letters++ = ':';
    }
    *long_options = (struct option){0};
    *letters = '\0';
}

static int words_parse(const struct verb *verb, int argc, char *const argv[], struct options *options,
                       struct error **ret_error) {
    struct option long_options[OPTIONS_MAX + 1];
    char letters[2 * OPTIONS_MAX + 3];
    struct option_info info;

    getopt_tables(verb, long_options, letters);
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
        if (value == '?' || value == ':' || !option_find(value, &info))
            return bad_option(verb, options, argv[next], value, optopt, ret_error);
        if (value >= LONG_BASE && !is_spelled_out(argv[next], &info))
            return unknown_option(verb, options, argv[next], 0, ret_error);
        int r = option_take(options, &info, optarg, ret_error);
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
    return options->keys[KEY_KERNEL] || options->keys[KEY_IMAGE];
}

static int check_file_of_targets(const struct options *options, struct error **ret_error) {
    for (size_t i = 0; i < config_key_count; i++) {
        const struct config_key_row *row = &config_keys[i];

        if (options->keys[i] && !row->option.every_target)
            return error_new(ret_error, EINVAL,
                             "option '%s' needs '-k KERNEL' or '-i IMAGE'; for the targets of a file, set the key '%s' "
                             "there",
                             row->option.name, row->name);
    }
    if (options->words.count > 0)
        return error_new(ret_error, EINVAL,
                         "no kernel or image for the command '%s': add -k KERNEL or -i IMAGE; to choose among the "
                         "targets of a file, use -f REGEX",
                         options->words.items[0]);
    return 0;
}

static int check_one_liner(const struct options *options, struct error **ret_error) {
    const char *what = options->keys[KEY_KERNEL] ? "kernel" : "image";

    if (options->keys[KEY_KERNEL] && options->keys[KEY_IMAGE])
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
    if (options->keys[KEY_RESULTS] && options_is_interactive(options))
        return error_new(ret_error, EINVAL, "option '--results' needs a command, not an interactive shell");
    if ((options->quiet || options->verbose) && options->format == FORMAT_JSON)
        return error_new(ret_error, EINVAL, "options '--%s' and '--format json' exclude each other", shown);
    return 0;
}

int options_parse(const struct verb *verb, int argc, char *const argv[], struct options *ret_options,
                  struct error **ret_error) {
    _cleanup_options_ struct options options = {0};
    int r = words_parse(verb, argc, argv, &options, ret_error);

    if (r == 0 && !options.help && !options.version) {
        if (verb)
            r = verb_check(verb, &options, ret_error);
        else if (options_is_one_liner(&options))
            r = check_one_liner(&options, ret_error);
        else
            r = check_file_of_targets(&options, ret_error);
        if (r == 0)
            r = check_output(&options, ret_error);
    }
    if (r < 0) {
        if (verb)
            error_context(ret_error, "%s", verb->name);
        return r;
    }
    *ret_options = options;
    options = (struct options){0};
    return 0;
}

static void word_append(struct buffer *line, const char *word) {
    _cleanup_free_ char *quoted = str_shell_quote(word);

    buffer_printf(line, "%s%s", line->size > 0 ? " " : "", quoted);
}

/* Options that the line which runs one target again has no use for. */
static bool is_left_out(const struct options *options, const struct option_info *info) {
    enum option_id id = info->row ? (enum option_id)(info->row - option_rows) : OPTION_ID_COUNT;

    if (!info->row)
        return !options->keys[info->key - config_keys];
    return !options->given[id] || info->group == GROUP_MANY || info->group == GROUP_OUTPUT || id == OPTION_FILTER ||
           id == OPTION_EXCLUDE || id == OPTION_FAILED;
}

char *options_again(const struct options *options, int argc, char *const argv[]) {
    bool one_liner = options_is_one_liner(options);
    struct buffer line = {0};
    struct option_info info;

    for (int i = 0; i < (one_liner ? argc : 1); i++)
        word_append(&line, argv[i]);
    for (size_t i = 0; !one_liner && i < OPTIONS_MAX; i++) {
        if (!option_describe(i, &info) || is_left_out(options, &info))
            continue;
        word_append(&line, info.name);
        if (info.argument)
            word_append(&line,
                        info.row ? options->text[info.row - option_rows] : options->keys[info.key - config_keys]);
    }
    return buffer_take(&line);
}
