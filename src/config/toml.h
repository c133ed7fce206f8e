/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TOML 1.0 text to a plain tree with the line and column of every key and value. toml++ does the parsing; nothing of
 * it is seen outside toml.cc. toml_scan() goes over the text first: it refuses what the parser would recurse over
 * without a bound, so that no input can exhaust the stack.
 */
#ifndef VMTEST_CONFIG_TOML_H
#define VMTEST_CONFIG_TOML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum toml_type {
    TOML_TYPE_STRING,
    TOML_TYPE_INTEGER,
    TOML_TYPE_FLOAT,
    TOML_TYPE_BOOLEAN,
    TOML_TYPE_DATE, /* dates and times of every kind; no key takes one, so the value is not kept */
    TOML_TYPE_ARRAY,
    TOML_TYPE_TABLE,
};

/* Both from 1; columns count characters (code points), not bytes. */
struct toml_position {
    unsigned line;
    unsigned column;
};

struct toml_value {
    enum toml_type type;
    struct toml_position position;
    size_t count; /* TABLE, ARRAY: how many entries or items; STRING: its length in bytes */
    union {
        char *string; /* followed by a NUL; may hold others */
        int64_t integer;
        double floating;
        bool boolean;
        struct toml_value *items;
        struct toml_entry *entries; /* in the order of the text */
    };
};

/* A key of a table and its value. */
struct toml_entry {
    char *key; /* followed by a NUL; may hold others */
    size_t key_length;
    struct toml_position position; /* of the key */
    struct toml_value value;
};

/* Why a text is no TOML; `message` is one line, owned. */
struct toml_problem {
    struct toml_position position;
    char *message;
};

/*
 * Looks for what the parser must not see: bytes that are not UTF-8, keys of more than TOML_MAX_KEY_PARTS parts.
 * 0, or -EINVAL with *ret_problem filled.
 */
#define TOML_MAX_KEY_PARTS 16
int toml_scan(const char *text, size_t size, struct toml_problem *ret_problem);

/* Parses a text, with toml_scan() in front. 0, or -EINVAL with *ret_problem filled; the root is a table. */
int toml_parse(const char *text, size_t size, struct toml_value *ret_root, struct toml_problem *ret_problem);

/* Frees what a value holds; {0} is fine. */
void toml_value_deinit(struct toml_value *value);
void toml_problem_deinit(struct toml_problem *problem);

/* "a string", "an integer" ...: for messages. */
const char *toml_type_name(enum toml_type type);

#ifdef __cplusplus
}
#endif

#endif
