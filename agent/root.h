/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMTEST_AGENT_ROOT_H
#define VMTEST_AGENT_ROOT_H

#include "agent/mount-shares.h"

/* Mounts the root share, and returns a descriptor of it. */
int root_mount_share(const struct mount_entry *share, enum wire_root mode, struct failure *failure);
/* Makes the new root of it: an overlay, or a root that has a mount point for each of the other entries. */
int root_complete(const struct mount_entry *entries, size_t count, enum wire_root mode, struct failure *failure);
/* Enters the new root, and takes the pseudo file systems along. */
int root_enter(struct failure *failure);

#endif
