/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMTEST_AGENT_MOUNT_POINTS_H
#define VMTEST_AGENT_MOUNT_POINTS_H

#include "agent/log.h"

/* Makes the directory `path` to mount on. Missing parts never appear in a share: see mount-points.c. */
int mount_point_make(const char *path, struct failure *failure);
/* The root is no overlay: nothing is to be made in the file system at `path`. */
void mount_points_spare_root(const char *path);
/* Covers `directory`, which will be called `later` once the root has been entered, by a tmpfs that shows the same. */
int mount_points_cover(const char *directory, const char *later, struct failure *failure);
/* Makes the covers read-only, as the directories below them are. */
void mount_points_make_readonly(void);

#endif
