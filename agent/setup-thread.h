/* SPDX-License-Identifier: Apache-2.0 */
/* The part of a set-up that is done on another processor meanwhile; without one, at once. */
#ifndef VMTEST_AGENT_SETUP_THREAD_H
#define VMTEST_AGENT_SETUP_THREAD_H

#include "agent/mount-shares.h"
#include "agent/settings.h"

/* Makes the thread. To be called before HELLO. */
void setup_thread_start(void);
/* Begins with the settings and the modules (NULL: none). `environment` is the shell's; empty: it is not started. */
void setup_thread_begin(struct settings *settings, const struct mount_entry *modules, char **environment);
/* The root's files are there, though it is not entered yet: the shell can be started. The descriptor stays open. */
void setup_thread_root_ready(int fd);
/* Waits for the settings, which need /dev: before that is moved. */
void setup_thread_wait_applied(void);
/* Waits for the settings and the modules. */
void setup_thread_wait(void);

#endif
