/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of config/ share among themselves. */
#ifndef VMTEST_CONFIG_INTERNAL_H
#define VMTEST_CONFIG_INTERNAL_H

#include "config/config.h"
#include "config/toml.h"

/*
 * Text of the user's made fit for a message: control characters as \xNN, at most some 60 bytes, "..." where it was
 * cut. Caller frees.
 */
char *config_quote(const char *text, size_t length);

/* Whether there is a control character (C0, DEL or C1 in UTF-8). */
bool config_has_control(const char *text);

/* The index of `text` in a row's `values` ("a|b|c"), or -1. */
int config_value_index(const struct config_key_row *row, const char *text);
/* A row's `values` as a sentence shows them: "a, b or c". Caller frees. */
char *config_values_text(const struct config_key_row *row);

/* The field of a target that a row stands for. */
void *config_field(struct target *target, const struct config_key_row *row);

/* All that target_check() checks but what this build cannot do yet (image targets, other architectures). */
int target_check_consistency(const struct target *target, struct error **ret_error) _must_check_;

/*
 * One file being parsed. A function that fails has filled *error with "PATH:LINE:COLUMN: ..." and returns a negative
 * errno.
 */
struct parser {
    const char *path;
    const char *directory;
    bool strict;
    struct config *config;
    struct error **error;
    struct strv known; /* names of all keys, for "did you mean" */
};

/* Fills *error, in front of the message the place. Its value is -EINVAL: `return parser_fail(...)`. */
#define parser_fail(parser, position, ...) (parser_report((parser), (position), __VA_ARGS__), -EINVAL)
void parser_report(struct parser *parser, struct toml_position position, const char *format, ...) _printf_(3, 4);

/* A key that nobody knows: a warning, or with `strict` an error. `name` is its full dotted name. */
int parser_unknown(struct parser *parser, struct toml_position position, const char *name,
                   const char *const *candidates) _must_check_;

/*
 * For an error about something missing: what was ignored may be why, so the first warning behind the `before` first
 * ones is added to it.
 */
void parser_add_suspicion(struct parser *parser, size_t before);

/* `prefix` and an entry's key, quoted where a bare key could not say it. Caller frees. */
char *parser_key_name(const char *prefix, const struct toml_entry *entry);

/* Sets a target's field from the value of a key. */
int parser_set_value(struct parser *parser, struct target *target, const struct config_key_row *row,
                     const struct toml_value *value) _must_check_;

/* The table `vm.mounts`. */
int parser_set_mounts(struct parser *parser, struct target *target, const struct toml_value *value) _must_check_;

/* Takes a string out of a value: a string without NULs. `name` is the key's, for messages. Caller frees. */
int parser_string(struct parser *parser, const struct toml_value *value, const char *name, char **ret_string)
    _must_check_;
/* The same for a path, which must not be empty and is taken from the configuration's directory. */
int parser_path(struct parser *parser, const struct toml_value *value, const char *name, char **ret_path) _must_check_;
int parser_bool(struct parser *parser, const struct toml_value *value, const char *name, bool *ret_bool) _must_check_;

#endif
