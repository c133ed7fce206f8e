/* SPDX-License-Identifier: Apache-2.0 */
/* What the files that read kernels share among themselves. */
#ifndef VMTEST_KERNEL_KERNEL_INTERNAL_H
#define VMTEST_KERNEL_KERNEL_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "kernel/kernel.h"

/* kernel_open() without the file: fills in what the bytes of kernel->map say. `path` is there for messages. */
int kernel_read(struct kernel *kernel, struct error **ret_error) _must_check_;

/* Fills *ret_error with what the bytes of `path` look like, given that they are no kernel of this build's. */
int kernel_refuse(const char *path, const void *data, size_t size, struct error **ret_error) _must_check_;

/* Finds "Linux version X " in the loaded part of an ELF file and gives X, or NULL. Caller frees. */
char *kernel_find_elf_banner(const void *data, size_t size);

#endif
