/* SPDX-License-Identifier: Apache-2.0 */
/* QEMU's command line. Pure: the same input gives the same arguments, and nothing is looked at on the host. */
#ifndef VMTEST_QEMU_ARGV_H
#define VMTEST_QEMU_ARGV_H

#include "arch/arch.h"
#include "base/str.h"
#include "qemu/accel.h"
#include "qemu/firmware.h"
#include "share/transport.h"

/* The disk of an image target. */
struct qemu_disk {
    const char *path;   /* absolute */
    const char *format; /* QEMU's name of its format */
    bool device;        /* it is a block device of the host */
    int overlay_fd;     /* inherited: a qcow2 file that takes what the guest writes; -1: the image itself does */
};

/* The guest's memory as a file: a template is made of it, or the guest comes out of one. */
struct qemu_snapshot {
    int memory_fd; /* inherited file of the guest's memory size */
    int disk_fd;   /* inherited qcow2 file between the image and its overlay, read-only; -1: none */
    bool share;    /* what the guest writes goes to the file; else it stays in QEMU (copy on write) */
    bool readonly; /* the file is opened read-only; QEMU 8.2 or newer, without `share` */
    bool incoming; /* the guest's state comes over QMP (migrate-incoming); nothing runs before that */
};

struct qemu_config {
    const struct arch *arch;
    enum accel accel;
    const char *program; /* QEMU's path */
    const char *cpu;     /* value of -cpu */
    bool stable_clock;   /* the host has the architecture's `stable_clock` */
    unsigned num_cpus;
    bool single_threaded_tcg;             /* emulates them in turn (qemu/version.h); not with KVM */
    uint64_t memory;                      /* bytes */
    const struct qemu_snapshot *snapshot; /* NULL: memory of QEMU's own */
    const char *kernel;      /* path, usually /proc/self/fd/N; NULL for an image target, with the two that follow */
    const char *initrd;      /* path */
    const char *kernel_args; /* the user's, appended; or NULL */
    const struct qemu_disk *disk;            /* NULL for a kernel target, with the two that follow */
    const struct firmware *firmware;         /* UEFI; NULL: the machine's BIOS */
    int vars_fd;                             /* inherited: this run's copy of what the firmware may write to */
    const struct share_transport *transport; /* of the shares; NULL: there are none */
    const struct share *shares;
    size_t n_shares;
    const struct strv *extra_args;
    bool sandbox;    /* QEMU's own filter for system calls */
    bool vmcoreinfo; /* the guest's kernel can tell what a dump's reader needs */
    /*
     * Nobody is at the other ends of the channels: the line is for a person, with the console on standard output. The
     * image, if any, is not written to.
     */
    bool standalone;
    int qmp_fd;     /* inherited socket: QMP */
    int agent_fd;   /* inherited socket: the agent's port */
    int console_fd; /* inherited socket: the serial console */
    int qga_fd;     /* inherited socket: the guest agent's port; only with a disk */
};

/* Appends QEMU's whole argument vector, the program first. */
void qemu_argv(const struct qemu_config *config, struct strv *ret_argv);
/* The kernel's command line. Caller frees. */
char *qemu_kernel_command_line(const struct qemu_config *config);

#endif
