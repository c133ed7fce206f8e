/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Preloaded into vmtest: its monotonic clock runs FAST_CLOCK times as fast, and so do its waits. It does not get into
 * the processes that vmtest starts. For tests of bounds that are minutes.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static struct timespec start;
static long factor = 1;

__attribute__((constructor)) static void begin(void) {
    const char *value = getenv("FAST_CLOCK");

    factor = value ? atol(value) : 1;
    (void)syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &start);
    (void)unsetenv("LD_PRELOAD");
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int r = (int)syscall(SYS_clock_gettime, clock, now);

    if (r < 0 || clock != CLOCK_MONOTONIC)
        return r;
    long long nsec = (now->tv_sec - start.tv_sec) * 1000000000LL + (now->tv_nsec - start.tv_nsec);
    nsec = nsec * factor + start.tv_nsec;
    now->tv_sec = start.tv_sec + nsec / 1000000000;
    now->tv_nsec = nsec % 1000000000;
    return 0;
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
