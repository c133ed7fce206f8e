/* SPDX-License-Identifier: Apache-2.0 */
/* Parses the stream of records in which the guest's agent sends files (wire/frame.h: FETCHED). Pure. */
#ifndef VMTEST_GUEST_FETCHED_FILES_H
#define VMTEST_GUEST_FETCHED_FILES_H

#include "base/error.h"
#include "base/str.h"

struct fetched_file {
    char *name;
    struct buffer content;
};

struct fetched {
    struct fetched_file *files;
    size_t n_files;
};

/*
 * Parses a whole stream. -EPROTO when it is malformed; -EIO with the guest's own words when it could not send all
 * files. *ret_fetched is to be released in any case.
 */
int fetched_parse(const void *data, size_t size, struct fetched *ret_fetched, struct error **ret_error) _must_check_;
void fetched_deinit(struct fetched *fetched);
#define _cleanup_fetched_ _cleanup_(fetched_deinit)

#endif
