/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is remembered of an image that runs write to: its format, since the guest could write the head of another format
 * into a raw image and have QEMU read any file of the host as its backing file the next time; and the lock that keeps
 * two runs from writing at once. One small file per image in $XDG_STATE_HOME/vmtest/persist (~/.local/state).
 */
#ifndef VMTEST_PREPARE_PERSIST_H
#define VMTEST_PREPARE_PERSIST_H

#include "base/error.h"
#include "config/target.h"

/*
 * Locks the image of a persistent target, and records its format or compares it. `format` is the image's now. *ret_fd
 * holds the lock until it is closed. -EBUSY when another run writes to it, -EINVAL when the format has changed.
 */
int persist_claim(const struct target *target, const char *format, int *ret_fd, struct error **ret_error) _must_check_;

#endif
