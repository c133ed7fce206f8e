/* SPDX-License-Identifier: Apache-2.0 */
/* Texts made from the tables of options, keys and verbs: --help, and the parts of the manual pages. */
#ifndef VMTEST_CLI_HELP_H
#define VMTEST_CLI_HELP_H

#include "cli/verbs.h"

/* The help of a verb, or with NULL that of vmtest itself, wrapped to 80 columns. Caller frees. */
char *help_text(const struct verb *verb);
/* The output of --version: "vmtest VERSION\n". */
const char *help_version(void);

/* Parts of the manual pages as man(7) source: options and verbs for vmtest.1, keys for vmtest.toml.5. Caller frees. */
char *help_options_roff(void);
char *help_verbs_roff(void);
char *help_keys_roff(void);

#endif
