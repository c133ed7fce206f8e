/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is to be run: the jobs, in the order of the list, and how. Made by cli/ from the targets and the options before
 * anything starts; the supervisor, the sinks and the reports read it and change nothing in it.
 */
#ifndef VMTEST_EVENT_RUN_PLAN_H
#define VMTEST_EVENT_RUN_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/target.h"

/* One run of a target that was asked for; a retry is another attempt of the same job. */
struct job {
    const struct target *target;
    char *name;             /* unique among the jobs: the target's, with its number behind it under --repeat */
    size_t index;           /* its place in struct run_plan */
    uint64_t expected_nsec; /* how long it took the last time, 0: not known */
};

struct run_plan {
    struct job *jobs; /* in the order of the list, which is that of the reports */
    size_t n_jobs;
    size_t *order;           /* indices of the jobs in the order in which they may start; NULL: that of the list */
    unsigned n_slots;        /* how many may run at once; 1: one behind the other */
    uint64_t memory_limit;   /* bytes for all that run at once (supervise/schedule.h); 0: not limited */
    unsigned cpu_limit;      /* the same of CPUs */
    bool cpus_overcommitted; /* they may have more CPUs than the host */
    unsigned retries;        /* further attempts of a job that did not pass */
    bool fail_fast;          /* nothing is started behind a job that did not pass */
    bool flaky_fails;        /* a job that passed only at a further attempt fails */
    bool shuffled;
    uint64_t seed;   /* of the shuffling */
    char *list_hash; /* of the expanded list before it was split, 32 hex digits; behind "-" that of --timings, where
                        the list was split by them; NULL: not asked for */
    unsigned shard_index; /* from 1 */
    unsigned shard_count; /* 0: not split */
    int64_t started_at;   /* microseconds since the epoch */
    uint64_t start;       /* clock_now() when vmtest started: events count from there */
};

/* A plan with one job for each target, in their order, one behind the other. The targets stay the caller's. */
struct run_plan *run_plan_new(struct target *const *targets, size_t n_targets, uint64_t start);
void run_plan_free(struct run_plan *plan);
DEFINE_CLEANUP(cleanup_run_plan, struct run_plan *, run_plan_free)
#define _cleanup_run_plan_ _cleanup_(cleanup_run_plan)

#endif
