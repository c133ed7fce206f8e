/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The initramfs: libarchive writes a newc archive into a memfd. Nothing is compressed (the guest would pay for it) and
 * nothing depends on the clock or the user, so that equal input gives an equal template key.
 */
#include "modules/initramfs.h"

#include <archive.h>
#include <archive_entry.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/file.h"
#include "kernel/unpack.h"

#define MODULE_PATH "modules/%03zu-%s.ko"

static void free_writer(struct archive **writer) {
    if (*writer)
        (void)archive_write_free(*writer);
}

static void free_entry(struct archive_entry **entry) {
    if (*entry)
        archive_entry_free(*entry);
}

/* One member; the device number only matters for a device. */
struct member {
    const char *path; /* without the leading slash, as the kernel's unpacker wants it */
    mode_t mode;
    dev_t device;
    const void *data;
    size_t size;
};

static int add_member(struct archive *writer, const struct member *member, struct error **ret_error) {
    _cleanup_(free_entry) struct archive_entry *entry = archive_entry_new();
    if (!entry)
        abort(); /* out of memory, as base/str.h does it */
    archive_entry_set_pathname(entry, member->path);
    archive_entry_set_mode(entry, member->mode);
    archive_entry_set_nlink(entry, S_ISDIR(member->mode) ? 2 : 1);
    archive_entry_set_mtime(entry, 0, 0);
    archive_entry_set_size(entry, (la_int64_t)member->size);
    if (S_ISCHR(member->mode))
        archive_entry_set_rdev(entry, member->device);
    if (archive_write_header(writer, entry) != ARCHIVE_OK ||
        (member->size > 0 && archive_write_data(writer, member->data, member->size) != (la_ssize_t)member->size))
        return error_new(ret_error, EIO, "cannot write %s into the initramfs: %s", member->path,
                         archive_errno(writer) > 0 ? strerror(archive_errno(writer)) : archive_error_string(writer));
    return 0;
}

static int add_skeleton(struct archive *writer, struct error **ret_error) {
    static const char *const directories[] = {"dev", "proc", "sys", "newroot", "tmp", "run", "overlay", "modules"};
    for (size_t i = 0; i < ARRAY_SIZE(directories); i++) {
        struct member directory = {.path = directories[i], .mode = S_IFDIR | 0755};
        int r = add_member(writer, &directory, ret_error);
        if (r < 0)
            return r;
    }
    struct member console = {.path = "dev/console", .mode = S_IFCHR | 0600, .device = makedev(5, 1)};
    return add_member(writer, &console, ret_error);
}

static int add_modules(struct archive *writer, const struct module_file *modules, size_t count,
                       struct error **ret_error) {
    _cleanup_buffer_ struct buffer load = {0};
    for (size_t i = 0; i < count; i++) {
        _cleanup_buffer_ struct buffer content = {0};
        _cleanup_free_ char *path = xasprintf(MODULE_PATH, i, modules[i].name);
        int r = unpack_module(modules[i].path, &content, ret_error);
        if (r < 0)
            return r;
        struct member member = {.path = path, .mode = S_IFREG | 0644, .data = content.data, .size = content.size};
        r = add_member(writer, &member, ret_error);
        if (r < 0)
            return r;
        buffer_printf(&load, "/%s\n", path);
    }
    struct member list = {.path = "modules/load", .mode = S_IFREG | 0644, .data = load.data, .size = load.size};
    return add_member(writer, &list, ret_error);
}

static int write_archive(struct archive *writer, int fd, const struct member *init, const struct module_file *modules,
                         size_t count, struct error **ret_error) {
    (void)archive_write_set_format_cpio_newc(writer);
    (void)archive_write_add_filter_none(writer);
    (void)archive_write_set_bytes_per_block(writer, 1 << 20);
    (void)archive_write_set_bytes_in_last_block(writer, 1);
    if (archive_write_open_fd(writer, fd) != ARCHIVE_OK)
        return error_new(ret_error, EIO, "cannot make the initramfs: %s", archive_error_string(writer));
    int r = add_skeleton(writer, ret_error);
    if (r == 0)
        r = add_member(writer, init, ret_error);
    if (r == 0)
        r = add_modules(writer, modules, count, ret_error);
    if (r == 0 && archive_write_close(writer) != ARCHIVE_OK)
        r = error_new(ret_error, EIO, "cannot make the initramfs: %s", archive_error_string(writer));
    return r;
}

int initramfs_build(const void *agent, size_t agent_size, const struct module_file *modules, size_t count,
                    int *ret_memfd, struct error **ret_error) {
    _cleanup_close_ int fd = memfd_create("vmtest-initramfs", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    _cleanup_(free_writer) struct archive *writer = archive_write_new();
    struct member init = {.path = "init", .mode = S_IFREG | 0755, .data = agent, .size = agent_size};
    if (fd < 0)
        return error_errno(ret_error, errno, "cannot make the initramfs");
    if (!writer)
        abort(); /* out of memory, as base/str.h does it */
    int r = write_archive(writer, fd, &init, modules, count, ret_error);
    if (r < 0)
        return r;
    if (lseek(fd, 0, SEEK_SET) < 0)
        return error_errno(ret_error, errno, "cannot make the initramfs");
    *ret_memfd = TAKE_FD(fd);
    return 0;
}
