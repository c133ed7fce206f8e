/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shards: one list of targets, split among several runs of vmtest (docs/shards.md). Pure, but for shard_of_options(),
 * which looks into the environment, and shard_plan().
 */
#ifndef VMTEST_CLI_SHARD_H
#define VMTEST_CLI_SHARD_H

#include "base/error.h"
#include "cli/options.h"
#include "event/run-plan.h"
#include "report/report.h"

#define SHARD_COUNT_MAX 100000U

struct shard {
    unsigned index; /* from 1 */
    unsigned count; /* 0: not split */
};

/*
 * The argument of --shard: "I/N", "auto", or "auto/N", which look into `environment` ("NAME=VALUE", NULL at the end)
 * for the engine that runs this. -EINVAL with what was looked for.
 */
int shard_parse(const char *text, char *const *environment, struct shard *ret_shard, struct error **ret_error)
    _must_check_;

/* The shard that --shard asks for; without it a count of 0. -EINVAL as shard_parse(), and for --timings alone. */
int shard_of_options(const struct options *options, struct shard *ret_shard, struct error **ret_error) _must_check_;

/*
 * A hash of the list and of what decides how its jobs end: 32 hexadecimal digits. Equal wherever the same files are,
 * whatever the directory's path. Caller frees.
 */
char *shard_list_hash(const struct run_plan *plan);

/*
 * Drops the jobs of the other shards from the plan. All jobs of a target stay together. With `timings`, a report or
 * NULL, the shards are made to take the same time, and the hash of the times is put behind the one of the list.
 */
void shard_select(struct run_plan *plan, const struct shard *shard, const struct report *timings);

/* Gives a plan that holds the whole list its hash, and makes it that of the shard. Reads the file of --timings. */
int shard_plan(const struct options *options, const struct shard *shard, struct run_plan *plan,
               struct error **ret_error) _must_check_;

#endif
