/* SPDX-License-Identifier: Apache-2.0 */
#include "base/child.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int child_adopt(pid_t pid, struct child *ret_child) {
    struct child child = {.pid = pid, .pidfd = (int)syscall(SYS_pidfd_open, pid, 0)};
    int code = errno;

    if (child.pidfd < 0) {
        (void)kill(pid, SIGKILL);
        (void)child_reap(&child);
        return -code;
    }
    *ret_child = child;
    return 0;
}

int child_fork(int death_signal, struct child *ret_child) {
    pid_t parent = getpid();
    pid_t pid = fork();
    int r;

    if (pid < 0)
        return -errno;
    if (pid == 0) {
        if (prctl(PR_SET_PDEATHSIG, death_signal) < 0 || getppid() != parent)
            _exit(EXIT_FAILURE);
        return 0;
    }
    r = child_adopt(pid, ret_child);
    return r < 0 ? r : 1;
}

void child_kill(const struct child *child, int signal_number) {
    if (child->pid > 0)
        (void)syscall(SYS_pidfd_send_signal, child->pidfd, signal_number, NULL, 0);
}

int child_reap(struct child *child) {
    int status = 0;

    while (child->pid > 0 && waitpid(child->pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (child->pidfd >= 0)
        (void)close(child->pidfd);
    *child = CHILD_NONE;
    return status;
}

void child_deinit(struct child *child) {
    child_kill(child, SIGKILL);
    (void)child_reap(child);
}
