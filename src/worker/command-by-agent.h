/* SPDX-License-Identifier: Apache-2.0 */
/* The stage of the command: from its start in a guest that has been set up to the verdict. */
#ifndef VMTEST_WORKER_COMMAND_BY_AGENT_H
#define VMTEST_WORKER_COMMAND_BY_AGENT_H

#include "config/target.h"
#include "machine/machine.h"
#include "prepare/prepare.h"
#include "worker/worker.h"

struct subresults;

/* Runs the target's command and ends the run by how that ended, or by timeout. `results`: of its tests, or NULL. */
void command_run(struct machine *machine, const struct target *target, const struct preparation *preparation,
                 const struct worker_options *options, struct subresults *results);

#endif
