/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mount points. In guest memory (an overlay root, a tmpfs) and in a share that the guest may write to, a missing
 * directory is simply made. In a root that is no overlay it would appear on the host, and a read-only file system does
 * not take it; so there the deepest directory that exists is covered by a tmpfs in which each of its entries is bound
 * (symbolic links are made anew), and the missing part is made in that.
 */
#include "agent/mount-points.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define TMPFS_MAGIC_NUMBER 0x01021994
#define OVERLAY_MAGIC_NUMBER 0x794c7630
#define MAX_COVERS 64
#define MAX_LINKS 40

static struct {
    char path[PATH_MAX];
    dev_t device;
} covers[MAX_COVERS];
static size_t n_covers;
static dev_t root_device; /* of a root that is no overlay */

static bool is_guest_memory(const struct statfs *system) {
    return system->f_type == TMPFS_MAGIC_NUMBER || system->f_type == OVERLAY_MAGIC_NUMBER;
}

static int copy_link(int old, const char *name, const char *target) {
    char text[PATH_MAX];
    ssize_t size = readlinkat(old, name, text, sizeof(text) - 1);

    if (size < 0)
        return -1;
    text[size] = '\0';
    return symlink(text, target);
}

/* Shows the entry `name` of the covered directory in the tmpfs over it. Mounts on it come along. */
static void show_entry(int old, const char *directory, const char *name) {
    char source[PATH_MAX];
    char target[PATH_MAX];
    struct stat status;
    int r;

    (void)snprintf(source, sizeof(source), "/proc/self/fd/%d/%s", old, name);
    (void)snprintf(target, sizeof(target), "%s/%s", strcmp(directory, "/") == 0 ? "" : directory, name);
    if (fstatat(old, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return;
    if (S_ISLNK(status.st_mode)) {
        r = copy_link(old, name, target);
    } else {
        r = S_ISDIR(status.st_mode) ? mkdir(target, 0755) : mknod(target, S_IFREG | 0644, 0);
        if (r >= 0)
            r = mount(source, target, NULL, MS_BIND | MS_REC, NULL);
    }
    if (r < 0)
        log_line("showing %s: %s", target, strerror(errno));
}

int mount_points_cover(const char *directory, const char *later, struct failure *failure) {
    _cleanup_close_ int old = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_closedir_ DIR *entries = NULL;
    struct stat status;
    char options[64];
    struct dirent *entry;

    if (old < 0 || fstat(old, &status) < 0)
        return failure_set(failure, "%s: %s", directory, strerror(errno));
    (void)snprintf(options, sizeof(options), "mode=%o,uid=%u,gid=%u", status.st_mode & 07777, status.st_uid,
                   status.st_gid);
    if (mount("skeleton", directory, "tmpfs", 0, options) < 0)
        return failure_set(failure, "mounting a tmpfs on %s: %s", directory, strerror(errno));
    entries = fdopendir(dup(old));
    while (entries && (entry = readdir(entries))) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            show_entry(old, directory, entry->d_name);
    }
    if (n_covers < MAX_COVERS && stat(directory, &status) == 0) {
        covers[n_covers].device = status.st_dev;
        (void)snprintf(covers[n_covers++].path, PATH_MAX, "%s", later);
    }
    return 0;
}

/*
 * True when a directory made in `path` would appear on the host unasked, or cannot be made. The user shares a writable
 * directory for the guest to make directories in.
 */
static bool must_cover(const char *path) {
    struct statfs system;
    struct stat status;

    if (statfs(path, &system) < 0 || stat(path, &status) < 0)
        return false; /* mkdir() will say why */
    if (system.f_flags & ST_RDONLY)
        return true;
    return !is_guest_memory(&system) && status.st_dev == root_device;
}

void mount_points_spare_root(const char *path) {
    struct stat status;

    if (stat(path, &status) == 0)
        root_device = status.st_dev;
}

static int make_missing(const char *parent, const char *path, struct failure *failure) {
    if (must_cover(parent) && mount_points_cover(parent, parent, failure) < 0)
        return -1;
    if (mkdir(path, 0755) < 0)
        return failure_set(failure, "making the mount point %s: %s", path, strerror(errno));
    return 0;
}

/* Puts the target of the symbolic link `link` in its place in `path`, of which it is the first `used` bytes. */
static int follow_link(char *path, size_t used, const char *parent, const char *link, struct failure *failure) {
    static char target[PATH_MAX], joined[2 * PATH_MAX];
    ssize_t size = readlink(link, target, sizeof(target) - 1);
    int length;

    if (size <= 0)
        return failure_set(failure, "the mount point %s: %s", path, strerror(errno));
    target[size] = '\0';
    if (target[0] == '/')
        parent = "";
    length = snprintf(joined, sizeof(joined), "%s/%s%s", parent, target, path + used);
    if (length < 0 || length >= PATH_MAX)
        return failure_set(failure, "the mount point %s: %s", path, strerror(ENAMETOOLONG));
    memcpy(path, joined, (size_t)length + 1);
    return 0;
}

/* Stores the path up to the component after its first `from` bytes, and returns the length of that. */
static size_t next_part(const char *path, size_t from, char *part) {
    size_t end = from + strspn(path + from, "/");

    end += strcspn(path + end, "/");
    memcpy(part, path, end);
    part[end] = '\0';
    return end;
}

int mount_point_make(const char *wanted, struct failure *failure) {
    static char path[PATH_MAX], part[PATH_MAX], parent[PATH_MAX];
    struct stat status;
    unsigned links = 0;

    if (stat(wanted, &status) == 0 && S_ISDIR(status.st_mode))
        return 0;
    if (strlen(wanted) >= sizeof(path))
        return failure_set(failure, "the mount point %s: %s", wanted, strerror(ENAMETOOLONG));
    (void)snprintf(path, sizeof(path), "%s", wanted);
    (void)snprintf(parent, sizeof(parent), "/");
    for (size_t used = 0; path[used + strspn(path + used, "/")];) {
        used = next_part(path, used, part);
        if (stat(part, &status) == 0) {
            if (!S_ISDIR(status.st_mode))
                return failure_set(failure, "the mount point %s: %s is not a directory in the guest", wanted, part);
        } else if (lstat(part, &status) == 0 && S_ISLNK(status.st_mode)) {
            /* It leads nowhere yet: the directory that it names is what has to be made. */
            if (++links > MAX_LINKS)
                return failure_set(failure, "the mount point %s: %s", wanted, strerror(ELOOP));
            if (follow_link(path, used, parent, part, failure) < 0)
                return -1;
            used = 0;
            (void)snprintf(part, sizeof(part), "/");
        } else if (make_missing(parent, part, failure) < 0) {
            return -1;
        }
        (void)snprintf(parent, sizeof(parent), "%s", part);
    }
    return 0;
}

void mount_points_make_readonly(void) {
    for (size_t i = 0; i < n_covers; i++) {
        struct stat status;

        /* A share mounted over it since then is not ours to change. */
        if (stat(covers[i].path, &status) < 0 || status.st_dev != covers[i].device)
            continue;
        if (mount(NULL, covers[i].path, NULL, MS_REMOUNT | MS_RDONLY | MS_BIND, NULL) < 0)
            log_line("making %s read-only: %s", covers[i].path, strerror(errno));
    }
}
