/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The value of a key into its field of a target, by the type in the key table. A value comes from a file, or is made of
 * the argument of the key's option: one setter for both, which names the key or the option in its errors.
 */
#include <inttypes.h>
#include <math.h>

#include "base/clock.h"
#include "base/file.h"
#include "config/config-internal.h"

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

/* A whole number as an option's argument: decimal digits alone. */
static bool integer_read(const char *text, int64_t *ret_number) {
    char *end;

    errno = 0;
    *ret_number = strtoll(text, &end, 10);
    return errno == 0 && text[0] >= '0' && text[0] <= '9' && *end == '\0';
}

static int set_integer(struct parser *parser, const struct toml_value *value, const char *name,
                       const struct config_key_row *row, unsigned *field) {
    if (parser->option && value->type == TOML_TYPE_STRING)
        return parser_fail(parser, value->position, "'%s': '%s' is not a number from %lld to %lld", name, value->string,
                           row->minimum, row->maximum);
    if (value->type != TOML_TYPE_INTEGER)
        return wrong_type(parser, value, name, "an integer");
    if (value->integer < row->minimum || value->integer > row->maximum)
        return parser_fail(parser, value->position, "'%s' is %" PRId64 "; it must be from %lld to %lld", name,
                           value->integer, row->minimum, row->maximum);
    *field = (unsigned)value->integer;
    return 0;
}

static int set_enum(struct parser *parser, const struct toml_value *value, const char *name,
                    const struct config_key_row *row, unsigned *field) {
    _cleanup_free_ char *text = NULL;
    int r = parser_string(parser, value, name, &text);

    if (r < 0)
        return r;

    int index = config_value_index(row->values, text);
    if (index < 0) {
        _cleanup_free_ char *shown = config_quote(text, strlen(text));
        _cleanup_free_ char *known = config_values_text(row->values);

        return parser_fail(parser, value->position, "'%s' is '%s'; it must be %s", name, shown, known);
    }
    *field = (unsigned)index;
    return 0;
}

static int set_seconds(struct parser *parser, const struct toml_value *value, const char *name, uint64_t *field) {
    double seconds = value->type == TOML_TYPE_INTEGER ? (double)value->integer : value->floating;
    double nsec = seconds * (double)NSEC_PER_SEC;

    if (isnan(seconds) || seconds <= 0)
        return parser_fail(parser, value->position, "'%s' must be more than zero seconds", name);
    if (nsec >= (double)UINT64_MAX)
        return parser_fail(parser, value->position, "'%s' is too long; the most is 500 years", name);
    *field = nsec < 1 ? 1 : (uint64_t)nsec;
    return 0;
}

/* A duration or an amount of memory that is written as a string, which *ret_text gets. */
static int set_amount(struct parser *parser, const struct toml_value *value, const char *name, const char *expected,
                      int (*parse)(const char *, uint64_t *, struct error **), uint64_t *field, char **ret_text) {
    _cleanup_error_ struct error *error = NULL;
    int r;

    if (value->type != TOML_TYPE_STRING)
        return wrong_type(parser, value, name, expected);
    r = parser_string(parser, value, name, ret_text);
    if (r == 0 && parse(*ret_text, field, &error) < 0)
        r = parser_fail(parser, value->position, "'%s': %s", name, error_message(error));
    return r;
}

static int set_duration(struct parser *parser, const struct toml_value *value, const char *name, uint64_t *field) {
    _cleanup_free_ char *text = NULL;

    if (value->type == TOML_TYPE_INTEGER || value->type == TOML_TYPE_FLOAT)
        return set_seconds(parser, value, name, field);
    return set_amount(parser, value, name, "a duration such as \"90s\" or a number of seconds", config_parse_duration,
                      field, &text);
}

static int set_memory(struct parser *parser, const struct toml_value *value, const char *name, uint64_t *field,
                      struct target *target) {
    _cleanup_free_ char *text = NULL;
    int r = set_amount(parser, value, name, "a string such as \"4G\"", config_parse_memory, field, &text);

    if (r < 0)
        return r;
    free(target->memory_text);
    target->memory_text = TAKE_PTR(text);
    return 0;
}

static int set_strings(struct parser *parser, const struct toml_value *value, const char *name, struct strv *field) {
    if (value->type != TOML_TYPE_ARRAY)
        return wrong_type(parser, value, name, "a list of strings");
    for (size_t i = 0; i < value->count; i++) {
        const struct toml_value *item = &value->items[i];
        char *string = NULL;

        if (item->type != TOML_TYPE_STRING)
            return parser_fail(parser, item->position, "'%s' must be a list of strings, but its item %zu is %s", name,
                               i + 1, toml_type_name(item->type));
        int r = parser_string(parser, item, name, &string);
        if (r < 0)
            return r;
        strv_append_take(field, string);
    }
    return 0;
}

static int set_set(struct parser *parser, const struct toml_value *value, const char *name,
                   const struct config_key_row *row, unsigned *field) {
    _cleanup_strv_ struct strv items = {0};
    int any = config_value_index(row->values, "any");
    unsigned bits = 0;
    int r = set_strings(parser, value, name, &items);

    if (r < 0)
        return r;
    for (size_t i = 0; i < items.count; i++) {
        int index = config_value_index(row->values, items.items[i]);

        if (index < 0) {
            _cleanup_free_ char *shown = config_quote(items.items[i], strlen(items.items[i]));
            _cleanup_free_ char *known = config_values_text(row->values);

            return parser_fail(parser, value->items[i].position, "'%s': '%s' is not a valid value (expected %s)", name,
                               shown, known);
        }
        bits |= index == any ? (1u << any) - 1 : 1u << index;
    }
    *field = bits;
    return 0;
}

/* A string, a path or a program: the new value takes the place of the default. */
static int set_string(struct parser *parser, const struct toml_value *value, const char *name,
                      const struct config_key_row *row, char **field) {
    _cleanup_free_ char *string = NULL;
    _cleanup_error_ struct error *error = NULL;
    int r = row->type == CONFIG_PATH ? parser_path(parser, value, name, &string)
                                     : parser_string(parser, value, name, &string);

    if (r < 0)
        return r;
    if (row->type == CONFIG_PROGRAM && str_empty(string))
        return parser_fail(parser, value->position, "'%s' is empty; remove it or give it a value", name);
    if (row->type == CONFIG_PROGRAM && strchr(string, '/')) {
        char *path = path_resolve(parser->directory, string);

        free(string);
        string = path;
    }
    if (row->check && row->check(string, &error) < 0)
        return parser_fail(parser, value->position, "'%s': %s", name, error_message(error));
    free(*field);
    *field = TAKE_PTR(string);
    return 0;
}

static int set_field(struct parser *parser, struct target *target, const struct config_key_row *row,
                     const struct toml_value *value) {
    const char *name = parser->option ? parser->option : row->name;
    void *field = config_field(target, row);

    switch (row->type) {
    case CONFIG_STRING:
    case CONFIG_PATH:
    case CONFIG_PROGRAM:
        return set_string(parser, value, name, row, field);
    case CONFIG_BOOL:
        return parser_bool(parser, value, name, field);
    case CONFIG_INTEGER:
        return set_integer(parser, value, name, row, field);
    case CONFIG_DURATION:
        return set_duration(parser, value, name, field);
    case CONFIG_MEMORY:
        return set_memory(parser, value, name, field, target);
    case CONFIG_ENUM:
        return set_enum(parser, value, name, row, field);
    case CONFIG_SET:
        return set_set(parser, value, name, row, field);
    case CONFIG_STRINGS:
        return set_strings(parser, value, name, field);
    case CONFIG_MOUNTS:
        return parser_set_mounts(parser, target, value);
    }
    return -EINVAL;
}

int parser_set_value(struct parser *parser, struct target *target, const struct config_key_row *row,
                     const struct toml_value *value) {
    int r = set_field(parser, target, row, value);
    char **where = &target->where[config_key_of(row)];

    if (r == 0 && !*where) /* a default's mounts are added to the target's own */
        *where = xasprintf("%s:%u:%u", parser->path, value->position.line, value->position.column);
    return r;
}

/* A value as a file would have it, out of a text without quotes, in which commas part the items of a list. */
static struct toml_value text_value(const struct config_key_row *row, const char *text) {
    struct toml_value value = {.type = TOML_TYPE_STRING};

    if (row->type == CONFIG_BOOL)
        return (struct toml_value){.type = TOML_TYPE_BOOLEAN, .boolean = str_equal(text, "true")};
    if (row->type == CONFIG_INTEGER && integer_read(text, &value.integer)) {
        value.type = TOML_TYPE_INTEGER;
        return value;
    }
    if (row->type != CONFIG_SET && row->type != CONFIG_STRINGS) {
        value.string = xstrdup(text);
        value.count = strlen(text);
        return value;
    }
    value.type = TOML_TYPE_ARRAY;
    for (const char *next = text; next; text = next + 1) {
        size_t length = strcspn(text, ",");

        value.items = xreallocarray(value.items, value.count + 1, sizeof(*value.items));
        value.items[value.count++] =
            (struct toml_value){.type = TOML_TYPE_STRING, .count = length, .string = xstrndup(text, length)};
        next = text[length] == ',' ? text + length : NULL;
    }
    return value;
}

int config_set_option(struct target *target, enum config_key key, const char *text, const char *directory,
                      struct error **ret_error) {
    const struct config_key_row *row = &config_keys[key];
    struct parser parser = {.option = row->option.name, .directory = directory, .error = ret_error};
    const char *flag = row->option.negated_help ? "false" : "true";
    _cleanup_(toml_value_deinit) struct toml_value value = text_value(row, row->type == CONFIG_BOOL ? flag : text);
    int r = set_field(&parser, target, row, &value);

    if (r < 0)
        return r;
    free(target->where[key]);
    target->where[key] = xstrdup(row->option.name);
    return 0;
}

void config_set_default(struct target *target, const struct config_key_row *row) {
    struct parser parser = {.directory = "/"};
    _cleanup_(toml_value_deinit) struct toml_value value = text_value(row, row->def);

    if (set_field(&parser, target, row, &value) < 0)
        abort();
}
