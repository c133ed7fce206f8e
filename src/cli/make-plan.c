/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/make-plan.h"

#include <sys/random.h>

#include "supervise/schedule.h"

/* The targets, each as often as it is to run. */
static struct run_plan *repeat_targets(const struct config *config, unsigned repeat, uint64_t start) {
    size_t n_jobs = config->n_targets * repeat;
    _cleanup_free_ struct target **targets = xcalloc(n_jobs + 1, sizeof(struct target *));
    struct run_plan *plan;

    for (size_t i = 0; i < n_jobs; i++)
        targets[i] = config->targets[i / repeat];
    plan = run_plan_new(targets, n_jobs, start);
    for (size_t i = 0; repeat > 1 && i < n_jobs; i++) {
        free(plan->jobs[i].name);
        plan->jobs[i].name = xasprintf("%s (%zu of %u)", targets[i]->name, i % repeat + 1, repeat);
    }
    return plan;
}

static int pick_seed(const struct options *options, struct run_plan *plan, struct error **ret_error) {
    uint32_t drawn = 0; /* short enough to be typed */

    plan->seed = options->seed;
    if (!options->text[OPTION_SHUFFLE]) {
        if (getrandom(&drawn, sizeof(drawn), 0) != (ssize_t)sizeof(drawn))
            return error_errno(ret_error, errno, "--shuffle: cannot draw a random number; give --shuffle=SEED");
        plan->seed = drawn;
    }
    plan->shuffled = true;
    plan->order = schedule_order_shuffled(plan, plan->seed);
    return 0;
}

static bool has_interactive(const struct run_plan *plan) {
    for (size_t i = 0; i < plan->n_jobs; i++) {
        if (plan->jobs[i].target->interactive)
            return true;
    }
    return false;
}

/* Whether so many at once may have more CPUs than there are. */
static bool is_overcommitted(const struct run_plan *plan, const struct host *host) {
    unsigned most = 0;

    for (size_t i = 0; i < plan->n_jobs; i++) {
        if (plan->jobs[i].target->num_cpus > most)
            most = plan->jobs[i].target->num_cpus;
    }
    return plan->n_slots > 1 && plan->cpu_limit == 0 && (uint64_t)plan->n_slots * most > host->cpus;
}

/*
 * One behind the other, nothing is limited and nothing ordered. Else memory always counts, and CPUs where nobody has
 * said how many jobs there are to be.
 */
static void set_slots(const struct options *options, const struct host *host, struct run_plan *plan) {
    if (options->jobs == 1 || plan->n_jobs < 2 || has_interactive(plan))
        return;
    plan->memory_limit = host->memory;
    plan->cpu_limit = options->jobs == 0 ? host->cpus : 0;
    plan->n_slots = schedule_slots(plan, options->jobs);
    if (host->slots > 0 && host->slots < plan->n_slots)
        plan->n_slots = host->slots;
    plan->cpus_overcommitted = is_overcommitted(plan, host);
}

int plan_make(const struct options *options, const struct shard *shard, const struct config *config,
              const struct history *history, const struct host *host, uint64_t start, struct run_plan **ret_plan,
              struct error **ret_error) {
    unsigned repeat = options->repeat > 0 ? options->repeat : 1;
    _cleanup_run_plan_ struct run_plan *plan = NULL;
    struct history_entry entry;
    int r = 0;

    if (config->n_targets > PLAN_JOBS_MAX / repeat)
        return error_new(ret_error, EINVAL,
                         "--repeat: %zu targets %u times are more than the %u runs that are possible",
                         config->n_targets, repeat, PLAN_JOBS_MAX);
    plan = repeat_targets(config, repeat, start);
    plan->retries = options->retries;
    plan->fail_fast = options->fail_fast;
    plan->flaky_fails = options->flaky_fails;
    for (size_t i = 0; i < plan->n_jobs; i++) {
        if (history_find(history, plan->jobs[i].target->name, &entry))
            plan->jobs[i].expected_nsec = entry.nsec;
    }
    r = shard_plan(options, shard, plan, ret_error);
    if (r < 0)
        return r;
    set_slots(options, host, plan);
    if (options->given[OPTION_SHUFFLE])
        r = pick_seed(options, plan, ret_error);
    else if (plan->n_slots > 1)
        plan->order = schedule_order_longest(plan);
    if (r == 0)
        *ret_plan = TAKE_PTR(plan);
    return r;
}
