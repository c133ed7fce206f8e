/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two ways to start: as PID 1, out of the initramfs; or as `vmtest-agent --serve FD`, an ordinary process that talks
 * over a socket it inherited and mounts nothing.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "agent.h"

static void shield_from_oom(void) {
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

    if (fd >= 0) {
        (void)!write(fd, "-1000", 5);
        (void)close(fd);
    }
}

int main(int argc, char **argv) {
    sigset_t signals;

    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGCHLD);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGPWR);
    (void)sigaddset(&signals, SIGUSR1); /* busybox halt */
    (void)sigaddset(&signals, SIGUSR2); /* busybox poweroff */
    (void)sigprocmask(SIG_BLOCK, &signals, NULL);
    (void)signal(SIGPIPE, SIG_IGN);

    if (argc == 3 && strcmp(argv[1], "--serve") == 0) {
        int port = atoi(argv[2]);

        (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
        if (fcntl(port, F_SETFL, O_NONBLOCK) < 0 || fcntl(port, F_SETFD, FD_CLOEXEC) < 0)
            return 2;
        serve(port, &signals);
    }
    if (getpid() != 1)
        return 2;
    is_init = true;
    boot_early();
    shield_from_oom();
    serve(boot_open_port(), &signals);
}
