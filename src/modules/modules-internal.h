/* SPDX-License-Identifier: Apache-2.0 */
/* What the files about modules share among themselves. */
#ifndef VMTEST_MODULES_MODULES_INTERNAL_H
#define VMTEST_MODULES_MODULES_INTERNAL_H

#include "modules/drivers.h"
#include "modules/modules.h"

/* The directory of the kernel file, symbolic links resolved. Caller frees. */
char *modules_kernel_directory(const struct kernel *kernel);

/* The top of the build tree that the kernel would lie in. Caller frees. */
char *modules_kernel_tree(const struct kernel *kernel);

/* How a kernel has a driver, where no index of modules says so. */
enum driver_state { DRIVER_ABSENT, DRIVER_BUILT_IN, DRIVER_MODULE };

/*
 * What tells which drivers a kernel has: its configuration beside it or within it, else its code. Read when first
 * asked, as it may cost unpacking the kernel. Start with the first four members set.
 */
struct built_in {
    const struct kernel *kernel;
    const char *modules_directory; /* or NULL */

    bool looked;
    struct buffer config;   /* the configuration's text; empty: none found */
    struct buffer unpacked; /* the vmlinux, when it was unpacked here */
    const char *code;       /* the vmlinux, in which markers are looked for; NULL: a configuration tells */
    size_t code_size;
};

int built_in_ask(struct built_in *built_in, const struct driver *driver, enum driver_state *ret,
                 struct error **ret_error) __attribute__((warn_unused_result));
void built_in_deinit(struct built_in *built_in);

#endif
