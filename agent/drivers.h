/* SPDX-License-Identifier: Apache-2.0 */
/* Drivers that the shares of an image target's system need: the system's own modprobe loads them. */
#ifndef VMTEST_AGENT_DRIVERS_H
#define VMTEST_AGENT_DRIVERS_H

#include "wire/frame.h"

/* Reads a list of drivers. */
void drivers_read(struct wire_reader *reader);
/* Loads those that were read last, as far as the system has them. */
void drivers_load(void);

#endif
