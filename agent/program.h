/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMTEST_AGENT_PROGRAM_H
#define VMTEST_AGENT_PROGRAM_H

#include <sys/types.h>

/* Starts one of the system's programs, found on PATH, with no signal blocked. Negative when it cannot be started. */
pid_t program_start(const char *const *argv);

#endif
