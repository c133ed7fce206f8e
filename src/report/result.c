/* SPDX-License-Identifier: Apache-2.0 */
#include "report/result.h"

#include "base/str.h"
#include "report/lines.h"
#include "base/utf8.h"

char *result_reason_line(const struct run_result *result) {
    _cleanup_free_ char *reason = text_sanitize(result->reason);
    const char *name = verdict_name(result->verdict);

    if (result->verdict == VERDICT_FAIL && result->detail != 0)
        return xasprintf("Command failed with exit code: %d", result->detail);
    if (result->verdict == VERDICT_SIGNAL) {
        const char *signal = sigabbrev_np(result->detail);

        return signal ? xasprintf("Command was ended by signal: %d (SIG%s)", result->detail, signal)
                      : xasprintf("Command was ended by signal: %d", result->detail);
    }
    return reason[0] != '\0' ? xasprintf("%s: %s", name, reason) : xstrdup(name);
}

char *summary_line(const struct run_summary *summary) {
    struct buffer line = {0};
    unsigned n_passed = summary->n_of[VERDICT_PASS];
    const char *separator = " (";

    buffer_printf(&line, "%u target%s: %u passed", summary->n_targets, summary->n_targets == 1 ? "" : "s", n_passed);
    if (summary->n_of[VERDICT_FLAKY] > 0)
        buffer_printf(&line, ", %u flaky", summary->n_of[VERDICT_FLAKY]);
    if (summary->n_not_passed == 0)
        return buffer_take(&line);
    buffer_printf(&line, ", %u not passed", summary->n_not_passed);
    for (enum verdict verdict = 0; verdict < VERDICT_COUNT; verdict++) {
        if (verdict_passed(verdict) || summary->n_of[verdict] == 0)
            continue;
        buffer_printf(&line, "%s%u %s", separator, summary->n_of[verdict], verdict_name(verdict));
        separator = ", ";
    }
    buffer_append_string(&line, separator[0] == ',' ? ")" : "");
    return buffer_take(&line);
}

char *subresults_line(const struct run_result *result) {
    static const char *const words[SUBRESULT_COUNT] = {"passed", "failed", "skipped", "expected to fail"};
    static const enum subresult_status order[] = {SUBRESULT_PASS, SUBRESULT_FAIL, SUBRESULT_SKIP, SUBRESULT_TODO};
    struct buffer line = {0};

    for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
        if (result->n_subresults[order[i]] > 0)
            buffer_printf(&line, "%s%u %s", line.size > 0 ? ", " : "", result->n_subresults[order[i]], words[order[i]]);
    }
    return line.size > 0 ? buffer_take(&line) : NULL;
}

json_t *json_lossy_string(const char *text) {
    _cleanup_buffer_ struct buffer valid = {0};
    size_t size = text ? strlen(text) : 0;

    while (size > 0) {
        size_t length = utf8_valid_prefix(text, size);

        buffer_append(&valid, text, length);
        if (length < size)
            buffer_append_string(&valid, UTF8_REPLACEMENT);
        text += length + (length < size);
        size -= length + (length < size);
    }
    return json_stringn(valid.data ? valid.data : "", valid.size);
}

static json_t *findings_json(const struct run_result *result) {
    json_t *array = json_array();

    for (size_t i = 0; i < result->n_findings; i++) {
        json_t *finding = json_object();

        (void)json_object_set_new(finding, "kind", json_lossy_string(result->findings[i].kind));
        (void)json_object_set_new(finding, "title", json_lossy_string(result->findings[i].title));
        (void)json_object_set_new(finding, "text", json_lossy_string(result->findings[i].text));
        (void)json_array_append_new(array, finding);
    }
    return array;
}

static void add_unless_empty(json_t *object, const char *key, const char *text) {
    if (!str_empty(text))
        (void)json_object_set_new(object, key, json_lossy_string(text));
}

/* How many of each status the command's own tests gave; nothing where there were none. */
static void add_subresults(json_t *object, const struct run_result *result) {
    json_t *counts = json_object();
    unsigned n_all = 0;

    for (enum subresult_status status = 0; status < SUBRESULT_COUNT; status++) {
        (void)json_object_set_new(counts, subresult_status_name(status), json_integer(result->n_subresults[status]));
        n_all += result->n_subresults[status];
    }
    if (n_all > 0)
        (void)json_object_set_new(object, "subresults", counts);
    else
        json_decref(counts);
}

json_t *json_seconds(uint64_t nsec) {
    uint64_t usec = nsec / 1000;

    return json_real((double)usec / 1e6);
}

void result_add_to_json(json_t *object, const struct run_result *result) {
    json_t *durations = json_object();

    for (enum stage stage = 0; stage < STAGE_COUNT; stage++)
        (void)json_object_set_new(durations, stage_name(stage), json_seconds(result->nsec[stage]));
    json_t *usage = json_pack("{s:f, s:f, s:I}", "user_seconds", (double)result->user_usec / 1e6, "system_seconds",
                              (double)result->system_usec / 1e6, "max_rss_kib", (json_int_t)result->max_rss_kib);

    (void)json_object_set_new(object, "verdict", json_string(verdict_name(result->verdict)));
    (void)json_object_set_new(object, "status", json_integer(verdict_exit_status(result->verdict, result->detail)));
    (void)json_object_set_new(object, "reason", json_lossy_string(result->reason));
    (void)json_object_set_new(object, "stage", json_string(stage_name(result->stage)));
    (void)json_object_set_new(object, "accel", json_lossy_string(result->accel));
    (void)json_object_set_new(object, "kernel", json_lossy_string(result->kernel_release));
    add_unless_empty(object, "kernel_xxh128", result->kernel_hash);
    add_unless_empty(object, "qemu", result->qemu_version);
    (void)json_object_set_new(object, "durations", durations);
    (void)json_object_set_new(object, "usage", usage);
    (void)json_object_set_new(object, "findings", findings_json(result));
    if (result->n_more_findings > 0)
        (void)json_object_set_new(object, "more_findings", json_integer(result->n_more_findings));
    add_subresults(object, result);
    if (verdict_passed(result->verdict))
        return;
    (void)json_object_set_new(object, "console", json_lossy_string(result->console));
    (void)json_object_set_new(object, "output", json_lossy_string(result->output));
    add_unless_empty(object, "tasks", result->tasks);
}

const char *result_target_name(const struct event *event) {
    return event->job ? event->job->target->name : event->target;
}

char *result_name_pattern(const char *name) {
    struct buffer pattern = {0};

    buffer_append_string(&pattern, "^");
    for (; *name; name++) {
        if (strchr("\\^$.[]|()?*+{}", *name))
            buffer_append_string(&pattern, "\\");
        buffer_append(&pattern, name, 1);
    }
    buffer_append_string(&pattern, "$");
    return buffer_take(&pattern);
}

char *result_again_line(const char *command, const char *name) {
    if (!name)
        return xstrdup(command);
    _cleanup_free_ char *pattern = result_name_pattern(name);
    _cleanup_free_ char *quoted = str_shell_quote(pattern);
    return xasprintf("%s -f %s", command, quoted);
}
