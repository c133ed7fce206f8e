/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which module files there are, and the key of the index over them.
 *
 * Every run of a kernel without its own index asks for the key, and walking four thousand files for it would cost
 * 25 ms. So the key is over the times of the directories (in a build tree, of the modules), which are listed once:
 * 2 ms. What adds, removes or replaces a file changes its directory's time; only a file that is overwritten in place
 * goes unnoticed, and whoever does that to a whole tree also writes its modules.order, which is in the key.
 */
#include "modules/depmod-internal.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <xxhash.h>

#include "base/file.h"

#define DEPTH_LIMIT 32 /* directories within directories; ends a loop of symbolic links */
#define ORDER_LIMIT ((size_t)64 << 20)
#define KEY_VERSION 1 /* to be raised with every change of what is written */

char *depmod_module_name(const char *path) {
    const char *base = path_basename(path);
    char *name = xstrndup(base, strcspn(base, "."));
    for (char *at = name; *at; at++)
        if (*at == '-')
            *at = '_';
    return name;
}

static bool is_module_file(const char *name) {
    static const char *const suffixes[] = {".ko", ".ko.gz", ".ko.xz", ".ko.zst"};
    for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++)
        if (str_has_suffix(name, suffixes[i]))
            return true;
    return false;
}

static void add_to_key(XXH3_state_t *state, int directory, const char *path) {
    struct stat st = {0};
    int found = fstatat(directory, path, &st, 0) == 0;
    int64_t facts[] = {found, st.st_size, st.st_mtim.tv_sec, st.st_mtim.tv_nsec, (int64_t)st.st_ino};
    (void)XXH3_128bits_update(state, path, strlen(path) + 1);
    (void)XXH3_128bits_update(state, facts, sizeof(facts));
}

char *depmod_key(const char *directory, const struct strv *watched) {
    static const char *const top[] = {".", "modules.order", "modules.builtin", "modules.builtin.modinfo"};
    _cleanup_close_ int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    XXH3_state_t *state = XXH3_createState();
    if (!state)
        abort(); /* out of memory, as base/str.h does it */
    (void)XXH3_128bits_reset_withSeed(state, KEY_VERSION);
    (void)XXH3_128bits_update(state, directory, strlen(directory) + 1);
    for (size_t i = 0; i < ARRAY_SIZE(top); i++)
        add_to_key(state, fd, top[i]);
    for (size_t i = 0; i < watched->count; i++)
        add_to_key(state, fd, watched->items[i]);
    XXH128_hash_t hash = XXH3_128bits_digest(state);
    (void)XXH3_freeState(state);
    return xasprintf("%016llx%016llx", (unsigned long long)hash.high64, (unsigned long long)hash.low64);
}

/* Where two directories have a module of one name: the order that depmod has by default, and beyond it the path's. */
static size_t path_priority(const char *path) {
    static const char *const first[] = {"updates/", "extra/", "weak-updates/"};
    for (size_t i = 0; i < ARRAY_SIZE(first); i++)
        if (str_skip_prefix(path, first[i]))
            return i;
    return ARRAY_SIZE(first);
}

static void add_module(struct depmod_modules *modules, const char *path) {
    if (modules->count == modules->capacity) {
        modules->capacity = modules->capacity ? modules->capacity * 2 : 512;
        modules->items = xreallocarray(modules->items, modules->capacity, sizeof(*modules->items));
    }
    modules->items[modules->count++] =
        (struct depmod_module){.path = xstrdup(path), .order = SIZE_MAX, .priority = path_priority(path)};
}

static int list_directory(struct depmod_modules *modules, int parent, const char *name, const char *prefix,
                          unsigned depth) {
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_closedir_ DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        int code = -errno;
        (void)fd_close(fd);
        return code;
    }
    const struct dirent *entry;
    while ((entry = readdir(dir))) {
        unsigned char type = entry->d_type;
        /* `build` and `source` lead into a whole source tree. */
        if (entry->d_name[0] == '.' ||
            (depth == 0 && (str_equal(entry->d_name, "build") || str_equal(entry->d_name, "source"))))
            continue;
        bool module = is_module_file(entry->d_name);
        if (type == DT_REG && !module)
            continue;
        struct stat st = {.st_mode = type == DT_DIR ? S_IFDIR : S_IFREG};
        if (type != DT_DIR && type != DT_REG && fstatat(fd, entry->d_name, &st, 0) < 0)
            continue; /* a dangling link */
        if (S_ISDIR(st.st_mode)) {
            _cleanup_free_ char *below = xasprintf("%s%s/", prefix, entry->d_name);
            strv_append(&modules->watched, below);
            if (depth < DEPTH_LIMIT)
                (void)list_directory(modules, fd, entry->d_name, below, depth + 1);
        } else if (module && S_ISREG(st.st_mode)) {
            _cleanup_free_ char *path = xasprintf("%s%s", prefix, entry->d_name);
            add_module(modules, path);
        }
    }
    return 0;
}

/* One line of a build tree's modules.order: "a/b.ko", since Linux 6.x "a/b.o", and before 5.3 "kernel/a/b.ko". */
static void list_order_line(struct depmod_modules *modules, int directory, const char *line) {
    struct stat st;
    _cleanup_free_ char *path =
        str_has_suffix(line, ".o") ? xasprintf("%.*s.ko", (int)strlen(line) - 2, line) : xstrdup(line);
    const char *found = path;
    if (!is_module_file(path))
        return;
    if (fstatat(directory, path, &st, 0) < 0 || !S_ISREG(st.st_mode))
        found = str_skip_prefix(path, "kernel/");
    if (!found || fstatat(directory, found, &st, 0) < 0 || !S_ISREG(st.st_mode))
        return;
    add_module(modules, found);
    strv_append(&modules->watched, found);
}

static int list_build_tree(struct depmod_modules *modules, const char *directory) {
    _cleanup_buffer_ struct buffer order = {0};
    _cleanup_free_ char *path = xasprintf("%s/modules.order", directory);
    int r = file_read(path, ORDER_LIMIT, &order, NULL);
    if (r < 0)
        return r;
    _cleanup_close_ int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    char *state;
    for (char *line = order.data ? strtok_r(order.data, "\n", &state) : NULL; line; line = strtok_r(NULL, "\n", &state))
        list_order_line(modules, fd, line);
    return 0;
}

int depmod_list(const char *directory, bool build_tree, struct depmod_modules *ret, struct error **ret_error) {
    struct depmod_modules modules = {.directory = directory, .cancel_fd = -1};
    int r = build_tree ? list_build_tree(&modules, directory) : list_directory(&modules, AT_FDCWD, directory, "", 0);
    if (r < 0) {
        depmod_modules_deinit(&modules);
        return error_errno(ret_error, r, "cannot read the modules directory %s", directory);
    }
    *ret = modules;
    return 0;
}

static int compare_names(const void *a, const void *b) {
    const struct depmod_module *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    if (order != 0)
        return order;
    if (x->priority != y->priority)
        return x->priority < y->priority ? -1 : 1;
    return strcmp(x->path, y->path);
}

static int compare_order(const void *a, const void *b) {
    const struct depmod_module *x = a, *y = b;
    if (x->order != y->order)
        return x->order < y->order ? -1 : 1;
    return strcmp(x->path, y->path);
}

static void free_module(struct depmod_module *module) {
    free(module->path);
    free(module->name);
    free(module->dependencies);
}

/* Gives the module of this line its place. A line names the file as it was built, uncompressed. */
static void apply_order_line(struct depmod_modules *modules, const char *line, size_t number) {
    _cleanup_free_ char *name = depmod_module_name(line);
    struct depmod_module wanted = {.name = name, .path = name};
    size_t low = 0, high = modules->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (strcmp(modules->items[middle].name, wanted.name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == modules->count || strcmp(modules->items[low].name, name) != 0)
        return;
    /* The same name in updates/ is another file, of which modules.order knows nothing. */
    size_t length = strcspn(path_basename(line), ".") + (size_t)(path_basename(line) - line);
    const char *path = modules->items[low].path;
    const char *inner = str_skip_prefix(line, "kernel/");
    if (strncmp(path, line, length) == 0 || (inner && strncmp(path, inner, length - (size_t)(inner - line)) == 0))
        modules->items[low].order = number;
}

void depmod_sort(struct depmod_modules *modules) {
    size_t kept = 0;
    for (size_t i = 0; i < modules->count; i++)
        modules->items[i].name = depmod_module_name(modules->items[i].path);
    if (modules->count == 0)
        return;
    qsort(modules->items, modules->count, sizeof(*modules->items), compare_names);
    for (size_t i = 0; i < modules->count; i++) {
        if (kept > 0 && strcmp(modules->items[kept - 1].name, modules->items[i].name) == 0)
            free_module(&modules->items[i]);
        else
            modules->items[kept++] = modules->items[i];
    }
    modules->count = kept;

    _cleanup_buffer_ struct buffer order = {0};
    _cleanup_free_ char *path = xasprintf("%s/modules.order", modules->directory);
    char *state;
    size_t number = 0;
    if (file_read(path, ORDER_LIMIT, &order, NULL) == 0 && order.data)
        for (char *line = strtok_r(order.data, "\n", &state); line; line = strtok_r(NULL, "\n", &state))
            apply_order_line(modules, line, number++);
    qsort(modules->items, modules->count, sizeof(*modules->items), compare_order);
}

void depmod_modules_deinit(struct depmod_modules *modules) {
    for (size_t i = 0; i < modules->count; i++)
        free_module(&modules->items[i]);
    free(modules->items);
    for (size_t i = 0; i < modules->n_mappings; i++)
        if (modules->mappings[i].data)
            (void)munmap(modules->mappings[i].data, modules->mappings[i].size);
    free(modules->mappings);
    strv_deinit(&modules->watched);
    *modules = (struct depmod_modules){0};
}
