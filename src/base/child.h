/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A child process and its owner. Whoever holds a struct child reaps it, and the guard kills it first: no way out of a
 * scope leaves a process behind, and none is signalled by a number that may be another's by then.
 */
#ifndef VMTEST_BASE_CHILD_H
#define VMTEST_BASE_CHILD_H

#include <sys/types.h>

#include "base/cleanup.h"

struct child {
    pid_t pid; /* 0: none, or reaped */
    int pidfd; /* readable once the process has ended; -1: none */
};

#define CHILD_NONE ((struct child){.pidfd = -1})

/*
 * Forks. The child gets `death_signal` when the caller dies, and ends at once when that has happened already. Returns 0
 * in the child, 1 in the caller, or a negative errno.
 */
int child_fork(int death_signal, struct child *ret_child) _must_check_;

/* Takes over a process that the caller has started; one that cannot be watched is killed, and a negative errno
 * returned. */
int child_adopt(pid_t pid, struct child *ret_child) _must_check_;

/* Sends a signal, unless the process has been reaped. */
void child_kill(const struct child *child, int signal_number);

/* Waits for the end of the process; returns its wait status, or 0 when it was reaped before. CHILD_NONE is left. */
int child_reap(struct child *child);

/* Kills and reaps. */
void child_deinit(struct child *child);
#define _cleanup_child_ _cleanup_(child_deinit)

#endif
