/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/sinks.h"

#include <stdio.h>
#include <unistd.h>

static bool environment_set(const char *name) {
    return !str_empty(getenv(name));
}

static enum many_style many_style(const struct options *options) {
    if (options->verbose)
        return MANY_PREFIXED;
    return options->quiet ? MANY_FAILED_BLOCKS : MANY_BLOCKS;
}

static struct sink *make_view(const struct options *options, const struct run_plan *plan, const char *again,
                              struct writer *writer) {
    bool one_liner = options_is_one_liner(options);
    bool out_tty = isatty(STDOUT_FILENO);
    bool err_tty = isatty(STDERR_FILENO);
    /* A terminal that cannot move its cursor gets everything as it comes. */
    bool tty = (one_liner ? err_tty : out_tty) && !str_equal(getenv("TERM"), "dumb");
    const struct terminal_options terminal = {
        .out_fd = STDOUT_FILENO,
        .err_fd = STDERR_FILENO,
        .window = tty && !environment_set("VMTEST_NO_UI"),
        .color = tty && !environment_set("NO_COLOR"),
        .one_liner = one_liner,
        .interactive = plan->n_jobs > 0 && plan->jobs[0].target->interactive,
        .again = again,
    };

    if (options->format == FORMAT_JSON)
        return sink_json_new(STDOUT_FILENO, writer);
    if (plan->n_slots > 1 && terminal.window && !one_liner && !options->verbose)
        return sink_live_new(&(struct live_options){.terminal = terminal, .quiet = options->quiet}, plan, writer);
    if (!terminal.interactive && (plan->n_slots > 1 || options->quiet || options->verbose))
        return sink_many_new(&(struct many_options){.terminal = terminal, .style = many_style(options)}, writer);
    return sink_terminal_new(&terminal, writer);
}

int sinks_make(struct sinks *sinks, const struct options *options, const struct run_plan *plan, const char *again,
               struct writer *writer, struct error **ret_error) {
    int r = 0;

    *sinks = (struct sinks){0};
    /* The artifacts come first: they are whole when the terminal says that a target has ended. */
    if (options->artifacts) {
        sinks->artifacts = sink_artifacts_new(again, options_is_one_liner(options));
        sinks->items[sinks->n_items++] = sinks->artifacts;
    }
    sinks->items[sinks->n_items++] = make_view(options, plan, again, writer);
    if (options->reports.count > 0) {
        const struct report_options reports = {
            .requests = &options->reports,
            .again = again,
            .one_liner = options_is_one_liner(options),
            .github_fd = options->format == FORMAT_JSON ? STDERR_FILENO : STDOUT_FILENO,
        };

        r = sink_files_new(&reports, plan, writer, &sinks->files, ret_error);
        if (r == 0)
            sinks->items[sinks->n_items++] = sinks->files;
    }
    return r;
}

int sinks_end(const struct sinks *sinks, int status) {
    const struct error *artifacts = sinks->artifacts ? sink_artifacts_error(sinks->artifacts) : NULL;
    const struct error *report = sinks->files ? sink_files_error(sinks->files) : NULL;

    if (artifacts)
        (void)fprintf(stderr, "vmtest: the artifacts are not complete: %s\n", error_message(artifacts));
    if (report)
        (void)fprintf(stderr, "vmtest: %s\n", error_message(report));
    return status == 0 && (artifacts || report) ? EXIT_STATUS_UNAVAILABLE : status;
}

void sinks_deinit(struct sinks *sinks) {
    for (size_t i = 0; i < sinks->n_items; i++)
        sinks->items[i]->free(sinks->items[i]);
    *sinks = (struct sinks){0};
}
