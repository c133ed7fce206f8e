/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the store share. Directories are named relative to the store's descriptor. */
#ifndef VMTEST_TEMPLATE_STORE_INTERNAL_H
#define VMTEST_TEMPLATE_STORE_INTERNAL_H

#include <time.h>

#include "base/str.h"
#include "template/store.h"

#define STORE_DRAFT_PREFIX ".draft-"
#define STORE_GONE_PREFIX ".gone-"
#define STORE_META "meta.json"
#define STORE_USED "used"

enum store_file { STORE_MEMORY, STORE_STATE, STORE_DISK, STORE_FILE_COUNT };
extern const char *const store_file_names[STORE_FILE_COUNT];

/* What meta.json says of a file, so that a change is found. */
struct store_file_record {
    uint64_t size;
    int64_t mtime; /* nanoseconds since 1970 */
    uint64_t inode;
    char *digest; /* sparse_digest(); NULL: there is no such file */
};

/* All of meta.json. */
struct store_record {
    char *key;
    char *source;
    char *kernel_release;
    char *qemu_version;
    char *extra;
    int64_t created; /* nanoseconds since 1970 */
    struct store_file_record files[STORE_FILE_COUNT];
};

void store_record_deinit(struct store_record *record);
#define _cleanup_record_ _cleanup_(store_record_deinit)

/* The text of meta.json, which holds a digest of itself. Caller frees. */
char *store_record_write(const struct store_record *record);
/* -EBADMSG, with a reason, for what store_record_write() has not written. */
int store_record_read(const char *text, size_t size, struct store_record *ret_record, struct error **ret_error)
    _must_check_;
/* Reads meta.json of a template. -EBADMSG as above; -ENOENT and others when there is nothing to read. */
int store_record_load(int directory_fd, struct store_record *ret_record, struct error **ret_error) _must_check_;

/* Whether it is the name of a template. */
bool store_is_key(const char *name);
int64_t store_time(const struct timespec *time);
int64_t store_now(void);

/*
 * Opens CACHE/templates, and makes it if `create`. -ENOENT when it is not there, -EPERM when it is not ours alone.
 * Caller frees *ret_path.
 */
int store_open(bool create, int *ret_fd, char **ret_path, struct error **ret_error) _must_check_;

/*
 * Opens a directory of the store and locks it, LOCK_SH or LOCK_EX, without waiting. -EBUSY: somebody holds another
 * lock; -ENOENT: it is not there. With `create`, its `used` is made when it is missing.
 */
int store_lock(int store_fd, const char *name, int operation, bool create, int *ret_directory_fd, int *ret_lock_fd)
    _must_check_;

/* Opens the files of a template that store_lock() has opened. -EBADMSG, with a reason: they are not as recorded. */
int store_load(int directory_fd, const char *key, bool in_full, struct template *template, struct store_record *record,
               struct error **ret_error) _must_check_;

/* Notes in `used` that memory and disk were made or hashed since the host came up. */
void store_mark_checked(int lock_fd);

/*
 * Takes a directory away at once, by its name, and then removes its files. With directory_fd >= 0 only if the name
 * still leads there. -ENOENT when it does not.
 */
int store_remove(int store_fd, const char *name, int directory_fd) _must_check_;
/* Removes the leftovers of killed processes, but not the directory `except`. */
void store_sweep(int store_fd, const char *except);

/* The names of all templates. */
int store_keys(int store_fd, struct strv *ret_keys) _must_check_;
/* The bytes that the files in a directory take on the disk. */
uint64_t store_disk_size(int directory_fd);
/* Whether VMTEST_CACHE_SIZE is set, and its value. */
int store_limit_setting(bool *ret_set, uint64_t *ret_limit, struct error **ret_error) _must_check_;
int store_limit(int store_fd, uint64_t *ret_limit, struct error **ret_error) _must_check_;
/* Removes the least recently used templates that nobody uses, until all take at most `limit`. */
void store_evict(int store_fd, uint64_t limit);

#endif
