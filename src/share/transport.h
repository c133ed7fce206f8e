/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Share transports: the ways in which a guest sees directories of the host. Everything in which one differs from
 * another is in its row, a file of its own. To add one: its file, its line in SHARE_TRANSPORTS.
 */
#ifndef VMTEST_SHARE_TRANSPORT_H
#define VMTEST_SHARE_TRANSPORT_H

#include "base/error.h"
#include "base/str.h"
#include "kernel/driver.h"

/* The guest path of the shared directory. */
#define SHARE_PATH "/mnt/vmtest"

/* The transports: identifier, name and row of each. The name is a value of the key `share`. */
#define SHARE_TRANSPORTS(ROW) ROW(SHARE_9P, "9p", share_9p)

/* The key `share`. */
#define SHARE_CHOICE(identifier, name, row) identifier,
enum share_choice { SHARE_TRANSPORTS(SHARE_CHOICE) SHARE_NONE };
#define SHARE_VALUE(identifier, name, row) name "|"
#define SHARE_VALUES SHARE_TRANSPORTS(SHARE_VALUE) "none"

/* A directory of the host that the guest can mount by its tag. */
struct share {
    const char *tag;
    const char *path; /* absolute */
    bool writable;
};

struct share_daemon;

struct share_transport {
    const char *name;
    const struct driver *drivers; /* that the guest needs; the last one is empty */
    const char *kernel_lacks;     /* of a kernel without them: it ... */
    const char *kernel_advice;    /* and what to do about that: ..., or ... */
    const char *device;           /* QEMU's, which the host's must have, without the architecture's suffix */
    /* Appends QEMU's arguments for a share; in `path`, the share's, commas are doubled. */
    void (*qemu_arguments)(const struct share *share, const char *path, const char *device_suffix,
                           struct strv *ret_argv);
    const char *mount_type;
    const char *mount_options;           /* for a file system that others may change or the guest writes to */
    const char *mount_options_unchanged; /* for one that is only read */

    /* A daemon per share that QEMU connects to; NULL, all of them: QEMU itself serves the share. */
    int (*start)(const struct share *share, struct share_daemon **ret_daemon, struct error **ret_error);
    int (*watch)(const struct share_daemon *daemon); /* gives a descriptor that becomes readable when it has ended */
    void (*stop)(struct share_daemon *daemon);
};

#define SHARE_DECLARE(identifier, name, row) extern const struct share_transport row;
SHARE_TRANSPORTS(SHARE_DECLARE)

/* The transport of a choice; NULL: nothing is shared. */
const struct share_transport *share_transport(enum share_choice choice);
/* Appends the names of the drivers that a guest's modprobe loads; none for NULL. */
void share_driver_names(const struct share_transport *transport, struct strv *ret_names);

#endif
