/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMTEST_AGENT_SERVE_H
#define VMTEST_AGENT_SERVE_H

#include <signal.h>

/* Talks to the host until that goes away. `signals` are blocked. */
_Noreturn void serve_host(int port, const sigset_t *signals);

#endif
