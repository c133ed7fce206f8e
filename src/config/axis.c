/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The values of an axis: the items of its list, with patterns expanded to paths, oldest version first. Of a path the
 * label is the last part; where that is the same in every value (each kernel is called bzImage) what all have in common
 * at the end is dropped, and where some still share it, as much in front of it is added as tells them apart.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/file.h"
#include "config/matrix.h"

bool axis_is_pattern(const char *text) {
    return strpbrk(text, "*?[") != NULL;
}

/* The shortest decimal number that is read back as the same. */
static char *float_text(double number) {
    char text[32];

    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(text, sizeof(text), "%.*g", digits, number);
        if (strtod(text, NULL) == number)
            break;
    }
    return xstrdup(text);
}

char *axis_text(const struct toml_value *value) {
    switch (value->type) {
    case TOML_TYPE_STRING:
        return strlen(value->string) == value->count ? xstrdup(value->string) : NULL;
    case TOML_TYPE_INTEGER:
        return xasprintf("%" PRId64, value->integer);
    case TOML_TYPE_FLOAT:
        return float_text(value->floating);
    case TOML_TYPE_BOOLEAN:
        return xstrdup(value->boolean ? "true" : "false");
    case TOML_TYPE_DATE:
    case TOML_TYPE_ARRAY:
    case TOML_TYPE_TABLE:
        break;
    }
    return NULL;
}

static bool takes_path(const struct axis *axis, const char *text) {
    if (!axis->row)
        return false;
    return axis->row->type == CONFIG_PATH || (axis->row->type == CONFIG_PROGRAM && strchr(text, '/'));
}

char *config_clean_path(const char *path) {
    struct buffer clean = {0};

    while (*(path += strspn(path, "/"))) {
        size_t length = strcspn(path, "/");

        if (length != 1 || path[0] != '.') {
            buffer_append(&clean, "/", 1);
            buffer_append(&clean, path, length);
        }
        path += length;
    }
    return buffer_take(&clean);
}

/* Part by part, so that 5.10 comes before 5.10.1 whatever stands behind them. */
static int compare_paths(const void *a, const void *b) {
    const char *left = *(char *const *)a;
    const char *right = *(char *const *)b;

    for (;;) {
        size_t left_length = strcspn(left, "/");
        size_t right_length = strcspn(right, "/");
        _cleanup_free_ char *left_part = xstrndup(left, left_length);
        _cleanup_free_ char *right_part = xstrndup(right, right_length);
        int order = strverscmp(left_part, right_part);

        left += left_length;
        right += right_length;
        if (order != 0 || *left == '\0' || *right == '\0')
            return order != 0 ? order : (*left != '\0') - (*right != '\0');
        left++;
        right++;
    }
}

static int compare_names(const void *a, const void *b) {
    int order = strverscmp(path_basename(*(char *const *)a), path_basename(*(char *const *)b));

    return order != 0 ? order : compare_paths(a, b);
}

/*
 * By the files' names, where all of them have a version: the directories are often a distribution's name. Else by the
 * whole paths. One order for all of them, so that it is the same wherever the files were listed.
 */
static void sort_by_version(struct strv *paths) {
    bool by_name = true;

    for (size_t i = 0; i < paths->count; i++)
        by_name = by_name && strpbrk(path_basename(paths->items[i]), "0123456789");
    if (paths->count > 0)
        qsort(paths->items, paths->count, sizeof(*paths->items), by_name ? compare_names : compare_paths);
}

static struct axis_value *add_value(struct axis *axis) {
    if (axis->n_values % 16 == 0)
        axis->values = xreallocarray(axis->values, axis->n_values + 16, sizeof(*axis->values));
    axis->values[axis->n_values] = (struct axis_value){0};
    return &axis->values[axis->n_values++];
}

/* A name that can stand in a target's. What lies above the configuration is the user's own affair. */
static bool is_presentable(const struct parser *parser, const char *path) {
    const char *below = str_skip_prefix(path, parser->directory);
    const char *shown = below ? below : path;

    return utf8_valid_prefix(shown, strlen(shown)) == strlen(shown) && !config_has_control(shown);
}

static int add_matches(struct axis *axis, struct parser *parser, const struct toml_value *item) {
    _cleanup_free_ char *shown = config_quote(item->string, item->count);
    _cleanup_error_ struct error *error = NULL;
    _cleanup_strv_ struct strv paths = {0};

    if (parser->glob(parser->directory, item->string, &paths, &error) < 0)
        return parser_fail(parser, item->position, "'%s': the pattern '%s': %s", axis->name, shown,
                           error_message(error));
    if (paths.count == 0)
        return parser_fail(parser, item->position, "'%s': no file matches the pattern '%s'; patterns are taken from %s",
                           axis->name, shown, parser->directory);
    if (paths.count > MATRIX_MAX - axis->n_values)
        return parser_fail(parser, item->position, "'%s' has more than %d values", axis->name, MATRIX_MAX);
    for (size_t i = 0; i < paths.count; i++) {
        char *clean = config_clean_path(paths.items[i]);

        free(paths.items[i]);
        paths.items[i] = clean;
    }
    sort_by_version(&paths);
    for (size_t i = 0; i < paths.count; i++) {
        if (!is_presentable(parser, paths.items[i])) {
            _cleanup_free_ char *name = config_quote(paths.items[i], strlen(paths.items[i]));
            size_t valid = utf8_valid_prefix(name, strlen(name));

            return parser_fail(parser, item->position,
                               "'%s': the pattern '%s' matches a name that is not printable UTF-8, '%.*s'; rename it",
                               axis->name, shown, (int)valid, name);
        }
        struct axis_value *value = add_value(axis);
        value->found = true;
        value->text = xstrdup(paths.items[i]);
        value->value = (struct toml_value){
            .type = TOML_TYPE_STRING, .position = item->position, .count = strlen(value->text), .string = value->text};
    }
    return 0;
}

/* A placeholder in a value would not be replaced; whoever wrote it thought that it would. */
static int check_braces(const struct axis *axis, struct parser *parser, const struct toml_value *item) {
    _cleanup_strv_ struct strv names = {0};

    placeholder_collect(item, &names);
    for (size_t i = 0; i < names.count; i++) {
        for (size_t j = 0; j < parser->matrix->n_axes; j++) {
            const char *other = parser->matrix->axes[j].name;

            if (str_equal(names.items[i], other))
                return parser_fail(
                    parser, item->position,
                    "'%s': the values of an axis are taken as they are, so {%s} would not be replaced in "
                    "this one; write it in a key that has no list",
                    axis->name, other);
        }
    }
    return 0;
}

static int add_item(struct axis *axis, struct parser *parser, const struct toml_value *item) {
    char *text = axis_text(item);

    if (!text && item->type == TOML_TYPE_STRING)
        return parser_fail(parser, item->position, "'%s' has a NUL character (\\u0000) in it; remove it", axis->name);
    if (!text)
        return parser_fail(parser, item->position, "the values of the axis '%s' must be %s, not %s", axis->name,
                           axis->row ? "what the key takes" : "strings, integers or booleans",
                           toml_type_name(item->type));
    if (!axis->row && item->type == TOML_TYPE_FLOAT) {
        free(text);
        return parser_fail(
            parser, item->position,
            "the axis '%s' has a floating-point number, which does not keep how it is written; put it in "
            "quotes",
            axis->name);
    }
    int r = item->type == TOML_TYPE_STRING ? check_braces(axis, parser, item) : 0;
    bool is_path = item->type == TOML_TYPE_STRING && takes_path(axis, text);
    if (r < 0 || (is_path && parser->glob && axis_is_pattern(text))) {
        free(text);
        return r < 0 ? r : add_matches(axis, parser, item);
    }

    struct axis_value *value = add_value(axis);
    value->value = *item;
    value->text = text;
    if (is_path) {
        _cleanup_free_ char *path = path_resolve(parser->directory, text);

        free(text);
        value->text = config_clean_path(path);
    }
    return 0;
}

struct entry {
    const char *text;
    size_t index;
};

static int compare_entries(const void *a, const void *b) {
    const struct entry *left = a;
    const struct entry *right = b;
    int order = strcmp(left->text, right->text);

    return order != 0 ? order : (left->index > right->index) - (left->index < right->index);
}

static void value_deinit(struct axis_value *value) {
    free(value->text);
    free(value->label);
}

/* Drops what a pattern found and is there already; what was written twice is a mistake. */
static int remove_doubles(struct axis *axis, struct parser *parser) {
    _cleanup_free_ struct entry *sorted = xcalloc(axis->n_values, sizeof(*sorted));
    _cleanup_free_ bool *drop = xcalloc(axis->n_values, sizeof(*drop));
    size_t kept = 0;

    for (size_t i = 0; i < axis->n_values; i++)
        sorted[i] = (struct entry){axis->values[i].text, i};
    qsort(sorted, axis->n_values, sizeof(*sorted), compare_entries);
    for (size_t i = 1, first = 0; i < axis->n_values; i++) {
        const struct axis_value *one = &axis->values[sorted[first].index];
        const struct axis_value *other = &axis->values[sorted[i].index];

        if (!str_equal(one->text, other->text)) {
            first = i;
            continue;
        }
        if (!one->found && !other->found) {
            _cleanup_free_ char *shown = config_quote(other->text, strlen(other->text));

            return parser_fail(parser, other->value.position, "the axis '%s' has the value '%s' twice; remove one",
                               axis->name, shown);
        }
        drop[sorted[i].index] = true;
    }
    for (size_t i = 0; i < axis->n_values; i++) {
        if (drop[i])
            value_deinit(&axis->values[i]);
        else
            axis->values[kept++] = axis->values[i];
    }
    axis->n_values = kept;
    return 0;
}

/* Cuts off the last part that all paths have in common, as long as each has another in front of it. */
static bool cut_common_part(struct strv *paths) {
    const char *last = strrchr(paths->items[0], '/');

    for (size_t i = 0; i < paths->count; i++) {
        const char *part = strrchr(paths->items[i], '/');

        if (!last || !part || part == paths->items[i] || !str_equal(last, part))
            return false;
    }
    size_t length = strlen(last);
    for (size_t i = 0; i < paths->count; i++)
        paths->items[i][strlen(paths->items[i]) - length] = '\0';
    return true;
}

/* The last `depth` parts of a path, or the whole of it where there are fewer. */
static const char *last_parts(const char *path, size_t depth, bool *ret_whole) {
    const char *at = path + strlen(path);

    while (at > path && depth > 0) {
        at--;
        depth -= *at == '/';
    }
    *ret_whole = depth > 0;
    return *ret_whole ? path : at + 1;
}

/* One round: where several have the same label, each of them gets a longer one. Whether there were any. */
static bool lengthen_labels(const struct strv *paths, size_t *depths, struct entry *sorted) {
    bool changed = false;
    bool whole;

    for (size_t i = 0; i < paths->count; i++)
        sorted[i] = (struct entry){last_parts(paths->items[i], depths[i], &whole), i};
    qsort(sorted, paths->count, sizeof(*sorted), compare_entries);
    for (size_t i = 0; i < paths->count; i++) {
        bool shared = (i > 0 && str_equal(sorted[i - 1].text, sorted[i].text)) ||
                      (i + 1 < paths->count && str_equal(sorted[i + 1].text, sorted[i].text));
        size_t index = sorted[i].index;

        (void)last_parts(paths->items[index], depths[index], &whole);
        if (shared && !whole) {
            depths[index]++;
            changed = true;
        }
    }
    return changed;
}

void axis_set_path_labels(struct axis_value *values, size_t count) {
    _cleanup_strv_ struct strv paths = {0};
    _cleanup_free_ size_t *depths = xcalloc(count, sizeof(*depths));
    _cleanup_free_ struct entry *sorted = xcalloc(count, sizeof(*sorted));

    for (size_t i = 0; i < count; i++) {
        strv_append_take(&paths, config_clean_path(values[i].text));
        depths[i] = 1;
    }
    while (count > 1 && cut_common_part(&paths))
        ;
    while (lengthen_labels(&paths, depths, sorted))
        ;
    for (size_t i = 0; i < count; i++) {
        bool whole;
        const char *label = last_parts(paths.items[i], depths[i], &whole);

        values[i].label = xstrdup((depths[i] > 1 && whole) || str_empty(label) ? values[i].text : label);
    }
}

int axis_read_values(struct axis *axis, struct parser *parser) {
    bool paths = false;
    int r;

    if (axis->list->count == 0)
        return parser_fail(parser, axis->list->position, "the axis '%s' is empty; give it a value or remove it",
                           axis->name);
    if (axis->list->count > MATRIX_MAX)
        return parser_fail(parser, axis->list->position, "'%s' has more than %d values", axis->name, MATRIX_MAX);
    for (size_t i = 0; i < axis->list->count; i++) {
        r = add_item(axis, parser, &axis->list->items[i]);
        if (r < 0)
            return r;
    }
    r = remove_doubles(axis, parser);
    if (r < 0)
        return r;
    for (size_t i = 0; i < axis->n_values; i++)
        paths = paths || takes_path(axis, axis->values[i].text);
    if (paths)
        axis_set_path_labels(axis->values, axis->n_values);
    for (size_t i = 0; !paths && i < axis->n_values; i++)
        axis->values[i].label = xstrdup(axis->values[i].text);
    return 0;
}

void axis_deinit(struct axis *axis) {
    for (size_t i = 0; i < axis->n_values; i++)
        value_deinit(&axis->values[i]);
    free(axis->values);
    free(axis->name);
}
