/* SPDX-License-Identifier: Apache-2.0 */
/* Facts about the guest that the host and the agent share beside the frames. */
#ifndef VMTEST_WIRE_GUEST_H
#define VMTEST_WIRE_GUEST_H

/* Exit status of `vmtest-agent --attach` when it could be run but not attached; standard error says why. */
#define GUEST_ATTACH_FAILED 3

/*
 * SysRq keys that have the kernel show its tasks: all messages to the console, then all tasks, the running and the
 * blocked ones. Those come last, so that the console ends with them.
 */
#define GUEST_TASK_KEYS "9tlw"

#endif
