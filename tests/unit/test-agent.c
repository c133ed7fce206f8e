/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent as an ordinary process (`vmtest-agent --serve FD`, its path in $AGENT) against a scripted host at the other
 * end of a socket pair. Every wait has a deadline, so an agent that hangs fails the test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "wire/frame.h"

#define DEADLINE_MS 30000
#define QUIET_MS 300
#define IN_SIZE (1u << 20)
#define LOTS UINT64_C(0x7fffffffffffffff)
#define MAX_ARGS 8
#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

struct host {
    pid_t pid;
    int fd;
    size_t size, used; /* bytes in `in`; those of the frame handed out last */
    unsigned char *in;
};

/* The agent of the test that runs; 0: none. */
static pid_t running;

static const char *const test_environment[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", NULL};

static void host_write(struct host *host, const void *data, size_t size) {
    for (size_t done = 0; done < size;) {
        ssize_t put = send(host->fd, (const char *)data + done, size - done, MSG_NOSIGNAL);

        assert_true(put > 0);
        done += (size_t)put;
    }
}

static void host_send(struct host *host, struct wire_writer *writer) {
    size_t size = wire_end(writer);

    assert_true(size > 0);
    host_write(host, writer->data, size);
}

static void host_send_raw(struct host *host, uint32_t type, const void *payload, size_t size) {
    unsigned char header[WIRE_HEADER_SIZE];

    wire_put_header(header, type, size);
    host_write(host, header, sizeof(header));
    host_write(host, payload, size);
}

static void host_send_u32s(struct host *host, uint32_t type, const uint32_t *numbers, size_t count) {
    unsigned char frame[64];
    struct wire_writer writer;

    wire_begin(&writer, frame, sizeof(frame), type);
    for (size_t i = 0; i < count; i++)
        wire_put_u32(&writer, numbers[i]);
    host_send(host, &writer);
}

static void host_send_u64(struct host *host, uint32_t type, uint64_t number) {
    unsigned char frame[64];
    struct wire_writer writer;

    wire_begin(&writer, frame, sizeof(frame), type);
    wire_put_u64(&writer, number);
    host_send(host, &writer);
}

/* Waits for the agent to say something. False: nothing came in that time. */
static bool host_wait(struct host *host, int timeout_ms) {
    struct pollfd wait = {.fd = host->fd, .events = POLLIN};

    return poll(&wait, 1, timeout_ms) == 1;
}

/* The next frame; false when nothing comes in that time. It stays valid until the next call. */
static bool host_receive(struct host *host, int timeout_ms, struct wire_frame *ret_frame) {
    memmove(host->in, host->in + host->used, host->size - host->used);
    host->size -= host->used;
    host->used = 0;
    for (;;) {
        enum wire_status status = wire_parse(host->in, host->size, ret_frame, &host->used);
        ssize_t got;

        assert_int_not_equal(status, WIRE_GARBAGE);
        if (status == WIRE_OK)
            return true;
        if (!host_wait(host, timeout_ms))
            return false;
        got = read(host->fd, host->in + host->size, IN_SIZE - host->size);
        assert_true(got > 0);
        host->size += (size_t)got;
    }
}

static struct wire_frame host_expect(struct host *host, uint32_t type) {
    struct wire_frame frame;

    do {
        if (!host_receive(host, DEADLINE_MS, &frame))
            fail_msg("the agent does not send '%s'", wire_type_name(type));
    } while (frame.type == WIRE_CREDIT && type != WIRE_CREDIT);
    if (frame.type != type)
        fail_msg("'%s' in place of '%s'", wire_type_name(frame.type), wire_type_name(type));
    return frame;
}

/* Starts the agent; it has said hello when this returns. */
static void host_start(struct host *host) {
    const char *agent = getenv("AGENT");
    char number[16];
    static unsigned char in[IN_SIZE];
    int fds[2];

    assert_non_null(agent);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    *host = (struct host){.fd = fds[0], .in = in};
    host->pid = running = fork();
    assert_true(host->pid >= 0);
    if (host->pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        /* nothing of the test's own, nor of whatever started it */
        (void)close_range(3, (unsigned)fds[1] - 1, 0);
        (void)close_range((unsigned)fds[1] + 1, ~0u, 0);
        snprintf(number, sizeof(number), "%d", fds[1]);
        execl(agent, agent, "--serve", number, (char *)NULL);
        _exit(99);
    }
    close(fds[1]);
}

/* The agent has ended by itself, as it must once the host is gone. */
static void host_expect_end(struct host *host) {
    struct pollfd wait = {.fd = host->fd, .events = POLLIN};
    char byte;
    int status;

    /* The socket tells of its end, so that waitpid() cannot hang. */
    for (;;) {
        if (poll(&wait, 1, DEADLINE_MS) != 1) {
            kill(host->pid, SIGKILL);
            fail_msg("the agent goes on");
        }
        if (read(host->fd, &byte, 1) <= 0)
            break;
    }
    assert_int_equal(waitpid(host->pid, &status, 0), host->pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0); /* sanitizers and valgrind tell of faults by another one */
    running = 0;
    close(host->fd);
}

/* A test that failed leaves its agent behind. */
static int end_agent(void **state) {
    (void)state;
    if (running > 0) {
        kill(running, SIGKILL);
        waitpid(running, NULL, 0);
    }
    running = 0;
    return 0;
}

static void host_stop(struct host *host) {
    shutdown(host->fd, SHUT_WR);
    host_expect_end(host);
}

/* For the first shell: more of them, and more text, than the agent has room for. */
static void put_variables(struct wire_writer *writer) {
    char variable[201] = "LC_ALL=";

    memset(variable + 7, 'x', sizeof(variable) - 8);
    wire_put_u32(writer, 40);
    for (size_t i = 0; i < 40; i++)
        wire_put_string(writer, variable);
}

static void host_setup(struct host *host) {
    unsigned char frame[16384];
    struct wire_writer writer;

    host_expect(host, WIRE_HELLO);
    wire_begin(&writer, frame, sizeof(frame), WIRE_SETUP);
    wire_put_u64(&writer, 1);
    wire_put_u32(&writer, 0);
    wire_put_bytes(&writer, "entropy", 7);
    wire_put_string(&writer, "guest");
    wire_put_u32(&writer, WIRE_ROOT_OVERLAY);
    wire_put_u32(&writer, 0);
    wire_put_u32(&writer, 0);
    put_variables(&writer);
    host_send(host, &writer);
    host_expect(host, WIRE_READY);
}

static void put_list(struct wire_writer *writer, const char *const *list) {
    uint32_t count = 0;

    while (list[count])
        count++;
    wire_put_u32(writer, count);
    for (uint32_t i = 0; i < count; i++)
        wire_put_string(writer, list[i]);
}

static void host_exec_in(struct host *host, const char *directory, uint32_t flags, uint64_t credit,
                         const char *const *argv) {
    unsigned char frame[8192];
    struct wire_writer writer;

    wire_begin(&writer, frame, sizeof(frame), WIRE_EXEC);
    wire_put_u32(&writer, flags);
    wire_put_u64(&writer, credit);
    wire_put_u32(&writer, 24);
    wire_put_u32(&writer, 80);
    wire_put_string(&writer, directory);
    put_list(&writer, argv);
    put_list(&writer, test_environment);
    host_send(host, &writer);
}

static void host_exec(struct host *host, uint32_t flags, uint64_t credit, const char *const *argv) {
    host_exec_in(host, "/", flags, credit, argv);
}

static void host_shell(struct host *host, uint32_t flags, uint64_t credit, const char *script) {
    const char *const argv[] = {script, NULL};

    host_exec(host, flags | WIRE_EXEC_SHELL, credit, argv);
}

/* What a command did. */
struct result {
    size_t out_size, err_size; /* in all; the beginnings are kept */
    char out[65536], err[65536];
    uint32_t kind, code;
    uint64_t user, system, rss;
};

static void keep(char *kept, size_t *size, const struct wire_frame *frame) {
    size_t room = *size < 65535 ? 65535 - *size : 0;
    size_t part = frame->size < room ? frame->size : room;

    memcpy(kept + (*size < 65535 ? *size : 65535), frame->payload, part);
    *size += frame->size;
    kept[*size < 65535 ? *size : 65535] = '\0';
}

static void take_exited(const struct wire_frame *frame, struct result *result) {
    struct wire_reader reader;

    wire_reader_init(&reader, frame);
    result->kind = wire_get_u32(&reader);
    result->code = wire_get_u32(&reader);
    result->user = wire_get_u64(&reader);
    result->system = wire_get_u64(&reader);
    result->rss = wire_get_u64(&reader);
    assert_true(wire_reader_done(&reader));
}

/* Collects output up to EXITED. `refill`: credit that is granted anew for each byte that has come. */
static void host_collect(struct host *host, bool refill, struct result *result) {
    struct wire_frame frame;

    memset(result, 0, sizeof(*result));
    for (;;) {
        if (!host_receive(host, DEADLINE_MS, &frame))
            fail_msg("the command's end is not told; %zu bytes of output so far", result->out_size);
        if (frame.type == WIRE_STDOUT)
            keep(result->out, &result->out_size, &frame);
        else if (frame.type == WIRE_STDERR)
            keep(result->err, &result->err_size, &frame);
        else if (frame.type == WIRE_EXITED)
            break;
        else if (frame.type != WIRE_PONG && frame.type != WIRE_CREDIT)
            fail_msg("'%s' among the output", wire_type_name(frame.type));
        if (refill && (frame.type == WIRE_STDOUT || frame.type == WIRE_STDERR))
            host_send_u64(host, WIRE_CREDIT, frame.size);
    }
    take_exited(&frame, result);
}

static void host_begin(struct host *host) {
    host_start(host);
    host_setup(host);
}

static char *text_of(const struct wire_frame *frame) {
    static char text[2048];
    struct wire_reader reader;

    wire_reader_init(&reader, frame);
    wire_get_string(&reader, text, sizeof(text));
    assert_true(wire_reader_done(&reader));
    return text;
}

static void test_hello_names_version_and_kernel(void **state) {
    struct host host;
    struct wire_reader reader;
    struct wire_frame frame;
    struct utsname name;
    char release[128];

    (void)state;
    host_start(&host);
    frame = host_expect(&host, WIRE_HELLO);
    wire_reader_init(&reader, &frame);
    assert_int_equal(wire_get_u32(&reader), WIRE_PROTOCOL_VERSION);
    wire_get_string(&reader, release, sizeof(release));
    assert_int_equal(uname(&name), 0);
    assert_string_equal(release, name.release);
    assert_true(wire_reader_done(&reader));
    host_stop(&host);
}

#define BYTES(string) string, sizeof(string) - 1

struct command_case {
    const char *name;
    uint32_t flags;
    const char *argv[MAX_ARGS];
    const char *out;
    size_t out_size;
    const char *err;
    size_t err_size;
    uint32_t kind, code;
};

static const struct command_case command_cases[] = {
    {"true", 0, {"true"}, BYTES(""), BYTES(""), WIRE_EXIT_CODE, 0},
    {"false", 0, {"false"}, BYTES(""), BYTES(""), WIRE_EXIT_CODE, 1},
    {"the highest exit code", WIRE_EXEC_SHELL, {"exit 255"}, BYTES(""), BYTES(""), WIRE_EXIT_CODE, 255},
    {"an exit code", WIRE_EXEC_SHELL, {"exit 42"}, BYTES(""), BYTES(""), WIRE_EXIT_CODE, 42},
    {"death by SIGKILL", WIRE_EXEC_SHELL, {"kill -9 $$"}, BYTES(""), BYTES(""), WIRE_EXIT_SIGNAL, SIGKILL},
    {"death by SIGPIPE, whose default is restored",
     WIRE_EXEC_SHELL,
     {"kill -PIPE $$"},
     BYTES(""),
     BYTES(""),
     WIRE_EXIT_SIGNAL,
     SIGPIPE},
    {"no signal is blocked",
     0,
     {"grep", "-c", "^SigBlk:\t0000000000000000$", "/proc/self/status"},
     BYTES("1\n"),
     BYTES(""),
     WIRE_EXIT_CODE,
     0},
    {"both outputs, apart, with NULs and no newline",
     0,
     {"bash", "-c", "printf 'a\\0b'; printf '\\0\\377c' >&2"},
     BYTES("a\0b"),
     BYTES("\0\377c"),
     WIRE_EXIT_CODE,
     0},
    {"arguments stay as they are",
     0,
     {"printf", "%s|", "", " a  b ", "$HOME", "*", "'\"\n"},
     BYTES("| a  b |$HOME|*|'\"\n|"),
     BYTES(""),
     WIRE_EXIT_CODE,
     0},
    {"the environment is what was sent",
     0,
     {"env"},
     BYTES("PATH=/usr/sbin:/usr/bin:/sbin:/bin\nLC_ALL=C\n"),
     BYTES(""),
     WIRE_EXIT_CODE,
     0},
    {"without input it reads the end of file", 0, {"cat"}, BYTES(""), BYTES(""), WIRE_EXIT_CODE, 0},
    {"no descriptor of the agent's is left open",
     0,
     {"ls", "/proc/self/fd"},
     BYTES("0\n1\n2\n3\n"),
     BYTES(""),
     WIRE_EXIT_CODE,
     0},
    {"it leads a session",
     0,
     {"bash", "-c",
      "read -r _ _ _ _ group session _ < /proc/$$/stat; "
      "[ $group = $$ ] && [ $session = $$ ]"},
     BYTES(""),
     BYTES(""),
     WIRE_EXIT_CODE,
     0},
};

static void test_commands_end_exactly(void **state) {
    static struct result result;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(command_cases); i++) {
        const struct command_case *row = &command_cases[i];
        struct host host;

        host_begin(&host);
        host_exec(&host, row->flags, LOTS, row->argv);
        host_collect(&host, false, &result);
        if (result.kind != row->kind || result.code != row->code || result.out_size != row->out_size ||
            memcmp(result.out, row->out, row->out_size) != 0 || result.err_size != row->err_size ||
            memcmp(result.err, row->err, row->err_size) != 0)
            fail_msg("%s: kind %u, code %u, output '%s', error '%s'", row->name, result.kind, result.code, result.out,
                     result.err);
        host_stop(&host);
    }
}

static void test_exit_tells_resource_use(void **state) {
    static struct result result;
    struct host host;

    (void)state;
    host_begin(&host);
    host_shell(&host, 0, LOTS, "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done");
    host_collect(&host, false, &result);
    assert_true(result.user + result.system > 0);
    assert_true(result.rss > 100);
    host_stop(&host);
}

static void test_program_that_is_missing_gives_127(void **state) {
    static const char *const argv[] = {"/does/not/exist", NULL};
    static struct result result;
    struct host host;

    (void)state;
    host_begin(&host);
    host_exec(&host, 0, LOTS, argv);
    host_collect(&host, false, &result);
    assert_int_equal(result.kind, WIRE_EXIT_CODE);
    assert_int_equal(result.code, 127);
    assert_non_null(strstr(result.err, "/does/not/exist"));
    host_stop(&host);
}

static void test_file_that_is_no_program_gives_126(void **state) {
    static const char *const argv[] = {"/etc/passwd", NULL};
    static struct result result;
    struct host host;

    (void)state;
    host_begin(&host);
    host_exec(&host, 0, LOTS, argv);
    host_collect(&host, false, &result);
    assert_int_equal(result.code, 126);
    assert_non_null(strstr(result.err, "/etc/passwd"));
    host_stop(&host);
}

static void test_missing_directory_fails_by_name(void **state) {
    static const char *const argv[] = {"true", NULL};
    struct host host;
    struct wire_frame frame;

    (void)state;
    host_begin(&host);
    host_exec_in(&host, "/does/not/exist", 0, LOTS, argv);
    frame = host_expect(&host, WIRE_FAILED);
    assert_non_null(strstr(text_of(&frame), "/does/not/exist"));
    host_stop(&host);
}

static void test_background_process_does_not_delay_the_end(void **state) {
    static struct result result;
    struct host host;

    (void)state;
    host_begin(&host);
    host_shell(&host, 0, LOTS, "tail -f /dev/null & printf before-the-end");
    host_collect(&host, false, &result);
    assert_string_equal(result.out, "before-the-end");
    host_stop(&host);
}

/* 200 kB fit into the pipe: the command has ended long before they are granted. */
static void test_output_before_the_end_outlives_it(void **state) {
    static struct result result;
    struct host host;
    struct wire_frame frame;

    (void)state;
    host_begin(&host);
    host_shell(&host, 0, 0, "tail -f /dev/null & head -c 200000 /dev/zero; printf last >&2");
    assert_false(host_receive(&host, QUIET_MS, &frame));
    host_send_u64(&host, WIRE_CREDIT, 1000);
    host_send_u64(&host, WIRE_CREDIT, 199004);
    host_collect(&host, false, &result);
    assert_int_equal(result.out_size, 200000);
    assert_string_equal(result.err, "last");
    host_stop(&host);
}

static void test_ping_is_answered_without_credit(void **state) {
    struct host host;
    struct wire_frame frame;
    struct wire_reader reader;

    (void)state;
    host_begin(&host);
    host_shell(&host, 0, 0, "cat /dev/zero");
    host_send_u64(&host, WIRE_PING, UINT64_C(0x1122334455667788));
    frame = host_expect(&host, WIRE_PONG);
    wire_reader_init(&reader, &frame);
    assert_true(wire_get_u64(&reader) == UINT64_C(0x1122334455667788));
    assert_true(wire_reader_done(&reader));
    assert_false(host_receive(&host, QUIET_MS, &frame));
    host_send_u32s(&host, WIRE_SIGNAL, (uint32_t[]){SIGKILL}, 1);
    host_stop(&host);
}

static void test_output_never_exceeds_the_credit(void **state) {
    static struct result result;
    struct host host;
    struct wire_frame frame;
    size_t got = 0;

    (void)state;
    host_begin(&host);
    host_shell(&host, 0, 10, "head -c 100 /dev/zero; head -c 100 /dev/zero >&2");
    while (got < 10 && host_receive(&host, DEADLINE_MS, &frame))
        got += frame.size;
    assert_int_equal(got, 10);
    assert_false(host_receive(&host, QUIET_MS, &frame));
    host_send_u64(&host, WIRE_CREDIT, 190);
    host_collect(&host, false, &result);
    assert_int_equal(result.out_size + result.err_size, 190);
    host_stop(&host);
}

static void test_megabytes_pass_a_small_window(void **state) {
    static struct result result;
    struct host host;

    (void)state;
    host_begin(&host);
    host_shell(&host, 0, 100000, "head -c 5000000 /dev/zero; head -c 1000000 /dev/zero >&2");
    host_collect(&host, true, &result);
    assert_int_equal(result.out_size, 5000000);
    assert_int_equal(result.err_size, 1000000);
    host_stop(&host);
}

static void test_input_reaches_the_command(void **state) {
    static struct result result;
    struct host host;

    (void)state;
    host_begin(&host);
    host_shell(&host, WIRE_EXEC_STDIN, LOTS, "cat; echo end");
    host_send_raw(&host, WIRE_STDIN, "one\0two", 7);
    host_send_raw(&host, WIRE_STDIN, "", 0);
    host_collect(&host, false, &result);
    assert_int_equal(result.out_size, 11);
    assert_memory_equal(result.out, "one\0twoend\n", 11);
    host_stop(&host);
}

/* The command starts to read only once all has been sent. */
static void test_input_is_kept_for_a_command_that_reads_late(void **state) {
    static unsigned char piece[WIRE_DATA_MAX];
    static struct result result;
    struct host host;

    (void)state;
    host_begin(&host);
    host_shell(&host, WIRE_EXEC_STDIN, LOTS,
               "trap go=1 USR1; echo ready; while [ -z \"$go\" ]; do tail -f /dev/null & wait; "
               "[ \"$go\" ] || echo again || exit; done; exec wc -c"); /* tail ends with whoever reads from it */
    host_expect(&host, WIRE_STDOUT);
    for (size_t sent = 0; sent < 4000000; sent += 50000)
        host_send_raw(&host, WIRE_STDIN, piece, 50000);
    host_send_raw(&host, WIRE_STDIN, "", 0);
    host_send_u64(&host, WIRE_PING, 1);
    host_expect(&host, WIRE_PONG);
    host_send_u32s(&host, WIRE_SIGNAL, (uint32_t[]){SIGUSR1}, 1);
    host_collect(&host, false, &result);
    assert_string_equal(result.out, "4000000\n");
    host_stop(&host);
}

/* As much as the command reads of it, no more and, but for the last piece, no less. */
static void test_input_is_granted_as_it_is_read(void **state) {
    static unsigned char piece[WIRE_DATA_MAX];
    struct wire_reader reader;
    struct wire_frame frame;
    struct host host;
    uint64_t granted = 0;

    (void)state;
    host_begin(&host);
    host_shell(&host, WIRE_EXEC_STDIN, LOTS, "head -c 3000000 > /dev/null; sleep 1000");
    for (size_t sent = 0; sent < 6000000; sent += 60000)
        host_send_raw(&host, WIRE_STDIN, piece, 60000);
    while (host_receive(&host, granted < 3000000 - WIRE_DATA_MAX ? DEADLINE_MS : 2 * QUIET_MS, &frame)) {
        assert_int_equal(frame.type, WIRE_CREDIT);
        wire_reader_init(&reader, &frame);
        granted += wire_get_u64(&reader);
        assert_true(wire_reader_done(&reader));
    }
    /* A pipe holds some of what is not read. */
    assert_in_range(granted, 3000000 - WIRE_DATA_MAX, 3000000 + 2 * (1 << 20));
    host_send_u64(&host, WIRE_PING, 1);
    host_expect(&host, WIRE_PONG);
    host_send_u32s(&host, WIRE_SIGNAL, (uint32_t[]){SIGKILL}, 1);
    host_stop(&host);
}

static void test_signal_reaches_the_whole_group(void **state) {
    static struct result result;
    struct host host;
    struct wire_frame frame;

    (void)state;
    host_begin(&host);
    host_shell(&host, 0, LOTS, "echo started; tail -f /dev/null; echo survived");
    frame = host_expect(&host, WIRE_STDOUT);
    assert_int_equal(frame.size, 8);
    host_send_u32s(&host, WIRE_SIGNAL, (uint32_t[]){SIGTERM}, 1);
    host_collect(&host, false, &result);
    assert_int_equal(result.kind, WIRE_EXIT_SIGNAL);
    assert_int_equal(result.code, SIGTERM);
    host_stop(&host);
}

/* However soon it comes: the process may not have called setsid() yet. */
static void test_signal_right_after_exec_is_not_lost(void **state) {
    static const char *const argv[] = {"tail", "-f", "/dev/null", NULL};
    static struct result result;

    (void)state;
    for (int i = 0; i < 50; i++) {
        struct host host;

        host_begin(&host);
        host_exec(&host, 0, LOTS, argv);
        host_send_u32s(&host, WIRE_SIGNAL, (uint32_t[]){SIGKILL}, 1);
        host_collect(&host, false, &result);
        assert_int_equal(result.kind, WIRE_EXIT_SIGNAL);
        host_stop(&host);
    }
}

static void test_terminal_has_its_size(void **state) {
    static struct result result;
    struct host host;

    (void)state;
    host_begin(&host);
    host_shell(&host, WIRE_EXEC_TERMINAL, LOTS, "stty size; tty -s; test -t 0 -a -t 1 -a -t 2 && stty size </dev/tty");
    host_collect(&host, false, &result);
    assert_string_equal(result.out, "24 80\r\n24 80\r\n");
    assert_int_equal(result.code, 0);
    host_stop(&host);
}

static void test_terminal_can_be_resized_and_typed_to(void **state) {
    static struct result result;
    struct host host;

    (void)state;
    host_begin(&host);
    host_shell(&host, WIRE_EXEC_TERMINAL, LOTS, "stty -echo; echo ready; read -r line; stty size; echo \"$line\"");
    host_expect(&host, WIRE_STDOUT);
    host_send_u32s(&host, WIRE_WINDOW, (uint32_t[]){50, 132}, 2);
    host_send_raw(&host, WIRE_STDIN, "typed\n", 6);
    host_collect(&host, false, &result);
    assert_string_equal(result.out, "50 132\r\ntyped\r\n");
    host_stop(&host);
}

static void test_terminal_interrupt_is_a_signal(void **state) {
    static struct result result;
    struct host host;

    (void)state;
    host_begin(&host);
    host_shell(&host, WIRE_EXEC_TERMINAL, LOTS, "stty -echo; echo ready; exec tail -f /dev/null");
    host_expect(&host, WIRE_STDOUT);
    host_send_raw(&host, WIRE_STDIN, "\003", 1);
    host_collect(&host, false, &result);
    assert_int_equal(result.kind, WIRE_EXIT_SIGNAL);
    assert_int_equal(result.code, SIGINT);
    host_stop(&host);
}

static void test_terminal_input_can_end(void **state) {
    static struct result result;
    struct host host;

    (void)state;
    host_begin(&host);
    host_shell(&host, WIRE_EXEC_TERMINAL, LOTS, "stty -echo; echo ready; cat; echo end");
    host_expect(&host, WIRE_STDOUT);
    host_send_raw(&host, WIRE_STDIN, "", 0);
    host_collect(&host, false, &result);
    assert_non_null(strstr(result.out, "end\r\n"));
    host_stop(&host);
}

/* What lies in the terminal's buffers when the command ends is not lost, again and again. */
static void test_terminal_output_outlives_the_command(void **state) {
    static struct result result;

    (void)state;
    for (int i = 0; i < 40; i++) {
        struct host host;

        host_begin(&host);
        host_shell(&host, WIRE_EXEC_TERMINAL, LOTS, "printf '%03000d' 7");
        host_collect(&host, false, &result);
        assert_int_equal(result.out_size, 3000);
        host_stop(&host);
    }
}

static void test_sync_is_answered_after_the_end(void **state) {
    static const char *const argv[] = {"true", NULL};
    static struct result result;
    struct host host;
    struct wire_frame frame;

    (void)state;
    host_begin(&host);
    host_exec(&host, 0, LOTS, argv);
    host_collect(&host, false, &result);
    host_send_raw(&host, WIRE_SYNC, "", 0);
    frame = host_expect(&host, WIRE_SYNCED);
    assert_int_equal(frame.size, 0);
    host_stop(&host);
}

static void host_fetch(struct host *host, uint32_t flags, uint64_t limit, const char *directory, const char *path) {
    unsigned char frame[8192];
    struct wire_writer writer;

    wire_begin(&writer, frame, sizeof(frame), WIRE_FETCH);
    wire_put_u32(&writer, flags);
    wire_put_u64(&writer, limit);
    wire_put_string(&writer, directory);
    wire_put_string(&writer, path);
    host_send(host, &writer);
}

/* What FETCHED frames bring, as text: "name:content;" for each file, "!why" for an error. */
static const char *host_fetched(struct host *host) {
    static unsigned char stream[1u << 20];
    static char text[1u << 20];
    size_t size = 0;
    char *end = text;

    for (;;) {
        struct wire_frame frame = host_expect(host, WIRE_FETCHED);

        if (frame.size == 0)
            break;
        assert_true(frame.size <= WIRE_DATA_MAX && size + frame.size < sizeof(stream));
        memcpy(stream + size, frame.payload, frame.size);
        size += frame.size;
    }
    *end = '\0';
    for (size_t at = 0; at < size;) {
        uint32_t kind, length;

        assert_true(size - at >= 8);
        memcpy(&kind, stream + at, sizeof(kind));
        memcpy(&length, stream + at + 4, sizeof(length));
        assert_true(length <= size - at - 8);
        end += sprintf(end, "%s%.*s%s", kind == WIRE_FETCH_ERROR ? "!" : "", (int)length, (char *)stream + at + 8,
                       kind == WIRE_FETCH_NAME   ? ":"
                       : kind == WIRE_FETCH_DATA ? ";"
                                                 : "");
        at += 8 + length;
    }
    return text;
}

static void make_file(const char *directory, const char *name, const char *content) {
    char path[256];

    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(content, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void test_files_of_the_command_are_given_and_older_ones_are_not(void **state) {
    static struct result result;
    char directory[] = "/tmp/vmtest-unit.XXXXXX";
    char script[1024];
    char expected[1024];
    struct host host;

    (void)state;
    assert_non_null(mkdtemp(directory));
    make_file(directory, "old.xml", "old");
    make_file(directory, "again.xml", "before");
    host_begin(&host);
    host_fetch(&host, WIRE_FETCH_NOTE, 0, directory, "*.xml");
    (void)snprintf(
        script, sizeof(script),
        "cd %s && echo new > new.xml && echo after > again.xml && echo > other && mkfifo fifo && mkdir sub && "
        "echo x > sub/.hidden.xml && echo y > sub/y.xml",
        directory);
    host_shell(&host, 0, LOTS, script);
    host_collect(&host, false, &result);
    assert_int_equal(result.code, 0);

    host_fetch(&host, 0, 1000, directory, "*.xml");
    assert_string_equal(host_fetched(&host), "again.xml:after\n;new.xml:new\n;");
    host_fetch(&host, 0, 1000, directory, "old.xml");
    (void)snprintf(expected, sizeof(expected), "!%s/old.xml: from before the command, which has not written to it",
                   directory);
    assert_string_equal(host_fetched(&host), expected);
    host_fetch(&host, 0, 1000, "/", directory);
    (void)snprintf(expected, sizeof(expected), "!/tmp/%s: not a regular file", directory + strlen("/tmp/"));
    assert_string_equal(host_fetched(&host), expected);
    host_fetch(&host, 0, 1000, directory, "fifo");
    (void)snprintf(expected, sizeof(expected), "!%s/fifo: not a regular file", directory);
    assert_string_equal(host_fetched(&host), expected);
    host_fetch(&host, 0, 1000, directory, "sub/*.xml");
    assert_string_equal(host_fetched(&host), "y.xml:y\n;");
    host_fetch(&host, 0, 9, directory, "*.xml");
    assert_string_equal(host_fetched(&host), "again.xml:after\n;new.xml:!new.xml: the files are too large");
    host_fetch(&host, 0, 1000, directory, "*.tap");
    (void)snprintf(expected, sizeof(expected), "!%s/*.tap: there is no such file", directory);
    assert_string_equal(host_fetched(&host), expected);
    host_fetch(&host, 0, 1000, directory, "none/*.xml");
    (void)snprintf(expected, sizeof(expected), "!%s/none: No such file or directory", directory);
    assert_string_equal(host_fetched(&host), expected);
    /* As many as are taken, and one more, behind which another may say of a failure. */
    (void)snprintf(script, sizeof(script), "cd %s && seq 1024 | sed 's/$/.many/' | xargs touch", directory);
    assert_int_equal(system(script), 0); /* NOLINT(cert-env33-c): a directory of ours */
    host_fetch(&host, 0, 1000, directory, "*.many");
    assert_true(strncmp(host_fetched(&host), "1.many:10.many:", 15) == 0);
    make_file(directory, "bad.many", "");
    host_fetch(&host, 0, 1000, directory, "*.many");
    (void)snprintf(expected, sizeof(expected), "!%s/*.many: more than 1024 files match", directory);
    assert_string_equal(host_fetched(&host), expected);
    /* Nor can they be told from new ones when some of them are gone later. */
    host_fetch(&host, WIRE_FETCH_NOTE, 0, directory, "*.many");
    (void)snprintf(expected, sizeof(expected), "!%s/*.many: more than 1024 files matched before the command started",
                   directory);
    for (unsigned i = 0; i < 2; i++) {
        host_fetch(&host, 0, 1000, directory, "*.many");
        assert_string_equal(host_fetched(&host), expected);
        (void)snprintf(script, sizeof(script), "rm -f %s/2*.many", directory);
        assert_int_equal(system(script), 0); /* NOLINT(cert-env33-c): a directory of ours */
    }
    /* A malformed one gets its end as well. */
    host_send_raw(&host, WIRE_FETCH, "\0\0\0\0", 4);
    assert_string_equal(host_fetched(&host), "");
    (void)snprintf(script, sizeof(script), "rm -rf %s", directory);
    assert_int_equal(system(script), 0); /* NOLINT(cert-env33-c): a directory of ours */
    host_stop(&host);
}

static void test_tasks_are_answered_while_the_command_runs(void **state) {
    static const char *const argv[] = {"cat", NULL};
    static struct result result;
    struct host host;
    struct wire_frame frame;

    (void)state;
    host_begin(&host);
    host_exec(&host, WIRE_EXEC_STDIN, LOTS, argv);
    host_send_raw(&host, WIRE_TASKS, "", 0);
    frame = host_expect(&host, WIRE_SHOWN);
    assert_int_equal(frame.size, 0);
    host_send_raw(&host, WIRE_STDIN, "", 0);
    host_collect(&host, false, &result);
    assert_int_equal(result.code, 0);
    host_stop(&host);
}

/* WIRE_EXEC_INHERIT: the agent's own environment, what the host gives in front of it, a login's where both are silent.
 */
static void test_environment_can_be_inherited(void **state) {
    struct host host;
    struct result result = {0};

    (void)state;
    assert_int_equal(setenv("VMTEST_INHERITED", "yes", 1), 0);
    assert_int_equal(setenv("LC_ALL", "POSIX", 1), 0);
    assert_int_equal(unsetenv("LOGNAME"), 0);
    host_begin(&host);
    host_shell(&host, WIRE_EXEC_SHELL | WIRE_EXEC_INHERIT, LOTS, "echo $VMTEST_INHERITED $LC_ALL $LOGNAME");
    host_collect(&host, false, &result);
    assert_memory_equal(result.out, "yes C root\n", result.out_size);
    assert_int_equal(result.out_size, strlen("yes C root\n"));
    host_stop(&host);
}

static void test_settling_is_bounded_and_answered(void **state) {
    struct host host;

    (void)state;
    host_start(&host);
    host_expect(&host, WIRE_HELLO);
    host_send_u32s(&host, WIRE_SETTLE, (const uint32_t[]){1, 0}, 2);
    host_send_u64(&host, WIRE_PING, 5);
    host_expect(&host, WIRE_PONG);
    host_expect(&host, WIRE_SETTLED);
    host_stop(&host);
}

/* Not in a system that is not the agent's to change: this process' own clock would jump. */
static void test_clock_is_left_alone_by_an_agent_on_a_socket(void **state) {
    unsigned char frame[64];
    struct wire_writer writer;
    struct host host;

    (void)state;
    host_begin(&host);
    wire_begin(&writer, frame, sizeof(frame), WIRE_CLOCK);
    wire_put_u64(&writer, 1);
    wire_put_u32(&writer, 0);
    host_send(&host, &writer);
    host_send_u64(&host, WIRE_PING, 5);
    host_expect(&host, WIRE_PONG);
    assert_true(time(NULL) > 1000000000);
    host_stop(&host);
}

static size_t count_descriptors(const struct host *host) {
    struct dirent *entry;
    size_t count = 0;
    char path[64];
    DIR *directory;

    snprintf(path, sizeof(path), "/proc/%d/fd", (int)host->pid);
    directory = opendir(path);
    assert_non_null(directory);
    while ((entry = readdir(directory)))
        count += entry->d_name[0] != '.';
    closedir(directory);
    return count;
}

static void test_no_descriptor_is_left_of_a_command(void **state) {
    /* The first one leaves a process behind that holds its streams, and goes when its input ends. */
    static const struct {
        uint32_t flags;
        const char *script;
    } cases[] = {{WIRE_EXEC_STDIN, "cat <&0 &"}, {0, "true"}, {WIRE_EXEC_TERMINAL, "true"}};
    static struct result result;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct host host;
        size_t before;

        host_begin(&host);
        before = count_descriptors(&host);
        host_shell(&host, cases[i].flags, LOTS, cases[i].script);
        host_collect(&host, false, &result);
        /* Answered in the round behind that of the command's end. */
        host_send_u64(&host, WIRE_PING, 1);
        host_expect(&host, WIRE_PONG);
        assert_int_equal(count_descriptors(&host), before);
        host_stop(&host);
    }
}

static void test_second_command_is_refused(void **state) {
    static const char *const argv[] = {"true", NULL};
    static struct result result;
    struct host host;

    (void)state;
    host_begin(&host);
    host_exec(&host, 0, LOTS, argv);
    host_collect(&host, false, &result);
    host_exec(&host, 0, LOTS, argv);
    host_expect(&host, WIRE_FAILED);
    host_stop(&host);
}

static void test_frames_may_come_byte_by_byte(void **state) {
    static struct result result;
    unsigned char frame[512];
    static const char *const argv[] = {"exit 7", NULL};
    struct wire_writer writer;
    struct host host;
    size_t size;

    (void)state;
    host_begin(&host);
    wire_begin(&writer, frame, sizeof(frame), WIRE_EXEC);
    wire_put_u32(&writer, WIRE_EXEC_SHELL);
    wire_put_u64(&writer, LOTS);
    wire_put_u32(&writer, 0);
    wire_put_u32(&writer, 0);
    wire_put_string(&writer, "/");
    put_list(&writer, argv);
    put_list(&writer, test_environment);
    size = wire_end(&writer);
    for (size_t i = 0; i < size; i++)
        host_write(&host, frame + i, 1);
    host_collect(&host, false, &result);
    assert_int_equal(result.code, 7);
    host_stop(&host);
}

static void test_garbage_ends_the_agent(void **state) {
    struct host host;

    (void)state;
    host_begin(&host);
    host_write(&host, "\377\377\377\377\377\377\377\377", 8);
    host_expect_end(&host);
}

static void test_half_a_frame_and_the_end_of_file_end_the_agent(void **state) {
    unsigned char header[WIRE_HEADER_SIZE];
    struct host host;

    (void)state;
    host_begin(&host);
    wire_put_header(header, WIRE_EXEC, 1000);
    host_write(&host, header, sizeof(header));
    host_write(&host, "half", 4);
    host_stop(&host);
}

static void test_poweroff_ends_the_agent(void **state) {
    struct host host;

    (void)state;
    host_begin(&host);
    host_send_raw(&host, WIRE_POWEROFF, "", 0);
    host_expect_end(&host);
}

/* The command holds a pipe's end; the pipe's end of file tells that it is gone. */
static void test_command_does_not_outlive_the_host(void **state) {
    char script[128];
    struct host host;
    struct pollfd wait;
    char byte;
    int fds[2];

    (void)state;
    assert_int_equal(pipe(fds), 0);
    host_begin(&host);
    snprintf(script, sizeof(script), "exec 9>/proc/%d/fd/%d; echo open; exec tail -f /dev/null >/dev/null 2>&1",
             getpid(), fds[1]);
    host_shell(&host, 0, LOTS, script);
    host_expect(&host, WIRE_STDOUT);
    close(fds[1]);
    host_stop(&host);
    wait = (struct pollfd){.fd = fds[0], .events = POLLIN};
    assert_int_equal(poll(&wait, 1, 5000), 1);
    assert_int_equal(read(fds[0], &byte, 1), 0);
    close(fds[0]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_hello_names_version_and_kernel, end_agent),
        cmocka_unit_test_teardown(test_commands_end_exactly, end_agent),
        cmocka_unit_test_teardown(test_exit_tells_resource_use, end_agent),
        cmocka_unit_test_teardown(test_program_that_is_missing_gives_127, end_agent),
        cmocka_unit_test_teardown(test_file_that_is_no_program_gives_126, end_agent),
        cmocka_unit_test_teardown(test_missing_directory_fails_by_name, end_agent),
        cmocka_unit_test_teardown(test_background_process_does_not_delay_the_end, end_agent),
        cmocka_unit_test_teardown(test_output_before_the_end_outlives_it, end_agent),
        cmocka_unit_test_teardown(test_ping_is_answered_without_credit, end_agent),
        cmocka_unit_test_teardown(test_output_never_exceeds_the_credit, end_agent),
        cmocka_unit_test_teardown(test_megabytes_pass_a_small_window, end_agent),
        cmocka_unit_test_teardown(test_input_reaches_the_command, end_agent),
        cmocka_unit_test_teardown(test_input_is_kept_for_a_command_that_reads_late, end_agent),
        cmocka_unit_test_teardown(test_input_is_granted_as_it_is_read, end_agent),
        cmocka_unit_test_teardown(test_signal_reaches_the_whole_group, end_agent),
        cmocka_unit_test_teardown(test_signal_right_after_exec_is_not_lost, end_agent),
        cmocka_unit_test_teardown(test_terminal_has_its_size, end_agent),
        cmocka_unit_test_teardown(test_terminal_can_be_resized_and_typed_to, end_agent),
        cmocka_unit_test_teardown(test_terminal_interrupt_is_a_signal, end_agent),
        cmocka_unit_test_teardown(test_terminal_input_can_end, end_agent),
        cmocka_unit_test_teardown(test_terminal_output_outlives_the_command, end_agent),
        cmocka_unit_test_teardown(test_sync_is_answered_after_the_end, end_agent),
        cmocka_unit_test_teardown(test_files_of_the_command_are_given_and_older_ones_are_not, end_agent),
        cmocka_unit_test_teardown(test_tasks_are_answered_while_the_command_runs, end_agent),
        cmocka_unit_test_teardown(test_environment_can_be_inherited, end_agent),
        cmocka_unit_test_teardown(test_settling_is_bounded_and_answered, end_agent),
        cmocka_unit_test_teardown(test_clock_is_left_alone_by_an_agent_on_a_socket, end_agent),
        cmocka_unit_test_teardown(test_no_descriptor_is_left_of_a_command, end_agent),
        cmocka_unit_test_teardown(test_second_command_is_refused, end_agent),
        cmocka_unit_test_teardown(test_frames_may_come_byte_by_byte, end_agent),
        cmocka_unit_test_teardown(test_garbage_ends_the_agent, end_agent),
        cmocka_unit_test_teardown(test_half_a_frame_and_the_end_of_file_end_the_agent, end_agent),
        cmocka_unit_test_teardown(test_poweroff_ends_the_agent, end_agent),
        cmocka_unit_test_teardown(test_command_does_not_outlive_the_host, end_agent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
