/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs `cache ...`: show, check and remove templates. */
#ifndef VMTEST_CLI_VERB_CACHE_H
#define VMTEST_CLI_VERB_CACHE_H

#include <stdint.h>

/* "130 MB": three digits at most, units of 1000. Caller frees. */
char *cache_size_text(uint64_t bytes);
/* "3 days": the largest unit of which there is one. Caller frees. */
char *cache_age_text(int64_t seconds);

#endif
