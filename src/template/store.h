/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The templates in the cache:
 *
 *     CACHE/templates/KEY/       a template, made under another name and published with one rename(2)
 *         memory                 the guest's memory, with holes where it is zero
 *         state                  QEMU's migration stream
 *         disk                   image targets: the qcow2 overlay as it was then
 *         meta.json              what it was made from, and sizes, times and digests of the others
 *         used                   locked while in use (shared) or made (exclusive); its time is that of the last use
 *     CACHE/templates/.draft-KEY/   one that is being made; with a free lock: a leftover of a killed process
 *     CACHE/templates/.gone-XXXXXX/ one that is being removed
 *
 * Nobody waits for a lock here. Directories are 0700, files 0600; a directory that another user owns or can write to
 * is not used. The cache directory is path_cache_directory().
 *
 * Nothing is synced to the disk: a start checks sizes, times, inodes and the state's digest, and the first start after
 * each boot of the host (by its boot_id, kept in `used`) hashes memory and disk in full as well, so that what a crash
 * of the host left half-written is found.
 */
#ifndef VMTEST_TEMPLATE_STORE_H
#define VMTEST_TEMPLATE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* A template in use: it is not evicted, and what is open stays even when it is removed. */
struct template {
    char *key;
    char *path;    /* of its directory, for messages */
    int lock_fd;   /* shared lock */
    int memory_fd; /* read-only, as the two that follow */
    int state_fd;  /* at its beginning */
    int disk_fd;   /* -1: there is none */
    uint64_t memory_size;
    char *kernel_release; /* or NULL */
    char *extra;          /* as it was published, or NULL */
};

/* What is kept about a template. Strings may be NULL except `source`. */
struct template_meta {
    const char *source;         /* path of the kernel or image that it was made from */
    const char *kernel_release; /* of the guest */
    const char *qemu_version;
    const char *extra; /* the caller's own text, given back by template_open() */
};

/*
 * Opens the template of a key. -ENOENT: there is none, or it was damaged (then it has been removed, with a debugging
 * line), is going away just now, or VMTEST_CACHE_SIZE is 0. Other errors are worth a warning: the cache cannot be used.
 * Sets the time of its last use.
 */
int template_open(const char *key, struct template *ret_template, struct error **ret_error) _must_check_;
/* Accepts TEMPLATE_NONE, and leaves it in place. */
void template_close(struct template *template);
#define TEMPLATE_NONE ((struct template){.lock_fd = -1, .memory_fd = -1, .state_fd = -1, .disk_fd = -1})
#define _cleanup_template_ _cleanup_(template_close)

/* One that is being made. */
struct template_draft {
    char *key;
    char *path; /* of its directory */
    int store_fd;
    int directory_fd;
    int lock_fd; /* exclusive lock */
    int memory_fd;
    int state_fd;
    int disk_fd;
    uint64_t limit; /* bytes of the disk that all templates may take */
    bool published;
    uint64_t memory_size;
    char *memory_digest;
    char *disk_digest;
};
#define TEMPLATE_DRAFT_NONE                                                                                            \
    ((struct template_draft){                                                                                          \
        .store_fd = -1, .directory_fd = -1, .lock_fd = -1, .memory_fd = -1, .state_fd = -1, .disk_fd = -1})

/*
 * Claims a key. Not worth a word: -EBUSY, another process is making it right now; -EEXIST, it is there by now; -EDQUOT,
 * VMTEST_CACHE_SIZE is 0. Worth a warning: all others (the cache cannot be written, is somebody else's, ...).
 */
int template_draft(const char *key, struct template_draft *ret_draft, struct error **ret_error) _must_check_;

/*
 * Copies what is not zero of the guest's memory, a memfd of `size` bytes that nobody writes to. -ENOSPC when the disk
 * is (or would be) full, -EDQUOT when it alone exceeds the limit; the space is given back at once.
 */
int template_draft_memory(struct template_draft *draft, int memory_fd, uint64_t size, struct error **ret_error)
    _must_check_;

/* A file that QEMU can write its migration stream to. The descriptor is the draft's, writable and close-on-exec. */
int template_draft_state(struct template_draft *draft, int *ret_fd, struct error **ret_error) _must_check_;

/* Copies a disk overlay that nobody writes to: shares its blocks where the file system can. Errors as for the memory.
 */
int template_draft_disk(struct template_draft *draft, int disk_fd, struct error **ret_error) _must_check_;

/*
 * Publishes a draft that has its memory and its state, then removes the least recently used templates above the limit.
 * On failure, the draft is to be discarded. After success too, which closes what is open.
 */
int template_publish(struct template_draft *draft, const struct template_meta *meta, struct error **ret_error)
    _must_check_;
/* Removes a draft that was not published. Takes TEMPLATE_DRAFT_NONE. */
void template_draft_discard(struct template_draft *draft);
#define _cleanup_template_draft_ _cleanup_(template_draft_discard)

/*
 * Removes a template: one that failed to restore, or that somebody does not want any more. -ENOENT: there is none.
 * Those who use it go on.
 */
int template_remove(const char *key, struct error **ret_error) _must_check_;

/* What `vmtest cache list` shows of a template. */
struct template_entry {
    char *key;
    char *path;
    char *source;         /* NULL, with the rest of the strings, when meta.json cannot be read */
    char *kernel_release; /* or NULL */
    char *qemu_version;   /* or NULL */
    uint64_t memory_size;
    uint64_t disk_size; /* bytes that it takes on the disk */
    int64_t created;    /* nanoseconds since 1970 */
    int64_t last_used;
};

/* All templates, the most recently used first; none when there is no cache. Caller frees with template_list_free(). */
int template_list(struct template_entry **ret_entries, size_t *ret_count, struct error **ret_error) _must_check_;
void template_list_free(struct template_entry *entries, size_t count);

/*
 * Compares a template with its digests in full. -EBADMSG: it was damaged, *ret_error says how, and it has been removed;
 * -ENOENT: there is none.
 */
int template_verify(const char *key, struct error **ret_error) _must_check_;

/* Removes the leftovers of killed processes. template_open() and template_draft() do it by themselves. */
void template_sweep(void);

/* CACHE/templates. Caller frees. NULL when there is no place for a cache. */
char *template_store_path(void);

/* The bytes that templates may take: VMTEST_CACHE_SIZE, else 10 GiB or a tenth of the disk, whichever is less. */
int template_store_limit(uint64_t *ret_limit, struct error **ret_error) _must_check_;

#endif
