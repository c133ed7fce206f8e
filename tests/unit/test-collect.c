/* SPDX-License-Identifier: Apache-2.0 */
/* What a report keeps of the events of a run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "report/collect.h"

struct fixture {
    struct target *target;
    struct run_plan *plan;
    struct report *report;
    struct collector *collector;
};

static void fixture_init(struct fixture *fixture) {
    fixture->target = target_new();
    free(fixture->target->name);
    fixture->target->name = xstrdup("t");
    fixture->plan = run_plan_new(&fixture->target, 1, 0);
    fixture->report = report_new(fixture->plan);
    fixture->collector = collector_new(fixture->report, "vmtest", false);
}

static void fixture_deinit(struct fixture *fixture) {
    collector_free(fixture->collector);
    report_free(fixture->report);
    run_plan_free(fixture->plan);
    target_free(fixture->target);
}

static void take(const struct fixture *fixture, struct event event) {
    event.job = &fixture->plan->jobs[0];
    event.target = event.job->name;
    event.attempt = 1;
    collector_take(fixture->collector, &event);
}

static void take_tests(const struct fixture *fixture, unsigned count, enum subresult_status status,
                       const char *output) {
    const struct run_subresult subresult = {.name = "n", .status = status, .message = "m", .output = output};

    for (unsigned i = 0; i < count; i++)
        take(fixture, (struct event){.type = EVENT_SUBRESULT, .subresult = &subresult});
}

static size_t size_of(const struct report_entry *entry, enum subresult_status status) {
    size_t size = 0;

    for (size_t i = 0; i < entry->n_subresults; i++) {
        if (entry->subresults[i].status == status)
            size += strlen(entry->subresults[i].message) + strlen(entry->subresults[i].output);
    }
    return size;
}

static void what_tests_say_is_bounded_and_failures_have_room(void **state) {
    static char output[4096];
    struct fixture fixture;
    const struct report_entry *entry;

    (void)state;
    memset(output, 'x', sizeof(output) - 1);
    fixture_init(&fixture);
    entry = &fixture.report->entries[0];
    for (unsigned attempt = 0; attempt < 2; attempt++) {
        take(&fixture, (struct event){.type = EVENT_STARTED});
        take_tests(&fixture, 5000, SUBRESULT_PASS, output);
        take_tests(&fixture, 5000, SUBRESULT_FAIL, output);
        assert_int_equal(entry->n_subresults, 10000);
        assert_string_equal(entry->subresults[0].output, output);
        assert_string_equal(entry->subresults[4999].output, "");
        assert_string_equal(entry->subresults[4999].name, "n");
        assert_string_equal(entry->subresults[5000].output, output);
        assert_string_equal(entry->subresults[9999].output, "");
        assert_in_range(size_of(entry, SUBRESULT_PASS), REPORT_SUBRESULTS_MAX - sizeof(output), REPORT_SUBRESULTS_MAX);
        assert_true(size_of(entry, SUBRESULT_PASS) + size_of(entry, SUBRESULT_FAIL) <= REPORT_FAILURES_MAX);
    }
    fixture_deinit(&fixture);
}

static void a_tail_begins_with_a_whole_line(void **state) {
    struct fixture fixture;
    struct run_result result = RUN_RESULT_EMPTY;
    const struct report_entry *entry;

    (void)state;
    fixture_init(&fixture);
    entry = &fixture.report->entries[0];
    take(&fixture, (struct event){.type = EVENT_STARTED});
    for (unsigned i = 0; i < 100000; i++) {
        char line[32];
        int size = snprintf(line, sizeof(line), "line %u\n", i);

        take(&fixture, (struct event){.type = EVENT_OUTPUT, .data = line, .size = (size_t)size});
        take(&fixture, (struct event){.type = EVENT_CONSOLE, .data = "\0x", .size = i == 0 ? 2 : 0});
    }
    take(&fixture, (struct event){.type = EVENT_FINISHED, .result = &result});
    assert_true(entry->finished);
    assert_in_range(strlen(entry->output), REPORT_TAIL_MAX - 32, REPORT_TAIL_MAX);
    assert_true(strncmp(entry->output, "line ", 5) == 0);
    assert_string_equal(entry->output + strlen(entry->output) - 11, "line 99999\n");
    assert_string_equal(entry->console, "\xef\xbf\xbdx");
    fixture_deinit(&fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_tests_say_is_bounded_and_failures_have_room),
        cmocka_unit_test(a_tail_begins_with_a_whole_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
