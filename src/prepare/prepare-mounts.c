/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decides which host directories the guest gets and where it mounts them (README.md, "What the guest sees"), in the
 * order in which the guest mounts them. agent/mount-shares.c does what is decided here.
 */
#include <limits.h>
#include <sys/stat.h>

#include "base/file.h"
#include "prepare/prepare.h"

/* Copies a string for the shares and mounts; NULL stays NULL. */
static const char *keep_string(struct preparation *preparation, const char *string) {
    if (!string)
        return NULL;
    strv_append(&preparation->strings, string);
    return preparation->strings.items[preparation->strings.count - 1];
}

static void add_mount(const struct target *target, struct preparation *preparation, enum wire_mount kind, bool writable,
                      const char *source, const char *second, const char *path) {
    const struct share_transport *transport = kind == WIRE_MOUNT_BIND ? NULL : share_transport(target->share_choice);
    /* The root underneath an overlay, a read-only one and the modules are only read. */
    bool unchanged = kind == WIRE_MOUNT_MODULES || (kind == WIRE_MOUNT_ROOT && !writable);

    preparation->mounts = xreallocarray(preparation->mounts, preparation->n_mounts + 1, sizeof(*preparation->mounts));
    preparation->mounts[preparation->n_mounts++] = (struct agent_mount){
        .kind = kind,
        .writable = writable,
        .type = transport ? transport->mount_type : NULL,
        .options = !transport  ? NULL
                   : unchanged ? transport->mount_options_unchanged
                               : transport->mount_options,
        .source = keep_string(preparation, source),
        .second = keep_string(preparation, second),
        .path = keep_string(preparation, path),
    };
}

static void add_share(struct preparation *preparation, const char *tag, const char *path, bool writable) {
    preparation->shares = xreallocarray(preparation->shares, preparation->n_shares + 1, sizeof(*preparation->shares));
    preparation->shares[preparation->n_shares++] = (struct share){
        .tag = keep_string(preparation, tag),
        .path = keep_string(preparation, path),
        .writable = writable,
    };
}

/* Directories that the guest gets fresh: the shared directory cannot be mounted there under its own path. */
static bool is_pseudo(const char *path) {
    return path_is_below(path, "/proc") || path_is_below(path, "/sys") || path_is_below(path, "/dev");
}

static void add_shared_directory(const struct target *target, bool host_root, notice_fn *notice, void *context,
                                 struct preparation *preparation) {
    bool is_root = str_equal(target->share, "/");
    bool own_path = host_root && !is_root && !is_pseudo(target->share);

    if (host_root && is_pseudo(target->share))
        notice(context, "the shared directory lies in /proc, /sys or /dev: the guest has it only at " SHARE_PATH);
    if (is_root)
        notice(context, "the shared directory is '/': the guest has it read-only, only at " SHARE_PATH);
    add_share(preparation, "vmtest", target->share, !is_root);
    add_mount(target, preparation, WIRE_MOUNT_SHARE, !is_root, "vmtest", NULL, SHARE_PATH);
    if (own_path && !str_equal(target->share, SHARE_PATH))
        add_mount(target, preparation, WIRE_MOUNT_BIND, !is_root, SHARE_PATH, NULL, target->share);
    preparation->directory = xstrdup(own_path || (is_root && host_root) ? target->share : SHARE_PATH);
}

/* The modules under /lib/modules/RELEASE, unless the guest's root has them there already. */
static void add_modules(const struct target *target, bool host_root, notice_fn *notice, void *context,
                        struct preparation *preparation) {
    const struct modules *modules = &preparation->modules;
    _cleanup_free_ char *path = xasprintf("/lib/modules/%s", preparation->release);
    char resolved[PATH_MAX];

    if (!modules->directory)
        return;
    /* Their mount point would be made in the shared directory, on the host. */
    if (host_root && !str_equal(target->share, "/") &&
        (path_is_below("/usr/lib/modules", target->share) || path_is_below(target->share, "/usr/lib/modules") ||
         path_is_below("/lib/modules", target->share) || path_is_below(target->share, "/lib/modules"))) {
        notice(context, "the shared directory holds /lib/modules: modprobe does not find the kernel's modules");
        return;
    }
    if (host_root && !modules->index && realpath(path, resolved) && str_equal(resolved, modules->directory))
        return;
    add_share(preparation, "modules", modules->directory, false);
    if (modules->index)
        add_share(preparation, "modindex", modules->index, false);
    add_mount(target, preparation, WIRE_MOUNT_MODULES, false, "modules", modules->index ? "modindex" : NULL, path);
}

/*
 * A mount point in the shared directory must exist already: the guest would make it on the host. A mount point under
 * another mount of the target is not in the shared directory.
 */
static int check_guest_path(const struct target *target, const struct target_mount *mount, struct error **ret_error) {
    const char *inside = NULL;
    const char *below;

    for (size_t i = 0; i < target->n_mounts; i++) {
        if (mount != &target->mounts[i] && path_is_below(mount->guest_path, target->mounts[i].guest_path))
            return 0;
    }

    if (path_is_below(mount->guest_path, SHARE_PATH))
        inside = mount->guest_path + strlen(SHARE_PATH);
    else if (target->kernel && str_equal(target->rootfs, "/") && !str_equal(target->share, "/") &&
             path_is_below(mount->guest_path, target->share))
        inside = mount->guest_path + strlen(target->share);
    if (!inside)
        return 0;

    below = inside[0] == '/' ? inside + 1 : inside;
    _cleanup_free_ char *path = path_resolve(target->share, below);
    if (path_is_directory(path))
        return 0;
    return error_new(ret_error, ENOENT,
                     "%s: the mount '%s' lies in the shared directory, where it is missing; make '%s'", mount->where,
                     mount->guest_path, path);
}

static int add_user_mounts(const struct target *target, struct preparation *preparation, struct error **ret_error) {
    if (target->n_mounts > preparation->arch->max_shares)
        return error_new(ret_error, E2BIG, "%s: %zu mounts are more than the %u that a machine has room for",
                         target_where(target, KEY_VM_MOUNTS), target->n_mounts, preparation->arch->max_shares);
    for (size_t i = 0; i < target->n_mounts; i++) {
        const struct target_mount *mount = &target->mounts[i];
        _cleanup_free_ char *tag = xasprintf("mount%zu", i);
        struct stat status;

        int r = check_guest_path(target, mount, ret_error);

        if (r < 0)
            return r;
        if (stat(mount->host_path, &status) < 0)
            return error_errno(ret_error, errno, "%s: the host path '%s' of the mount '%s'", mount->where,
                               mount->host_path, mount->guest_path);
        if (!S_ISDIR(status.st_mode))
            return error_new(ret_error, ENOTDIR, "%s: the host path '%s' of the mount '%s' is not a directory",
                             mount->where, mount->host_path, mount->guest_path);
        add_share(preparation, tag, mount->host_path, mount->writable);
        add_mount(target, preparation, WIRE_MOUNT_SHARE, mount->writable, tag, NULL, mount->guest_path);
    }
    return 0;
}

static void note_root_writes(const struct target *target, notice_fn *notice, void *context) {
    bool writable = !str_equal(target->share, "/") || target->rootfs_mode == ROOTFS_RW;

    if (geteuid() != 0 || !writable)
        return;

    _cleanup_free_ char *line = xasprintf("run as root: the guest can write files as root in %s",
                                          target->rootfs_mode == ROOTFS_RW ? target->rootfs : target->share);
    notice(context, line);
}

int prepare_mounts(const struct target *target, notice_fn *notice, void *context, struct preparation *preparation,
                   struct error **ret_error) {
    bool host_root = target->kernel && str_equal(target->rootfs, "/");
    bool writable_root = target->rootfs_mode == ROOTFS_RW;

    if (target->image) {
        if (target->share_choice != SHARE_NONE) {
            add_shared_directory(target, host_root, notice, context, preparation);
            note_root_writes(target, notice, context);
        }
        /* As a service of the system would find itself. */
        free(preparation->directory);
        preparation->directory = xstrdup("/");
        return add_user_mounts(target, preparation, ret_error);
    }
    add_share(preparation, "root", target->rootfs, writable_root);
    add_mount(target, preparation, WIRE_MOUNT_ROOT, writable_root, "root", NULL, "/");
    add_shared_directory(target, host_root, notice, context, preparation);
    add_modules(target, host_root, notice, context, preparation);
    note_root_writes(target, notice, context);
    return add_user_mounts(target, preparation, ret_error);
}
