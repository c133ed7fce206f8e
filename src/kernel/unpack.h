/* SPDX-License-Identifier: Apache-2.0 */
/* Decompression, by libarchive's filters: of a kernel's payload, of a module, of an embedded configuration. */
#ifndef VMTEST_KERNEL_UNPACK_H
#define VMTEST_KERNEL_UNPACK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/str.h"

/* Whether the bytes begin as a compressed stream that unpack_memory() knows; *ret_name, if not NULL, gets its name. */
bool unpack_recognises(const void *data, size_t size, const char **ret_name);

/*
 * Appends what the compressed bytes unpack to. At most `limit` bytes: beyond it -EFBIG, or, when `head_only`, success
 * with the first `limit` bytes. `expected` is a hint of the unpacked size, 0 when unknown, and not believed when it is
 * out of all proportion to the packed one. `what` names the bytes in an error. -EOPNOTSUPP when this libarchive cannot
 * read them.
 */
struct unpack_limits {
    size_t expected;
    size_t limit;
    bool head_only;
};
int unpack_memory(const char *what, const void *data, size_t size, struct unpack_limits limits, struct buffer *ret,
                  struct error **ret_error) _must_check_;

/* Appends a module's content, decompressed where it is compressed (told by its content, not by its name). */
int unpack_module(const char *path, struct buffer *ret, struct error **ret_error) _must_check_;

#endif
