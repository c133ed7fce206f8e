/* SPDX-License-Identifier: Apache-2.0 */
/* vmtest.toml -> targets. config_parse() is pure; config_load() reads the file. */
#ifndef VMTEST_CONFIG_CONFIG_H
#define VMTEST_CONFIG_CONFIG_H

#include "base/error.h"
#include "config/target.h"

struct config {
    char *path;      /* as given */
    char *directory; /* absolute, normalised: the directory that holds it */
    struct target **targets;
    size_t n_targets;
    struct strv warnings; /* "FILE:LINE:COLUMN: ..." */
};

/*
 * Parses `text` (TOML 1.0). `path` is used in messages, `directory` (absolute) for relative paths and as the shared
 * directory. `strict` makes every warning an error. Errors read "PATH:LINE:COLUMN: what is wrong; what to do".
 * What target_check() finds is found here as well, except what only this build cannot do: a configuration may hold
 * other architectures as long as they are not run, so target_check() is to be called on those that the filter leaves.
 */
int config_parse(const char *text, size_t size, const char *path, const char *directory, bool strict,
                 struct config **ret_config, struct error **ret_error) _must_check_;
/*
 * What expands a pattern of a [[matrix]]: appends the paths that match it, in any order, to *ret_paths, taken from
 * `directory` when the pattern is relative. None is no failure.
 */
typedef int config_glob_fn(const char *directory, const char *pattern, struct strv *ret_paths,
                           struct error **ret_error);
/* config_parse() takes patterns as they are written; this one has them expanded, by config_glob() or by a test. */
int config_parse_globbing(const char *text, size_t size, const char *path, const char *directory, bool strict,
                          config_glob_fn *glob, struct config **ret_config, struct error **ret_error) _must_check_;
/* By glob(3). A directory that cannot be read is an error: what lies in it would be left out in silence. */
int config_glob(const char *directory, const char *pattern, struct strv *ret_paths, struct error **ret_error)
    _must_check_;
int config_load(const char *path, bool strict, struct config **ret_config, struct error **ret_error) _must_check_;
void config_free(struct config *config);
DEFINE_CLEANUP(cleanup_config, struct config *, config_free)
#define _cleanup_config_ _cleanup_(cleanup_config)

/*
 * Keeps the targets whose name one of the `filters` matches (or all without filters), and none of the `excludes`: PCRE2
 * expressions, which may match anywhere in the name. A filter that matches nothing is a warning if another one matches.
 * -EINVAL for a bad expression (with its offset and PCRE2's message), -ENOENT if no target is left. Errors name the
 * option.
 */
int config_select(struct config *config, const struct strv *filters, const struct strv *excludes,
                  struct error **ret_error) _must_check_;
/* Keeps the targets with a true in `keep`, and frees the others. */
void config_keep(struct config *config, const bool *keep);

/*
 * Semantic checks that need no I/O, on a target from a file or from the command line: name and command not empty,
 * exactly one of kernel and image, keys that do not belong together, the build's own architecture only.
 */
int target_check(const struct target *target, struct error **ret_error) _must_check_;

/*
 * A bare word `ro` or `rw` in kernel_args sets rootfs_mode, unless that was set by its own key or option. For cli/:
 * config_parse() has done it already.
 */
void target_apply_kernel_args(struct target *target);

/* "90s", "5m", "1h30m", "250ms", or a number of seconds with an optional fraction, to nanoseconds; more than zero. */
int config_parse_duration(const char *text, uint64_t *ret_nsec, struct error **ret_error) _must_check_;
/*
 * As QEMU's -m takes it: a number with an optional suffix K M G T (either case, M when missing), to bytes. From 64 MiB
 * to 1 PiB, rounded up to a multiple of 8 KiB, as QEMU does. `size=` in front is fine.
 */
int config_parse_memory(const char *text, uint64_t *ret_bytes, struct error **ret_error) _must_check_;

/* The value of the key `results`: "tap" or "junit:PATH". -EINVAL with what there is. */
int config_check_results(const char *text, struct error **ret_error) _must_check_;

enum config_type {
    CONFIG_STRING,
    CONFIG_PATH,
    CONFIG_PROGRAM, /* a path, or a name to look up in PATH */
    CONFIG_BOOL,
    CONFIG_INTEGER,
    CONFIG_DURATION,
    CONFIG_MEMORY,
    CONFIG_ENUM,
    CONFIG_SET,
    CONFIG_STRINGS,
    CONFIG_MOUNTS,
};

/* The targets that can have a key. */
enum config_only { CONFIG_ANY_TARGET, CONFIG_ONLY_KERNEL, CONFIG_ONLY_IMAGE };

/* The command-line option that sets a key. Its argument is the key's; that of a CONFIG_BOOL takes none. */
struct config_option {
    const char *name;         /* "--memory", or NULL: the key has no option */
    char letter;              /* or '\0' */
    bool every_target;        /* sets the key of a file's targets as well, in place of what the file says */
    const char *negated_help; /* of an option that sets the key to false, such as --no-template; else NULL */
};

/* One row per key: the only truth for the parser, the option, --help, the manual pages and the tests. */
struct config_key_row {
    const char *name; /* "vm.num_cpus" */
    enum config_type type;
    size_t offset;        /* of the field in struct target */
    const char *argument; /* placeholder for the value in help texts: "SIZE" */
    struct config_option option;
    enum config_only only;
    /*
     * CONFIG_ENUM: "overlay|ro|rw", in the enum's order; CONFIG_SET: the same, in the order of the bits, with "any" as
     * the last for all of them; CONFIG_STRING: the known ones, which target_check() looks at.
     */
    const char *values;
    long long minimum; /* CONFIG_INTEGER */
    long long maximum;
    int (*check)(const char *text, struct error **ret_error); /* CONFIG_STRING: a further check, or NULL */
    const char *def;                                          /* the default, as it is written, or NULL */
    const char *absent; /* description of a default that is no fixed value, or NULL */
    const char *help;   /* plain sentences without markup */
};

extern const struct config_key_row config_keys[];
extern const size_t config_key_count;

/* A row's `values` as a sentence shows them: "a, b or c". Caller frees. */
char *config_values_text(const char *values);
/* The index of `text` in `values` ("a|b|c"), or -1. */
int config_value_index(const char *values, const char *text);

/*
 * Sets a key of a target from the argument of the key's option (NULL for a flag), as the file's parser does.
 * `directory` is what a relative path is taken from. An error names the option.
 */
int config_set_option(struct target *target, enum config_key key, const char *text, const char *directory,
                      struct error **ret_error) _must_check_;

#endif
