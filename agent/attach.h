/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMTEST_AGENT_ATTACH_H
#define VMTEST_AGENT_ATTACH_H

#include <signal.h>

/* Opens the port and goes on in a child that serves it. Returns the exit status once that is done or has failed. */
int attach_start(const sigset_t *signals);

#endif
