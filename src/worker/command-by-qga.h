/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the agent would do, done by the guest agent alone (machine->by_qga): shares are mounted by a shell in the guest,
 * the command runs by guest-exec, and its output comes at its end.
 */
#ifndef VMTEST_WORKER_COMMAND_BY_QGA_H
#define VMTEST_WORKER_COMMAND_BY_QGA_H

#include "config/target.h"
#include "machine/machine.h"
#include "prepare/prepare.h"

/* Mounts the shares. False when the deadline has passed or the run has ended. */
bool command_by_qga_set_up(struct machine *machine, const struct target *target, const struct preparation *preparation,
                           deadline_t deadline);

/* Has what was written to shares and disks written back. False when that was not done in time. */
bool command_by_qga_sync(struct machine *machine, deadline_t deadline);

/* Has the guest's kernel show its tasks, as agent/show-tasks.c does. False when that was not done in time. */
bool command_by_qga_show_tasks(struct machine *machine, deadline_t deadline);

/* Runs the command, with further variables, and sets the verdict; false when the deadline has passed first. */
bool command_by_qga_run(struct machine *machine, const struct target *target, const struct strv *environment,
                        deadline_t deadline);

#endif
