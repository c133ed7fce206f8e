/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMTEST_AGENT_SETUP_H
#define VMTEST_AGENT_SETUP_H

#include "agent/log.h"
#include "wire/frame.h"

/* Does what a SETUP frame asks for. */
int setup_take(const struct wire_frame *frame, struct failure *failure);

#endif
