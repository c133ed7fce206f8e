/* SPDX-License-Identifier: Apache-2.0 */
/*
 * [defaults]: what holds for every target that does not say otherwise. It is checked where it stands, once; then each
 * target takes from it what it has not set itself and what belongs to such a target, so that a file with kernels and
 * images needs only one.
 */
#include "config/config-internal.h"

/* Whether a placeholder may be in it. What becomes of it is seen only in a target. */
static bool has_brace(const struct toml_value *value) {
    if (value->type == TOML_TYPE_STRING)
        return memchr(value->string, '{', value->count) != NULL;
    for (size_t i = 0; value->type == TOML_TYPE_ARRAY && i < value->count; i++) {
        if (has_brace(&value->items[i]))
            return true;
    }
    for (size_t i = 0; value->type == TOML_TYPE_TABLE && i < value->count; i++) {
        if (strchr(value->entries[i].key, '{') || has_brace(&value->entries[i].value))
            return true;
    }
    return false;
}

static int read_keys(struct parser *parser, struct target *checked, const char *prefix,
                     const struct toml_value *table) {
    for (size_t i = 0; i < table->count; i++) {
        const struct toml_entry *entry = &table->entries[i];
        _cleanup_free_ char *name = parser_key_name(prefix, entry);
        const struct config_key_row *row = config_find_key(name);
        int r = 0;

        if (row) {
            parser->defaults[config_key_of(row)] = &entry->value;
            if (!has_brace(&entry->value))
                r = parser_set_value(parser, checked, row, &entry->value);
        } else if (!str_equal(name, "vm")) {
            r = parser_unknown(parser, entry->position, name, (const char *const *)parser->known.items);
        } else if (entry->value.type != TOML_TYPE_TABLE) {
            r = parser_fail(parser, entry->value.position, "'vm' must be a table, not %s; write [defaults.vm]",
                            toml_type_name(entry->value.type));
        } else {
            r = read_keys(parser, checked, "vm.", &entry->value);
        }
        if (r < 0)
            return r;
    }
    return 0;
}

int parser_read_defaults(struct parser *parser, const struct toml_value *table) {
    _cleanup_target_ struct target *checked = target_new();

    if (table->type != TOML_TYPE_TABLE)
        return parser_fail(parser, table->position, "'defaults' must be a table, not %s; write [defaults]",
                           toml_type_name(table->type));
    int r = read_keys(parser, checked, "", table);
    if (r < 0)
        return r;
    if (parser->defaults[KEY_KERNEL] && parser->defaults[KEY_IMAGE])
        return parser_fail(parser, parser->defaults[KEY_IMAGE]->position,
                           "[defaults] has both an image and a kernel; keep one of 'image' and 'kernel'");
    return 0;
}

/* Whether a default goes with what the target is, and with what it says itself: `own`, by key. */
static bool key_belongs(const struct target *target, const bool *own, enum config_key key) {
    enum rootfs_mode mode;

    if (own[key] && key != KEY_VM_MOUNTS)
        return false;
    if (config_keys[key].only == CONFIG_ONLY_KERNEL && !target->kernel)
        return false;
    if (config_keys[key].only == CONFIG_ONLY_IMAGE && !target->image)
        return false;
    switch (key) {
    case KEY_IMAGE:
        return !target->kernel;
    case KEY_KERNEL:
        return !target->image;
    case KEY_PERSIST:
        return !(own[KEY_TEMPLATE] && target->template);
    case KEY_TEMPLATE:
        return !(own[KEY_PERSIST] && target->persist);
    case KEY_ROOTFS_MODE:
        return !(own[KEY_KERNEL_ARGS] && config_kernel_args_mode(target->kernel_args, &mode));
    case KEY_SHARE: /* a kernel's root is a share in any case */
        return target->image && !own[KEY_VM_MOUNTS];
    case KEY_VM_MOUNTS:
        return target->share_choice != SHARE_NONE;
    case KEY_VM_BIOS:
        return target->uefi;
    default:
        return true;
    }
}

/* The order is that of enum config_key: image and kernel come before what goes with them, uefi before vm.bios. */
int parser_apply_defaults(struct parser *parser, struct target *target) {
    bool own[CONFIG_KEYS_MAX];
    bool told = parser->told;
    int r = 0;

    for (size_t key = 0; key < config_key_count; key++)
        own[key] = target->where[key] != NULL;
    parser->told = true;
    for (enum config_key key = 0; r == 0 && key < config_key_count; key++) {
        if (parser->defaults[key] && key_belongs(target, own, key))
            r = parser_set_value(parser, target, &config_keys[key], parser->defaults[key]);
    }
    parser->told = told;
    return r;
}
