/* SPDX-License-Identifier: Apache-2.0 */
/* The target that a command line names itself, with --kernel or --image. */
#include "base/file.h"
#include "cli/options.h"
#include "config/config.h"

/*
 * Words before `--` are joined by blanks and go to the shell, as do words on both sides of it. Behind `--`, one word
 * goes to the shell, and several are the argument vector.
 */
static void set_command(const struct options *options, struct target *target) {
    if (options_is_interactive(options))
        target->interactive = true;
    else if (options->n_words_before == 0 && options->words.count > 1)
        strv_copy(&target->argv, &options->words);
    else
        target->command = strv_join(&options->words, " ");
}

/* Replaces a string of the target if the option was given. */
static void replace(char **field, const char *text) {
    if (!text)
        return;
    free(*field);
    *field = xstrdup(text);
}

static void replace_path(char **field, const char *cwd, const char *path) {
    if (!path)
        return;
    free(*field);
    *field = path_resolve(cwd, path);
}

static void set_where(const struct options *options, struct target *target) {
    for (size_t i = 0; i < OPTION_ID_COUNT; i++) {
        const struct option_row *row = &option_rows[i];

        if (!options->given[i] || row->key == NO_KEY)
            continue;
        target->where[row->key] = xasprintf("--%s", row->name);
    }
    target->where[KEY_COMMAND] = xstrdup("command line");
}

int options_to_target(const struct options *options, const char *cwd, struct target **ret_target,
                      struct error **ret_error) {
    _cleanup_target_ struct target *target = target_new();
    const char *file = options->kernel ? options->kernel : options->image;
    const char *name = path_basename(file);

    target->one_liner = true;
    replace(&target->name, str_empty(name) ? file : name);
    replace(&target->share, cwd);
    replace_path(&target->kernel, cwd, options->kernel);
    replace_path(&target->image, cwd, options->image);
    replace(&target->format, options->image_format);
    target->uefi = options->uefi;
    replace_path(&target->bios, cwd, options->bios);
    target->persist = options->persist;
    replace_path(&target->rootfs, cwd, options->rootfs);
    replace_path(&target->modules, cwd, options->modules);
    replace(&target->kernel_args, options->kargs);
    replace(&target->kvm_cpu_args, options->kvm_cpu_args);
    replace(&target->arch, options->arch);
    if (options->qemu_command && strchr(options->qemu_command, '/'))
        replace_path(&target->qemu_command, cwd, options->qemu_command);
    else
        replace(&target->qemu_command, options->qemu_command);

    if (options->given[OPTION_ROOTFS_MODE])
        target->rootfs_mode = (enum rootfs_mode)options->rootfs_mode;
    target->share_choice = (enum share_choice)options->share;
    target->accel = (enum accel_choice)options->accel;
    target->boot_timeout = options->boot_timeout;
    target->timeout = options->timeout;
    if (options->given[OPTION_KILL_AFTER])
        target->kill_after = options->kill_after;
    target->run_timeout = options->run_timeout;
    target->fail_on = options->fail_on;
    target->dump = options->dump;
    target->lost_after = options->lost_after;
    target->sandbox = !options->no_sandbox;
    if (options->num_cpus > 0)
        target->num_cpus = options->num_cpus;
    if (options->memory) {
        int r = config_parse_memory(options->memory, &target->memory, ret_error);

        if (r < 0)
            return r;
        replace(&target->memory_text, options->memory);
    }
    set_command(options, target);
    set_where(options, target);
    target_apply_kernel_args(target);
    *ret_target = TAKE_PTR(target);
    return 0;
}
