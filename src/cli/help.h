/* SPDX-License-Identifier: Apache-2.0 */
/* Texts made from the option table and the key table: --help, and the parts of the manual pages. */
#ifndef VMTEST_CLI_HELP_H
#define VMTEST_CLI_HELP_H

#include "cli/options.h"

/* What --help prints, wrapped to 80 columns. Caller frees. */
char *help_text(void);
/* What --version prints: "vmtest VERSION\n". */
const char *help_version(void);
/* The title of a group of options, e.g. "One-liner". */
const char *help_group_title(enum option_group group);

/* The options as man(7) source, for man/vmtest.1. Caller frees. */
char *help_options_roff(void);
/* The keys of a [[target]] as man(7) source, for man/vmtest.toml.5. Caller frees. */
char *help_keys_roff(void);

#endif
