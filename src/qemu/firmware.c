/* SPDX-License-Identifier: Apache-2.0 */
#include "qemu/firmware.h"

#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/file.h"

#define FLASH_SIZE_MAX (16u << 20)
#define ROM_UNIT (64u << 10)
/* In the header of a firmware volume (UEFI Platform Initialization, volume 3): its GUID and its signature. */
#define VOLUME_GUID_OFFSET 16
#define VOLUME_SIGNATURE_OFFSET 40
#define HEAD_SIZE 64

/* EFI_SYSTEM_NV_DATA_FV_GUID: the volume begins with the variable store. */
static const unsigned char variables_guid[] = {0x8d, 0x2b, 0xf1, 0xff, 0x96, 0x76, 0x8b, 0x4c,
                                               0xa9, 0x85, 0x27, 0x47, 0x07, 0x5b, 0x4f, 0x50};

void firmware_deinit(struct firmware *firmware) {
    free(firmware->code);
    free(firmware->vars);
    free(firmware->code_format);
    free(firmware->vars_format);
    *firmware = (struct firmware){0};
}

static void list_deinit(struct firmware_list *list) {
    for (size_t i = 0; i < list->count; i++)
        firmware_deinit(&list->items[i]);
    free(list->items);
    *list = (struct firmware_list){0};
}

static const char *format_by_name(const char *path) {
    return str_has_suffix(path, ".qcow2") ? "qcow2" : "raw";
}

static void add_place(const char *root, const struct arch_firmware *place, struct firmware_list *list) {
    list->items = xreallocarray(list->items, list->count + 1, sizeof(*list->items));
    list->items[list->count++] = (struct firmware){
        .kind = place->vars ? FIRMWARE_SPLIT : FIRMWARE_COMBINED,
        .code = xasprintf("%s%s", root, place->code),
        .vars = place->vars ? xasprintf("%s%s", root, place->vars) : NULL,
        .code_format = xstrdup(format_by_name(place->code)),
        .vars_format = place->vars ? xstrdup(format_by_name(place->vars)) : NULL,
    };
}

/* All candidates, the preferred one first. */
static void list_all(const char *root, const struct arch *arch, struct firmware_list *list) {
    firmware_read_descriptors(root, arch, list);
    for (const struct arch_firmware *place = arch->firmware; place->code; place++)
        add_place(root, place, list);
}

static bool is_readable(const char *path) {
    return access(path, R_OK) == 0 && !path_is_directory(path);
}

static bool is_there(const struct firmware *firmware) {
    return is_readable(firmware->code) && (!firmware->vars || is_readable(firmware->vars));
}

int firmware_find(const char *root, const struct arch *arch, const char *setting, struct firmware *ret_firmware,
                  struct error **ret_error) {
    _cleanup_(list_deinit) struct firmware_list list = {0};

    list_all(root, arch, &list);
    for (size_t i = 0; i < list.count; i++) {
        if (!is_there(&list.items[i]))
            continue;
        *ret_firmware = list.items[i];
        list.items[i] = (struct firmware){0};
        return 0;
    }
    return error_new(ret_error, ENOENT,
                     "there is no UEFI firmware; install ovmf (Debian, Ubuntu) or edk2-ovmf (Fedora, Arch), or "
                     "name a file with %s",
                     setting);
}

/* Whether both paths lead to the same file. */
static bool is_same(const char *a, const char *b) {
    struct stat first;
    struct stat second;

    return stat(a, &first) == 0 && stat(b, &second) == 0 && first.st_dev == second.st_dev &&
           first.st_ino == second.st_ino;
}

/* The file that has "VARS" (or "vars") where the name of `code` has "CODE" (or "code"), or NULL. Caller frees. */
static char *sibling_vars(const char *code) {
    static const char *const words[][2] = {{"CODE", "VARS"}, {"code", "vars"}};
    _cleanup_free_ char *directory = path_parent(code);
    const char *name = path_basename(code);

    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        const char *word = strstr(name, words[i][0]);

        if (!word)
            continue;
        char *path =
            xasprintf("%s/%.*s%s%s", directory, (int)(word - name), name, words[i][1], word + strlen(words[i][0]));
        if (is_readable(path))
            return path;
        free(path);
    }
    return NULL;
}

/* A ROM that ends where the processor starts: in its last 16 bytes. */
static bool is_rom(int fd, const struct stat *status) {
    unsigned char last[16];

    if (status->st_size % ROM_UNIT != 0 || status->st_size > FLASH_SIZE_MAX ||
        pread(fd, last, sizeof(last), status->st_size - (off_t)sizeof(last)) != (ssize_t)sizeof(last))
        return false;
    for (size_t i = 0; i < sizeof(last); i++) {
        if (last[i] != 0 && last[i] != 0xff)
            return true;
    }
    return false;
}

static void firmware_set(struct firmware *firmware, enum firmware_kind kind, const char *path, const char *format,
                         char *vars) {
    *firmware = (struct firmware){
        .kind = kind,
        .code = xstrdup(path),
        .vars = vars,
        .code_format = xstrdup(format),
        .vars_format = vars ? xstrdup(format_by_name(vars)) : NULL,
    };
}

static int look_into(int fd, const struct stat *status, const char *path, const char *where,
                     struct firmware *ret_firmware, struct error **ret_error) {
    unsigned char head[HEAD_SIZE] = {0};
    bool flash = pread(fd, head, sizeof(head), 0) == (ssize_t)sizeof(head) &&
                 memcmp(head + VOLUME_SIGNATURE_OFFSET, "_FVH", 4) == 0;
    bool qcow2 = memcmp(head, "QFI\xfb", 4) == 0;
    char *vars;

    if (flash && memcmp(head + VOLUME_GUID_OFFSET, variables_guid, sizeof(variables_guid)) == 0) {
        firmware_set(ret_firmware, FIRMWARE_COMBINED, path, "raw", NULL);
        return 0;
    }
    vars = flash || qcow2 ? sibling_vars(path) : NULL;
    if (vars)
        firmware_set(ret_firmware, FIRMWARE_SPLIT, path, qcow2 ? "qcow2" : "raw", vars);
    else if (qcow2)
        firmware_set(ret_firmware, FIRMWARE_COMBINED, path, "qcow2", NULL);
    else if (is_rom(fd, status))
        firmware_set(ret_firmware, FIRMWARE_ROM, path, "raw", NULL);
    else
        return error_new(ret_error, EINVAL,
                         "%s: '%s' is no firmware; give a UEFI firmware such as OVMF_CODE.fd, or remove it to have one "
                         "looked for",
                         where, path);
    return 0;
}

int firmware_from_file(const char *root, const char *path, const struct arch *arch, const char *where,
                       struct firmware *ret_firmware, struct error **ret_error) {
    _cleanup_(list_deinit) struct firmware_list list = {0};
    _cleanup_close_ int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    struct stat status;

    if (fd < 0 || fstat(fd, &status) < 0)
        return error_errno(ret_error, errno, "%s: the firmware '%s'", where, path);
    if (!S_ISREG(status.st_mode) || status.st_size == 0)
        return error_new(ret_error, EINVAL, "%s: the firmware '%s' is %s; give a firmware file", where, path,
                         S_ISDIR(status.st_mode)   ? "a directory"
                         : S_ISREG(status.st_mode) ? "empty"
                                                   : "no file");
    list_all(root, arch, &list);
    for (size_t i = 0; i < list.count; i++) {
        if (!is_there(&list.items[i]) || !is_same(list.items[i].code, path))
            continue;
        *ret_firmware = list.items[i];
        list.items[i] = (struct firmware){0};
        return 0;
    }
    return look_into(fd, &status, path, where, ret_firmware, ret_error);
}
