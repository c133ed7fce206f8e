/* SPDX-License-Identifier: Apache-2.0 */
/* The disk and the firmware of an image target. */
#include "base/file.h"
#include "prepare/persist.h"
#include "prepare/prepare.h"
#include "prepare/scratch.h"

/* The largest flash of a machine is 16 MiB; images of firmware in qcow2 may be somewhat larger than what they hold. */
#define FIRMWARE_LIMIT (64u << 20)

static int make_overlay(struct preparation *preparation, struct error **ret_error) {
    _cleanup_scratch_ struct scratch scratch = {.lock_fd = -1};
    int r = scratch_make(&scratch, ret_error);

    if (r == 0)
        r = image_make_overlay(scratch.path, preparation->image.virtual_size, preparation->cancel_fd,
                               &preparation->overlay_fd, ret_error);
    return r;
}

static int prepare_disk(const struct target *target, struct preparation *preparation, struct error **ret_error) {
    const struct image_request request = {
        .path = target->image,
        .format = target->format,
        .write = target->persist,
        .where_image = target_where(target, KEY_IMAGE),
        .where_format = target_where(target, KEY_FORMAT),
        .cancel_fd = preparation->cancel_fd,
    };
    int r = image_probe(&request, &preparation->image, ret_error);

    if (r == 0 && target->persist)
        r = persist_claim(target, preparation->image.format, &preparation->persist_fd, ret_error);
    /* A user's own arguments may add what it boots from. */
    if (r == 0 && !target->uefi && target->extra_args.count == 0 &&
        image_lacks_boot_code(target->image, &preparation->image, preparation->cancel_fd)) {
        _cleanup_free_ char *uefi = target_setting(target, KEY_UEFI, NULL);

        return error_new(ret_error, ENOEXEC,
                         "%s: the image has no boot loader that a BIOS could start; if it is made for UEFI, add %s",
                         target_where(target, KEY_IMAGE), uefi);
    }
    if (r == 0 && !target->persist)
        r = make_overlay(preparation, ret_error);
    return r;
}

/* This run's own copy of what the firmware writes to. */
static int copy_variables(struct preparation *preparation, struct error **ret_error) {
    const struct firmware *firmware = &preparation->firmware;
    _cleanup_buffer_ struct buffer content = {0};
    int r = file_read(firmware->kind == FIRMWARE_SPLIT ? firmware->vars : firmware->code, FIRMWARE_LIMIT, &content,
                      ret_error);

    if (r == 0)
        r = fd_from_memory("vmtest-variables", content.data, content.size, &preparation->vars_fd, ret_error);
    return r;
}

static int prepare_firmware(const struct target *target, struct preparation *preparation, struct error **ret_error) {
    const struct arch *arch = preparation->arch;
    int r;

    if (!target->uefi)
        return 0;
    if (target->bios) {
        r = firmware_from_file("", target->bios, arch, target_where(target, KEY_VM_BIOS), &preparation->firmware,
                               ret_error);
    } else {
        _cleanup_free_ char *bios = target_setting(target, KEY_VM_BIOS, NULL);

        r = firmware_find("", arch, bios, &preparation->firmware, ret_error);
        if (r < 0)
            error_context(ret_error, "%s", target_where(target, KEY_UEFI));
    }
    if (r == 0 && preparation->firmware.kind != FIRMWARE_ROM)
        r = copy_variables(preparation, ret_error);
    return r;
}

int prepare_anew(const struct target *target, struct preparation *preparation, struct error **ret_error) {
    int r = 0;

    if (preparation->overlay_fd >= 0) {
        preparation->overlay_fd = fd_close(preparation->overlay_fd);
        r = make_overlay(preparation, ret_error);
    }
    if (r == 0 && target->uefi && preparation->vars_fd >= 0) {
        preparation->vars_fd = fd_close(preparation->vars_fd);
        r = copy_variables(preparation, ret_error);
    }
    return r;
}

int prepare_image(const struct target *target, struct preparation *preparation, struct error **ret_error) {
    int r = prepare_firmware(target, preparation, ret_error);

    return r == 0 ? prepare_disk(target, preparation, ret_error) : r;
}
