/* SPDX-License-Identifier: Apache-2.0 */
/* Eviction from the store: removed templates, leftovers of killed processes, and whatever exceeds the size limit. */
#include <ctype.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/directory.h"
#include "base/file.h"
#include "base/log.h"
#include "template/store-internal.h"

#define LIMIT_VARIABLE "VMTEST_CACHE_SIZE"
#define LIMIT_DEFAULT (UINT64_C(10) << 30)
#define LIMIT_SHARE 10 /* a tenth of what the disk has for templates */

/* A stream over a directory that leaves the descriptor to the caller and starts at the first entry. */
static DIR *open_entries(int directory_fd) {
    int fd = openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = fd < 0 ? NULL : fdopendir(fd);

    if (!entries)
        (void)fd_close(fd);
    return entries;
}

/* A name that no other process uses: their numbers differ, and this one counts. */
static char *make_gone_name(void) {
    static unsigned count;

    return xasprintf(STORE_GONE_PREFIX "%d-%u", getpid(), count++);
}

int store_remove(int store_fd, const char *name, int directory_fd) {
    _cleanup_free_ char *gone = make_gone_name();
    struct stat named;
    struct stat opened;

    if (directory_fd >= 0 && (fstatat(store_fd, name, &named, AT_SYMLINK_NOFOLLOW) < 0 ||
                              fstat(directory_fd, &opened) < 0 || named.st_ino != opened.st_ino))
        return -ENOENT;
    (void)directory_remove(store_fd, gone);
    if (renameat(store_fd, name, store_fd, gone) < 0)
        return -errno;
    (void)directory_remove(store_fd, gone);
    return 0;
}

void store_sweep(int store_fd, const char *except) {
    _cleanup_closedir_ DIR *entries = open_entries(store_fd);
    const struct dirent *entry;

    while (entries && (entry = readdir(entries)) != NULL) {
        _cleanup_close_ int directory_fd = -1;
        _cleanup_close_ int lock_fd = -1;

        if (str_skip_prefix(entry->d_name, STORE_GONE_PREFIX)) {
            (void)directory_remove(store_fd, entry->d_name);
        } else if (str_skip_prefix(entry->d_name, STORE_DRAFT_PREFIX) && !str_equal(entry->d_name, except) &&
                   store_lock(store_fd, entry->d_name, LOCK_EX, false, &directory_fd, &lock_fd) == 0) {
            log_debug("sweeping %s, a template that was not finished", entry->d_name);
            if (store_remove(store_fd, entry->d_name, directory_fd) < 0)
                log_debug("%s could not be removed", entry->d_name);
        }
    }
}

void template_sweep(void) {
    _cleanup_close_ int store_fd = -1;
    _cleanup_free_ char *path = NULL;

    if (store_open(false, &store_fd, &path, NULL) == 0)
        store_sweep(store_fd, NULL);
}

int template_remove(const char *key, struct error **ret_error) {
    _cleanup_close_ int store_fd = -1;
    _cleanup_free_ char *path = NULL;
    int r;

    if (!store_is_key(key))
        return error_new(ret_error, EINVAL, "'%s' is not a template's key", key);
    r = store_open(false, &store_fd, &path, ret_error);
    if (r < 0)
        return r;
    r = store_remove(store_fd, key, -1);
    return r < 0 ? error_errno(ret_error, r, "%s/%s", path, key) : 0;
}

int store_keys(int store_fd, struct strv *ret_keys) {
    _cleanup_closedir_ DIR *entries = open_entries(store_fd);
    const struct dirent *entry;

    if (!entries)
        return -errno;
    while ((entry = readdir(entries)) != NULL) {
        if (store_is_key(entry->d_name))
            strv_append(ret_keys, entry->d_name);
    }
    return 0;
}

uint64_t store_disk_size(int directory_fd) {
    _cleanup_closedir_ DIR *entries = open_entries(directory_fd);
    const struct dirent *entry;
    struct stat status;
    uint64_t size = 0;

    while (entries && (entry = readdir(entries)) != NULL) {
        if (!str_equal(entry->d_name, "..") && fstatat(directory_fd, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0)
            size += (uint64_t)status.st_blocks * 512;
    }
    return size;
}

int store_limit_setting(bool *ret_set, uint64_t *ret_limit, struct error **ret_error) {
    static const char units[] = "KMGT";
    const char *text = getenv(LIMIT_VARIABLE);
    const char *p = text;
    uint64_t value = 0;
    bool overflow = false;

    *ret_set = !str_empty(text);
    if (!*ret_set)
        return 0;
    for (; isdigit((unsigned char)*p); p++) {
        overflow |= __builtin_mul_overflow(value, 10, &value);
        overflow |= __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value);
    }
    const char *unit = p > text && *p ? strchr(units, toupper((unsigned char)*p)) : NULL;
    if (unit) {
        overflow |= __builtin_mul_overflow(value, UINT64_C(1) << (10 * (unit - units + 1)), &value);
        p++;
    }
    if (p == text || *p)
        return error_new(ret_error, EINVAL,
                         LIMIT_VARIABLE
                         "='%s' is not a size; write a number of bytes, or one with K, M, G or T, such as "
                         "20G; 0 for no templates",
                         text);
    *ret_limit = overflow ? UINT64_MAX : value;
    return 0;
}

int store_limit(int store_fd, uint64_t *ret_limit, struct error **ret_error) {
    _cleanup_strv_ struct strv keys = {0};
    struct statvfs system = {0};
    uint64_t taken = 0;
    bool set;
    int r = store_limit_setting(&set, ret_limit, ret_error);

    if (r < 0 || set)
        return r;
    r = store_keys(store_fd, &keys);
    if (r == 0 && fstatvfs(store_fd, &system) < 0)
        r = -errno;
    if (r < 0)
        return error_errno(ret_error, r, "looking for room in the cache");
    for (size_t i = 0; i < keys.count; i++) {
        _cleanup_close_ int fd = openat(store_fd, keys.items[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        taken += fd < 0 ? 0 : store_disk_size(fd);
    }
    *ret_limit = LIMIT_DEFAULT;
    /* A file system that reports no size sets no limit. */
    uint64_t share = ((uint64_t)system.f_bavail * system.f_frsize + taken) / LIMIT_SHARE;
    if (system.f_blocks > 0 && share < *ret_limit)
        *ret_limit = share;
    return 0;
}

int template_store_limit(uint64_t *ret_limit, struct error **ret_error) {
    _cleanup_close_ int store_fd = -1;
    _cleanup_free_ char *path = NULL;
    int r = store_open(false, &store_fd, &path, ret_error);

    return r < 0 ? r : store_limit(store_fd, ret_limit, ret_error);
}

struct candidate {
    const char *key;
    uint64_t size;
    int64_t last_used;
};

static int compare_candidates(const void *a, const void *b) {
    const struct candidate *first = a;
    const struct candidate *second = b;

    if (first->last_used != second->last_used)
        return first->last_used < second->last_used ? -1 : 1;
    return strcmp(first->key, second->key);
}

static struct candidate look_at(int store_fd, const char *key) {
    _cleanup_close_ int fd = openat(store_fd, key, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct candidate candidate = {.key = key};
    struct stat status;

    if (fd >= 0 && fstatat(fd, STORE_USED, &status, AT_SYMLINK_NOFOLLOW) == 0)
        candidate.last_used = store_time(&status.st_mtim);
    if (fd >= 0)
        candidate.size = store_disk_size(fd);
    return candidate;
}

void store_evict(int store_fd, uint64_t limit) {
    _cleanup_strv_ struct strv keys = {0};
    _cleanup_free_ struct candidate *candidates = NULL;
    uint64_t total = 0;

    if (store_keys(store_fd, &keys) < 0 || keys.count == 0)
        return;
    candidates = xcalloc(keys.count, sizeof(*candidates));
    for (size_t i = 0; i < keys.count; i++) {
        candidates[i] = look_at(store_fd, keys.items[i]);
        total += candidates[i].size;
    }
    qsort(candidates, keys.count, sizeof(*candidates), compare_candidates);
    for (size_t i = 0; i < keys.count && total > limit; i++) {
        _cleanup_close_ int directory_fd = -1;
        _cleanup_close_ int lock_fd = -1;

        if (store_lock(store_fd, candidates[i].key, LOCK_EX, true, &directory_fd, &lock_fd) < 0)
            continue;
        log_debug("the template %s makes room", candidates[i].key);
        if (store_remove(store_fd, candidates[i].key, directory_fd) == 0)
            total -= candidates[i].size;
    }
}
