/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMTEST_AGENT_COMMAND_START_H
#define VMTEST_AGENT_COMMAND_START_H

#include "agent/command-streams.h"
#include "agent/log.h"

/* Starts the command of an EXEC frame. */
int command_start(struct command *command, const struct wire_frame *frame, struct failure *failure);
/*
 * Puts the guest's shell, an entry or two, in front of the arguments that begin at `argv`. Returns the new beginning;
 * NULL: the root of whoever calls has no shell.
 */
char **command_prepend_shell(char **argv);

#endif
