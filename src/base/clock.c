/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <limits.h>
#include <time.h>

uint64_t clock_now(void) {
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

deadline_t deadline_in(uint64_t nsec) {
    uint64_t deadline;

    return __builtin_add_overflow(clock_now(), nsec, &deadline) ? DEADLINE_NONE : deadline;
}

deadline_t deadline_earlier(deadline_t a, deadline_t b) {
    return a < b ? a : b;
}

int deadline_poll_timeout(deadline_t deadline) {
    uint64_t now = clock_now();

    if (deadline == DEADLINE_NONE)
        return -1;
    if (deadline <= now)
        return 0;

    uint64_t msec = (deadline - now + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC;
    return msec > INT_MAX ? INT_MAX : (int)msec;
}

int deadline_passed(deadline_t deadline) {
    return deadline != DEADLINE_NONE && deadline <= clock_now();
}
