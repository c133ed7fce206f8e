/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verbs: words that, as the first of the command line, ask for something other than a run. Dispatch, the parser, --help
 * and the manual page come out of the one table in verbs.c. To add a verb: a file with its function, which is declared
 * here, and a row.
 */
#ifndef VMTEST_CLI_VERBS_H
#define VMTEST_CLI_VERBS_H

#include <limits.h>

#include "cli/options.h"

/*
 * Runs a verb. Gives the exit status, EXIT_STATUS_UNAVAILABLE on failure; *ret_error then says why. It prints to
 * standard output, which the caller flushes and checks.
 */
typedef int verb_function(const struct options *options, struct error **ret_error);

verb_function list_run;
verb_function cache_list_run;
verb_function cache_clear_run;
verb_function cache_path_run;
verb_function cache_verify_run;
verb_function merge_run;
verb_function help_run;

#define VERB_WORDS_ANY UINT_MAX
#define OPTION_BIT(id) (UINT64_C(1) << (id))

struct verb {
    const char *name;      /* one word or two: "cache list" */
    const char *arguments; /* as the usage shows them */
    const char *summary;   /* a plain sentence */
    const char *details;   /* further plain sentences, or NULL */
    uint64_t options;      /* of enum option_id, those that mean something here; --help always does */
    bool run_options;      /* the other options of a run are accepted, too */
    unsigned min_words;
    unsigned max_words;
    verb_function *run; /* NULL: the row stands for the verbs that begin with its name */
};

extern const struct verb verbs[];
extern const size_t n_verbs;

/* The verb that the words begin with, the longest name first; *ret_used is how many words that is. Or NULL. */
const struct verb *verb_find(char *const words[], size_t count, size_t *ret_used);
/* The verb is one of those that the other, such as "cache", stands for. */
bool verb_is_below(const struct verb *verb, const struct verb *other);
/* The verb takes the option; NULL, a run, takes all. */
bool verb_takes(const struct verb *verb, const struct option_info *option);
/* Checks what is left of a verb's command line once its options have been parsed. */
int verb_check(const struct verb *verb, const struct options *options, struct error **ret_error) _must_check_;

#endif
