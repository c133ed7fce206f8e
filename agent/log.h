/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's role, failures, and lines for the kernel's log. */
#ifndef VMTEST_AGENT_LOG_H
#define VMTEST_AGENT_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"

enum role {
    ROLE_SOCKET,  /* an ordinary process that serves a descriptor and changes nothing in the system (tests) */
    ROLE_INIT,    /* PID 1 of a kernel target: losing the host means powering off */
    ROLE_PROCESS, /* a process of an image target's system */
};
extern enum role role;

/* Why something was not possible: one line, cut to fit. */
struct failure {
    char text[1024];
};

/* Fills a failure. Always returns -1, so that a function can return it. */
int failure_set(struct failure *failure, const char *format, ...) _printf_(2, 3);

/* Writes a line to the kernel's log. */
void log_line(const char *format, ...) _printf_(1, 2);

#endif
