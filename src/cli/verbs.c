/* SPDX-License-Identifier: Apache-2.0 */
/* The table of verbs, how they are found in a command line, and the verb `help`. */
#include "cli/verbs.h"

#include <stdio.h>

#include "cli/help.h"
#include "event/verdict.h"

const struct verb verbs[] = {
    {
        .name = "list",
        .arguments = "[OPTION]...",
        .summary = "Show the targets that a run with the same options would run, one name per line.",
        .details = "With --format json, print one object that CI systems accept as a job matrix: for each target its "
                   "name, its kernel or image, its axes, and a filter that matches this target alone. Other options "
                   "of a run are accepted and change nothing.",
        .options = OPTION_BIT(OPTION_CONFIG) | OPTION_BIT(OPTION_FILTER) | OPTION_BIT(OPTION_EXCLUDE) |
                   OPTION_BIT(OPTION_FAILED) | OPTION_BIT(OPTION_STRICT) | OPTION_BIT(OPTION_SHARD) |
                   OPTION_BIT(OPTION_TIMINGS) | OPTION_BIT(OPTION_FORMAT),
        .run_options = true,
        .run = list_run,
    },
    {
        .name = "cache",
        .arguments = "VERB",
        .summary = "Manage the cache of templates, which make the next run of the same machine fast.",
    },
    {
        .name = "cache list",
        .arguments = "[--format json]",
        .summary = "Show the templates, most recently used first.",
        .details = "A line has the beginning of the key, the file the template was made from, the guest's kernel if "
                   "known, the size on disk, the age and the last use; the last line has the total and the limit.",
        .options = OPTION_BIT(OPTION_FORMAT),
        .run = cache_list_run,
    },
    {
        .name = "cache clear",
        .arguments = "[NAME]",
        .summary = "Remove all templates, or those that NAME stands for.",
        .details = "NAME is the file that templates were made from, as the list shows it or with its path; else the "
                   "beginning of one key, at least 4 digits. Running machines are not affected.",
        .max_words = 1,
        .run = cache_clear_run,
    },
    {
        .name = "cache path",
        .arguments = "",
        .summary = "Show the directory of the cache.",
        .run = cache_path_run,
    },
    {
        .name = "cache verify",
        .arguments = "",
        .summary = "Hash all templates in full, and remove damaged ones.",
        .details = "The exit status is 1 if one was damaged.",
        .run = cache_verify_run,
    },
    {
        .name = "merge",
        .arguments = "DIR... [--report KIND=FILE]...",
        .summary = "Merge the JSON reports of all shards of a run.",
        .details = "DIR is a report, or a directory that is searched for files named *.json. Prints the targets that "
                   "did not pass and a summary, and exits as the whole run would have; if a shard is missing or does "
                   "not belong to the same run, writes nothing and exits with 69.",
        .options = OPTION_BIT(OPTION_REPORT),
        .min_words = 1,
        .max_words = VERB_WORDS_ANY,
        .run = merge_run,
    },
    {
        .name = "help",
        .arguments = "[VERB]",
        .summary = "Show the help of vmtest, or that of VERB.",
        .max_words = 2,
        .run = help_run,
    },
};
const size_t n_verbs = ARRAY_SIZE(verbs);

const struct verb *verb_find(char *const words[], size_t count, size_t *ret_used) {
    for (size_t used = count < 2 ? count : 2; used > 0; used--) {
        _cleanup_free_ char *name = used == 2 ? xasprintf("%s %s", words[0], words[1]) : xstrdup(words[0]);

        for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
            if (str_equal(verbs[i].name, name)) {
                *ret_used = used;
                return &verbs[i];
            }
        }
    }
    return NULL;
}

bool verb_is_below(const struct verb *verb, const struct verb *other) {
    const char *rest = str_skip_prefix(verb->name, other->name);

    return rest && rest[0] == ' ';
}

bool verb_takes(const struct verb *verb, const struct option_info *option) {
    if (!verb || verb->run_options)
        return true;
    return option->row && ((verb->options | OPTION_BIT(OPTION_HELP)) & OPTION_BIT(option->row - option_rows));
}

/* The row stands for other verbs, and none of them was given. */
static int fail_no_verb(const struct verb *verb, const struct strv *words, struct error **ret_error) {
    _cleanup_strv_ struct strv names = {0};

    for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
        if (verb_is_below(&verbs[i], verb))
            strv_append(&names, verbs[i].name + strlen(verb->name) + 1);
    }
    _cleanup_free_ char *known = strv_join(&names, ", ");
    if (words->count == 0)
        return error_new(ret_error, EINVAL, "a verb is missing; give one of %s", known);
    return error_new(ret_error, EINVAL, "there is no verb '%s'; give one of %s", words->items[0], known);
}

int verb_check(const struct verb *verb, const struct options *options, struct error **ret_error) {
    const struct strv *words = &options->words;

    if (!verb->run)
        return fail_no_verb(verb, words, ret_error);
    if (options_is_one_liner(options))
        return error_new(ret_error, EINVAL, "%s does not go with the targets of a file; remove it",
                         config_keys[options->keys[KEY_KERNEL] ? KEY_KERNEL : KEY_IMAGE].option.name);
    if (words->count > verb->max_words)
        return error_new(ret_error, EINVAL, "unexpected argument '%s'; usage: vmtest %s %s",
                         words->items[verb->max_words], verb->name, verb->arguments);
    if (words->count < verb->min_words)
        return error_new(ret_error, EINVAL, "an argument is missing; usage: vmtest %s %s", verb->name, verb->arguments);
    for (size_t i = 0; i < words->count; i++) {
        if (str_empty(words->items[i]))
            return error_new(ret_error, EINVAL, "an argument is empty; usage: vmtest %s %s", verb->name,
                             verb->arguments);
    }
    return 0;
}

int help_run(const struct options *options, struct error **ret_error) {
    const struct strv *words = &options->words;
    size_t used = 0;
    const struct verb *verb = words->count > 0 ? verb_find(words->items, words->count, &used) : NULL;

    if (used < words->count) {
        _cleanup_free_ char *name = strv_join(words, " ");

        (void)error_new(ret_error, EINVAL, "help: there is no verb '%s'; 'vmtest help' lists them", name);
        return EXIT_STATUS_USAGE;
    }
    _cleanup_free_ char *text = help_text(verb);
    (void)fputs(text, stdout);
    return 0;
}
