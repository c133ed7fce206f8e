/* SPDX-License-Identifier: Apache-2.0 */
#include "prepare/scratch.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"

#define PREFIX "vmtest-run-"

static const char *parent_directory(void) {
    const char *directory = getenv("TMPDIR");

    return str_empty(directory) || directory[0] != '/' ? "/var/tmp" : directory;
}

/* Removes what lies in the directory, which holds files only, and the directory. */
static void remove_tree(int parent, const char *name, int directory) {
    _cleanup_closedir_ DIR *entries = fdopendir(fcntl(directory, F_DUPFD_CLOEXEC, 0));
    struct dirent *entry;

    while (entries && (entry = readdir(entries)) != NULL) {
        if (!str_equal(entry->d_name, ".") && !str_equal(entry->d_name, ".."))
            (void)unlinkat(directory, entry->d_name, 0);
    }
    (void)unlinkat(parent, name, AT_REMOVEDIR);
}

/* Opens and locks a directory of ours. -1 when it is in use, somebody else's, or gone. */
static int lock_directory(int parent, const char *name) {
    _cleanup_close_ int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat opened;
    struct stat named;

    if (fd < 0 || fstat(fd, &opened) < 0 || opened.st_uid != geteuid() || flock(fd, LOCK_EX | LOCK_NB) < 0)
        return -1;
    /* It may have been swept between the two. */
    if (fstatat(parent, name, &named, AT_SYMLINK_NOFOLLOW) < 0 || named.st_ino != opened.st_ino ||
        named.st_dev != opened.st_dev)
        return -1;
    return TAKE_FD(fd);
}

static void sweep(const char *path) {
    _cleanup_closedir_ DIR *entries = opendir(path);
    struct dirent *entry;

    while (entries && (entry = readdir(entries)) != NULL) {
        _cleanup_close_ int fd = -1;

        if (!str_skip_prefix(entry->d_name, PREFIX))
            continue;
        fd = lock_directory(dirfd(entries), entry->d_name);
        if (fd < 0)
            continue;
        log_debug("sweeping %s/%s", path, entry->d_name);
        remove_tree(dirfd(entries), entry->d_name, fd);
    }
}

void scratch_sweep(void) {
    sweep(parent_directory());
}

int scratch_make(struct scratch *ret_scratch, struct error **ret_error) {
    const char *parent = parent_directory();

    *ret_scratch = (struct scratch){.lock_fd = -1};
    sweep(parent);
    /* Another vmtest that sweeps may take a new directory away before it is locked. */
    for (unsigned tries = 0; tries < 16; tries++) {
        _cleanup_free_ char *path = xasprintf("%s/" PREFIX "XXXXXX", parent);

        if (!mkdtemp(path))
            return error_errno(ret_error, errno, "making a directory in %s (TMPDIR)", parent);
        ret_scratch->lock_fd = lock_directory(AT_FDCWD, path);
        if (ret_scratch->lock_fd >= 0) {
            ret_scratch->path = TAKE_PTR(path);
            return 0;
        }
        (void)rmdir(path);
    }
    return error_new(ret_error, EBUSY, "a directory in %s (TMPDIR) could not be locked", parent);
}

void scratch_remove(struct scratch *scratch) {
    if (scratch->path)
        remove_tree(AT_FDCWD, scratch->path, scratch->lock_fd);
    free(scratch->path);
    *scratch = (struct scratch){.lock_fd = fd_close(scratch->lock_fd)};
}
