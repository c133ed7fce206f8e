/* SPDX-License-Identifier: Apache-2.0 */
#include "prepare/persist.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/file.h"

/*
 * The file's identity: what a guest cannot change, and a new file in its place does not have. Without a time of birth
 * (some file systems) the device and the inode have to do.
 */
static int record_name(const struct target *target, char **ret_name, struct error **ret_error) {
    struct statx status;

    if (statx(AT_FDCWD, target->image, 0, STATX_INO | STATX_BTIME, &status) < 0)
        return error_errno(ret_error, errno, "%s: image '%s'", target_where(target, KEY_IMAGE), target->image);
    *ret_name =
        xasprintf("%u-%u-%llu-%lld-%u", status.stx_dev_major, status.stx_dev_minor, (unsigned long long)status.stx_ino,
                  status.stx_mask & STATX_BTIME ? (long long)status.stx_btime.tv_sec : 0,
                  status.stx_mask & STATX_BTIME ? status.stx_btime.tv_nsec : 0);
    return 0;
}

static int open_record(const struct target *target, char **ret_path, int *ret_fd, struct error **ret_error) {
    _cleanup_free_ char *directory = path_state("persist");
    _cleanup_free_ char *name = NULL;
    int r;

    if (!directory)
        return error_new(ret_error, ENOENT,
                         "%s: what is persistent needs a place for its record; set HOME or XDG_STATE_HOME",
                         target_where(target, KEY_PERSIST));
    r = record_name(target, &name, ret_error);
    if (r == 0)
        r = path_make_directories(directory, 0700, ret_error);
    if (r < 0)
        return r;
    *ret_path = xasprintf("%s/%s", directory, name);
    *ret_fd = open(*ret_path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (*ret_fd < 0)
        return error_errno(ret_error, errno, "%s", *ret_path);
    return 0;
}

/* The record is a line with the format, then one with the image's path, for people. */
static int compare_record(const struct target *target, const char *path, const char *format, const char *record,
                          struct error **ret_error) {
    size_t length = strcspn(record, "\n");

    if (strlen(format) == length && strncmp(record, format, length) == 0)
        return 0;
    return error_new(ret_error, EINVAL,
                     "%s: the image was %.*s at its first persistent run and is %s now: a guest may have written "
                     "that; set format = \"%.*s\" to go on as before, or remove %s if you have changed it yourself",
                     target_where(target, KEY_IMAGE), (int)length, record, format, (int)length, record, path);
}

int persist_claim(const struct target *target, const char *format, int *ret_fd, struct error **ret_error) {
    _cleanup_free_ char *path = NULL;
    _cleanup_close_ int fd = -1;
    char record[64];
    ssize_t size;
    int r = open_record(target, &path, &fd, ret_error);

    if (r < 0)
        return r;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return error_new(ret_error, EBUSY, "%s: another run of vmtest writes to the image '%s'; wait for its end",
                         target_where(target, KEY_PERSIST), target->image);
    size = read(fd, record, sizeof(record) - 1);
    if (size < 0)
        return error_errno(ret_error, errno, "%s", path);
    record[size] = '\0';
    if (size > 0) {
        r = compare_record(target, path, format, record, ret_error);
    } else {
        _cleanup_free_ char *text = xasprintf("%s\n%s\n", format, target->image);

        r = fd_write_all(fd, text, strlen(text));
        if (r < 0)
            r = error_errno(ret_error, r, "%s", path);
    }
    if (r == 0)
        *ret_fd = TAKE_FD(fd);
    return r;
}
