/* SPDX-License-Identifier: Apache-2.0 */
/* The verb `cache`: what templates there are, and their end. */
#ifndef VMTEST_CLI_CACHE_H
#define VMTEST_CLI_CACHE_H

#include <stdint.h>

#include "base/error.h"

/*
 * Runs `vmtest cache ...`; argv[0] is "cache". Gives the exit status: 0, 1 when `verify` has found a damaged template,
 * EXIT_STATUS_UNAVAILABLE, or EXIT_STATUS_USAGE for a wrong command line. Where there is something to say about it,
 * *ret_error holds it, for the caller to show. What was asked for goes to standard output.
 */
int cache_main(int argc, char *const argv[], struct error **ret_error) _must_check_;

/* "130 MB": three digits at most, units of 1000. Caller frees. */
char *cache_size_text(uint64_t bytes);
/* "3 days": the largest unit of which there is one. Caller frees. */
char *cache_age_text(int64_t seconds);

#endif
