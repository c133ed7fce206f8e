/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of an index, as depmod.d(5) and modules.dep(5) describe them: each as text and, for libkmod, as a trie.
 */
#include "modules/depmod-internal.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>

#include "base/file.h"
#include "modules/depmod-trie.h"

#define SOURCE_LIMIT ((size_t)64 << 20)

/* A file in the making: its text, and the same as a trie. */
struct output {
    struct buffer text;
    struct trie trie;
};

static void output_deinit(struct output *output) {
    buffer_deinit(&output->text);
    trie_deinit(&output->trie);
}

static int write_file(const char *target, const char *name, const struct buffer *content, struct error **ret_error) {
    _cleanup_free_ char *path = xasprintf("%s/%s", target, name);
    _cleanup_fclose_ FILE *file = fopen(path, "wxe");
    if (!file || fwrite(content->data ? content->data : "", 1, content->size, file) != content->size ||
        fflush(file) != 0)
        return error_errno(ret_error, errno, "cannot write %s", path);
    /* cppcheck-suppress resourceLeak ; closed by its guard */
    return 0;
}

/* Reads a file of the modules directory that need not be there. */
static void read_source(const struct depmod_modules *modules, const char *name, struct buffer *ret) {
    _cleanup_free_ char *path = xasprintf("%s/%s", modules->directory, name);
    if (file_read(path, SOURCE_LIMIT, ret, NULL) < 0)
        buffer_append(ret, "", 0);
}

static int write_trie(const char *target, const char *name, struct trie *trie, struct error **ret_error) {
    _cleanup_buffer_ struct buffer content = {0};
    int r = trie_write(trie, &content);
    if (r < 0)
        return error_errno(ret_error, r, "cannot make %s/%s", target, name);
    return write_file(target, name, &content, ret_error);
}

typedef void fill_fn(const struct depmod_modules *modules, struct output *output);

static void fill_dependencies(const struct depmod_modules *modules, struct output *output) {
    for (size_t i = 0; i < modules->count; i++) {
        const struct depmod_module *module = &modules->items[i];
        _cleanup_buffer_ struct buffer line = {0};
        buffer_printf(&line, "%s:", module->path);
        for (size_t j = 0; j < module->n_dependencies; j++) {
            buffer_append_string(&line, " ");
            buffer_append_string(&line, modules->items[module->dependencies[j]].path);
        }
        buffer_append(&output->text, line.data, line.size);
        buffer_append_string(&output->text, "\n");
        trie_add(&output->trie, module->name, line.data, (uint32_t)i);
    }
}

/* Aliases and symbols: alias NAME MODULE. */
static void fill_records(const struct depmod_modules *modules, char kind, const char *prefix, struct output *output) {
    for (size_t i = 0; i < modules->count; i++) {
        const struct depmod_module *module = &modules->items[i];
        for (const char *record = NULL; (record = depmod_next_record(module, record));) {
            if (record[0] != kind)
                continue;
            _cleanup_free_ char *alias = xasprintf("%s%s", prefix, record + 1);
            buffer_append_string(&output->text, "alias ");
            buffer_append_string(&output->text, alias);
            buffer_append_string(&output->text, " ");
            buffer_append_string(&output->text, module->name);
            buffer_append_string(&output->text, "\n");
            if (kind == DEPMOD_RECORD_ALIAS)
                trie_add_alias(&output->trie, alias, module->name, (uint32_t)i);
            else
                trie_add(&output->trie, alias, module->name, (uint32_t)i);
        }
    }
}

static void fill_aliases(const struct depmod_modules *modules, struct output *output) {
    buffer_append_string(&output->text, "# Aliases that the modules give themselves.\n");
    fill_records(modules, DEPMOD_RECORD_ALIAS, "", output);
}

static void fill_symbols(const struct depmod_modules *modules, struct output *output) {
    buffer_append_string(&output->text, "# Symbols that the modules export.\n");
    fill_records(modules, DEPMOD_RECORD_SYMBOL, "symbol:", output);
}

static void fill_softdeps(const struct depmod_modules *modules, struct output *output) {
    buffer_append_string(&output->text, "# Modules to load before or after others.\n");
    for (size_t i = 0; i < modules->count; i++)
        for (const char *record = NULL; (record = depmod_next_record(&modules->items[i], record));)
            if (record[0] == DEPMOD_RECORD_SOFTDEP)
                buffer_printf(&output->text, "softdep %s %s\n", modules->items[i].name, record + 1);
}

/* Device nodes that load a module when opened: NAME of "devname:NAME" with the numbers of a char- or block-major. */
static void fill_devname(const struct depmod_module *module, struct buffer *text) {
    const char *name = NULL;
    char type = 0;
    unsigned major = 0, minor = 0;
    for (const char *record = NULL; (record = depmod_next_record(module, record));) {
        if (record[0] != DEPMOD_RECORD_ALIAS)
            continue;
        unsigned a, b;
        const char *devname = str_skip_prefix(record + 1, "devname:");
        bool character = sscanf(record + 1, "char-major-%u-%u", &a, &b) == 2;
        if (devname) {
            name = devname;
        } else if (character || sscanf(record + 1, "block-major-%u-%u", &a, &b) == 2) {
            type = character ? 'c' : 'b';
            major = a;
            minor = b;
        }
    }
    if (name && type)
        buffer_printf(text, "%s %s %c%u:%u\n", module->name, name, type, major, minor);
}

static void fill_devnames(const struct depmod_modules *modules, struct output *output) {
    buffer_append_string(&output->text, "# Device nodes that load a module when they are opened.\n");
    for (size_t i = 0; i < modules->count; i++)
        fill_devname(&modules->items[i], &output->text);
}

/* What is built in: made by the kernel's build, copied so that the index stands alone. */
static int write_builtin(const struct depmod_modules *modules, const char *target, struct error **ret_error) {
    _cleanup_buffer_ struct buffer list = {0};
    _cleanup_(trie_deinit) struct trie trie = {0};
    read_source(modules, "modules.builtin", &list);
    int r = write_file(target, "modules.builtin", &list, ret_error);
    if (r < 0)
        return r;
    char *state;
    for (char *line = list.data ? strtok_r(list.data, "\n", &state) : NULL; line; line = strtok_r(NULL, "\n", &state)) {
        _cleanup_free_ char *name = depmod_module_name(line);
        trie_add(&trie, name, "", 0);
    }
    return write_trie(target, "modules.builtin.bin", &trie, ret_error);
}

/* modules.builtin.modinfo is a row of strings "MODULE.KEY=VALUE", each with its NUL. */
static int write_builtin_aliases(const struct depmod_modules *modules, const char *target, struct error **ret_error) {
    _cleanup_buffer_ struct buffer modinfo = {0};
    _cleanup_(trie_deinit) struct trie trie = {0};
    read_source(modules, "modules.builtin.modinfo", &modinfo);
    if (modinfo.size > 0) {
        int r = write_file(target, "modules.builtin.modinfo", &modinfo, ret_error);
        if (r < 0)
            return r;
    }
    for (size_t at = 0; at < modinfo.size; at += strlen(modinfo.data + at) + 1) {
        const char *record = modinfo.data + at;
        const char *dot = strchr(record, '.');
        const char *alias = dot ? str_skip_prefix(dot, ".alias=") : NULL;
        if (!alias)
            continue;
        _cleanup_free_ char *name = depmod_module_name(record);
        trie_add_alias(&trie, alias, name, 0);
    }
    return write_trie(target, "modules.builtin.alias.bin", &trie, ret_error);
}

static int write_order(const struct depmod_modules *modules, const char *target, struct error **ret_error) {
    _cleanup_buffer_ struct buffer order = {0};
    read_source(modules, "modules.order", &order);
    return write_file(target, "modules.order", &order, ret_error);
}

int depmod_write(const struct depmod_modules *modules, const char *target, struct error **ret_error) {
    static const struct {
        const char *text;
        const char *trie;
        fill_fn *fill;
    } files[] = {
        {"modules.alias", "modules.alias.bin", fill_aliases},
        {"modules.symbols", "modules.symbols.bin", fill_symbols},
        {"modules.softdep", NULL, fill_softdeps},
        {"modules.devname", NULL, fill_devnames},
        {"modules.dep", "modules.dep.bin", fill_dependencies},
    };
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        _cleanup_(output_deinit) struct output output = {0};
        files[i].fill(modules, &output);
        int r = write_file(target, files[i].text, &output.text, ret_error);
        if (r == 0 && files[i].trie)
            r = write_trie(target, files[i].trie, &output.trie, ret_error);
        if (r < 0)
            return r;
    }
    int r = write_builtin(modules, target, ret_error);
    if (r == 0)
        r = write_builtin_aliases(modules, target, ret_error);
    return r < 0 ? r : write_order(modules, target, ret_error);
}
