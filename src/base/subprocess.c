/* SPDX-License-Identifier: Apache-2.0 */
#include "base/subprocess.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/file.h"

#define READ_SIZE 65536u
/* The exit code of a child that could not become the program: no program of ours uses it. */
#define EXEC_FAILED 127

enum source { SOURCE_OUTPUT, SOURCE_ERRORS, SOURCE_EXIT, SOURCE_STOP, N_SOURCES };

/* A running program; -1 in each descriptor that is closed. */
struct child {
    pid_t pid;
    int fds[N_SOURCES];
    int exec_fd; /* gets an errno when the program could not be started */
};

void subprocess_result_deinit(struct subprocess_result *result) {
    buffer_deinit(&result->output);
    buffer_deinit(&result->errors);
    *result = (struct subprocess_result){0};
}

_Noreturn static void become(const struct strv *argv, pid_t parent, int output, int errors, int exec_fd) {
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    sigset_t none;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(EXEC_FAILED);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)signal(SIGPIPE, SIG_DFL);
    (void)setenv("LC_ALL", "C", 1);
    if (dup2(null, STDIN_FILENO) >= 0 && dup2(output, STDOUT_FILENO) >= 0 && dup2(errors, STDERR_FILENO) >= 0)
        (void)execvp(argv->items[0], argv->items);

    int code = errno;
    (void)!write(exec_fd, &code, sizeof(code));
    _exit(EXEC_FAILED);
}

static void close_pair(int pair[2]) {
    pair[0] = fd_close(pair[0]);
    pair[1] = fd_close(pair[1]);
}

static int start(const struct strv *argv, struct child *child, struct error **ret_error) {
    int pipes[3][2] = {{-1, -1}, {-1, -1}, {-1, -1}};
    pid_t parent = getpid();
    int r = 0;

    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(pipes); i++) {
        if (pipe2(pipes[i], O_CLOEXEC) < 0)
            r = error_errno(ret_error, errno, "running %s", argv->items[0]);
    }
    if (r == 0) {
        child->pid = fork();
        if (child->pid == 0)
            become(argv, parent, pipes[0][1], pipes[1][1], pipes[2][1]);
        if (child->pid < 0)
            r = error_errno(ret_error, errno, "running %s", argv->items[0]);
    }
    if (r < 0) {
        for (size_t i = 0; i < ARRAY_SIZE(pipes); i++)
            close_pair(pipes[i]);
        return r;
    }
    for (size_t i = 0; i < ARRAY_SIZE(pipes); i++)
        (void)close(pipes[i][1]);
    child->fds[SOURCE_OUTPUT] = pipes[0][0];
    child->fds[SOURCE_ERRORS] = pipes[1][0];
    child->exec_fd = pipes[2][0];
    child->fds[SOURCE_EXIT] = (int)syscall(SYS_pidfd_open, child->pid, 0);
    return child->fds[SOURCE_EXIT] < 0 ? error_errno(ret_error, errno, "pidfd_open") : 0;
}

/* Reads once. False at the end of the stream. */
static bool collect(int fd, struct buffer *buffer, size_t limit) {
    char data[READ_SIZE];
    ssize_t got = read(fd, data, sizeof(data));
    size_t room = buffer->size < limit ? limit - buffer->size : 0;

    if (got < 0)
        return errno == EINTR;
    buffer_append(buffer, data, (size_t)got < room ? (size_t)got : room);
    return got > 0;
}

/* Until both outputs are closed and the program has ended, or time is up. */
static int pump(struct child *child, int stop_fd, deadline_t deadline, size_t limit, struct subprocess_result *result) {
    struct buffer *const buffers[] = {&result->output, &result->errors};

    child->fds[SOURCE_STOP] = stop_fd;
    while (child->fds[SOURCE_OUTPUT] >= 0 || child->fds[SOURCE_ERRORS] >= 0 || child->fds[SOURCE_EXIT] >= 0) {
        struct pollfd polls[N_SOURCES];

        for (size_t i = 0; i < N_SOURCES; i++)
            polls[i] = (struct pollfd){.fd = child->fds[i], .events = POLLIN};
        if (poll(polls, N_SOURCES, deadline_poll_timeout(deadline)) < 0) {
            if (errno == EINTR)
                continue;
            return -errno;
        }
        if (polls[SOURCE_STOP].revents)
            return -ECANCELED;
        for (size_t i = SOURCE_OUTPUT; i <= SOURCE_ERRORS; i++) {
            if (polls[i].revents && !collect(child->fds[i], buffers[i], limit))
                child->fds[i] = fd_close(child->fds[i]);
        }
        /* What a child of it still holds open is not waited for. */
        if (polls[SOURCE_EXIT].revents && !polls[SOURCE_OUTPUT].revents && !polls[SOURCE_ERRORS].revents)
            return 0;
        if (deadline_passed(deadline))
            return -ETIMEDOUT;
    }
    return 0;
}

int subprocess_run(const struct strv *argv, int stop_fd, deadline_t deadline, size_t limit,
                   struct subprocess_result *ret_result, struct error **ret_error) {
    struct child child = {.fds = {-1, -1, -1, -1}, .exec_fd = -1};
    int code = 0;
    int r;

    *ret_result = (struct subprocess_result){0};
    r = start(argv, &child, ret_error);
    if (r == 0)
        r = pump(&child, stop_fd, deadline, limit, ret_result);
    if (r < 0)
        (void)error_errno(ret_error, r, "running %s", argv->items[0]);
    if (child.pid > 0) {
        if (r < 0)
            (void)kill(child.pid, SIGKILL);
        while (waitpid(child.pid, &ret_result->status, 0) < 0 && errno == EINTR)
            ;
    }
    if (r == 0 && read(child.exec_fd, &code, sizeof(code)) == (ssize_t)sizeof(code))
        r = error_errno(ret_error, code, "running %s", argv->items[0]);
    for (size_t i = SOURCE_OUTPUT; i <= SOURCE_EXIT; i++)
        (void)fd_close(child.fds[i]);
    (void)fd_close(child.exec_fd);
    return r;
}

bool process_ignores(int signal_number) {
    struct sigaction action;

    return sigaction(signal_number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}
