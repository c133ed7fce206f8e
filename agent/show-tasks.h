/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMTEST_AGENT_SHOW_TASKS_H
#define VMTEST_AGENT_SHOW_TASKS_H

/* Has the kernel show its tasks on its console. Blocks until it has written them there. */
void tasks_show(void);

#endif
