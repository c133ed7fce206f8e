/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verb `list`. It has the options of a run, so that a line which runs targets shows them with one more word;
 * options that only say how targets run change nothing here.
 */
#include "cli/verb-list.h"

#include <stdio.h>

#include "cli/load.h"
#include "cli/shard.h"
#include "cli/verbs.h"
#include "event/verdict.h"
#include "report/lines.h"
#include "report/result.h"

/* One entry of the job matrix. An axis with the name of another member is in "axes" alone. */
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

/* Leaves the targets of the shard, in their order. */
static int keep_shard(const struct options *options, const struct shard *shard, struct config *config,
                      struct error **ret_error) {
    _cleanup_run_plan_ struct run_plan *plan = run_plan_new(config->targets, config->n_targets, 0);
    _cleanup_free_ bool *keep = xcalloc(config->n_targets + 1, sizeof(*keep));
    size_t n = 0;
    int r = shard_plan(options, shard, plan, ret_error);

    if (r < 0)
        return r;
    for (size_t i = 0; i < config->n_targets; i++) {
        keep[i] = n < plan->n_jobs && plan->jobs[n].target == config->targets[i];
        n += keep[i];
    }
    config_keep(config, keep);
    return 0;
}

static void config_print(const struct config *config, bool as_json) {
    if (as_json) {
        json_t *list = list_to_json(config);

        (void)json_dumpf(list, stdout, JSON_COMPACT);
        (void)putchar('\n');
        json_decref(list);
    } else {
        _cleanup_free_ char *text = list_to_text(config);

        (void)fputs(text, stdout);
    }
}

int list_run(const struct options *options, struct error **ret_error) {
    _cleanup_config_ struct config *config = NULL;
    struct shard shard = {0};

    if (shard_of_options(options, &shard, ret_error) < 0)
        return EXIT_STATUS_USAGE;
    if (targets_load(options, &config, ret_error) < 0 || !config || keep_shard(options, &shard, config, ret_error) < 0)
        return EXIT_STATUS_UNAVAILABLE;
    config_print(config, options->format == FORMAT_JSON);
    return 0;
}
