/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worker's one poll loop. Each descriptor has a handler; what the bytes mean for the run is decided in
 * machine-judge.c. Nothing here blocks but poll(), and every poll() has a deadline or a live peer.
 */
#include "machine/machine.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#include "base/file.h"
#include "base/log.h"
#include "event/ipc.h"

#define READ_SIZE (256u << 10)
#define OUTPUT_KEPT (16u << 10)
#define CONSOLE_KEPT (64u << 10)
#define CONSOLE_PIECE ((size_t)16 << 10)
#define COMMAND_KEPT (16u << 10)
/* A guest that floods its console is not waited for. */
#define DRAIN_READS 64u

enum source {
    SOURCE_SIGNAL,
    SOURCE_CHANNEL,
    SOURCE_QMP,
    SOURCE_AGENT,
    SOURCE_QGA,
    SOURCE_CONSOLE,
    SOURCE_OUTPUT,
    SOURCE_QEMU,
    N_SOURCES
};

/* Appends text, and keeps no more than `limit` bytes at the end. */
static void append_tail(struct buffer *buffer, const void *data, size_t size, size_t limit) {
    size_t before = buffer->size;

    buffer_append(buffer, data, size);
    for (size_t i = before; i < buffer->size; i++) {
        if (buffer->data[i] == '\0')
            buffer->data[i] = ' '; /* evidence is text */
    }
    if (buffer->size > 2 * limit)
        buffer_consume(buffer, buffer->size - limit);
}

static void on_output(void *context, enum wire_type type, const void *data, size_t size) {
    struct machine *machine = context;

    if (size > machine->credit) {
        machine_end(machine, VERDICT_LOST, 0, "the agent in the guest sent more output than its credit allows");
        return;
    }
    machine->credit -= size;
    machine->credit_owed += size;
    machine_output(machine, type == WIRE_STDERR ? OUTPUT_STDERR : OUTPUT_STDOUT, data, size);
}

void machine_init(struct machine *machine, int channel, int signal_fd, uint64_t start) {
    *machine = (struct machine){
        .channel = channel,
        .signal_fd = signal_fd,
        .qmp_fd = -1,
        .agent_fd = -1,
        .console_fd = -1,
        .qga_fd = -1,
        .qemu = QEMU_PROCESS_NONE,
        .start = start,
        .stage_start = clock_now(),
        .run_deadline = DEADLINE_NONE,
        .liveness = LIVENESS_INIT,
        .heartbeat = HEARTBEAT_INIT,
        .boot_failure_due = DEADLINE_NONE,
        .agent.output = on_output,
    };
    machine->agent.context = machine;
    findings_init(&machine->findings);
}

void machine_deinit(struct machine *machine) {
    qemu_process_deinit(&machine->qemu);
    machine->qmp_fd = fd_close(machine->qmp_fd);
    machine->agent_fd = fd_close(machine->agent_fd);
    machine->console_fd = fd_close(machine->console_fd);
    machine->qga_fd = fd_close(machine->qga_fd);
    qga_deinit(&machine->qga);
    qmp_deinit(&machine->qmp);
    agent_client_deinit(&machine->agent);
    buffer_deinit(&machine->qmp_out);
    buffer_deinit(&machine->qemu_output);
    buffer_deinit(&machine->console);
    buffer_deinit(&machine->output);
    findings_deinit(&machine->findings);
    buffer_deinit(&machine->panic_text);
    free(machine->console_kept);
    free(machine->tasks);
    buffer_deinit(&machine->queue);
    buffer_deinit(&machine->input);
    free(machine->reason);
}

void machine_reset(struct machine *machine) {
    struct machine old = *machine;

    machine_init(machine, old.channel, old.signal_fd, old.start);
    machine->queue = old.queue;
    machine->queue_sent = old.queue_sent;
    machine->input = old.input;
    machine->run_timeout = old.run_timeout;
    machine->run_timeout_name = old.run_timeout_name;
    machine->run_deadline = old.run_deadline;
    machine->stage = old.stage;
    machine->stage_start = old.stage_start;
    machine->accel = old.accel;
    machine->lost_after = old.lost_after;
    machine->writes_image = old.writes_image;
    old.queue = (struct buffer){0};
    old.input = (struct buffer){0};
    machine_deinit(&old);
}

void machine_emit(struct machine *machine, const struct event *event) {
    struct event stamped = *event;

    stamped.nsec = clock_now() - machine->start;
    if (stamped.type != EVENT_STAGE)
        stamped.stage = machine->stage;
    record_put_event(&machine->queue, &stamped);
}

void machine_output(struct machine *machine, enum output_stream stream, const void *data, size_t size) {
    append_tail(&machine->output, data, size, COMMAND_KEPT);
    machine_emit(machine, &(struct event){.type = EVENT_OUTPUT, .stream = stream, .data = data, .size = size});
    if (machine->read_stdout && stream == OUTPUT_STDOUT)
        machine->read_stdout(machine->read_context, data, size);
}

void machine_notice(void *machine, const char *line) {
    machine_emit(machine, &(struct event){.type = EVENT_NOTICE, .text = line});
    machine_flush(machine);
}

void machine_enter(struct machine *machine, enum stage stage, bool from_template) {
    machine->stage = stage;
    machine->stage_start = clock_now();
    machine_emit(machine, &(struct event){.type = EVENT_STAGE, .stage = stage, .from_template = from_template});
}

struct machine *machine_begin_closing(struct machine *machine) {
    machine->closing = true;
    machine->ended = false;
    return machine;
}

void machine_end(struct machine *machine, enum verdict verdict, int detail, const char *format, ...) {
    va_list args;

    if (machine->ended)
        return;
    machine->ended = true;
    if (machine->closing)
        return; /* it is known already */
    machine->verdict = verdict;
    machine->detail = detail;
    va_start(args, format);
    machine->reason = xvasprintf(format, args);
    va_end(args);
}

/* Reads once; 0 for nothing now, -1 when the other end is gone. */
static ssize_t read_some(int fd, char *data, size_t size) {
    ssize_t got = read(fd, data, size);

    if (got > 0)
        return got;
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    return -1;
}

static void on_signal(struct machine *machine) {
    struct signalfd_siginfo info;

    if (read(machine->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
        machine_end(machine, VERDICT_CANCELLED, (int)info.ssi_signo, "stopped by signal %d", (int)info.ssi_signo);
}

static void take_input(struct machine *machine, const struct record *record) {
    uint32_t size[2];

    if (record->type == RECORD_STDIN) {
        agent_client_stdin(&machine->agent, record->payload, record->size);
    } else if (record->type == RECORD_WINDOW && record->size == sizeof(size)) {
        memcpy(size, record->payload, sizeof(size));
        agent_client_window(&machine->agent, size[0], size[1]);
    }
}

/* The agent is ready, and the command has read all input but for a window. */
static bool takes_input(const struct machine *machine) {
    return machine->stage == STAGE_COMMAND && machine->agent.unread < WIRE_INPUT_CREDIT &&
           machine->agent.out.size < MACHINE_QUEUE_LIMIT;
}

/* Input that came before it can be taken waits for that. */
static void take_records(struct machine *machine) {
    struct record record;
    size_t used;

    while (takes_input(machine) && (used = record_get(machine->input.data, machine->input.size, &record)) > 0) {
        take_input(machine, &record);
        buffer_consume(&machine->input, used);
    }
}

static void on_channel(struct machine *machine, char *data) {
    ssize_t got = read_some(machine->channel, data, READ_SIZE);

    if (got < 0) {
        machine_end(machine, VERDICT_CANCELLED, SIGTERM, "the supervisor is gone");
        machine->channel = -1;
        return;
    }
    buffer_append(&machine->input, data, (size_t)got);
}

static void on_qmp(struct machine *machine, char *data) {
    _cleanup_error_ struct error *error = NULL;
    ssize_t got = read_some(machine->qmp_fd, data, READ_SIZE);
    bool greeted = machine->qmp.greeted;

    if (got < 0) {
        machine->qmp_fd = fd_close(machine->qmp_fd);
        return;
    }
    if (qmp_feed(&machine->qmp, data, (size_t)got, &error) < 0)
        machine_end(machine, machine_is_up(machine) ? VERDICT_LOST : VERDICT_ERROR, 0, "%s", error_message(error));
    if (!greeted && machine->qmp.greeted)
        buffer_append_string(&machine->qmp_out, QMP_CAPABILITIES);
    machine_judge_qmp(machine);
}

static void on_agent(struct machine *machine, char *data) {
    _cleanup_error_ struct error *error = NULL;
    ssize_t got = read_some(machine->agent_fd, data, READ_SIZE);

    if (got < 0) {
        machine->agent_fd = fd_close(machine->agent_fd);
        machine_judge_lost_port(machine);
        return;
    }
    if (agent_client_feed(&machine->agent, data, (size_t)got, &error) < 0)
        machine_end(machine, machine_is_up(machine) ? VERDICT_LOST : VERDICT_ERROR, 0, "%s", error_message(error));
}

bool machine_is_up(const struct machine *machine) {
    return machine->agent.state != AGENT_SILENT || machine->agentless;
}

static void on_qga(struct machine *machine, char *data) {
    _cleanup_error_ struct error *error = NULL;
    ssize_t got = read_some(machine->qga_fd, data, READ_SIZE);
    bool answered = qga_answered(&machine->qga);

    if (got < 0) {
        machine->qga_fd = fd_close(machine->qga_fd);
        return;
    }
    if (qga_feed(&machine->qga, data, (size_t)got, &error) < 0)
        machine_end(machine, machine_is_up(machine) ? VERDICT_LOST : VERDICT_ERROR, 0, "the guest agent: %s",
                    error_message(error));
    if (!answered && qga_answered(&machine->qga))
        machine->qga_answers++;
}

static void take_console(struct machine *machine, const char *data, size_t size) {
    size_t whole = machine->console.size + size;

    machine->console_bytes += size;
    if (!machine->closing)
        findings_feed(&machine->findings, data, size);
    append_tail(&machine->console, data, size, CONSOLE_KEPT);

    size_t gone = whole - machine->console.size;
    machine->console_past -= gone < machine->console_past ? gone : machine->console_past;
    machine_judge_console(machine, data, size);
}

/* One read may bring more than is kept: the pieces are judged one by one, while each is still there. */
static void on_console(struct machine *machine, char *data) {
    ssize_t got = read_some(machine->console_fd, data, READ_SIZE);

    if (got < 0) {
        machine->console_fd = fd_close(machine->console_fd);
        return;
    }
    if (got > 0)
        machine_emit(machine, &(struct event){.type = EVENT_CONSOLE, .data = data, .size = (size_t)got});
    for (size_t at = 0; at < (size_t)got; at += CONSOLE_PIECE) {
        size_t left = (size_t)got - at;

        take_console(machine, data + at, left < CONSOLE_PIECE ? left : CONSOLE_PIECE);
    }
}

static void on_qemu_output(struct machine *machine, char *data) {
    ssize_t got = read_some(machine->qemu.output_fd, data, READ_SIZE);

    if (got < 0)
        machine->qemu.output_fd = fd_close(machine->qemu.output_fd);
    else
        append_tail(&machine->qemu_output, data, (size_t)got, OUTPUT_KEPT);
}

/* QEMU has ended: what it left in its sockets still counts, then the end is judged. */
static void on_qemu_exit(struct machine *machine, char *data) {
    while (machine->agent_fd >= 0 && !machine->ended) {
        struct pollfd ready = {.fd = machine->agent_fd, .events = POLLIN};

        if (poll(&ready, 1, 0) <= 0)
            break;
        on_agent(machine, data);
    }
    for (unsigned i = 0; i < 64 && machine->qmp_fd >= 0; i++)
        on_qmp(machine, data);
    for (unsigned i = 0; i < 64 && machine->console_fd >= 0; i++)
        on_console(machine, data);
    for (unsigned i = 0; i < 64 && machine->qemu.output_fd >= 0; i++)
        on_qemu_output(machine, data);
    machine->qemu_status = qemu_process_end(&machine->qemu);
    machine->qemu_gone = true;
    machine_judge_qemu_exit(machine);
}

/* Writes from the front of a buffer; drops it when nobody reads any more. */
static void write_some(int fd, struct buffer *buffer) {
    ssize_t written = fd < 0 ? -1 : send(fd, buffer->data, buffer->size, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (written >= 0)
        buffer_consume(buffer, (size_t)written);
    else if (fd < 0 || (errno != EAGAIN && errno != EINTR))
        buffer_consume(buffer, buffer->size);
}

static void write_queue(struct machine *machine) {
    size_t left = machine->queue.size - machine->queue_sent;
    ssize_t written =
        send(machine->channel, machine->queue.data + machine->queue_sent, left, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (written >= 0) {
        machine->queue_sent += (size_t)written;
    } else if (errno != EAGAIN && errno != EINTR) {
        machine->queue_sent = machine->queue.size;
        machine_end(machine, VERDICT_CANCELLED, SIGTERM, "the supervisor is gone");
        machine->channel = -1;
    }
    if (machine->queue_sent == machine->queue.size) {
        machine->queue.size = 0;
        machine->queue_sent = 0;
    }
}

static bool queue_is_full(const struct machine *machine) {
    return machine->queue.size - machine->queue_sent > MACHINE_QUEUE_LIMIT;
}

/* Grants the guest as much output as was taken from it, in pieces worth a frame, once the supervisor keeps up. */
static void grant_credit(struct machine *machine) {
    if (machine->credit_owed < WIRE_DATA_MAX || queue_is_full(machine) || machine->agent.state != AGENT_READY)
        return;
    agent_client_credit(&machine->agent, machine->credit_owed);
    machine->credit += machine->credit_owed;
    machine->credit_owed = 0;
}

void machine_drain_console(struct machine *machine) {
    static char data[READ_SIZE];

    for (unsigned i = 0; i < DRAIN_READS && machine->console_fd >= 0; i++) {
        struct pollfd ready = {.fd = machine->console_fd, .events = POLLIN};

        if (poll(&ready, 1, 0) <= 0)
            return;
        on_console(machine, data);
    }
}

static void fill_poll(const struct machine *machine, struct pollfd *polls) {
    bool full = queue_is_full(machine);

    polls[SOURCE_SIGNAL] = (struct pollfd){.fd = machine->signal_fd, .events = POLLIN};
    polls[SOURCE_CHANNEL] = (struct pollfd){
        .fd = machine->channel,
        .events = (short)((machine->input.size < MACHINE_QUEUE_LIMIT ? POLLIN : 0) |
                          (machine->queue.size > machine->queue_sent ? POLLOUT : 0)),
    };
    polls[SOURCE_QMP] = (struct pollfd){
        .fd = machine->qmp_fd,
        .events = (short)(POLLIN | (machine->qmp_out.size ? POLLOUT : 0)),
    };
    polls[SOURCE_AGENT] = (struct pollfd){
        .fd = machine->agent_fd,
        .events = (short)(POLLIN | (machine->agent.out.size ? POLLOUT : 0)),
    };
    polls[SOURCE_QGA] = (struct pollfd){
        .fd = machine->qga_fd,
        .events = (short)(POLLIN | (machine->qga.out.size ? POLLOUT : 0)),
    };
    polls[SOURCE_CONSOLE] = (struct pollfd){.fd = full ? -1 : machine->console_fd, .events = POLLIN};
    polls[SOURCE_OUTPUT] = (struct pollfd){.fd = machine->qemu.output_fd, .events = POLLIN};
    polls[SOURCE_QEMU] = (struct pollfd){.fd = machine->qemu.child.pidfd, .events = POLLIN};
}

static void handle_ready(struct machine *machine, const struct pollfd *polls, char *data) {
    const short input = POLLIN | POLLHUP | POLLERR;

    if (polls[SOURCE_SIGNAL].revents)
        on_signal(machine);
    if (polls[SOURCE_CHANNEL].revents & POLLOUT)
        write_queue(machine);
    if (polls[SOURCE_CHANNEL].revents & input && machine->channel >= 0)
        on_channel(machine, data);
    if (polls[SOURCE_CONSOLE].revents)
        on_console(machine, data);
    if (polls[SOURCE_OUTPUT].revents)
        on_qemu_output(machine, data);
    if (polls[SOURCE_QMP].revents & POLLOUT)
        write_some(machine->qmp_fd, &machine->qmp_out);
    if (polls[SOURCE_QMP].revents & input)
        on_qmp(machine, data);
    if (polls[SOURCE_AGENT].revents & POLLOUT)
        write_some(machine->agent_fd, &machine->agent.out);
    if (polls[SOURCE_AGENT].revents & input)
        on_agent(machine, data);
    if (polls[SOURCE_QGA].revents & POLLOUT)
        write_some(machine->qga_fd, &machine->qga.out);
    if (polls[SOURCE_QGA].revents & input)
        on_qga(machine, data);
    if (polls[SOURCE_QEMU].revents)
        on_qemu_exit(machine, data);
}

/* When machine_judge_time() has something to look at. */
static deadline_t judgement_due(const struct machine *machine) {
    if (machine->closing || machine->qemu_gone)
        return DEADLINE_NONE;
    return deadline_earlier(machine->boot_failure_due,
                            deadline_earlier(machine->heartbeat.due, liveness_due(&machine->liveness)));
}

bool machine_wait(struct machine *machine, bool (*done)(const struct machine *), deadline_t deadline) {
    static char data[READ_SIZE];

    while (!machine->ended && !done(machine)) {
        struct pollfd polls[N_SOURCES];
        deadline_t wake = deadline_earlier(deadline, judgement_due(machine));

        take_records(machine);
        grant_credit(machine);
        if (machine->agent_fd >= 0 && machine->agent.out.size)
            write_some(machine->agent_fd, &machine->agent.out);
        fill_poll(machine, polls);
        if (poll(polls, N_SOURCES, deadline_poll_timeout(wake)) < 0 && errno != EINTR) {
            machine_end(machine, VERDICT_ERROR, 0, "poll: %s", strerror(errno));
            break;
        }
        handle_ready(machine, polls, data);
        machine_judge_time(machine);
        if (deadline_passed(deadline) && !machine->ended && !done(machine))
            return false;
    }
    return !machine->ended;
}

bool machine_never(const struct machine *machine) {
    (void)machine;
    return false;
}

void machine_flush(struct machine *machine) {
    while (machine->channel >= 0 && machine->queue.size > machine->queue_sent) {
        struct pollfd ready = {.fd = machine->channel, .events = POLLOUT};

        if (poll(&ready, 1, -1) > 0)
            write_queue(machine);
    }
}
