/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing for the sinks, to a descriptor that may be slow. While it is waited for nothing else happens but signals:
 * workers that have something to say wait with their guests, as a command does that writes to a full pipe, so that
 * nothing piles up here. That has an end: a reader may hold a target with a timeout up only so long beyond that, and is
 * not waited for again then; one without a timeout waits for its reader for ever, as any program does.
 */
#include <errno.h>
#include <sys/stat.h>

#include "supervise/supervisor-internal.h"

/* What a pipe or terminal that poll() calls writable takes without blocking. */
#define WRITE_PIECE 4096u
#define CANCELLED_WRITE_MSEC 1000

/* In milliseconds. A reader that takes nothing holds the end of a cancelled run up only once. */
static int patience(const struct supervisor *supervisor) {
    deadline_t deadline = DEADLINE_NONE;

    if (supervisor->killed || supervisor->output_abandoned)
        return 0;
    if (supervisor->cancelled)
        return CANCELLED_WRITE_MSEC;
    for (unsigned i = 0; supervisor->plan && i < supervisor->plan->n_slots; i++)
        deadline = deadline_earlier(deadline, supervisor->slots[i].write_deadline);
    return deadline_poll_timeout(deadline);
}

/* The signal that a failed write stands for. A terminal that went away sends SIGHUP as well, sooner or later. */
static int signal_of_error(int fd, int code) {
    struct stat status;

    if (code == EIO && fstat(fd, &status) == 0 && S_ISCHR(status.st_mode))
        return SIGHUP;
    return code == EPIPE ? SIGPIPE : SIGTERM;
}

void output_write(struct writer *writer, int fd, const void *data, size_t size) {
    struct supervisor *supervisor = (struct supervisor *)writer;
    const char *bytes = data;

    while (size > 0) {
        struct pollfd polls[] = {
            {.fd = fd, .events = POLLOUT},
            {.fd = supervisor->signal_fd, .events = POLLIN},
        };

        int ready = poll(polls, 2, patience(supervisor));
        if (ready < 0)
            continue;
        if (polls[1].revents)
            supervisor_on_signal(supervisor);
        if (ready == 0 || (supervisor->killed && !polls[0].revents)) {
            if (!supervisor->cancelled && !supervisor->output_error)
                supervisor->output_error = ETIMEDOUT;
            supervisor->output_abandoned = true;
            return;
        }
        if (!polls[0].revents)
            continue;

        ssize_t written = write(fd, bytes, size < WRITE_PIECE ? size : WRITE_PIECE);
        if (written >= 0) {
            bytes += written;
            size -= (size_t)written;
        } else if (errno != EAGAIN && errno != EINTR) {
            int code = errno;
            int number = signal_of_error(fd, code);

            if (number == SIGTERM && !supervisor->output_error)
                supervisor->output_error = code;
            if (!supervisor->cancelled)
                supervisor_cancel(supervisor, number);
            return;
        }
    }
}
