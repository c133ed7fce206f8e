/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMTEST_AGENT_POWER_H
#define VMTEST_AGENT_POWER_H

/* Sets what an agent that is not PID 1 does before it exits. */
void power_before_exit(void (*callback)(void));
/* Writes everything back and powers the machine off; an agent that is not PID 1 exits. */
_Noreturn void power_off(void);

#endif
