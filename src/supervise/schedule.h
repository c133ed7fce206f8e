/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which job may start next. Pure: the supervisor asks, starts what it is told, and says when a job has ended.
 *
 * A job takes a slot, memory and CPUs. Memory is never promised twice; CPUs are not where the plan has a limit of them.
 * A job that needs more of either than there is runs when nothing else does. The first job of the order that fits
 * starts; those before it, which do not fit, are passed, but only so many times: then nothing starts until the first of
 * them fits. Jobs that leave their results in the same file of a shared directory never run at once.
 */
#ifndef VMTEST_SUPERVISE_SCHEDULE_H
#define VMTEST_SUPERVISE_SCHEDULE_H

#include "event/run-plan.h"

/* How many jobs may start before one that has waited longer. */
#define SCHEDULE_PASSES_MAX 16u

struct schedule;

/* The plan stays the caller's, and outlives it. */
struct schedule *schedule_new(const struct run_plan *plan);
void schedule_free(struct schedule *schedule);
DEFINE_CLEANUP(cleanup_schedule, struct schedule *, schedule_free)
#define _cleanup_schedule_ _cleanup_(cleanup_schedule)

/* The job that starts now, and has what it needs from here on. False when none may. */
bool schedule_next(struct schedule *schedule, size_t *ret_job) _must_check_;
/* A job that had started has ended. */
void schedule_done(struct schedule *schedule, size_t job);
/* The first job of the list that has not started, which is not going to. False when there is none. */
bool schedule_drop(struct schedule *schedule, size_t *ret_job) _must_check_;

/* What a target takes of the host's memory, its emulator included. */
uint64_t schedule_memory(const struct target *target);
/* Whether it takes more memory than the plan has. */
bool schedule_is_too_large(const struct run_plan *plan, const struct target *target);

/*
 * How many of the plan's jobs may ever run at once, by its limits of memory and CPUs, and `jobs` (0: as many as those
 * allow). At least 1.
 */
unsigned schedule_slots(const struct run_plan *plan, unsigned jobs);

/* Orders for struct run_plan: the longest first, those of unknown length before them; or drawn from `seed`. */
size_t *schedule_order_longest(const struct run_plan *plan);
size_t *schedule_order_shuffled(const struct run_plan *plan, uint64_t seed);

#endif
