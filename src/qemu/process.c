/* SPDX-License-Identifier: Apache-2.0 */
#include "qemu/process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/log.h"

static char *find_on_path(const char *name) {
    const char *path = getenv("PATH");
    _cleanup_free_ char *copy = xstrdup(str_empty(path) ? "/usr/local/bin:/usr/bin:/bin" : path);
    char *rest = copy;
    char *directory;

    while ((directory = strsep(&rest, ":")) != NULL) {
        char *candidate = path_resolve(str_empty(directory) ? "." : directory, name);

        if (!path_is_directory(candidate) && access(candidate, X_OK) == 0)
            return candidate;
        free(candidate);
    }
    return NULL;
}

int qemu_find_program(const char *command, const char *fallback, const char *where, char **ret_path,
                      struct error **ret_error) {
    const char *name = command ? command : fallback;

    if (strchr(name, '/')) {
        if (access(name, X_OK) < 0)
            return error_errno(ret_error, errno, "%s: QEMU '%s' cannot be run", where, name);
        if (path_is_directory(name))
            return error_new(ret_error, EISDIR, "%s: QEMU '%s' is a directory; give the program", where, name);
        *ret_path = xstrdup(name);
        return 0;
    }

    char *path = find_on_path(name);
    if (!path && command)
        return error_new(ret_error, ENOENT, "%s: there is no '%s' on PATH", where, name);
    if (!path)
        return error_new(ret_error, ENOENT,
                         "%s: there is no '%s' on PATH; install QEMU (Debian and Ubuntu: qemu-system-x86, Fedora: "
                         "qemu-system-x86-core) or set qemu_command",
                         where, name);
    *ret_path = path;
    return 0;
}

/* Runs in the child, between fork and exec: only what is safe there. Returns only on failure. */
static void exec_qemu(const struct strv *argv, const int *keep, size_t n_keep, int output_fd, pid_t parent) {
    struct rlimit no_core = {0};
    struct rlimit files;
    sigset_t none;

    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
        _exit(127);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)signal(SIGPIPE, SIG_DFL);
    (void)setsid();
    (void)setrlimit(RLIMIT_CORE, &no_core);
    /* A guest may have more files open over 9p than a shell's programs are meant to have. */
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);

    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(output_fd, STDOUT_FILENO) < 0 ||
        dup2(output_fd, STDERR_FILENO) < 0)
        return;
    for (size_t i = 0; i < n_keep; i++) {
        if (fcntl(keep[i], F_SETFD, 0) < 0)
            return;
    }
    (void)execv(argv->items[0], argv->items);
}

/* Waits until the child has executed QEMU (the pipe closes) or could not (an errno comes). */
static int read_exec_result(int fd) {
    int code = 0;
    ssize_t got;

    do
        got = read(fd, &code, sizeof(code));
    while (got < 0 && errno == EINTR);
    return got == (ssize_t)sizeof(code) ? -code : 0;
}

int qemu_process_start(const struct strv *argv, const int *keep, size_t n_keep, struct qemu_process *ret_process,
                       struct error **ret_error) {
    int output[2];
    int result[2];
    pid_t parent = getpid();

    if (pipe2(output, O_CLOEXEC) < 0)
        return error_errno(ret_error, errno, "pipe");
    _cleanup_close_ int output_read = output[0];
    _cleanup_close_ int output_write = output[1];
    if (pipe2(result, O_CLOEXEC) < 0)
        return error_errno(ret_error, errno, "pipe");
    _cleanup_close_ int result_read = result[0];
    _cleanup_close_ int result_write = result[1];

    pid_t pid = fork();
    if (pid < 0)
        return error_errno(ret_error, errno, "cannot start a process for QEMU");
    if (pid == 0) {
        exec_qemu(argv, keep, n_keep, output_write, parent);
        int code = errno;
        (void)!write(result_write, &code, sizeof(code));
        _exit(127);
    }

    struct qemu_process process = {.pid = pid, .output_fd = -1};
    process.pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    (void)close(TAKE_FD(result_write));
    int r = process.pidfd < 0 ? -errno : read_exec_result(result_read);
    if (r == 0)
        r = fd_set_nonblocking(output_read);
    if (r < 0) {
        (void)qemu_process_kill(&process);
        qemu_process_deinit(&process);
        return error_errno(ret_error, r, "cannot run QEMU '%s'", argv->items[0]);
    }
    process.output_fd = TAKE_FD(output_read);
    *ret_process = process;
    return 0;
}

int qemu_process_reap(struct qemu_process *process) {
    int status = 0;

    if (process->pid <= 0)
        return 0;
    while (waitpid(process->pid, &status, 0) < 0 && errno == EINTR)
        ;
    process->pid = 0;
    return status;
}

int qemu_process_kill(struct qemu_process *process) {
    if (process->pid <= 0)
        return 0;
    (void)kill(process->pid, SIGKILL);
    return qemu_process_reap(process);
}

void qemu_process_deinit(struct qemu_process *process) {
    (void)qemu_process_kill(process);
    process->pidfd = fd_close(process->pidfd);
    process->output_fd = fd_close(process->output_fd);
}

char *qemu_describe_exit(int wait_status) {
    if (WIFSIGNALED(wait_status))
        return xasprintf("was killed by signal %d (%s)", WTERMSIG(wait_status), strsignal(WTERMSIG(wait_status)));
    return xasprintf("exited with status %d", WEXITSTATUS(wait_status));
}
