/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent as a process of an image target's system, which has booted by itself. The QEMU guest agent, which starts
 * it, waits until the port is open; the exit status and standard error report what went wrong. From then on it is a
 * daemon that belongs to no service, so that the command can restart or upgrade the guest agent.
 */
#include "agent/attach.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/log.h"
#include "agent/oom.h"
#include "agent/port.h"
#include "agent/serve.h"
#include "wire/guest.h"

/* A port appears when its driver has been loaded, and the guest agent's own is on the same device. */
#define PORT_PATIENCE (10 * NSEC_PER_SEC)

/* A service's processes end with it; the root of the hierarchy outlives them all (cgroup2, or systemd's own in v1). */
static void leave_cgroup(void) {
    static const char *const hierarchies[] = {"", "/systemd", "/unified"};

    for (size_t i = 0; i < ARRAY_SIZE(hierarchies); i++) {
        char path[64];

        (void)snprintf(path, sizeof(path), "/sys/fs/cgroup%s/cgroup.procs", hierarchies[i]);
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd >= 0)
            (void)!write(fd, "0", 1);
    }
}

/* Replaces the standard streams by /dev/null and closes the other descriptors. */
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
    int port;

    (void)setsid();
    if (chdir("/") < 0)
        log_line("entering /: %s", strerror(errno));
    port = port_open(deadline_in(PORT_PATIENCE), &failure);
    if (port < 0) {
        (void)dprintf(STDERR_FILENO, "%s\n", failure.text);
        _exit(GUEST_ATTACH_FAILED);
    }
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    oom_shield();
    leave_cgroup();
    (void)!write(started, "y", 1);
    close_inherited(port);
    serve_host(port, signals);
}

int attach_start(const sigset_t *signals) {
    int ends[2];
    char answer = 'n';
    ssize_t got;
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return GUEST_ATTACH_FAILED;
    pid = fork();
    if (pid < 0) {
        (void)dprintf(STDERR_FILENO, "starting the agent: %s\n", strerror(errno));
        return GUEST_ATTACH_FAILED;
    }
    if (pid == 0) {
        (void)close(ends[0]);
        become_daemon(ends[1], signals);
    }
    (void)close(ends[1]);
    do
        got = read(ends[0], &answer, 1);
    while (got < 0 && errno == EINTR);
    return got == 1 && answer == 'y' ? 0 : GUEST_ATTACH_FAILED;
}
