/* SPDX-License-Identifier: Apache-2.0 */
/* QMP commands to a running machine, each with its reply waited for. */
#ifndef VMTEST_MACHINE_QMP_CALL_H
#define VMTEST_MACHINE_QMP_CALL_H

#include "machine/machine.h"

/* Waits until QMP takes commands. False when the deadline has passed or the run has ended, as in all of these. */
bool qmp_call_ready(struct machine *machine, deadline_t deadline);

/* Sends a command (`arguments` are stolen) and waits for its reply; false as well when that is an error. */
bool qmp_call(struct machine *machine, const char *command, json_t *arguments, deadline_t deadline);

/* Gives QEMU a descriptor under a name, as QMP's getfd has it. `fd` stays the caller's. */
bool qmp_call_getfd(struct machine *machine, const char *name, int fd, deadline_t deadline);

/* Switches the capabilities on that templates need: memory that stays in its file, events about migrations. */
bool qmp_call_migration_capabilities(struct machine *machine, deadline_t deadline);

/*
 * Lets the machine go on after a migration out of it. QEMU tells that one has ended somewhat before it takes `cont`,
 * and refuses it until then.
 */
bool qmp_call_cont(struct machine *machine, deadline_t deadline);

/* Waits for the end of the migration under way; false as well when it has failed. */
bool qmp_call_migration_end(struct machine *machine, deadline_t deadline);

#endif
