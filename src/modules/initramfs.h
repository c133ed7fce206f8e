/* SPDX-License-Identifier: Apache-2.0 */
/* The initramfs, composed in memory. */
#ifndef VMTEST_MODULES_INITRAMFS_H
#define VMTEST_MODULES_INITRAMFS_H

#include <stddef.h>

#include "base/error.h"
#include "modules/modules.h"

/*
 * A newc archive in a memfd, positioned at 0: the agent as /init, the modules decompressed as /modules/NNN-NAME.ko,
 * /modules/load with their absolute paths in load order, one a line, the directories a boot needs and /dev/console.
 * The same input gives the same bytes. *ret_memfd is the caller's, close-on-exec.
 */
int initramfs_build(const void *agent, size_t agent_size, const struct module_file *modules, size_t count,
                    int *ret_memfd, struct error **ret_error) _must_check_;

#endif
