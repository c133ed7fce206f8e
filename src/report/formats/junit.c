/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JUnit XML, as the schema of Jenkins' xunit plugin (junit-10.xsd) allows it and GitLab reads it. A target is a test
 * suite, since only a suite has properties; its first test case is the target itself, the others are its sub-results.
 * What a verdict becomes: `fail` and `signal`, which are the command's doing, a failure; `skipped` a skip; all others
 * that are no pass an error. Attempts before the last are flakyFailure of one that passed, rerunFailure of one that did
 * not.
 */
#include <inttypes.h>

#include "report/report-text.h"

#define NSEC_PER_MSEC 1000000

static void add_escaped(struct buffer *out, const char *text, bool attribute) {
    _cleanup_buffer_ struct buffer valid = {0};

    report_valid_text(&valid, text);
    for (size_t i = 0; i < valid.size; i++) {
        switch (valid.data[i]) {
        case '&':
            buffer_append_string(out, "&amp;");
            break;
        case '<':
            buffer_append_string(out, "&lt;");
            break;
        case '>': /* "]]>" may not stand in a text */
            buffer_append_string(out, "&gt;");
            break;
        case '"':
            buffer_append_string(out, attribute ? "&quot;" : "\"");
            break;
        case '\n':
            buffer_append_string(out, attribute ? "&#10;" : "\n");
            break;
        case '\t':
            buffer_append_string(out, attribute ? "&#9;" : "\t");
            break;
        default:
            buffer_append(out, &valid.data[i], 1);
        }
    }
}

static void add_attribute(struct buffer *out, const char *name, const char *value) {
    buffer_printf(out, " %s=\"", name);
    add_escaped(out, value, true);
    buffer_append_string(out, "\"");
}

static void add_number(struct buffer *out, const char *name, size_t number) {
    buffer_printf(out, " %s=\"%zu\"", name, number);
}

/* Seconds, without a sign or an exponent. */
static void add_time(struct buffer *out, uint64_t nsec) {
    buffer_printf(out, " time=\"%" PRIu64 ".%03" PRIu64 "\"", nsec / 1000 / NSEC_PER_MSEC, nsec / NSEC_PER_MSEC % 1000);
}

static uint64_t entry_nsec(const struct report_entry *entry) {
    return entry->end_nsec > entry->start_nsec ? entry->end_nsec - entry->start_nsec : 0;
}

enum outcome { OUTCOME_PASS, OUTCOME_FAILURE, OUTCOME_ERROR, OUTCOME_SKIPPED, OUTCOME_COUNT };
static const char *const outcome_elements[OUTCOME_COUNT] = {NULL, "failure", "error", "skipped"};

static enum outcome outcome_of(enum verdict verdict) {
    switch (verdict) {
    case VERDICT_PASS:
    case VERDICT_FLAKY:
        return OUTCOME_PASS;
    case VERDICT_FAIL:
    case VERDICT_SIGNAL:
        return OUTCOME_FAILURE;
    case VERDICT_SKIPPED:
        return OUTCOME_SKIPPED;
    default:
        return OUTCOME_ERROR;
    }
}

/* A test that is expected to fail counts as skipped: JUnit has no word for it. */
static enum outcome outcome_of_subresult(enum subresult_status status) {
    if (status == SUBRESULT_PASS)
        return OUTCOME_PASS;
    return status == SUBRESULT_FAIL ? OUTCOME_FAILURE : OUTCOME_SKIPPED;
}

static void add_property(struct buffer *out, const char *name, const char *value) {
    _cleanup_free_ char *line = report_plain_line(value);

    if (line[0] == '\0')
        return;
    buffer_append_string(out, "      <property");
    add_attribute(out, "name", name);
    add_attribute(out, "value", line);
    buffer_append_string(out, "/>\n");
}

static void add_properties(struct buffer *out, const struct report_entry *entry) {
    const struct run_result *result = &entry->result;

    buffer_append_string(out, "    <properties>\n");
    add_property(out, "verdict", verdict_name(result->verdict));
    for (size_t i = 0; i < entry->n_axes; i++) {
        _cleanup_free_ char *name = xasprintf("axis.%s", entry->axes[i].name);

        add_property(out, name, entry->axes[i].value);
    }
    for (enum stage stage = 0; stage < STAGE_COUNT; stage++) {
        _cleanup_free_ char *name = xasprintf("seconds.%s", stage_name(stage));
        _cleanup_free_ char *value = xasprintf("%" PRIu64 ".%03" PRIu64, result->nsec[stage] / 1000 / NSEC_PER_MSEC,
                                               result->nsec[stage] / NSEC_PER_MSEC % 1000);

        add_property(out, name, value);
    }
    add_property(out, "stage", stage_name(result->stage));
    add_property(out, "kernel.release", result->kernel_release);
    add_property(out, "accel", result->accel);
    add_property(out, "qemu.version", result->qemu_version);
    add_property(out, "artifacts", entry->artifacts);
    for (size_t i = 0; i < result->n_findings; i++) {
        _cleanup_free_ char *name = xasprintf("finding.%s", result->findings[i].kind);

        add_property(out, name, result->findings[i].title);
    }
    buffer_append_string(out, "    </properties>\n");
}

static void add_text(struct buffer *out, const char *title, const char *text) {
    _cleanup_free_ char *plain = report_plain_text(text);

    if (plain[0] == '\0')
        return;
    add_escaped(out, title, false);
    buffer_append_string(out, "\n");
    add_escaped(out, plain, false);
}

/* What bears a verdict out. */
static void add_evidence(struct buffer *out, const struct report_entry *entry) {
    const struct run_result *result = &entry->result;

    for (size_t i = 0; i < result->n_findings; i++) {
        _cleanup_free_ char *title = xasprintf("Reported by the guest's kernel (%s):", result->findings[i].kind);

        add_text(out, title, result->findings[i].text);
    }
    if (result->n_more_findings > 0)
        buffer_printf(out, "and %u more reports of the guest's kernel\n", result->n_more_findings);
    add_text(out, "The guest's blocked tasks:", result->tasks);
    add_text(out, "The last lines of the console:", entry->console);
    add_text(out, "To run it again:", entry->again);
}

static void add_attempts(struct buffer *out, const struct report_entry *entry) {
    const char *element = verdict_passed(entry->result.verdict) ? "flakyFailure" : "rerunFailure";

    for (size_t i = 0; i < entry->n_attempts; i++) {
        _cleanup_free_ char *reason = report_plain_line(entry->attempts[i].reason);

        buffer_printf(out, "      <%s", element);
        add_attribute(out, "type", verdict_name(entry->attempts[i].verdict));
        add_attribute(out, "message", reason);
        buffer_append_string(out, "/>\n");
    }
}

static void add_target_case(struct buffer *out, const struct report_entry *entry) {
    enum outcome outcome = outcome_of(entry->result.verdict);
    _cleanup_free_ char *name = report_plain_line(entry->name);
    _cleanup_free_ char *reason = report_reason(entry);

    buffer_append_string(out, "    <testcase");
    add_attribute(out, "name", name);
    add_attribute(out, "classname", "vmtest");
    add_time(out, entry_nsec(entry));
    buffer_append_string(out, ">\n");
    if (outcome != OUTCOME_PASS) {
        buffer_printf(out, "      <%s", outcome_elements[outcome]);
        add_attribute(out, "type", verdict_name(entry->result.verdict));
        add_attribute(out, "message", reason);
        buffer_append_string(out, ">");
        add_escaped(out, reason, false);
        buffer_append_string(out, "\n");
        add_evidence(out, entry);
        buffer_printf(out, "</%s>\n", outcome_elements[outcome]);
    }
    add_attempts(out, entry);
    buffer_append_string(out, "      <system-out>");
    add_text(out, "The last lines of the command:", entry->output);
    buffer_append_string(out, "</system-out>\n      <system-err>");
    add_text(out, "The last lines of the console:", entry->console);
    buffer_append_string(out, "</system-err>\n    </testcase>\n");
}

static void add_subresult(struct buffer *out, const char *classname, const struct report_subresult *subresult) {
    enum outcome outcome = outcome_of_subresult(subresult->status);
    _cleanup_free_ char *name = report_plain_line(subresult->name);
    _cleanup_free_ char *message = report_plain_line(subresult->message);

    buffer_append_string(out, "    <testcase");
    add_attribute(out, "name", name);
    add_attribute(out, "classname", classname);
    add_time(out, subresult->nsec);
    if (outcome == OUTCOME_PASS) {
        buffer_append_string(out, "/>\n");
        return;
    }
    buffer_printf(out, "><%s", outcome_elements[outcome]);
    add_attribute(out, "type", subresult_status_name(subresult->status));
    add_attribute(out, "message", message);
    buffer_append_string(out, ">");
    add_text(out, message, subresult->output);
    buffer_printf(out, "</%s></testcase>\n", outcome_elements[outcome]);
}

static void count(const struct report_entry *entry, size_t n_of[OUTCOME_COUNT]) {
    n_of[outcome_of(entry->result.verdict)]++;
    for (size_t i = 0; i < entry->n_subresults; i++)
        n_of[outcome_of_subresult(entry->subresults[i].status)]++;
}

static size_t sum(const size_t n_of[OUTCOME_COUNT]) {
    return n_of[OUTCOME_PASS] + n_of[OUTCOME_FAILURE] + n_of[OUTCOME_ERROR] + n_of[OUTCOME_SKIPPED];
}

static void add_suite(struct buffer *out, const struct report *report, const struct report_entry *entry) {
    _cleanup_free_ char *name = report_plain_line(entry->name);
    size_t n_of[OUTCOME_COUNT] = {0};
    char time[REPORT_TIME_SIZE];

    count(entry, n_of);
    report_time(time, report->started_at + (int64_t)(entry->start_nsec / 1000));
    buffer_append_string(out, "  <testsuite");
    add_attribute(out, "name", name);
    add_number(out, "tests", sum(n_of));
    add_number(out, "failures", n_of[OUTCOME_FAILURE]);
    add_number(out, "errors", n_of[OUTCOME_ERROR]);
    add_number(out, "skipped", n_of[OUTCOME_SKIPPED]);
    add_time(out, entry_nsec(entry));
    add_attribute(out, "timestamp", time);
    buffer_append_string(out, ">\n");
    add_properties(out, entry);
    add_target_case(out, entry);
    for (size_t i = 0; i < entry->n_subresults; i++)
        add_subresult(out, name, &entry->subresults[i]);
    buffer_append_string(out, "  </testsuite>\n");
}

void report_write_junit(const struct report *report, struct buffer *out) {
    size_t n_of[OUTCOME_COUNT] = {0};

    for (size_t i = 0; i < report->n_entries; i++)
        count(&report->entries[i], n_of);
    buffer_append_string(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"vmtest\"");
    add_number(out, "tests", sum(n_of));
    add_number(out, "failures", n_of[OUTCOME_FAILURE]);
    add_number(out, "errors", n_of[OUTCOME_ERROR]);
    add_time(out, report->summary.nsec);
    buffer_append_string(out, ">\n");
    for (size_t i = 0; i < report->n_entries; i++)
        add_suite(out, report, &report->entries[i]);
    buffer_append_string(out, "</testsuites>\n");
}
