/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Preloaded into vmtest, and into no process that vmtest starts. Its monotonic clock runs FAST_CLOCK times as fast, and
 * so do its waits: for tests of bounds that are minutes. With JUMPING_CLOCK=1 each time of day that it asks for is
 * years from the one before.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define YEARS (10L * 365 * 24 * 3600)

static struct timespec start;
static long factor = 1;
static long jump;

static long number_of(const char *name) {
    const char *value = getenv(name);

    return value ? atol(value) : 0;
}

__attribute__((constructor)) static void clock_init(void) {
    factor = number_of("FAST_CLOCK");
    jump = number_of("JUMPING_CLOCK") * YEARS;
    (void)syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &start);
    (void)unsetenv("LD_PRELOAD");
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int r = (int)syscall(SYS_clock_gettime, clock, now);

    if (r == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        jump = -jump;
        now->tv_sec += jump;
    }
    if (r < 0 || clock != CLOCK_MONOTONIC)
        return r;
    long long nsec = (now->tv_sec - start.tv_sec) * 1000000000LL + (now->tv_nsec - start.tv_nsec);
    nsec = nsec * factor + start.tv_nsec;
    now->tv_sec = start.tv_sec + nsec / 1000000000;
    now->tv_nsec = nsec % 1000000000;
    return 0;
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

int poll(struct pollfd *fds, nfds_t count, int timeout) {
    if (timeout > 0)
        timeout = timeout > factor ? (int)(timeout / factor) : 1;
    return (int)syscall(SYS_poll, fds, count, timeout);
}

int __poll_chk(struct pollfd *fds, nfds_t count, int timeout, size_t size) {
    (void)size;
    return poll(fds, count, timeout);
}
