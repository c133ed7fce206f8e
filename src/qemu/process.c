/* SPDX-License-Identifier: Apache-2.0 */
#include "qemu/process.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/log.h"
#include "qemu/confine.h"

/* Not in the headers of older systems. */
#define NR_CLOSE_RANGE 436
#define CLOSE_RANGE_ON_EXEC (1u << 2)
#define DESCRIPTORS_MAX 65536
#define CHILD_STACK ((size_t)256 << 10) /* bytes; both ends aligned by malloc() and by this */

enum exec_step { STEP_PREPARE, STEP_CONFINE, STEP_EXEC };

struct exec_failure {
    enum exec_step step;
    int code; /* errno */
};

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

int qemu_find_program(const char *command, const struct arch *arch, const char *where, const char *setting,
                      char **ret_path, struct error **ret_error) {
    const char *name = command ? command : arch->qemu;

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
        return error_new(ret_error, ENOENT, "%s: there is no '%s' on PATH; install QEMU (%s) or name one with %s",
                         where, name, arch->qemu_packages, setting);
    *ret_path = path;
    return 0;
}

/* Descriptors that vmtest itself has inherited are nothing to QEMU: none survives the exec. */
static void close_all_on_exec(void) {
    struct rlimit limit;

    if (syscall(NR_CLOSE_RANGE, STDERR_FILENO + 1, ~0u, CLOSE_RANGE_ON_EXEC) == 0)
        return;
    /* Linux before 5.11. */
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur > DESCRIPTORS_MAX)
        limit.rlim_cur = DESCRIPTORS_MAX;
    for (int fd = STDERR_FILENO + 1; fd < (int)limit.rlim_cur; fd++)
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
}

static int redirect_standard_streams(int output_fd) {
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(output_fd, STDOUT_FILENO) < 0 ||
        dup2(output_fd, STDERR_FILENO) < 0)
        return -errno;
    return 0;
}

/*
 * Runs in the child up to its exec, in the parent's memory: it changes nothing there but its own variables.
 * Returns only on failure.
 */
static struct exec_failure exec_qemu(const struct qemu_process_request *request, int output_fd, pid_t parent) {
    struct rlimit no_core = {0};
    char *const empty[] = {NULL};
    struct rlimit files;
    sigset_t none;
    int r;

    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
        _exit(127);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)signal(SIGPIPE, SIG_DFL);
    if (setsid() < 0 || setrlimit(RLIMIT_CORE, &no_core) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return (struct exec_failure){STEP_PREPARE, errno};
    /* A guest may have more files open over 9p than a shell's programs are meant to have. */
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    r = redirect_standard_streams(output_fd);
    if (r < 0)
        return (struct exec_failure){STEP_PREPARE, -r};
    close_all_on_exec();
    for (size_t i = 0; i < request->n_keep; i++) {
        if (fcntl(request->keep[i], F_SETFD, 0) < 0)
            return (struct exec_failure){STEP_PREPARE, errno};
    }
    r = request->ruleset_fd >= 0 ? confine_self(request->ruleset_fd) : 0;
    if (r < 0)
        return (struct exec_failure){STEP_CONFINE, -r};
    (void)execve(request->argv->items[0], request->argv->items,
                 request->environment->items ? request->environment->items : empty);
    return (struct exec_failure){STEP_EXEC, errno};
}

/* For child_main(). */
struct child_arguments {
    const struct qemu_process_request *request;
    int output_fd;
    int result_fd; /* takes the failure */
    pid_t parent;
};

static int child_main(void *argument) {
    const struct child_arguments *arguments = argument;
    struct exec_failure failure = exec_qemu(arguments->request, arguments->output_fd, arguments->parent);

    (void)!write(arguments->result_fd, &failure, sizeof(failure));
    return 127;
}

/*
 * A worker is the copy of a supervisor that knows thousands of targets: for an exec none of that is copied once more.
 * As posix_spawn(3) does it, which knows nothing of Landlock: in the parent's memory, on a stack of its own, while the
 * parent waits.
 */
static int child_start(struct child_arguments *arguments, struct child *ret_child) {
    _cleanup_free_ char *stack = xcalloc(1, CHILD_STACK);
    pid_t pid = clone(child_main, stack + CHILD_STACK, CLONE_VM | CLONE_VFORK | SIGCHLD, arguments);

    return pid < 0 ? -errno : child_adopt(pid, ret_child);
}

/* Waits until the child has executed QEMU (the pipe closes) or could not (a failure comes). */
static int read_exec_result(int fd, const char *program, struct error **ret_error) {
    struct exec_failure failure = {STEP_EXEC, 0};
    ssize_t got;

    do
        got = read(fd, &failure, sizeof(failure));
    while (got < 0 && errno == EINTR);
    if (got != (ssize_t)sizeof(failure))
        return 0;
    if (failure.step == STEP_CONFINE)
        return error_errno(ret_error, failure.code,
                           "QEMU cannot be confined by Landlock; sandbox = false (--no-sandbox) does without it");
    return error_errno(ret_error, failure.code, "cannot run QEMU '%s'", program);
}

int qemu_process_start(const struct qemu_process_request *request, struct qemu_process *ret_process,
                       struct error **ret_error) {
    const char *program = request->argv->items[0];
    int output[2];
    int result[2];

    if (pipe2(output, O_CLOEXEC) < 0)
        return error_errno(ret_error, errno, "pipe");
    _cleanup_close_ int output_read = output[0];
    _cleanup_close_ int output_write = output[1];
    if (pipe2(result, O_CLOEXEC) < 0)
        return error_errno(ret_error, errno, "pipe");
    _cleanup_close_ int result_read = result[0];
    _cleanup_close_ int result_write = result[1];

    _cleanup_(qemu_process_deinit) struct qemu_process process = QEMU_PROCESS_NONE;
    struct child_arguments arguments = {
        .request = request, .output_fd = output_write, .result_fd = result_write, .parent = getpid()};
    int r = child_start(&arguments, &process.child);
    if (r < 0)
        return error_errno(ret_error, r, "cannot start a process for QEMU");

    (void)close(TAKE_FD(result_write));
    r = read_exec_result(result_read, program, ret_error);
    if (r < 0)
        return r;
    r = fd_set_nonblocking(output_read);
    if (r < 0)
        return error_errno(ret_error, r, "cannot run QEMU '%s'", program);
    process.output_fd = TAKE_FD(output_read);
    *ret_process = process;
    process = QEMU_PROCESS_NONE;
    return 0;
}

int qemu_process_end(struct qemu_process *process) {
    child_kill(&process->child, SIGKILL);
    /* Until QEMU is reaped, its group's number is its own. */
    if (process->child.pid > 0)
        (void)kill(-process->child.pid, SIGKILL);
    return child_reap(&process->child);
}

void qemu_process_deinit(struct qemu_process *process) {
    (void)qemu_process_end(process);
    process->output_fd = fd_close(process->output_fd);
}

char *qemu_describe_exit(int wait_status) {
    if (WIFSIGNALED(wait_status))
        return xasprintf("was killed by signal %d (%s)", WTERMSIG(wait_status), strsignal(WTERMSIG(wait_status)));
    return xasprintf("exited with status %d", WEXITSTATUS(wait_status));
}
