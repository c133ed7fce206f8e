/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent in a system that somebody else has booted, a process of an image target. Whoever started it (the QEMU
 * guest agent) waits until the port is open: the exit status tells, and standard error says what went wrong. From then
 * on it is a daemon that belongs to no service, so that the guest agent can be restarted or upgraded by the command.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent.h"

/* A port appears when its driver has been loaded, and the guest agent's own is on the same device. */
#define PORT_PATIENCE_MSEC 10000

static void write_text(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        return;
    (void)!write(fd, text, strlen(text));
    (void)close(fd);
}

void shield_from_oom(void) {
    write_text("/proc/self/oom_score_adj", "-1000");
}

void unshield_from_oom(void) {
    write_text("/proc/self/oom_score_adj", "0");
}

/* A service's processes end with it; the root of the hierarchy outlives them all (cgroup2, or systemd's own in v1). */
static void leave_cgroup(void) {
    write_text("/sys/fs/cgroup/cgroup.procs", "0");
    write_text("/sys/fs/cgroup/systemd/cgroup.procs", "0");
    write_text("/sys/fs/cgroup/unified/cgroup.procs", "0");
}

/* Standard streams and whatever else was inherited. */
static void close_inherited(int keep) {
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    for (int fd = 0; fd < 3; fd++)
        (void)dup2(null, fd);
    for (int fd = 3; fd < 256; fd++) {
        if (fd != keep)
            (void)close(fd);
    }
}

_Noreturn static void become_daemon(int started, const sigset_t *signals) {
    struct failure failure;
    sigset_t all = *signals;
    int port;

    (void)setsid();
    if (chdir("/") < 0)
        log_line("entering /: %s", strerror(errno));
    port = port_open(PORT_PATIENCE_MSEC, &failure);
    if (port < 0) {
        (void)dprintf(STDERR_FILENO, "%s\n", failure.text);
        (void)!write(started, "n", 1);
        _exit(ATTACH_FAILED);
    }
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    shield_from_oom();
    leave_cgroup();
    (void)!write(started, "y", 1);
    close_inherited(port);
    serve(port, &all);
}

int attach(const sigset_t *signals) {
    int ends[2];
    char answer = 'n';
    ssize_t got;
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return ATTACH_FAILED;
    pid = fork();
    if (pid < 0) {
        (void)dprintf(STDERR_FILENO, "starting the agent: %s\n", strerror(errno));
        return ATTACH_FAILED;
    }
    if (pid == 0) {
        (void)close(ends[0]);
        become_daemon(ends[1], signals);
    }
    (void)close(ends[1]);
    do
        got = read(ends[0], &answer, 1);
    while (got < 0 && errno == EINTR);
    return got == 1 && answer == 'y' ? 0 : ATTACH_FAILED;
}
