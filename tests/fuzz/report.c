/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON reports: what is taken for one can be written, and comes back as it was. In the other formats, whatever its
 * strings are, it is text: UTF-8 without control characters, but for ends of lines and tabs.
 */
#include "fuzz.h"
#include "report/formats/report-json.h"

static void check_entry(const struct report_entry *entry) {
    FUZZ_CHECK(!str_empty(entry->name) && entry->target && entry->console && entry->output && entry->again);
    FUZZ_CHECK(entry->result.verdict < VERDICT_COUNT && entry->result.stage < STAGE_COUNT && entry->result.reason);
    FUZZ_CHECK(entry->finished || !verdict_passed(entry->result.verdict));
    FUZZ_CHECK(entry->result.n_findings <= RUN_FINDINGS_MAX);
}

static void check_text(const struct report *report, void (*write)(const struct report *report, struct buffer *out)) {
    _cleanup_buffer_ struct buffer text = {0};

    write(report, &text);
    FUZZ_CHECK(text.size > 0 && text.data[text.size - 1] == '\n');
    FUZZ_CHECK(utf8_valid_prefix(text.data, text.size) == text.size);
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];

        FUZZ_CHECK((c >= ' ' && c != 0x7f) || c == '\n' || c == '\t');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    _cleanup_error_ struct error *error = NULL;
    _cleanup_report_ struct report *report = NULL;
    _cleanup_report_ struct report *again = NULL;
    _cleanup_buffer_ struct buffer first = {0};
    _cleanup_buffer_ struct buffer second = {0};
    int r = report_parse_json((const char *)data, size, &report, &error);

    fuzz_check_error(r, &error);
    FUZZ_CHECK((r == 0) == (report != NULL));
    if (r < 0)
        return 0;
    for (size_t i = 0; i < report->n_entries; i++)
        check_entry(&report->entries[i]);
    FUZZ_CHECK(report->shard_count == 0 || (report->shard_index > 0 && report->shard_index <= report->shard_count));
    FUZZ_CHECK(report->summary.n_not_passed <= report->n_entries);
    FUZZ_CHECK(report->summary.status != 0 || report->summary.n_not_passed == 0);
    report_write_json(report, &first);
    FUZZ_CHECK(report_parse_json(first.data, first.size, &again, &error) == 0);
    report_write_json(again, &second);
    FUZZ_CHECK(first.size == second.size && memcmp(first.data, second.data, first.size) == 0);
    check_text(report, report_write_junit);
    check_text(report, report_write_tap);
    check_text(report, report_write_markdown);
    return 0;
}
