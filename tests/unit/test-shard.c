/* SPDX-License-Identifier: Apache-2.0 */
/* Shards: what the environments of the engines mean, and that a split loses nothing and doubles nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/shard.h"

#define VARIABLES 6

static void each_engine_tells_its_shard(void **state) {
    static const struct {
        const char *text;
        const char *environment[VARIABLES];
        unsigned index, count;
    } cases[] = {
        {"1/1", {NULL}, 1, 1},
        {"3/7", {"CI_NODE_INDEX=1", "CI_NODE_TOTAL=2"}, 3, 7},
        {"100000/100000", {NULL}, 100000, 100000},
        {"auto",
         {"SLURM_ARRAY_TASK_ID=0", "SLURM_ARRAY_TASK_MIN=0", "SLURM_ARRAY_TASK_MAX=3", "SLURM_ARRAY_TASK_STEP=1",
          "SLURM_ARRAY_TASK_COUNT=4"},
         1,
         4},
        {"auto",
         {"SLURM_ARRAY_TASK_ID=4", "SLURM_ARRAY_TASK_MIN=1", "SLURM_ARRAY_TASK_MAX=4", "SLURM_ARRAY_TASK_STEP=1",
          "SLURM_ARRAY_TASK_COUNT=4"},
         4,
         4},
        {"auto",
         {"SLURM_ARRAY_TASK_ID=5", "SLURM_ARRAY_TASK_MIN=1", "SLURM_ARRAY_TASK_MAX=7", "SLURM_ARRAY_TASK_STEP=2",
          "SLURM_ARRAY_TASK_COUNT=4"},
         3,
         4},
        {"auto/4",
         {"SLURM_ARRAY_TASK_ID=1", "SLURM_ARRAY_TASK_MIN=1", "SLURM_ARRAY_TASK_MAX=4", "SLURM_ARRAY_TASK_COUNT=4"},
         1,
         4},
        {"auto/5", {"JOB_COMPLETION_INDEX=0"}, 1, 5},
        {"auto/5", {"JOB_COMPLETION_INDEX=4"}, 5, 5},
        {"auto", {"CI_NODE_INDEX=1", "CI_NODE_TOTAL=3"}, 1, 3},
        {"auto", {"CI_NODE_INDEX=3", "CI_NODE_TOTAL=3"}, 3, 3},
        {"auto", {"CI_NODE_INDEX=3", "CI_NODE_TOTAL=3", "JOB_COMPLETION_INDEX="}, 3, 3},
        {"auto", {"BUILDKITE_PARALLEL_JOB=0", "BUILDKITE_PARALLEL_JOB_COUNT=2"}, 1, 2},
        {"auto", {"BUILDKITE_PARALLEL_JOB=1", "BUILDKITE_PARALLEL_JOB_COUNT=2"}, 2, 2},
        {"auto", {"CIRCLE_NODE_INDEX=0", "CIRCLE_NODE_TOTAL=1"}, 1, 1},
        {"auto/9", {"CIRCLE_NODE_INDEX=8", "CIRCLE_NODE_TOTAL=9"}, 9, 9},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_error_ struct error *error = NULL;
        struct shard shard = {0};

        if (shard_parse(cases[i].text, (char *const *)cases[i].environment, &shard, &error) < 0)
            fail_msg("case %zu: %s", i, error_message(error));
        assert_int_equal(shard.index, cases[i].index);
        assert_int_equal(shard.count, cases[i].count);
    }
}

static void what_cannot_be_told_is_an_error_that_says_so(void **state) {
    static const struct {
        const char *text;
        const char *environment[VARIABLES];
        const char *message;
    } cases[] = {
        {"", {NULL}, "not I/N"},
        {"1", {NULL}, "not I/N"},
        {"0/4", {NULL}, "not I/N"},
        {"5/4", {NULL}, "not I/N"},
        {"1/0", {NULL}, "not I/N"},
        {"-1/4", {NULL}, "not I/N"},
        {"1/4x", {NULL}, "not I/N"},
        {"1/4/4", {NULL}, "not I/N"},
        {" 1/4", {NULL}, "not I/N"},
        {"1/100001", {NULL}, "not I/N"},
        {"1/4294967297", {NULL}, "not I/N"},
        {"auto/", {NULL}, "not I/N"},
        {"auto/0", {NULL}, "not I/N"},
        {"automatic", {NULL}, "not I/N"},
        {"auto", {NULL}, "JOB_COMPLETION_INDEX (Kubernetes), CI_NODE_INDEX (GitLab)"},
        {"auto", {"CI_NODE_TOTAL=1"}, "SLURM_ARRAY_TASK_ID (Slurm)"},
        {"auto/4", {"CI_NODE_INDEXES=1"}, "needs one of these"},
        {"auto", {"JOB_COMPLETION_INDEX=0"}, "auto/N"},
        {"auto/4", {"JOB_COMPLETION_INDEX=4"}, "not within 4"},
        {"auto/4", {"JOB_COMPLETION_INDEX=x"}, "is 'x', which is not a number"},
        {"auto", {"CI_NODE_INDEX=1"}, "CI_NODE_TOTAL is not set"},
        {"auto", {"CI_NODE_INDEX=0", "CI_NODE_TOTAL=4"}, "CI_NODE_INDEX is 0"},
        {"auto", {"CI_NODE_INDEX=5", "CI_NODE_TOTAL=4"}, "not within 4"},
        {"auto/3", {"CI_NODE_INDEX=1", "CI_NODE_TOTAL=4"}, "contradicts CI_NODE_TOTAL, which is 4"},
        {"auto", {"BUILDKITE_PARALLEL_JOB=2", "BUILDKITE_PARALLEL_JOB_COUNT=2"}, "not within 2"},
        {"auto", {"CIRCLE_NODE_INDEX=0", "CIRCLE_NODE_TOTAL=0"}, "not within 0"},
        {"auto",
         {"CIRCLE_NODE_INDEX=0", "CIRCLE_NODE_TOTAL=2", "CI_NODE_INDEX=1", "CI_NODE_TOTAL=2"},
         "both CI_NODE_INDEX (GitLab) and CIRCLE_NODE_INDEX (CircleCI) are set"},
        {"auto",
         {"SLURM_ARRAY_TASK_ID=4", "SLURM_ARRAY_TASK_MIN=1", "SLURM_ARRAY_TASK_MAX=5", "SLURM_ARRAY_TASK_STEP=1",
          "SLURM_ARRAY_TASK_COUNT=3"},
         "without gaps"},
        {"auto",
         {"SLURM_ARRAY_TASK_ID=4", "SLURM_ARRAY_TASK_MIN=1", "SLURM_ARRAY_TASK_MAX=7", "SLURM_ARRAY_TASK_STEP=2",
          "SLURM_ARRAY_TASK_COUNT=4"},
         "SLURM_ARRAY_TASK_ID is 4"},
        {"auto", {"SLURM_ARRAY_TASK_ID=4", "SLURM_ARRAY_TASK_COUNT=3"}, "SLURM_ARRAY_TASK_MIN is not set"},
        {"auto/4",
         {"SLURM_ARRAY_TASK_ID=3", "SLURM_ARRAY_TASK_MIN=3", "SLURM_ARRAY_TASK_MAX=3", "SLURM_ARRAY_TASK_COUNT=1"},
         "contradicts"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_error_ struct error *error = NULL;
        struct shard shard = {.index = 7, .count = 8};

        assert_int_equal(shard_parse(cases[i].text, (char *const *)cases[i].environment, &shard, &error), -EINVAL);
        if (!strstr(error_message(error), cases[i].message))
            fail_msg("case %zu: %s", i, error_message(error));
        assert_true(shard.index == 7 && shard.count == 8);
    }
}

struct list {
    struct target **targets;
    size_t count;
};

static struct list make_list(size_t count) {
    struct list list = {.targets = xcalloc(count + 1, sizeof(*list.targets)), .count = count};

    for (size_t i = 0; i < count; i++) {
        list.targets[i] = target_new();
        /* Not in the order of names, so that the list's order is seen to be kept. */
        list.targets[i]->name = xasprintf("t%03zu", (i * 37 + 11) % 997);
        list.targets[i]->command = xasprintf("command %zu", i);
        list.targets[i]->share = xstrdup("/home/a");
        list.targets[i]->kernel = xstrdup("/home/a/kernel");
    }
    return list;
}

static void list_deinit(struct list *list) {
    for (size_t i = 0; i < list->count; i++)
        target_free(list->targets[i]);
    free(list->targets);
}
#define _cleanup_list_ _cleanup_(list_deinit)

static struct run_plan *make_plan(const struct list *list) {
    struct run_plan *plan = run_plan_new(list->targets, list->count, 0);

    plan->list_hash = shard_list_hash(plan);
    plan->order = xcalloc(list->count + 1, sizeof(*plan->order));
    for (size_t i = 0; i < list->count; i++)
        plan->order[i] = list->count - 1 - i;
    return plan;
}

/* Times for the targets of a list but each seventh: 1, 2, 3 ... seconds. */
static struct report *make_timings(const struct list *list) {
    struct report *report = xcalloc(1, sizeof(*report));

    report->entries = xcalloc(list->count + 1, sizeof(*report->entries));
    for (size_t i = 0; i < list->count; i++) {
        if (i % 7 == 6)
            continue;
        report->entries[report->n_entries++] = (struct report_entry){
            .name = xstrdup(list->targets[i]->name),
            .target = xstrdup(list->targets[i]->name),
            .start_nsec = 5,
            .end_nsec = 5 + (i + 1) * UINT64_C(1000000000),
            .result = RUN_RESULT_EMPTY,
            .finished = true,
        };
    }
    return report;
}

static void check_split(const struct list *list, unsigned n_shards, const struct report *timings) {
    _cleanup_free_ unsigned *seen = xcalloc(list->count + 1, sizeof(*seen));
    size_t least = SIZE_MAX;
    size_t most = 0;

    for (unsigned index = 1; index <= n_shards; index++) {
        _cleanup_run_plan_ struct run_plan *plan = make_plan(list);
        size_t at = 0;

        shard_select(plan, &(struct shard){.index = index, .count = n_shards}, timings);
        assert_int_equal(strlen(plan->list_hash), timings ? 65 : 32);
        assert_true(plan->shard_index == index && plan->shard_count == n_shards);
        for (size_t i = 0; i < plan->n_jobs; i++) {
            for (; list->targets[at] != plan->jobs[i].target; at++)
                assert_true(at < list->count); /* the list's order */
            seen[at]++;
            assert_int_equal(plan->jobs[i].index, i);
            assert_string_equal(plan->jobs[i].name, list->targets[at]->name);
            assert_int_equal(plan->order[i], plan->n_jobs - 1 - i);
        }
        least = plan->n_jobs < least ? plan->n_jobs : least;
        most = plan->n_jobs > most ? plan->n_jobs : most;
    }
    for (size_t i = 0; i < list->count; i++)
        assert_int_equal(seen[i], 1);
    if (!timings)
        assert_in_range(most - least, 0, 1);
}

static void every_target_is_in_exactly_one_shard(void **state) {
    for (size_t count = 0; count <= 60; count += count < 10 ? 1 : 17) {
        _cleanup_list_ struct list list = make_list(count);
        _cleanup_report_ struct report *timings = make_timings(&list);

        for (unsigned n_shards = 1; n_shards <= 70; n_shards += n_shards < 9 ? 1 : 13) {
            check_split(&list, n_shards, NULL);
            check_split(&list, n_shards, timings);
        }
    }
}

static uint64_t seconds_of(const struct run_plan *plan, const struct report *timings) {
    uint64_t sum = 0;

    for (size_t i = 0; i < plan->n_jobs; i++) {
        for (size_t j = 0; j < timings->n_entries; j++) {
            if (str_equal(timings->entries[j].target, plan->jobs[i].name))
                sum += timings->entries[j].end_nsec / 1000000000;
        }
    }
    return sum;
}

static void times_make_the_shards_even(void **state) {
    _cleanup_list_ struct list list = make_list(6);
    _cleanup_report_ struct report *timings = make_timings(&list);

    /* 1 + 2 + 3 + 4 + 5 + 6 seconds. */
    for (unsigned index = 1; index <= 3; index++) {
        _cleanup_run_plan_ struct run_plan *plan = make_plan(&list);

        shard_select(plan, &(struct shard){.index = index, .count = 3}, timings);
        assert_int_equal(seconds_of(plan, timings), 7);
    }
}

static void an_unknown_target_counts_as_the_one_in_the_middle(void **state) {
    _cleanup_list_ struct list list = make_list(7); /* the seventh is not known; the median of 1 ... 6 is 3 */
    _cleanup_report_ struct report *timings = make_timings(&list);
    _cleanup_run_plan_ struct run_plan *plan = make_plan(&list);

    /* 6 | 5 + 1 | 4 + 2 | 3 + 3 */
    shard_select(plan, &(struct shard){.index = 4, .count = 4}, timings);
    assert_int_equal(plan->n_jobs, 2);
    assert_ptr_equal(plan->jobs[0].target, list.targets[2]);
    assert_ptr_equal(plan->jobs[1].target, list.targets[6]);
}

static void what_was_stopped_or_skipped_tells_no_time(void **state) {
    _cleanup_list_ struct list list = make_list(4);
    _cleanup_report_ struct report *timings = make_timings(&list);
    _cleanup_run_plan_ struct run_plan *all = make_plan(&list);
    _cleanup_run_plan_ struct run_plan *fewer = make_plan(&list);
    const struct shard shard = {.index = 1, .count = 2};

    shard_select(all, &shard, timings);
    timings->entries[0].result.verdict = VERDICT_CANCELLED;
    timings->entries[1].finished = false;
    timings->entries[2].result.verdict = VERDICT_SKIPPED;
    timings->entries[3].end_nsec = 0;
    shard_select(fewer, &shard, timings);
    assert_string_not_equal(all->list_hash, fewer->list_hash);
    assert_int_equal(fewer->n_jobs, 2);
}

static void the_repeats_of_a_target_stay_together(void **state) {
    _cleanup_list_ struct list list = make_list(3);
    struct target *repeated[6] = {list.targets[0], list.targets[0], list.targets[1],
                                  list.targets[1], list.targets[2], list.targets[2]};

    for (unsigned index = 1; index <= 3; index++) {
        _cleanup_run_plan_ struct run_plan *plan = run_plan_new(repeated, 6, 0);

        shard_select(plan, &(struct shard){.index = index, .count = 3}, NULL);
        assert_int_equal(plan->n_jobs, 2);
        assert_ptr_equal(plan->jobs[0].target, plan->jobs[1].target);
    }
}

static void the_hash_changes_with_what_is_run_and_with_nothing_else(void **state) {
    _cleanup_list_ struct list list = make_list(3);
    struct target *target = list.targets[1];
    _cleanup_run_plan_ struct run_plan *plan = run_plan_new(list.targets, 3, 0);

    /* As {kernel} in a command, and an axis of kernels, have it. */
    free(target->command);
    target->command = xstrdup("load /home/a/kernel /home/ab /usr/home/a/x --in=/home/a/x /home/a");
    target->axes = xcalloc(1, sizeof(*target->axes));
    target->n_axes = 1;
    target->axes[0] = (struct target_axis){xstrdup("kernel"), xstrdup("/home/a/kernel"), xstrdup("kernel")};
    _cleanup_free_ char *first = shard_list_hash(plan);
    char *other = NULL;

#define HASH_DIFFERS(change, back)                                                                                     \
    do {                                                                                                               \
        change;                                                                                                        \
        other = shard_list_hash(plan);                                                                                 \
        assert_string_not_equal(first, other);                                                                         \
        free(other);                                                                                                   \
        back;                                                                                                          \
    } while (0)
    HASH_DIFFERS(target->command[0]++, target->command[0]--);
    HASH_DIFFERS(target->kernel[9]++, target->kernel[9]--);
    HASH_DIFFERS(target->name[1]++, target->name[1]--);
    HASH_DIFFERS(target->timeout = 1, target->timeout = 0);
    HASH_DIFFERS(target->fail_on = 1, target->fail_on = 0);
    HASH_DIFFERS(target->where[KEY_ENV_PASS] = (char *)"f.toml:1:1", target->where[KEY_ENV_PASS] = NULL);
    HASH_DIFFERS(strv_append(&target->env_pass, "CI_*"), strv_deinit(&target->env_pass));
    HASH_DIFFERS(target->memory++, target->memory--);
    HASH_DIFFERS(plan->n_jobs--, plan->n_jobs++);
    HASH_DIFFERS(plan->retries++, plan->retries--);
    HASH_DIFFERS(target->command[strlen("load /home/a/ke")]++, target->command[strlen("load /home/a/ke")]--);
    HASH_DIFFERS(target->axes[0].value[9]++, target->axes[0].value[9]--);
    HASH_DIFFERS(target->axes[0].name[0]++, target->axes[0].name[0]--);
    HASH_DIFFERS(target->n_axes--, target->n_axes++);
    /* Another checkout, and what only says how the host does it. */
    for (size_t i = 0; i < 3; i++) {
        free(list.targets[i]->share);
        free(list.targets[i]->kernel);
        list.targets[i]->share = xstrdup("/srv/other/b");
        list.targets[i]->kernel = xstrdup("/srv/other/b/kernel");
        list.targets[i]->boot_timeout = 77;
        list.targets[i]->accel = ACCEL_CHOICE_TCG;
    }
    free(target->command);
    free(target->axes[0].value);
    target->command = xstrdup("load /srv/other/b/kernel /home/ab /usr/home/a/x --in=/srv/other/b/x /srv/other/b");
    target->axes[0].value = xstrdup("/srv/other/b/kernel");
    other = shard_list_hash(plan);
    assert_string_equal(first, other);
    free(other);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_engine_tells_its_shard),
        cmocka_unit_test(what_cannot_be_told_is_an_error_that_says_so),
        cmocka_unit_test(every_target_is_in_exactly_one_shard),
        cmocka_unit_test(times_make_the_shards_even),
        cmocka_unit_test(an_unknown_target_counts_as_the_one_in_the_middle),
        cmocka_unit_test(what_was_stopped_or_skipped_tells_no_time),
        cmocka_unit_test(the_repeats_of_a_target_stay_together),
        cmocka_unit_test(the_hash_changes_with_what_is_run_and_with_nothing_else),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
