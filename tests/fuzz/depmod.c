/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index of modules out of what they say of themselves. An input is lines: a letter, then text. "m" begins a module
 * and names its file, "a", "d", "s" and "y" are its records; "b", "i" and "o" are lines of modules.builtin,
 * modules.builtin.modinfo and modules.order.
 */
#include "modules/depmod-internal.h"

#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>

#include "base/file.h"
#include "fuzz.h"

#define MODULES_MAX 64

/* In memory, or elsewhere where there is no such file system. */
static char in_memory[] = "/dev/shm/vmtest-fuzz-XXXXXX";
static char elsewhere[] = "/tmp/vmtest-fuzz-XXXXXX";
static const char *directory;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *walk) {
    return remove(path);
}

static void remove_directory(void) {
    (void)nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void make_directory(void) {
    if (directory)
        return;
    directory = mkdtemp(in_memory);
    if (!directory)
        directory = mkdtemp(elsewhere);
    if (!directory)
        abort();
    (void)atexit(remove_directory);
}

struct input {
    struct depmod_modules modules;
    struct buffer records[MODULES_MAX];
    struct buffer builtin, modinfo, order;
};

static void add_module(struct input *input, const char *path) {
    struct depmod_modules *modules = &input->modules;

    if (modules->count == MODULES_MAX || !path[0])
        return;
    modules->items[modules->count++] = (struct depmod_module){.path = xstrdup(path), .order = SIZE_MAX};
}

static void add_line(struct input *input, const char *line) {
    size_t count = input->modules.count;

    switch (line[0]) {
    case 'm':
        add_module(input, line + 1);
        break;
    case DEPMOD_RECORD_ALIAS:
    case DEPMOD_RECORD_DEPENDS:
    case DEPMOD_RECORD_SOFTDEP:
    case DEPMOD_RECORD_SYMBOL:
        /* as append_record() has it */
        if (count > 0 && !strchr(line, '\r'))
            buffer_append(&input->records[count - 1], line, strlen(line) + 1);
        break;
    case 'b':
        buffer_printf(&input->builtin, "%s\n", line + 1);
        break;
    case 'i':
        buffer_append(&input->modinfo, line + 1, strlen(line + 1) + 1);
        break;
    case 'o':
        buffer_printf(&input->order, "%s\n", line + 1);
        break;
    default:
        break;
    }
}

static void read_input(struct input *input, const uint8_t *data, size_t size) {
    _cleanup_free_ char *text = xstrndup((const char *)data, size);
    char *state;

    input->modules.directory = directory;
    input->modules.items = xcalloc(MODULES_MAX, sizeof(*input->modules.items));
    for (char *line = strtok_r(text, "\n", &state); line; line = strtok_r(NULL, "\n", &state))
        add_line(input, line);
    for (size_t i = 0; i < input->modules.count; i++) {
        input->modules.items[i].records = input->records[i].data;
        input->modules.items[i].records_size = input->records[i].size;
    }
}

static void input_deinit(struct input *input) {
    depmod_modules_deinit(&input->modules);
    for (size_t i = 0; i < MODULES_MAX; i++)
        buffer_deinit(&input->records[i]);
    buffer_deinit(&input->builtin);
    buffer_deinit(&input->modinfo);
    buffer_deinit(&input->order);
}

static void write_source(const char *name, const struct buffer *content) {
    _cleanup_free_ char *path = xasprintf("%s/%s", directory, name);
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (fd < 0 || fd_write_all(fd, content->data ? content->data : "", content->size) < 0)
        abort();
}

/* What depends on something comes before it, nothing comes twice and nothing depends on itself. */
static void check_dependencies(const struct depmod_modules *modules) {
    for (size_t i = 0; i < modules->count; i++) {
        const struct depmod_module *module = &modules->items[i];

        FUZZ_CHECK(module->n_dependencies < modules->count);
        for (size_t j = 0; j < module->n_dependencies; j++) {
            FUZZ_CHECK(module->dependencies[j] < modules->count && module->dependencies[j] != i);
            for (size_t k = 0; k < j; k++)
                FUZZ_CHECK(module->dependencies[k] != module->dependencies[j]);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input input = {0};
    _cleanup_error_ struct error *error = NULL;
    _cleanup_free_ char *target = NULL;

    make_directory();
    target = xasprintf("%s/index", directory);
    if (mkdir(target, 0700) < 0)
        abort();
    read_input(&input, data, size);
    write_source("modules.order", &input.order);
    write_source("modules.builtin", &input.builtin);
    write_source("modules.builtin.modinfo", &input.modinfo);
    depmod_sort(&input.modules);
    depmod_resolve(&input.modules);
    check_dependencies(&input.modules);
    fuzz_check_error(depmod_write(&input.modules, target, &error), &error);
    FUZZ_CHECK(!error);
    input_deinit(&input);
    (void)nftw(target, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}
