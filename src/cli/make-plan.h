/* SPDX-License-Identifier: Apache-2.0 */
/* From the options and the configuration to the plan of the run. */
#ifndef VMTEST_CLI_MAKE_PLAN_H
#define VMTEST_CLI_MAKE_PLAN_H

#include "cli/history.h"
#include "cli/options.h"
#include "cli/shard.h"
#include "event/run-plan.h"
#include "supervise/host-capacity.h"

/* More jobs than anybody waits for: what --repeat multiplies must not take all memory. */
#define PLAN_JOBS_MAX 1000000u

/*
 * Pure, but for the seed of a --shuffle that gives none. `history` and `host` are what is known; `start`: clock_now()
 * when vmtest started. The plan is freed with run_plan_free().
 */
int plan_make(const struct options *options, const struct shard *shard, const struct config *config,
              const struct history *history, const struct host *host, uint64_t start, struct run_plan **ret_plan,
              struct error **ret_error) _must_check_;

#endif
