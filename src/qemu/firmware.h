/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UEFI firmware on the host: found through QEMU's firmware descriptors (docs/interop/firmware.json in QEMU's source),
 * else where the distributions put it; or a file that the user names.
 */
#ifndef VMTEST_QEMU_FIRMWARE_H
#define VMTEST_QEMU_FIRMWARE_H

#include <stdbool.h>

#include "arch/arch.h"
#include "base/error.h"

enum firmware_kind {
    FIRMWARE_SPLIT,    /* code, and a template of its variable store: two flash devices */
    FIRMWARE_COMBINED, /* code and variables in one file: one flash device, to be copied */
    FIRMWARE_ROM,      /* a file for -bios, without variables */
};

struct firmware {
    enum firmware_kind kind;
    char *code;
    char *vars;        /* FIRMWARE_SPLIT */
    char *code_format; /* "raw" or "qcow2" */
    char *vars_format;
    bool smm; /* it needs system management mode, and flash that only that can write to */
};

/*
 * The firmware for an architecture's machine: one that boots what is not signed, if there is one. `root`
 * goes in front of every path that is looked at: "" but in tests. -ENOENT: there is none.
 */
int firmware_find(const char *root, const struct arch *arch, const char *setting, struct firmware *ret_firmware,
                  struct error **ret_error) _must_check_;

/*
 * What the file `path` is: one that a descriptor or a distribution's place names has a partner there, else its content
 * tells. `where` is where the user named it: the prefix of messages. -EINVAL for what is no firmware.
 */
int firmware_from_file(const char *root, const char *path, const struct arch *arch, const char *where,
                       struct firmware *ret_firmware, struct error **ret_error) _must_check_;

void firmware_deinit(struct firmware *firmware);
#define _cleanup_firmware_ _cleanup_(firmware_deinit)

/* Internal: a candidate in the order of preference, `code` and `vars` with the root in front. */
struct firmware_list {
    struct firmware *items;
    size_t count;
};
/* Appends what the descriptors name for the machine (firmware-descriptors.c). */
void firmware_read_descriptors(const char *root, const struct arch *arch, struct firmware_list *list);

#endif
