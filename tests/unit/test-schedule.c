/* SPDX-License-Identifier: Apache-2.0 */
/* The schedule: what starts when, and that nothing is promised twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "supervise/host-capacity.h"
#include "supervise/schedule.h"

#define MIB (UINT64_C(1) << 20)
#define JOBS_MAX 64

/* A plan over targets of the test's own. */
struct fixture {
    struct target targets[JOBS_MAX];
    struct target *pointers[JOBS_MAX];
    struct run_plan *plan;
    struct schedule *schedule;
};

struct need {
    unsigned mib; /* with the emulator's share: a multiple of 512 is handy */
    unsigned cpus;
};

static void set_up(struct fixture *fixture, const struct need *needs, size_t count, unsigned slots) {
    *fixture = (struct fixture){0};
    assert_true(count <= JOBS_MAX);
    for (size_t i = 0; i < count; i++) {
        fixture->targets[i].name = (char *)"t";
        fixture->targets[i].memory = needs[i].mib * MIB - HOST_GUEST_OVERHEAD;
        fixture->targets[i].num_cpus = needs[i].cpus;
        fixture->pointers[i] = &fixture->targets[i];
    }
    fixture->plan = run_plan_new(fixture->pointers, count, 0);
    fixture->plan->n_slots = slots;
}

static void tear_down(struct fixture *fixture) {
    schedule_free(fixture->schedule);
    run_plan_free(fixture->plan);
}

/* Starts what may start; the jobs that did, as "0,3". */
static char *start_all(struct fixture *fixture) {
    struct buffer text = {0};
    size_t job;

    if (!fixture->schedule)
        fixture->schedule = schedule_new(fixture->plan);
    while (schedule_next(fixture->schedule, &job))
        buffer_printf(&text, "%s%zu", text.size ? "," : "", job);
    return buffer_take(&text);
}

#define assert_starts(fixture, expected)                                                                               \
    do {                                                                                                               \
        _cleanup_free_ char *started_ = start_all(fixture);                                                            \
        assert_string_equal(started_, expected);                                                                       \
    } while (0)

static void what_starts_first_is_bounded_by_slots_memory_and_cpus(void **state) {
    static const struct {
        struct need needs[5];
        size_t count;
        unsigned slots;
        unsigned memory; /* MiB */
        unsigned cpus;
        const char *started;
    } cases[] = {
        {{{512, 1}, {512, 1}, {512, 1}}, 3, 1, 0, 0, "0"},       {{{512, 1}, {512, 1}, {512, 1}}, 3, 2, 0, 0, "0,1"},
        {{{512, 1}, {512, 1}, {512, 1}}, 3, 9, 0, 0, "0,1,2"},   {{{512, 1}, {512, 1}, {512, 1}}, 3, 9, 1024, 0, "0,1"},
        {{{512, 1}, {512, 1}, {512, 1}}, 3, 9, 1023, 0, "0"},    {{{512, 1}, {512, 1}, {512, 1}}, 3, 9, 0, 2, "0,1"},
        {{{512, 2}, {512, 2}, {512, 1}}, 3, 9, 0, 3, "0,2"}, /* a small one passes */
        {{{512, 8}, {512, 1}, {512, 1}}, 3, 9, 0, 2, "0"},   /* more than there are: alone */
        {{{512, 1}, {512, 8}, {512, 1}}, 3, 9, 0, 2, "0,2"},     {{{8192, 1}, {512, 1}, {512, 1}}, 3, 9, 1024, 0, "0"},
        {{{512, 1}, {8192, 1}, {512, 1}}, 3, 9, 1024, 0, "0,2"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct fixture fixture;

        set_up(&fixture, cases[i].needs, cases[i].count, cases[i].slots);
        fixture.plan->memory_limit = cases[i].memory * MIB;
        fixture.plan->cpu_limit = cases[i].cpus;
        assert_starts(&fixture, cases[i].started);
        tear_down(&fixture);
    }
}

static void an_end_makes_room_for_the_next(void **state) {
    static const struct need needs[] = {{1024, 1}, {1024, 1}, {2048, 1}, {1024, 1}};
    struct fixture fixture;

    set_up(&fixture, needs, ARRAY_SIZE(needs), 4);
    fixture.plan->memory_limit = 2048 * MIB;
    assert_starts(&fixture, "0,1");
    assert_starts(&fixture, "");
    schedule_done(fixture.schedule, 0);
    assert_starts(&fixture, "3"); /* the large one is passed */
    schedule_done(fixture.schedule, 1);
    assert_starts(&fixture, "");
    schedule_done(fixture.schedule, 3);
    assert_starts(&fixture, "2");
    tear_down(&fixture);
}

static void a_large_job_is_passed_only_so_many_times(void **state) {
    struct need needs[JOBS_MAX];
    struct fixture fixture;
    unsigned passed = 0;
    size_t running = 0;
    size_t job = 0;

    for (size_t i = 0; i < JOBS_MAX; i++)
        needs[i] = i == 1 ? (struct need){2048, 1} : (struct need){512, 1};
    set_up(&fixture, needs, JOBS_MAX, 2);
    fixture.plan->memory_limit = 2048 * MIB;
    assert_starts(&fixture, "0,2");
    for (;;) { /* always one of the two is running, and the large one never fits beside it */
        schedule_done(fixture.schedule, running);
        if (!schedule_next(fixture.schedule, &job))
            break;
        running = running == 0 ? 2 : job - 1;
        passed++;
        assert_true(passed < JOBS_MAX);
        assert_int_not_equal(job, 1);
    }
    assert_int_equal(passed + 1, SCHEDULE_PASSES_MAX);
    schedule_done(fixture.schedule, job);
    assert_starts(&fixture, "1");
    schedule_done(fixture.schedule, 1);
    tear_down(&fixture);
}

static void jobs_that_share_a_file_of_results_never_run_at_once(void **state) {
    static const struct {
        const char *first, *second;
        bool at_once;
    } cases[] = {
        {"junit:out/a.xml", "junit:out/a.xml", false},
        {"junit:out/a.xml", "junit:./out/a.xml", false},
        {"junit:out/a.xml", "junit:/mnt/vmtest/out/a.xml", false},
        {"junit:out/a.xml", "junit:out/*.xml", false},
        {"junit:out/*.xml", "junit:out/a.xml", false},
        {"junit:out/a*.xml", "junit:out/*b.xml", false},
        {"junit:/rw/a.xml", "junit:/rw/a.xml", false},
        {"junit:out/a.xml", "junit:out/b.xml", true},
        {"junit:out/a.xml", "junit:other/*.xml", true},
        {"junit:/tmp/a.xml", "junit:/tmp/a.xml", true}, /* each guest has its own */
        {"junit:/ro/a.xml", "junit:/ro/a.xml", true},
        {"junit:out/a.xml", "tap", true},
        {"tap", "tap", true},
        {NULL, "junit:out/a.xml", true},
    };
    static struct target_mount mounts[] = {
        {.guest_path = (char *)"/ro", .writable = false},
        {.guest_path = (char *)"/rw", .writable = true},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct fixture fixture;

        set_up(&fixture, (const struct need[]){{512, 1}, {512, 1}, {512, 1}}, 3, 3);
        for (size_t j = 0; j < 2; j++) {
            fixture.targets[j].kernel = (char *)"k";
            fixture.targets[j].results = (char *)(j == 0 ? cases[i].first : cases[i].second);
            fixture.targets[j].mounts = mounts;
            fixture.targets[j].n_mounts = ARRAY_SIZE(mounts);
        }
        _cleanup_free_ char *started = start_all(&fixture);
        if (!str_equal(started, cases[i].at_once ? "0,1,2" : "0,2"))
            fail_msg("case %zu: %s", i, started);
        if (!cases[i].at_once) {
            schedule_done(fixture.schedule, 2);
            assert_starts(&fixture, "");
            schedule_done(fixture.schedule, 0);
            assert_starts(&fixture, "1");
        }
        tear_down(&fixture);
    }
}

static void what_never_starts_is_dropped_in_the_order_of_the_list(void **state) {
    static const struct need needs[] = {{512, 1}, {512, 1}, {512, 1}, {512, 1}};
    struct fixture fixture;
    size_t job;

    set_up(&fixture, needs, ARRAY_SIZE(needs), 1);
    fixture.plan->order = xcalloc(4, sizeof(size_t));
    memcpy(fixture.plan->order, (const size_t[]){2, 3, 1, 0}, 4 * sizeof(size_t));
    assert_starts(&fixture, "2");
    schedule_done(fixture.schedule, 2);
    static const size_t dropped[] = {0, 1, 3};
    for (size_t i = 0; i < ARRAY_SIZE(dropped); i++) {
        assert_true(schedule_drop(fixture.schedule, &job));
        assert_int_equal(job, dropped[i]);
    }
    assert_false(schedule_drop(fixture.schedule, &job));
    assert_starts(&fixture, "");
    tear_down(&fixture);
}

static void the_number_of_slots_is_what_can_ever_run_at_once(void **state) {
    static const struct {
        struct need needs[4];
        size_t count;
        unsigned jobs;
        unsigned memory;
        unsigned cpus;
        unsigned slots;
    } cases[] = {
        {{{512, 1}}, 0, 0, 0, 0, 1},
        {{{512, 1}, {512, 1}, {512, 1}}, 3, 0, 0, 0, 3},
        {{{512, 1}, {512, 1}, {512, 1}}, 3, 2, 0, 0, 2},
        {{{512, 1}, {512, 1}, {512, 1}}, 3, 100, 0, 0, 3},
        {{{4096, 1}, {512, 1}, {512, 1}}, 3, 0, 1024, 0, 2}, /* the two small ones */
        {{{512, 2}, {512, 2}, {512, 2}}, 3, 0, 0, 2, 1},
        {{{512, 2}, {512, 1}, {512, 1}}, 3, 0, 0, 2, 2},
        {{{512, 64}, {512, 64}}, 2, 0, 0, 4, 1},
        {{{8192, 1}, {8192, 1}}, 2, 4, 4096, 0, 1},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct fixture fixture;

        set_up(&fixture, cases[i].needs, cases[i].count, 1);
        fixture.plan->memory_limit = cases[i].memory * MIB;
        fixture.plan->cpu_limit = cases[i].cpus;
        assert_int_equal(schedule_slots(fixture.plan, cases[i].jobs), cases[i].slots);
        tear_down(&fixture);
    }
}

static void a_target_is_too_large_only_where_memory_is_known(void **state) {
    static const struct need needs[] = {{1024, 1}};
    struct fixture fixture;

    set_up(&fixture, needs, 1, 1);
    assert_false(schedule_is_too_large(fixture.plan, &fixture.targets[0]));
    fixture.plan->memory_limit = 1024 * MIB;
    assert_false(schedule_is_too_large(fixture.plan, &fixture.targets[0]));
    fixture.plan->memory_limit = 1024 * MIB - 1;
    assert_true(schedule_is_too_large(fixture.plan, &fixture.targets[0]));
    tear_down(&fixture);
}

static void the_longest_starts_first_and_the_unknown_before_it(void **state) {
    static const struct need needs[] = {{512, 1}, {512, 1}, {512, 1}, {512, 1}, {512, 1}, {512, 1}};
    static const uint64_t expected[] = {5, 0, 9, 5, 0, 7};
    static const size_t order[] = {1, 4, 2, 5, 0, 3};
    struct fixture fixture;

    set_up(&fixture, needs, ARRAY_SIZE(needs), 1);
    for (size_t i = 0; i < ARRAY_SIZE(expected); i++)
        fixture.plan->jobs[i].expected_nsec = expected[i];
    _cleanup_free_ size_t *found = schedule_order_longest(fixture.plan);
    assert_memory_equal(found, order, sizeof(order));
    tear_down(&fixture);
}

/* That of an earlier run must come again with any later vmtest: the numbers are pinned. */
static void a_seed_gives_the_same_order_again(void **state) {
    struct need needs[8];
    struct fixture fixture;
    bool seen[8] = {0};

    for (size_t i = 0; i < ARRAY_SIZE(needs); i++)
        needs[i] = (struct need){512, 1};
    set_up(&fixture, needs, ARRAY_SIZE(needs), 1);
    _cleanup_free_ size_t *first = schedule_order_shuffled(fixture.plan, 42);
    _cleanup_free_ size_t *again = schedule_order_shuffled(fixture.plan, 42);
    _cleanup_free_ size_t *other = schedule_order_shuffled(fixture.plan, 43);
    assert_memory_equal(first, again, 8 * sizeof(size_t));
    assert_memory_not_equal(first, other, 8 * sizeof(size_t));
    for (size_t i = 0; i < 8; i++) {
        assert_true(first[i] < 8);
        assert_false(seen[first[i]]);
        seen[first[i]] = true;
    }
    static const size_t pinned[] = {3, 1, 6, 2, 4, 0, 7, 5};
    assert_memory_equal(first, pinned, sizeof(pinned));
    tear_down(&fixture);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_starts_first_is_bounded_by_slots_memory_and_cpus),
        cmocka_unit_test(an_end_makes_room_for_the_next),
        cmocka_unit_test(a_large_job_is_passed_only_so_many_times),
        cmocka_unit_test(jobs_that_share_a_file_of_results_never_run_at_once),
        cmocka_unit_test(what_never_starts_is_dropped_in_the_order_of_the_list),
        cmocka_unit_test(the_number_of_slots_is_what_can_ever_run_at_once),
        cmocka_unit_test(a_target_is_too_large_only_where_memory_is_known),
        cmocka_unit_test(the_longest_starts_first_and_the_unknown_before_it),
        cmocka_unit_test(a_seed_gives_the_same_order_again),
    };

    return cmocka_run_group_tests_name("schedule", tests, NULL, NULL);
}
