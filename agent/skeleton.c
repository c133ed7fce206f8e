/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mount points. On an overlay root, and in the guest's own tmpfs, a missing directory is simply made. Elsewhere it
 * would appear on the host; so the deepest directory that exists is covered by a tmpfs in which each of its entries is
 * bound (symbolic links are made anew), and the missing part is made in that.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "agent.h"

#define TMPFS_MAGIC_NUMBER 0x01021994
#define OVERLAY_MAGIC_NUMBER 0x794c7630
#define MAX_SKELETONS 64

static char skeletons[MAX_SKELETONS][256];
static size_t n_skeletons;

/* Whether making a directory in `path` stays within the guest. */
static bool is_guest_memory(const char *path) {
    struct statfs status;

    return statfs(path, &status) == 0 && (status.f_type == TMPFS_MAGIC_NUMBER || status.f_type == OVERLAY_MAGIC_NUMBER);
}

static int copy_link(int old, const char *name, const char *target) {
    char text[PATH_SIZE];
    ssize_t size = readlinkat(old, name, text, sizeof(text) - 1);

    if (size < 0)
        return -1;
    text[size] = '\0';
    return symlink(text, target);
}

/* Shows the entry `name` of the covered directory in the tmpfs over it. Mounts on it come along. */
static void show_entry(int old, const char *directory, const char *name) {
    char source[PATH_SIZE];
    char target[PATH_SIZE];
    struct stat status;
    int r;

    (void)snprintf(source, sizeof(source), "/proc/self/fd/%d/%s", old, name);
    (void)snprintf(target, sizeof(target), "%s/%s", strcmp(directory, "/") == 0 ? "" : directory, name);
    if (fstatat(old, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return;
    if (S_ISLNK(status.st_mode)) {
        r = copy_link(old, name, target);
    } else {
        if (S_ISDIR(status.st_mode)) {
            r = mkdir(target, 0755);
        } else {
            int fd = open(target, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

            r = fd;
            if (fd >= 0)
                (void)close(fd);
        }
        if (r >= 0)
            r = mount(source, target, NULL, MS_BIND | MS_REC, NULL);
    }
    if (r < 0)
        log_line("showing %s: %s", target, strerror(errno));
}

int skeleton_cover(const char *directory, const char *later, struct failure *failure) {
    int old = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct stat status;
    char options[64];
    DIR *entries;
    struct dirent *entry;

    if (old < 0 || fstat(old, &status) < 0)
        return fail(failure, "%s: %s", directory, strerror(errno));
    (void)snprintf(options, sizeof(options), "mode=%o,uid=%u,gid=%u", status.st_mode & 07777, status.st_uid,
                   status.st_gid);
    if (mount("skeleton", directory, "tmpfs", 0, options) < 0)
        return fail(failure, "mounting a tmpfs on %s: %s", directory, strerror(errno));
    entries = fdopendir(dup(old));
    while (entries && (entry = readdir(entries))) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            show_entry(old, directory, entry->d_name);
    }
    if (entries)
        (void)closedir(entries);
    (void)close(old);
    if (n_skeletons < MAX_SKELETONS)
        (void)snprintf(skeletons[n_skeletons++], sizeof(skeletons[0]), "%s", later);
    return 0;
}

int skeleton_make(const char *path, bool root_is_overlay, struct failure *failure) {
    char partial[PATH_SIZE];
    char parent[PATH_SIZE] = "/";
    struct stat status;

    if (strlen(path) >= sizeof(partial))
        return fail(failure, "the mount point %s: %s", path, strerror(ENAMETOOLONG));
    (void)snprintf(partial, sizeof(partial), "%s", path);
    for (char *slash = partial + 1;; slash++) {
        char saved = *slash;

        if (saved != '/' && saved != '\0')
            continue;
        *slash = '\0';
        if (stat(partial, &status) < 0) {
            if (!root_is_overlay && !is_guest_memory(parent) && skeleton_cover(parent, parent, failure) < 0)
                return -1;
            if (mkdir(partial, 0755) < 0 && errno != EEXIST)
                return fail(failure, "making the mount point %s: %s", partial, strerror(errno));
        } else if (!S_ISDIR(status.st_mode)) {
            return fail(failure, "the mount point %s: %s is not a directory in the guest", path, partial);
        }
        (void)snprintf(parent, sizeof(parent), "%s", partial);
        *slash = saved;
        if (saved == '\0')
            return 0;
    }
}

void skeleton_make_readonly(void) {
    for (size_t i = 0; i < n_skeletons; i++) {
        if (mount(NULL, skeletons[i], NULL, MS_REMOUNT | MS_RDONLY | MS_BIND, NULL) < 0)
            log_line("making %s read-only: %s", skeletons[i], strerror(errno));
    }
}
