/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The root of a kernel target. The root share is mounted on /lower; as an overlay's lower layer, or as it is, it
 * becomes /newroot, is moved over / and entered. The pseudo file systems that were mounted before are moved into it:
 * first those for which it has a directory; the others once it has been entered, when every path is the guest's own and
 * symbolic links lead where they should, through a descriptor of the old root.
 */
#include "agent/root.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "agent/mount-points.h"

/* Moved into the new root, with everything mounted below them. */
static const char *const moved[] = {"/proc", "/sys", "/dev", "/run", "/tmp"};

static int mount_overlay(struct failure *failure) {
    if (mount_directory_make("/overlay/upper", failure) < 0 || mount_directory_make("/overlay/work", failure) < 0)
        return -1;
    /* Without redirect_dir, renaming a directory of the lower layer fails with EXDEV. */
    for (unsigned tries = 0; tries < 3; tries++) {
        if (mount("overlay", "/newroot", "overlay", 0,
                  "lowerdir=/lower,upperdir=/overlay/upper,workdir=/overlay/work,redirect_dir=on") == 0)
            return 0;
        /*
         * /lower is there: its file system has just been mounted. Once in thousands of boots (6.1, QEMU 7.2) its first
         * statfs, with the other thread at work in the same share, has failed so all the same.
         */
        if (errno != ENOENT)
            break;
    }
    if (errno == ENODEV)
        return failure_set(failure, "the guest's kernel has no overlay file system (CONFIG_OVERLAY_FS); "
                                    "set rootfs_mode to \"ro\" or \"rw\"");
    return failure_set(failure, "mounting the root's overlay: %s", strerror(errno));
}

/* Moves those that are wanted in a directory of the root's own; the bits of what was moved. */
static unsigned move_to_directories(void) {
    unsigned done = 0;

    for (size_t i = 0; i < ARRAY_SIZE(moved); i++) {
        char target[64];
        struct stat status;

        (void)snprintf(target, sizeof(target), "/newroot%s", moved[i]);
        if (lstat(target, &status) == 0 && S_ISDIR(status.st_mode) && mount(moved[i], target, NULL, MS_MOVE, NULL) == 0)
            done |= 1u << i;
    }
    return done;
}

/* Moves the others. */
static int move_rest(int old_root, unsigned done, struct failure *failure) {
    for (size_t i = 0; i < ARRAY_SIZE(moved); i++) {
        char source[64];

        if (done & 1u << i)
            continue;
        if (mount_point_make(moved[i], failure) < 0)
            return -1;
        /* /proc itself is needed to name the others; it comes first, by way of a second mount. */
        if (i == 0) {
            if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
                return failure_set(failure, "mounting /proc: %s", strerror(errno));
            continue;
        }
        (void)snprintf(source, sizeof(source), "/proc/self/fd/%d%s", old_root, moved[i]);
        if (mount(source, moved[i], NULL, MS_MOVE, NULL) < 0)
            return failure_set(failure, "moving %s to the new root: %s", moved[i], strerror(errno));
    }
    return 0;
}

/* True when the root has the first component of `path`, or as a symbolic link its target. */
static bool root_has(const char *path) {
    static char top[PATH_MAX + 16], target[PATH_MAX];
    struct stat status;

    for (unsigned links = 0; links < 8; links++) {
        ssize_t size;

        path += strspn(path, "/");
        (void)snprintf(top, sizeof(top), "/newroot/%.*s", (int)strcspn(path, "/"), path);
        if (lstat(top, &status) < 0)
            return false;
        size = S_ISLNK(status.st_mode) ? readlink(top, target, sizeof(target) - 1) : 0;
        if (size <= 0)
            return true;
        target[size] = '\0';
        path = target;
    }
    return true;
}

int root_mount_share(const struct mount_entry *share, enum wire_root mode, struct failure *failure) {
    const char *path = mode == WIRE_ROOT_OVERLAY ? "/lower" : "/newroot";
    int fd;

    if (mount_directory_make(path, failure) < 0 || mount_directory_make("/newroot", failure) < 0 ||
        share_mount(share, share->source, path, failure) < 0)
        return -1;
    fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? failure_set(failure, "opening the new root: %s", strerror(errno)) : fd;
}

int root_complete(const struct mount_entry *entries, size_t count, enum wire_root mode, struct failure *failure) {
    bool complete = true;

    if (mode == WIRE_ROOT_OVERLAY)
        return mount_overlay(failure);
    mount_points_spare_root("/newroot");
    for (size_t i = 0; i < ARRAY_SIZE(moved); i++)
        complete = complete && root_has(moved[i]);
    for (size_t i = 1; i < count; i++)
        complete = complete && root_has(entries[i].path);
    /* A cover is made before this becomes the root: what is mounted over / later would not be seen. */
    return complete ? 0 : mount_points_cover("/newroot", "/", failure);
}

int root_enter(struct failure *failure) {
    unsigned done = move_to_directories();
    _cleanup_close_ int old_root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (old_root < 0 || chdir("/newroot") < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 ||
        chdir("/") < 0)
        return failure_set(failure, "entering the new root: %s", strerror(errno));
    return move_rest(old_root, done, failure);
}
