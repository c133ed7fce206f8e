/* SPDX-License-Identifier: Apache-2.0 */

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/file.h"
#include "cli/verbs.h"
#include "event/verdict.h"
#include "report/formats/github.h"
#include "report/formats/report-join.h"
#include "report/formats/report-json.h"
#include "report/formats/report-request.h"
#include "report/lines.h"
#include "report/result.h"

/* Directories within each other that are looked into. */
#define DEPTH_MAX 16

struct merge {
    struct report_request *outputs;
    size_t n_outputs;
    struct join_input *inputs; /* their paths are owned as well */
    size_t n_inputs;
    struct strv problems;
    struct strv notes;
};

static void merge_deinit(struct merge *merge) {
    for (size_t i = 0; i < merge->n_inputs; i++) {
        free((char *)merge->inputs[i].path);
        report_free(merge->inputs[i].report);
    }
    free(merge->inputs);
    free(merge->outputs);
    strv_deinit(&merge->problems);
    strv_deinit(&merge->notes);
}
#define _cleanup_merge_ _cleanup_(merge_deinit)

static int add_output(struct merge *merge, const char *text, struct error **ret_error) {
    struct report_request request = {0};
    int r = report_request_parse(text, &request, ret_error);

    if (r < 0) {
        error_context(ret_error, "merge: option '--report'");
        return r;
    }
    for (size_t i = 0; i < merge->n_outputs; i++) {
        if (report_request_same(&merge->outputs[i], &request))
            return error_new(ret_error, EINVAL, "merge: option '--report': '%s' is requested twice",
                             request.path ? request.path : text);
    }
    merge->outputs = xreallocarray(merge->outputs, merge->n_outputs + 1, sizeof(*merge->outputs));
    merge->outputs[merge->n_outputs++] = request;
    return 0;
}

/* What this very command writes is none of its inputs, should it be there from the last time. */
static bool is_output(const struct merge *merge, const struct stat *status) {
    struct stat output;

    for (size_t i = 0; i < merge->n_outputs; i++) {
        if (merge->outputs[i].path && stat(merge->outputs[i].path, &output) == 0 && output.st_ino == status->st_ino &&
            output.st_dev == status->st_dev)
            return true;
    }
    return false;
}

static bool is_known(const struct merge *merge, const char *path) {
    struct stat status;
    struct stat other;

    for (size_t i = 0; i < merge->n_inputs && stat(path, &status) == 0; i++) {
        if (stat(merge->inputs[i].path, &other) == 0 && other.st_ino == status.st_ino && other.st_dev == status.st_dev)
            return true;
    }
    return false;
}

/* `found`: in a directory, where other files may lie as well. */
static void add_file(struct merge *merge, const char *path, bool found) {
    _cleanup_error_ struct error *error = NULL;
    struct report *report = NULL;
    int r;

    if (is_known(merge, path))
        return; /* it was named twice: in a directory, and itself */
    r = report_read_json(path, &report, &error);
    if (r == -EBADMSG && found) {
        strv_append_printf(&merge->notes, "%s is skipped", error_message(error));
    } else if (r < 0) {
        strv_append(&merge->problems, error_message(error));
    } else {
        merge->inputs = xreallocarray(merge->inputs, merge->n_inputs + 1, sizeof(*merge->inputs));
        merge->inputs[merge->n_inputs++] = (struct join_input){.path = xstrdup(path), .report = report};
    }
}

static int list_directory(const char *path, struct strv *ret_names) {
    _cleanup_closedir_ DIR *directory = opendir(path);
    const struct dirent *entry;

    if (!directory)
        return -errno;
    while (errno = 0, (entry = readdir(directory)) != NULL) {
        if (entry->d_name[0] != '.')
            strv_append(ret_names, entry->d_name);
    }
    return -errno;
}

static void add_directory(struct merge *merge, const char *path, unsigned depth) {
    _cleanup_strv_ struct strv names = {0};
    int r = list_directory(path, &names);

    if (r < 0)
        strv_append_printf(&merge->problems, "%s: %s", path, strerror(-r));
    if (names.count > 0)
        qsort(names.items, names.count, sizeof(*names.items), str_compare);
    for (size_t i = 0; i < names.count; i++) {
        _cleanup_free_ char *child = path_resolve(path, names.items[i]);
        struct stat status;

        if (lstat(child, &status) < 0)
            continue;
        if (S_ISDIR(status.st_mode) && depth < DEPTH_MAX)
            add_directory(merge, child, depth + 1);
        else if (S_ISREG(status.st_mode) && str_has_suffix(child, ".json") && !is_output(merge, &status))
            add_file(merge, child, true);
    }
}

static void find_inputs(struct merge *merge, const struct strv *paths) {
    for (size_t i = 0; i < paths->count; i++) {
        const char *path = paths->items[i];
        struct stat status;

        if (path_is_directory(path))
            add_directory(merge, path, 0);
        else if (stat(path, &status) == 0 && is_output(merge, &status))
            strv_append_printf(&merge->problems, "%s is an input, and --report would overwrite it", path);
        else
            add_file(merge, path, false);
    }
}

static void lines_print(const char *what, const struct strv *lines) {
    for (size_t i = 0; i < lines->count; i++) {
        _cleanup_free_ char *line = text_sanitize(lines->items[i]);

        (void)fprintf(stderr, "vmtest: merge: %s%s\n", what, line);
    }
}

static void print_summary(const struct report *report, size_t n_shards) {
    unsigned n_open = report->summary.n_targets;

    for (size_t i = 0; i < report->n_entries; i++) {
        const struct report_entry *entry = &report->entries[i];
        _cleanup_free_ char *name = text_sanitize(entry->name);
        _cleanup_free_ char *reason = result_reason_line(&entry->result);

        if (!verdict_passed(entry->result.verdict) || entry->result.verdict == VERDICT_FLAKY)
            (void)printf("%s: %s (shard %u)\n", name, reason, entry->shard);
    }
    (void)printf("%u targets in %zu shards", report->summary.n_targets, n_shards);
    for (enum verdict verdict = 0; verdict < VERDICT_COUNT; verdict++) {
        n_open -= report->summary.n_of[verdict];
        if (report->summary.n_of[verdict] > 0)
            (void)printf(", %u %s", report->summary.n_of[verdict], verdict_name(verdict));
    }
    if (n_open > 0)
        (void)printf(", %u without a verdict", n_open);
    (void)printf("; %u did not pass\n", report->summary.n_not_passed);
}

static int write_outputs(struct merge *merge, const struct report *report, struct error **ret_error) {
    for (size_t i = 0; i < merge->n_outputs; i++) {
        _cleanup_buffer_ struct buffer text = {0};
        int r;

        if (merge->outputs[i].writer->has_file) {
            r = report_request_open(&merge->outputs[i], ret_error);
            if (r == 0)
                r = report_request_write(&merge->outputs[i], report, ret_error);
            report_request_close(&merge->outputs[i]);
        } else {
            report_write_github(report, NULL, &text);
            (void)fwrite(text.data ? text.data : "", 1, text.size, stdout);
            r = report_append_step_summary(report, ret_error);
        }
        if (r < 0)
            return r;
    }
    return 0;
}

int merge_run(const struct options *options, struct error **ret_error) {
    _cleanup_merge_ struct merge merge = {0};
    _cleanup_report_ struct report *report = NULL;
    size_t n_shards;

    for (size_t i = 0; i < options->reports.count; i++) {
        if (add_output(&merge, options->reports.items[i], ret_error) < 0)
            return EXIT_STATUS_USAGE;
    }
    find_inputs(&merge, &options->words);
    n_shards = join_check(merge.inputs, merge.n_inputs, &merge.problems, &merge.notes);
    lines_print("note: ", &merge.notes);
    if (merge.problems.count > 0) {
        lines_print("", &merge.problems);
        (void)error_new(ret_error, EINVAL,
                        "merge: these are not the reports of all shards of one run; no report was written");
        return EXIT_STATUS_UNAVAILABLE;
    }
    report = join_reports(merge.inputs, n_shards);
    print_summary(report, n_shards);
    if (write_outputs(&merge, report, ret_error) < 0)
        return EXIT_STATUS_UNAVAILABLE;
    return report->summary.status;
}
