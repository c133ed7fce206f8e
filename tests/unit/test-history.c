/* SPDX-License-Identifier: Apache-2.0 */
/* The history: what is kept of a run, and what --failed makes of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

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
    _cleanup_free_ char *text = history_format(history, 1000);
    _cleanup_history_ struct history *read = parse(text);
    assert_true(history_find(read, "a \"b\" \xc3\xbc", &entry));
    assert_true(entry.passed);
    assert_int_equal(entry.nsec, 1500 * NSEC_PER_MSEC);
    assert_true(history_find(read, "flaky", &entry) && entry.passed);
    assert_true(history_find(read, "fails", &entry) && !entry.passed);
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

/* Jobs of one target are one entry; what did not end keeps its old one. */
static void the_sink_adds_what_has_ended_to_the_file(void **state) {
    char directory[] = "/tmp/test-history.XXXXXX";
    struct target targets[] = {{.name = (char *)"twice"}, {.name = (char *)"cancelled"}, {.name = (char *)"skipped"}};
    struct target *pointers[] = {&targets[0], &targets[0], &targets[1], &targets[2]};
    struct history_entry entry;

    assert_non_null(mkdtemp(directory));
    _cleanup_free_ char *path = xasprintf("%s/a/b.json", directory);
    _cleanup_run_plan_ struct run_plan *plan = run_plan_new(pointers, ARRAY_SIZE(pointers), 0);
    struct sink *sink = sink_history_new(path, plan);
    for (size_t i = 0; i < 3; i++)
        send(sink, &plan->jobs[i], EVENT_STARTED, 1, 1, VERDICT_PASS);
    send(sink, &plan->jobs[0], EVENT_FINISHED, 1, 4, VERDICT_FAIL);
    send(sink, &plan->jobs[1], EVENT_RETRY, 1, 4, VERDICT_FAIL);
    send(sink, &plan->jobs[1], EVENT_STARTED, 2, 5, VERDICT_PASS);
    send(sink, &plan->jobs[1], EVENT_FINISHED, 2, 8, VERDICT_FLAKY);
    send(sink, &plan->jobs[2], EVENT_FINISHED, 1, 9, VERDICT_CANCELLED);
    send(sink, &plan->jobs[3], EVENT_FINISHED, 0, 9, VERDICT_SKIPPED);
    sink->finish(sink, &(struct run_summary){0});
    sink->free(sink);

    _cleanup_history_ struct history *history = history_load(path);
    assert_true(history_find(history, "twice", &entry));
    assert_false(entry.passed);
    assert_int_equal(entry.nsec, 7 * NSEC_PER_SEC);
    assert_false(history_find(history, "cancelled", &entry));
    assert_false(history_find(history, "skipped", &entry));
    _cleanup_free_ char *command = xasprintf("rm -r '%s'", directory);
    assert_int_equal(system(command), 0);
}

static void a_place_that_cannot_be_written_is_no_error(void **state) {
    _cleanup_run_plan_ struct run_plan *plan = run_plan_new(NULL, 0, 0);
    struct sink *sink = sink_history_new("/proc/nowhere/x.json", plan);

    sink->finish(sink, &(struct run_summary){0});
    sink->free(sink);
    _cleanup_history_ struct history *history = history_load("/proc/nowhere/x.json");
    assert_true(history_is_empty(history));
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
        cmocka_unit_test(the_sink_adds_what_has_ended_to_the_file),
        cmocka_unit_test(a_place_that_cannot_be_written_is_no_error),
        cmocka_unit_test(each_configuration_has_a_file_and_a_one_liner_has_none),
    };

    return cmocka_run_group_tests_name("history", tests, NULL, NULL);
}
