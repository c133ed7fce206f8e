/* SPDX-License-Identifier: Apache-2.0 */
/* From the options to the plan. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/make-plan.h"

#define GIB (UINT64_C(1) << 30)

static struct config *make_config(size_t count, const char *vm) {
    _cleanup_buffer_ struct buffer text = {0};
    struct config *config = NULL;

    for (size_t i = 0; i < count; i++)
        buffer_printf(&text, "[[target]]\nname = 't%zu'\nkernel = 'k'\ncommand = 'c'\n%s\n", i, vm);
    assert_int_equal(config_parse(text.data ? text.data : "", text.size, "f.toml", "/", false, &config, NULL), 0);
    return config;
}

#define WORDS_MAX 8

/* The plan of a command line, with 4 CPUs and 8 GiB. */
static struct run_plan *plan_of(const struct config *config, const char *history_text, const char *const *words) {
    static const struct host host = {.cpus = 4, .memory = 8 * GIB, .slots = 10};
    _cleanup_options_ struct options options = {0};
    _cleanup_history_ struct history *history = history_parse(history_text, strlen(history_text));
    char *argv[WORDS_MAX + 1] = {(char *)"vmtest"};
    struct run_plan *plan = NULL;
    int argc = 1;

    for (; words[argc - 1]; argc++)
        argv[argc] = (char *)words[argc - 1];
    assert_int_equal(options_parse(NULL, argc, argv, &options, NULL), 0);
    assert_int_equal(plan_make(&options, &(struct shard){0}, config, history, &host, 5, &plan, NULL), 0);
    return plan;
}

static void the_slots_follow_from_options_and_host(void **state) {
    static const struct {
        size_t count;
        const char *vm;
        const char *words[WORDS_MAX];
        unsigned slots;
        bool cpus_overcommitted;
        bool limits_memory;
        bool limits_cpus;
    } cases[] = {
        {1, "", {NULL}, 1, false, false, false},
        {9, "vm = { num_cpus = 1, memory = '256M' }", {NULL}, 4, false, true, true},
        {9, "vm = { num_cpus = 2, memory = '256M' }", {NULL}, 2, false, true, true},
        {9, "vm = { num_cpus = 1, memory = '4G' }", {NULL}, 1, false, true, true},
        {9, "vm = { num_cpus = 1, memory = '256M' }", {"-j1"}, 1, false, false, false},
        {9, "vm = { num_cpus = 2, memory = '256M' }", {"-j2"}, 2, false, true, false},
        {9, "vm = { num_cpus = 2, memory = '256M' }", {"-j9"}, 9, true, true, false},
        {9, "vm = { num_cpus = 1, memory = '3G' }", {"-j9"}, 2, false, true, false},
        {3, "vm = { num_cpus = 1, memory = '256M' }", {"-j9"}, 3, false, true, false},
        {20, "vm = { num_cpus = 1, memory = '256M' }", {"-j20"}, 10, true, true, false},
        {1, "vm = { num_cpus = 1, memory = '256M' }", {"--repeat=3"}, 3, false, true, true},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_config_ struct config *config = make_config(cases[i].count, cases[i].vm);
        _cleanup_run_plan_ struct run_plan *plan = plan_of(config, "", cases[i].words);

        assert_int_equal(plan->n_slots, cases[i].slots);
        assert_int_equal(plan->cpus_overcommitted, cases[i].cpus_overcommitted);
        assert_int_equal(plan->memory_limit > 0, cases[i].limits_memory);
        assert_int_equal(plan->cpu_limit > 0, cases[i].limits_cpus);
        assert_int_equal(plan->order != NULL, plan->n_slots > 1);
    }
}

static void repeated_targets_have_names_of_their_own(void **state) {
    static const char *const names[] = {"t0 (1 of 3)", "t0 (2 of 3)", "t0 (3 of 3)",
                                        "t1 (1 of 3)", "t1 (2 of 3)", "t1 (3 of 3)"};
    _cleanup_config_ struct config *config = make_config(2, "");
    _cleanup_run_plan_ struct run_plan *plan = plan_of(config, "", (const char *const[]){"--repeat", "3", NULL});

    assert_int_equal(plan->n_jobs, ARRAY_SIZE(names));
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        assert_string_equal(plan->jobs[i].name, names[i]);
        assert_int_equal(plan->jobs[i].index, i);
        assert_ptr_equal(plan->jobs[i].target, config->targets[i / 3]);
    }
    _cleanup_run_plan_ struct run_plan *once = plan_of(config, "", (const char *const[]){"--repeat=1", NULL});
    assert_string_equal(once->jobs[1].name, "t1");
}

static void the_history_gives_the_expected_times_and_the_order(void **state) {
    static const char history[] = "{\"version\":1,\"targets\":{\"t0\":{\"verdict\":\"pass\",\"seconds\":1.5},"
                                  "\"t2\":{\"verdict\":\"fail\",\"seconds\":4}}}";
    static const size_t order[] = {1, 2, 0};
    _cleanup_config_ struct config *config = make_config(3, "vm = { num_cpus = 1, memory = '256M' }");
    _cleanup_run_plan_ struct run_plan *plan = plan_of(config, history, (const char *const[]){NULL});
    _cleanup_run_plan_ struct run_plan *sequential = plan_of(config, history, (const char *const[]){"-j1", NULL});

    assert_int_equal(plan->jobs[0].expected_nsec, UINT64_C(1500000000));
    assert_int_equal(plan->jobs[1].expected_nsec, 0);
    assert_memory_equal(plan->order, order, sizeof(order));
    assert_null(sequential->order);
    assert_int_equal(sequential->jobs[2].expected_nsec, UINT64_C(4000000000));
}

static void shuffling_takes_the_seed_or_draws_one(void **state) {
    _cleanup_config_ struct config *config = make_config(40, "");
    _cleanup_run_plan_ struct run_plan *given =
        plan_of(config, "", (const char *const[]){"-j1", "--shuffle=18446744073709551615", NULL});
    _cleanup_run_plan_ struct run_plan *drawn = plan_of(config, "", (const char *const[]){"-j1", "--shuffle", NULL});
    _cleanup_run_plan_ struct run_plan *other = plan_of(config, "", (const char *const[]){"-j1", "--shuffle", NULL});
    _cleanup_run_plan_ struct run_plan *plain = plan_of(config, "", (const char *const[]){"-j1", NULL});

    assert_true(given->shuffled && given->seed == UINT64_MAX);
    assert_non_null(given->order);
    assert_true(drawn->shuffled && drawn->seed <= UINT32_MAX);
    assert_true(drawn->seed != other->seed); /* wrong once in 2^32 runs */
    assert_memory_not_equal(drawn->order, other->order, 40 * sizeof(size_t));
    assert_false(plain->shuffled);
}

static void what_is_said_of_verdicts_stands_in_the_plan(void **state) {
    _cleanup_config_ struct config *config = make_config(1, "");
    _cleanup_run_plan_ struct run_plan *plan =
        plan_of(config, "", (const char *const[]){"--retries=2", "--fail-fast", "--flaky-fails", NULL});
    _cleanup_run_plan_ struct run_plan *plain = plan_of(config, "", (const char *const[]){NULL});

    assert_int_equal(plan->retries, 2);
    assert_true(plan->fail_fast && plan->flaky_fails);
    assert_int_equal(plan->start, 5);
    assert_int_equal(plain->retries, 0);
    assert_false(plain->fail_fast || plain->flaky_fails);
}

static void too_many_runs_are_an_error(void **state) {
    static const struct host host = {.cpus = 1};
    _cleanup_config_ struct config *config = make_config(11, "");
    _cleanup_history_ struct history *history = history_parse("", 0);
    struct options options = {.repeat = 100000};
    struct run_plan *plan = NULL;

    assert_int_equal(plan_make(&options, &(struct shard){0}, config, history, &host, 0, &plan, NULL), -EINVAL);
    assert_null(plan);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_slots_follow_from_options_and_host),
        cmocka_unit_test(repeated_targets_have_names_of_their_own),
        cmocka_unit_test(the_history_gives_the_expected_times_and_the_order),
        cmocka_unit_test(shuffling_takes_the_seed_or_draws_one),
        cmocka_unit_test(what_is_said_of_verdicts_stands_in_the_plan),
        cmocka_unit_test(too_many_runs_are_an_error),
    };

    return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
