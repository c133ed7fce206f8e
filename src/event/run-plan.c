/* SPDX-License-Identifier: Apache-2.0 */
#include "event/run-plan.h"

#include <time.h>

#include "base/str.h"

#define USEC_PER_SEC 1000000

struct run_plan *run_plan_new(struct target *const *targets, size_t n_targets, uint64_t start) {
    struct run_plan *plan = xcalloc(1, sizeof(*plan));
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    *plan = (struct run_plan){
        .jobs = xcalloc(n_targets, sizeof(*plan->jobs)),
        .n_jobs = n_targets,
        .n_slots = 1,
        .started_at = (int64_t)now.tv_sec * USEC_PER_SEC + now.tv_nsec / 1000,
        .start = start,
    };
    for (size_t i = 0; i < n_targets; i++)
        plan->jobs[i] = (struct job){.target = targets[i], .name = xstrdup(targets[i]->name), .index = i};
    return plan;
}

void run_plan_free(struct run_plan *plan) {
    if (!plan)
        return;
    for (size_t i = 0; i < plan->n_jobs; i++)
        free(plan->jobs[i].name);
    free(plan->jobs);
    free(plan->order);
    free(plan->list_hash);
    free(plan);
}
