/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel and its initramfs. A bzImage unpacks itself at every boot, which costs seconds under emulation, so its
 * payload is unpacked once into the cache (kernels/KEY.vmlinux) and booted by its PVH entry. A kernel without that
 * entry leaves kernels/KEY.nopvh there, and boots as the bzImage that it is.
 */
#include <fcntl.h>

#include "base/file.h"
#include "base/log.h"
#include "kernel/kernel.h"
#include "modules/depmod.h"
#include "modules/initramfs.h"
#include "prepare/kernel-cache.h"
#include "prepare/prepare.h"

extern const char agent_blob[];
extern const char agent_blob_end[];

static int open_kernel(const char *path, int *ret_fd, struct error **ret_error) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return error_errno(ret_error, errno, "%s", path);
    *ret_fd = fd;
    return 0;
}

/* Keeps the unpacked kernel in the cache, or in memory where that cannot be written. */
static int store_vmlinux(const char *path, const struct buffer *vmlinux, int *ret_fd, struct error **ret_error) {
    _cleanup_error_ struct error *error = NULL;

    if (path) {
        _cleanup_free_ char *directory = path_parent(path);
        int r = path_make_directories(directory, 0700, &error);

        if (r == 0)
            r = file_write_atomically(path, vmlinux->data, vmlinux->size, 0600, &error);
        if (r == 0)
            return open_kernel(path, ret_fd, ret_error);
        log_debug("the unpacked kernel is not cached: %s", error_message(error));
    }
    return fd_from_memory("vmlinux", vmlinux->data, vmlinux->size, ret_fd, ret_error);
}

/* Remembers that a kernel has no PVH entry; without a cache it is found out each time. */
static void remember_no_pvh(const char *marker) {
    _cleanup_free_ char *directory = marker ? path_parent(marker) : NULL;

    if (directory && path_make_directories(directory, 0700, NULL) == 0 &&
        file_write_atomically(marker, "", 0, 0600, NULL) < 0)
        log_debug("%s cannot be written", marker);
}

/* Whether a kernel in the cache is one that boots: an ELF file, not cut off, with a PVH entry. */
static bool is_whole(const char *path) {
    _cleanup_kernel_ struct kernel *kernel = NULL;

    return kernel_open(path, &kernel, NULL) == 0 && kernel->format == KERNEL_VMLINUX;
}

/* The unpacked form of a bzImage that has a PVH entry: *ret_fd; else 0 and *ret_fd stays -1. */
static int unpack_cached(const struct kernel *kernel, const char *cache, int *ret_fd, struct error **ret_error) {
    _cleanup_free_ char *key = kernel_content_key(kernel);
    _cleanup_free_ char *path = cache ? xasprintf("%s/kernels/%s.vmlinux", cache, key) : NULL;
    _cleanup_free_ char *marker = cache ? xasprintf("%s/kernels/%s.nopvh", cache, key) : NULL;
    _cleanup_free_ char *directory = path ? path_parent(path) : NULL;
    _cleanup_buffer_ struct buffer vmlinux = {0};
    int r;

    if (directory)
        file_sweep(directory);
    if (path && path_exists(path)) {
        if (is_whole(path))
            return open_kernel(path, ret_fd, ret_error);
        (void)unlink(path);
    }
    if (marker && path_exists(marker))
        return 0;

    r = kernel_unpack(kernel, &vmlinux, ret_error);
    if (r == -EOPNOTSUPP)
        return r;
    if (r < 0)
        return r;
    if (!kernel_vmlinux_has_pvh(vmlinux.data, vmlinux.size)) {
        remember_no_pvh(marker);
        return 0;
    }
    return store_vmlinux(path, &vmlinux, ret_fd, ret_error);
}

static int choose_kernel_file(const struct kernel *kernel, const char *cache, int *ret_fd, struct error **ret_error) {
    _cleanup_error_ struct error *error = NULL;

    if (kernel->format == KERNEL_BZIMAGE) {
        int r = unpack_cached(kernel, cache, ret_fd, &error);

        if (r < 0)
            log_debug("the kernel boots packed: %s", error_message(error));
    }
    return *ret_fd >= 0 ? 0 : open_kernel(kernel->path, ret_fd, ret_error);
}

/* What libkmod reads, which tells the modules' dependencies. */
static void note_index(const struct modules *modules, struct strv *inputs) {
    static const char *const names[] = {"modules.dep.bin", "modules.softdep", "modules.builtin.bin",
                                        "modules.alias.bin", "modules.symbols.bin"};
    const char *directory = modules->index ? modules->index : modules->directory;

    for (size_t i = 0; directory && i < ARRAY_SIZE(names); i++) {
        _cleanup_free_ char *path = xasprintf("%s/%s", directory, names[i]);

        kernel_cache_note(inputs, path);
    }
}

static int build_initramfs(const struct target *target, const struct kernel *kernel, struct preparation *preparation,
                           struct error **ret_error) {
    bool overlay = target->rootfs_mode == ROOTFS_OVERLAY || preparation->modules.index;
    struct module_file *files = NULL;
    size_t n_files = 0;
    int r;

    note_index(&preparation->modules, &preparation->inputs);
    r = modules_closure(kernel, &preparation->modules, share_transport(target->share_choice), overlay, &files, &n_files,
                        ret_error);
    for (size_t i = 0; r == 0 && i < n_files; i++)
        kernel_cache_note(&preparation->inputs, files[i].path);
    if (r == 0)
        r = initramfs_build(agent_blob, (size_t)(agent_blob_end - agent_blob), files, n_files, &preparation->initrd_fd,
                            ret_error);
    module_files_free(files, n_files);
    return r;
}

int prepare_kernel(const struct target *target, const struct kernel_cache *kernel_cache, notice_fn *notice,
                   void *context, struct preparation *preparation, struct error **ret_error) {
    _cleanup_kernel_ struct kernel *kernel = NULL;
    _cleanup_free_ char *cache = path_cache_directory();
    int r;

    if (kernel_cache_take(kernel_cache, target, cache, preparation))
        return 0;
    kernel_cache_note(&preparation->inputs, target->kernel);
    r = kernel_open(target->kernel, &kernel, ret_error);
    if (r < 0) {
        error_context(ret_error, "%s", target_where(target, KEY_KERNEL));
        return r;
    }
    preparation->release = xstrdup(kernel->release);

    r = modules_find(kernel, target->modules, cache, preparation->cancel_fd, notice, context, &preparation->modules,
                     ret_error);
    if (r < 0) {
        error_context(ret_error, "%s", target_where(target, target->modules ? KEY_MODULES : KEY_KERNEL));
        return r;
    }
    r = build_initramfs(target, kernel, preparation, ret_error);
    if (r == 0)
        r = choose_kernel_file(kernel, cache, &preparation->kernel_fd, ret_error);
    if (r < 0)
        error_context(ret_error, "%s", target_where(target, KEY_KERNEL));
    return r;
}
