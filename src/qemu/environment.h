/* SPDX-License-Identifier: Apache-2.0 */
/* The environment of QEMU's process: what a program needs to run, not what the guest's command is passed. */
#ifndef VMTEST_QEMU_ENVIRONMENT_H
#define VMTEST_QEMU_ENVIRONMENT_H

#include "base/str.h"

/* Appends the entries "NAME=VALUE" of `environment` (NULL-terminated) that QEMU gets. */
void qemu_environment(char *const *environment, struct strv *ret_environment);

#endif
