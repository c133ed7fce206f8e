/* SPDX-License-Identifier: Apache-2.0 */
#include "base/subprocess.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>

#include "base/child.h"
#include "base/file.h"

#define READ_SIZE 65536u
/* The exit code of a child that could not become the program: no program of ours uses it. */
#define EXEC_FAILED 127

enum source { SOURCE_OUTPUT, SOURCE_ERRORS, SOURCE_EXIT, SOURCE_CANCEL, N_SOURCES };

/* The last one gets an errno when the program could not be started. */
enum program_pipe { PIPE_OUTPUT, PIPE_ERRORS, PIPE_EXEC, N_PIPES };

/* A running program, and the ends to read from of its pipes; -1: closed. */
struct program {
    struct child child;
    int fds[N_PIPES];
};

static void program_deinit(struct program *program) {
    child_deinit(&program->child);
    for (size_t i = 0; i < N_PIPES; i++)
        (void)fd_close(program->fds[i]);
}

void subprocess_result_deinit(struct subprocess_result *result) {
    buffer_deinit(&result->output);
    buffer_deinit(&result->errors);
    *result = (struct subprocess_result){0};
}

_Noreturn static void program_exec(const struct strv *argv, int output, int errors, int exec_fd) {
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    sigset_t none;

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

static int program_start(const struct strv *argv, struct program *program) {
    int write_fds[N_PIPES] = {-1, -1, -1};
    int r = 0;

    for (size_t i = 0; r == 0 && i < N_PIPES; i++) {
        int ends[2];

        if (pipe2(ends, O_CLOEXEC) < 0) {
            r = -errno;
            break;
        }
        program->fds[i] = ends[0];
        write_fds[i] = ends[1];
    }
    if (r == 0) {
        r = child_fork(SIGKILL, &program->child);
        if (r == 0)
            program_exec(argv, write_fds[PIPE_OUTPUT], write_fds[PIPE_ERRORS], write_fds[PIPE_EXEC]);
    }
    for (size_t i = 0; i < N_PIPES; i++)
        (void)fd_close(write_fds[i]);
    return r < 0 ? r : 0;
}

/* Reads once. False at the end of the stream. */
static bool output_collect(int fd, struct buffer *buffer, size_t limit) {
    char data[READ_SIZE];
    ssize_t got = read(fd, data, sizeof(data));
    size_t room = buffer->size < limit ? limit - buffer->size : 0;

    if (got < 0)
        return errno == EINTR;
    buffer_append(buffer, data, (size_t)got < room ? (size_t)got : room);
    return got > 0;
}

/* Collects both outputs until they are closed and the program has ended. */
static int program_pump(struct program *program, int cancel_fd, deadline_t deadline, size_t limit,
                        struct subprocess_result *result) {
    struct buffer *const buffers[] = {&result->output, &result->errors};

    for (;;) {
        struct pollfd polls[N_SOURCES] = {
            [SOURCE_OUTPUT] = {.fd = program->fds[PIPE_OUTPUT], .events = POLLIN},
            [SOURCE_ERRORS] = {.fd = program->fds[PIPE_ERRORS], .events = POLLIN},
            [SOURCE_EXIT] = {.fd = program->child.pidfd, .events = POLLIN},
            [SOURCE_CANCEL] = {.fd = cancel_fd, .events = POLLIN},
        };

        if (poll(polls, N_SOURCES, deadline_poll_timeout(deadline)) < 0) {
            if (errno == EINTR)
                continue;
            return -errno;
        }
        if (polls[SOURCE_CANCEL].revents)
            return -ECANCELED;
        for (size_t i = 0; i < ARRAY_SIZE(buffers); i++) {
            if (polls[i].revents && !output_collect(program->fds[i], buffers[i], limit))
                program->fds[i] = fd_close(program->fds[i]);
        }
        /* What a child of it still holds open is not waited for. */
        if (polls[SOURCE_EXIT].revents && !polls[SOURCE_OUTPUT].revents && !polls[SOURCE_ERRORS].revents)
            return 0;
        if (deadline_passed(deadline))
            return -ETIMEDOUT;
    }
}

int subprocess_run(const struct strv *argv, int cancel_fd, deadline_t deadline, size_t limit,
                   struct subprocess_result *ret_result, struct error **ret_error) {
    _cleanup_(program_deinit) struct program program = {.child = CHILD_NONE, .fds = {-1, -1, -1}};
    int code;
    int r;

    *ret_result = (struct subprocess_result){0};
    r = program_start(argv, &program);
    if (r == 0)
        r = program_pump(&program, cancel_fd, deadline, limit, ret_result);
    if (r < 0)
        child_kill(&program.child, SIGKILL);
    ret_result->status = child_reap(&program.child);
    if (r == 0 && read(program.fds[PIPE_EXEC], &code, sizeof(code)) == (ssize_t)sizeof(code))
        r = -code;
    return r < 0 ? error_errno(ret_error, r, "running %s", argv->items[0]) : 0;
}

bool process_ignores(int signal_number) {
    struct sigaction action;

    return sigaction(signal_number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}
