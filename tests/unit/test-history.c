/* SPDX-License-Identifier: Apache-2.0 */
/* The history: what is kept of a run, and what --failed makes of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "cli/history.h"

static struct history *parse(const char *text) {
    return history_parse(text, strlen(text));
}

static void what_was_noted_is_read_back(void **state) {
    _cleanup_history_ struct history *history = parse("");
    struct history_entry entry;

    assert_true(history_is_empty(history));
    history_note(history, "a \"b\" \xc3\xbc", VERDICT_PASS, 1500 * NSEC_PER_MSEC, 1000);
    history_note(history, "flaky", VERDICT_FLAKY, 1, 1000);
    history_note(history, "fails", VERDICT_FAIL, NSEC_PER_SEC, 1000);
    history_note(history, "old", VERDICT_PASS, NSEC_PER_SEC, 999);
    history_note(history, "stopped", VERDICT_PASS, 2500 * NSEC_PER_MSEC, 1000);
    history_note_unfinished(history, "stopped", 1000);
    history_note_unfinished(history, "new", 1000);
    _cleanup_free_ char *text = history_format(history, 1000);
    _cleanup_history_ struct history *read = parse(text);
    assert_true(history_find(read, "a \"b\" \xc3\xbc", &entry));
    assert_true(entry.passed);
    assert_int_equal(entry.nsec, 1500 * NSEC_PER_MSEC);
    assert_true(history_find(read, "flaky", &entry) && entry.passed);
    assert_true(history_find(read, "fails", &entry) && !entry.passed);
    assert_true(history_find(read, "stopped", &entry) && !entry.passed);
    assert_int_equal(entry.nsec, 2500 * NSEC_PER_MSEC);
    assert_true(history_find(read, "new", &entry) && !entry.passed && entry.nsec == 0);
    assert_false(history_find(read, "old", &entry));
    assert_false(history_find(read, "other", &entry));
}

static void what_is_no_history_is_an_empty_one(void **state) {
    static const char *const texts[] = {
        "",
        "{",
        "[]",
        "null",
        "{\"targets\":{\"a\":{\"verdict\":\"pass\"}}}",
        "{\"version\":2,\"targets\":{\"a\":{}}}",
        "{\"version\":1,\"targets\":[1]}",
    };
    struct history_entry entry;

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        _cleanup_history_ struct history *history = parse(texts[i]);

        assert_true(history_is_empty(history));
    }
    _cleanup_history_ struct history *odd =
        parse("{\"version\":1,\"targets\":{\"a\":7,\"b\":{\"verdict\":\"nonsense\",\"seconds\":-1e300}}}");
    assert_false(history_find(odd, "a", &entry));
    assert_true(history_find(odd, "b", &entry));
    assert_false(entry.passed);
    assert_int_equal(entry.nsec, 0);
    _cleanup_free_ char *text = history_format(odd, 1);
    assert_string_equal(text, "{\"targets\":{},\"version\":1}\n");
}

static struct config *make_config(size_t count) {
    _cleanup_buffer_ struct buffer text = {0};
    struct config *config = NULL;

    for (size_t i = 0; i < count; i++)
        buffer_printf(&text, "[[target]]\nname = 't%zu'\nkernel = 'k'\ncommand = 'c'\n", i);
    assert_int_equal(config_parse(text.data, text.size, "f.toml", "/", false, &config, NULL), 0);
    return config;
}

static void failed_keeps_what_did_not_pass_and_what_is_not_known(void **state) {
    static const char text[] =
        "{\"version\":1,\"targets\":{\"t0\":{\"verdict\":\"pass\"},\"t1\":{\"verdict\":\"fail\"},"
        "\"t2\":{\"verdict\":\"flaky\"},\"t4\":{\"verdict\":\"timeout\"}}}";
    _cleanup_history_ struct history *history = parse(text);
    _cleanup_config_ struct config *config = make_config(5);

    assert_int_equal(history_keep_failed(history, config, NULL), 0);
    assert_int_equal(config->n_targets, 3);
    assert_string_equal(config->targets[0]->name, "t1");
    assert_string_equal(config->targets[1]->name, "t3");
    assert_string_equal(config->targets[2]->name, "t4");
}

static void failed_with_no_record_is_an_error_and_after_a_pass_nothing(void **state) {
    _cleanup_history_ struct history *none = parse("");
    _cleanup_history_ struct history *passed = parse("{\"version\":1,\"targets\":{\"t0\":{\"verdict\":\"pass\"}}}");
    _cleanup_config_ struct config *config = make_config(1);
    _cleanup_error_ struct error *error = NULL;

    assert_int_equal(history_keep_failed(none, config, &error), -ENOENT);
    assert_non_null(strstr(error_message(error), "f.toml"));
    assert_int_equal(config->n_targets, 1);
    assert_int_equal(history_keep_failed(passed, config, NULL), 0);
    assert_int_equal(config->n_targets, 0);
}

static void send(struct sink *sink, const struct job *job, enum event_type type, unsigned attempt, uint64_t nsec,
                 enum verdict verdict) {
    struct run_result result = RUN_RESULT_EMPTY;

    result.verdict = verdict;
    sink->handle(sink, &(struct event){.type = type,
                                       .target = job->name,
                                       .job = job,
                                       .attempt = attempt,
                                       .nsec = nsec * NSEC_PER_SEC,
                                       .result = &result});
}

/* A directory, and what removes it. */
static char *make_directory(void) {
    char *directory = xstrdup("/tmp/test-history.XXXXXX");

    assert_non_null(mkdtemp(directory));
    return directory;
}

static void remove_directory(const char *directory) {
    _cleanup_free_ char *command = xasprintf("rm -r '%s'", directory);

    assert_int_equal(system(command), 0);
}

enum known { PASSED, NOT_PASSED, NOT_KNOWN };

static enum known known(const char *path, const char *target) {
    _cleanup_history_ struct history *history = history_load(path);
    struct history_entry entry;

    if (!history_find(history, target, &entry))
        return NOT_KNOWN;
    return entry.passed ? PASSED : NOT_PASSED;
}

static void what_a_run_begins_has_not_passed_until_it_has(void **state) {
    _cleanup_free_ char *directory = make_directory();
    _cleanup_free_ char *path = xasprintf("%s/a/b.json", directory);
    struct target targets[] = {{.name = (char *)"a"}, {.name = (char *)"b"}, {.name = (char *)"other"}};
    struct target *pointers[] = {&targets[0], &targets[1], &targets[2]};
    _cleanup_run_plan_ struct run_plan *all = run_plan_new(pointers, 3, 0);
    _cleanup_run_plan_ struct run_plan *two = run_plan_new(pointers, 2, 0);

    struct sink *sink = sink_history_new(path, all);
    for (size_t i = 0; i < 3; i++)
        send(sink, &all->jobs[i], EVENT_FINISHED, 1, 1, VERDICT_PASS);
    sink->finish(sink, &(struct run_summary){0});
    sink->free(sink);
    assert_int_equal(known(path, "a"), PASSED);

    /* Of a vmtest that was killed while it wrote. */
    _cleanup_free_ char *left = xasprintf("%s.abcdef.vmtest-new", path);
    assert_int_equal(file_write_atomically(left, "", 0, 0600, NULL), 0);

    /* Whatever ends vmtest from here on. */
    assert_int_equal(history_begin(path, two, NULL), 0);
    assert_int_equal(known(path, "a"), NOT_PASSED);
    assert_int_equal(known(path, "b"), NOT_PASSED);
    assert_int_equal(known(path, "other"), PASSED);
    assert_int_equal(access(left, F_OK), -1);
    sink = sink_history_new(path, two);
    send(sink, &two->jobs[0], EVENT_FINISHED, 1, 1, VERDICT_PASS);
    send(sink, &two->jobs[1], EVENT_FINISHED, 0, 1, VERDICT_SKIPPED);
    sink->finish(sink, &(struct run_summary){0});
    sink->free(sink);
    assert_int_equal(known(path, "a"), PASSED);
    assert_int_equal(known(path, "b"), NOT_PASSED);
    remove_directory(directory);
}

/* Jobs of one target are one entry; one attempt that failed is enough, and none that passed is while others are open.
 */
static void the_sink_writes_what_came_of_each_target(void **state) {
    static const struct {
        const char *name;
        struct {
            enum event_type type;
            unsigned attempt;
            enum verdict verdict;
        } events[4];
        const char *verdict;
    } cases[] = {
        {"passed", {{EVENT_FINISHED, 1, VERDICT_PASS}}, "pass"},
        {"flaky", {{EVENT_RETRY, 1, VERDICT_FAIL}, {EVENT_FINISHED, 2, VERDICT_FLAKY}}, "flaky"},
        {"cancelled", {{EVENT_FINISHED, 1, VERDICT_CANCELLED}}, "unfinished"},
        {"skipped", {{EVENT_FINISHED, 0, VERDICT_SKIPPED}}, "unfinished"},
        {"silent", {{EVENT_TYPE_COUNT}}, "unfinished"},
        {"failed", {{EVENT_RETRY, 1, VERDICT_PANIC}, {EVENT_FINISHED, 2, VERDICT_CANCELLED}}, "panic"},
        {"again", {{EVENT_RETRY, 1, VERDICT_PANIC}, {EVENT_FINISHED, 2, VERDICT_TIMEOUT}}, "timeout"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_free_ char *directory = make_directory();
        _cleanup_free_ char *path = xasprintf("%s/b.json", directory);
        struct target target = {.name = (char *)cases[i].name};
        struct target *pointers[] = {&target};
        _cleanup_run_plan_ struct run_plan *plan = run_plan_new(pointers, 1, 0);
        _cleanup_buffer_ struct buffer text = {0};
        struct sink *sink = sink_history_new(path, plan);

        for (size_t j = 0; j < 4 && cases[i].events[j].type; j++) {
            if (cases[i].events[j].type != EVENT_TYPE_COUNT)
                send(sink, &plan->jobs[0], cases[i].events[j].type, cases[i].events[j].attempt, 1,
                     cases[i].events[j].verdict);
        }
        sink->finish(sink, &(struct run_summary){0});
        sink->free(sink);
        assert_int_equal(file_read(path, 4096, &text, NULL), 0);
        buffer_append(&text, "", 1);
        _cleanup_free_ char *expected = xasprintf("\"verdict\":\"%s\"", cases[i].verdict);
        if (!strstr(text.data, expected))
            fail_msg("%s: %s", cases[i].name, text.data);
        remove_directory(directory);
    }
}

static void the_jobs_of_a_repeated_target_are_one_entry(void **state) {
    static const struct {
        enum verdict first, second;
        enum known known;
    } cases[] = {
        {VERDICT_FAIL, VERDICT_PASS, NOT_PASSED},      {VERDICT_PASS, VERDICT_FAIL, NOT_PASSED},
        {VERDICT_PASS, VERDICT_FLAKY, PASSED},         {VERDICT_PASS, VERDICT_CANCELLED, NOT_PASSED},
        {VERDICT_CANCELLED, VERDICT_PASS, NOT_PASSED}, {VERDICT_CANCELLED, VERDICT_CANCELLED, NOT_PASSED},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_free_ char *directory = make_directory();
        _cleanup_free_ char *path = xasprintf("%s/b.json", directory);
        struct target targets[] = {{.name = (char *)"twice"}, {.name = (char *)"behind"}};
        struct target *pointers[] = {&targets[0], &targets[0], &targets[1]};
        _cleanup_run_plan_ struct run_plan *plan = run_plan_new(pointers, ARRAY_SIZE(pointers), 0);
        struct sink *sink = sink_history_new(path, plan);
        struct history_entry entry;

        for (size_t j = 0; j < 3; j++)
            send(sink, &plan->jobs[j], EVENT_STARTED, 1, 1, VERDICT_PASS);
        send(sink, &plan->jobs[0], EVENT_FINISHED, 1, 4, cases[i].first);
        send(sink, &plan->jobs[1], EVENT_FINISHED, 1, 8, cases[i].second);
        send(sink, &plan->jobs[2], EVENT_FINISHED, 1, 9, VERDICT_PASS);
        sink->finish(sink, &(struct run_summary){0});
        sink->free(sink);
        assert_int_equal(known(path, "twice"), cases[i].known);
        assert_int_equal(known(path, "behind"), PASSED);
        _cleanup_history_ struct history *history = history_load(path);
        if (cases[i].first == VERDICT_FAIL) {
            assert_true(history_find(history, "twice", &entry));
            assert_int_equal(entry.nsec, 7 * NSEC_PER_SEC);
        }
        remove_directory(directory);
    }
}

static void a_place_that_cannot_be_written_is_an_error_only_where_it_says_something(void **state) {
    _cleanup_free_ char *directory = make_directory();
    _cleanup_free_ char *occupied = xasprintf("%s/b.json", directory);
    struct target target = {.name = (char *)"a"};
    struct target *pointers[] = {&target};
    _cleanup_run_plan_ struct run_plan *plan = run_plan_new(pointers, 1, 0);
    _cleanup_error_ struct error *error = NULL;

    assert_int_equal(history_begin("/proc/nowhere/x.json", plan, NULL), 0);
    struct sink *sink = sink_history_new("/proc/nowhere/x.json", plan);
    sink->finish(sink, &(struct run_summary){0});
    sink->free(sink);
    assert_int_equal(known("/proc/nowhere/x.json", "a"), NOT_KNOWN);

    /* Nothing can be renamed to it, and it cannot be removed. */
    assert_int_equal(mkdir(occupied, 0700), 0);
    assert_true(history_begin(occupied, plan, &error) < 0);
    assert_non_null(strstr(error_message(error), "--failed will use the runs before this one"));
    remove_directory(directory);
}

static void each_configuration_has_a_file_and_a_one_liner_has_none(void **state) {
    struct config a = {.path = (char *)"x/vmtest.toml", .directory = (char *)"/p/x"};
    struct config b = {.path = (char *)"vmtest.toml", .directory = (char *)"/p/y"};
    struct config same = {.path = (char *)"/p/x/vmtest.toml", .directory = (char *)"/p/x"};
    struct config one_liner = {0};

    (void)setenv("XDG_STATE_HOME", "/s", 1);
    _cleanup_free_ char *of_a = history_path(&a);
    _cleanup_free_ char *of_b = history_path(&b);
    _cleanup_free_ char *of_same = history_path(&same);
    assert_non_null(str_skip_prefix(of_a, "/s/vmtest/history/"));
    assert_string_equal(of_a, of_same);
    assert_string_not_equal(of_a, of_b);
    assert_null(history_path(&one_liner));
    (void)unsetenv("XDG_STATE_HOME");
    (void)setenv("HOME", "/h", 1);
    _cleanup_free_ char *at_home = history_path(&a);
    assert_non_null(str_skip_prefix(at_home, "/h/.local/state/vmtest/history/"));
    (void)unsetenv("HOME");
    assert_null(history_path(&a));
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_noted_is_read_back),
        cmocka_unit_test(what_is_no_history_is_an_empty_one),
        cmocka_unit_test(failed_keeps_what_did_not_pass_and_what_is_not_known),
        cmocka_unit_test(failed_with_no_record_is_an_error_and_after_a_pass_nothing),
        cmocka_unit_test(what_a_run_begins_has_not_passed_until_it_has),
        cmocka_unit_test(the_sink_writes_what_came_of_each_target),
        cmocka_unit_test(the_jobs_of_a_repeated_target_are_one_entry),
        cmocka_unit_test(a_place_that_cannot_be_written_is_an_error_only_where_it_says_something),
        cmocka_unit_test(each_configuration_has_a_file_and_a_one_liner_has_none),
    };

    return cmocka_run_group_tests_name("history", tests, NULL, NULL);
}
