/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands for a file in a key: a digest of its content (XXH3-128, 32 hexadecimal digits), or its identity, a short
 * text that changes when the file is changed or replaced.
 */
#ifndef VMTEST_BASE_DIGEST_H
#define VMTEST_BASE_DIGEST_H

#include <stddef.h>

#include "base/error.h"

/* Digits of a digest. */
#define DIGEST_LENGTH 32

/* Caller frees. */
char *digest_buffer(const void *data, size_t size);

/* The whole content, from its first byte; the descriptor's position stays. Caller frees *ret_digest. */
int digest_fd(int fd, char **ret_digest, struct error **ret_error) _must_check_;
/* The same of a named file. */
int digest_file(const char *path, char **ret_digest, struct error **ret_error) _must_check_;

/* Size, time of change in nanoseconds, inode and device of what `path` leads to. Caller frees *ret_identity. */
int digest_file_identity(const char *path, char **ret_identity, struct error **ret_error) _must_check_;

/*
 * The same for a disk image, and a digest of its first 64 KiB. -ENOTSUP for anything but a regular file: a block
 * device's times do not tell whether it was written to.
 */
int digest_image_identity(const char *path, char **ret_identity, struct error **ret_error) _must_check_;

/*
 * A directory of small files, such as QEMU's BIOS and option ROMs: the names, sizes and times of the files directly in
 * it, in an order that does not depend on the file system's.
 */
int digest_directory_identity(const char *path, char **ret_identity, struct error **ret_error) _must_check_;

#endif
