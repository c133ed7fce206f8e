/* SPDX-License-Identifier: Apache-2.0 */
/* The value of one key into one field of a target, by the type that the key table gives it. */
#include <inttypes.h>
#include <math.h>

#include "base/clock.h"
#include "base/file.h"
#include "config/internal.h"

static int wrong_type(struct parser *parser, const struct toml_value *value, const char *name, const char *expected) {
    return parser_fail(parser, value->position, "'%s' must be %s, not %s", name, expected, toml_type_name(value->type));
}

int parser_string(struct parser *parser, const struct toml_value *value, const char *name, char **ret_string) {
    if (value->type != TOML_TYPE_STRING)
        return wrong_type(parser, value, name, "a string");
    if (strlen(value->string) != value->count)
        return parser_fail(parser, value->position, "'%s' has a NUL character (\\u0000) in it; remove it", name);

    char *string = parser_expand(parser, value->position, value->string, value->count);
    if (!string)
        return -EINVAL;
    *ret_string = string;
    return 0;
}

int parser_path(struct parser *parser, const struct toml_value *value, const char *name, char **ret_path) {
    _cleanup_free_ char *path = NULL;
    int r = parser_string(parser, value, name, &path);

    if (r < 0)
        return r;
    if (str_empty(path))
        return parser_fail(parser, value->position, "'%s' is empty; give a path or remove it", name);
    *ret_path = path_resolve(parser->directory, path);
    return 0;
}

int parser_bool(struct parser *parser, const struct toml_value *value, const char *name, bool *ret_bool) {
    if (value->type != TOML_TYPE_BOOLEAN)
        return wrong_type(parser, value, name, "true or false");
    *ret_bool = value->boolean;
    return 0;
}

static int set_integer(struct parser *parser, const struct toml_value *value, const struct config_key_row *row,
                       unsigned *field) {
    if (value->type != TOML_TYPE_INTEGER)
        return wrong_type(parser, value, row->name, "an integer");
    if (value->integer < row->minimum || value->integer > row->maximum)
        return parser_fail(parser, value->position, "'%s' is %" PRId64 "; it must be from %lld to %lld", row->name,
                           value->integer, row->minimum, row->maximum);
    *field = (unsigned)value->integer;
    return 0;
}

static int set_enum(struct parser *parser, const struct toml_value *value, const struct config_key_row *row,
                    unsigned *field) {
    _cleanup_free_ char *text = NULL;
    int r = parser_string(parser, value, row->name, &text);

    if (r < 0)
        return r;

    int index = config_value_index(row, text);
    if (index < 0) {
        _cleanup_free_ char *shown = config_quote(text, strlen(text));
        _cleanup_free_ char *known = config_values_text(row);

        return parser_fail(parser, value->position, "'%s' is '%s'; it must be %s", row->name, shown, known);
    }
    *field = (unsigned)index;
    return 0;
}

/* A number of seconds. */
static int set_seconds(struct parser *parser, const struct toml_value *value, const struct config_key_row *row,
                       uint64_t *field) {
    double seconds = value->type == TOML_TYPE_INTEGER ? (double)value->integer : value->floating;
    double nsec = seconds * (double)NSEC_PER_SEC;

    if (isnan(seconds) || seconds <= 0)
        return parser_fail(parser, value->position, "'%s' must be more than zero seconds", row->name);
    if (nsec >= (double)UINT64_MAX)
        return parser_fail(parser, value->position, "'%s' is too long; at most 500 years fit", row->name);
    *field = nsec < 1 ? 1 : (uint64_t)nsec;
    return 0;
}

static int set_duration(struct parser *parser, const struct toml_value *value, const struct config_key_row *row,
                        uint64_t *field) {
    _cleanup_free_ char *text = NULL;
    _cleanup_error_ struct error *error = NULL;

    if (value->type == TOML_TYPE_INTEGER || value->type == TOML_TYPE_FLOAT)
        return set_seconds(parser, value, row, field);
    if (value->type != TOML_TYPE_STRING)
        return wrong_type(parser, value, row->name, "a duration such as \"90s\" or a number of seconds");
    int r = parser_string(parser, value, row->name, &text);
    if (r < 0)
        return r;
    if (config_parse_duration(text, field, &error) < 0)
        return parser_fail(parser, value->position, "'%s': %s", row->name, error_message(error));
    return 0;
}

static int set_memory(struct parser *parser, const struct toml_value *value, const struct config_key_row *row,
                      struct target *target) {
    _cleanup_free_ char *text = NULL;
    _cleanup_error_ struct error *error = NULL;

    if (value->type != TOML_TYPE_STRING)
        return wrong_type(parser, value, row->name, "a string such as \"4G\"");
    int r = parser_string(parser, value, row->name, &text);
    if (r < 0)
        return r;
    if (config_parse_memory(text, config_field(target, row), &error) < 0)
        return parser_fail(parser, value->position, "'%s': %s", row->name, error_message(error));
    free(target->memory_text);
    target->memory_text = TAKE_PTR(text);
    return 0;
}

static int set_strings(struct parser *parser, const struct toml_value *value, const struct config_key_row *row,
                       struct strv *field) {
    if (value->type != TOML_TYPE_ARRAY)
        return wrong_type(parser, value, row->name, "a list of strings");
    for (size_t i = 0; i < value->count; i++) {
        const struct toml_value *item = &value->items[i];
        char *string = NULL;

        if (item->type != TOML_TYPE_STRING)
            return parser_fail(parser, item->position, "'%s' must be a list of strings, but its item %zu is %s",
                               row->name, i + 1, toml_type_name(item->type));
        int r = parser_string(parser, item, row->name, &string);
        if (r < 0)
            return r;
        strv_append_take(field, string);
    }
    return 0;
}

static int set_set(struct parser *parser, const struct toml_value *value, const struct config_key_row *row,
                   unsigned *field) {
    if (value->type != TOML_TYPE_ARRAY)
        return wrong_type(parser, value, row->name, "a list of strings");
    *field = 0;
    for (size_t i = 0; i < value->count; i++) {
        const struct toml_value *item = &value->items[i];
        _cleanup_free_ char *name = NULL;
        _cleanup_error_ struct error *error = NULL;

        if (item->type != TOML_TYPE_STRING)
            return parser_fail(parser, item->position, "'%s' must be a list of strings, but its item %zu is %s",
                               row->name, i + 1, toml_type_name(item->type));
        int r = parser_string(parser, item, row->name, &name);
        if (r < 0)
            return r;
        if (config_set_add(row, name, field, &error) < 0)
            return parser_fail(parser, item->position, "'%s': %s", row->name, error_message(error));
    }
    return 0;
}

/* A string or a path: the new value takes the place of the default. */
static int set_string(struct parser *parser, const struct toml_value *value, const struct config_key_row *row,
                      char **field) {
    char *string = NULL;
    int r = row->type == CONFIG_PATH ? parser_path(parser, value, row->name, &string)
                                     : parser_string(parser, value, row->name, &string);

    if (r < 0)
        return r;
    if (row->key == KEY_QEMU_COMMAND && strchr(string, '/')) {
        char *path = path_resolve(parser->directory, string);

        free(string);
        string = path;
    }
    free(*field);
    *field = string;
    return 0;
}

int parser_set_value(struct parser *parser, struct target *target, const struct config_key_row *row,
                     const struct toml_value *value) {
    void *field = config_field(target, row);
    int r = -EINVAL;

    switch (row->type) {
    case CONFIG_STRING:
    case CONFIG_PATH:
        r = set_string(parser, value, row, field);
        break;
    case CONFIG_BOOL:
        r = parser_bool(parser, value, row->name, field);
        break;
    case CONFIG_INTEGER:
        r = set_integer(parser, value, row, field);
        break;
    case CONFIG_DURATION:
        r = set_duration(parser, value, row, field);
        break;
    case CONFIG_MEMORY:
        r = set_memory(parser, value, row, target);
        break;
    case CONFIG_ENUM:
        r = set_enum(parser, value, row, field);
        break;
    case CONFIG_SET:
        r = set_set(parser, value, row, field);
        break;
    case CONFIG_STRINGS:
        r = set_strings(parser, value, row, field);
        break;
    case CONFIG_MOUNTS:
        r = parser_set_mounts(parser, target, value);
        break;
    }
    if (r < 0)
        return r;
    if (!target->where[row->key]) /* the defaults' mounts come behind its own */
        target->where[row->key] = xasprintf("%s:%u:%u", parser->path, value->position.line, value->position.column);
    return 0;
}
