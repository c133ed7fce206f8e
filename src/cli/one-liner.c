/* SPDX-License-Identifier: Apache-2.0 */
/* From options to a target: the keys that they set, and the target of a one-liner. */
#include "base/file.h"
#include "cli/options.h"

/*
 * Words before `--` are joined by blanks and go to the shell, as do words on both sides of it. After `--`, one word
 * goes to the shell, and several are the argument vector.
 */
static void set_command(const struct options *options, struct target *target) {
    if (options_is_interactive(options))
        target->interactive = true;
    else if (options->n_words_before == 0 && options->words.count > 1)
        strv_copy(&target->argv, &options->words);
    else
        target->command = strv_join(&options->words, " ");
    target->where[KEY_COMMAND] = xstrdup("command line");
}

int options_apply(const struct options *options, const char *directory, struct target *target,
                  struct error **ret_error) {
    int r = 0;

    for (enum config_key key = 0; r == 0 && key < config_key_count; key++) {
        if (options->keys[key])
            r = config_set_option(target, key, options->keys[key], directory, ret_error);
    }
    return r;
}

int options_to_target(const struct options *options, const char *cwd, struct target **ret_target,
                      struct error **ret_error) {
    _cleanup_target_ struct target *target = target_new();
    const char *file = options->keys[options->keys[KEY_KERNEL] ? KEY_KERNEL : KEY_IMAGE];
    const char *name = path_basename(file);
    int r = options_apply(options, cwd, target, ret_error);

    if (r < 0)
        return r;
    target->one_liner = true;
    target->name = xstrdup(str_empty(name) ? file : name);
    target->share = xstrdup(cwd);
    set_command(options, target);
    target_apply_kernel_args(target);
    *ret_target = TAKE_PTR(target);
    return 0;
}
