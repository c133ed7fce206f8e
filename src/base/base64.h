/* SPDX-License-Identifier: Apache-2.0 */
/* Base64 with the standard alphabet and padding (RFC 4648, section 4). */
#ifndef VMTEST_BASE_BASE64_H
#define VMTEST_BASE_BASE64_H

#include <stddef.h>

#include "base/error.h"
#include "base/str.h"

/* Appends `size` bytes to `buffer`, encoded, without line breaks. */
void base64_encode(struct buffer *buffer, const void *data, size_t size);

/*
 * Appends the bytes that `text` stands for to `buffer`. -EINVAL, with `buffer` as it was, for a character outside the
 * alphabet (white space too), missing or misplaced padding, and bits after the last byte that are not 0.
 */
int base64_decode(struct buffer *buffer, const char *text, size_t length, struct error **ret_error) _must_check_;

#endif
