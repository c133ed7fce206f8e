/* SPDX-License-Identifier: Apache-2.0 */
/* Looks up on the host what goes into the key of a run's template. */
#ifndef VMTEST_WORKER_TEMPLATE_INPUTS_H
#define VMTEST_WORKER_TEMPLATE_INPUTS_H

#include "config/target.h"
#include "prepare/prepare.h"

/* Caller frees *ret_key. An error means that there is no template for this run. */
int template_inputs_key(const struct target *target, struct preparation *preparation, char **ret_key,
                        struct error **ret_error) _must_check_;

#endif
