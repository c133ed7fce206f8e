/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMTEST_AGENT_MOUNT_SHARES_H
#define VMTEST_AGENT_MOUNT_SHARES_H

#include <limits.h>

#include "agent/log.h"
#include "wire/frame.h"

#define MAX_MOUNTS 64

/* A mount of a SETUP frame. */
struct mount_entry {
    uint32_t kind;  /* enum wire_mount */
    uint32_t flags; /* WIRE_MOUNT_* */
    char type[32];
    char options[256];
    char source[64];
    char second[64];
    char path[PATH_MAX];
};

/* Makes a directory to mount on in the initramfs. */
int mount_directory_make(const char *path, struct failure *failure);
/* Mounts the share `tag`, of the entry's type and options, on `path`. */
int share_mount(const struct mount_entry *entry, const char *tag, const char *path, struct failure *failure);
/* Mounts the modules where the guest does not see it, so that mounts_add() has only to move them. */
void mounts_stage_modules(const struct mount_entry *entry);
/* Mounts one entry of SETUP below the root. */
int mounts_add(const struct mount_entry *entry, struct failure *failure);

#endif
