/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A private directory for files that a run needs on disk for a moment: below $TMPDIR, else /var/tmp, mode 0700, locked
 * while it is in use. Leftovers of a killed vmtest are removed when the next one is made.
 */
#ifndef VMTEST_PREPARE_SCRATCH_H
#define VMTEST_PREPARE_SCRATCH_H

#include "base/error.h"

struct scratch {
    char *path;
    int lock_fd; /* of the directory itself */
};

/* Removes the leftovers of killed runs. */
void scratch_sweep(void);
/* As that first. Start with {.lock_fd = -1}. */
int scratch_make(struct scratch *ret_scratch, struct error **ret_error) _must_check_;
/* Removes the directory and the files in it. */
void scratch_remove(struct scratch *scratch);
#define _cleanup_scratch_ _cleanup_(scratch_remove)

#endif
