/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a kernel's modules are. The places are tried in one order, the nearest to the kernel file first, and every one
 * that was tried is kept for the message that says that none had them.
 */
#include "modules/modules.h"

#include <ctype.h>
#include <dirent.h>
#include <limits.h>

#include "base/file.h"
#include "modules/depmod.h"
#include "modules/modules-internal.h"

static bool has_entry(const char *directory, const char *name) {
    _cleanup_free_ char *path = xasprintf("%s/%s", directory, name);
    return path_exists(path);
}

static bool has_any(const char *directory, const char *const *names) {
    for (; *names; names++)
        if (has_entry(directory, *names))
            return true;
    return false;
}

static bool holds_modules(const char *directory) {
    static const char *const signs[] = {"modules.dep.bin", "modules.dep", "modules.order",
                                        "modules.builtin", "kernel",      NULL};
    return path_is_directory(directory) && has_any(directory, signs);
}

/* A build tree whose modules are built; a tree may have none, when all is built in. */
static bool is_build_tree(const char *directory) {
    static const char *const signs[] = {"Module.symvers", "vmlinux", "include/config/kernel.release", ".config", NULL};
    return has_entry(directory, "modules.order") && !has_entry(directory, "kernel/fs") && has_any(directory, signs) &&
           !has_entry(directory, "modules.dep.bin");
}

char *modules_kernel_directory(const struct kernel *kernel) {
    _cleanup_free_ char *path = realpath(kernel->path, NULL);
    return path_parent(path ? path : kernel->path);
}

char *modules_kernel_tree(const struct kernel *kernel) {
    _cleanup_free_ char *directory = modules_kernel_directory(kernel);
    /* TREE/arch/ARCH/boot */
    const char *boot = path_basename(directory);
    if (strcmp(boot, "boot") == 0) {
        _cleanup_free_ char *arch = path_parent(directory);
        _cleanup_free_ char *arches = path_parent(arch);
        if (strcmp(path_basename(arches), "arch") == 0)
            return path_parent(arches);
    }
    return TAKE_PTR(directory);
}

/* Takes `directory` if it holds modules. */
static bool modules_take_directory(struct modules *modules, const char *directory) {
    _cleanup_free_ char *path = realpath(directory, NULL);
    const char *shown = path ? path : directory;
    if (!strv_contains(&modules->searched, shown))
        strv_append(&modules->searched, shown);
    if (!path || !holds_modules(path))
        return false;
    modules->directory = TAKE_PTR(path);
    return true;
}

static bool take_below(struct modules *modules, const char *root, const char *between, const char *release) {
    _cleanup_free_ char *path = xasprintf("%s/%s%s", str_equal(root, "/") ? "" : root, between, release);
    return modules_take_directory(modules, path);
}

static bool take_build_tree(struct modules *modules, const char *directory) {
    if (!is_build_tree(directory) || !modules_take_directory(modules, directory))
        return false;
    modules->build_tree = true;
    return true;
}

static void find_near(const struct kernel *kernel, struct modules *modules) {
    _cleanup_free_ char *own = modules_kernel_directory(kernel);
    _cleanup_free_ char *parent = path_parent(own);
    _cleanup_free_ char *tree = modules_kernel_tree(kernel);
    if (strcmp(path_basename(own), kernel->release) == 0 && modules_take_directory(modules, own))
        return;
    if (take_build_tree(modules, tree))
        return;
    (void)(take_below(modules, parent, "lib/modules/", kernel->release) ||
           take_below(modules, parent, "usr/lib/modules/", kernel->release) ||
           take_below(modules, own, "lib/modules/", kernel->release) ||
           take_below(modules, "/", "lib/modules/", kernel->release) ||
           take_below(modules, "/", "usr/lib/modules/", kernel->release));
}

static bool looks_like_release(const char *name) {
    return isdigit((unsigned char)name[0]) && strchr(name, '.');
}

/* The releases that `root` has modules of, for the message. Caller frees. */
static char *list_releases(const char *root) {
    static const char *const places[] = {"lib/modules", "usr/lib/modules", "."};
    _cleanup_strv_ struct strv releases = {0};
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        _cleanup_free_ char *path = xasprintf("%s/%s", root, places[i]);
        _cleanup_closedir_ DIR *dir = opendir(path);
        const struct dirent *entry;
        while (dir && (entry = readdir(dir)))
            if (looks_like_release(entry->d_name) && !strv_contains(&releases, entry->d_name))
                strv_append(&releases, entry->d_name);
    }
    return strv_join(&releases, ", ");
}

static int find_explicit(const struct kernel *kernel, const char *given, struct modules *modules,
                         struct error **ret_error) {
    _cleanup_free_ char *path = realpath(given, NULL);
    if (!path)
        return error_errno(ret_error, errno, "%s", given);
    if (!path_is_directory(path))
        return error_new(ret_error, ENOTDIR, "%s is not a directory: give the one that holds lib/modules/%s", given,
                         kernel->release);
    if (take_build_tree(modules, path))
        return 0;
    if (take_below(modules, path, "lib/modules/", kernel->release) ||
        take_below(modules, path, "usr/lib/modules/", kernel->release) ||
        take_below(modules, path, "", kernel->release))
        return 0;
    const char *name = path_basename(path);
    if (holds_modules(path) && looks_like_release(name) && strcmp(name, kernel->release) != 0)
        return error_new(ret_error, EINVAL, "%s has the modules of %s, but the kernel %s is %s", given, name,
                         kernel->path, kernel->release);
    if (modules_take_directory(modules, path))
        return 0;
    _cleanup_free_ char *releases = list_releases(path);
    _cleanup_free_ char *others = str_empty(releases) ? xstrdup("") : xasprintf(" (only of %s)", releases);
    return error_new(ret_error, ENOENT,
                     "%s has no modules of %s%s: give the directory %s itself, or the one that holds "
                     "lib/modules/%s",
                     given, kernel->release, others, kernel->release, kernel->release);
}

int modules_find(const struct kernel *kernel, const char *explicit_directory, const char *cache_directory,
                 int cancel_fd, modules_notice_fn *notice, void *notice_data, struct modules *ret,
                 struct error **ret_error) {
    _cleanup_modules_ struct modules modules = {0};
    if (explicit_directory) {
        int r = find_explicit(kernel, explicit_directory, &modules, ret_error);
        if (r < 0)
            return r;
    } else {
        find_near(kernel, &modules);
    }
    if (modules.directory && !depmod_exists(modules.directory)) {
        int r = depmod_build(modules.directory, kernel->release, modules.build_tree, cache_directory, cancel_fd, notice,
                             notice_data, &modules.index, &modules.temporary, ret_error);
        if (r < 0)
            return r;
    }
    *ret = modules;
    modules = (struct modules){0};
    return 0;
}

void modules_deinit(struct modules *modules) {
    if (modules->temporary && modules->index)
        depmod_remove(modules->index);
    free(modules->directory);
    free(modules->index);
    strv_deinit(&modules->searched);
    *modules = (struct modules){0};
}
