/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The drivers that every guest needs: the table from which modules are loaded and missing ones are reported. Those of
 * the share transport (share/transport.h) come in addition.
 */
#ifndef VMTEST_MODULES_DRIVERS_H
#define VMTEST_MODULES_DRIVERS_H

#include <stdbool.h>
#include <stddef.h>

#include "kernel/driver.h"

extern const struct driver drivers[];
extern const size_t n_drivers;

/* Whether a guest may load the module: it is a driver of the table, or of one of the share transports. */
bool driver_is_known(const char *module);

/* Whether two module names are the same to the kernel. */
bool module_name_equal(const char *a, const char *b);

#endif
