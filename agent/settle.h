/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMTEST_AGENT_SETTLE_H
#define VMTEST_AGENT_SETTLE_H

#include <stdint.h>

/* Waits until the system has come up and is quiet, at most so long. For a child: it blocks. */
void settle_wait(uint32_t limit_msec);

#endif
