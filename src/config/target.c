/* SPDX-License-Identifier: Apache-2.0 */
/* A target's life, and how its keys and their values are looked up and named. */
#include "config/target.h"

#include <assert.h>
#include <fnmatch.h>

#include "arch/arch.h"
#include "config/config-internal.h"
#include "config/config.h"

/* Enumerations are read and written through the table as `unsigned`. */
static_assert(sizeof(enum rootfs_mode) == sizeof(unsigned), "an enum field is as large as an unsigned");
static_assert(sizeof(enum share_choice) == sizeof(unsigned), "an enum field is as large as an unsigned");
static_assert(sizeof(enum accel_choice) == sizeof(unsigned), "an enum field is as large as an unsigned");

const struct config_key_row *config_find_key(const char *name) {
    for (size_t i = 0; i < config_key_count; i++) {
        if (str_equal(config_keys[i].name, name))
            return &config_keys[i];
    }
    return NULL;
}

void *config_field(struct target *target, const struct config_key_row *row) {
    return (char *)target + row->offset;
}

int config_value_index(const char *values, const char *text) {
    size_t length = strlen(text);

    for (int i = 0; values; i++) {
        size_t span = strcspn(values, "|");

        if (span == length && strncmp(values, text, length) == 0)
            return i;
        values = values[span] == '|' ? values + span + 1 : NULL;
    }
    return -1;
}

char *config_values_text(const char *values) {
    struct buffer text = {0};

    while (values) {
        size_t span = strcspn(values, "|");
        const char *next = values[span] == '|' ? values + span + 1 : NULL;

        if (text.size > 0)
            buffer_append_string(&text, next ? ", " : " or ");
        buffer_append(&text, values, span);
        values = next;
    }
    return buffer_take(&text);
}

struct target *target_new(void) {
    struct target *target = xcalloc(1, sizeof(*target));

    for (size_t i = 0; i < config_key_count; i++) {
        if (config_keys[i].def)
            config_set_default(target, &config_keys[i]);
    }
    target->arch = xstrdup(arch_host_name());
    return target;
}

bool target_passes(const struct target *target, const char *entry) {
    _cleanup_free_ char *name = xstrndup(entry, strcspn(entry, "="));

    if (!target->where[KEY_ENV_PASS])
        return !target->image;
    for (size_t i = 0; i < target->env_pass.count; i++) {
        if (fnmatch(target->env_pass.items[i], name, 0) == 0)
            return true;
    }
    return false;
}

void target_free(struct target *target) {
    if (!target)
        return;
    for (size_t i = 0; i < target->n_mounts; i++) {
        free(target->mounts[i].guest_path);
        free(target->mounts[i].host_path);
        free(target->mounts[i].where);
    }
    for (size_t i = 0; i < target->n_axes; i++) {
        free(target->axes[i].name);
        free(target->axes[i].value);
        free(target->axes[i].label);
    }
    for (size_t i = 0; i < config_key_count; i++) {
        const struct config_key_row *row = &config_keys[i];

        if (row->type == CONFIG_STRING || row->type == CONFIG_PATH || row->type == CONFIG_PROGRAM)
            free(*(char **)config_field(target, row));
        if (row->type == CONFIG_STRINGS)
            strv_deinit(config_field(target, row));
        free(target->where[i]);
    }
    free(target->axes);
    free(target->mounts);
    strv_deinit(&target->argv);
    free(target->memory_text);
    free(target->share);
    free(target);
}

char *target_axis_variable(const char *axis) {
    struct buffer name = {0};

    buffer_append_string(&name, "VMTEST_AXIS_");
    for (; *axis; axis++) {
        unsigned char c = (unsigned char)*axis;

        if (c >= 'a' && c <= 'z')
            c = (unsigned char)(c - 'a' + 'A');
        else if (!(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9'))
            c = '_';
        if (((unsigned char)*axis & 0xc0) != 0x80) /* one for a character, of however many bytes */
            buffer_append(&name, &c, 1);
    }
    return buffer_take(&name);
}

enum template_choice target_template_choice(const struct target *target) {
    if (!target->where[KEY_TEMPLATE])
        return TEMPLATE_AUTO;
    return target->template ? TEMPLATE_ON : TEMPLATE_OFF;
}

const char *target_where(const struct target *target, enum config_key key) {
    if (target->where[key])
        return target->where[key];
    return str_empty(target->name) ? "target" : target->name;
}

const char *target_key_name(const struct target *target, enum config_key key) {
    const struct config_key_row *row = &config_keys[key];
    bool by_option = target->where[key] ? target->where[key][0] == '-' : target->one_liner;

    return by_option && row->option.name ? row->option.name : row->name;
}

char *target_setting(const struct target *target, enum config_key key, const char *value) {
    const struct config_key_row *row = &config_keys[key];
    const char *name = target_key_name(target, key);
    bool is_bare = row->type == CONFIG_BOOL || row->type == CONFIG_INTEGER;

    if (!value)
        value = row->type == CONFIG_BOOL ? "true" : row->argument;
    if (name == row->name)
        return xasprintf(is_bare ? "%s = %s" : "%s = \"%s\"", name, value);
    return row->type == CONFIG_BOOL ? xstrdup(name) : xasprintf("%s %s", name, value);
}
