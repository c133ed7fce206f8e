/* SPDX-License-Identifier: Apache-2.0 */
/* Declarations shared by the files of config/ only. */
#ifndef VMTEST_CONFIG_CONFIG_INTERNAL_H
#define VMTEST_CONFIG_CONFIG_INTERNAL_H

#include "config/config.h"
#include "config/toml.h"

struct matrix;

/*
 * Text of the user's made fit for a message: control characters as \xNN, at most some 60 bytes, "..." where it was
 * cut. Caller frees.
 */
char *config_quote(const char *text, size_t length);

/* Whether there is a control character (C0, DEL or C1 in UTF-8). */
bool config_has_control(const char *text);

/* A path without empty and `.` parts and without a slash at its end; "/" becomes "". Caller frees. */
char *config_clean_path(const char *path);

/* The row of a key's full name, or NULL. */
const struct config_key_row *config_find_key(const char *name);
static inline enum config_key config_key_of(const struct config_key_row *row) {
    return (enum config_key)(row - config_keys);
}

/* The field of a target that a row stands for. */
void *config_field(struct target *target, const struct config_key_row *row);

/*
 * The mode that the last bare `ro` or `rw` of a kernel command line asks for. Quotes hide blanks and `--` ends the
 * kernel's own words, as in Linux' Documentation/admin-guide/kernel-parameters. False when there is none.
 */
bool config_kernel_args_mode(const char *args, enum rootfs_mode *ret_mode);

/* All that target_check() checks but what this build cannot do yet (image targets, other architectures). */
int target_check_consistency(const struct target *target, struct error **ret_error) _must_check_;

/*
 * One file being parsed. A function that fails has filled *error with "PATH:LINE:COLUMN: ..." and returns a negative
 * errno.
 */
struct parser {
    const char *path;
    const char *option; /* the option that the value is an argument of, or NULL: a file is read */
    const char *directory;
    bool strict;
    struct config *config;
    struct error **error;
    struct strv known;    /* names of all keys, for "did you mean" */
    config_glob_fn *glob; /* what expands the patterns of a [[matrix]]; NULL: each stands for itself */

    const struct toml_value *defaults[CONFIG_KEYS_MAX]; /* what [defaults] says of each key, or NULL */
    const struct matrix *matrix;                        /* whose combination is being read, or NULL */
    bool literal;                                       /* no placeholder is replaced in what is read */
    bool told;                                          /* what is read has been read before: no more warnings */
    size_t expanded;                                    /* bytes that all combinations' strings have taken so far */
};

/* Fills *error, in front of the message the place. Its value is -EINVAL: `return parser_fail(...)`. */
#define parser_fail(parser, position, ...) (parser_report((parser), (position), __VA_ARGS__), -EINVAL)
void parser_report(struct parser *parser, struct toml_position position, const char *format, ...) _printf_(3, 4);

/* The order of the text, for qsort(3). */
int parser_compare_positions(const struct toml_position *a, const struct toml_position *b);

/* A key that nobody knows: a warning, or with `strict` an error. `name` is its full dotted name. */
int parser_unknown(struct parser *parser, struct toml_position position, const char *name,
                   const char *const *candidates) _must_check_;

/* Any other warning; with `strict` an error. */
int parser_warn(struct parser *parser, struct toml_position position, const char *format, ...) _printf_(3, 4)
    _must_check_;
/* Whether parser_unknown() would ask "did you mean". */
bool parser_has_near(const char *name, const char *const *candidates);

/*
 * For an error about something missing: what was ignored may be why, so the first warning behind the `before` first
 * ones is added to it.
 */
void parser_add_suspicion(struct parser *parser, size_t before);

/* `prefix` and an entry's key, quoted where a bare key could not say it. Caller frees. */
char *parser_key_name(const char *prefix, const struct toml_entry *entry);

/* Reads the table [defaults]: checks it, warns of it, and remembers what it says. */
int parser_read_defaults(struct parser *parser, const struct toml_value *table) _must_check_;
/* Gives a target whose own keys are set the defaults of the others, as far as they belong to such a target. */
int parser_apply_defaults(struct parser *parser, struct target *target) _must_check_;

/*
 * `text` as it is, or within a [[matrix]] with its placeholders replaced. Caller frees. NULL, with *error filled, when
 * all strings together become too much.
 */
char *parser_expand(struct parser *parser, struct toml_position position, const char *text, size_t length);

/* Sets a target's field from the value of a key. */
int parser_set_value(struct parser *parser, struct target *target, const struct config_key_row *row,
                     const struct toml_value *value) _must_check_;
/* Sets a target's field to the default of the row. The table is ours: a default that is no value is a defect. */
void config_set_default(struct target *target, const struct config_key_row *row);

/* The table `vm.mounts`. */
int parser_set_mounts(struct parser *parser, struct target *target, const struct toml_value *value) _must_check_;

/* Takes a string out of a value: a string without NULs. `name` is the key's, for messages. Caller frees. */
int parser_string(struct parser *parser, const struct toml_value *value, const char *name, char **ret_string)
    _must_check_;
/* The same for a path, which must not be empty and is taken from the configuration's directory. */
int parser_path(struct parser *parser, const struct toml_value *value, const char *name, char **ret_path) _must_check_;
int parser_bool(struct parser *parser, const struct toml_value *value, const char *name, bool *ret_bool) _must_check_;

#endif
