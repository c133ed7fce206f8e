/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmtest.toml to targets: the tree of the text is walked in its order, each key is looked up in the key table, and what
 * the tree says is put into the target's field (value.c). The first thing that is wrong ends it.
 */
#include "config/config.h"

#include <sys/stat.h>

#include "base/file.h"
#include "config/matrix.h"

#define FILE_LIMIT (16U << 20)
#define VM_PREFIX "vm."
#define TARGETS_STEP 64
/* What the strings of all combinations may take together, so that a small file cannot fill the memory. */
#define EXPANDED_MAX (256U << 20)

/* The value of one key of a table: within a matrix, of an axis the current one. */
static int set_key(struct parser *parser, struct target *target, const struct config_key_row *row,
                   const struct toml_value *value) {
    const struct axis_value *current = parser->matrix ? matrix_value(parser->matrix, value) : NULL;

    if (!current)
        return parser_set_value(parser, target, row, value);
    parser->literal = true;
    int r = parser_set_value(parser, target, row, &current->value);
    parser->literal = false;
    return r;
}

/* The keys of a table, `prefix` being the name of the table and a dot. Only the root of a target has a `vm`. */
static int parse_keys(struct parser *parser, struct target *target, const char *prefix,
                      const struct toml_value *table) {
    for (size_t i = 0; i < table->count; i++) {
        const struct toml_entry *entry = &table->entries[i];
        _cleanup_free_ char *name = parser_key_name(prefix, entry);
        const struct config_key_row *row = config_find_key(name);
        int r = 0;

        if (row)
            r = set_key(parser, target, row, &entry->value);
        else if (str_equal(name, "vm") && entry->value.type != TOML_TYPE_TABLE)
            r = parser_fail(parser, entry->value.position, "'vm' must be a table, not %s; write [%s.vm]",
                            toml_type_name(entry->value.type), parser->matrix ? "matrix" : "target");
        else if (str_equal(name, "vm"))
            r = parse_keys(parser, target, VM_PREFIX, &entry->value);
        else if (!parser->matrix) /* which has warned before its first combination */
            r = parser_unknown(parser, entry->position, name, (const char *const *)parser->known.items);
        if (r < 0)
            return r;
    }
    return 0;
}

static void set_matrix_name(struct parser *parser, struct target *target, struct toml_position position) {
    target->name = matrix_name(parser->matrix);
    if (target->name)
        target->where[KEY_NAME] = xasprintf("%s:%u:%u", parser->path, position.line, position.column);
}

static void add_target(struct config *config, struct target *target) {
    if (config->n_targets % TARGETS_STEP == 0)
        config->targets = xreallocarray(config->targets, config->n_targets + TARGETS_STEP, sizeof(*config->targets));
    config->targets[config->n_targets++] = target;
}

/* A [[target]], or the combination of parser->matrix. `warnings` is how many there were before it. */
static int parse_target(struct parser *parser, const struct toml_value *table, size_t warnings) {
    _cleanup_target_ struct target *target = target_new();
    int r = parse_keys(parser, target, "", table);

    if (r == 0)
        r = parser_apply_defaults(parser, target);
    if (r < 0)
        return r;
    target->share = xstrdup(parser->directory);
    target_apply_kernel_args(target);
    if (parser->matrix)
        matrix_describe(parser->matrix, target);
    if (!target->name && parser->matrix)
        set_matrix_name(parser, target, table->position);
    if (!target->name)
        r = parser_fail(parser, table->position, "the target has no name; add name = \"...\"");
    else
        r = target_check_consistency(target, parser->error);
    if (r < 0) {
        if (!target->name || (!target->command && target->argv.count == 0) || (!target->kernel && !target->image))
            parser_add_suspicion(parser, warnings);
        return r;
    }
    if (parser->config->n_targets == MATRIX_MAX)
        return parser_fail(parser, table->position, "there are more than %d targets; split the file", MATRIX_MAX);
    add_target(parser->config, TAKE_PTR(target));
    return 0;
}

static int parse_combinations(struct parser *parser, struct matrix *matrix, size_t warnings) {
    size_t before = parser->config->n_targets;
    int r = 0;

    do {
        if (matrix_is_excluded(matrix))
            continue;
        r = parse_target(parser, matrix->table, warnings);
        parser->told = true;
    } while (r == 0 && matrix_next(matrix));
    parser->told = false;
    if (r == 0 && parser->config->n_targets == before)
        r = parser_fail(parser, matrix->exclude->position,
                        "'exclude' leaves nothing of this matrix; remove one of its "
                        "tables or the matrix");
    return r;
}

static int parse_matrix(struct parser *parser, const struct toml_value *table) {
    _cleanup_(matrix_deinit) struct matrix matrix = {0};
    size_t warnings = parser->config->warnings.count;
    int r = matrix_read(&matrix, parser, table);

    if (r < 0)
        return r;
    parser->matrix = &matrix;
    r = parse_combinations(parser, &matrix, warnings);
    parser->matrix = NULL;
    return r;
}

char *parser_expand(struct parser *parser, struct toml_position position, const char *text, size_t length) {
    struct buffer expanded = {0};

    if (!parser->matrix)
        return xstrndup(text, length);
    if (parser->literal)
        buffer_append(&expanded, text, length);
    else
        placeholder_replace(parser->matrix, text, &expanded);
    if (expanded.size > EXPANDED_MAX - parser->expanded) {
        parser_report(parser, position,
                      "all combinations together have more than %u MiB of text; make the strings or "
                      "the axes shorter",
                      EXPANDED_MAX >> 20);
        buffer_deinit(&expanded);
        return NULL;
    }
    parser->expanded += expanded.size;
    return buffer_take(&expanded);
}

static int compare_names(const void *a, const void *b) {
    const struct target *left = *(struct target *const *)a;
    const struct target *right = *(struct target *const *)b;

    return strcmp(left->name, right->name);
}

/* Two targets that come from the same place in the file are combinations of one matrix. */
static int fail_duplicate(struct parser *parser, const struct target *one, const struct target *other) {
    _cleanup_free_ char *name = config_quote(one->name, strlen(one->name));
    const char *place = target_where(other, KEY_NAME);

    if (!str_equal(target_where(one, KEY_NAME), place))
        return error_new(parser->error, EINVAL,
                         "%s: the name '%s' is taken by the target at %s; give each target its own", place, other->name,
                         target_where(one, KEY_NAME));
    for (size_t i = 0; i < one->n_axes && i < other->n_axes && str_equal(one->axes[i].name, other->axes[i].name); i++) {
        const struct target_axis *axis = &one->axes[i];

        if (str_equal(axis->value, other->axes[i].value))
            continue;
        _cleanup_free_ char *values[] = {config_quote(axis->label, strlen(axis->label)), NULL};
        return error_new(parser->error, EINVAL,
                         "%s: several combinations have the name '%s'; write {%s.name} in it, which is '%s' in one of "
                         "them",
                         place, name, axis->name, values[0]);
    }
    return error_new(parser->error, EINVAL, "%s: several targets have the name '%s'; give each its own", place, name);
}

/* Looks for a name that two targets have. */
static int check_duplicates(struct parser *parser) {
    const struct config *config = parser->config;
    _cleanup_free_ const struct target **sorted = xcalloc(config->n_targets, sizeof(struct target *));

    for (size_t i = 0; i < config->n_targets; i++)
        sorted[i] = config->targets[i];
    qsort(sorted, config->n_targets, sizeof(*sorted), compare_names);
    for (size_t i = 1; i < config->n_targets; i++) {
        if (str_equal(sorted[i - 1]->name, sorted[i]->name))
            return fail_duplicate(parser, sorted[i - 1], sorted[i]);
    }
    return 0;
}

/* One table of the arrays `target` and `matrix`. */
struct item {
    const struct toml_value *table;
    bool is_matrix;
};

struct items {
    struct item *list;
    size_t count;
};

static void items_deinit(struct items *items) {
    free(items->list);
}

static int compare_items(const void *a, const void *b) {
    return parser_compare_positions(&((const struct item *)a)->table->position,
                                    &((const struct item *)b)->table->position);
}

static int collect_items(struct parser *parser, const char *name, const struct toml_value *array, struct items *items) {
    if (array->type != TOML_TYPE_ARRAY)
        return parser_fail(parser, array->position, "'%s' must be an array of tables, not %s; write [[%s]]", name,
                           toml_type_name(array->type), name);
    items->list = xreallocarray(items->list, items->count + array->count + 1, sizeof(*items->list));
    for (size_t i = 0; i < array->count; i++) {
        const struct toml_value *item = &array->items[i];

        if (item->type != TOML_TYPE_TABLE)
            return parser_fail(parser, item->position, "'%s' must be an array of tables, but holds %s; write [[%s]]",
                               name, toml_type_name(item->type), name);
        items->list[items->count++] = (struct item){item, str_equal(name, "matrix")};
    }
    return 0;
}

/* The root's keys in the order of the file, its tables collected. */
static int parse_root(struct parser *parser, const struct toml_value *root, struct items *items) {
    static const char *const known[] = {"target", "matrix", "defaults", NULL};

    for (size_t i = 0; i < root->count; i++) {
        const struct toml_entry *entry = &root->entries[i];
        _cleanup_free_ char *name = parser_key_name("", entry);
        int r;

        if (str_equal(name, "defaults"))
            r = parser_read_defaults(parser, &entry->value);
        else if (str_equal(name, "target") || str_equal(name, "matrix"))
            r = collect_items(parser, name, &entry->value, items);
        else
            r = parser_unknown(parser, entry->position, name, known);
        if (r < 0)
            return r;
    }
    return 0;
}

/* The targets in the order of the file, whichever way they are written. */
static int parse_file(struct parser *parser, const struct toml_value *root) {
    _cleanup_(items_deinit) struct items items = {0};
    int r = parse_root(parser, root, &items);

    if (r < 0)
        return r;
    if (items.count > 0)
        qsort(items.list, items.count, sizeof(*items.list), compare_items);
    for (size_t i = 0; i < items.count; i++) {
        const struct toml_value *table = items.list[i].table;

        r = items.list[i].is_matrix ? parse_matrix(parser, table)
                                    : parse_target(parser, table, parser->config->warnings.count);
        if (r < 0)
            return r;
    }
    if (parser->config->n_targets == 0) {
        r = error_new(parser->error, EINVAL, "%s: there is no [[target]]; add one with name, kernel and command",
                      parser->path);
        parser_add_suspicion(parser, 0);
        return r;
    }
    return check_duplicates(parser);
}

int config_parse_globbing(const char *text, size_t size, const char *path, const char *directory, bool strict,
                          config_glob_fn *glob, struct config **ret_config, struct error **ret_error) {
    static const char byte_order_mark[] = "\xef\xbb\xbf";
    _cleanup_config_ struct config *config = xcalloc(1, sizeof(*config));
    _cleanup_(toml_problem_deinit) struct toml_problem problem = {0};
    _cleanup_(toml_value_deinit) struct toml_value root = {0};
    _cleanup_strv_ struct strv known = {0};
    struct parser parser = {
        .path = path,
        .directory = directory,
        .strict = strict,
        .config = config,
        .error = ret_error,
        .glob = glob,
    };

    if (size >= 3 && memcmp(text, byte_order_mark, 3) == 0) {
        text += 3;
        size -= 3;
    }
    if (toml_parse(text, size, &root, &problem) < 0)
        return parser_fail(&parser, problem.position, "not valid TOML: %s", problem.message);

    config->path = xstrdup(path);
    config->directory = xstrdup(directory);
    for (size_t i = 0; i < config_key_count; i++)
        strv_append(&known, config_keys[i].name);
    parser.known = known;
    int r = parse_file(&parser, &root);
    if (r < 0)
        return r;
    *ret_config = TAKE_PTR(config);
    return 0;
}

int config_parse(const char *text, size_t size, const char *path, const char *directory, bool strict,
                 struct config **ret_config, struct error **ret_error) {
    return config_parse_globbing(text, size, path, directory, strict, NULL, ret_config, ret_error);
}

int config_load(const char *path, bool strict, struct config **ret_config, struct error **ret_error) {
    _cleanup_buffer_ struct buffer content = {0};
    _cleanup_free_ char *parent = path_parent(path);
    _cleanup_free_ char *directory = NULL;
    struct stat status;

    if (stat(path, &status) < 0) {
        if (errno == ENOENT)
            return error_new(ret_error, ENOENT, "%s: no such file; create one or use -k KERNEL COMMAND",
                             str_empty(path) ? "''" : path);
        return error_errno(ret_error, errno, "%s", path);
    }
    if (S_ISDIR(status.st_mode))
        return error_new(ret_error, EISDIR, "%s: is a directory; give the file in it, such as vmtest.toml", path);

    int r = file_read(path, FILE_LIMIT, &content, ret_error);
    if (r < 0)
        return r;
    directory = realpath(parent, NULL);
    if (!directory)
        return error_errno(ret_error, errno, "%s: cannot tell its directory", path);
    return config_parse_globbing(content.data, content.size, path, directory, strict, config_glob, ret_config,
                                 ret_error);
}

void config_free(struct config *config) {
    if (!config)
        return;
    for (size_t i = 0; i < config->n_targets; i++)
        target_free(config->targets[i]);
    free(config->targets);
    free(config->path);
    free(config->directory);
    strv_deinit(&config->warnings);
    free(config);
}
