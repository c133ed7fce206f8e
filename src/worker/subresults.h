/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The results of the command's own tests (the key `results`): read from its standard output as it comes, or from files
 * that it leaves in the guest; told as events, counted, and part of the verdict.
 */
#ifndef VMTEST_WORKER_SUBRESULTS_H
#define VMTEST_WORKER_SUBRESULTS_H

#include "machine/machine.h"
#include "prepare/prepare.h"

struct subresults;

/* Returns NULL where the target has no such results. */
struct subresults *subresults_new(struct machine *machine, const struct target *target,
                                  const struct preparation *preparation);
void subresults_free(struct subresults *results);

/*
 * Before the command starts: which of the files are there already, so that those of an earlier run are not taken for
 * its own. False when the deadline has passed or the run has ended.
 */
bool subresults_begin(struct subresults *results, deadline_t deadline);

/*
 * Once the verdict is known and the guest still there: takes what is left, and makes a pass a failure where a test
 * failed, or where it is not sure that all of them ran. A verdict that is no pass stays.
 */
void subresults_end(struct subresults *results);

/* Counts by status, for the result. */
void subresults_count(const struct subresults *results, unsigned counts[SUBRESULT_COUNT]);

#endif
