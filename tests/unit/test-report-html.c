/* SPDX-License-Identifier: Apache-2.0 */
/* The HTML report: what of a run is where, and that nothing of a guest's becomes markup. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "report/formats/html.h"

#define SECOND 1000000000ULL
#define REPLACED "\xef\xbf\xbd"

static struct report *make_report(size_t n_entries) {
    struct report *report = xcalloc(1, sizeof(*report));

    *report = (struct report){
        .list_hash = xstrdup(""),
        .n_slots = 2,
        .entries = xcalloc(n_entries + 1, sizeof(*report->entries)),
        .n_entries = n_entries,
    };
    for (size_t i = 0; i < n_entries; i++) {
        report->entries[i] = (struct report_entry){
            .name = xasprintf("target %zu", i),
            .target = xasprintf("target %zu", i),
            .slot = (unsigned)i % 2,
            .start_nsec = (i / 2 * 10 + 1) * SECOND,
            .end_nsec = (i / 2 * 10 + 9) * SECOND,
            .result = RUN_RESULT_EMPTY,
            .console = xstrdup(""),
            .output = xstrdup(""),
            .again = xstrdup(""),
            .artifacts = xstrdup(""),
            .finished = true,
        };
    }
    return report;
}

static void set_text(char **field, const char *text) {
    free(*field);
    *field = xstrdup(text);
}

/* `axes`: pairs of name and value. */
static void set_axes(struct report_entry *entry, size_t n_axes, const char *const *axes) {
    entry->axes = xcalloc(n_axes, sizeof(*entry->axes));
    entry->n_axes = n_axes;
    for (size_t i = 0; i < n_axes; i++)
        entry->axes[i] = (struct report_axis){xstrdup(axes[2 * i]), xstrdup(axes[2 * i + 1])};
}

/* Kernels by tests, `n_kernels` to a test. */
static struct report *make_matrix(size_t n_kernels, size_t n_tests) {
    struct report *report = make_report(n_kernels * n_tests);

    for (size_t i = 0; i < report->n_entries; i++) {
        _cleanup_free_ char *kernel = xasprintf("k%zu", i % n_kernels);
        _cleanup_free_ char *test = xasprintf("t%zu", i / n_kernels);

        set_axes(&report->entries[i], 2, (const char *const[]){"test", test, "kernel", kernel});
    }
    return report;
}

/* Caller frees. */
static char *written(struct report *report) {
    struct buffer out = {0};

    report->summary = report_count(report);
    report_write_html(report, &out);
    return buffer_take(&out);
}

static size_t count(const char *text, const char *part) {
    size_t n = 0;

    for (const char *at = strstr(text, part); at; at = strstr(at + 1, part))
        n++;
    return n;
}

static void assert_has(const char *text, const char *part) {
    if (!strstr(text, part))
        fail_msg("'%s' is not there", part);
}

static void assert_has_not(const char *text, const char *part) {
    if (strstr(text, part))
        fail_msg("'%s' is there", part);
}

static void text_stays_text(void **state) {
    static const struct {
        const char *text, *line;
    } cases[] = {
        {"plain", "plain"},
        {"<b>&amp;\"'", "&#60;b&#62;&#38;amp;&#34;&#39;"},
        {"</script>", "&#60;/script&#62;"},
        {"\033[31mred\033[0m", "red"},
        {"a\x01\x7fz", "az"},
        {"a\xff\xc3z", "a" REPLACED REPLACED "z"},
        {"x\xe2\x80\xaey\xe2\x80\xaaz", "x" REPLACED "y" REPLACED "z"},
        {"x\xe2\x81\xa6y\xe2\x81\xa9z", "x" REPLACED "y" REPLACED "z"},
        {"x\xe2\x80\x8ey\xe2\x80\x8fz\xd8\x9c", "x" REPLACED "y" REPLACED "z" REPLACED},
        /* Neighbours of those. */
        {"\xe2\x80\x90\xe2\x80\xaf\xe2\x81\xa4\xe2\x81\xaa\xd8\x9b",
         "\xe2\x80\x90\xe2\x80\xaf\xe2\x81\xa4\xe2\x81\xaa\xd8\x9b"},
        {"\xe2\x82\xac \xd7\x90", "\xe2\x82\xac \xd7\x90"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_buffer_ struct buffer line = {0};
        _cleanup_buffer_ struct buffer lines = {0};
        _cleanup_free_ char *with_end = xasprintf("%s\n", cases[i].line);

        html_line(&line, cases[i].text);
        assert_string_equal(line.data, cases[i].line);
        html_lines(&lines, cases[i].text);
        assert_string_equal(lines.data, with_end);
    }
}

static void times_are_told_in_units_that_fit_them(void **state) {
    static const struct {
        uint64_t nsec;
        const char *text;
    } cases[] = {
        {0, "0.00 s"},
        {SECOND / 25, "0.04 s"},
        {1449 * (SECOND / 1000), "1.4 s"},
        {59 * SECOND + 949 * (SECOND / 1000), "59.9 s"},
        {59 * SECOND + 951 * (SECOND / 1000), "1 min 00 s"},
        {3599 * SECOND, "59 min 59 s"},
        {3599 * SECOND + SECOND / 2, "1 h 00 min"},
        {26 * 3600 * SECOND + 119 * SECOND, "26 h 01 min"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_buffer_ struct buffer text = {0};

        html_time(&text, cases[i].nsec);
        assert_string_equal(text.data, cases[i].text);
    }
}

static void the_axis_of_times_has_few_and_round_ticks(void **state) {
    static const struct {
        uint64_t nsec;
        const char *last, *none;
    } cases[] = {
        {SECOND / 100, ">0.008 s<", ">0.001 s<"}, {20 * SECOND, ">15 s<", ">1 s<"},
        {200 * SECOND, ">180 s<", ">200 s<"},     {240 * SECOND, ">3 min<", " s</text>"},
        {7500 * SECOND, ">120 min<", ">15 min<"}, {30 * 3600 * SECOND, ">24 h<", " min</text>"},
        {INT64_MAX, " h</text>", " min</text>"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_report_ struct report *report = make_report(1);
        _cleanup_free_ char *text = NULL;

        report->entries[0].end_nsec = cases[i].nsec;
        report->entries[0].start_nsec = 1;
        text = written(report);
        assert_has(text, cases[i].last);
        assert_has_not(text, cases[i].none);
        assert_in_range(count(strstr(text, "lane axis"), "</text>"), 2, 9);
    }
}

static void nothing_ran_is_said(void **state) {
    _cleanup_report_ struct report *report = make_report(0);
    _cleanup_free_ char *text = written(report);

    assert_has(text, ">nothing ran</span>");
    assert_has(text, "There were no targets");
    assert_has_not(text, "<table");
    assert_has_not(text, "<details");
}

static void a_verdict_is_told_by_a_mark_and_a_word(void **state) {
    for (enum verdict verdict = 0; verdict < VERDICT_COUNT; verdict++) {
        _cleanup_report_ struct report *report = make_report(1);
        _cleanup_free_ char *shown = NULL;
        _cleanup_free_ char *target = NULL;
        _cleanup_free_ char *text = NULL;

        report->entries[0].result.verdict = verdict;
        text = written(report);
        shown = xasprintf("<span aria-hidden=\"true\">%s</span> %s</span>", html_mark(verdict), verdict_name(verdict));
        assert_int_equal(count(text, shown), 2); /* in the table and at the target */
        target = xasprintf("data-verdict=\"%s\"%s", verdict_name(verdict),
                           verdict_passed(verdict) ? ">" : " data-not-passed open>");
        assert_has(text, target);
        assert_has(text, verdict_passed(verdict) ? ">passed</span>" : ">not passed</span>");
    }
}

static void a_target_without_a_verdict_has_not_passed(void **state) {
    _cleanup_report_ struct report *report = make_report(1);
    _cleanup_free_ char *text = NULL;

    report->entries[0].finished = false;
    report->entries[0].result.verdict = VERDICT_CANCELLED;
    text = written(report);
    assert_has(text, ">not passed</span>");
    assert_has(text, "data-verdict=\"cancelled\" data-not-passed");
}

static void kernels_are_rows_unless_that_is_too_wide(void **state) {
    static const struct {
        size_t n_kernels, n_tests;
        const char *caption, *head, *row;
    } cases[] = {
        {2, 3, "kernel by test", "<th scope=\"col\"><bdi>t2</bdi></th></tr></thead>", "<tr><th scope=\"row\"><bdi>k1<"},
        {4, 30, "test by kernel", "<th scope=\"col\"><bdi>k3</bdi></th></tr></thead>",
         "<tr><th scope=\"row\"><bdi>t29<"},
        {30, 30, "kernel by test", "<th scope=\"col\"><bdi>t29</bdi></th></tr></thead>",
         "<tr><th scope=\"row\"><bdi>k29<"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_report_ struct report *report = make_matrix(cases[i].n_kernels, cases[i].n_tests);
        _cleanup_free_ char *text = written(report);

        assert_has(text, cases[i].caption);
        assert_has(text, cases[i].head);
        assert_has(text, cases[i].row);
        assert_int_equal(count(text, "<td><a href=\"#t"), cases[i].n_kernels * cases[i].n_tests);
        assert_has_not(text, "not in the list");
    }
}

static void each_cell_has_the_targets_of_its_row_and_column(void **state) {
    static const char *const axes[][6] = {
        {"test", "a", "kernel", "old", "size", "1"},
        {"test", "b", "kernel", "old", "size", "1"},
        {"test", "b", "kernel", "new", "size", "1"},
        {"test", "b", "kernel", "old", "size", "1"},
    };
    _cleanup_report_ struct report *report = make_report(ARRAY_SIZE(axes));
    _cleanup_free_ char *text = NULL;
    const char *old, *new;

    for (size_t i = 0; i < ARRAY_SIZE(axes); i++)
        set_axes(&report->entries[i], 3, axes[i]);
    text = written(report);
    assert_has(text, "<tr><th scope=\"col\"><bdi>kernel</bdi></th><th scope=\"col\"><bdi>a, 1</bdi></th>"
                     "<th scope=\"col\"><bdi>b, 1</bdi></th></tr>");
    old = strstr(text, "<th scope=\"row\"><bdi>old");
    new = strstr(text, "<th scope=\"row\"><bdi>new");
    assert_true(old && new &&old < new);
    _cleanup_free_ char *row = xstrndup(old, (size_t)(strstr(old, "</tr>") - old));
    assert_int_equal(count(row, "<td"), 2);
    assert_true(strstr(row, "#t0\"") < strstr(row, "<td><a href=\"#t1\""));
    assert_true(strstr(row, "#t1\"") < strstr(row, "</a><a href=\"#t3\""));
    assert_int_equal(strncmp(strstr(new, "<td"), "<td class=\"none\">not in the list</td><td><a href=\"#t2\"", 54), 0);
}

static void targets_of_other_axes_have_tables_of_their_own(void **state) {
    _cleanup_report_ struct report *report = make_report(4);
    _cleanup_free_ char *text = NULL;

    set_axes(&report->entries[0], 1, (const char *const[]){"kernel", "x"});
    set_axes(&report->entries[2], 2, (const char *const[]){"image", "y", "test", "z"});
    text = written(report);
    assert_int_equal(count(text, "<table class=\"list\">"), 2);
    assert_int_equal(count(text, "<table class=\"matrix\">"), 1);
    assert_has(text, "<caption>Targets</caption>");
    assert_has(text, "<caption>image by test</caption>");
    assert_has(text, "<th scope=\"row\"><bdi>target 0</bdi></th><td><bdi>x</bdi></td>");
    for (size_t i = 0; i < report->n_entries; i++) {
        _cleanup_free_ char *link = xasprintf("<td><a href=\"#t%zu\"", i);
        assert_int_equal(count(text, link), 1);
    }
}

static void few_that_did_not_pass_of_many_stand_in_front(void **state) {
    static const struct {
        size_t n_targets, n_bad, n_lists;
    } cases[] = {{20, 1, 2}, {20, 10, 2}, {20, 11, 1}, {20, 0, 1}, {19, 1, 1}};

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_report_ struct report *report = make_report(cases[i].n_targets);
        _cleanup_free_ char *text = NULL;

        for (size_t j = 0; j < cases[i].n_bad; j++)
            report->entries[j].result.verdict = VERDICT_LOST;
        text = written(report);
        assert_int_equal(count(text, "<table class=\"list\">"), cases[i].n_lists);
        assert_int_equal(count(text, "<caption>Did not pass</caption>"), cases[i].n_lists - 1);
        assert_int_equal(count(text, "data-not-passed open>"), cases[i].n_bad <= 10 ? cases[i].n_bad : 0);
    }
}

static void a_stage_ends_where_the_next_one_that_was_reached_begins(void **state) {
    static const struct {
        uint64_t starts[STAGE_COUNT];
        enum stage stage;
        uint64_t start, end; /* 0: it was not reached */
    } cases[] = {
        {{10, 20, 30, 40}, STAGE_PREPARE, 10, 20}, {{10, 20, 30, 40}, STAGE_SETUP, 30, 40},
        {{10, 20, 30, 40}, STAGE_COMMAND, 40, 90}, {{10, 20, 0, 40}, STAGE_BOOT, 20, 40},
        {{10, 20, 0, 0}, STAGE_BOOT, 20, 90},      {{10, 20, 0, 0}, STAGE_COMMAND, 0, 0},
        {{5, 20, 0, 0}, STAGE_PREPARE, 0, 0}, /* of another attempt */
        {{10, 95, 0, 0}, STAGE_BOOT, 0, 0},        {{10, 95, 0, 0}, STAGE_PREPARE, 10, 90},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct report_entry entry = {.start_nsec = 10, .end_nsec = 90};
        uint64_t start = 0, end = 0;

        memcpy(entry.stage_start_nsec, cases[i].starts, sizeof(cases[i].starts));
        assert_int_equal(html_stage_span(&entry, cases[i].stage, &start, &end), cases[i].end > 0);
        assert_int_equal(start, cases[i].start);
        assert_int_equal(end, cases[i].end);
    }
}

static void the_timeline_has_a_lane_for_each_slot_and_none_for_what_never_ran(void **state) {
    _cleanup_report_ struct report *report = make_report(4);
    _cleanup_free_ char *text = NULL;

    report->entries[1].slot = UINT32_MAX;
    report->entries[2].start_nsec = report->entries[2].end_nsec = 0;
    report->entries[3].slot = 0;
    report->entries[3].start_nsec = 10 * SECOND;
    report->entries[3].end_nsec = 20 * SECOND;
    report->entries[3].attempts = xcalloc(1, sizeof(*report->entries[3].attempts));
    report->entries[3].n_attempts = 1;
    report->entries[3].attempts[0] = (struct report_attempt){VERDICT_PANIC, xstrdup("first"), 9 * SECOND, 10 * SECOND};
    text = written(report);
    assert_int_equal(count(text, "<div class=\"lane\">"), 2);
    assert_has(text, "aria-label=\"slot 0: 2 targets\"");
    assert_has(text, "aria-label=\"slot 4294967295: 1 target\"");
    assert_has(text, "<a href=\"#t3\" tabindex=\"-1\"><svg x=\"50.000%\" width=\"50.000%\"");
    assert_has(text, "<rect class=\"s-attempt\" x=\"45.000%\" width=\"5.000%\"");
    assert_has_not(text, "<a href=\"#t2\" tabindex");
}

static void a_run_in_which_nothing_was_started_has_no_timeline(void **state) {
    _cleanup_report_ struct report *report = make_report(1);
    _cleanup_free_ char *text = NULL;

    report->entries[0].start_nsec = report->entries[0].end_nsec = 0;
    report->entries[0].result.verdict = VERDICT_SKIPPED;
    text = written(report);
    assert_has_not(text, "h-timeline");
    assert_has(text, "id=\"t0\"");
}

static void all_that_bears_a_verdict_out_is_there(void **state) {
    static const char *const parts[] = {
        "the reason", "the target",        "the artifacts",   "the release", "the qemu",
        "the kind",   "the title",         "the report",      "the tasks",   "the console",
        "the output", "run again",         "sub one",         "its message", "its output",
        "2 more are", "boot 2.5 s</span>", "from a template", "of shard 3",  "0.5 s user, 0.2 s system",
    };
    _cleanup_report_ struct report *report = make_report(1);
    struct report_entry *entry = &report->entries[0];
    _cleanup_free_ char *text = NULL;

    set_text(&entry->target, "the target");
    set_text(&entry->artifacts, "the artifacts");
    set_text(&entry->console, "the console");
    set_text(&entry->output, "the output");
    set_text(&entry->again, "run again");
    entry->from_template = true;
    entry->shard = 3;
    entry->result.verdict = VERDICT_PANIC;
    entry->result.reason = "the reason";
    entry->result.kernel_release = "the release";
    entry->result.qemu_version = "the qemu";
    entry->result.tasks = "the tasks";
    entry->result.findings[0] = (struct run_finding){"the kind", "the title", "the report"};
    entry->result.n_findings = 1;
    entry->result.n_more_findings = 2;
    entry->result.nsec[STAGE_BOOT] = 5 * SECOND / 2;
    entry->result.user_usec = 500000;
    entry->result.system_usec = 200000;
    entry->result.max_rss_kib = 1;
    entry->subresults = xcalloc(1, sizeof(*entry->subresults));
    entry->n_subresults = 1;
    entry->subresults[0] =
        (struct report_subresult){xstrdup("sub one"), SUBRESULT_FAIL, xstrdup("its message"), xstrdup("its output"), 0};
    text = written(report);
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
        assert_has(text, parts[i]);
}

static void a_large_report_leaves_out_what_passed_said_and_nothing_else(void **state) {
    enum { N_BIG = 4, BIG = 4 << 20 };
    _cleanup_report_ struct report *report = make_report(N_BIG + 2);
    _cleanup_free_ char *big = xmalloc(BIG + 1);
    _cleanup_free_ char *text = NULL;

    for (size_t i = 0; i < BIG; i++)
        big[i] = i % 1000 == 999 ? '\n' : '&'; /* five bytes each in the document */
    big[BIG] = '\0';
    for (size_t i = 0; i < N_BIG; i++)
        set_text(&report->entries[i].console, big);
    report->entries[N_BIG].result.verdict = VERDICT_FAIL;
    set_text(&report->entries[N_BIG].output, "of one that failed");
    set_text(&report->entries[N_BIG + 1].output, "of one that passed");
    text = written(report);
    assert_has_not(text, "of one that passed");
    assert_has(text, "of one that failed");
    assert_int_equal(count(text, "have no room here"), 1);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_stays_text),
        cmocka_unit_test(times_are_told_in_units_that_fit_them),
        cmocka_unit_test(the_axis_of_times_has_few_and_round_ticks),
        cmocka_unit_test(nothing_ran_is_said),
        cmocka_unit_test(a_verdict_is_told_by_a_mark_and_a_word),
        cmocka_unit_test(a_target_without_a_verdict_has_not_passed),
        cmocka_unit_test(kernels_are_rows_unless_that_is_too_wide),
        cmocka_unit_test(each_cell_has_the_targets_of_its_row_and_column),
        cmocka_unit_test(targets_of_other_axes_have_tables_of_their_own),
        cmocka_unit_test(few_that_did_not_pass_of_many_stand_in_front),
        cmocka_unit_test(a_stage_ends_where_the_next_one_that_was_reached_begins),
        cmocka_unit_test(the_timeline_has_a_lane_for_each_slot_and_none_for_what_never_ran),
        cmocka_unit_test(a_run_in_which_nothing_was_started_has_no_timeline),
        cmocka_unit_test(all_that_bears_a_verdict_out_is_there),
        cmocka_unit_test(a_large_report_leaves_out_what_passed_said_and_nothing_else),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
