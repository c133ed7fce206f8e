/* SPDX-License-Identifier: Apache-2.0 */
/* vm.mounts: a table GUEST_PATH -> { host_path, writable }. */
#include "base/file.h"
#include "config/config-internal.h"

/* Where the guest has file systems of its own. */
static const char *const pseudo_directories[] = {"/proc", "/sys", "/dev"};

/* Checks the key of an entry and gives its normalised path, which the caller frees. */
static int guest_path(struct parser *parser, const struct toml_entry *entry, char **ret_path) {
    _cleanup_free_ char *key = parser_expand(parser, entry->position, entry->key, entry->key_length);
    _cleanup_free_ char *path = NULL;

    if (!key)
        return -EINVAL;
    bool has_nul = strlen(entry->key) != entry->key_length;
    _cleanup_free_ char *shown = has_nul ? config_quote(entry->key, entry->key_length) : config_quote(key, strlen(key));
    if (has_nul || config_has_control(key))
        return parser_fail(parser, entry->position, "the guest path '%s' has a control character; rename it", shown);
    if (key[0] != '/')
        return parser_fail(parser, entry->position,
                           "the guest path '%s' in 'vm.mounts' is not absolute; begin it with a slash", shown);
    path = config_clean_path(key);
    _cleanup_free_ char *parts = xasprintf("%s/", path);
    if (strstr(parts, "/../"))
        return parser_fail(parser, entry->position, "the guest path '%s' has '..' in it; write it without", shown);
    if (str_empty(path))
        return parser_fail(parser, entry->position, "'vm.mounts' cannot replace the guest's root; use 'rootfs'");
    if (str_equal(path, SHARE_PATH))
        return parser_fail(parser, entry->position, "'%s' is where the directory of %s is shared; mount it elsewhere",
                           shown, parser->path);
    for (size_t i = 0; i < ARRAY_SIZE(pseudo_directories); i++) {
        if (path_is_below(path, pseudo_directories[i]))
            return parser_fail(parser, entry->position,
                               "'%s' lies in the guest's own '%s'; mount it elsewhere, such as under /mnt", shown,
                               pseudo_directories[i]);
    }
    *ret_path = TAKE_PTR(path);
    return 0;
}

/* The { host_path, writable } of an entry, into `mount`, which owns it at once. */
static int mount_fields(struct parser *parser, const struct toml_entry *entry, struct target_mount *mount) {
    static const char *const known[] = {"host_path", "writable", NULL};
    _cleanup_free_ char *name = parser_key_name("vm.mounts.", entry);
    _cleanup_free_ char *prefix = xasprintf("%s.", name);
    size_t warnings = parser->config->warnings.count;

    if (entry->value.type != TOML_TYPE_TABLE)
        return parser_fail(parser, entry->value.position, "'%s' must be a table { host_path = \"...\" }, not %s", name,
                           toml_type_name(entry->value.type));
    for (size_t i = 0; i < entry->value.count; i++) {
        const struct toml_entry *field = &entry->value.entries[i];
        _cleanup_free_ char *field_name = parser_key_name(prefix, field);
        int r;

        if (str_equal(field->key, "host_path"))
            r = parser_path(parser, &field->value, field_name, &mount->host_path);
        else if (str_equal(field->key, "writable"))
            r = parser_bool(parser, &field->value, field_name, &mount->writable);
        else
            r = parser_unknown(parser, field->position, field_name, known);
        if (r < 0)
            return r;
    }
    if (!mount->host_path) {
        int r = parser_fail(parser, entry->position, "'%s' has no host_path; add host_path = \"...\"", name);

        parser_add_suspicion(parser, warnings);
        return r;
    }
    return 0;
}

static int compare_mounts(const void *a, const void *b) {
    const struct target_mount *left = a;
    const struct target_mount *right = b;

    return strcmp(left->guest_path, right->guest_path);
}

/* Sorts the mounts, so that a directory is mounted before what lies in it, and looks for a path that is there twice. */
static int sort_mounts(struct parser *parser, struct target *target) {
    if (target->n_mounts > 0)
        qsort(target->mounts, target->n_mounts, sizeof(*target->mounts), compare_mounts);
    for (size_t i = 1; i < target->n_mounts; i++) {
        const struct target_mount *mount = &target->mounts[i];

        if (str_equal(mount[-1].guest_path, mount->guest_path))
            return error_new(parser->error, EINVAL, "%s: '%s' is mounted already at %s; remove one of the two",
                             mount->where, mount->guest_path, mount[-1].where);
    }
    return 0;
}

static bool is_mounted(const struct target *target, size_t count, const char *guest_path) {
    for (size_t i = 0; i < count; i++) {
        if (str_equal(target->mounts[i].guest_path, guest_path))
            return true;
    }
    return false;
}

/* What is there already is the target's own, and what comes now the defaults': they give way path by path. */
int parser_set_mounts(struct parser *parser, struct target *target, const struct toml_value *value) {
    if (value->type != TOML_TYPE_TABLE)
        return parser_fail(parser, value->position,
                           "'vm.mounts' must be a table GUEST_PATH = { host_path = \"...\" }, not %s",
                           toml_type_name(value->type));
    size_t own = target->n_mounts;
    target->mounts = xreallocarray(target->mounts, own + value->count + 1, sizeof(*target->mounts));
    for (size_t i = 0; i < value->count; i++) {
        const struct toml_entry *entry = &value->entries[i];
        struct target_mount *mount = &target->mounts[target->n_mounts];
        _cleanup_free_ char *path = NULL;
        int r = guest_path(parser, entry, &path);

        if (r < 0)
            return r;
        if (is_mounted(target, own, path))
            continue;
        *mount = (struct target_mount){.guest_path = TAKE_PTR(path)};
        target->n_mounts++;
        mount->where = xasprintf("%s:%u:%u", parser->path, entry->position.line, entry->position.column);
        r = mount_fields(parser, entry, mount);
        if (r < 0)
            return r;
    }
    return sort_mounts(parser, target);
}
