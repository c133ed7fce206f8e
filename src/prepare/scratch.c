/* SPDX-License-Identifier: Apache-2.0 */
#include "prepare/scratch.h"

#include <fcntl.h>

#include "base/directory.h"
#include "base/file.h"

#define PREFIX "vmtest-run-"

static const char *parent_directory(void) {
    const char *directory = getenv("TMPDIR");

    return str_empty(directory) || directory[0] != '/' ? "/var/tmp" : directory;
}

void scratch_sweep(void) {
    directory_sweep(parent_directory(), PREFIX);
}

int scratch_make(struct scratch *ret_scratch, struct error **ret_error) {
    *ret_scratch = (struct scratch){.lock_fd = -1};
    scratch_sweep();
    int r = directory_make_locked(parent_directory(), PREFIX, &ret_scratch->path, &ret_scratch->lock_fd, ret_error);

    if (r < 0 && ret_error)
        error_context(ret_error, "the run's private directory (TMPDIR)");
    return r;
}

void scratch_remove(struct scratch *scratch) {
    if (scratch->path)
        (void)directory_remove(AT_FDCWD, scratch->path);
    free(scratch->path);
    *scratch = (struct scratch){.lock_fd = fd_close(scratch->lock_fd)};
}
