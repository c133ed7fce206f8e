/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The conversation with the host (wire/frame.h): one poll loop over the port, the signals and the command's streams.
 * State: setting up -> ready (or failed) -> command running -> exited. A PING is answered in every state, and whatever
 * the output is doing.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent.h"

enum state { STATE_HELLO, STATE_FAILED, STATE_READY, STATE_RUNNING, STATE_EXITED };
enum source { SOURCE_PORT, SOURCE_SIGNAL, SOURCE_OUT, SOURCE_ERR, SOURCE_IN, SOURCE_FETCH, N_SOURCES };

static enum state state;
static struct command command = {.in = -1, .out = -1, .err = -1};
static unsigned char received[WIRE_PAYLOAD_MAX + WIRE_HEADER_SIZE];
static size_t received_size;
static pid_t syncing;     /* the child that writes everything back, 0: none */
static bool sync_wanted;  /* asked for again meanwhile */
static pid_t settling;    /* the child that waits for the system to settle, 0: none */
static pid_t showing;     /* the child that has the kernel show its tasks, 0: none */
static int fetching = -1; /* what the child that reads files for the host gives */

static void send_frame(struct wire_writer *writer) {
    size_t size = wire_end(writer);

    if (size > 0)
        queue_frame(writer->data, size);
}

static void send_empty(uint32_t type) {
    unsigned char frame[WIRE_HEADER_SIZE];

    wire_put_header(frame, type, 0);
    queue_frame(frame, sizeof(frame));
}

static void send_failure(const struct failure *failure) {
    unsigned char frame[2048];
    struct wire_writer writer;

    wire_begin(&writer, frame, sizeof(frame), WIRE_FAILED);
    wire_put_string(&writer, failure->text);
    send_frame(&writer);
}

/* Whether /proc/filesystems lists `name`. */
static bool can_mount(const char *list, const char *name) {
    size_t length = strlen(name);

    for (const char *at = list; (at = strstr(at, name)) != NULL; at += length) {
        if (at > list && at[-1] == '\t' && at[length] == '\n')
            return true;
    }
    return false;
}

static void send_hello(void) {
    static const char *const interesting[] = {"9p", "virtiofs", "overlay"};
    unsigned char frame[512];
    char list[4096] = "";
    const char *found[COUNT(interesting)];
    uint32_t n_found = 0;
    struct wire_writer writer;
    struct utsname name;
    int fd = open("/proc/filesystems", O_RDONLY | O_CLOEXEC);

    if (fd >= 0) {
        (void)!read(fd, list, sizeof(list) - 1);
        (void)close(fd);
    }
    for (size_t i = 0; i < COUNT(interesting); i++) {
        if (can_mount(list, interesting[i]))
            found[n_found++] = interesting[i];
    }
    (void)uname(&name);
    wire_begin(&writer, frame, sizeof(frame), WIRE_HELLO);
    wire_put_u32(&writer, WIRE_PROTOCOL_VERSION);
    wire_put_string(&writer, name.release);
    wire_put_u32(&writer, n_found);
    for (uint32_t i = 0; i < n_found; i++)
        wire_put_string(&writer, found[i]);
    send_frame(&writer);
}

static void send_exited(void) {
    unsigned char frame[128];
    struct wire_writer writer;
    bool signalled = WIFSIGNALED(command.status);

    wire_begin(&writer, frame, sizeof(frame), WIRE_EXITED);
    wire_put_u32(&writer, signalled ? WIRE_EXIT_SIGNAL : WIRE_EXIT_CODE);
    wire_put_u32(&writer, (uint32_t)(signalled ? WTERMSIG(command.status) : WEXITSTATUS(command.status)));
    wire_put_u64(&writer, command.user_usec);
    wire_put_u64(&writer, command.system_usec);
    wire_put_u64(&writer, command.max_rss_kib);
    send_frame(&writer);
}

static void on_setup(const struct wire_frame *frame) {
    struct failure failure;

    if (setup_take(frame, &failure) < 0) {
        state = STATE_FAILED; /* half of it may have been done */
        send_failure(&failure);
        return;
    }
    state = STATE_READY;
    send_empty(WIRE_READY);
}

static void refuse(const char *why) {
    struct failure failure;

    (void)fail(&failure, "%s", why);
    send_failure(&failure);
}

/* In a child, since it may take long and PINGs are to be answered meanwhile. */
static void start_sync(void) {
    sync_wanted = false;
    syncing = fork();
    if (syncing == 0) {
        sync();
        _exit(0);
    }
    if (syncing < 0) {
        syncing = 0;
        sync();
        send_empty(WIRE_SYNCED);
    }
}

static void on_sync(void) {
    if (syncing > 0)
        sync_wanted = true;
    else
        start_sync();
}

/* In a child as well. */
static void on_settle(struct wire_reader *reader) {
    uint32_t limit_msec = wire_get_u32(reader);

    if (settling > 0)
        return;
    if (role == ROLE_PROCESS)
        mounts_load_drivers();
    settling = fork();
    if (settling == 0) {
        settle(limit_msec);
        _exit(0);
    }
    if (settling < 0) {
        settling = 0;
        send_empty(WIRE_SETTLED);
    }
}

/* In a child too: a console may be slow, and the kernel writes all of it before it returns. */
static void on_tasks(void) {
    if (showing > 0)
        return;
    showing = fork();
    if (showing == 0) {
        tasks_show();
        _exit(0);
    }
    if (showing < 0) {
        showing = 0;
        tasks_show();
        send_empty(WIRE_SHOWN);
    }
}

static void on_fetch(const struct wire_frame *frame) {
    struct failure failure;

    if (fetch_is_note(frame)) {
        fetch_note(frame);
        return;
    }
    if (fetching >= 0)
        return;
    fetching = fetch_start(frame, &failure);
    if (fetching < 0) {
        log_line("%s", failure.text);
        send_empty(WIRE_FETCHED);
    }
}

/* Passes on what the child has read. */
static void pump_fetched(void) {
    size_t room = queue_room();
    size_t size = room < WIRE_DATA_MAX ? room : WIRE_DATA_MAX;
    ssize_t got = size > 0 ? read(fetching, queue_reserve(size), size) : 0;

    if (size == 0 || (got < 0 && errno == EINTR))
        return;
    if (got > 0) {
        queue_commit(WIRE_FETCHED, (size_t)got);
        return;
    }
    (void)close(fetching);
    fetching = -1;
    send_empty(WIRE_FETCHED);
}

/* Every child that has ended: the command, the one that syncs, orphans. */
static void reap(void) {
    struct rusage usage;
    int status;
    pid_t pid;

    while ((pid = wait4(-1, &status, WNOHANG, &usage)) > 0) {
        command_reaped(&command, pid, status, &usage);
        if (pid == settling) {
            settling = 0;
            send_empty(WIRE_SETTLED);
        }
        if (pid == showing) {
            showing = 0;
            send_empty(WIRE_SHOWN);
        }
        if (pid != syncing)
            continue;
        syncing = 0;
        if (!WIFEXITED(status))
            sync(); /* something in the guest kills whatever it can: done here, then */
        send_empty(WIRE_SYNCED);
        if (sync_wanted)
            start_sync();
    }
}

void serve_kill_command(void) {
    command_signal(&command, SIGKILL);
}

static void on_exec(const struct wire_frame *frame) {
    struct failure failure;

    if (command_start(&command, frame, &failure) < 0) {
        send_failure(&failure);
        return;
    }
    state = STATE_RUNNING;
}

static void send_number(uint32_t type, uint64_t number) {
    unsigned char frame[64];
    struct wire_writer writer;

    wire_begin(&writer, frame, sizeof(frame), type);
    wire_put_u64(&writer, number);
    send_frame(&writer);
}

/* The host may send as much input as the command has read. */
static void grant_input(void) {
    uint64_t taken = command_input_taken();

    if (taken > 0)
        send_number(WIRE_CREDIT, taken);
}

static void on_clock(struct wire_reader *reader) {
    struct timespec now;

    setup_get_time(reader, &now);
    if (!reader->failed)
        setup_set_clock(&now);
}

/* False: there is no room for what it brings; it is to be given again. */
static bool on_frame(const struct wire_frame *frame) {
    struct wire_reader reader;
    unsigned rows;

    wire_reader_init(&reader, frame);
    switch (frame->type) {
    case WIRE_SETUP:
        if (state == STATE_HELLO)
            on_setup(frame);
        else
            refuse("the guest has been set up already");
        break;
    case WIRE_EXEC:
        if (state == STATE_READY)
            on_exec(frame);
        else
            refuse(state < STATE_READY ? "the guest has not been set up" : "a command has been started already");
        break;
    case WIRE_STDIN:
        return command_input(&command, frame->payload, frame->size);
    case WIRE_CREDIT:
        command.credit += wire_get_u64(&reader);
        break;
    case WIRE_WINDOW:
        rows = wire_get_u32(&reader);
        command_window(&command, rows, wire_get_u32(&reader));
        break;
    case WIRE_SIGNAL:
        command_signal(&command, (int)wire_get_u32(&reader));
        break;
    case WIRE_PING:
        send_number(WIRE_PONG, wire_get_u64(&reader));
        break;
    case WIRE_CLOCK:
        on_clock(&reader);
        break;
    case WIRE_SYNC:
        on_sync();
        break;
    case WIRE_SETTLE:
        on_settle(&reader);
        break;
    case WIRE_TASKS:
        on_tasks();
        break;
    case WIRE_FETCH:
        on_fetch(frame);
        break;
    case WIRE_POWEROFF:
        power_off();
    default:
        log_line("a frame of type %u from the host is passed over", frame->type);
        break;
    }
    return true;
}

/* Reads what has come. A host that is gone ends everything. */
static void on_port(int port) {
    ssize_t got = read(port, received + received_size, sizeof(received) - received_size);

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        log_line("the host is gone");
        power_off();
    }
    received_size += (size_t)got;
}

/* Acts on the frames that have come. A host that talks nonsense ends everything. */
static void take_frames(void) {
    size_t offset = 0;
    struct wire_frame frame;
    size_t used;
    enum wire_status status;

    while ((status = wire_parse(received + offset, received_size - offset, &frame, &used)) == WIRE_OK) {
        if (!on_frame(&frame))
            break;
        offset += used;
    }
    if (status == WIRE_GARBAGE) {
        log_line("the host sent garbage");
        power_off();
    }
    memmove(received, received + offset, received_size - offset);
    received_size -= offset;
}

static void on_signal(int fd) {
    struct signalfd_siginfo info;

    while (read(fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGCHLD)
            reap();
        else
            power_off(); /* Ctrl-Alt-Del, or whoever asks init to end */
    }
}

static void fill_poll(int port, int signals, struct pollfd *polls) {
    bool may_read = command.credit > 0 && queue_room() > 0;

    polls[SOURCE_PORT] = (struct pollfd){
        .fd = port,
        .events = (short)((received_size < sizeof(received) ? POLLIN : 0) | (queue_pending() ? POLLOUT : 0)),
    };
    polls[SOURCE_SIGNAL] = (struct pollfd){.fd = signals, .events = POLLIN};
    polls[SOURCE_OUT] = (struct pollfd){.fd = may_read ? command.out : -1, .events = POLLIN};
    polls[SOURCE_ERR] = (struct pollfd){.fd = may_read ? command.err : -1, .events = POLLIN};
    polls[SOURCE_IN] = (struct pollfd){
        .fd = !command_input_pending() ? -1
              : command.terminal       ? command.out
                                       : command.in,
        .events = POLLOUT,
    };
    polls[SOURCE_FETCH] = (struct pollfd){.fd = queue_room() > 0 ? fetching : -1, .events = POLLIN};
    /* After the command's end a stream that has nothing left to drain is of no interest. */
    if (command.ended && command.out_left == 0)
        polls[SOURCE_OUT].fd = -1;
    if (command.ended && command.err_left == 0)
        polls[SOURCE_ERR].fd = -1;
}

/* A terminal that is drained is read until there is no more: poll() would not tell that. */
static bool can_drain(void) {
    return command.ended && command.terminal && command.out_left > 0 && command.credit > 0 && queue_room() > 0;
}

_Noreturn void serve(int port, sigset_t *signals) {
    int signal_fd = signalfd(-1, signals, SFD_CLOEXEC | SFD_NONBLOCK);

    queue_init(port);
    send_hello();
    for (;;) {
        struct pollfd polls[N_SOURCES];

        if (!queue_flush())
            power_off();
        fill_poll(port, signal_fd, polls);
        if (poll(polls, N_SOURCES, can_drain() ? 0 : -1) < 0)
            continue;
        if (received_size < sizeof(received) && polls[SOURCE_PORT].revents & (POLLIN | POLLHUP | POLLERR))
            on_port(port);
        if (polls[SOURCE_OUT].revents || can_drain())
            command_pump(&command, false);
        if (polls[SOURCE_ERR].revents)
            command_pump(&command, true);
        if (polls[SOURCE_IN].revents)
            command_flush_input(&command);
        if (polls[SOURCE_FETCH].revents)
            pump_fetched();
        take_frames();
        if (state == STATE_RUNNING)
            grant_input();
        if (polls[SOURCE_SIGNAL].revents)
            on_signal(signal_fd);
        if (state == STATE_RUNNING && command_done(&command)) {
            state = STATE_EXITED;
            send_exited();
            command_close(&command);
        }
    }
}
