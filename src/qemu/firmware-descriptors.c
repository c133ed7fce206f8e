/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QEMU's firmware descriptors: JSON files in three directories. A file in a directory of higher precedence hides those
 * of the same name below it, and an empty one hides them without a replacement. Together they are taken in the order of
 * their names.
 */
#include <dirent.h>
#include <fnmatch.h>
#include <jansson.h>

#include "base/file.h"
#include "base/log.h"
#include "qemu/firmware.h"

#define DESCRIPTOR_LIMIT (1u << 20)

/* How well a firmware suits an image that may not be signed. */
enum rank { RANK_PLAIN, RANK_SMM, RANK_SIGNED, RANK_COUNT };

/* A descriptor's name, and the path that counts for it. */
struct descriptor {
    char *name;
    char *path;
};

struct descriptors {
    struct descriptor *items;
    size_t count;
};

static void add_file(struct descriptors *descriptors, const char *directory, const char *name) {
    for (size_t i = 0; i < descriptors->count; i++) {
        if (str_equal(descriptors->items[i].name, name))
            return; /* hidden */
    }
    descriptors->items = xreallocarray(descriptors->items, descriptors->count + 1, sizeof(*descriptors->items));
    descriptors->items[descriptors->count++] =
        (struct descriptor){.name = xstrdup(name), .path = xasprintf("%s/%s", directory, name)};
}

static void add_directory(struct descriptors *descriptors, char *path) {
    _cleanup_closedir_ DIR *directory = opendir(path);
    struct dirent *entry;

    while (directory && (entry = readdir(directory)) != NULL) {
        if (entry->d_name[0] != '.' && str_has_suffix(entry->d_name, ".json"))
            add_file(descriptors, path, entry->d_name);
    }
    free(path);
}

static int descriptor_compare(const void *a, const void *b) {
    return strcmp(((const struct descriptor *)a)->name, ((const struct descriptor *)b)->name);
}

static void list_files(const char *root, struct descriptors *descriptors) {
    const char *config = getenv("XDG_CONFIG_HOME");
    const char *home = getenv("HOME");

    if (config && config[0] == '/')
        add_directory(descriptors, xasprintf("%s%s/qemu/firmware", root, config));
    else if (!str_empty(home))
        add_directory(descriptors, xasprintf("%s%s/.config/qemu/firmware", root, home));
    add_directory(descriptors, xasprintf("%s/etc/qemu/firmware", root));
    add_directory(descriptors, xasprintf("%s/usr/share/qemu/firmware", root));
    add_directory(descriptors, xasprintf("%s/usr/local/share/qemu/firmware", root));
    add_directory(descriptors, xasprintf("%s/run/current-system/sw/share/qemu/firmware", root));
    if (descriptors->count > 0)
        qsort(descriptors->items, descriptors->count, sizeof(*descriptors->items), descriptor_compare);
}

static bool array_has(const json_t *array, const char *text) {
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (str_equal(json_string_value(json_array_get(array, i)), text))
            return true;
    }
    return false;
}

/* Patterns name versioned machines; ours is their alias. */
static bool machine_matches(const json_t *patterns, const struct arch *arch) {

    for (size_t i = 0; i < json_array_size(patterns); i++) {
        const char *pattern = json_string_value(json_array_get(patterns, i));

        if (pattern && (fnmatch(pattern, arch->machine, 0) == 0 || fnmatch(pattern, arch->machine_versioned, 0) == 0))
            return true;
    }
    return false;
}

static bool is_for(const json_t *descriptor, const struct arch *arch) {
    const json_t *targets = json_object_get(descriptor, "targets");

    if (!array_has(json_object_get(descriptor, "interface-types"), "uefi"))
        return false;
    for (size_t i = 0; i < json_array_size(targets); i++) {
        const json_t *target = json_array_get(targets, i);

        if (str_equal(json_string_value(json_object_get(target, "architecture")), arch->name) &&
            machine_matches(json_object_get(target, "machines"), arch))
            return true;
    }
    return false;
}

static enum rank rank_of(const json_t *features, enum firmware_kind kind) {
    if (array_has(features, "enrolled-keys"))
        return RANK_SIGNED;
    if (array_has(features, "requires-smm") || array_has(features, "secure-boot"))
        return RANK_SMM;
    /* Without variables: made for confidential guests. */
    return kind == FIRMWARE_ROM ? RANK_SMM : RANK_PLAIN;
}

static char *path_rooted(const char *root, const char *path) {
    return path ? xasprintf("%s%s", root, path) : NULL;
}

static char *format_of(const json_t *file) {
    const char *format = json_string_value(json_object_get(file, "format"));

    return xstrdup(format ? format : "raw");
}

/* Fills *ret_firmware from a mapping; false for one that says nothing we know. */
static bool take_mapping(const char *root, const json_t *mapping, struct firmware *ret_firmware) {
    const char *device = json_string_value(json_object_get(mapping, "device"));
    const char *mode = json_string_value(json_object_get(mapping, "mode"));
    const json_t *code = json_object_get(mapping, "executable");
    const json_t *vars = json_object_get(mapping, "nvram-template");

    *ret_firmware = (struct firmware){0};
    if (str_equal(device, "memory")) {
        ret_firmware->kind = FIRMWARE_ROM;
        ret_firmware->code = path_rooted(root, json_string_value(json_object_get(mapping, "filename")));
        ret_firmware->code_format = xstrdup("raw");
    } else if (str_equal(device, "flash")) {
        ret_firmware->code = path_rooted(root, json_string_value(json_object_get(code, "filename")));
        ret_firmware->code_format = format_of(code);
        if (str_equal(mode, "combined"))
            ret_firmware->kind = FIRMWARE_COMBINED;
        else if (str_equal(mode, "stateless") && str_equal(ret_firmware->code_format, "raw"))
            ret_firmware->kind = FIRMWARE_ROM;
        else {
            ret_firmware->kind = FIRMWARE_SPLIT;
            ret_firmware->vars = path_rooted(root, json_string_value(json_object_get(vars, "filename")));
            ret_firmware->vars_format = format_of(vars);
        }
    }
    if (ret_firmware->code && (ret_firmware->kind != FIRMWARE_SPLIT || ret_firmware->vars))
        return true;
    firmware_deinit(ret_firmware);
    return false;
}

/* Reads a descriptor and appends what it names to the list of its rank. */
static void take_descriptor(const char *root, const char *path, const struct arch *arch, struct firmware_list *lists) {
    _cleanup_buffer_ struct buffer text = {0};
    struct firmware firmware;
    json_t *descriptor;

    if (file_read(path, DESCRIPTOR_LIMIT, &text, NULL) < 0 || text.size == 0)
        return;
    descriptor = json_loadb(text.data, text.size, 0, NULL);
    if (!descriptor)
        log_debug("%s is no firmware descriptor", path);
    if (is_for(descriptor, arch) && take_mapping(root, json_object_get(descriptor, "mapping"), &firmware)) {
        const json_t *features = json_object_get(descriptor, "features");
        struct firmware_list *list = &lists[rank_of(features, firmware.kind)];

        firmware.smm = array_has(features, "requires-smm");
        list->items = xreallocarray(list->items, list->count + 1, sizeof(*list->items));
        list->items[list->count++] = firmware;
    }
    json_decref(descriptor);
}

void firmware_read_descriptors(const char *root, const struct arch *arch, struct firmware_list *list) {
    struct descriptors descriptors = {0};
    struct firmware_list lists[RANK_COUNT] = {0};

    list_files(root, &descriptors);
    for (size_t i = 0; i < descriptors.count; i++) {
        take_descriptor(root, descriptors.items[i].path, arch, lists);
        free(descriptors.items[i].name);
        free(descriptors.items[i].path);
    }
    free(descriptors.items);
    for (size_t rank = 0; rank < RANK_COUNT; rank++) {
        for (size_t i = 0; i < lists[rank].count; i++) {
            list->items = xreallocarray(list->items, list->count + 1, sizeof(*list->items));
            list->items[list->count++] = lists[rank].items[i];
        }
        free(lists[rank].items);
    }
}
