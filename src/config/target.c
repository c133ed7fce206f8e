/* SPDX-License-Identifier: Apache-2.0 */
/* A target's life, its defaults (out of the key table), and how its keys' values are looked up. */
#include "config/target.h"

#include <assert.h>
#include <fnmatch.h>

#include "arch/arch.h"
#include "config/config.h"
#include "config/internal.h"

/* Enumerations are read and written through the table as `unsigned`. */
static_assert(sizeof(enum rootfs_mode) == sizeof(unsigned), "an enum field is as large as an unsigned");
static_assert(sizeof(enum share_choice) == sizeof(unsigned), "an enum field is as large as an unsigned");
static_assert(sizeof(enum accel_choice) == sizeof(unsigned), "an enum field is as large as an unsigned");

const struct config_key_row *config_find_key(const char *name) {
    for (size_t i = 0; i < ARRAY_SIZE(config_keys); i++) {
        if (str_equal(config_keys[i].name, name))
            return &config_keys[i];
    }
    return NULL;
}

void *config_field(struct target *target, const struct config_key_row *row) {
    return (char *)target + row->offset;
}

int config_value_index(const struct config_key_row *row, const char *text) {
    const char *value = row->values;
    size_t length = strlen(text);

    for (int i = 0; value; i++) {
        size_t span = strcspn(value, "|");

        if (span == length && strncmp(value, text, length) == 0)
            return i;
        value = value[span] == '|' ? value + span + 1 : NULL;
    }
    return -1;
}

char *config_values_text(const struct config_key_row *row) {
    struct buffer text = {0};
    const char *value = row->values;

    while (value) {
        size_t span = strcspn(value, "|");
        const char *next = value[span] == '|' ? value + span + 1 : NULL;

        if (text.size)
            buffer_append_string(&text, next ? ", " : " or ");
        buffer_append(&text, value, span);
        value = next;
    }
    return buffer_take(&text);
}

int config_set_add(const struct config_key_row *row, const char *name, unsigned *bits, struct error **ret_error) {
    int any = config_value_index(row, "any");
    int index = config_value_index(row, name);

    if (index < 0) {
        _cleanup_free_ char *shown = config_quote(name, strlen(name));
        _cleanup_free_ char *known = config_values_text(row);

        return error_new(ret_error, EINVAL, "'%s' is none of its values; they are %s", shown, known);
    }
    *bits |= index == any ? (1u << any) - 1 : 1u << index;
    return 0;
}

/* Sets the field of a row to the row's default. The table is ours: a default that does not parse is a defect. */
static void set_default(struct target *target, const struct config_key_row *row) {
    void *field = config_field(target, row);
    int r = 0;

    switch (row->type) {
    case CONFIG_STRING:
    case CONFIG_PATH:
        *(char **)field = xstrdup(row->def);
        break;
    case CONFIG_BOOL:
        *(bool *)field = str_equal(row->def, "true");
        break;
    case CONFIG_INTEGER:
        *(unsigned *)field = (unsigned)strtoul(row->def, NULL, 10);
        break;
    case CONFIG_ENUM:
        r = config_value_index(row, row->def);
        *(unsigned *)field = (unsigned)r;
        break;
    case CONFIG_DURATION:
        r = config_parse_duration(row->def, field, NULL);
        break;
    case CONFIG_MEMORY:
        r = config_parse_memory(row->def, field, NULL);
        target->memory_text = xstrdup(row->def);
        break;
    case CONFIG_STRINGS:
    case CONFIG_SET:
    case CONFIG_MOUNTS:
        r = -EINVAL;
        break;
    }
    if (r < 0)
        abort();
}

struct target *target_new(void) {
    struct target *target = xcalloc(1, sizeof(*target));

    for (size_t i = 0; i < ARRAY_SIZE(config_keys); i++) {
        if (config_keys[i].def)
            set_default(target, &config_keys[i]);
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
    for (size_t i = 0; i < ARRAY_SIZE(target->where); i++)
        free(target->where[i]);
    free(target->axes);
    free(target->mounts);
    free(target->name);
    free(target->image);
    free(target->format);
    free(target->kernel);
    free(target->kernel_args);
    free(target->modules);
    free(target->kvm_cpu_args);
    free(target->rootfs);
    free(target->arch);
    free(target->qemu_command);
    free(target->command);
    strv_deinit(&target->argv);
    free(target->memory_text);
    free(target->bios);
    strv_deinit(&target->extra_args);
    strv_deinit(&target->env_pass);
    free(target->results);
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
