// SPDX-License-Identifier: Apache-2.0
// Runs in place of QEMU (METER_QEMU), starts it, and appends the processor time of QEMU and of itself, in microseconds, to the
// file METER_FILE, so that the bench can subtract both from the total of vmtest's processes. If this program is killed, QEMU
// is killed too, and the bench inherits it; nobody waited for it, so nobody counted it.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static long long used_us(int who) {
    struct rusage usage;

    if (getrusage(who, &usage) < 0)
        return 0;
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000LL + usage.ru_utime.tv_usec +
           usage.ru_stime.tv_usec;
}

static pid_t qemu;

static void pass_on(int signum) {
    int saved = errno;

    kill(qemu, signum);
    errno = saved;
}

static int run_qemu(char **argv, pid_t parent) {
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
        return 127;
    argv[0] = METER_QEMU;
    execv(METER_QEMU, argv);
    return 127;
}

int main(int argc, char **argv) {
    pid_t self = getpid();
    int status = 0;

    (void)argc;
    qemu = fork();
    if (qemu < 0)
        return 127;
    if (qemu == 0)
        _exit(run_qemu(argv, self));
    // Leave the sockets to QEMU alone, so that their peers see it exit.
    if (close_range(3, ~0U, 0) < 0)
        return 127;
    signal(SIGTERM, pass_on);
    signal(SIGINT, pass_on);
    while (waitpid(qemu, &status, 0) < 0 && errno == EINTR)
        continue;

    FILE *file = fopen(METER_FILE, "ae");
    if (file) {
        fprintf(file, "%lld\n", used_us(RUSAGE_CHILDREN) + used_us(RUSAGE_SELF));
        fclose(file);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
