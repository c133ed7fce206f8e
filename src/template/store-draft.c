/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A template in the making: claimed, filled, published.
 *
 * Whoever holds the lock of .draft-KEY/used makes the template. A directory with a free lock is a leftover of a
 * process that was killed: the next one that wants the same key takes it over, empty.
 */
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/directory.h"
#include "base/file.h"
#include "base/log.h"
#include "template/key.h"
#include "template/sparse.h"
#include "template/store-internal.h"

/* Another vmtest that sweeps may take a new directory away before it is locked. */
#define CLAIM_TRIES 16
/* What stays free of the disk besides the file that is written: the state, meta.json, the file system's own. */
#define ROOM_LEFT (UINT64_C(8) << 20)

static char *draft_name(const char *key) {
    return xasprintf(STORE_DRAFT_PREFIX "%s", key);
}

static bool is_published(int store_fd, const char *key) {
    struct stat status;

    return fstatat(store_fd, key, &status, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Makes the draft's directory, or takes over what lies there, and locks it. */
static int draft_claim(struct template_draft *draft) {
    _cleanup_free_ char *name = draft_name(draft->key);
    int r = -ENOENT;

    for (unsigned tries = 0; r == -ENOENT && tries < CLAIM_TRIES; tries++) {
        if (mkdirat(draft->store_fd, name, 0700) < 0 && errno != EEXIST)
            return -errno;
        r = store_lock(draft->store_fd, name, LOCK_EX, true, &draft->directory_fd, &draft->lock_fd);
    }
    if (r == 0)
        directory_empty(draft->directory_fd, STORE_USED);
    return r == -ENOENT ? -EBUSY : r;
}

static int draft_in_store(struct template_draft *draft, const char *store_path, struct error **ret_error) {
    _cleanup_free_ char *name = draft_name(draft->key);
    int r;

    store_sweep(draft->store_fd, name);
    if (is_published(draft->store_fd, draft->key))
        return error_new(ret_error, EEXIST, "the template %s is there", draft->key);
    r = store_limit(draft->store_fd, &draft->limit, ret_error);
    if (r < 0)
        return r;
    if (draft->limit == 0)
        return error_new(ret_error, EDQUOT, "no templates are kept: VMTEST_CACHE_SIZE is 0 or the disk is full");
    r = draft_claim(draft);
    if (r == -EBUSY)
        return error_new(ret_error, r, "another process is making the template %s", draft->key);
    if (r < 0)
        return error_errno(ret_error, r, "%s/%s", store_path, name);
    draft->path = xasprintf("%s/%s", store_path, name);
    /* The one that held the lock before us may have finished. */
    if (is_published(draft->store_fd, draft->key))
        return error_new(ret_error, EEXIST, "the template %s is there", draft->key);
    return 0;
}

int template_draft(const char *key, struct template_draft *ret_draft, struct error **ret_error) {
    _cleanup_template_draft_ struct template_draft draft = TEMPLATE_DRAFT_NONE;
    _cleanup_free_ char *store_path = NULL;
    uint64_t limit = 0;
    bool limited;
    int r = store_limit_setting(&limited, &limit, ret_error);

    if (r == 0 && !store_is_key(key))
        r = error_new(ret_error, EINVAL, "'%s' is not a template's key", key);
    if (r == 0 && limited && limit == 0)
        r = error_new(ret_error, EDQUOT, "no templates are kept: VMTEST_CACHE_SIZE is 0");
    if (r == 0)
        r = store_open(true, &draft.store_fd, &store_path, ret_error);
    if (r < 0)
        return r;
    draft.key = xstrdup(key);
    r = draft_in_store(&draft, store_path, ret_error);
    if (r < 0)
        return r;
    *ret_draft = draft;
    draft = TEMPLATE_DRAFT_NONE;
    return 0;
}

static int draft_create_file(const struct template_draft *draft, enum store_file file, int *ret_fd,
                             struct error **ret_error) {
    int fd = openat(draft->directory_fd, store_file_names[file], O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0)
        return error_errno(ret_error, errno, "%s/%s", draft->path, store_file_names[file]);
    *ret_fd = fd;
    return 0;
}

/* Fails early where all that `from` takes in memory or on its disk would not fit. */
static int check_room(int from, int to) {
    struct statvfs system;
    struct stat status;

    if (fstat(from, &status) < 0 || fstatvfs(to, &system) < 0)
        return -errno;
    uint64_t room = (uint64_t)system.f_bavail * system.f_frsize;
    /* A file system without a fixed size reports 0 blocks. */
    return system.f_blocks > 0 && room < (uint64_t)status.st_blocks * 512 + ROOM_LEFT ? -ENOSPC : 0;
}

/* Fills a file with what is not zero of another; on failure nothing of it stays. */
static int draft_fill_file(struct template_draft *draft, enum store_file file, int from, uint64_t size, int *ret_fd,
                           char **ret_digest, struct error **ret_error) {
    _cleanup_close_ int fd = -1;
    int r = draft_create_file(draft, file, &fd, ret_error);

    if (r < 0)
        return r;
    if (file == STORE_DISK && ioctl(fd, FICLONE, from) == 0) {
        r = sparse_digest(fd, size, ret_digest, ret_error);
    } else {
        r = check_room(from, fd);
        r = r < 0 ? error_errno(ret_error, r, "room for the copy")
                  : sparse_copy(from, fd, size, draft->limit, ret_digest, ret_error);
    }
    if (r < 0) {
        error_context(ret_error, "%s/%s", draft->path, store_file_names[file]);
        (void)unlinkat(draft->directory_fd, store_file_names[file], 0);
        return r;
    }
    *ret_fd = TAKE_FD(fd);
    return 0;
}

int template_draft_memory(struct template_draft *draft, int memory_fd, uint64_t size, struct error **ret_error) {
    return draft_fill_file(draft, STORE_MEMORY, memory_fd, size, &draft->memory_fd, &draft->memory_digest, ret_error);
}

int template_draft_state(struct template_draft *draft, int *ret_fd, struct error **ret_error) {
    int r = draft_create_file(draft, STORE_STATE, &draft->state_fd, ret_error);

    if (r == 0)
        *ret_fd = draft->state_fd;
    return r;
}

int template_draft_disk(struct template_draft *draft, int disk_fd, struct error **ret_error) {
    struct stat status;

    if (fstat(disk_fd, &status) < 0)
        return error_errno(ret_error, errno, "the disk overlay of a template");
    return draft_fill_file(draft, STORE_DISK, disk_fd, (uint64_t)status.st_size, &draft->disk_fd, &draft->disk_digest,
                           ret_error);
}

static int record_file(int fd, struct store_file_record *record, const char *digest, struct error **ret_error) {
    struct stat status;

    if (fstat(fd, &status) < 0)
        return error_errno(ret_error, errno, "a template's file");
    record->size = (uint64_t)status.st_size;
    record->mtime = store_time(&status.st_mtim);
    record->inode = status.st_ino;
    if (digest)
        record->digest = xstrdup(digest);
    return digest ? 0 : sparse_digest(fd, record->size, &record->digest, ret_error);
}

static int write_meta(const struct template_draft *draft, const struct template_meta *meta, struct error **ret_error) {
    _cleanup_record_ struct store_record record = {
        .key = xstrdup(draft->key),
        .source = xstrdup(meta->source ? meta->source : ""),
        .kernel_release = meta->kernel_release ? xstrdup(meta->kernel_release) : NULL,
        .qemu_version = meta->qemu_version ? xstrdup(meta->qemu_version) : NULL,
        .extra = meta->extra ? xstrdup(meta->extra) : NULL,
        .created = store_now(),
    };
    int r = record_file(draft->memory_fd, &record.files[STORE_MEMORY], draft->memory_digest, ret_error);

    if (r == 0)
        r = record_file(draft->state_fd, &record.files[STORE_STATE], NULL, ret_error);
    if (r == 0 && draft->disk_fd >= 0)
        r = record_file(draft->disk_fd, &record.files[STORE_DISK], draft->disk_digest, ret_error);
    if (r < 0)
        return r;
    _cleanup_free_ char *text = store_record_write(&record);
    _cleanup_close_ int fd =
        openat(draft->directory_fd, STORE_META, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    r = fd < 0 ? -errno : fd_write_all(fd, text, strlen(text));
    return r < 0 ? error_errno(ret_error, r, "%s/" STORE_META, draft->path) : 0;
}

static int check_size(const struct template_draft *draft, struct error **ret_error) {
    uint64_t size = store_disk_size(draft->directory_fd);

    if (size <= draft->limit)
        return 0;
    return error_new(ret_error, EDQUOT,
                     "the template takes %llu MB, more than the %llu MB that VMTEST_CACHE_SIZE allows",
                     (unsigned long long)size / 1000000, (unsigned long long)draft->limit / 1000000);
}

int template_publish(struct template_draft *draft, const struct template_meta *meta, struct error **ret_error) {
    _cleanup_free_ char *name = draft_name(draft->key);
    int r;

    if (draft->memory_fd < 0 || draft->state_fd < 0)
        return error_new(ret_error, EINVAL, "%s: a template needs its memory and its state", draft->path);
    r = write_meta(draft, meta, ret_error);
    if (r == 0)
        r = check_size(draft, ret_error);
    if (r < 0)
        return r;
    store_mark_checked(draft->lock_fd);
    (void)futimens(draft->lock_fd, NULL);
    if (renameat(draft->store_fd, name, draft->store_fd, draft->key) < 0)
        return error_errno(ret_error, errno, "%s: it cannot be given its name %s", draft->path, draft->key);
    draft->published = true;
    /* Others may use it from now on; as long as this lock is held, nobody evicts it. */
    (void)flock(draft->lock_fd, LOCK_SH | LOCK_NB);
    store_evict(draft->store_fd, draft->limit);
    return 0;
}

void template_draft_discard(struct template_draft *draft) {
    if (draft->directory_fd >= 0 && !draft->published) {
        _cleanup_free_ char *name = draft_name(draft->key);

        if (store_remove(draft->store_fd, name, draft->directory_fd) < 0)
            log_debug("%s could not be removed", draft->path);
    }
    free(draft->key);
    free(draft->path);
    free(draft->memory_digest);
    free(draft->disk_digest);
    (void)fd_close(draft->memory_fd);
    (void)fd_close(draft->state_fd);
    (void)fd_close(draft->disk_fd);
    (void)fd_close(draft->directory_fd);
    (void)fd_close(draft->lock_fd);
    (void)fd_close(draft->store_fd);
    *draft = TEMPLATE_DRAFT_NONE;
}
