/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a target must be to make sense, whether it comes from a file or from the command line. No I/O: whether files
 * exist is found out when they are opened.
 */
#include "arch/arch.h"
#include "config/config-internal.h"
#include "config/config.h"

static bool is_blank(const char *text) {
    return str_empty(text) || text[strspn(text, " \t\r\n")] == '\0';
}

/* Where a target stands: at its name if that has a place. */
static const char *target_place(const struct target *target) {
    return target_where(target, KEY_NAME);
}

static int check_name(const struct target *target, struct error **ret_error) {
    if (!target->name)
        return error_new(ret_error, EINVAL, "%s: the target has no name; add name = \"...\"", target_place(target));
    if (is_blank(target->name))
        return error_new(ret_error, EINVAL, "%s: 'name' is empty; give the target a name", target_place(target));
    if (config_has_control(target->name)) {
        _cleanup_free_ char *shown = config_quote(target->name, strlen(target->name));

        /* Without a place the name itself would be shown raw. */
        return error_new(ret_error, EINVAL, "%s: the name '%s' has a control character; use printable ones",
                         target->where[KEY_NAME] ? target->where[KEY_NAME] : "target", shown);
    }
    return 0;
}

static int check_command(const struct target *target, struct error **ret_error) {
    if (target->interactive || target->argv.count > 0)
        return 0;
    if (!target->command)
        return error_new(ret_error, EINVAL, "%s: the target '%s' has no command; add command = \"...\"",
                         target_place(target), target->name);
    if (is_blank(target->command))
        return error_new(ret_error, EINVAL, "%s: 'command' is empty; give a command to run in the guest",
                         target_where(target, KEY_COMMAND));
    return 0;
}

static int check_boot(const struct target *target, struct error **ret_error) {
    if (!target->kernel && !target->image)
        return error_new(ret_error, EINVAL,
                         "%s: the target '%s' has neither kernel nor image; add kernel = \"...\" or image = \"...\"",
                         target_place(target), target->name);
    if (target->kernel && target->image)
        return error_new(ret_error, EINVAL,
                         "%s: the target '%s' has both an image and a kernel; keep one of '%s' and '%s'",
                         target_where(target, KEY_IMAGE), target->name, target_key_name(target, KEY_IMAGE),
                         target_key_name(target, KEY_KERNEL));
    return 0;
}

/* A key that is set to more than false. */
static bool is_set(const struct target *target, enum config_key key) {
    const struct config_key_row *row = &config_keys[key];

    return target->where[key] &&
           (row->type != CONFIG_BOOL || *(const bool *)(const void *)((const char *)target + row->offset));
}

static int check_belonging(const struct target *target, struct error **ret_error) {
    for (enum config_key key = 0; key < config_key_count; key++) {
        enum config_only only = config_keys[key].only;
        const char *what = only == CONFIG_ONLY_IMAGE ? "an image" : "a kernel";
        bool fits = only == CONFIG_ANY_TARGET || (only == CONFIG_ONLY_IMAGE ? target->image : target->kernel);

        if (!fits && is_set(target, key))
            return error_new(ret_error, EINVAL, "%s: '%s' goes with %s only; remove it, or boot %s",
                             target_where(target, key), target_key_name(target, key), what, what);
    }
    if (target->bios && !target->uefi) {
        _cleanup_free_ char *uefi = target_setting(target, KEY_UEFI, NULL);

        return error_new(ret_error, EINVAL, "%s: '%s' goes with %s only; remove it%s%s",
                         target_where(target, KEY_VM_BIOS), target_key_name(target, KEY_VM_BIOS), uefi,
                         target->image ? ", or add " : "", target->image ? uefi : "");
    }
    return 0;
}

bool config_kernel_args_mode(const char *args, enum rootfs_mode *ret_mode) {
    bool found = false;

    if (!args)
        return false;
    while (*args) {
        const char *word = args += strspn(args, " \t\r\n");
        bool quoted = false;

        for (; *args && (quoted || !strchr(" \t\r\n", *args)); args++)
            quoted ^= *args == '"';
        if (args - word == 2 && strncmp(word, "--", 2) == 0)
            break;
        if (args - word == 2 && (strncmp(word, "ro", 2) == 0 || strncmp(word, "rw", 2) == 0)) {
            *ret_mode = word[1] == 'o' ? ROOTFS_RO : ROOTFS_RW;
            found = true;
        }
    }
    return found;
}

void target_apply_kernel_args(struct target *target) {
    enum rootfs_mode mode;

    if (!target->where[KEY_ROOTFS_MODE] && config_kernel_args_mode(target->kernel_args, &mode))
        target->rootfs_mode = mode;
}

static int check_rootfs_mode(const struct target *target, struct error **ret_error) {
    enum rootfs_mode mode;

    if (!target->where[KEY_ROOTFS_MODE] || !config_kernel_args_mode(target->kernel_args, &mode) ||
        mode == target->rootfs_mode)
        return 0;
    return error_new(ret_error, EINVAL, "%s: '%s' contradicts the word '%s' in '%s'; remove one of the two",
                     target_where(target, KEY_ROOTFS_MODE), target_key_name(target, KEY_ROOTFS_MODE),
                     mode == ROOTFS_RO ? "ro" : "rw", target_key_name(target, KEY_KERNEL_ARGS));
}

/* A string of which the table knows the values. */
static int check_value(const struct target *target, enum config_key key, const char *value, const char *what,
                       struct error **ret_error) {
    const char *values = config_keys[key].values;

    if (!value || config_value_index(values, value) >= 0)
        return 0;

    _cleanup_free_ char *known = config_values_text(values);
    _cleanup_free_ char *shown = config_quote(value, strlen(value));
    return error_new(ret_error, EINVAL, "%s: there is no %s '%s'; write %s", target_where(target, key), what, shown,
                     known);
}

static int check_values(const struct target *target, struct error **ret_error) {
    int r = check_value(target, KEY_ARCH, target->arch, "architecture", ret_error);

    return r < 0 ? r : check_value(target, KEY_FORMAT, target->format, "image format", ret_error);
}

/* The tool's own words for QEMU: empty ones would only fail there. */
static int check_not_empty(const struct target *target, struct error **ret_error) {
    static const enum config_key keys[] = {KEY_QEMU_COMMAND, KEY_KVM_CPU_ARGS};
    const char *const values[] = {target->qemu_command, target->kvm_cpu_args};

    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        if (values[i] && is_blank(values[i]))
            return error_new(ret_error, EINVAL, "%s: '%s' is empty; remove it or give it a value",
                             target_where(target, keys[i]), target_key_name(target, keys[i]));
    }
    return 0;
}

int config_check_results(const char *text, struct error **ret_error) {
    const char *path = str_skip_prefix(text, "junit:");

    if (str_equal(text, "tap") || !str_empty(path))
        return 0;
    _cleanup_free_ char *shown = config_quote(text, strlen(text));
    return error_new(ret_error, EINVAL, "there are no results '%s'; write tap or junit:PATH", shown);
}

static int check_template(const struct target *target, struct error **ret_error) {
    if (!target->persist || target_template_choice(target) != TEMPLATE_ON)
        return 0;
    return error_new(ret_error, EINVAL, "%s: '%s' and '%s' exclude each other; remove one of the two",
                     target_where(target, KEY_TEMPLATE), target_key_name(target, KEY_TEMPLATE),
                     target_key_name(target, KEY_PERSIST));
}

static int check_share(const struct target *target, struct error **ret_error) {
    if (target->share_choice != SHARE_NONE)
        return 0;
    if (!target->image)
        return error_new(ret_error, EINVAL, "%s: '%s' can be none with an image only, since a kernel's root is a share",
                         target_where(target, KEY_SHARE), target_key_name(target, KEY_SHARE));
    if (target->n_mounts > 0)
        return error_new(ret_error, EINVAL, "%s: mounts need a share, but '%s' is none; remove one of the two",
                         target->mounts[0].where, target_key_name(target, KEY_SHARE));
    return 0;
}

int target_check_consistency(const struct target *target, struct error **ret_error) {
    static int (*const checks[])(const struct target *, struct error **) = {
        check_name,   check_command,   check_boot,  check_belonging, check_rootfs_mode,
        check_values, check_not_empty, check_share, check_template,
    };

    for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
        int r = checks[i](target, ret_error);

        if (r < 0)
            return r;
    }
    return 0;
}

int target_check(const struct target *target, struct error **ret_error) {
    int r = target_check_consistency(target, ret_error);

    if (r < 0)
        return r;
    if (!arch_host() || !str_equal(target->arch, arch_host()->name))
        return error_new(ret_error, EOPNOTSUPP,
                         "%s: the architecture %s is not supported on this %s host; supported: %s",
                         target_where(target, KEY_ARCH), target->arch, arch_host_name(), arch_names());
    return 0;
}
