/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The root and the shares of a run. The root share is mounted on /lower; as an overlay's lower layer, or as it is, it
 * becomes /newroot, is moved over / and entered. The pseudo file systems that were mounted before are moved into it:
 * first those for which it has a directory; the others once it has been entered, when every path is the guest's own
 * and symbolic links lead where they should, through a descriptor of the old root.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent.h"

#define P9_OPTIONS "trans=virtio,version=9p2000.L,msize=512000,access=client"

static int old_root = -1; /* a descriptor of it, once the new one is entered */

/* Moved into the new root, with everything mounted below them. */
static const char *const moved[] = {"/proc", "/sys", "/dev", "/run", "/tmp"};

/*
 * cache=mmap for what others may change or the guest writes to: without it MAP_SHARED fails, and SQLite with it. The
 * root underneath and the modules are only read: cache=loose.
 */
static int mount_9p(const char *tag, const char *path, bool writable, bool loose, struct failure *failure) {
    char options[256];

    (void)snprintf(options, sizeof(options), "%s,cache=%s", P9_OPTIONS, loose ? "loose" : "mmap");
    if (mount(tag, path, "9p", writable ? 0 : MS_RDONLY, options) == 0)
        return 0;
    if (errno == ENODEV)
        return fail(failure, "the guest's kernel has no 9p file system (CONFIG_9P_FS)%s",
                    role == ROLE_PROCESS ? ", which shares need; to run without them, set share = \"none\"" : "");
    return fail(failure, "mounting the share '%s' on %s: %s", tag, path, strerror(errno));
}

static int make_directory(const char *path, struct failure *failure) {
    if (mkdir(path, 0755) < 0 && errno != EEXIST)
        return fail(failure, "making the directory %s: %s", path, strerror(errno));
    return 0;
}

static int mount_overlay_root(struct failure *failure) {
    if (make_directory("/overlay/upper", failure) < 0 || make_directory("/overlay/work", failure) < 0)
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
        return fail(failure, "the guest's kernel has no overlay file system (CONFIG_OVERLAY_FS); "
                             "set rootfs_mode to \"ro\" or \"rw\"");
    return fail(failure, "mounting the root's overlay: %s", strerror(errno));
}

/* Moves those that are wanted in a directory of the root's own; the bits of what was moved. */
static unsigned move_to_directories(void) {
    unsigned done = 0;

    for (size_t i = 0; i < COUNT(moved); i++) {
        char target[64];
        struct stat status;

        (void)snprintf(target, sizeof(target), "/newroot%s", moved[i]);
        if (lstat(target, &status) == 0 && S_ISDIR(status.st_mode) && mount(moved[i], target, NULL, MS_MOVE, NULL) == 0)
            done |= 1u << i;
    }
    return done;
}

/* Moves the others. */
static int move_rest(unsigned done, struct failure *failure) {
    for (size_t i = 0; i < COUNT(moved); i++) {
        char source[64];

        if (done & 1u << i)
            continue;
        if (skeleton_make(moved[i], failure) < 0)
            return -1;
        /* /proc itself is needed to name the others; it comes first, by way of a second mount. */
        if (i == 0) {
            if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
                return fail(failure, "mounting /proc: %s", strerror(errno));
            continue;
        }
        (void)snprintf(source, sizeof(source), "/proc/self/fd/%d%s", old_root, moved[i]);
        if (mount(source, moved[i], NULL, MS_MOVE, NULL) < 0)
            return fail(failure, "moving %s to the new root: %s", moved[i], strerror(errno));
    }
    return 0;
}

/* Whether the root has what the first component of `path` names, or what that leads to as a symbolic link. */
static bool root_has(const char *path) {
    static char top[PATH_SIZE + 16], target[PATH_SIZE];
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

/*
 * A root that is no overlay and lacks a mount point at its top is covered before it becomes the root: what is mounted
 * over / later would not be seen.
 */
static int complete_root(const struct mount_entry *entries, size_t count, struct failure *failure) {
    bool complete = true;

    for (size_t i = 0; i < COUNT(moved); i++)
        complete = complete && root_has(moved[i]);
    for (size_t i = 1; i < count; i++)
        complete = complete && root_has(entries[i].path);
    return complete ? 0 : skeleton_cover("/newroot", "/", failure);
}

int mounts_enter_root(const struct mount_entry *entries, size_t count, enum wire_root root, struct failure *failure) {
    bool overlay = root == WIRE_ROOT_OVERLAY;
    unsigned done;

    if (make_directory(overlay ? "/lower" : "/newroot", failure) < 0 || make_directory("/newroot", failure) < 0)
        return -1;
    if (mount_9p(entries[0].source, overlay ? "/lower" : "/newroot", root == WIRE_ROOT_RW, root != WIRE_ROOT_RW,
                 failure) < 0)
        return -1;
    beside_root_ready(open(overlay ? "/lower" : "/newroot", O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!overlay)
        skeleton_root("/newroot");
    if ((overlay ? mount_overlay_root(failure) : complete_root(entries, count, failure)) < 0)
        return -1;

    beside_wait_applied();
    done = move_to_directories();
    old_root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (old_root < 0 || chdir("/newroot") < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 ||
        chdir("/") < 0)
        return fail(failure, "entering the new root: %s", strerror(errno));
    return move_rest(done, failure);
}

/* Where what is staged lies in the old root, which nobody sees any more once the new one is entered. */
#define STAGE "/overlay/"
static const char *modules_staged; /* the name below STAGE, NULL: there is nothing */

/* The modules of a package that was merely unpacked get the index that the host has built laid over them. */
void mounts_stage_modules(const struct mount_entry *entry) {
    static const char *const places[] = {STAGE "modules", STAGE "index", STAGE "both"};
    bool with_index = entry->second[0] != '\0';
    struct failure failure;

    for (size_t i = 0; i < (with_index ? COUNT(places) : 1); i++) {
        if (make_directory(places[i], &failure) < 0)
            goto failed;
    }
    if (mount_9p(entry->source, places[0], false, true, &failure) < 0)
        goto failed;
    modules_staged = "modules";
    if (!with_index)
        return;
    if (mount_9p(entry->second, places[1], false, true, &failure) < 0)
        goto failed;
    if (mount("overlay", places[2], "overlay", MS_RDONLY, "lowerdir=" STAGE "index:" STAGE "modules") == 0) {
        modules_staged = "both";
        return;
    }
    (void)fail(&failure, "the index of the modules could not be laid over %s: modprobe will not find them",
               entry->path);
failed:
    log_line("%s", failure.text);
}

static int move_modules(const struct mount_entry *entry, struct failure *failure) {
    char source[64];

    if (!modules_staged)
        return 0;
    (void)snprintf(source, sizeof(source), "/proc/self/fd/%d" STAGE "%s", old_root, modules_staged);
    if (mount(source, entry->path, NULL, MS_MOVE, NULL) < 0)
        return fail(failure, "mounting the modules on %s: %s", entry->path, strerror(errno));
    return 0;
}

void mounts_load_drivers(void) {
    static const char *const argv[] = {"modprobe", "-a", "-q", "9pnet_virtio", "9p", NULL};
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        sigset_t none;

        (void)sigemptyset(&none);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
        if (!getenv("PATH"))
            (void)setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
        (void)execvp(argv[0], (char *const *)argv);
        _exit(127);
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
}

int mounts_add(const struct mount_entry *entry, struct failure *failure) {
    bool writable = entry->flags & WIRE_MOUNT_WRITABLE;

    if (skeleton_make(entry->path, failure) < 0) {
        if (entry->kind != WIRE_MOUNT_MODULES)
            return -1;
        log_line("%s", failure->text); /* a guest without its modules can still run the command */
        return 0;
    }
    switch (entry->kind) {
    case WIRE_MOUNT_SHARE:
        return mount_9p(entry->source, entry->path, writable, false, failure);
    case WIRE_MOUNT_BIND:
        if (mount(entry->source, entry->path, NULL, MS_BIND, NULL) < 0)
            return fail(failure, "mounting %s on %s: %s", entry->source, entry->path, strerror(errno));
        return 0;
    case WIRE_MOUNT_MODULES:
        /* A guest without its modules can still run the command. */
        if (move_modules(entry, failure) < 0)
            log_line("%s", failure->text);
        return 0;
    default:
        return fail(failure, "a mount of unknown kind %u", entry->kind);
    }
}

void mounts_finish(enum wire_root root) {
    if (root == WIRE_ROOT_RO)
        skeleton_make_readonly();
    (void)close(old_root);
}
