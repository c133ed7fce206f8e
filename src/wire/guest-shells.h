/* SPDX-License-Identifier: Apache-2.0 */
/* The shells that the agent looks for, and of which the host checks that a root has one. */
#ifndef VMTEST_WIRE_GUEST_SHELLS_H
#define VMTEST_WIRE_GUEST_SHELLS_H

/* The paths of a shell in a root, in order of preference. */
static const char *const guest_shells[] = {
    "/bin/bash",     "/usr/bin/bash", "/usr/local/bin/bash", "/run/current-system/sw/bin/bash",
    "/bin/sh",       "/usr/bin/sh",   "/bin/busybox",        "/usr/bin/busybox",
    "/sbin/busybox", "/busybox",
};

#endif
