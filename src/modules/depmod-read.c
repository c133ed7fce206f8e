/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the modules, by libkmod. Nearly all of the time goes into decompressing them, so as many processes as there
 * are CPUs take a stride of them each, and leave what they found in a memfd of their own:
 *
 *     for each module: its place (size_t), the records' length (size_t), the records (a letter, a string, NUL)
 */
#include "modules/depmod-internal.h"

#include <fcntl.h>
#include <libkmod.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/child.h"
#include "base/file.h"
#include "base/log.h"
#include "kernel/unpack.h"

#define READERS_LIMIT 8
#define RECORD_HEADER (2 * sizeof(size_t))

static void unref_kmod(struct kmod_ctx **kmod) {
    if (*kmod)
        (void)kmod_unref(*kmod);
}

static void unref_module(struct kmod_module **module) {
    if (*module)
        (void)kmod_module_unref(*module);
}

static void append_record(struct buffer *records, char kind, const char *value) {
    /* The text files of the index are made of lines. */
    if (strpbrk(value, "\n\r"))
        return;
    buffer_append(records, &kind, 1);
    buffer_append(records, value, strlen(value) + 1);
}

static int append_info(const struct kmod_module *module, struct buffer *records) {
    static const struct {
        const char *key;
        char kind;
    } wanted[] = {
        {"alias", DEPMOD_RECORD_ALIAS}, {"depends", DEPMOD_RECORD_DEPENDS}, {"softdep", DEPMOD_RECORD_SOFTDEP}};
    struct kmod_list *list = NULL, *at;
    int r = kmod_module_get_info(module, &list);
    if (r < 0)
        return r;
    kmod_list_foreach(at, list) {
        for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
            if (strcmp(kmod_module_info_get_key(at), wanted[i].key) == 0)
                append_record(records, wanted[i].kind, kmod_module_info_get_value(at));
    }
    kmod_module_info_free_list(list);

    list = NULL;
    if (kmod_module_get_symbols(module, &list) >= 0) {
        kmod_list_foreach(at, list) {
            append_record(records, DEPMOD_RECORD_SYMBOL, kmod_module_symbol_get_symbol(at));
        }
        kmod_module_symbols_free_list(list);
    }
    return 0;
}

/* libkmod alone would unpack xz by growing a buffer 4 KiB at a time, and may be built without gzip. */
static int append_unpacked(struct kmod_ctx *kmod, const char *path, struct buffer *records) {
    _cleanup_buffer_ struct buffer content = {0};
    _cleanup_close_ int fd = -1;
    _cleanup_(unref_module) struct kmod_module *module = NULL;
    int r = unpack_module(path, &content, NULL);
    if (r == 0)
        r = fd_from_memory("module", content.data, content.size, &fd, NULL);
    if (r < 0)
        return r;
    _cleanup_free_ char *unpacked = xasprintf("/proc/self/fd/%d", fd);
    r = kmod_module_new_from_path(kmod, unpacked, &module);
    return r < 0 ? r : append_info(module, records);
}

static int append_plain(struct kmod_ctx *kmod, const char *path, struct buffer *records) {
    _cleanup_(unref_module) struct kmod_module *module = NULL;
    int r = kmod_module_new_from_path(kmod, path, &module);
    return r < 0 ? r : append_info(module, records);
}

/* What cannot be read is a module without dependencies, as depmod has it: the kernel will refuse it. */
static void read_module(struct kmod_ctx *kmod, const char *path, struct buffer *records) {
    int r = str_has_suffix(path, ".ko") ? append_plain(kmod, path, records) : append_unpacked(kmod, path, records);
    if (r < 0)
        log_debug("%s: cannot be read as a module: %s", path, strerror(-r));
}

static int read_stride(const struct depmod_modules *modules, size_t first, size_t step, int fd) {
    static const char *const no_configuration[] = {NULL};
    _cleanup_(unref_kmod) struct kmod_ctx *kmod = kmod_new(modules->directory, no_configuration);
    _cleanup_buffer_ struct buffer result = {0};
    if (!kmod)
        return -ENOMEM;
    kmod_set_log_priority(kmod, 0);
    for (size_t i = first; i < modules->count; i += step) {
        _cleanup_buffer_ struct buffer records = {0};
        _cleanup_free_ char *path = xasprintf("%s/%s", modules->directory, modules->items[i].path);
        read_module(kmod, path, &records);
        buffer_append(&result, &i, sizeof(i));
        buffer_append(&result, &records.size, sizeof(records.size));
        buffer_append(&result, records.data ? records.data : "", records.size);
    }
    return fd_write_all(fd, result.data ? result.data : "", result.size);
}

_Noreturn static void reader_run(const struct depmod_modules *modules, size_t first, size_t step, int fd) {
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};
    sigset_t none;
    /* The caller's handlers set flags of the caller's: here a signal simply ends it. */
    for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
        (void)signal(signals[i], SIG_DFL);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    _exit(read_stride(modules, first, step, fd) < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
}

struct reader {
    struct child child;
    int fd;
};

/* Waits until the reader has ended, or until it is not wanted any more: false. */
static bool is_wanted_to_its_end(const struct reader *reader, int cancel_fd) {
    struct pollfd polls[] = {{.fd = reader->child.pidfd, .events = POLLIN}, {.fd = cancel_fd, .events = POLLIN}};
    while (poll(polls, ARRAY_SIZE(polls), -1) <= 0)
        if (errno != EINTR)
            break;
    return !polls[1].revents;
}

static int wait_for_reader(struct reader *reader, int cancel_fd, const char *directory, struct error **ret_error) {
    if (!is_wanted_to_its_end(reader, cancel_fd))
        return error_new(ret_error, ECANCELED, "indexing the modules in %s was stopped", directory);
    int status = child_reap(&reader->child);
    if (WIFSIGNALED(status))
        return error_new(ret_error, EINTR, "indexing the modules in %s was ended by signal %d", directory,
                         WTERMSIG(status));
    if (WEXITSTATUS(status) != 0)
        return error_new(ret_error, EIO, "cannot index the modules in %s: out of memory?", directory);
    return 0;
}

/* Maps what a reader left and hands each module its records. */
static int take_records(struct depmod_modules *modules, int fd, struct error **ret_error) {
    struct stat st;
    if (fstat(fd, &st) < 0)
        return error_errno(ret_error, errno, "cannot index the modules in %s", modules->directory);
    size_t size = (size_t)st.st_size;
    if (size == 0)
        return 0;
    char *data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED)
        return error_errno(ret_error, errno, "cannot index the modules in %s", modules->directory);
    modules->mappings = xreallocarray(modules->mappings, modules->n_mappings + 1, sizeof(*modules->mappings));
    modules->mappings[modules->n_mappings++] = (struct depmod_mapping){.data = data, .size = size};
    for (size_t at = 0; size - at >= RECORD_HEADER;) {
        size_t place, length;
        memcpy(&place, data + at, sizeof(place));
        memcpy(&length, data + at + sizeof(place), sizeof(length));
        at += RECORD_HEADER;
        modules->items[place].records = data + at;
        modules->items[place].records_size = length;
        at += length;
    }
    return 0;
}

static size_t count_readers(size_t n_modules) {
    cpu_set_t cpus;
    size_t count = sched_getaffinity(0, sizeof(cpus), &cpus) < 0 ? 1 : (size_t)CPU_COUNT(&cpus);
    if (count > READERS_LIMIT)
        count = READERS_LIMIT;
    /* A handful of modules is read sooner than a process started. */
    if (count > n_modules / 16 + 1)
        count = n_modules / 16 + 1;
    return count;
}

static int start_readers(const struct depmod_modules *modules, struct reader *readers, size_t count,
                         struct error **ret_error) {
    for (size_t i = 0; i < count; i++) {
        readers[i].fd = memfd_create("vmtest-module-index", MFD_CLOEXEC);
        if (readers[i].fd < 0)
            return error_errno(ret_error, errno, "cannot index the modules in %s", modules->directory);
        int r = child_fork(SIGKILL, &readers[i].child);
        if (r < 0)
            return error_errno(ret_error, r, "cannot start a process to index the modules in %s", modules->directory);
        if (r == 0)
            reader_run(modules, i, count, readers[i].fd);
    }
    return 0;
}

static int read_records(struct depmod_modules *modules, struct error **ret_error) {
    struct reader readers[READERS_LIMIT];
    size_t count = count_readers(modules->count);
    for (size_t i = 0; i < count; i++)
        readers[i] = (struct reader){.child = CHILD_NONE, .fd = -1};
    int r = start_readers(modules, readers, count, ret_error);
    for (size_t i = 0; i < count; i++) {
        if (r == 0)
            r = wait_for_reader(&readers[i], modules->cancel_fd, modules->directory, ret_error);
        if (r == 0)
            r = take_records(modules, readers[i].fd, ret_error);
        child_deinit(&readers[i].child);
        (void)fd_close(readers[i].fd);
    }
    return r;
}

const char *depmod_next_record(const struct depmod_module *module, const char *record) {
    if (module->records_size == 0)
        return NULL;
    const char *end = module->records + module->records_size;
    const char *next = record ? record + strlen(record) + 1 : module->records;
    return next < end ? next : NULL;
}

static int compare_name_to_item(const void *name, const void *item) {
    return strcmp(name, (*(const struct depmod_module *const *)item)->name);
}

static int compare_items(const void *a, const void *b) {
    return strcmp((*(const struct depmod_module *const *)a)->name, (*(const struct depmod_module *const *)b)->name);
}

/* One walk over the modules that one module needs. */
struct walk {
    const struct depmod_modules *modules;
    struct depmod_module **by_name;
    size_t *seen; /* per module the number of the walk that met it last */
    size_t number;
    size_t *found; /* dependencies first */
    size_t n_found;
};

static void walk_dependencies(struct walk *walk, const struct depmod_module *module) {
    for (const char *record = NULL; (record = depmod_next_record(module, record));) {
        if (record[0] != DEPMOD_RECORD_DEPENDS)
            continue;
        for (const char *at = record + 1; *at; at += strcspn(at, ","), at += *at == ',') {
            _cleanup_free_ char *text = xstrndup(at, strcspn(at, ","));
            _cleanup_free_ char *name = depmod_module_name(text);
            struct depmod_module **item = bsearch(name, walk->by_name, walk->modules->count,
                                                  sizeof(struct depmod_module *), compare_name_to_item);
            if (!item)
                continue; /* built in */
            size_t place = (size_t)(*item - walk->modules->items);
            if (walk->seen[place] == walk->number)
                continue;
            walk->seen[place] = walk->number;
            walk_dependencies(walk, *item);
            walk->found[walk->n_found++] = place;
        }
    }
}

void depmod_resolve(struct depmod_modules *modules) {
    _cleanup_free_ struct depmod_module **by_name = xcalloc(modules->count + 1, sizeof(struct depmod_module *));
    _cleanup_free_ size_t *seen = xcalloc(modules->count + 1, sizeof(*seen));
    _cleanup_free_ size_t *found = xcalloc(modules->count + 1, sizeof(*found));
    for (size_t i = 0; i < modules->count; i++)
        by_name[i] = &modules->items[i];
    if (modules->count > 0)
        qsort(by_name, modules->count, sizeof(struct depmod_module *), compare_items);
    for (size_t i = 0; i < modules->count; i++) {
        struct walk walk = {.modules = modules, .by_name = by_name, .seen = seen, .number = i + 1, .found = found};
        seen[i] = i + 1;
        walk_dependencies(&walk, &modules->items[i]);
        if (walk.n_found == 0)
            continue;
        modules->items[i].dependencies = xcalloc(walk.n_found, sizeof(size_t));
        modules->items[i].n_dependencies = walk.n_found;
        for (size_t j = 0; j < walk.n_found; j++)
            modules->items[i].dependencies[j] = found[walk.n_found - 1 - j];
    }
}

int depmod_read(struct depmod_modules *modules, struct error **ret_error) {
    int r = read_records(modules, ret_error);
    if (r == 0)
        depmod_resolve(modules);
    return r;
}
