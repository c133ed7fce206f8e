/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line. One table, `option_rows`, drives the parser, --help, the manual page and the tests: an option is
 * added by adding its row and its field.
 */
#ifndef VMTEST_CLI_OPTIONS_H
#define VMTEST_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/str.h"
#include "config/target.h"

enum option_id {
    OPTION_CONFIG,
    OPTION_FILTER,
    OPTION_EXCLUDE,
    OPTION_FAILED,
    OPTION_STRICT,
    OPTION_KERNEL,
    OPTION_IMAGE,
    OPTION_IMAGE_FORMAT,
    OPTION_UEFI,
    OPTION_BIOS,
    OPTION_PERSIST,
    OPTION_KARGS,
    OPTION_KVM_CPU_ARGS,
    OPTION_ROOTFS,
    OPTION_ROOTFS_MODE,
    OPTION_ARCH,
    OPTION_QEMU_COMMAND,
    OPTION_MODULES,
    OPTION_SHARE,
    OPTION_ACCEL,
    OPTION_MEMORY,
    OPTION_NUM_CPUS,
    OPTION_NO_TEMPLATE,
    OPTION_BOOT_TIMEOUT,
    OPTION_TIMEOUT,
    OPTION_KILL_AFTER,
    OPTION_RUN_TIMEOUT,
    OPTION_FAIL_ON,
    OPTION_RESULTS,
    OPTION_DUMP,
    OPTION_LOST_AFTER,
    OPTION_NO_SANDBOX,
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

/* What an option's argument is, and of which type its field in struct options is. */
enum option_type {
    OPTION_TYPE_FLAG,     /* none; bool */
    OPTION_TYPE_STRING,   /* anything; char * */
    OPTION_TYPE_PATH,     /* not empty; char * */
    OPTION_TYPE_CHOICE,   /* one of `values`; int, its index */
    OPTION_TYPE_DURATION, /* config_parse_duration(); uint64_t nanoseconds */
    OPTION_TYPE_MEMORY,   /* config_parse_memory(); char *, as written */
    OPTION_TYPE_SET,      /* names of the key's values with commas between them; unsigned, its bits */
    OPTION_TYPE_CPUS,     /* a number in the range of the key vm.num_cpus; unsigned */
    OPTION_TYPE_COUNT,    /* a number from 0 to OPTION_COUNT_MAX; unsigned */
    OPTION_TYPE_POSITIVE, /* the same from 1 */
    OPTION_TYPE_SEED,     /* optional, a number that is no more than 64 bits; uint64_t */
    OPTION_TYPE_LIST,     /* not empty; may be given again; struct strv */
};

#define OPTION_COUNT_MAX 100000

struct option_row {
    const char *name;     /* long, without the dashes */
    char letter;          /* short, or '\0' */
    const char *argument; /* its name in --help, or NULL for a flag */
    enum option_type type;
    enum option_group group;
    size_t offset;      /* of the field in struct options */
    const char *values; /* OPTION_TYPE_CHOICE: "auto|kvm|tcg", in the enum's order */
    int key;            /* the key of vmtest.toml that means the same, enum config_key; else -1 */
    const char *help;   /* plain sentences without markup */
};

/* Indexed by enum option_id. */
extern const struct option_row option_rows[OPTION_ID_COUNT];

enum output_format { FORMAT_TERMINAL, FORMAT_JSON };

/* What the command line said. Strings are NULL and numbers 0 where nothing was said. Start with {0}. */
struct options {
    bool given[OPTION_ID_COUNT]; /* which options were there */
    char *text[OPTION_ID_COUNT]; /* their arguments, as they were given; NULL for a flag */

    char *config;        /* NULL: vmtest.toml */
    struct strv filters; /* a target is run if one of them matches; not to be applied to a one-liner */
    struct strv excludes;
    bool failed;
    bool strict;

    /* One of the two is set: a one-liner. */
    char *kernel;
    char *image;

    char *image_format;
    bool uefi;
    char *bios;
    bool persist;
    char *kargs;
    char *kvm_cpu_args;
    char *rootfs;
    int rootfs_mode; /* enum rootfs_mode */
    char *arch;
    char *qemu_command;
    char *modules;
    int share; /* enum share_choice */
    int accel; /* enum accel_choice */
    char *memory;
    unsigned num_cpus;

    bool no_template;      /* for every target, from a file or not */
    uint64_t boot_timeout; /* nanoseconds; for every target, from a file or not */
    uint64_t timeout;      /* the same */
    uint64_t kill_after;   /* the same */
    uint64_t run_timeout;  /* the same */
    unsigned fail_on;      /* the same: the bits of the key fail_on */
    char *results;         /* for every target, from a file or not */
    bool dump;             /* for every target, from a file or not */
    bool no_sandbox;       /* the same */
    uint64_t lost_after;   /* nanoseconds; the same */

    unsigned jobs; /* 0: as many as the host has room for */
    bool fail_fast;
    unsigned retries;
    bool flaky_fails;
    unsigned repeat; /* 0: not given, as 1 */
    uint64_t seed;   /* of --shuffle; 0 where it gave none */
    char *shard;     /* as given */
    char *timings;

    char *artifacts;     /* the directory for evidence, or NULL */
    struct strv reports; /* "KIND" or "KIND=FILE" */
    bool quiet;
    bool verbose;
    int format; /* enum output_format */
    bool help;
    bool version;

    /* The command: words before `--` (or without one), then those behind it. */
    struct strv words;
    size_t n_words_before;
};

void options_deinit(struct options *options);
#define _cleanup_options_ _cleanup_(options_deinit)

/*
 * Parses and checks a command line. argv[0] is skipped; argv is not changed. Options may stand before, between and
 * behind the command's words; behind `--` everything is a word. With --help or --version nothing else is checked.
 * -EINVAL for a wrong command line, with *ret_options untouched: cli/ then exits with EXIT_STATUS_USAGE.
 */
int options_parse(int argc, char *const argv[], struct options *ret_options, struct error **ret_error) _must_check_;

/*
 * The command line that runs the same again, quoted for a shell: as it was for a one-liner; for a file's targets,
 * without what chose among them and without the options of output. Caller frees.
 */
char *options_again(const struct options *options, int argc, char *const argv[]);

/* The key of an option that is none of a target's. */
#define NO_KEY (-1)

/* Whether there is no command: an interactive shell is wanted. */
bool options_is_interactive(const struct options *options);

/* Whether the command line itself describes the target to run. */
bool options_is_one_liner(const struct options *options);

/*
 * The target of a one-liner. `cwd`, absolute, is what relative paths are taken from and what
 * is shared. Does no I/O and no more checks than options_parse() did: target_check() is the caller's.
 */
int options_to_target(const struct options *options, const char *cwd, struct target **ret_target,
                      struct error **ret_error) _must_check_;

#endif
