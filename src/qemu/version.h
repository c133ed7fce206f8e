/* SPDX-License-Identifier: Apache-2.0 */
/* Which QEMU a program is, asked before the machine is composed: not every one may be given every option. */
#ifndef VMTEST_QEMU_VERSION_H
#define VMTEST_QEMU_VERSION_H

#include <stdbool.h>

#include "base/error.h"

struct qemu_version {
    int major;
    int minor;
};

/* Takes it from what QEMU prints for --version: "QEMU emulator version 7.2.22 (...)". */
bool qemu_version_parse(const char *text, struct qemu_version *ret_version);

/*
 * Asks the program, and keeps the answer in the cache directory until the program is another. -EPROTO for one that does
 * not tell, -ETIMEDOUT for one that does not end; -ECANCELED as subprocess_run().
 */
int qemu_version_find(const char *program, int cancel_fd, struct qemu_version *ret_version, struct error **ret_error)
    _must_check_;

/*
 * Whether its emulator may give each CPU a thread of its own. Before 8.1 a CPU could go on running code that another
 * one had changed while it was being translated (fixed by QEMU's commit deba78709ae8): a guest that patches its kernel,
 * as every boot does for its static keys, then now and then took a breakpoint that was no longer there for ever.
 */
bool qemu_version_has_safe_threads(const struct qemu_version *version);

#endif
