/* SPDX-License-Identifier: Apache-2.0 */
/* The QEMU process: found, started with inherited sockets, ended and reaped. */
#ifndef VMTEST_QEMU_PROCESS_H
#define VMTEST_QEMU_PROCESS_H

#include "arch/arch.h"
#include "base/child.h"
#include "base/error.h"
#include "base/str.h"

struct qemu_process {
    struct child child;
    int output_fd; /* what QEMU itself prints, standard output and error together; non-blocking */
};

#define QEMU_PROCESS_NONE ((struct qemu_process){.child = CHILD_NONE, .output_fd = -1})

/*
 * Finds QEMU's program: `command` (a path, or a name on PATH), else that of `arch` on PATH. Caller frees *ret_path.
 * `where` names the option or key for the error.
 */
int qemu_find_program(const char *command, const struct arch *arch, const char *where, const char *setting,
                      char **ret_path, struct error **ret_error) _must_check_;

struct qemu_process_request {
    const struct strv *argv;
    const struct strv *environment;
    const int *keep; /* descriptors that QEMU inherits, under their own numbers, and no others */
    size_t n_keep;
    int ruleset_fd; /* of confine_make(), or -1: QEMU is not confined by Landlock */
};

/*
 * Starts QEMU in a session of its own, without privileges to gain and without core dumps. It gets SIGKILL when the
 * calling process dies.
 */
int qemu_process_start(const struct qemu_process_request *request, struct qemu_process *ret_process,
                       struct error **ret_error) _must_check_;

/*
 * Kills QEMU, unless it has ended, and reaps it; returns its wait status (0: it was reaped before). The rest of its
 * process group, which a script in QEMU's place may have started, is killed with it.
 */
int qemu_process_end(struct qemu_process *process);
void qemu_process_deinit(struct qemu_process *process);

/* "exited with status 1", "was killed by signal 9 (Killed)". Caller frees. */
char *qemu_describe_exit(int wait_status);

#endif
