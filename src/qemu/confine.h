/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What of the host QEMU can reach: a list of files and directories, and the Landlock ruleset that the kernel makes of
 * it (Documentation/userspace-api/landlock.rst in Linux). A process under the ruleset opens nothing else, connects no
 * TCP socket, and signals nobody outside; what it has open already, it keeps.
 */
#ifndef VMTEST_QEMU_CONFINE_H
#define VMTEST_QEMU_CONFINE_H

#include "base/error.h"
#include "base/str.h"
#include "qemu/argv.h"

enum confine_access {
    CONFINE_READ,      /* read and execute */
    CONFINE_WRITE,     /* and write, make, rename, remove */
    CONFINE_DISK_READ, /* a disk image, or a device: read, ioctl */
    CONFINE_DEVICE,    /* and write */
};

struct confine_rule {
    char *path; /* a file, or a directory with all that lies below it; NULL: `fd` */
    int fd;     /* of a file that is opened anew by /proc/self/fd/N */
    enum confine_access access;
    bool optional; /* a path that may be missing */
};

/* Start with {0}. */
struct confine_rules {
    struct confine_rule *items;
    size_t count;
};

void confine_rules_deinit(struct confine_rules *rules);
#define _cleanup_confine_rules_ _cleanup_(confine_rules_deinit)

/* What the command line does not tell. */
struct confine_host {
    const char *program_resolved; /* QEMU's program without symbolic links */
    const char *home;             /* $HOME, or NULL */
    const char *library_path;     /* $LD_LIBRARY_PATH, or NULL */
    const struct strv *parts;     /* further files that the disk image consists of */
    const struct strv *backing;   /* its backing files, which are never written to */
    const struct strv *backing_parts;
    int kernel_fd; /* files that QEMU is given as /proc/self/fd/N; -1: none */
    int initrd_fd;
};

/* Appends what a QEMU with this command line needs. Pure. */
void confine_list(const struct qemu_config *config, const struct confine_host *host, struct confine_rules *ret_rules);

/* Whether this kernel can confine by files: Landlock's ABI is 2 or newer (the first one denies renaming). */
bool confine_available(void);

/*
 * Makes a ruleset, to be used with confine_self(). *ret_fd is the caller's. Errors name the path, and what to do.
 */
int confine_make(const struct confine_rules *rules, int *ret_fd, struct error **ret_error) _must_check_;

/* Puts the calling process under the ruleset for good. For a child between fork and exec; 0 or a negative errno. */
int confine_self(int ruleset_fd) _must_check_;

#endif
