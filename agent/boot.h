/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMTEST_AGENT_BOOT_H
#define VMTEST_AGENT_BOOT_H

/* Mounts the pseudo file systems, loads the modules, brings `lo` up, sets the limits. */
void boot_early(void);
/* Opens the agent's port, waiting for it to appear. Never returns without it: powers off. */
int boot_open_port(void);

#endif
