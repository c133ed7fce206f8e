/* SPDX-License-Identifier: Apache-2.0 */
/* What there is, for people, and whether it is sound. */
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/file.h"
#include "template/key.h"
#include "template/store-internal.h"

/* A template whose meta.json cannot be read is listed with what is known. */
static int look_at_entry(int store_fd, const char *store_path, const char *key, struct template_entry *ret_entry) {
    _cleanup_close_ int fd = openat(store_fd, key, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    _cleanup_record_ struct store_record record = {0};
    struct stat status;

    if (fd < 0)
        return -errno;
    *ret_entry = (struct template_entry){
        .key = xstrdup(key),
        .path = xasprintf("%s/%s", store_path, key),
        .disk_size = store_disk_size(fd),
    };
    if (fstatat(fd, STORE_USED, &status, AT_SYMLINK_NOFOLLOW) == 0)
        ret_entry->last_used = store_time(&status.st_mtim);
    if (store_record_load(fd, &record, NULL) < 0)
        return 0;
    ret_entry->source = TAKE_PTR(record.source);
    ret_entry->kernel_release = TAKE_PTR(record.kernel_release);
    ret_entry->qemu_version = TAKE_PTR(record.qemu_version);
    ret_entry->memory_size = record.files[STORE_MEMORY].size;
    ret_entry->created = record.created;
    return 0;
}

static int compare_entries(const void *a, const void *b) {
    const struct template_entry *first = a;
    const struct template_entry *second = b;

    if (first->last_used != second->last_used)
        return first->last_used > second->last_used ? -1 : 1;
    return strcmp(first->key, second->key);
}

int template_list(struct template_entry **ret_entries, size_t *ret_count, struct error **ret_error) {
    _cleanup_error_ struct error *error = NULL;
    _cleanup_strv_ struct strv keys = {0};
    _cleanup_close_ int store_fd = -1;
    _cleanup_free_ char *path = NULL;
    struct template_entry *entries;
    size_t count = 0;
    int r = store_open(false, &store_fd, &path, &error);

    if (r == 0) {
        r = store_keys(store_fd, &keys);
        if (r < 0)
            return error_errno(ret_error, r, "%s", path);
    }
    if (r < 0 && r != -ENOENT)
        return error_new(ret_error, r, "%s", error_message(error));
    entries = xcalloc(keys.count + 1, sizeof(*entries));
    for (size_t i = 0; i < keys.count; i++)
        count += look_at_entry(store_fd, path, keys.items[i], &entries[count]) == 0;
    qsort(entries, count, sizeof(*entries), compare_entries);
    *ret_entries = entries;
    *ret_count = count;
    return 0;
}

void template_list_free(struct template_entry *entries, size_t count) {
    for (size_t i = 0; i < count; i++) {
        free(entries[i].key);
        free(entries[i].path);
        free(entries[i].source);
        free(entries[i].kernel_release);
        free(entries[i].qemu_version);
    }
    free(entries);
}

int template_verify(const char *key, struct error **ret_error) {
    _cleanup_error_ struct error *reason = NULL;
    _cleanup_template_ struct template template = TEMPLATE_NONE;
    _cleanup_record_ struct store_record record = {0};
    _cleanup_close_ int directory_fd = -1;
    _cleanup_close_ int store_fd = -1;
    _cleanup_free_ char *path = NULL;
    struct stat status;
    int r;

    if (!store_is_key(key))
        return error_new(ret_error, EINVAL, "'%s' is not a template's key", key);
    r = store_open(false, &store_fd, &path, ret_error);
    if (r < 0)
        return r;
    r = store_lock(store_fd, key, LOCK_SH, true, &directory_fd, &template.lock_fd);
    if (r == -EBUSY || r == -ENOENT)
        return error_new(ret_error, ENOENT, "there is no template %s", key);
    if (r < 0 || fstat(template.lock_fd, &status) < 0)
        return error_errno(ret_error, r < 0 ? r : errno, "%s/%s", path, key);
    r = store_load(directory_fd, key, true, &template, &record, &reason);
    if (r == 0) {
        store_mark_checked(template.lock_fd);
        /* Being looked at is no use. */
        (void)futimens(template.lock_fd, (struct timespec[]){status.st_atim, status.st_mtim});
    } else if (r == -EBADMSG) {
        int removed = store_remove(store_fd, key, directory_fd);

        /* Somebody took it away under our eyes: what we saw missing is no damage. */
        if (removed == -ENOENT)
            return error_new(ret_error, ENOENT, "there is no template %s", key);
        if (removed < 0)
            error_context(&reason, "it could not be removed");
    }
    return r < 0 ? error_new(ret_error, r, "%s", error_message(reason)) : 0;
}
