/* SPDX-License-Identifier: Apache-2.0 */
/* Artifacts that a worker itself writes to its target's directory (event/artifact-directory.h). */
#ifndef VMTEST_WORKER_WORKER_ARTIFACTS_H
#define VMTEST_WORKER_WORKER_ARTIFACTS_H

#include "config/target.h"
#include "machine/machine.h"
#include "prepare/prepare.h"

/*
 * Both write to `directory`, a descriptor of the target's directory for artifacts; `shown` is the user's name of it. A
 * notice reports whatever cannot be kept.
 *
 * The inputs of the machine, once they are prepared: QEMU's command line to paste into a shell, and the initramfs that
 * it needs. *ret_kernel_hash is the kernel's (see struct run_result), the caller's to free; left alone for an image.
 */
void worker_artifacts_keep_inputs(struct machine *machine, const struct target *target,
                                  const struct preparation *preparation, const char *shown, int directory,
                                  char **ret_kernel_hash);

/* The guest's memory, where the target asks for it and the verdict is one for which it is kept. -1: no directory. */
void worker_artifacts_keep_memory(struct machine *machine, const struct target *target, int directory);

#endif
