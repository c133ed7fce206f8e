/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `exclude` of a [[matrix]]: tables of patterns by axis. Each pattern is held against the axis' values once; after that
 * a combination is looked up.
 */
#include <fnmatch.h>

#include "base/file.h"
#include "config/matrix.h"

/*
 * A pattern stands for a value by the whole of it or by its label. A path in the configuration's directory is seen from
 * there, unless the pattern begins with a slash: what a checkout is called must leave out no test.
 */
static bool matches_value(const struct parser *parser, const struct axis_value *value, const char *pattern) {
    const char *seen = value->text;

    if (value->text[0] == '/' && pattern[0] != '/' && path_is_below(value->text, parser->directory)) {
        seen += strlen(parser->directory);
        seen += strspn(seen, "/");
    }
    return fnmatch(pattern, seen, 0) == 0 || fnmatch(pattern, value->label, 0) == 0;
}

static int mark_pattern(struct parser *parser, const struct axis *axis, const struct toml_value *value, bool *matches) {
    _cleanup_free_ char *pattern = axis_text(value);

    if (!pattern)
        return parser_fail(
            parser, value->position,
            "'exclude': '%s' must be a pattern, a number, true or false, or a list of them, not %s", axis->name,
            value->type == TOML_TYPE_STRING ? "a string with a NUL character" : toml_type_name(value->type));
    for (size_t i = 0; i < axis->n_values; i++)
        matches[i] = matches[i] || matches_value(parser, &axis->values[i], pattern);
    return 0;
}

static int fail_no_axis(struct parser *parser, const struct matrix *matrix, const struct toml_entry *entry,
                        const char *name) {
    struct buffer known = {0};

    for (size_t i = 0; i < matrix->n_axes; i++)
        buffer_printf(&known, "%s%s", i ? ", " : "", matrix->axes[i].name);
    _cleanup_free_ char *axes = buffer_take(&known);
    parser_report(parser, entry->position, "'exclude': '%s' is not an axis of this matrix; %s%s", name,
                  matrix->n_axes == 0   ? "it has none"
                  : matrix->n_axes == 1 ? "its axis is "
                                        : "its axes are ",
                  axes);
    parser_add_suspicion(parser, 0);
    return -EINVAL;
}

static int read_exclusion(struct parser *parser, const struct matrix *matrix, struct exclusion *exclusion,
                          const char *prefix, const struct toml_value *table) {
    int r = 0;

    if (table->count == 0)
        return parser_fail(parser, table->position,
                           "'exclude' has an empty table, which would leave out everything; name an axis in it");
    for (size_t i = 0; r == 0 && i < table->count; i++) {
        const struct toml_entry *entry = &table->entries[i];
        const struct toml_value *value = &entry->value;
        _cleanup_free_ char *key = xasprintf("%s%s", prefix, entry->key);
        _cleanup_free_ char *name = parser_key_name(prefix, entry);
        size_t found = 0;

        while (found < matrix->n_axes && !str_equal(matrix->axes[found].name, key))
            found++;
        if (found == matrix->n_axes) {
            if (str_equal(name, "vm") && value->type == TOML_TYPE_TABLE)
                r = read_exclusion(parser, matrix, exclusion, "vm.", value);
            else
                r = fail_no_axis(parser, matrix, entry, name);
            continue;
        }
        const struct axis *axis = &matrix->axes[found];
        if (!exclusion->matches[found])
            exclusion->matches[found] = xcalloc(axis->n_values, sizeof(bool));
        if (value->type != TOML_TYPE_ARRAY)
            r = mark_pattern(parser, axis, value, exclusion->matches[found]);
        for (size_t j = 0; r == 0 && value->type == TOML_TYPE_ARRAY && j < value->count; j++)
            r = mark_pattern(parser, axis, &value->items[j], exclusion->matches[found]);
    }
    return r;
}

int matrix_read_exclusions(struct matrix *matrix, struct parser *parser) {
    const struct toml_value *list = matrix->exclude;

    if (!list)
        return 0;
    if (list->type != TOML_TYPE_ARRAY)
        return parser_fail(parser, list->position, "'exclude' must be a list of tables, not %s; write [{ ... }]",
                           toml_type_name(list->type));
    matrix->exclusions = xcalloc(list->count + 1, sizeof(*matrix->exclusions));
    for (size_t i = 0; i < list->count; i++) {
        struct exclusion *exclusion = &matrix->exclusions[matrix->n_exclusions];

        if (list->items[i].type != TOML_TYPE_TABLE)
            return parser_fail(parser, list->items[i].position, "'exclude' must be a list of tables, but holds %s",
                               toml_type_name(list->items[i].type));
        exclusion->matches = xcalloc(matrix->n_axes + 1, sizeof(*exclusion->matches));
        matrix->n_exclusions++;
        int r = read_exclusion(parser, matrix, exclusion, "", &list->items[i]);
        if (r < 0)
            return r;
    }
    return 0;
}

static bool exclusion_matches(const struct matrix *matrix, const struct exclusion *exclusion) {
    for (size_t i = 0; i < matrix->n_axes; i++) {
        if (exclusion->matches[i] && !exclusion->matches[i][matrix->axes[i].current])
            return false;
    }
    return true;
}

bool matrix_is_excluded(const struct matrix *matrix) {
    for (size_t i = 0; i < matrix->n_exclusions; i++) {
        if (exclusion_matches(matrix, &matrix->exclusions[i]))
            return true;
    }
    return false;
}
