/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shares of a run and the kernel's modules. File system type and options are the host's choice: over which
 * transport a share comes is of no concern here.
 */
#include "agent/mount-shares.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "agent/mount-points.h"

int mount_directory_make(const char *path, struct failure *failure) {
    if (mkdir(path, 0755) < 0 && errno != EEXIST)
        return failure_set(failure, "making the directory %s: %s", path, strerror(errno));
    return 0;
}

int share_mount(const struct mount_entry *entry, const char *tag, const char *path, struct failure *failure) {
    unsigned long flags = entry->flags & WIRE_MOUNT_WRITABLE ? 0 : MS_RDONLY;

    if (mount(tag, path, entry->type, flags, entry->options) == 0)
        return 0;
    if (errno == ENODEV)
        return failure_set(failure, "the guest's kernel has no %s file system, which shares need", entry->type);
    return failure_set(failure, "mounting the share '%s' on %s: %s", tag, path, strerror(errno));
}

/* The modules are staged in the old root, which nobody sees any more once the new one is entered. */
#define STAGE "/overlay/"
static int staged_modules = -1; /* a descriptor of what is staged */

static int stage_modules(const struct mount_entry *entry, struct failure *failure) {
    static const char *const places[] = {STAGE "modules", STAGE "index", STAGE "both"};
    size_t n_places = entry->second[0] ? ARRAY_SIZE(places) : 1;
    const char *staged = places[0];

    for (size_t i = 0; i < n_places; i++) {
        if (mount_directory_make(places[i], failure) < 0)
            return -1;
    }
    if (share_mount(entry, entry->source, places[0], failure) < 0)
        return -1;
    if (n_places > 1 && share_mount(entry, entry->second, places[1], failure) < 0)
        log_line("%s", failure->text);
    else if (n_places > 1) {
        /* The modules of a package that was merely unpacked get the index that the host has built laid over them. */
        if (mount("overlay", places[2], "overlay", MS_RDONLY, "lowerdir=" STAGE "index:" STAGE "modules") == 0)
            staged = places[2];
        else
            log_line("the index of the modules could not be laid over %s: modprobe will not find them", entry->path);
    }
    staged_modules = open(staged, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return staged_modules < 0 ? failure_set(failure, "opening %s: %s", staged, strerror(errno)) : 0;
}

void mounts_stage_modules(const struct mount_entry *entry) {
    struct failure failure;

    if (stage_modules(entry, &failure) < 0)
        log_line("%s", failure.text);
}

static int move_modules(const struct mount_entry *entry, struct failure *failure) {
    _cleanup_close_ int staged = TAKE_FD(staged_modules);
    char source[64];

    (void)snprintf(source, sizeof(source), "/proc/self/fd/%d", staged);
    if (staged >= 0 && mount(source, entry->path, NULL, MS_MOVE, NULL) < 0)
        return failure_set(failure, "mounting the modules on %s: %s", entry->path, strerror(errno));
    return 0;
}

int mounts_add(const struct mount_entry *entry, struct failure *failure) {
    int r = mount_point_make(entry->path, failure);

    switch (entry->kind) {
    case WIRE_MOUNT_SHARE:
        return r < 0 ? r : share_mount(entry, entry->source, entry->path, failure);
    case WIRE_MOUNT_BIND:
        if (r == 0 && mount(entry->source, entry->path, NULL, MS_BIND, NULL) < 0)
            return failure_set(failure, "mounting %s on %s: %s", entry->source, entry->path, strerror(errno));
        return r;
    case WIRE_MOUNT_MODULES:
        /* A guest without its modules can still run the command. */
        if (r < 0 || move_modules(entry, failure) < 0)
            log_line("%s", failure->text);
        return 0;
    default:
        return failure_set(failure, "a mount of unknown kind %u", entry->kind);
    }
}
