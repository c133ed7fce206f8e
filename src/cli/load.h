/* SPDX-License-Identifier: Apache-2.0 */
/* From the options to the targets that they ask for: those of a file, filtered, or the one of a one-liner. */
#ifndef VMTEST_CLI_LOAD_H
#define VMTEST_CLI_LOAD_H

#include "cli/options.h"
#include "config/config.h"

/* Each target has its options applied and has passed target_check(). Prints the file's warnings to standard error. */
int targets_load(const struct options *options, struct config **ret_config, struct error **ret_error) _must_check_;

#endif
