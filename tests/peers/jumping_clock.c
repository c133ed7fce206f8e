/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded into vmtest: each time of day that it asks for is years from the one before. Its monotonic clock is right.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define YEARS (10L * 365 * 24 * 3600)

static long jump(void) {
    static unsigned calls;

    return ++calls % 2 ? YEARS : -YEARS;
}

__attribute__((constructor)) static void begin(void) {
    (void)unsetenv("LD_PRELOAD");
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int r = (int)syscall(SYS_clock_gettime, clock, now);

    if (r == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += jump();
    return r;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec precise;
    int r = clock_gettime(CLOCK_REALTIME, &precise);

    (void)zone;
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return r;
}

time_t time(time_t *ret) {
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (ret)
        *ret = now.tv_sec;
    return now.tv_sec;
}
