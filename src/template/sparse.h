/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Large files that are mostly zero: a guest's memory, a disk overlay. Their digest covers the pages that are not zero
 * and where they stand, so that it costs as much as there is data and does not depend on where a file system has holes.
 */
#ifndef VMTEST_TEMPLATE_SPARSE_H
#define VMTEST_TEMPLATE_SPARSE_H

#include <stdint.h>

#include "base/error.h"

/* The digest of the first `size` bytes (XXH3-128, 32 digits). Caller frees *ret_digest. -ENODATA for a shorter file. */
int sparse_digest(int fd, uint64_t size, char **ret_digest, struct error **ret_error) _must_check_;

/*
 * Copies the first `size` bytes of `from` into the empty file `to`, which gets holes where they are zero, and that
 * size. -EDQUOT when more than `limit` bytes would be written. *ret_digest as sparse_digest() of either; the caller
 * frees it. Neither descriptor's position counts.
 */
int sparse_copy(int from, int to, uint64_t size, uint64_t limit, char **ret_digest, struct error **ret_error)
    _must_check_;

#endif
