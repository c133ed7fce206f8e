/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmtest list: the options are those of a run, by the same table and the same parser, so that a line which runs targets
 * shows them with one word more. What only says how they are run changes nothing here.
 */
#include "cli/list.h"

#include <stdio.h>

#include "cli/load.h"
#include "cli/shard.h"
#include "report/screen/lines.h"
#include "report/result.h"
#include "event/verdict.h"

static const char usage[] = "Usage: vmtest list [-c FILE] [-f REGEX]... [--exclude REGEX]... [--failed]\n"
                            "                   [--shard I/N [--timings FILE]] [--strict]\n"
                            "                   [--format terminal|json]\n"
                            "\n"
                            "Show the targets that a run with these options would run, one name a line, and\n"
                            "run none. With --format json: an object for a CI system's job matrix, with each\n"
                            "target's name, what it boots, its axes, and a filter that chooses only it.\n";

/* What tells one target of a list from the others. An axis that is called as one of these is under "axes" alone. */
static json_t *target_to_json(const struct target *target) {
    _cleanup_free_ char *filter = result_name_pattern(target->name);
    json_t *object = json_object();
    json_t *axes = json_object();

    (void)json_object_set_new(object, "name", json_lossy_string(target->name));
    (void)json_object_set_new(object, "filter", json_lossy_string(filter));
    if (target->kernel)
        (void)json_object_set_new(object, "kernel", json_lossy_string(target->kernel));
    if (target->image)
        (void)json_object_set_new(object, "image", json_lossy_string(target->image));
    for (size_t i = 0; i < target->n_axes; i++) {
        const struct target_axis *axis = &target->axes[i];

        (void)json_object_set_new(
            axes, axis->name,
            json_pack("{s:o, s:o}", "value", json_lossy_string(axis->value), "label", json_lossy_string(axis->label)));
        if (!json_object_get(object, axis->name) && !str_equal(axis->name, "axes"))
            (void)json_object_set_new(object, axis->name, json_lossy_string(axis->value));
    }
    (void)json_object_set_new(object, "axes", axes);
    return object;
}

json_t *list_to_json(const struct config *config) {
    json_t *include = json_array();

    for (size_t i = 0; i < config->n_targets; i++)
        (void)json_array_append_new(include, target_to_json(config->targets[i]));
    return json_pack("{s:o}", "include", include);
}

char *list_to_text(const struct config *config) {
    struct buffer text = {0};

    for (size_t i = 0; i < config->n_targets; i++) {
        _cleanup_free_ char *name = text_sanitize(config->targets[i]->name);

        buffer_printf(&text, "%s\n", name);
    }
    return buffer_take(&text);
}

static int check_options(const struct options *options, struct error **ret_error) {
    if (options_is_one_liner(options))
        return error_new(ret_error, EINVAL, "list: it shows the targets of a file; leave out --%s",
                         options->kernel ? "kernel" : "image");
    if (options->words.count > 0)
        return error_new(ret_error, EINVAL, "list: '%s' is too much; -f REGEX chooses targets",
                         options->words.items[0]);
    return 0;
}

/* Leaves the targets of the shard, in their order. */
static int keep_shard(const struct options *options, const struct shard *shard, struct config *config,
                      struct error **ret_error) {
    _cleanup_run_plan_ struct run_plan *plan = run_plan_new(config->targets, config->n_targets, 0);
    size_t n = 0;
    int r = shard_plan(options, shard, plan, ret_error);

    if (r < 0)
        return r;
    for (size_t i = 0; i < config->n_targets; i++) {
        if (n < plan->n_jobs && plan->jobs[n].target == config->targets[i])
            config->targets[n++] = config->targets[i];
        else
            target_free(config->targets[i]);
    }
    config->n_targets = n;
    return 0;
}

static int print(const struct options *options, const struct config *config) {
    _cleanup_free_ char *text = NULL;

    if (options->format == FORMAT_JSON) {
        json_t *list = list_to_json(config);

        text = json_dumps(list, JSON_COMPACT);
        json_decref(list);
        return puts(text) < 0 ? -EIO : 0;
    }
    text = list_to_text(config);
    return fputs(text, stdout) < 0 ? -EIO : 0;
}

int list_main(int argc, char *const argv[], struct error **ret_error) {
    _cleanup_options_ struct options options = {0};
    _cleanup_config_ struct config *config = NULL;
    struct shard shard = {0};

    if (options_parse(argc, argv, &options, ret_error) < 0)
        return EXIT_STATUS_USAGE;
    if (options.help) {
        (void)fputs(usage, stdout);
        return fflush(stdout) != 0 ? EXIT_STATUS_UNAVAILABLE : 0;
    }
    if (check_options(&options, ret_error) < 0 || shard_of_options(&options, &shard, ret_error) < 0)
        return EXIT_STATUS_USAGE;
    if (targets_load(&options, &config, ret_error) < 0 || !config ||
        keep_shard(&options, &shard, config, ret_error) < 0)
        return EXIT_STATUS_UNAVAILABLE;
    for (size_t i = 0; i < config->warnings.count; i++)
        (void)fprintf(stderr, "vmtest: warning: %s\n", config->warnings.items[i]);
    if (print(&options, config) < 0 || fflush(stdout) != 0) {
        (void)error_errno(ret_error, errno, "the list could not be written");
        return EXIT_STATUS_UNAVAILABLE;
    }
    return 0;
}
