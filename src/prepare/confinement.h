/* SPDX-License-Identifier: Apache-2.0 */
/* How a run's QEMU is kept from what it does not need: Landlock, and its environment (docs/isolation.md). */
#ifndef VMTEST_PREPARE_CONFINEMENT_H
#define VMTEST_PREPARE_CONFINEMENT_H

#include "prepare/prepare.h"

/* Says so when what the target asks for keeps QEMU from being confined to the run's files. */
void confinement_notice(const struct target *target, const struct preparation *preparation, notice_fn *notice,
                        void *context);

/* The ruleset for a QEMU with this command line; *ret_fd is -1 where it is not to be, or cannot be confined. */
int confinement_make(const struct target *target, const struct preparation *preparation,
                     const struct qemu_config *config, int *ret_fd, struct error **ret_error) _must_check_;

/* The environment that QEMU gets; without `sandbox`, all of vmtest's. */
void confinement_environment(const struct target *target, struct strv *ret_environment);

#endif
