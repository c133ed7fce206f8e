/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting the command: the EXEC frame is unpacked into static storage, pipes or a pseudo terminal are made, and the
 * child becomes the leader of a session of its own, with default signals and nothing of the agent's.
 */
#include "agent/command-start.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "agent/oom.h"
#include "wire/guest-shells.h"

#define PIPE_SIZE (1 << 20)
#define MAX_STRINGS (1u << 18)
#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

struct exec_request {
    uint32_t flags;
    uint64_t credit;
    unsigned rows, columns;
    char directory[PATH_MAX];
    char **argv;
    char **environment;
};

/* The strings of a request, each with its NUL, and pointers to them. */
static char text[WIRE_PAYLOAD_MAX + MAX_STRINGS];
static size_t text_used;
static char *strings[MAX_STRINGS + 2];
static size_t strings_used;

/* Reads a list of strings; NULL when it is malformed. `spare` entries are left free in front of it. */
static char **read_list(struct wire_reader *reader, size_t spare) {
    uint32_t count = wire_get_u32(reader);
    char **list;

    if (count > MAX_STRINGS || strings_used + spare + count + 1 > ARRAY_SIZE(strings))
        return NULL;
    strings_used += spare;
    list = &strings[strings_used];
    for (uint32_t i = 0; i < count; i++) {
        char *string = text + text_used;

        wire_get_string(reader, string, sizeof(text) - text_used);
        if (reader->failed)
            return NULL;
        text_used += strlen(string) + 1;
        list[i] = string;
    }
    list[count] = NULL;
    strings_used += count + 1;
    return list;
}

static bool read_request(const struct wire_frame *frame, struct exec_request *request) {
    struct wire_reader reader;

    text_used = strings_used = 0;
    wire_reader_init(&reader, frame);
    request->flags = wire_get_u32(&reader);
    request->credit = wire_get_u64(&reader);
    request->rows = wire_get_u32(&reader);
    request->columns = wire_get_u32(&reader);
    wire_get_string(&reader, request->directory, sizeof(request->directory));
    request->argv = read_list(&reader, 3);
    request->environment = request->argv ? read_list(&reader, 0) : NULL;
    return request->environment && wire_reader_done(&reader);
}

char **command_prepend_shell(char **argv) {
    for (size_t i = 0; i < ARRAY_SIZE(guest_shells); i++) {
        if (access(guest_shells[i], X_OK) < 0)
            continue;
        if (strstr(guest_shells[i], "busybox"))
            *--argv = (char *)"sh";
        *--argv = (char *)guest_shells[i];
        return argv;
    }
    return NULL;
}

/* A script from the argument, a shell for a person, or a script from standard input. */
static const char *shell_option(uint32_t flags) {
    if (!(flags & WIRE_EXEC_LOGIN))
        return "-c";
    return flags & WIRE_EXEC_TERMINAL ? "-i" : "-s";
}

/* Puts the shell in front of the script, in the places that read_list() left free. */
static int choose_shell(struct exec_request *request, struct failure *failure) {
    char **argv = request->argv;

    *--argv = (char *)shell_option(request->flags);
    request->argv = command_prepend_shell(argv);
    if (!request->argv)
        return failure_set(failure,
                           "the guest's root has no shell: neither bash nor sh nor busybox in /bin or /usr/bin");
    return 0;
}

/* In the child: the command's environment is its own, or the agent's with the request's variables in it. */
static void set_environment(const struct exec_request *request) {
    if (!(request->flags & WIRE_EXEC_INHERIT)) {
        environ = request->environment;
        return;
    }
    /* Variables that a login sets and a system's services may lack. */
    (void)setenv("HOME", "/root", 0);
    (void)setenv("USER", "root", 0);
    (void)setenv("LOGNAME", "root", 0);
    (void)setenv("PATH", DEFAULT_PATH, 0);
    for (char **variable = request->environment; *variable; variable++)
        (void)putenv(*variable);
}

/* As execvp(), but runs no file without an interpreter as a script. Returns only on failure, with errno set. */
static void exec_on_path(char **argv) {
    const char *path = getenv("PATH");
    int result = ENOENT;

    if (!path)
        path = DEFAULT_PATH;
    if (strchr(argv[0], '/')) {
        (void)execv(argv[0], argv);
        return;
    }
    while (*path) {
        size_t length = strcspn(path, ":");
        char file[PATH_MAX];

        if ((size_t)snprintf(file, sizeof(file), "%.*s/%s", (int)length, length ? path : ".", argv[0]) < sizeof(file)) {
            (void)execv(file, argv);
            if (errno != ENOENT && errno != ENOTDIR)
                result = errno;
        }
        path += length + (path[length] == ':');
    }
    errno = result;
}

_Noreturn static void become_command(const struct exec_request *request, const int streams[3], bool terminal) {
    sigset_t none;

    if (role != ROLE_INIT)
        oom_unshield();
    for (int number = 1; number < NSIG; number++)
        (void)signal(number, SIG_DFL);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)setsid();
    for (int i = 0; i < 3; i++) {
        if (dup2(streams[i], i) < 0)
            _exit(126);
    }
    if (terminal)
        (void)ioctl(STDIN_FILENO, TIOCSCTTY, 0);
    (void)umask(022);
    set_environment(request);
    exec_on_path(request->argv);

    int code = errno;
    (void)dprintf(STDERR_FILENO, "vmtest: %s: %s\n", request->argv[0],
                  code == ENOENT ? "command not found" : strerror(code));
    _exit(code == ENOENT ? 127 : 126);
}

static int set_nonblocking(int fd) {
    return fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

/* One pipe; ours is non-blocking. `reading`: we read from it. */
static int make_pipe(int *ret_ours, int *ret_theirs, bool reading) {
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -1;
    (void)fcntl(ends[0], F_SETPIPE_SZ, PIPE_SIZE);
    *ret_ours = ends[reading ? 0 : 1];
    *ret_theirs = ends[reading ? 1 : 0];
    return set_nonblocking(*ret_ours);
}

static int make_pipes(struct command *command, bool with_input, int streams[3]) {
    if (with_input) {
        if (make_pipe(&command->in, &streams[0], false) < 0)
            return -1;
    } else {
        streams[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (streams[0] < 0)
            return -1;
    }
    if (make_pipe(&command->out, &streams[1], true) < 0 || make_pipe(&command->err, &streams[2], true) < 0)
        return -1;
    return 0;
}

static int make_terminal(struct command *command, const struct exec_request *request, int streams[3]) {
    struct winsize size = {.ws_row = (unsigned short)request->rows, .ws_col = (unsigned short)request->columns};
    char name[64];

    command->out = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (command->out < 0 || grantpt(command->out) < 0 || unlockpt(command->out) < 0 ||
        ptsname_r(command->out, name, sizeof(name)) != 0 || set_nonblocking(command->out) < 0)
        return -1;
    streams[0] = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    streams[1] = streams[2] = streams[0];
    (void)ioctl(command->out, TIOCSWINSZ, &size);
    return streams[0] < 0 ? -1 : 0;
}

static void close_streams(int streams[3], bool terminal) {
    for (int i = 0; i < (terminal ? 1 : 3); i++) {
        if (streams[i] >= 0)
            (void)close(streams[i]);
    }
}

int command_start(struct command *command, const struct wire_frame *frame, struct failure *failure) {
    static struct exec_request request;
    int streams[3] = {-1, -1, -1};
    bool terminal;
    int r;

    if (!read_request(frame, &request))
        return failure_set(failure, "the request to run the command is malformed");
    terminal = request.flags & WIRE_EXEC_TERMINAL;
    if (request.flags & WIRE_EXEC_SHELL && choose_shell(&request, failure) < 0)
        return -1;
    if (!request.argv[0])
        return failure_set(failure, "there is no command to run");
    if (request.directory[0] && chdir(request.directory) < 0)
        return failure_set(failure, "the working directory %s: %s", request.directory, strerror(errno));

    *command = (struct command){.in = -1, .out = -1, .err = -1, .terminal = terminal, .credit = request.credit};
    r = terminal ? make_terminal(command, &request, streams)
                 : make_pipes(command, request.flags & WIRE_EXEC_STDIN, streams);
    if (r < 0)
        return failure_set(failure, "making the command's %s: %s", terminal ? "terminal" : "pipes", strerror(errno));
    command->pid = fork();
    if (command->pid == 0)
        become_command(&request, streams, terminal);
    close_streams(streams, terminal);
    if (command->pid < 0)
        return failure_set(failure, "starting the command: %s", strerror(errno));
    return 0;
}
