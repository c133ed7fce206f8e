/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index of a modules directory, kept in the cache:
 *
 *     modules/KEY.list     the paths whose times make up the next key (depmod-list.c)
 *     modules/KEY/index/   the index: what a guest gets as a layer over the modules
 *     modules/KEY/view/    the same and the modules, as symbolic links: libkmod only knows modules beside their index
 *     modules/KEY/unpacked/  the modules that guests need, where they are compressed
 *
 * KEY/ is built under another name and published with one rename(2): nobody ever sees half of it, and of two that
 * build it at once the first wins.
 */
#include "modules/depmod.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/directory.h"
#include "base/file.h"
#include "modules/depmod-internal.h"

#define TEMPORARY_PREFIX "building-"
#define PRIVATE_PREFIX "vmtest-modules-"
#define LIST_LIMIT ((size_t)64 << 20)

bool depmod_exists(const char *directory) {
    /* What kmod_load_resources() insists on. */
    static const char *const files[] = {"modules.dep.bin", "modules.alias.bin", "modules.symbols.bin",
                                        "modules.builtin.bin"};
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        _cleanup_free_ char *path = xasprintf("%s/%s", directory, files[i]);
        if (!path_exists(path))
            return false;
    }
    return true;
}

char *depmod_view(const char *index) {
    _cleanup_free_ char *entry = path_parent(index);
    return xasprintf("%s/view", entry);
}

char *depmod_unpacked(const char *index, const char *name) {
    _cleanup_free_ char *entry = path_parent(index);
    _cleanup_free_ char *path = xasprintf("%s/unpacked/%s.ko", entry, name);
    return path_exists(path) ? TAKE_PTR(path) : NULL;
}

void depmod_remove(const char *index) {
    _cleanup_free_ char *entry = path_parent(index);
    (void)directory_remove(AT_FDCWD, entry);
}

/* The lock is this process's as long as that lives: by then the directory has its final name, or has been removed. */
static char *make_locked(const char *parent, const char *prefix, struct error **ret_error) {
    char *path;
    int lock_fd;

    return directory_make_locked(parent, prefix, &path, &lock_fd, ret_error) < 0 ? NULL : path;
}

/* A new directory below the cache, or NULL when the cache cannot be written. */
static char *make_in_cache(const char *parent) {
    if (!parent || path_make_directories(parent, 0755, NULL) < 0)
        return NULL;
    directory_sweep(parent, TEMPORARY_PREFIX);
    file_sweep(parent);
    return make_locked(parent, TEMPORARY_PREFIX, NULL);
}

static const char *private_parent(void) {
    const char *parent = getenv("TMPDIR");
    return str_empty(parent) ? "/tmp" : parent;
}

/* Links into the view all that is in `from`, as TARGET/NAME. A name that is linked already stays. */
static int link_all(const char *from, const char *target, const char *view) {
    _cleanup_closedir_ DIR *dir = opendir(from);
    const struct dirent *entry;
    if (!dir)
        return -errno;
    while ((entry = readdir(dir))) {
        _cleanup_free_ char *path = xasprintf("%s/%s", target, entry->d_name);
        _cleanup_free_ char *link = xasprintf("%s/%s", view, entry->d_name);
        if (entry->d_name[0] != '.' && symlink(path, link) < 0 && errno != EEXIST)
            return -errno;
    }
    return 0;
}

static int fill_entry(struct depmod_modules *modules, const char *entry, struct error **ret_error) {
    _cleanup_free_ char *index = xasprintf("%s/index", entry);
    _cleanup_free_ char *view = xasprintf("%s/view", entry);
    _cleanup_free_ char *unpacked = xasprintf("%s/unpacked", entry);
    if (mkdir(index, 0755) < 0 || mkdir(view, 0755) < 0 || mkdir(unpacked, 0755) < 0 || chmod(entry, 0755) < 0)
        return error_errno(ret_error, errno, "cannot make the index of the modules in %s", modules->directory);
    depmod_sort(modules);
    int r = depmod_read(modules, ret_error);
    if (r == 0)
        r = depmod_write(modules, index, ret_error);
    if (r == 0)
        r = depmod_unpack(modules, unpacked, ret_error);
    if (r < 0)
        return r;
    /* The index comes first, so that its files win, by names that stay right when the entry is renamed. */
    r = link_all(index, "../index", view);
    if (r == 0)
        r = link_all(modules->directory, modules->directory, view);
    return r < 0 ? error_errno(ret_error, r, "cannot make the index of the modules in %s", modules->directory) : 0;
}

/* The index in the cache by the list of paths that was kept, or NULL. */
static char *find_cached(const char *parent, const char *list_path, const char *directory) {
    _cleanup_buffer_ struct buffer list = {0};
    _cleanup_strv_ struct strv watched = {0};
    char *state;
    if (file_read(list_path, LIST_LIMIT, &list, NULL) < 0 || list.size == 0)
        return NULL;
    for (char *path = strtok_r(list.data, "\n", &state); path; path = strtok_r(NULL, "\n", &state))
        strv_append(&watched, path);
    _cleanup_free_ char *key = depmod_key(directory, &watched);
    _cleanup_free_ char *index = xasprintf("%s/%s/index", parent, key);
    return depmod_exists(index) ? TAKE_PTR(index) : NULL;
}

/* Gives the finished entry its name in the cache; gives its index. */
static char *depmod_publish(const char *made, const char *parent, const char *list_path,
                            const struct depmod_modules *modules, struct error **ret_error) {
    _cleanup_free_ char *key = depmod_key(modules->directory, &modules->watched);
    _cleanup_free_ char *final = xasprintf("%s/%s", parent, key);
    _cleanup_free_ char *index = xasprintf("%s/index", final);
    _cleanup_free_ char *list = strv_join(&modules->watched, "\n");
    if (rename(made, final) < 0) {
        int code = errno;
        (void)directory_remove(AT_FDCWD, made);
        if (!depmod_exists(index)) {
            (void)error_errno(ret_error, code, "cannot put the index of the modules at %s", final);
            return NULL;
        }
    }
    _cleanup_free_ char *lines = xasprintf("%s\n", list);
    /* Without the list the next run builds the index again: slow, not wrong. */
    if (file_write_atomically(list_path, lines, strlen(lines), 0644, NULL) < 0)
        (void)unlink(list_path);
    return TAKE_PTR(index);
}

int depmod_build(const char *directory, const char *release, bool build_tree, const char *cache_directory,
                 int cancel_fd, modules_notice_fn *notice, void *notice_data, char **ret_index, bool *ret_temporary,
                 struct error **ret_error) {
    _cleanup_free_ char *parent = cache_directory ? xasprintf("%s/modules", cache_directory) : NULL;
    _cleanup_free_ char *list_key = depmod_key(directory, &(struct strv){0});
    _cleanup_free_ char *list_path = parent ? xasprintf("%s/%s.list", parent, list_key) : NULL;
    _cleanup_free_ char *index = parent ? find_cached(parent, list_path, directory) : NULL;
    bool temporary = false;
    directory_sweep(private_parent(), PRIVATE_PREFIX);
    if (!index) {
        _cleanup_(depmod_modules_deinit) struct depmod_modules modules = {0};
        int r = depmod_list(directory, build_tree, &modules, ret_error);
        if (r < 0)
            return r;
        _cleanup_free_ char *made = make_in_cache(parent);
        temporary = !made;
        if (!made)
            made = make_locked(private_parent(), PRIVATE_PREFIX, ret_error);
        if (!made)
            return -EIO;
        _cleanup_free_ char *line =
            xasprintf("indexing the modules of %s (%s)", release, temporary ? "no cache to keep it" : "once");
        if (notice)
            notice(notice_data, line);
        modules.cancel_fd = cancel_fd;
        r = fill_entry(&modules, made, ret_error);
        if (r < 0) {
            (void)directory_remove(AT_FDCWD, made);
            return r;
        }
        index = temporary ? xasprintf("%s/index", made) : depmod_publish(made, parent, list_path, &modules, ret_error);
        if (!index)
            return -EIO;
    }
    *ret_index = TAKE_PTR(index);
    *ret_temporary = temporary;
    return 0;
}
