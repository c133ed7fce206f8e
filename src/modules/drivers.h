/* SPDX-License-Identifier: Apache-2.0 */
/* The drivers that a guest needs: the one table from which modules are loaded and missing ones are reported. */
#ifndef VMTEST_MODULES_DRIVERS_H
#define VMTEST_MODULES_DRIVERS_H

#include <stdbool.h>
#include <stddef.h>

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

extern const struct driver drivers[];
extern const size_t n_drivers;

/* Whether two module names are the same to the kernel. */
bool module_name_equal(const char *a, const char *b);

#endif
