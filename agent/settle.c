/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waits until a system has come up: its init says so (systemd), and its processors are idle. Work that the clones of a
 * frozen system do not repeat is worth waiting for; a system that is never quiet is taken as it is.
 */
#include "agent/settle.h"

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/wait.h>

#include "agent/program.h"
#include "base/cleanup.h"
#include "base/clock.h"

/* Quiet: of this much time, in a row, at most a tenth was spent on work. */
#define QUIET_MSEC 500
/* A system that does not say when it is up gets no more than this to become quiet. */
#define QUIET_LIMIT (10 * NSEC_PER_SEC)

/* Time of all processors since boot, in ticks: idle (waiting for disks is work), and all of it. */
static bool read_times(unsigned long long *ret_idle, unsigned long long *ret_all) {
    unsigned long long user, nice, system, idle, iowait, irq, softirq;
    _cleanup_fclose_ FILE *file = fopen("/proc/stat", "re");

    if (!file || fscanf(file, "cpu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &system, &idle, &iowait, &irq,
                        &softirq) != 7)
        return false;
    *ret_idle = idle;
    *ret_all = user + nice + system + idle + iowait + irq + softirq;
    return true;
}

static void wait_until_quiet(deadline_t deadline) {
    unsigned long long idle, all;
    unsigned long long idle_before, all_before;

    if (!read_times(&idle_before, &all_before))
        return;
    while (!deadline_passed(deadline)) {
        (void)poll(NULL, 0, QUIET_MSEC);
        if (!read_times(&idle, &all))
            return;
        if (all > all_before && (idle - idle_before) * 10 >= (all - all_before) * 9)
            return;
        idle_before = idle;
        all_before = all;
    }
}

/* `systemctl is-system-running --wait` ends when there is no start-up job left. */
static void wait_for_systemd(deadline_t deadline) {
    static const char *const argv[] = {"systemctl", "is-system-running", "--wait", NULL};
    sigset_t child;
    pid_t pid = program_start(argv);

    (void)sigemptyset(&child);
    (void)sigaddset(&child, SIGCHLD);
    while (pid > 0 && waitpid(pid, NULL, WNOHANG) == 0) {
        int msec = deadline_poll_timeout(deadline);
        struct timespec left = {.tv_sec = msec / 1000, .tv_nsec = msec % 1000 * 1000000L};

        if (msec == 0) {
            (void)kill(pid, SIGKILL);
            (void)waitpid(pid, NULL, 0);
            return;
        }
        (void)sigtimedwait(&child, NULL, &left);
    }
}

void settle_wait(uint32_t limit_msec) {
    deadline_t deadline = deadline_in(limit_msec * NSEC_PER_MSEC);

    if (access("/run/systemd/system", F_OK) == 0)
        wait_for_systemd(deadline);
    wait_until_quiet(deadline_earlier(deadline, deadline_in(QUIET_LIMIT)));
}
