/* SPDX-License-Identifier: Apache-2.0 */
/* The blocked tasks of a guest that has run out of time, as its kernel lists them on the console (SysRq). */
#ifndef VMTEST_WORKER_BLOCKED_TASKS_H
#define VMTEST_WORKER_BLOCKED_TASKS_H

#include "machine/machine.h"

/*
 * Has the guest's kernel show its tasks on the console, all of them, the running and the blocked ones (SysRq t, l, w):
 * through the agent, ours or the guest agent, else by a break on the serial line and the keys. To be called once the
 * verdict is known (machine_begin_closing()). machine->tasks is then what is to be shown of it: the blocked tasks, or
 * why there is nothing.
 */
void blocked_tasks_ask(struct machine *machine);

#endif
