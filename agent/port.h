/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMTEST_AGENT_PORT_H
#define VMTEST_AGENT_PORT_H

#include "agent/log.h"
#include "base/clock.h"

/* Begins to listen for devices that appear; to be called before the port's driver is loaded. */
void port_listen(void);
/* Opens the port, waiting for it to appear until the deadline, and until the host has its end open. */
int port_open(deadline_t deadline, struct failure *failure);

#endif
