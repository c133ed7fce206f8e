/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMTEST_AGENT_OOM_H
#define VMTEST_AGENT_OOM_H

/* Keeps the OOM killer away from this process, as it keeps away from PID 1 anyway. */
void oom_shield(void);
/* Exposes this process, a command to be, to the OOM killer again. */
void oom_unshield(void);

#endif
