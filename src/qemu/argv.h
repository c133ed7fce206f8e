/* SPDX-License-Identifier: Apache-2.0 */
/* QEMU's command line. Pure: the same input gives the same arguments, and nothing is looked at on the host. */
#ifndef VMTEST_QEMU_ARGV_H
#define VMTEST_QEMU_ARGV_H

#include "base/str.h"
#include "qemu/accel.h"
#include "qemu/arch.h"

/* A directory of the host that the guest can mount by its tag over 9p. */
struct qemu_share {
    const char *tag;
    const char *path; /* absolute */
    bool writable;
};

struct qemu_config {
    const struct arch *arch;
    enum accel accel;
    const char *program; /* QEMU's path */
    const char *cpu;     /* value of -cpu */
    unsigned num_cpus;
    uint64_t memory;         /* bytes */
    const char *kernel;      /* path, usually /proc/self/fd/N */
    const char *initrd;      /* path */
    const char *kernel_args; /* the user's, appended; or NULL */
    const struct qemu_share *shares;
    size_t n_shares;
    const struct strv *extra_args;
    int qmp_fd;     /* inherited socket: QMP */
    int agent_fd;   /* inherited socket: the agent's port */
    int console_fd; /* inherited socket: the serial console */
};

/* Appends QEMU's whole argument vector, the program first. */
void qemu_argv(const struct qemu_config *config, struct strv *ret_argv);
/* The kernel's command line. Caller frees. */
char *qemu_kernel_command_line(const struct qemu_config *config);

#endif
