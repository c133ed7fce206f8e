/* SPDX-License-Identifier: Apache-2.0 */
#include "report/report.h"

#include "report/report-text.h"

/* What is said of a job as long as it has no verdict; its verdict counts as not passed. */
#define NOT_FINISHED "the run ended before this target did"

static void copy_axes(struct report_entry *entry, const struct target *target) {
    entry->n_axes = target->n_axes;
    entry->axes = xcalloc(target->n_axes, sizeof(*entry->axes));
    for (size_t i = 0; i < target->n_axes; i++)
        entry->axes[i] = (struct report_axis){xstrdup(target->axes[i].name), xstrdup(target->axes[i].label)};
}

static void init_entry(struct report_entry *entry, const struct run_plan *plan, const struct job *job) {
    *entry = (struct report_entry){
        .name = xstrdup(job->name),
        .target = xstrdup(job->target->name),
        .shard = plan->shard_count ? plan->shard_index : 0,
        .result = RUN_RESULT_EMPTY,
        .console = xstrdup(""),
        .output = xstrdup(""),
        .again = xstrdup(""),
        .artifacts = xstrdup(""),
    };
    entry->result.verdict = VERDICT_CANCELLED;
    entry->result.reason = NOT_FINISHED;
    copy_axes(entry, job->target);
}

struct report *report_new(const struct run_plan *plan) {
    struct report *report = xcalloc(1, sizeof(*report));

    *report = (struct report){
        .list_hash = xstrdup(plan->list_hash ? plan->list_hash : ""),
        .shard_index = plan->shard_index,
        .shard_count = plan->shard_count,
        .shuffled = plan->shuffled,
        .seed = plan->seed,
        .n_slots = plan->n_slots,
        .started_at = plan->started_at,
        .entries = xcalloc(plan->n_jobs, sizeof(*report->entries)),
        .n_entries = plan->n_jobs,
    };
    for (size_t i = 0; i < plan->n_jobs; i++)
        init_entry(&report->entries[i], plan, &plan->jobs[i]);
    report->summary = report_count(report);
    return report;
}

static void entry_deinit(struct report_entry *entry) {
    for (size_t i = 0; i < entry->n_axes; i++) {
        free(entry->axes[i].name);
        free(entry->axes[i].value);
    }
    for (size_t i = 0; i < entry->n_attempts; i++)
        free(entry->attempts[i].reason);
    for (size_t i = 0; i < entry->n_subresults; i++) {
        free(entry->subresults[i].name);
        free(entry->subresults[i].message);
        free(entry->subresults[i].output);
    }
    free(entry->axes);
    free(entry->attempts);
    free(entry->subresults);
    buffer_deinit(&entry->record);
    free(entry->name);
    free(entry->target);
    free(entry->console);
    free(entry->output);
    free(entry->again);
    free(entry->artifacts);
}

void report_free(struct report *report) {
    if (!report)
        return;
    for (size_t i = 0; i < report->n_entries; i++)
        entry_deinit(&report->entries[i]);
    free(report->entries);
    free(report->list_hash);
    free(report);
}

struct run_summary report_count(const struct report *report) {
    struct run_summary summary = {.n_targets = (unsigned)report->n_entries};

    for (size_t i = 0; i < report->n_entries; i++) {
        const struct report_entry *entry = &report->entries[i];

        if (entry->finished)
            summary.n_of[entry->result.verdict]++;
        if (!entry->finished || !verdict_passed(entry->result.verdict))
            summary.n_not_passed++;
        if (entry->end_nsec > summary.nsec)
            summary.nsec = entry->end_nsec;
    }
    summary.status = verdict_exit_status_of_many(summary.n_not_passed);
    return summary;
}

/* Whether a character has a place in XML 1.0, and in what else is written; LF and TAB have. */
static bool is_text(wchar_t character) {
    if (character == L'\n' || character == L'\t')
        return true;
    return character >= 0x20 && character != 0x7f && !(character >= 0x80 && character < 0xa0) && character != 0xfffe &&
           character != 0xffff;
}

void report_valid_text(struct buffer *out, const char *text) {
    size_t size = strlen(text);

    while (size > 0) {
        size_t length = 1;

        if ((unsigned char)text[0] >= 0x80)
            for (length = 2; length <= UTF8_MAX && length <= size && utf8_valid_prefix(text, length) != length;)
                length++;
        bool valid = length <= UTF8_MAX && length <= size && utf8_valid_prefix(text, length) == length;
        if (!valid)
            length = 1;
        if (valid && is_text(utf8_decode(text, length)))
            buffer_append(out, text, length);
        else if (text[0] != '\r')
            buffer_append_string(out, UTF8_REPLACEMENT);
        text += length;
        size -= length;
    }
}

char *report_plain_text(const char *text) {
    struct buffer plain = {0};
    struct lines lines;

    lines_init(&lines);
    lines_feed(&lines, text, strlen(text));
    for (size_t i = 0; i < lines_count(&lines); i++) {
        report_valid_text(&plain, lines_get(&lines, i));
        buffer_append_string(&plain, "\n");
    }
    lines_deinit(&lines);
    return buffer_take(&plain);
}

char *report_plain_line(const char *text) {
    _cleanup_free_ char *line = text_sanitize(text);
    struct buffer plain = {0};

    report_valid_text(&plain, line);
    return buffer_take(&plain);
}

char *report_reason(const struct report_entry *entry) {
    _cleanup_free_ char *line = NULL;

    if (entry->result.verdict == VERDICT_PASS)
        return xstrdup("");
    line = result_reason_line(&entry->result);
    return report_plain_line(line);
}

char *report_summary_line(const struct report *report) {
    struct buffer line = {0};
    const char *separator = ": ";
    unsigned n_open = report->summary.n_targets;

    buffer_printf(&line, "%u target%s", report->summary.n_targets, report->summary.n_targets == 1 ? "" : "s");
    for (enum verdict verdict = 0; verdict < VERDICT_COUNT; verdict++) {
        n_open -= report->summary.n_of[verdict];
        if (report->summary.n_of[verdict] == 0)
            continue;
        buffer_printf(&line, "%s%u %s", separator, report->summary.n_of[verdict], verdict_name(verdict));
        separator = ", ";
    }
    if (n_open > 0)
        buffer_printf(&line, "%s%u without a verdict", separator, n_open);
    return buffer_take(&line);
}

void report_time(char text[REPORT_TIME_SIZE], int64_t usec) {
    time_t seconds = (time_t)(usec / 1000000);
    struct tm tm;

    if (!gmtime_r(&seconds, &tm) || strftime(text, REPORT_TIME_SIZE, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        text[0] = '\0';
}
