/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of the table of architectures, a file for each. */
#ifndef VMTEST_ARCH_ROWS_H
#define VMTEST_ARCH_ROWS_H

#include "arch/arch.h"

extern const struct arch arch_x86_64;

#endif
