/* SPDX-License-Identifier: Apache-2.0 */
/* What a disk image is, as qemu-img tells it, and the overlay that takes what a guest writes. */
#ifndef VMTEST_QEMU_IMAGE_H
#define VMTEST_QEMU_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/str.h"

struct image {
    char *format;              /* QEMU's name of it */
    uint64_t virtual_size;     /* bytes */
    bool device;               /* it is a block device of the host */
    struct strv parts;         /* absolute paths of further files that it consists of */
    struct strv backing;       /* paths of its backing files, the nearest first */
    struct strv backing_parts; /* absolute paths of further files that those consist of */
};

struct image_request {
    const char *path;         /* absolute */
    const char *format;       /* the user's, or NULL: found out */
    bool write;               /* it will be written to */
    const char *where_image;  /* where the user named it: prefix of messages */
    const char *where_format; /* the same of the format */
    int cancel_fd;            /* readable: -ECANCELED */
};

/*
 * Finds out what the image is, and whether it can be used: all of it and of its backing files is there, whole and not
 * encrypted. Errors are for the user.
 */
int image_probe(const struct image_request *request, struct image *ret_image, struct error **ret_error) _must_check_;
void image_deinit(struct image *image);
#define _cleanup_image_ _cleanup_(image_deinit)

/*
 * Whether a BIOS cannot start anything from the image: its first sector holds no code. False as well where that cannot
 * be told. `path` is the image's.
 */
bool image_lacks_boot_code(const char *path, const struct image *image, int cancel_fd);

/*
 * Makes an empty qcow2 file of that virtual size in `directory`, opens it read-write and unlinks it: it lives as long
 * as it is open.
 */
int image_make_overlay(const char *directory, uint64_t virtual_size, int cancel_fd, int *ret_fd,
                       struct error **ret_error) _must_check_;

#endif
