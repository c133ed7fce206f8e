/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The conversation with the host (wire/frame.h): one poll loop over the port, the signals and the command's streams.
 * State: setting up -> ready (or failed) -> command running -> exited. A PING is answered in every state, and whatever
 * the output is doing; so a request that may take long is an errand, done in a child.
 */
#include "agent/serve.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/command-start.h"
#include "agent/drivers.h"
#include "agent/power.h"
#include "agent/queue.h"
#include "agent/send-files.h"
#include "agent/settings.h"
#include "agent/settle.h"
#include "agent/setup.h"
#include "agent/show-tasks.h"

enum state { STATE_HELLO, STATE_FAILED, STATE_READY, STATE_RUNNING, STATE_EXITED };
enum source { SOURCE_PORT, SOURCE_SIGNAL, SOURCE_OUT, SOURCE_ERR, SOURCE_IN, SOURCE_FETCH, N_SOURCES };

static enum state state;
static struct command command = {.in = -1, .out = -1, .err = -1};
static unsigned char received[WIRE_PAYLOAD_MAX + WIRE_HEADER_SIZE];
static size_t received_size;
static int fetching = -1; /* gives what the child that reads files for the host has read */

static struct wire_writer *reply_begin(uint32_t type) {
    static unsigned char frame[2048];
    static struct wire_writer writer;

    wire_begin(&writer, frame, sizeof(frame), type);
    return &writer;
}

static void reply_send(struct wire_writer *writer) {
    size_t size = wire_end(writer);

    if (size > 0)
        queue_frame(writer->data, size);
}

static void send_empty(uint32_t type) {
    reply_send(reply_begin(type));
}

static void send_number(uint32_t type, uint64_t number) {
    struct wire_writer *reply = reply_begin(type);

    wire_put_u64(reply, number);
    reply_send(reply);
}

static void send_failure(const char *why) {
    struct wire_writer *reply = reply_begin(WIRE_FAILED);

    wire_put_string(reply, why);
    reply_send(reply);
}

static void send_hello(void) {
    struct wire_writer *reply = reply_begin(WIRE_HELLO);
    struct utsname name;

    (void)uname(&name);
    wire_put_u32(reply, WIRE_PROTOCOL_VERSION);
    wire_put_string(reply, name.release);
    reply_send(reply);
}

static void send_exited(void) {
    struct wire_writer *reply = reply_begin(WIRE_EXITED);
    bool signalled = WIFSIGNALED(command.status);

    wire_put_u32(reply, signalled ? WIRE_EXIT_SIGNAL : WIRE_EXIT_CODE);
    wire_put_u32(reply, (uint32_t)(signalled ? WTERMSIG(command.status) : WEXITSTATUS(command.status)));
    wire_put_u64(reply, command.user_usec);
    wire_put_u64(reply, command.system_usec);
    wire_put_u64(reply, command.max_rss_kib);
    reply_send(reply);
}

static void sync_everything(struct wire_reader *arguments) {
    sync();
}

static void settle_system(struct wire_reader *arguments) {
    uint32_t limit_msec = wire_get_u32(arguments);

    drivers_read(arguments);
    if (role == ROLE_PROCESS)
        drivers_load();
    settle_wait(limit_msec);
}

/* A console may be slow, and the kernel writes everything to it before it returns. */
static void show_tasks(struct wire_reader *arguments) {
    tasks_show();
}

/* The requests that a child fulfils. One that is under way is not begun a second time. */
static struct errand {
    uint32_t request, reply;
    void (*run)(struct wire_reader *arguments); /* in the child */
    bool needed;                                /* done here when there can be no child */
    bool complete; /* done here when something in the guest kills the child; when asked for meanwhile, once more */
    pid_t child;   /* 0: not under way */
    bool again;    /* asked for meanwhile */
} errands[] = {
    {.request = WIRE_SYNC, .reply = WIRE_SYNCED, .run = sync_everything, .needed = true, .complete = true},
    {.request = WIRE_SETTLE, .reply = WIRE_SETTLED, .run = settle_system},
    {.request = WIRE_TASKS, .reply = WIRE_SHOWN, .run = show_tasks, .needed = true},
};

static void errand_start(struct errand *errand, struct wire_reader *arguments) {
    if (errand->child > 0) {
        errand->again = errand->complete;
        return;
    }
    errand->again = false;
    errand->child = fork();
    if (errand->child == 0) {
        errand->run(arguments);
        _exit(0);
    }
    if (errand->child < 0) {
        errand->child = 0;
        if (errand->needed)
            errand->run(arguments);
        send_empty(errand->reply);
    }
}

static void errand_end(struct errand *errand, int status) {
    errand->child = 0;
    if (errand->complete && !WIFEXITED(status))
        errand->run(NULL);
    send_empty(errand->reply);
    if (errand->again)
        errand_start(errand, NULL);
}

static void on_setup(const struct wire_frame *frame, struct wire_reader *reader) {
    struct failure failure;

    if (state != STATE_HELLO) {
        send_failure("the guest has been set up already");
    } else if (setup_take(frame, &failure) < 0) {
        state = STATE_FAILED; /* half of it may have been done */
        send_failure(failure.text);
    } else {
        state = STATE_READY;
        send_empty(WIRE_READY);
    }
}

static void on_exec(const struct wire_frame *frame, struct wire_reader *reader) {
    struct failure failure;

    if (state != STATE_READY)
        send_failure(state < STATE_READY ? "the guest has not been set up" : "a command has been started already");
    else if (command_start(&command, frame, &failure) < 0)
        send_failure(failure.text);
    else
        state = STATE_RUNNING;
}

static void on_credit(const struct wire_frame *frame, struct wire_reader *reader) {
    command.credit += wire_get_u64(reader);
}

static void on_window(const struct wire_frame *frame, struct wire_reader *reader) {
    unsigned rows = wire_get_u32(reader);

    command_window(&command, rows, wire_get_u32(reader));
}

static void on_signal(const struct wire_frame *frame, struct wire_reader *reader) {
    command_signal(&command, (int)wire_get_u32(reader));
}

static void on_ping(const struct wire_frame *frame, struct wire_reader *reader) {
    send_number(WIRE_PONG, wire_get_u64(reader));
}

static void on_clock(const struct wire_frame *frame, struct wire_reader *reader) {
    struct timespec now = settings_get_time(reader);

    if (!reader->failed)
        settings_set_clock(&now);
}

static void on_errand(const struct wire_frame *frame, struct wire_reader *reader) {
    for (size_t i = 0; i < ARRAY_SIZE(errands); i++) {
        if (errands[i].request == frame->type)
            errand_start(&errands[i], reader);
    }
}

static void on_fetch(const struct wire_frame *frame, struct wire_reader *reader) {
    struct failure failure;

    if (fetching >= 0)
        return;
    if (files_fetch(frame, &fetching, &failure) < 0) {
        log_line("%s", failure.text);
        send_empty(WIRE_FETCHED);
    }
}

static void on_poweroff(const struct wire_frame *frame, struct wire_reader *reader) {
    power_off();
}

/* The frames that the host sends; STDIN, which may have to wait, is missing. */
static void (*const handlers[WIRE_TYPE_END])(const struct wire_frame *frame, struct wire_reader *reader) = {
    [WIRE_SETUP] = on_setup,   [WIRE_EXEC] = on_exec,    [WIRE_CREDIT] = on_credit, [WIRE_WINDOW] = on_window,
    [WIRE_SIGNAL] = on_signal, [WIRE_PING] = on_ping,    [WIRE_CLOCK] = on_clock,   [WIRE_SYNC] = on_errand,
    [WIRE_SETTLE] = on_errand, [WIRE_TASKS] = on_errand, [WIRE_FETCH] = on_fetch,   [WIRE_POWEROFF] = on_poweroff,
};

/* False: there is no room for what it brings; it is to be given again. */
static bool frame_dispatch(const struct wire_frame *frame) {
    struct wire_reader reader;

    if (frame->type == WIRE_STDIN)
        return command_input(&command, frame->payload, frame->size);
    wire_reader_init(&reader, frame);
    if (handlers[frame->type])
        handlers[frame->type](frame, &reader);
    else
        log_line("ignored a frame of type %u from the host", frame->type);
    return true;
}

/* Reads what has come. A host that is gone ends everything. */
static void receive_bytes(int port) {
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
        if (!frame_dispatch(&frame))
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

/* Reaps every child that has ended: the command, errands, orphans. */
static void reap_children(void) {
    struct rusage usage;
    int status;
    pid_t pid;

    while ((pid = wait4(-1, &status, WNOHANG, &usage)) > 0) {
        command_reaped(&command, pid, status, &usage);
        for (size_t i = 0; i < ARRAY_SIZE(errands); i++) {
            if (errands[i].child == pid)
                errand_end(&errands[i], status);
        }
    }
}

static void take_signals(int fd) {
    struct signalfd_siginfo info;

    while (read(fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGCHLD)
            reap_children();
        else
            power_off(); /* Ctrl-Alt-Del, or a request to init */
    }
}

static void kill_command(void) {
    command_signal(&command, SIGKILL);
}

/* The host may send as much input as the command has read. */
static void grant_input(void) {
    uint64_t taken = command_input_taken();

    if (taken > 0)
        send_number(WIRE_CREDIT, taken);
}

static void fill_poll(int port, int signals, struct pollfd *polls) {
    bool may_read = command.credit > 0 && queue_room() > 0;
    /* After the command's end a stream that has nothing left to drain is of no interest. */
    bool read_out = may_read && (!command.ended || command.out_left > 0);
    bool read_err = may_read && (!command.ended || command.err_left > 0);

    polls[SOURCE_PORT] = (struct pollfd){
        .fd = port,
        .events = (short)((received_size < sizeof(received) ? POLLIN : 0) | (queue_pending() ? POLLOUT : 0)),
    };
    polls[SOURCE_SIGNAL] = (struct pollfd){.fd = signals, .events = POLLIN};
    polls[SOURCE_OUT] = (struct pollfd){.fd = read_out ? command.out : -1, .events = POLLIN};
    polls[SOURCE_ERR] = (struct pollfd){.fd = read_err ? command.err : -1, .events = POLLIN};
    polls[SOURCE_IN] = (struct pollfd){.fd = command_input_fd(&command), .events = POLLOUT};
    polls[SOURCE_FETCH] = (struct pollfd){.fd = queue_room() > 0 ? fetching : -1, .events = POLLIN};
}

/* A terminal that is drained is read until there is no more, which poll() does not report. */
static bool can_drain(void) {
    return command.ended && command.terminal && command.out_left > 0 && command.credit > 0 && queue_room() > 0;
}

void serve_host(int port, const sigset_t *signals) {
    int signal_fd = signalfd(-1, signals, SFD_CLOEXEC | SFD_NONBLOCK);

    power_before_exit(kill_command);
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
            receive_bytes(port);
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
            take_signals(signal_fd);
        if (state == STATE_RUNNING && command_done(&command)) {
            state = STATE_EXITED;
            send_exited();
            command_close(&command);
        }
    }
}
