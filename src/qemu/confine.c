/* SPDX-License-Identifier: Apache-2.0 */
#include "qemu/confine.h"

#include <assert.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/file.h"
#include "base/log.h"

/*
 * The kernel's interface, here because linux/landlock.h of older systems lacks what newer kernels can do. The numbers
 * are the same on all architectures.
 */
#define NR_CREATE_RULESET 444
#define NR_ADD_RULE 445
#define NR_RESTRICT_SELF 446
#define CREATE_RULESET_VERSION 1u
#define RULE_PATH_BENEATH 1

/* Rights on files; in parentheses the ABI that brought them, if not the first. */
#define FS_EXECUTE (UINT64_C(1) << 0)
#define FS_WRITE_FILE (UINT64_C(1) << 1)
#define FS_READ_FILE (UINT64_C(1) << 2)
#define FS_READ_DIR (UINT64_C(1) << 3)
#define FS_REMOVE_AND_MAKE (UINT64_C(0x1ff) << 4)  /* REMOVE_DIR, REMOVE_FILE, and MAKE_ of each of the seven kinds */
#define FS_REFER (UINT64_C(1) << 13)               /* (2) link and rename from one directory to another */
#define FS_TRUNCATE (UINT64_C(1) << 14)            /* (3) */
#define FS_IOCTL_DEV (UINT64_C(1) << 15)           /* (5) */
#define NET_BIND_AND_CONNECT_TCP UINT64_C(3)       /* (4) */
#define SCOPE_ABSTRACT_UNIX_AND_SIGNAL UINT64_C(3) /* (6) */

/* The rights that a rule on something else than a directory may have. */
#define FS_OF_FILES (FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV)

#define READ_RIGHTS (FS_EXECUTE | FS_READ_FILE | FS_READ_DIR)
/*
 * A file may not be moved to where more would be allowed with it (EXDEV), so a share that is written to has every right
 * that a rule on a directory in it could have. None but devices' has FS_IOCTL_DEV.
 */
#define WRITE_RIGHTS (READ_RIGHTS | FS_WRITE_FILE | FS_REMOVE_AND_MAKE | FS_REFER | FS_TRUNCATE)
#define DEVICE_RIGHTS (FS_READ_FILE | FS_WRITE_FILE | FS_TRUNCATE | FS_IOCTL_DEV)

#define ABI_REFER 2
#define ABI_TRUNCATE 3
#define ABI_NET 4
#define ABI_IOCTL_DEV 5
#define ABI_SCOPE 6

struct ruleset_attr {
    uint64_t handled_access_fs;
    uint64_t handled_access_net;
    uint64_t scoped;
};

struct path_beneath_attr {
    uint64_t allowed_access;
    int32_t parent_fd;
} __attribute__((packed));

static_assert(sizeof(struct path_beneath_attr) == 12, "as the kernel has it");

/* 0 or negative: the kernel has no Landlock, it is switched off, or a filter of system calls hides it. */
static long landlock_abi(void) {
    return syscall(NR_CREATE_RULESET, NULL, 0, CREATE_RULESET_VERSION);
}

bool confine_available(void) {
    return landlock_abi() >= ABI_REFER;
}

static struct ruleset_attr all_that_is_handled(long abi) {
    struct ruleset_attr attr = {.handled_access_fs = WRITE_RIGHTS | FS_IOCTL_DEV};

    if (abi < ABI_TRUNCATE)
        attr.handled_access_fs &= ~FS_TRUNCATE;
    if (abi < ABI_IOCTL_DEV)
        attr.handled_access_fs &= ~FS_IOCTL_DEV;
    if (abi >= ABI_NET)
        attr.handled_access_net = NET_BIND_AND_CONNECT_TCP;
    if (abi >= ABI_SCOPE)
        attr.scoped = SCOPE_ABSTRACT_UNIX_AND_SIGNAL;
    return attr;
}

static uint64_t rights_of(enum confine_access access) {
    switch (access) {
    case CONFINE_READ:
        return READ_RIGHTS;
    case CONFINE_WRITE:
        return WRITE_RIGHTS;
    case CONFINE_DISK_READ:
        return FS_READ_FILE | FS_IOCTL_DEV;
    case CONFINE_DEVICE:
        return DEVICE_RIGHTS;
    }
    return 0;
}

/* 0, or a negative errno. */
static int add_rule(int ruleset, uint64_t handled, int fd, enum confine_access access) {
    struct path_beneath_attr rule = {.parent_fd = fd};
    struct stat status;

    if (fstat(fd, &status) < 0)
        return -errno;
    rule.allowed_access = rights_of(access) & handled;
    if (!S_ISDIR(status.st_mode))
        rule.allowed_access &= FS_OF_FILES;
    if (syscall(NR_ADD_RULE, ruleset, RULE_PATH_BENEATH, &rule, 0) == 0)
        return 0;
    /* Memory files and the like, which no rule is needed for. */
    return errno == EBADFD ? 0 : -errno;
}

static int take_rule(int ruleset, uint64_t handled, const struct confine_rule *rule, struct error **ret_error) {
    _cleanup_close_ int opened = -1;
    int r;

    if (rule->path) {
        opened = open(rule->path, O_PATH | O_CLOEXEC);
        if (opened < 0 && rule->optional)
            return 0;
        if (opened < 0)
            return error_errno(ret_error, errno, "%s", rule->path);
    }
    r = add_rule(ruleset, handled, rule->path ? opened : rule->fd, rule->access);
    if (r < 0)
        return error_errno(ret_error, r,
                           "QEMU cannot be given access to '%s' by Landlock; sandbox = false (--no-sandbox) does "
                           "without it",
                           rule->path ? rule->path : "an inherited file");
    return 0;
}

int confine_make(const struct confine_rules *rules, int *ret_fd, struct error **ret_error) {
    long abi = landlock_abi();
    struct ruleset_attr attr = all_that_is_handled(abi);
    _cleanup_close_ int ruleset = (int)syscall(NR_CREATE_RULESET, &attr, sizeof(attr), 0);

    if (ruleset < 0)
        return error_errno(ret_error, errno,
                           "no Landlock ruleset can be made for QEMU; sandbox = false (--no-sandbox) does without it");
    for (size_t i = 0; i < rules->count; i++) {
        int r = take_rule(ruleset, attr.handled_access_fs, &rules->items[i], ret_error);

        if (r < 0)
            return r;
    }
    log_debug("QEMU is confined by Landlock, ABI %ld, with %zu rules", abi, rules->count);
    *ret_fd = TAKE_FD(ruleset);
    return 0;
}

int confine_self(int ruleset_fd) {
    return syscall(NR_RESTRICT_SELF, ruleset_fd, 0) < 0 ? -errno : 0;
}
