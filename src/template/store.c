/* SPDX-License-Identifier: Apache-2.0 */
/* Opening the store and a template in it. */
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>

#include "base/file.h"
#include "base/log.h"
#include "template/key.h"
#include "template/sparse.h"
#include "template/store-internal.h"

/* A directory may be swept between being made or found and being locked: looked for anew, so often at most. */
#define LOCK_TRIES 16
#define BOOT_ID_PATH "/proc/sys/kernel/random/boot_id"
#define BOOT_ID_LENGTH 36

bool store_is_key(const char *name) {
    return strlen(name) == TEMPLATE_KEY_LENGTH && strspn(name, "0123456789abcdef") == TEMPLATE_KEY_LENGTH;
}

int64_t store_time(const struct timespec *time) {
    return (int64_t)time->tv_sec * 1000000000 + time->tv_nsec;
}

int64_t store_now(void) {
    struct timespec now;

    return clock_gettime(CLOCK_REALTIME, &now) < 0 ? 0 : store_time(&now);
}

char *template_store_path(void) {
    _cleanup_free_ char *cache = path_cache_directory();

    return cache ? xasprintf("%s/templates", cache) : NULL;
}

static int make_store(const char *path, struct error **ret_error) {
    _cleanup_free_ char *parent = path_parent(path);
    int r = path_make_directories(parent, 0755, ret_error);

    if (r == 0 && mkdir(path, 0700) < 0 && errno != EEXIST)
        r = error_errno(ret_error, errno, "%s", path);
    return r;
}

int store_open(bool create, int *ret_fd, char **ret_path, struct error **ret_error) {
    _cleanup_free_ char *path = template_store_path();
    _cleanup_close_ int fd = -1;
    struct stat status;

    if (!path)
        return error_new(ret_error, ENOENT, "there is no place for a cache; set VMTEST_CACHE_DIR or HOME");
    if (create) {
        int r = make_store(path, ret_error);

        if (r < 0)
            return r;
    }
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) < 0)
        return error_errno(ret_error, errno, "%s", path);
    if (status.st_uid != geteuid())
        return error_new(ret_error, EPERM,
                         "%s belongs to another user; set VMTEST_CACHE_DIR to a directory of your own", path);
    if (status.st_mode & (S_IWGRP | S_IWOTH))
        return error_new(ret_error, EPERM, "%s can be written to by other users; remove it or run chmod 700 on it",
                         path);
    *ret_fd = TAKE_FD(fd);
    *ret_path = TAKE_PTR(path);
    return 0;
}

/* Whether `name` in a directory still leads to what is open. */
static bool leads_to(int directory_fd, const char *name, int fd) {
    struct stat named;
    struct stat opened;

    return fstatat(directory_fd, name, &named, AT_SYMLINK_NOFOLLOW) == 0 && fstat(fd, &opened) == 0 &&
           named.st_ino == opened.st_ino && named.st_dev == opened.st_dev;
}

int store_lock(int store_fd, const char *name, int operation, bool create, int *ret_directory_fd, int *ret_lock_fd) {
    for (unsigned tries = 0; tries < LOCK_TRIES; tries++) {
        _cleanup_close_ int directory = openat(store_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        _cleanup_close_ int lock = -1;

        if (directory < 0)
            return -errno;
        /* Writable, since some network file systems lock nothing else exclusively. */
        lock = openat(directory, STORE_USED, O_RDWR | O_NOFOLLOW | O_CLOEXEC | (create ? O_CREAT : 0), 0600);
        if (lock < 0 && (errno == EROFS || errno == EACCES) && operation == LOCK_SH)
            lock = openat(directory, STORE_USED, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        if (lock < 0 && errno == ENOENT && create)
            continue; /* the directory was removed */
        if (lock < 0)
            return -errno;
        if (flock(lock, operation | LOCK_NB) < 0)
            return errno == EWOULDBLOCK ? -EBUSY : -errno;
        if (!leads_to(store_fd, name, directory) || !leads_to(directory, STORE_USED, lock))
            continue;
        *ret_directory_fd = TAKE_FD(directory);
        *ret_lock_fd = TAKE_FD(lock);
        return 0;
    }
    return -ENOENT;
}

/* The host's boot, or "" when it cannot be told: nothing is taken as checked then. */
static void read_boot_id(char id[BOOT_ID_LENGTH + 1]) {
    _cleanup_buffer_ struct buffer text = {0};

    id[0] = '\0';
    if (file_read(BOOT_ID_PATH, 64, &text, NULL) == 0 && text.size >= BOOT_ID_LENGTH) {
        memcpy(id, text.data, BOOT_ID_LENGTH);
        id[BOOT_ID_LENGTH] = '\0';
    }
}

static bool is_checked(int lock_fd) {
    char id[BOOT_ID_LENGTH + 1];
    char noted[BOOT_ID_LENGTH];

    read_boot_id(id);
    return id[0] && pread(lock_fd, noted, sizeof(noted), 0) == BOOT_ID_LENGTH && memcmp(noted, id, sizeof(noted)) == 0;
}

void store_mark_checked(int lock_fd) {
    char id[BOOT_ID_LENGTH + 1];

    read_boot_id(id);
    /* Without the note, the next start checks again: slow, not wrong. */
    if (pwrite(lock_fd, id, strlen(id), 0) < 0)
        log_debug("the template's check could not be noted: %s", strerror(errno));
}

/* Errors that say nothing about the template: to try again later may succeed. */
static bool is_of_the_host(int code) {
    return code == -EMFILE || code == -ENFILE || code == -ENOMEM || code == -EACCES || code == -EPERM || code == -EINTR;
}

static int store_damaged(int code, struct error **ret_error, const char *name) {
    error_context(ret_error, "%s", name);
    return is_of_the_host(code) ? code : -EBADMSG;
}

/* Opens one file and compares it with its record. */
static int load_file(int directory_fd, enum store_file file, const struct store_file_record *record, bool in_full,
                     int *ret_fd, struct error **ret_error) {
    const char *name = store_file_names[file];
    _cleanup_close_ int fd = openat(directory_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    _cleanup_free_ char *digest = NULL;
    struct stat status;

    if (fd < 0 || fstat(fd, &status) < 0)
        return store_damaged(error_errno(ret_error, errno, "cannot be opened"), ret_error, name);
    if (!S_ISREG(status.st_mode) || (uint64_t)status.st_size != record->size)
        return error_new(ret_error, EBADMSG, "%s has %lld bytes, not %llu", name, (long long)status.st_size,
                         (unsigned long long)record->size);
    if (store_time(&status.st_mtim) != record->mtime)
        return error_new(ret_error, EBADMSG, "%s was changed after the template was made", name);
    if (status.st_ino != record->inode)
        return error_new(ret_error, EBADMSG, "%s is another file than when the template was made", name);
    if (in_full || file == STORE_STATE) {
        int r = sparse_digest(fd, record->size, &digest, ret_error);

        if (r < 0)
            return store_damaged(r, ret_error, name);
        if (!str_equal(digest, record->digest))
            return error_new(ret_error, EBADMSG, "%s does not agree with its digest", name);
        if (lseek(fd, 0, SEEK_SET) < 0)
            return error_errno(ret_error, errno, "%s", name);
    }
    *ret_fd = TAKE_FD(fd);
    return 0;
}

int store_load(int directory_fd, const char *key, bool in_full, struct template *template, struct store_record *record,
               struct error **ret_error) {
    int *const fds[STORE_FILE_COUNT] = {&template->memory_fd, &template->state_fd, &template->disk_fd};
    int r = store_record_load(directory_fd, record, ret_error);

    if (r < 0)
        return is_of_the_host(r) ? r : -EBADMSG;
    if (!str_equal(record->key, key) || !record->files[STORE_MEMORY].digest || !record->files[STORE_STATE].digest)
        return error_new(ret_error, EBADMSG, STORE_META " is that of another template");
    for (size_t i = 0; i < STORE_FILE_COUNT; i++) {
        if (!record->files[i].digest)
            continue;
        r = load_file(directory_fd, i, &record->files[i], in_full, fds[i], ret_error);
        if (r < 0)
            return r;
    }
    return 0;
}

/*
 * On tmpfs a clone's first look at a hole gives the file a page, private mapping or not; with no room for it QEMU would
 * die of SIGBUS. Whether there is room for all holes.
 */
static bool has_room_for_holes(int memory_fd, uint64_t size) {
    struct statfs system;
    struct stat status;

    if (fstatfs(memory_fd, &system) < 0 || fstat(memory_fd, &status) < 0)
        return false;
    if (system.f_type != TMPFS_MAGIC || system.f_blocks == 0)
        return true;
    uint64_t taken = (uint64_t)status.st_blocks * 512;
    return taken >= size || (uint64_t)system.f_bavail * (uint64_t)system.f_bsize >= size - taken;
}

/* The locked template, or the reason why it is not to be used. */
static int load_locked(int directory_fd, struct template *template, struct error **ret_error) {
    _cleanup_record_ struct store_record record = {0};
    bool checked = is_checked(template->lock_fd);
    int r = store_load(directory_fd, template->key, !checked, template, &record, ret_error);

    if (r < 0)
        return r;
    template->memory_size = record.files[STORE_MEMORY].size;
    template->kernel_release = TAKE_PTR(record.kernel_release);
    template->extra = TAKE_PTR(record.extra);
    if (!has_room_for_holes(template->memory_fd, template->memory_size))
        return error_new(ret_error, ENOENT, "the tmpfs has no room for the memory's holes");
    if (!checked)
        store_mark_checked(template->lock_fd);
    if (futimens(template->lock_fd, NULL) < 0)
        log_debug("%s: the time of its last use cannot be set: %s", template->path, strerror(errno));
    return 0;
}

static int open_in_store(int store_fd, const char *store_path, const char *key, struct template *template,
                         struct error **ret_error) {
    _cleanup_error_ struct error *reason = NULL;
    _cleanup_close_ int directory_fd = -1;
    int r;

    template->key = xstrdup(key);
    template->path = xasprintf("%s/%s", store_path, key);
    r = store_lock(store_fd, key, LOCK_SH, true, &directory_fd, &template->lock_fd);
    if (r == -EBUSY || r == -ENOENT)
        return error_new(ret_error, ENOENT, "there is no template %s", key);
    if (r < 0)
        return error_errno(ret_error, r, "%s", template->path);
    r = load_locked(directory_fd, template, &reason);
    if (r == -EBADMSG) {
        log_debug("%s is thrown away: %s", template->path, error_message(reason));
        if (store_remove(store_fd, key, directory_fd) < 0)
            log_debug("%s could not be removed", template->path);
        return error_new(ret_error, ENOENT, "the template %s was damaged: %s", key, error_message(reason));
    }
    return r < 0 ? error_new(ret_error, r, "%s: %s", template->path, error_message(reason)) : 0;
}

int template_open(const char *key, struct template *ret_template, struct error **ret_error) {
    _cleanup_template_ struct template template = TEMPLATE_NONE;
    _cleanup_close_ int store_fd = -1;
    _cleanup_free_ char *store_path = NULL;
    uint64_t limit = 0;
    bool limited;
    int r = store_limit_setting(&limited, &limit, ret_error);

    if (r == 0 && !store_is_key(key))
        r = error_new(ret_error, EINVAL, "'%s' is not a template's key", key);
    if (r == 0 && limited && limit == 0)
        r = error_new(ret_error, ENOENT, "VMTEST_CACHE_SIZE is 0");
    if (r == 0)
        r = store_open(false, &store_fd, &store_path, ret_error);
    if (r < 0)
        return r;
    store_sweep(store_fd, NULL);
    r = open_in_store(store_fd, store_path, key, &template, ret_error);
    if (r < 0)
        return r;
    *ret_template = template;
    template = TEMPLATE_NONE;
    return 0;
}

void template_close(struct template *template) {
    free(template->key);
    free(template->path);
    free(template->kernel_release);
    free(template->extra);
    (void)fd_close(template->memory_fd);
    (void)fd_close(template->state_fd);
    (void)fd_close(template->disk_fd);
    (void)fd_close(template->lock_fd);
    *template = TEMPLATE_NONE;
}
