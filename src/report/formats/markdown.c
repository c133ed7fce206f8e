/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Markdown, as GitHub and GitLab show it: the summary, a table of the verdicts, and what bears out those that are no
 * pass. What the guest wrote stands in fences that are longer than any run of backticks in it. A step summary of GitHub
 * may have 1 MiB; the details that do not fit are left out, and counted.
 */
#include <inttypes.h>

#include "report/report-text.h"

#define SIZE_MAX_DETAILS (800U << 10)
#define TAIL_LINES_SIZE (4U << 10)
/* Of what stands in one line, in bytes before it is escaped. */
#define LINE_MAX_SIZE 1000U
#define FAILED_TESTS_MAX 50U /* of a target */
#define COLUMNS_MAX 16
#define NSEC_PER_SEC 1000000000

static const char *const marks[VERDICT_COUNT] = {
    [VERDICT_PASS] = "✅",       [VERDICT_FAIL] = "❌",         [VERDICT_SIGNAL] = "❌", [VERDICT_TIMEOUT] = "⏰",
    [VERDICT_PANIC] = "💥",      [VERDICT_LOST] = "💥",         [VERDICT_ERROR] = "🚫",  [VERDICT_CANCELLED] = "⏹️",
    [VERDICT_FLAKY] = "⚠️", [VERDICT_SKIPPED] = "⏭️",
};

/* Every mark of ASCII may be escaped in Markdown, and `<`, `&` and `@` as entities in HTML as well. */
static void add_escaped(struct buffer *out, const char *text) {
    _cleanup_free_ char *line = report_plain_line(text);
    bool cut = strlen(line) > LINE_MAX_SIZE;

    if (cut) {
        size_t size = LINE_MAX_SIZE;

        while (((unsigned char)line[size] & 0xc0) == 0x80)
            size--; /* not within a character */
        line[size] = '\0';
    }
    for (const char *c = line; *c; c++) {
        if (strchr("<>&@", *c))
            buffer_printf(out, "&#%d;", *c);
        else if (strchr("\\`*_{}[]()#+-!|~:", *c))
            buffer_printf(out, "\\%c", *c);
        else
            buffer_append(out, c, 1);
    }
    if (cut)
        buffer_append_string(out, "…");
}

static size_t longest_run(const char *text, char c) {
    size_t longest = 0;
    size_t run = 0;

    for (; *text; text++) {
        run = *text == c ? run + 1 : 0;
        longest = run > longest ? run : longest;
    }
    return longest;
}

static void add_fenced(struct buffer *out, const char *title, const char *text) {
    _cleanup_free_ char *plain = report_plain_text(text);
    size_t size = strlen(plain);
    const char *shown = plain;

    if (size == 0)
        return;
    if (size > TAIL_LINES_SIZE) {
        shown = strchr(plain + (size - TAIL_LINES_SIZE), '\n');
        shown = shown && shown[1] ? shown + 1 : plain + (size - TAIL_LINES_SIZE);
        while (((unsigned char)shown[0] & 0xc0) == 0x80)
            shown++; /* not within a character */
    }
    size_t fence = longest_run(shown, '`') + 1;
    fence = fence < 3 ? 3 : fence;
    buffer_printf(out, "%s\n\n", title);
    for (size_t i = 0; i < fence; i++)
        buffer_append_string(out, "`");
    buffer_printf(out, "text\n%s", shown);
    for (size_t i = 0; i < fence; i++)
        buffer_append_string(out, "`");
    buffer_append_string(out, "\n\n");
}

static void add_cell(struct buffer *out, const struct report_entry *entry) {
    buffer_printf(out, "%s %s", marks[entry->result.verdict], verdict_name(entry->result.verdict));
}

static double seconds(const struct report_entry *entry) {
    uint64_t nsec = entry->end_nsec > entry->start_nsec ? entry->end_nsec - entry->start_nsec : 0;
    uint64_t msec = nsec / 1000000;

    return (double)msec / 1000;
}

/* The number of targets that had no room. */
static size_t add_list(const struct report *report, struct buffer *out) {
    size_t i;

    buffer_append_string(out, "| Target | Verdict | Seconds | Reason |\n|---|---|---:|---|\n");
    for (i = 0; i < report->n_entries && out->size < SIZE_MAX_DETAILS / 2; i++) {
        const struct report_entry *entry = &report->entries[i];
        _cleanup_free_ char *reason = report_reason(entry);

        buffer_append_string(out, "| ");
        add_escaped(out, entry->name);
        buffer_append_string(out, " | ");
        add_cell(out, entry);
        buffer_printf(out, " | %.1f | ", seconds(entry));
        add_escaped(out, reason);
        buffer_append_string(out, " |\n");
    }
    return report->n_entries - i;
}

/* The axis that makes the columns: the kernel's or the image's, else the first. */
static size_t column_axis(const struct report_entry *entry) {
    for (size_t i = 0; i < entry->n_axes; i++) {
        if (str_equal(entry->axes[i].name, "kernel") || str_equal(entry->axes[i].name, "image"))
            return i;
    }
    return 0;
}

/* What stands in front of a row: the values of the other axes. Caller frees. */
static char *row_name(const struct report_entry *entry) {
    _cleanup_strv_ struct strv values = {0};

    for (size_t i = 0; i < entry->n_axes; i++) {
        if (i != column_axis(entry))
            strv_append(&values, entry->axes[i].value);
    }
    return strv_join(&values, ", ");
}

/* A verdict's place in the table. */
struct place {
    size_t column, row;
};

static size_t find_or_append(struct strv *strings, const char *string) {
    for (size_t i = 0; i < strings->count; i++) {
        if (str_equal(strings->items[i], string))
            return i;
    }
    strv_append(strings, string);
    return strings->count - 1;
}

/* The columns' and rows' names, in the order of the list, and where each entry stands. False where they are no table.
 */
static bool find_table(const struct report *report, struct strv *columns, struct strv *rows, struct place *places) {
    const struct report_entry *first = report->entries;

    for (size_t i = 0; i < report->n_entries; i++) {
        const struct report_entry *entry = &report->entries[i];
        _cleanup_free_ char *row = NULL;

        if (entry->n_axes < 2 || entry->n_axes != first->n_axes ||
            !str_equal(entry->axes[column_axis(entry)].name, first->axes[column_axis(first)].name))
            return false;
        row = row_name(entry);
        places[i].column = find_or_append(columns, entry->axes[column_axis(entry)].value);
        if (columns->count > COLUMNS_MAX)
            return false;
        places[i].row = find_or_append(rows, row);
    }
    return report->n_entries > 0;
}

/* The number of verdicts in it. */
static size_t add_row(const struct report *report, const struct place *places, size_t n_columns, size_t row,
                      struct buffer *out) {
    size_t n_shown = 0;

    for (size_t column = 0; column < n_columns; column++) {
        const char *separator = " | ";

        for (size_t i = 0; i < report->n_entries; i++) {
            if (places[i].row != row || places[i].column != column)
                continue;
            buffer_append_string(out, separator);
            add_cell(out, &report->entries[i]);
            separator = "<br>";
            n_shown++;
        }
        if (separator[0] == ' ')
            buffer_append_string(out, " | ");
    }
    buffer_append_string(out, " |\n");
    return n_shown;
}

/* The number of targets that had no room. */
static size_t add_table(const struct report *report, const struct strv *columns, const struct strv *rows,
                        const struct place *places, struct buffer *out) {
    size_t n_shown = 0;

    buffer_append_string(out, "| |");
    for (size_t i = 0; i < columns->count; i++) {
        buffer_append_string(out, " ");
        add_escaped(out, columns->items[i]);
        buffer_append_string(out, " |");
    }
    buffer_append_string(out, "\n|---|");
    for (size_t i = 0; i < columns->count; i++)
        buffer_append_string(out, "---|");
    buffer_append_string(out, "\n");
    for (size_t row = 0; row < rows->count && out->size < SIZE_MAX_DETAILS / 2; row++) {
        buffer_append_string(out, "| ");
        add_escaped(out, rows->items[row]);
        n_shown += add_row(report, places, columns->count, row, out);
    }
    return report->n_entries - n_shown;
}

static void add_targets(const struct report *report, struct buffer *out) {
    _cleanup_strv_ struct strv columns = {0};
    _cleanup_strv_ struct strv rows = {0};
    _cleanup_free_ struct place *places = xcalloc(report->n_entries, sizeof(*places));
    size_t n_left_out = 0;

    if (find_table(report, &columns, &rows, places))
        n_left_out = add_table(report, &columns, &rows, places, out);
    else if (report->n_entries > 0)
        n_left_out = add_list(report, out);
    if (n_left_out > 0)
        buffer_printf(out, "\n%zu more targets are left out here.\n", n_left_out);
    buffer_append_string(out, "\n");
}

/* The tests of the command that failed. */
static void add_failed_tests(struct buffer *out, const struct report_entry *entry) {
    unsigned n_failed = 0;

    for (size_t i = 0; i < entry->n_subresults; i++) {
        const struct report_subresult *subresult = &entry->subresults[i];

        if (subresult->status != SUBRESULT_FAIL || ++n_failed > FAILED_TESTS_MAX)
            continue;
        buffer_append_string(out, "- failed: ");
        add_escaped(out, subresult->name);
        buffer_append_string(out, subresult->message[0] ? " — " : "");
        add_escaped(out, subresult->message);
        buffer_append_string(out, "\n");
    }
    if (n_failed > FAILED_TESTS_MAX)
        buffer_printf(out, "- and %u more\n", n_failed - FAILED_TESTS_MAX);
    if (n_failed > 0)
        buffer_append_string(out, "\n");
}

static void add_details(const struct report_entry *entry, struct buffer *out) {
    const struct run_result *result = &entry->result;
    _cleanup_free_ char *reason = report_reason(entry);

    buffer_append_string(out, "### ");
    add_escaped(out, entry->name);
    buffer_printf(out, "\n\n%s ", marks[result->verdict]);
    add_escaped(out, reason);
    buffer_append_string(out, "\n\n");
    for (size_t i = 0; i < entry->n_attempts; i++) {
        buffer_printf(out, "- attempt %zu: ", i + 1);
        add_escaped(out, entry->attempts[i].reason);
        buffer_append_string(out, i + 1 < entry->n_attempts ? "\n" : "\n\n");
    }
    add_failed_tests(out, entry);
    for (size_t i = 0; i < result->n_findings; i++)
        add_fenced(out, "Reported by the guest's kernel:", result->findings[i].text);
    add_fenced(out, "Last lines of the console:", entry->console);
    add_fenced(out, "Last lines of the command:", entry->output);
    add_fenced(out, "To run it again:", entry->again);
}

void report_write_markdown(const struct report *report, struct buffer *out) {
    _cleanup_free_ char *summary = report_summary_line(report);
    size_t n_left_out = 0;

    buffer_printf(out, "## vmtest: %s\n\n%s in %.1f s", report->summary.n_not_passed ? "not passed" : "passed", summary,
                  (double)report->summary.nsec / NSEC_PER_SEC);
    if (report->shard_count > 0)
        buffer_printf(out, " (shard %u of %u)", report->shard_index, report->shard_count);
    buffer_append_string(out, ".\n\n");
    add_targets(report, out);
    for (size_t i = 0; i < report->n_entries; i++) {
        const struct report_entry *entry = &report->entries[i];
        _cleanup_buffer_ struct buffer details = {0};

        if (entry->result.verdict == VERDICT_PASS && entry->result.n_findings == 0)
            continue;
        if (out->size < SIZE_MAX_DETAILS)
            add_details(entry, &details);
        if (details.size > 0 && out->size + details.size <= SIZE_MAX_DETAILS)
            buffer_append(out, details.data, details.size);
        else
            n_left_out++;
    }
    if (n_left_out > 0)
        buffer_printf(out, "The details of %zu more targets are left out.\n", n_left_out);
}
