/* SPDX-License-Identifier: Apache-2.0 */
/* A driver of the guest's kernel: its names, and by which one can tell that a kernel has it. */
#ifndef VMTEST_KERNEL_DRIVER_H
#define VMTEST_KERNEL_DRIVER_H

enum driver_need {
    DRIVER_ALWAYS,   /* no run without it */
    DRIVER_OVERLAY,  /* needed where the guest's root or its modules are layered */
    DRIVER_OPTIONAL, /* loaded where the kernel has it */
};

#define DRIVER_MARKERS 3

struct driver {
    const char *module;   /* the module's name; '-' and '_' are the same */
    const char *symbol;   /* the CONFIG_ symbol that switches it on */
    const char *requires; /* the symbol that hides that one while it is off; NULL: none worth a word */
    enum driver_need need;
    /*
     * Strings of which one is in the vmlinux when the driver is built in and in none where it is a module or absent.
     * The last resort: for a kernel with neither a modules directory nor a configuration.
     */
    const char *markers[DRIVER_MARKERS];
};

#endif
