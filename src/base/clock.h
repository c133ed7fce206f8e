/* SPDX-License-Identifier: Apache-2.0 */
/* Time: monotonic, in nanoseconds, so that a jump of the host's clock moves no deadline. */
#ifndef VMTEST_BASE_CLOCK_H
#define VMTEST_BASE_CLOCK_H

#include <stdint.h>

#define NSEC_PER_SEC UINT64_C(1000000000)
#define NSEC_PER_MSEC UINT64_C(1000000)

/* A point of CLOCK_MONOTONIC in nanoseconds; DEADLINE_NONE never comes. */
typedef uint64_t deadline_t;
#define DEADLINE_NONE UINT64_MAX

uint64_t clock_now(void);
/* The deadline `nsec` from now; DEADLINE_NONE on overflow. */
deadline_t deadline_in(uint64_t nsec);
deadline_t deadline_earlier(deadline_t a, deadline_t b);
/* The time left as poll() takes it: milliseconds rounded up, 0 when passed, -1 for DEADLINE_NONE. */
int deadline_poll_timeout(deadline_t deadline);
int deadline_passed(deadline_t deadline);

#endif
