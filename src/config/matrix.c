/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The axes of a [[matrix]] and its combinations. A first walk over the table tells which keys are axes, and warns; then
 * config.c reads the table once for each combination, as if the current values stood in it.
 */
#include "config/matrix.h"

static bool is_used(const struct matrix *matrix, const char *name) {
    return matrix->used.count > 0 &&
           bsearch(&name, matrix->used.items, matrix->used.count, sizeof(char *), str_compare) != NULL;
}

/* Which names stand in braces, here and in what [[matrix]] takes from [defaults]. */
static void collect_used(struct matrix *matrix, const struct parser *parser) {
    for (size_t i = 0; i < matrix->table->count; i++) {
        if (!str_equal(matrix->table->entries[i].key, "exclude"))
            placeholder_collect(&matrix->table->entries[i].value, &matrix->used);
    }
    for (size_t i = 0; i < config_key_count; i++) {
        if (parser->defaults[i])
            placeholder_collect(parser->defaults[i], &matrix->used);
    }
    if (matrix->used.count > 0)
        qsort(matrix->used.items, matrix->used.count, sizeof(char *), str_compare);
}

static bool takes_list(const struct config_key_row *row) {
    return row->type == CONFIG_STRINGS || row->type == CONFIG_SET || row->type == CONFIG_MOUNTS;
}

static void add_axis(struct matrix *matrix, const char *name, const struct config_key_row *row,
                     const struct toml_entry *entry) {
    matrix->axes = xreallocarray(matrix->axes, matrix->n_axes + 1, sizeof(*matrix->axes));
    matrix->axes[matrix->n_axes++] =
        (struct axis){.name = xstrdup(name), .row = row, .list = &entry->value, .position = entry->position};
}

/* A name that can stand in braces. */
static bool can_name_axis(const struct toml_entry *entry) {
    return entry->key_length > 0 && strlen(entry->key) == entry->key_length && !strpbrk(entry->key, ".{}") &&
           !config_has_control(entry->key);
}

static int warn_unknown(struct parser *parser, const struct matrix *matrix, const struct toml_entry *entry,
                        const char *name) {
    const char *const *known = (const char *const *)parser->known.items;
    const char *ignored = parser->strict ? "" : " is ignored";

    if (!can_name_axis(entry) || parser_has_near(name, known))
        return parser_unknown(parser, entry->position, name, known);
    if (entry->value.type == TOML_TYPE_ARRAY)
        return parser_warn(parser, entry->position,
                           "unknown key '%s'%s; to make it an axis, write {%s} where it is wanted", name, ignored,
                           name);
    if (entry->value.type != TOML_TYPE_TABLE && is_used(matrix, name))
        return parser_warn(parser, entry->position, "unknown key '%s'%s; to make it an axis, give it a list", name,
                           ignored);
    return parser_unknown(parser, entry->position, name, known);
}

static int check_pattern(struct parser *parser, const struct config_key_row *row, const struct toml_value *value) {
    if (row->type != CONFIG_PATH || value->type != TOML_TYPE_STRING || !strpbrk(value->string, "*?"))
        return 0;

    _cleanup_free_ char *shown = config_quote(value->string, value->count);
    return parser_fail(parser, value->position,
                       "'%s' is a pattern, and those are expanded in a list only; write [\"%s\"]", row->name, shown);
}

static int collect_axes(struct matrix *matrix, struct parser *parser, const char *prefix,
                        const struct toml_value *table) {
    for (size_t i = 0; i < table->count; i++) {
        const struct toml_entry *entry = &table->entries[i];
        _cleanup_free_ char *name = parser_key_name(prefix, entry);
        _cleanup_free_ char *axis = xasprintf("%s%s", prefix, entry->key);
        const struct config_key_row *row = config_find_key(name);
        bool is_list = entry->value.type == TOML_TYPE_ARRAY;
        int r = 0;

        if (row && is_list && !takes_list(row))
            add_axis(matrix, name, row, entry);
        else if (row)
            r = check_pattern(parser, row, &entry->value);
        else if (str_equal(name, "exclude"))
            matrix->exclude = &entry->value;
        else if (str_equal(name, "vm") && entry->value.type == TOML_TYPE_TABLE)
            r = collect_axes(matrix, parser, "vm.", &entry->value);
        else if (is_list && !str_equal(name, "vm") && can_name_axis(entry) && is_used(matrix, axis))
            add_axis(matrix, axis, NULL, entry);
        else if (!str_equal(name, "vm"))
            r = warn_unknown(parser, matrix, entry, name);
        if (r < 0)
            return r;
    }
    return 0;
}

static int compare_axes(const void *a, const void *b) {
    return parser_compare_positions(&((const struct axis *)a)->position, &((const struct axis *)b)->position);
}

struct variable {
    char *name;
    const struct axis *axis;
};

static int compare_variables(const void *a, const void *b) {
    return strcmp(((const struct variable *)a)->name, ((const struct variable *)b)->name);
}

/* Two axes that the command could not tell apart. */
static int check_variables(const struct matrix *matrix, struct parser *parser) {
    _cleanup_free_ struct variable *variables = xcalloc(matrix->n_axes + 1, sizeof(*variables));
    int r = 0;

    for (size_t i = 0; i < matrix->n_axes; i++)
        variables[i] = (struct variable){target_axis_variable(matrix->axes[i].name), &matrix->axes[i]};
    qsort(variables, matrix->n_axes, sizeof(*variables), compare_variables);
    for (size_t i = 1; r == 0 && i < matrix->n_axes; i++) {
        if (str_equal(variables[i - 1].name, variables[i].name))
            r = parser_fail(parser, variables[i].axis->position,
                            "the axes '%s' and '%s' would both be %s for the command; rename one",
                            variables[i - 1].axis->name, variables[i].axis->name, variables[i].name);
    }
    for (size_t i = 0; i < matrix->n_axes; i++)
        free(variables[i].name);
    return r;
}

static int read_axes(struct matrix *matrix, struct parser *parser) {
    size_t combinations = 1;
    int r = check_variables(matrix, parser);

    for (size_t i = 0; r == 0 && i < matrix->n_axes; i++) {
        r = axis_read_values(&matrix->axes[i], parser);
        if (r < 0)
            return r;
        if (combinations > MATRIX_MAX / matrix->axes[i].n_values)
            return parser_fail(parser, matrix->table->position,
                               "the matrix has more than %d combinations; give its axes fewer values", MATRIX_MAX);
        combinations *= matrix->axes[i].n_values;
    }
    return r;
}

int matrix_read(struct matrix *matrix, struct parser *parser, const struct toml_value *table) {
    matrix->table = table;
    collect_used(matrix, parser);
    int r = collect_axes(matrix, parser, "", table);
    if (r < 0)
        return r;
    if (matrix->n_axes > 0)
        qsort(matrix->axes, matrix->n_axes, sizeof(*matrix->axes), compare_axes);
    parser->matrix = matrix;
    r = read_axes(matrix, parser);
    if (r == 0)
        r = matrix_read_exclusions(matrix, parser);
    parser->matrix = NULL;
    return r;
}

void matrix_deinit(struct matrix *matrix) {
    for (size_t i = 0; i < matrix->n_exclusions; i++) {
        for (size_t j = 0; j < matrix->n_axes; j++)
            free(matrix->exclusions[i].matches[j]);
        free(matrix->exclusions[i].matches);
    }
    for (size_t i = 0; i < matrix->n_axes; i++)
        axis_deinit(&matrix->axes[i]);
    free(matrix->exclusions);
    free(matrix->axes);
    strv_deinit(&matrix->used);
}

bool matrix_next(struct matrix *matrix) {
    for (size_t i = matrix->n_axes; i-- > 0;) {
        struct axis *axis = &matrix->axes[i];

        if (++axis->current < axis->n_values)
            return true;
        axis->current = 0;
    }
    return false;
}

const struct axis_value *matrix_value(const struct matrix *matrix, const struct toml_value *list) {
    for (size_t i = 0; i < matrix->n_axes; i++) {
        if (matrix->axes[i].list == list)
            return &matrix->axes[i].values[matrix->axes[i].current];
    }
    return NULL;
}

char *matrix_name(const struct matrix *matrix) {
    struct buffer name = {0};

    if (matrix->n_axes == 0)
        return NULL;
    for (size_t i = 0; i < matrix->n_axes; i++) {
        const struct axis *axis = &matrix->axes[i];
        const struct axis_value *value = &axis->values[axis->current];
        bool speaks = value->value.type == TOML_TYPE_STRING && !str_empty(value->label);

        buffer_append_string(&name, i ? ", " : "");
        if (!speaks)
            buffer_printf(&name, "%s=", axis->name);
        buffer_append_string(&name, value->label);
    }
    return buffer_take(&name);
}

void matrix_describe(const struct matrix *matrix, struct target *target) {
    target->axes = xcalloc(matrix->n_axes, sizeof(*target->axes));
    target->n_axes = matrix->n_axes;
    for (size_t i = 0; i < matrix->n_axes; i++) {
        const struct axis *axis = &matrix->axes[i];
        const struct axis_value *value = &axis->values[axis->current];

        target->axes[i] = (struct target_axis){xstrdup(axis->name), xstrdup(value->text), xstrdup(value->label)};
    }
}
