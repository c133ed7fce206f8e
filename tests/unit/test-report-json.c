/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON report: what is written is read back as it was, and nothing else is taken for a report. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "report/formats/report-json.h"

#define HASH "0123456789abcdef0123456789abcdef"
/* Members of a report with one target that may not be missing. */
#define N_NEEDED 73
/* A control character, a byte that is no UTF-8, a character that ends lines, quotes, and the end of CDATA. */
#define NASTY "a\x01\xff\xe2\x80\xa8\"\\]]>\xc3"
#define NASTY_READ "a\x01\xef\xbf\xbd\xe2\x80\xa8\"\\]]>\xef\xbf\xbd"

static struct report *make_report(size_t n_entries) {
    struct report *report = xcalloc(1, sizeof(*report));

    *report = (struct report){
        .list_hash = xstrdup(HASH),
        .shard_index = 2,
        .shard_count = 3,
        .shuffled = true,
        .seed = UINT64_MAX,
        .n_slots = 4,
        .started_at = 1700000000123456,
        .entries = xcalloc(n_entries + 1, sizeof(*report->entries)),
        .n_entries = n_entries,
    };
    for (size_t i = 0; i < n_entries; i++) {
        report->entries[i] = (struct report_entry){
            .name = xasprintf("target %zu", i),
            .target = xasprintf("target %zu", i),
            .shard = 2,
            .result = RUN_RESULT_EMPTY,
            .console = xstrdup(""),
            .output = xstrdup(""),
            .again = xstrdup("vmtest"),
            .artifacts = xstrdup(""),
            .finished = true,
        };
    }
    return report;
}

static void fill_entry(struct report_entry *entry) {
    free(entry->console);
    free(entry->output);
    entry->console = xstrdup(NASTY);
    entry->output = xstrdup("\xff");
    entry->slot = 3;
    entry->start_nsec = 1;
    entry->end_nsec = 1234567890123;
    entry->from_template = true;
    entry->result.verdict = VERDICT_SIGNAL;
    entry->result.detail = 9;
    entry->result.reason = NASTY;
    entry->result.stage = STAGE_COMMAND;
    entry->result.kernel_release = "6.1.0";
    entry->result.accel = "tcg";
    entry->result.qemu_version = "7.2";
    entry->result.kernel_hash = HASH;
    entry->result.tasks = "a task";
    entry->result.user_usec = 5;
    entry->result.system_usec = 6;
    entry->result.max_rss_kib = 7;
    entry->result.findings[0] = (struct run_finding){.kind = "oops", .title = NASTY, .text = "text"};
    entry->result.n_findings = 1;
    entry->result.n_more_findings = 2;
    for (unsigned i = 0; i < STAGE_COUNT; i++) {
        entry->stage_start_nsec[i] = i + 10;
        entry->result.nsec[i] = i + 20;
    }
    for (unsigned i = 0; i < SUBRESULT_COUNT; i++)
        entry->result.n_subresults[i] = i + 30;
    entry->axes = xcalloc(1, sizeof(*entry->axes));
    entry->axes[0] = (struct report_axis){.name = xstrdup("kernel"), .value = xstrdup("vmlinuz")};
    entry->n_axes = 1;
    entry->attempts = xcalloc(1, sizeof(*entry->attempts));
    entry->attempts[0] =
        (struct report_attempt){.verdict = VERDICT_PANIC, .reason = xstrdup("oh"), .start_nsec = 1, .end_nsec = 2};
    entry->n_attempts = 1;
    entry->subresults = xcalloc(1, sizeof(*entry->subresults));
    entry->subresults[0] = (struct report_subresult){
        .name = xstrdup("sub"), .status = SUBRESULT_TODO, .message = xstrdup("m"), .output = xstrdup("o"), .nsec = 8};
    entry->n_subresults = 1;
}

static struct report *parse(const char *text, size_t size) {
    _cleanup_error_ struct error *error = NULL;
    struct report *report = NULL;

    if (report_parse_json(text, size, &report, &error) < 0)
        fail_msg("%s", error_message(error));
    return report;
}

static void a_report_comes_back_as_it_was(void **state) {
    _cleanup_report_ struct report *report = make_report(2);
    _cleanup_report_ struct report *read = NULL;
    _cleanup_buffer_ struct buffer first = {0};
    _cleanup_buffer_ struct buffer second = {0};

    fill_entry(&report->entries[0]);
    report->summary = report_count(report);
    report_write_json(report, &first);
    for (size_t i = 0; i < first.size; i++)
        assert_true(first.data[i] == '\n' || (first.data[i] >= ' ' && first.data[i] < 0x7f));
    read = parse(first.data, first.size);
    report_write_json(read, &second);
    assert_string_equal(first.data, second.data);
    assert_true(read->shuffled && read->seed == UINT64_MAX && read->n_slots == 4 && read->shard_count == 3);
    assert_string_equal(read->entries[0].console, NASTY_READ);
    assert_string_equal(read->entries[0].result.reason, NASTY_READ);
    assert_string_equal(read->entries[0].result.findings[0].title, NASTY_READ);
    assert_int_equal(read->entries[0].result.n_subresults[SUBRESULT_TODO], 33);
    assert_int_equal(read->entries[0].result.detail, 9);
    assert_int_equal(read->entries[0].attempts[0].verdict, VERDICT_PANIC);
    assert_int_equal(read->summary.n_not_passed, 1);
}

static void every_verdict_comes_back(void **state) {
    _cleanup_report_ struct report *report = make_report(VERDICT_COUNT);
    _cleanup_report_ struct report *read = NULL;
    _cleanup_buffer_ struct buffer text = {0};

    for (enum verdict verdict = 0; verdict < VERDICT_COUNT; verdict++)
        report->entries[verdict].result.verdict = verdict;
    report->summary = report_count(report);
    report_write_json(report, &text);
    read = parse(text.data, text.size);
    assert_int_equal(read->summary.n_not_passed, VERDICT_COUNT - 2);
    for (enum verdict verdict = 0; verdict < VERDICT_COUNT; verdict++) {
        assert_int_equal(read->entries[verdict].result.verdict, verdict);
        assert_int_equal(read->summary.n_of[verdict], 1);
    }
}

static void a_target_without_a_verdict_has_not_passed(void **state) {
    _cleanup_report_ struct report *report = make_report(2);
    _cleanup_report_ struct report *read = NULL;
    _cleanup_buffer_ struct buffer text = {0};

    report->entries[1].finished = false;
    report_write_json(report, &text); /* its summary says that none has failed */
    read = parse(text.data, text.size);
    assert_false(read->entries[1].finished);
    assert_int_equal(read->entries[1].result.verdict, VERDICT_CANCELLED);
    assert_int_equal(read->summary.n_not_passed, 1);
    assert_int_equal(read->summary.status, 1);
}

static void what_is_wrong_is_refused_by_name(void **state) {
    static const struct {
        const char *from, *to, *message;
    } cases[] = {
        {"\"vmtest report\"", "\"other\"", "not a report"},
        {"\"version\": 1", "\"version\": 2", "version 2"},
        {"\"list\": \"" HASH, "\"list\": \"" HASH "0", "'list'"},
        {"\"list\": \"0", "\"list\": \"G", "'list'"},
        {"\"index\": 2", "\"index\": 0", "'index'"},
        {"\"index\": 2", "\"index\": 4", "'index'"},
        {"\"count\": 3", "\"count\": -1", "'count'"},
        {"\"seed\": \"1", "\"seed\": \"-1", "'seed'"},
        {"\"seed\": \"1", "\"seed\": \"91", "'seed'"},
        {"\"slots\": 4", "\"slots\": 4.5", "'slots'"},
        {"\"slots\": 4", "\"slots\": 4294967296", "'slots'"},
        {"\"shard\": 2", "\"shard\": 1", "'shard'"},
        {"\"target 1\"", "\"target 0\"", "same name"},
        {"\"name\": \"target 1\"", "\"name\": \"\"", "'name'"},
        {"\"name\": \"target 1\"", "\"name\": 1", "'name'"},
        {"\"finished\": true", "\"finished\": 1", "'finished'"},
        {"\"verdict\": \"signal\"", "\"verdict\": \"good\"", "'verdict'"},
        {"\"stage\": \"command\"", "\"stage\": \"x\"", "'stage'"},
        {"\"detail\": 9", "\"detail\": 2147483648", "'detail'"},
        {"\"status\": \"todo\"", "\"status\": \"x\"", "'status'"},
        {"\"not_passed\": 1", "\"not_passed\": 3", "'not_passed'"},
        {"\"axes\": [", "\"axes\": [1,", "'axes'"},
        {"\"again\": \"vmtest\"", "\"again\": \"a\\u0000b\"", "not JSON"},
        {"\"again\": ", "\"again\": \"twice\", \"again\": ", "not JSON"},
    };
    _cleanup_report_ struct report *report = make_report(2);
    _cleanup_buffer_ struct buffer text = {0};

    fill_entry(&report->entries[0]);
    report->summary = report_count(report);
    report_write_json(report, &text);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_error_ struct error *error = NULL;
        struct report *read = NULL;
        const char *at = strstr(text.data, cases[i].from);
        char *broken = NULL;

        assert_non_null(at);
        broken = xasprintf("%.*s%s%s", (int)(at - text.data), text.data, cases[i].to, at + strlen(cases[i].from));
        assert_int_equal(report_parse_json(broken, strlen(broken), &read, &error),
                         str_equal(cases[i].message, "not a report") ? -EBADMSG : -EINVAL);
        if (!strstr(error_message(error), cases[i].message))
            fail_msg("case %zu: %s", i, error_message(error));
        assert_null(read);
        free(broken);
    }
}

static void every_member_is_needed(void **state) {
    _cleanup_report_ struct report *report = make_report(1);
    _cleanup_buffer_ struct buffer text = {0};
    unsigned n_refused = 0;

    fill_entry(&report->entries[0]);
    report_write_json(report, &text);
    /* A key under another name is a member that is missing. */
    for (char *quote = strchr(text.data, '"'); quote; quote = strchr(quote + 1, '"')) {
        char *end = strchr(quote + 1, '"');
        _cleanup_error_ struct error *error = NULL;
        struct report *read = NULL;
        char letter = quote[1];

        if (!end || end[1] != ':')
            continue;
        quote[1] = '@';
        int r = report_parse_json(text.data, text.size, &read, &error);
        quote[1] = letter;
        n_refused += r < 0;
        report_free(read);
    }
    /* Others are there for people: the verdicts that the summary counts, and its number of targets. */
    assert_int_equal(n_refused, N_NEEDED);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_report_comes_back_as_it_was),
        cmocka_unit_test(every_verdict_comes_back),
        cmocka_unit_test(a_target_without_a_verdict_has_not_passed),
        cmocka_unit_test(what_is_wrong_is_refused_by_name),
        cmocka_unit_test(every_member_is_needed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
