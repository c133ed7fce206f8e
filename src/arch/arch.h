/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Architectures: everything that differs between them is in a row, each in a file of its own (x86_64.c). A new
 * architecture is a file with a row, named in arch.c; a kernel format that is new as well goes to src/kernel.
 */
#ifndef VMTEST_ARCH_ARCH_H
#define VMTEST_ARCH_ARCH_H

#include <stdbool.h>

/* The kinds of kernel files (src/kernel/kernel.c), a bit for each in struct arch. */
enum kernel_format {
    KERNEL_BZIMAGE, /* x86 boot protocol: a setup part and a compressed payload */
    KERNEL_VMLINUX, /* the bare ELF */
    N_KERNEL_FORMATS,
};

/* UEFI firmware that needs neither SMM nor signatures, where a distribution puts it. */
struct arch_firmware {
    const char *code;
    const char *vars; /* NULL: code and variables in one */
};

struct arch {
    const char *name; /* as in vmtest.toml and uname -m */
    bool is_host;     /* this program was built for it */

    /* QEMU */
    const char *qemu;          /* program */
    const char *qemu_packages; /* what to install for it, as a message says it */
    const char *machine;       /* value of -machine */
    const char
        *machine_versioned; /* one of the names that it is an alias of; firmware descriptors have patterns for them */
    const char *cpu_tcg;    /* value of -cpu when emulated */
    const char *device_suffix;            /* virtio devices: "virtio-rng" and this */
    const char *pvpanic;                  /* device that reports a panic, or NULL */
    unsigned max_shares;                  /* for how many directories of the user's the bus has room */
    const struct arch_firmware *firmware; /* the preferred one first; ends with a `code` of NULL */

    /* kernel */
    unsigned kernel_formats;       /* bits of enum kernel_format */
    unsigned elf_machine;          /* EM_... of its vmlinux */
    bool vmlinux_needs_pvh;        /* QEMU boots a vmlinux by its PVH entry alone */
    const char *console;           /* name of the first serial port */
    const char *kernel_args;       /* always */
    const char *kernel_args_tcg;   /* and when emulated */
    const char *kernel_args_clock; /* and where the host's clock source `stable_clock` is available */
    const char *stable_clock;

    /*
     * Puts a loop of `iterations` and a halt into `memory`, which a virtual CPU of KVM's sees at `address`, and the CPU
     * in front of it. 0 or a negative errno. NULL where this program was built for another architecture.
     */
    int (*kvm_load_loop)(int cpu, void *memory, unsigned long address, unsigned iterations);
};

/* The row of `name`, or NULL. */
const struct arch *arch_find(const char *name);
/* The architecture that this program was built for, whose guests it can run; NULL where it has no row. */
const struct arch *arch_host(void);
/* Its name, with a row or without. */
const char *arch_host_name(void);
/* The names of all rows, ", " between them. */
const char *arch_names(void);

#endif
