/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command's streams and its end. Its output is read only within the credit that the host has granted. When it has
 * been reaped, the bytes that are in its pipes at that moment are still drained, and nothing after that: a background
 * process that keeps them open holds nothing up.
 */
#include "agent/command-streams.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "agent/queue.h"

/* Input that the command has not read yet. The rest waits in the port, and with it all that follows. */
#define INPUT_SIZE (8u << 20)
/* More than a terminal's buffers hold. */
#define TERMINAL_LEFT (64u << 10)
#define END_OF_TRANSMISSION 4

static unsigned char input[INPUT_SIZE];
static size_t input_first;
static size_t input_last;
static bool input_closed; /* the host has sent the end of file */
static uint64_t taken;    /* bytes that the command has read since command_input_taken() was last asked */
static_assert(INPUT_SIZE > 2 * WIRE_INPUT_CREDIT, "what the host may send finds room");

static void close_stream(int *fd) {
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

void command_pump(struct command *command, bool error_stream) {
    int *fd = error_stream ? &command->err : &command->out;
    uint64_t *left = error_stream ? &command->err_left : &command->out_left;
    size_t limit = queue_room();
    ssize_t got;

    if (limit > WIRE_DATA_MAX)
        limit = WIRE_DATA_MAX;
    if (limit > command->credit)
        limit = command->credit;
    if (command->ended && limit > *left)
        limit = *left;
    if (*fd < 0 || limit == 0)
        return;
    got = read(*fd, queue_reserve(limit), limit);
    if (got > 0) {
        queue_commit(error_stream ? WIRE_STDERR : WIRE_STDOUT, (size_t)got);
        command->credit -= (size_t)got;
        if (command->ended)
            *left -= (size_t)got;
    } else if (got < 0 && errno == EAGAIN) {
        *left = 0; /* nothing is there after all */
    } else if (got == 0 || errno != EINTR) {
        *left = 0; /* a terminal's master fails with EIO once nobody has the other side open */
        close_stream(fd);
    }
}

/*
 * The number of bytes that wait in a stream, at most. Output of a terminal reaches its master by way of a work queue,
 * so it cannot be counted; but read() waits for that queue before it says EAGAIN.
 */
static uint64_t stream_left(int fd, bool terminal) {
    int waiting = 0;

    if (terminal)
        return fd < 0 ? 0 : TERMINAL_LEFT;
    if (fd < 0 || ioctl(fd, FIONREAD, &waiting) < 0 || waiting < 0)
        return 0;
    return (uint64_t)waiting;
}

void command_reaped(struct command *command, pid_t pid, int status, const struct rusage *usage) {
    if (command->pid <= 0 || pid != command->pid || command->ended)
        return;
    command->ended = true;
    command->status = status;
    command->out_left = stream_left(command->out, command->terminal);
    command->err_left = stream_left(command->err, command->terminal);
    command->user_usec = (uint64_t)usage->ru_utime.tv_sec * 1000000 + (uint64_t)usage->ru_utime.tv_usec;
    command->system_usec = (uint64_t)usage->ru_stime.tv_sec * 1000000 + (uint64_t)usage->ru_stime.tv_usec;
    command->max_rss_kib = (uint64_t)usage->ru_maxrss;
    close_stream(&command->in);
}

bool command_done(const struct command *command) {
    return command->pid > 0 && command->ended && command->out_left == 0 && command->err_left == 0;
}

void command_close(struct command *command) {
    close_stream(&command->in);
    close_stream(&command->out);
    close_stream(&command->err);
    input_first = input_last = 0;
}

/* Our end of the command's standard input, or -1. */
static int input_end(const struct command *command) {
    return command->terminal ? command->out : command->in;
}

bool command_input(struct command *command, const void *data, size_t size) {
    static const unsigned char end = END_OF_TRANSMISSION;

    if (input_end(command) < 0 || input_closed)
        return true; /* nobody is there to read it */
    if (size == 0) {
        input_closed = true;
        if (!command->terminal) {
            command_flush_input(command);
            return true;
        }
        data = &end;
        size = 1;
    }
    if (size > INPUT_SIZE - input_last) {
        memmove(input, input + input_first, input_last - input_first);
        input_last -= input_first;
        input_first = 0;
    }
    if (size > INPUT_SIZE - input_last)
        return false;
    memcpy(input + input_last, data, size);
    input_last += size;
    command_flush_input(command);
    return true;
}

int command_input_fd(const struct command *command) {
    return input_last > input_first ? input_end(command) : -1;
}

uint64_t command_input_taken(void) {
    uint64_t bytes = taken;

    if (bytes < WIRE_DATA_MAX)
        return 0;
    taken = 0;
    return bytes;
}

void command_flush_input(struct command *command) {
    int fd = input_end(command);

    while (fd >= 0 && input_last > input_first) {
        ssize_t written = write(fd, input + input_first, input_last - input_first);

        if (written < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (written < 0)
            written = (ssize_t)(input_last - input_first); /* nobody reads it */
        input_first += (size_t)written;
        taken += (size_t)written;
    }
    if (input_closed && input_last == input_first && !command->terminal)
        close_stream(&command->in);
}

void command_window(const struct command *command, unsigned rows, unsigned columns) {
    struct winsize size = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};

    if (command->terminal && command->out >= 0)
        (void)ioctl(command->out, TIOCSWINSZ, &size);
}

void command_signal(const struct command *command, int number) {
    /* Until it has called setsid() the new process has no group of its own. */
    if (command->pid > 0 && !command->ended && kill(-command->pid, number) < 0 && errno == ESRCH)
        (void)kill(command->pid, number);
}
