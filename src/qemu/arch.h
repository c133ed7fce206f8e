/* SPDX-License-Identifier: Apache-2.0 */
/* One row per architecture: everything that differs between them on QEMU's command line. */
#ifndef VMTEST_QEMU_ARCH_H
#define VMTEST_QEMU_ARCH_H

#include <stdbool.h>

struct arch {
    const char *name;            /* as in vmtest.toml and uname -m */
    const char *qemu;            /* QEMU's program */
    const char *machine;         /* value of -M */
    const char *cpu_tcg;         /* value of -cpu when emulated */
    const char *console;         /* kernel's name of the first serial port */
    const char *kernel_args;     /* what this architecture wants in addition */
    const char *kernel_args_tcg; /* and what only an emulated guest gets */
    const char *kernel_args_tsc; /* and only where the host's TSC is stable */
    const char *pvpanic;         /* device that reports a panic, or NULL */
};

/* The row of `name`, or NULL. */
const struct arch *arch_find(const char *name);
/* The architecture that this program was built for: the one whose guests it can run. */
const struct arch *arch_native(void);

#endif
