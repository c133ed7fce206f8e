/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent: PID 1 of a kernel target, or a process of an image target's system. It boots the guest far enough to talk
 * (boot.c, port.c) or attaches to one that is up (attach.c), mounts what the run asks for (setup.c), runs the command
 * and carries its output (serve.c). PID 1 never exits: when it cannot go on, it powers the machine off. Every buffer is
 * static; the C library alone allocates, for the set-up's thread and to read files.
 *
 * There are three ways to start: as PID 1, from the initramfs; as `vmtest-agent --attach` in a system that is up, an
 * image target's; or as `vmtest-agent --serve FD`, a process that talks over a socket it inherited and mounts nothing.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "agent/attach.h"
#include "agent/boot.h"
#include "agent/log.h"
#include "agent/serve.h"
#include "agent/setup-thread.h"

int main(int argc, char **argv) {
    /* busybox halts by SIGUSR1 and powers off by SIGUSR2. */
    static const int handled[] = {SIGCHLD, SIGTERM, SIGINT, SIGPWR, SIGUSR1, SIGUSR2};
    sigset_t signals;

    (void)sigemptyset(&signals);
    for (size_t i = 0; i < ARRAY_SIZE(handled); i++)
        (void)sigaddset(&signals, handled[i]);
    (void)sigprocmask(SIG_BLOCK, &signals, NULL);
    (void)signal(SIGPIPE, SIG_IGN);

    if (argc == 2 && strcmp(argv[1], "--attach") == 0) {
        role = ROLE_PROCESS;
        return attach_start(&signals);
    }
    if (argc == 3 && strcmp(argv[1], "--serve") == 0) {
        int port = atoi(argv[2]);

        role = ROLE_SOCKET;
        (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
        if (fcntl(port, F_SETFL, O_NONBLOCK) < 0 || fcntl(port, F_SETFD, FD_CLOEXEC) < 0)
            return 2;
        serve_host(port, &signals);
    }
    if (getpid() != 1)
        return 2;
    role = ROLE_INIT;
    boot_early();
    setup_thread_start();
    serve_host(boot_open_port(), &signals);
}
