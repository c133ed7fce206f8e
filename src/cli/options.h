/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line. Options that set a key of a target come from the key table (config/keys.c), all others from
 * `option_rows`; the parser, --help, the manual page and the tests see both as one list, option_describe(). To add an
 * option that sets no key: a value in enum option_id, a field in struct options, a row.
 */
#ifndef VMTEST_CLI_OPTIONS_H
#define VMTEST_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/str.h"
#include "config/config.h"

struct verb;

/* The options that set no key. */
enum option_id {
    OPTION_CONFIG,
    OPTION_FILTER,
    OPTION_EXCLUDE,
    OPTION_FAILED,
    OPTION_STRICT,
    OPTION_JOBS,
    OPTION_FAIL_FAST,
    OPTION_RETRIES,
    OPTION_FLAKY_FAILS,
    OPTION_REPEAT,
    OPTION_SHUFFLE,
    OPTION_SHARD,
    OPTION_TIMINGS,
    OPTION_ARTIFACTS,
    OPTION_REPORT,
    OPTION_QUIET,
    OPTION_VERBOSE,
    OPTION_FORMAT,
    OPTION_HELP,
    OPTION_VERSION,
    OPTION_ID_COUNT,
};

enum option_group {
    GROUP_CONFIG,
    GROUP_ONE_LINER,
    GROUP_EVERY,
    GROUP_MANY,
    GROUP_OUTPUT,
    GROUP_GENERAL,
    OPTION_GROUP_COUNT
};

/* An option's argument, and the type of its field in struct options. */
enum option_type {
    OPTION_TYPE_FLAG,     /* none; bool */
    OPTION_TYPE_STRING,   /* anything; char * */
    OPTION_TYPE_PATH,     /* not empty; char * */
    OPTION_TYPE_CHOICE,   /* one of `values`; int, its index */
    OPTION_TYPE_COUNT,    /* a number from 0 to OPTION_COUNT_MAX; unsigned */
    OPTION_TYPE_POSITIVE, /* the same from 1 */
    OPTION_TYPE_SEED,     /* optional, a number of at most 64 bits; uint64_t */
    OPTION_TYPE_LIST,     /* not empty; may be repeated; struct strv */
};

#define OPTION_COUNT_MAX 100000

struct option_row {
    const char *name;     /* "--config" */
    char letter;          /* or '\0' */
    const char *argument; /* placeholder in help texts, or NULL for a flag */
    enum option_type type;
    enum option_group group;
    size_t offset;      /* of the field in struct options */
    const char *values; /* OPTION_TYPE_CHOICE: "terminal|json", in the enum's order */
    const char *def;    /* the default as help texts show it, or NULL */
    const char *help;   /* plain sentences without markup */
};

/* Indexed by enum option_id. */
extern const struct option_row option_rows[OPTION_ID_COUNT];

/* An option of either table. */
struct option_info {
    const char *name;
    char letter;
    const char *argument;
    enum option_group group;
    const char *values;
    const char *def;
    const char *help;
    const struct option_row *row;     /* NULL: the option sets a key */
    const struct config_key_row *key; /* NULL: it sets none */
};

/* Indices of options: those of the keys first, then those of option_rows. */
#define OPTIONS_MAX (CONFIG_KEYS_MAX + OPTION_ID_COUNT)
/* Describes an option; false where the index stands for none. */
bool option_describe(size_t index, struct option_info *ret_info);

enum output_format { FORMAT_TERMINAL, FORMAT_JSON };

/* A parsed command line. Strings are NULL and numbers 0 where nothing was given. Start with {0}. */
struct options {
    bool given[OPTION_ID_COUNT];
    char *text[OPTION_ID_COUNT]; /* arguments as given; NULL for a flag */
    char *keys[CONFIG_KEYS_MAX]; /* by enum config_key: the argument of the key's option, "" for a flag; NULL: not given
                                  */

    char *config;        /* NULL: vmtest.toml */
    struct strv filters; /* a target is run if one of them matches; not applied to a one-liner */
    struct strv excludes;
    bool failed;
    bool strict;

    unsigned jobs; /* 0: as many as the host has room for */
    bool fail_fast;
    unsigned retries;
    bool flaky_fails;
    unsigned repeat; /* 0: not given, as 1 */
    uint64_t seed;   /* of --shuffle; 0 where it has none */
    char *shard;     /* as given */
    char *timings;

    char *artifacts;     /* directory, or NULL */
    struct strv reports; /* "KIND" or "KIND=FILE" */
    bool quiet;
    bool verbose;
    int format; /* enum output_format */
    bool help;
    bool version;

    /* The command, or the arguments of a verb: words before `--` (or without one), then those after it. */
    struct strv words;
    size_t n_words_before;
};

void options_deinit(struct options *options);
#define _cleanup_options_ _cleanup_(options_deinit)

/*
 * Parses and checks the command line of a verb, or with NULL that of a run. argv[0] is skipped; argv is not changed.
 * Options may come before, between and after the words; after `--` everything is a word. With --help or --version
 * nothing else is checked. -EINVAL for a wrong command line, with *ret_options untouched: cli/ then exits with
 * EXIT_STATUS_USAGE.
 */
int options_parse(const struct verb *verb, int argc, char *const argv[], struct options *ret_options,
                  struct error **ret_error) _must_check_;

/*
 * The command line that runs the same again, quoted for a shell: as it was for a one-liner; for a file's targets,
 * without the options that choose targets and those of output. Caller frees.
 */
char *options_again(const struct options *options, int argc, char *const argv[]);

/* The command is an interactive shell. */
bool options_is_interactive(const struct options *options);

/* The command line itself describes the target. */
bool options_is_one_liner(const struct options *options);

/* Sets the keys whose options were given. Relative paths are taken from `directory`, which is absolute. */
int options_apply(const struct options *options, const char *directory, struct target *target, struct error **ret_error)
    _must_check_;

/* The target of a one-liner. `cwd`, absolute, is shared with the guest. No I/O; target_check() is the caller's. */
int options_to_target(const struct options *options, const char *cwd, struct target **ret_target,
                      struct error **ret_error) _must_check_;

#endif
