/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TAP 14 (testanything.org/tap-version-14-specification.html). A target is a test point with a YAML block behind it;
 * its sub-results are a subtest in front of it. A target that was not started because of --fail-fast is `not ok`
 * without a directive: SKIP would make a success of it.
 */
#include <inttypes.h>

#include "report/report-text.h"

#define NSEC_PER_MSEC 1000000

/* `#` and `\` would begin a directive or an escape. */
static void add_description(struct buffer *out, const char *text) {
    _cleanup_free_ char *line = report_plain_line(text);

    for (const char *c = line; *c; c++) {
        if (*c == '#' || *c == '\\')
            buffer_append_string(out, "\\");
        buffer_append(out, c, 1);
    }
}

/* The inside of a double-quoted scalar of YAML; `text` as report_plain_line() makes it. */
static void add_escaped(struct buffer *out, const char *text, size_t size) {
    for (size_t i = 0; i < size;) {
        size_t length = 1;

        while (length < UTF8_MAX && i + length < size && utf8_valid_prefix(text + i, length) != length)
            length++;
        wchar_t character = utf8_decode(text + i, length);
        if (character == L'"' || character == L'\\')
            buffer_printf(out, "\\%c", (char)character);
        else if (character == L'\t')
            buffer_append_string(out, "\\t");
        else if (character == 0x2028 || character == 0x2029 || character == 0xfeff)
            buffer_printf(out, "\\u%04x", (unsigned)character);
        else
            buffer_append(out, text + i, length);
        i += length;
    }
}

static void add_quoted(struct buffer *out, const char *text) {
    buffer_append_string(out, "\"");
    add_escaped(out, text, strlen(text));
    buffer_append_string(out, "\"");
}

/*
 * An item of a list. Perl's TAP::Parser takes one whose first word has a colon and a space behind it for a table,
 * quotes or not, and reads no further: such colons are escaped, at the end of the word and apart from it.
 */
static void add_item(struct buffer *out, const char *text) {
    size_t word = strcspn(text, " ");
    const size_t colons[] = {word > 0 ? word - 1 : 0, word + strspn(text + word, " ")};
    size_t from = 0;

    buffer_append_string(out, "    - \"");
    for (size_t i = 0; i < ARRAY_SIZE(colons); i++) {
        size_t at = colons[i];

        if (at < from || text[at] != ':' || text[at + 1] != ' ')
            continue;
        add_escaped(out, text + from, at - from);
        buffer_append_string(out, "\\x3a");
        from = at + 1;
    }
    add_escaped(out, text + from, strlen(text + from));
    buffer_append_string(out, "\"\n");
}

static void add_value(struct buffer *out, const char *key, const char *text) {
    _cleanup_free_ char *line = report_plain_line(text);

    if (line[0] == '\0')
        return;
    buffer_printf(out, "  %s: ", key);
    add_quoted(out, line);
    buffer_append_string(out, "\n");
}

/* A list of the lines of a text. */
static void add_lines(struct buffer *out, const char *key, const char *text) {
    _cleanup_free_ char *plain = report_plain_text(text);
    char *rest = plain;
    const char *line;

    if (plain[0] == '\0')
        return;
    plain[strlen(plain) - 1] = '\0'; /* the last line feed, which would begin another line */
    buffer_printf(out, "  %s:\n", key);
    while ((line = strsep(&rest, "\n")) != NULL) {
        add_item(out, line);
    }
}

static void add_subtest(struct buffer *out, const struct report_entry *entry) {
    buffer_append_string(out, "# Subtest: ");
    add_description(out, entry->name);
    buffer_printf(out, "\n    1..%zu\n", entry->n_subresults);
    for (size_t i = 0; i < entry->n_subresults; i++) {
        const struct report_subresult *subresult = &entry->subresults[i];
        _cleanup_free_ char *message = report_plain_line(subresult->message);
        bool fails = subresult->status == SUBRESULT_FAIL || subresult->status == SUBRESULT_TODO;

        buffer_printf(out, "    %s %zu - ", fails ? "not ok" : "ok", i + 1);
        add_description(out, subresult->name);
        if (subresult->status == SUBRESULT_SKIP || subresult->status == SUBRESULT_TODO) {
            buffer_printf(out, " # %s ", subresult->status == SUBRESULT_SKIP ? "SKIP" : "TODO");
            add_description(out, message);
        }
        buffer_append_string(out, "\n");
        if (subresult->status == SUBRESULT_FAIL && message[0] != '\0') {
            buffer_append_string(out, "      ---\n      message: ");
            add_quoted(out, message);
            buffer_append_string(out, "\n      ...\n");
        }
    }
}

static void add_diagnostics(struct buffer *out, const struct report_entry *entry) {
    const struct run_result *result = &entry->result;
    _cleanup_free_ char *reason = report_reason(entry);
    uint64_t nsec = entry->end_nsec > entry->start_nsec ? entry->end_nsec - entry->start_nsec : 0;

    buffer_append_string(out, "  ---\n");
    add_value(out, "verdict", verdict_name(result->verdict));
    add_value(out, "reason", reason);
    buffer_printf(out, "  duration_ms: %" PRIu64 "\n  stages_ms:\n", nsec / NSEC_PER_MSEC);
    for (enum stage stage = 0; stage < STAGE_COUNT; stage++)
        buffer_printf(out, "    %s: %" PRIu64 "\n", stage_name(stage), result->nsec[stage] / NSEC_PER_MSEC);
    add_value(out, "kernel", result->kernel_release);
    add_value(out, "accel", result->accel);
    for (size_t i = 0; i < result->n_findings; i++) {
        _cleanup_free_ char *text = xasprintf("%s: %s", result->findings[i].kind, result->findings[i].title);
        _cleanup_free_ char *line = report_plain_line(text);

        if (i == 0)
            buffer_append_string(out, "  findings:\n");
        add_item(out, line);
    }
    for (size_t i = 0; i < entry->n_attempts; i++) {
        _cleanup_free_ char *line = report_plain_line(entry->attempts[i].reason);

        if (i == 0)
            buffer_append_string(out, "  attempts_before:\n");
        add_item(out, line);
    }
    add_lines(out, "console", entry->console);
    add_lines(out, "output", entry->output);
    add_value(out, "artifacts", entry->artifacts);
    add_value(out, "again", entry->again);
    buffer_append_string(out, "  ...\n");
}

void report_write_tap(const struct report *report, struct buffer *out) {
    const struct report_entry *cancelled = NULL;
    _cleanup_free_ char *line = report_summary_line(report);

    buffer_printf(out, "TAP version 14\n1..%zu%s\n", report->n_entries, report->n_entries ? "" : " # SKIP no targets");
    for (size_t i = 0; i < report->n_entries; i++) {
        const struct report_entry *entry = &report->entries[i];

        if (entry->n_subresults > 0)
            add_subtest(out, entry);
        buffer_printf(out, "%s %zu - ", verdict_passed(entry->result.verdict) ? "ok" : "not ok", i + 1);
        add_description(out, entry->name);
        buffer_append_string(out, "\n");
        add_diagnostics(out, entry);
        if (entry->result.verdict == VERDICT_CANCELLED)
            cancelled = entry;
    }
    buffer_printf(out, "# %s\n", line);
    if (cancelled) {
        buffer_append_string(out, "Bail out! ");
        add_description(out, cancelled->result.reason[0] ? cancelled->result.reason : "cancelled");
        buffer_append_string(out, "\n");
    }
}
