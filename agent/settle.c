/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When a system has come up: its init says so (systemd), and its processors are idle. What clones of a frozen system do
 * not have to do again is worth waiting for; a system that is never quiet is taken as it is.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent.h"

/* Quiet: of this much time, in a row, at most a tenth was spent on work. */
#define QUIET_MSEC 500
/* A system that does not say when it is up gets no more than this to become quiet. */
#define QUIET_LIMIT_MSEC 10000

static long long now_msec(void) {
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void wait_msec(long long msec) {
    (void)poll(NULL, 0, msec > 0 ? (int)msec : 0);
}

/* Time of all processors since boot, in ticks: idle (waiting for disks is work), and all of it. */
static bool read_times(unsigned long long *ret_idle, unsigned long long *ret_all) {
    unsigned long long user, nice, system, idle, iowait, irq, softirq;
    FILE *file = fopen("/proc/stat", "re");
    int got = 0;

    if (file) {
        got = fscanf(file, "cpu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &system, &idle, &iowait, &irq,
                     &softirq);
        (void)fclose(file);
    }
    if (got != 7)
        return false;
    *ret_idle = idle;
    *ret_all = user + nice + system + idle + iowait + irq + softirq;
    return true;
}

static void wait_until_quiet(long long deadline) {
    unsigned long long idle, all;
    unsigned long long idle_before, all_before;

    if (!read_times(&idle_before, &all_before))
        return;
    while (now_msec() < deadline) {
        wait_msec(QUIET_MSEC);
        if (!read_times(&idle, &all))
            return;
        if (all > all_before && (idle - idle_before) * 10 >= (all - all_before) * 9)
            return;
        idle_before = idle;
        all_before = all;
    }
}

/* `systemctl is-system-running --wait` ends when there is no start-up job left. */
static void wait_for_systemd(long long deadline) {
    static const char *const argv[] = {"systemctl", "is-system-running", "--wait", NULL};
    struct timespec left;
    sigset_t child;
    pid_t pid = fork();

    if (pid == 0) {
        sigset_t none;

        (void)sigemptyset(&none);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
        (void)execvp(argv[0], (char *const *)argv);
        _exit(127);
    }
    (void)sigemptyset(&child);
    (void)sigaddset(&child, SIGCHLD);
    while (pid > 0 && waitpid(pid, NULL, WNOHANG) == 0) {
        long long msec = deadline - now_msec();

        if (msec <= 0) {
            (void)kill(pid, SIGKILL);
            (void)waitpid(pid, NULL, 0);
            return;
        }
        left = (struct timespec){.tv_sec = msec / 1000, .tv_nsec = msec % 1000 * 1000000};
        (void)sigtimedwait(&child, NULL, &left);
    }
}

void settle(uint32_t limit_msec) {
    long long deadline = now_msec() + limit_msec;

    if (access("/run/systemd/system", F_OK) == 0)
        wait_for_systemd(deadline);
    if (deadline > now_msec() + QUIET_LIMIT_MSEC)
        deadline = now_msec() + QUIET_LIMIT_MSEC;
    wait_until_quiet(deadline);
}
