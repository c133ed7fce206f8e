/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three ways to start: as PID 1, out of the initramfs; as `vmtest-agent --attach` in a system that is up, an image
 * target's; or as `vmtest-agent --serve FD`, a process that talks over a socket it inherited and mounts nothing.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "agent.h"

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

    if (argc == 2 && strcmp(argv[1], "--attach") == 0) {
        role = ROLE_PROCESS;
        return attach(&signals);
    }
    if (argc == 3 && strcmp(argv[1], "--serve") == 0) {
        int port = atoi(argv[2]);

        role = ROLE_SOCKET;
        (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
        if (fcntl(port, F_SETFL, O_NONBLOCK) < 0 || fcntl(port, F_SETFD, FD_CLOEXEC) < 0)
            return 2;
        serve(port, &signals);
    }
    if (getpid() != 1)
        return 2;
    role = ROLE_INIT;
    boot_early();
    beside_start();
    serve(boot_open_port(), &signals);
}
