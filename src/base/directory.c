/* SPDX-License-Identifier: Apache-2.0 */
#include "base/directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"

/* Another process that sweeps may take a new directory away before it is locked. */
#define TRIES 16

static int open_directory(int parent_fd, const char *name) {
    return openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

void directory_empty(int directory_fd, const char *except) {
    /* A descriptor of its own, so that the stream starts at the first entry and the caller keeps theirs. */
    int fd = open_directory(directory_fd, ".");
    _cleanup_closedir_ DIR *entries = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;

    if (!entries)
        (void)fd_close(fd);
    while (entries && (entry = readdir(entries)) != NULL) {
        if (!str_equal(entry->d_name, ".") && !str_equal(entry->d_name, "..") && !str_equal(entry->d_name, except))
            (void)directory_remove(directory_fd, entry->d_name);
    }
}

int directory_remove(int parent_fd, const char *name) {
    _cleanup_close_ int fd = open_directory(parent_fd, name);

    if (fd >= 0)
        directory_empty(fd, NULL);
    return unlinkat(parent_fd, name, fd >= 0 ? AT_REMOVEDIR : 0) < 0 ? -errno : 0;
}

/* Opens and locks one of our directories. A negative errno when it is in use, somebody else's, or gone. */
static int lock_directory(int parent_fd, const char *name) {
    _cleanup_close_ int fd = open_directory(parent_fd, name);
    struct stat opened;
    struct stat named;

    if (fd < 0 || fstat(fd, &opened) < 0)
        return -errno;
    if (opened.st_uid != geteuid())
        return -EPERM;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return -errno;
    /* It may have been swept between the two. */
    if (fstatat(parent_fd, name, &named, AT_SYMLINK_NOFOLLOW) < 0 || named.st_ino != opened.st_ino ||
        named.st_dev != opened.st_dev)
        return -ENOENT;
    return TAKE_FD(fd);
}

int directory_make_locked(const char *parent, const char *prefix, char **ret_path, int *ret_lock_fd,
                          struct error **ret_error) {
    for (unsigned i = 0; i < TRIES; i++) {
        _cleanup_free_ char *path = xasprintf("%s/%sXXXXXX", parent, prefix);

        if (!mkdtemp(path))
            return error_errno(ret_error, errno, "cannot make a directory in %s", parent);
        int fd = lock_directory(AT_FDCWD, path);
        if (fd >= 0 || fd == -ENOLCK || fd == -EOPNOTSUPP) {
            *ret_lock_fd = fd < 0 ? -1 : fd;
            *ret_path = TAKE_PTR(path);
            return 0;
        }
        (void)rmdir(path);
    }
    return error_new(ret_error, EBUSY, "cannot lock a directory in %s", parent);
}

void directory_sweep(const char *parent, const char *prefix) {
    _cleanup_closedir_ DIR *entries = opendir(parent);
    const struct dirent *entry;

    while (entries && (entry = readdir(entries)) != NULL) {
        if (!str_skip_prefix(entry->d_name, prefix))
            continue;
        _cleanup_close_ int fd = lock_directory(dirfd(entries), entry->d_name);
        if (fd < 0)
            continue;
        log_debug("sweeping %s/%s", parent, entry->d_name);
        (void)directory_remove(dirfd(entries), entry->d_name);
    }
}
