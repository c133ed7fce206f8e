/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directories that belong to one process: locked while it lives, removed by it or else swept by the next one that
 * passes. The lock is flock() on the directory itself. No link is followed.
 */
#ifndef VMTEST_BASE_DIRECTORY_H
#define VMTEST_BASE_DIRECTORY_H

#include "base/error.h"

/* Removes what is in the directory but the file `except` (may be NULL), trees included. */
void directory_empty(int directory_fd, const char *except);
/* Removes `name` below a directory (AT_FDCWD for a path), a tree or a file. -errno of the last step. */
int directory_remove(int parent_fd, const char *name);

/*
 * Makes a directory of mode 0700 "PREFIXxxxxxx" in `parent` and locks it, for as long as *ret_lock_fd is open. Where
 * the file system has no locks, it is not locked, and never swept. Caller frees *ret_path.
 */
int directory_make_locked(const char *parent, const char *prefix, char **ret_path, int *ret_lock_fd,
                          struct error **ret_error) _must_check_;
/* Removes the caller's own directories of that prefix in `parent` that nobody has locked. */
void directory_sweep(const char *parent, const char *prefix);

#endif
