/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/load.h"

#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/history.h"

static int load_one_liner(const struct options *options, struct config **ret_config, struct error **ret_error) {
    _cleanup_config_ struct config *config = xcalloc(1, sizeof(*config));
    char cwd[PATH_MAX];
    int r;

    if (!getcwd(cwd, sizeof(cwd)))
        return error_errno(ret_error, errno, "the current directory");
    config->targets = xcalloc(1, sizeof(*config->targets));
    r = options_to_target(options, cwd, &config->targets[0], ret_error);
    if (r < 0)
        return r;
    config->n_targets = 1;
    r = target_check(config->targets[0], ret_error);
    if (r == 0)
        *ret_config = TAKE_PTR(config);
    return r;
}

static int keep_failed(struct config *config, struct error **ret_error) {
    _cleanup_free_ char *path = history_path(config);
    _cleanup_history_ struct history *history = history_load(path);
    int r = history_keep_failed(history, config, ret_error);

    if (r == 0 && config->n_targets == 0)
        (void)fprintf(stderr, "vmtest: every target passed last time\n");
    return r;
}

int targets_load(const struct options *options, struct config **ret_config, struct error **ret_error) {
    int r;

    if (options_is_one_liner(options))
        return load_one_liner(options, ret_config, ret_error);
    r = config_load(options->config ? options->config : "vmtest.toml", options->strict, ret_config, ret_error);
    if (r == 0)
        r = config_select(*ret_config, &options->filters, &options->excludes, ret_error);
    if (r == 0 && options->failed)
        r = keep_failed(*ret_config, ret_error);
    for (size_t i = 0; r == 0 && i < (*ret_config)->n_targets; i++) {
        r = options_apply(options, (*ret_config)->directory, (*ret_config)->targets[i], ret_error);
        if (r == 0)
            r = target_check((*ret_config)->targets[i], ret_error);
    }
    for (size_t i = 0; r == 0 && i < (*ret_config)->warnings.count; i++)
        (void)fprintf(stderr, "vmtest: warning: %s\n", (*ret_config)->warnings.items[i]);
    return r;
}
