/* SPDX-License-Identifier: Apache-2.0 */
/* Files, descriptors and paths. Every descriptor made here is close-on-exec. */
#ifndef VMTEST_BASE_FILE_H
#define VMTEST_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/str.h"

/* Reads a whole file, at most `limit` bytes (-EFBIG beyond it). *ret_content is appended to. */
int file_read(const char *path, size_t limit, struct buffer *ret_content, struct error **ret_error) _must_check_;

/*
 * Writes a new file's content under a temporary name and renames it: readers see the old file, the new one or none.
 * What earlier writers of it that were killed have left is removed.
 */
int file_write_atomically(const char *path, const void *data, size_t size, mode_t mode, struct error **ret_error)
    _must_check_;

/* Removes what writers that were killed have left in the directory; what is being written is locked and stays. */
void file_sweep(const char *directory);

/* Writes all of it to a blocking descriptor. 0 or a negative errno. */
int fd_write_all(int fd, const void *data, size_t size) _must_check_;

/*
 * Copies a stream to a file from its position to the stream's end; what is zero becomes holes. 0 or a negative errno.
 */
int fd_copy_sparse(int from, int to) _must_check_;

/* A memfd with this content, positioned at 0. *ret_fd is the caller's. */
int fd_from_memory(const char *name, const void *data, size_t size, int *ret_fd, struct error **ret_error) _must_check_;

int fd_set_nonblocking(int fd) _must_check_;

/* A pair of connected stream sockets; ours is non-blocking. */
int fd_socket_pair(int *ret_ours, int *ret_theirs, struct error **ret_error) _must_check_;

/* Closes a descriptor that may be -1; returns -1, so that `fd = fd_close(fd)` forgets it. */
int fd_close(int fd);

bool path_is_directory(const char *path);
bool path_exists(const char *path);

/* `path` taken from `directory` unless it is absolute. Caller frees. */
char *path_resolve(const char *directory, const char *path);
/* The part before the last slash ("." or "/" where there is none). Caller frees. */
char *path_parent(const char *path);
/* The part after the last slash; points into `path`. */
const char *path_basename(const char *path);
/* Whether `path` is `directory` or lies below it; both absolute and normalised. */
bool path_is_below(const char *path, const char *directory);

/* As mkdir -p; missing parents get `mode` as well. */
int path_make_directories(const char *path, mode_t mode, struct error **ret_error) _must_check_;

/*
 * vmtest's own cache directory: $VMTEST_CACHE_DIR, else $XDG_CACHE_HOME/vmtest, else $HOME/.cache/vmtest. Caller frees;
 * NULL when none of them is set. It is not created here.
 */
char *path_cache_directory(void);
/*
 * Where state of the user's is kept: `name` in $XDG_STATE_HOME/vmtest, else in ~/.local/state/vmtest; NULL when neither
 * is known. A relative $XDG_STATE_HOME is passed over, as the XDG Base Directory Specification has it. Caller frees.
 */
char *path_state(const char *name);

#endif
