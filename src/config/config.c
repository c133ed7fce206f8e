/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmtest.toml to targets: the tree of the text is walked in its order, each key is looked up in the key table, and what
 * the tree says is put into the target's field (value.c). The first thing that is wrong ends it.
 */
#include "config/config.h"

#include <sys/stat.h>

#include "base/file.h"
#include "config/internal.h"

#define FILE_LIMIT (16U << 20)
#define VM_PREFIX "vm."

static const struct config_key_row *find_key(const char *name) {
    for (size_t i = 0; i < ARRAY_SIZE(config_keys); i++) {
        if (str_equal(config_keys[i].name, name))
            return &config_keys[i];
    }
    return NULL;
}

/* The keys of a table, `prefix` being the name of the table and a dot. Only the root of a target has a `vm`. */
static int parse_keys(struct parser *parser, struct target *target, const char *prefix,
                      const struct toml_value *table) {
    for (size_t i = 0; i < table->count; i++) {
        const struct toml_entry *entry = &table->entries[i];
        _cleanup_free_ char *name = parser_key_name(prefix, entry);
        const struct config_key_row *row = find_key(name);
        int r;

        if (row)
            r = parser_set_value(parser, target, row, &entry->value);
        else if (!str_equal(name, "vm"))
            r = parser_unknown(parser, entry->position, name, (const char *const *)parser->known.items);
        else if (entry->value.type != TOML_TYPE_TABLE)
            r = parser_fail(parser, entry->value.position, "'vm' must be a table, not %s; write [target.vm]",
                            toml_type_name(entry->value.type));
        else
            r = parse_keys(parser, target, VM_PREFIX, &entry->value);
        if (r < 0)
            return r;
    }
    return 0;
}

static int parse_target(struct parser *parser, const struct toml_value *table) {
    _cleanup_target_ struct target *target = target_new();
    struct config *config = parser->config;
    size_t warnings = config->warnings.count;
    int r = parse_keys(parser, target, "", table);

    if (r < 0)
        return r;
    target->share = xstrdup(parser->directory);
    target_apply_kernel_args(target);
    if (!target->name)
        r = parser_fail(parser, table->position, "the target has no name; add name = \"...\"");
    else
        r = target_check_consistency(target, parser->error);
    if (r < 0) {
        if (!target->name || (!target->command && target->argv.count == 0) || (!target->kernel && !target->image))
            parser_add_suspicion(parser, warnings);
        return r;
    }
    config->targets[config->n_targets++] = TAKE_PTR(target);
    return 0;
}

static int compare_names(const void *a, const void *b) {
    const struct target *left = *(struct target *const *)a;
    const struct target *right = *(struct target *const *)b;

    return strcmp(left->name, right->name);
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
            return error_new(parser->error, EINVAL,
                             "%s: the name '%s' is taken by the target at %s; give each target its own",
                             target_where(sorted[i], KEY_NAME), sorted[i]->name, target_where(sorted[i - 1], KEY_NAME));
    }
    return 0;
}

/* The value of the key `target`: the array of tables. */
static int parse_targets(struct parser *parser, const struct toml_value *array) {
    if (array->type != TOML_TYPE_ARRAY)
        return parser_fail(parser, array->position, "'target' must be an array of tables, not %s; write [[target]]",
                           toml_type_name(array->type));
    parser->config->targets = xcalloc(array->count, sizeof(*parser->config->targets));
    for (size_t i = 0; i < array->count; i++) {
        const struct toml_value *item = &array->items[i];
        int r;

        if (item->type != TOML_TYPE_TABLE)
            return parser_fail(parser, item->position,
                               "'target' must be an array of tables, but holds %s; write [[target]]",
                               toml_type_name(item->type));
        r = parse_target(parser, item);
        if (r < 0)
            return r;
    }
    return 0;
}

static int parse_root(struct parser *parser, const struct toml_value *root) {
    static const char *const known[] = {"target", NULL};

    for (size_t i = 0; i < root->count; i++) {
        const struct toml_entry *entry = &root->entries[i];
        _cleanup_free_ char *name = parser_key_name("", entry);
        int r = str_equal(name, "target") ? parse_targets(parser, &entry->value)
                                          : parser_unknown(parser, entry->position, name, known);

        if (r < 0)
            return r;
    }
    if (parser->config->n_targets == 0) {
        int r = error_new(parser->error, EINVAL, "%s: there is no [[target]]; add one with name, kernel and command",
                          parser->path);

        parser_add_suspicion(parser, 0);
        return r;
    }
    return check_duplicates(parser);
}

int config_parse(const char *text, size_t size, const char *path, const char *directory, bool strict,
                 struct config **ret_config, struct error **ret_error) {
    static const char byte_order_mark[] = "\xef\xbb\xbf";
    _cleanup_config_ struct config *config = xcalloc(1, sizeof(*config));
    _cleanup_(toml_problem_deinit) struct toml_problem problem = {0};
    _cleanup_(toml_value_deinit) struct toml_value root = {0};
    _cleanup_strv_ struct strv known = {0};
    struct parser parser = {
        .path = path, .directory = directory, .strict = strict, .config = config, .error = ret_error};

    if (size >= 3 && memcmp(text, byte_order_mark, 3) == 0) {
        text += 3;
        size -= 3;
    }
    if (toml_parse(text, size, &root, &problem) < 0)
        return parser_fail(&parser, problem.position, "not valid TOML: %s", problem.message);

    config->path = xstrdup(path);
    config->directory = xstrdup(directory);
    for (size_t i = 0; i < ARRAY_SIZE(config_keys); i++)
        strv_append(&known, config_keys[i].name);
    parser.known = known;
    int r = parse_root(&parser, &root);
    if (r < 0)
        return r;
    *ret_config = TAKE_PTR(config);
    return 0;
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
    return config_parse(content.data, content.size, path, directory, strict, ret_config, ret_error);
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
