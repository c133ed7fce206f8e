/* SPDX-License-Identifier: Apache-2.0 */
/* The verb `merge`: joins the reports of the shards of a run, and gives the one exit status. */
#ifndef VMTEST_CLI_MERGE_H
#define VMTEST_CLI_MERGE_H

#include "base/error.h"

/*
 * Runs `vmtest merge ...`; argv[0] is "merge". Gives the exit status: the number of targets that did not pass, at most
 * 125; EXIT_STATUS_UNAVAILABLE where the reports are not those of all the shards of one run; EXIT_STATUS_USAGE for a
 * wrong command line. *ret_error holds what there is to say about it.
 */
int merge_main(int argc, char *const argv[], struct error **ret_error) _must_check_;

#endif
