/* SPDX-License-Identifier: Apache-2.0 */
#include "supervise/schedule.h"

#include <fnmatch.h>

#include "base/file.h"
#include "supervise/host-capacity.h"

struct schedule {
    const struct run_plan *plan;
    size_t *jobs;    /* all, in their order */
    size_t *waiting; /* those that have not started: the end of `jobs` */
    size_t n_waiting;
    bool *started;   /* by job */
    size_t dropped;  /* jobs before this one were dropped or have started */
    size_t *running; /* jobs */
    unsigned n_running;
    uint64_t memory; /* of those that run */
    unsigned cpus;
    unsigned passes; /* how many have started before waiting[0] since it is that */
};

struct schedule *schedule_new(const struct run_plan *plan) {
    struct schedule *schedule = xcalloc(1, sizeof(*schedule));

    *schedule = (struct schedule){
        .plan = plan,
        .jobs = xcalloc(plan->n_jobs + 1, sizeof(*schedule->jobs)),
        .n_waiting = plan->n_jobs,
        .started = xcalloc(plan->n_jobs + 1, sizeof(*schedule->started)),
        .running = xcalloc(plan->n_slots + 1, sizeof(*schedule->running)),
    };
    for (size_t i = 0; i < plan->n_jobs; i++)
        schedule->jobs[i] = plan->order ? plan->order[i] : i;
    schedule->waiting = schedule->jobs;
    return schedule;
}

void schedule_free(struct schedule *schedule) {
    if (!schedule)
        return;
    free(schedule->jobs);
    free(schedule->started);
    free(schedule->running);
    free(schedule);
}

uint64_t schedule_memory(const struct target *target) {
    return target->memory + HOST_GUEST_OVERHEAD;
}

bool schedule_is_too_large(const struct run_plan *plan, const struct target *target) {
    return plan->memory_limit > 0 && schedule_memory(target) > plan->memory_limit;
}

/*
 * The JUnit file, or the pattern, that a target leaves in what it shares with others: as seen from the shared
 * directory, or absolute. NULL: there is none.
 */
static const char *shared_results(const struct target *target) {
    const char *path = target->results ? str_skip_prefix(target->results, "junit:") : NULL;
    const char *below = path ? str_skip_prefix(path, SHARE_PATH "/") : NULL;
    bool shared = target->kernel ? target->rootfs_mode == ROOTFS_RW : false;

    if (!path || (target->image && target->share_choice == SHARE_NONE))
        return NULL;
    while (!below && path[0] == '.' && path[1] == '/')
        path += 2;
    if (below || path[0] != '/')
        return below ? below : path;
    for (size_t i = 0; i < target->n_mounts; i++)
        shared = shared || (target->mounts[i].writable && path_is_below(path, target->mounts[i].guest_path));
    return shared ? path : NULL;
}

/* Whether one of them could read the other's file. Of two patterns that is not looked into. */
static bool results_clash(const struct target *a, const struct target *b) {
    const char *left = shared_results(a);
    const char *right = shared_results(b);

    if (!left || !right)
        return false;
    return str_equal(left, right) || fnmatch(left, right, 0) == 0 || fnmatch(right, left, 0) == 0 ||
           (strpbrk(left, "*?[") && strpbrk(right, "*?["));
}

static bool clashes(const struct schedule *schedule, const struct target *target) {
    if (!target->results)
        return false;
    for (unsigned i = 0; i < schedule->n_running; i++) {
        if (results_clash(target, schedule->plan->jobs[schedule->running[i]].target))
            return true;
    }
    return false;
}

static bool fits(const struct schedule *schedule, size_t job) {
    const struct run_plan *plan = schedule->plan;
    const struct target *target = plan->jobs[job].target;

    if (schedule->n_running == 0)
        return true;
    if (clashes(schedule, target))
        return false;
    if (plan->memory_limit > 0 &&
        (schedule->memory > plan->memory_limit || schedule_memory(target) > plan->memory_limit - schedule->memory))
        return false;
    return plan->cpu_limit == 0 ||
           (schedule->cpus <= plan->cpu_limit && target->num_cpus <= plan->cpu_limit - schedule->cpus);
}

/* Takes the job at this place out of those that wait. */
static void start(struct schedule *schedule, size_t place) {
    size_t job = schedule->waiting[place];
    const struct target *target = schedule->plan->jobs[job].target;

    schedule->passes = place == 0 ? 0 : schedule->passes + 1;
    schedule->n_waiting--;
    /* Nearly always the first, and all behind it would have to move. */
    if (place == 0)
        schedule->waiting++;
    else
        memmove(schedule->waiting + place, schedule->waiting + place + 1,
                (schedule->n_waiting - place) * sizeof(*schedule->waiting));
    schedule->started[job] = true;
    schedule->running[schedule->n_running++] = job;
    schedule->memory += schedule_memory(target);
    schedule->cpus += target->num_cpus;
}

bool schedule_next(struct schedule *schedule, size_t *ret_job) {
    const struct run_plan *plan = schedule->plan;
    size_t n_looked_at = schedule->passes < SCHEDULE_PASSES_MAX ? schedule->n_waiting : 1;

    if (schedule->n_waiting == 0 || schedule->n_running >= plan->n_slots)
        return false;
    /* A target has at least one CPU: where none is left, a long list need not be looked through. */
    if (schedule->n_running > 0 && plan->cpu_limit > 0 && schedule->cpus >= plan->cpu_limit)
        return false;
    for (size_t i = 0; i < n_looked_at; i++) {
        size_t job = schedule->waiting[i];

        if (!fits(schedule, job))
            continue;
        start(schedule, i);
        *ret_job = job;
        return true;
    }
    return false;
}

void schedule_done(struct schedule *schedule, size_t job) {
    const struct target *target = schedule->plan->jobs[job].target;

    for (unsigned i = 0; i < schedule->n_running; i++) {
        if (schedule->running[i] == job)
            schedule->running[i] = schedule->running[schedule->n_running - 1];
    }
    schedule->n_running--;
    schedule->memory -= schedule_memory(target);
    schedule->cpus -= target->num_cpus;
}

bool schedule_drop(struct schedule *schedule, size_t *ret_job) {
    while (schedule->dropped < schedule->plan->n_jobs) {
        size_t job = schedule->dropped++;

        if (schedule->started[job])
            continue;
        schedule->started[job] = true;
        *ret_job = job;
        return true;
    }
    schedule->n_waiting = 0;
    return false;
}

static int compare_numbers(const void *a, const void *b) {
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;

    return (left > right) - (left < right);
}

/* How many of the smallest add up to no more than the limit. */
static size_t count_fitting(uint64_t *needs, size_t count, uint64_t limit) {
    size_t fitting = 0;

    if (limit == 0)
        return count;
    qsort(needs, count, sizeof(*needs), compare_numbers);
    while (fitting < count && needs[fitting] <= limit)
        limit -= needs[fitting++];
    return fitting;
}

unsigned schedule_slots(const struct run_plan *plan, unsigned jobs) {
    _cleanup_free_ uint64_t *memory = xcalloc(plan->n_jobs + 1, sizeof(*memory));
    _cleanup_free_ uint64_t *cpus = xcalloc(plan->n_jobs + 1, sizeof(*cpus));
    size_t by_memory;
    size_t by_cpus;
    size_t slots;

    for (size_t i = 0; i < plan->n_jobs; i++) {
        memory[i] = schedule_memory(plan->jobs[i].target);
        cpus[i] = plan->jobs[i].target->num_cpus;
    }
    by_memory = count_fitting(memory, plan->n_jobs, plan->memory_limit);
    by_cpus = count_fitting(cpus, plan->n_jobs, plan->cpu_limit);
    slots = by_memory < by_cpus ? by_memory : by_cpus;
    if (jobs > 0 && jobs < slots)
        slots = jobs;
    return slots > 0 ? (unsigned)slots : 1;
}

/* A job as the sorting sees it: its place in the list makes the order one that does not depend on qsort(). */
struct ranked {
    uint64_t expected;
    size_t index;
};

static int compare_ranked(const void *a, const void *b) {
    const struct ranked *left = a;
    const struct ranked *right = b;

    if (left->expected != right->expected) {
        if (left->expected == 0 || right->expected == 0)
            return left->expected == 0 ? -1 : 1;
        return left->expected > right->expected ? -1 : 1;
    }
    return (left->index > right->index) - (left->index < right->index);
}

size_t *schedule_order_longest(const struct run_plan *plan) {
    _cleanup_free_ struct ranked *ranked = xcalloc(plan->n_jobs + 1, sizeof(*ranked));
    size_t *order = xcalloc(plan->n_jobs + 1, sizeof(*order));

    for (size_t i = 0; i < plan->n_jobs; i++)
        ranked[i] = (struct ranked){plan->jobs[i].expected_nsec, i};
    qsort(ranked, plan->n_jobs, sizeof(*ranked), compare_ranked);
    for (size_t i = 0; i < plan->n_jobs; i++)
        order[i] = ranked[i].index;
    return order;
}

/* A step of SplitMix64: the same numbers of a seed on every host and with every C library. */
static uint64_t draw(uint64_t *state) {
    uint64_t value = *state += UINT64_C(0x9e3779b97f4a7c15);

    value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
    return value ^ (value >> 31);
}

size_t *schedule_order_shuffled(const struct run_plan *plan, uint64_t seed) {
    size_t *order = xcalloc(plan->n_jobs + 1, sizeof(*order));

    for (size_t i = 0; i < plan->n_jobs; i++)
        order[i] = i;
    for (size_t left = plan->n_jobs; left > 1; left--) {
        size_t chosen = (size_t)(draw(&seed) % left); /* the bias is that of a list beside 2^64 */
        size_t other = order[left - 1];

        order[left - 1] = order[chosen];
        order[chosen] = other;
    }
    return order;
}
