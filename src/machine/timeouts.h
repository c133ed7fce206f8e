/* SPDX-License-Identifier: Apache-2.0 */
/* The times that a run and its stages may take. */
#ifndef VMTEST_MACHINE_TIMEOUTS_H
#define VMTEST_MACHINE_TIMEOUTS_H

#include "config/target.h"
#include "machine/machine.h"

/* Sets the run's own deadline, from `start` on. */
void run_timeout_begin(struct machine *machine, const struct target *target, uint64_t start);

/* The deadline of what may take `timeout` nanoseconds from now (0: any time), within the run's. */
deadline_t timeout_deadline(const struct machine *machine, uint64_t timeout);

/*
 * Ends the run by VERDICT_TIMEOUT: `what` ("the boot") took longer than `timeout` (`key`), or the run as a whole has
 * had its time. `why` may be NULL. The guest can still be talked to afterwards (machine_begin_closing()).
 */
void machine_end_by_timeout(struct machine *machine, const char *what, uint64_t timeout, const char *key,
                            const char *why);

#endif
