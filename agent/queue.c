/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frames that wait to be written to the port, in one static buffer: bytes are taken at its front and put at its
 * end, and moved to the start when the end comes near. The port is non-blocking, and nothing here waits.
 */
#include "agent/queue.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "agent/log.h"
#include "wire/frame.h"

/* Room for some data frames; a reply always finds RESERVE bytes that data frames leave alone. */
#define QUEUE_SIZE (1u << 20)
#define RESERVE (64u << 10)

static unsigned char queue[QUEUE_SIZE];
static size_t first;
static size_t last;
static int queue_port = -1;

void queue_init(int port) {
    queue_port = port;
    first = last = 0;
}

size_t queue_room(void) {
    size_t used = last - first;

    return used + RESERVE + WIRE_HEADER_SIZE < QUEUE_SIZE ? QUEUE_SIZE - used - RESERVE - WIRE_HEADER_SIZE : 0;
}

bool queue_pending(void) {
    return last > first;
}

bool queue_flush(void) {
    while (last > first) {
        ssize_t written = write(queue_port, queue + first, last - first);

        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return errno == EAGAIN;
        first += (size_t)written;
    }
    first = last = 0;
    return true;
}

static void make_room(size_t size) {
    if (QUEUE_SIZE - last >= size)
        return;
    memmove(queue, queue + first, last - first);
    last -= first;
    first = 0;
}

void queue_frame(const void *frame, size_t size) {
    make_room(size);
    if (QUEUE_SIZE - last < size) {
        log_line("the host does not read: a frame of %zu bytes is dropped", size);
        return;
    }
    memcpy(queue + last, frame, size);
    last += size;
}

unsigned char *queue_reserve(size_t size) {
    make_room(size + WIRE_HEADER_SIZE);
    return queue + last + WIRE_HEADER_SIZE;
}

void queue_commit(uint32_t type, size_t size) {
    if (size == 0)
        return;
    wire_put_header(queue + last, type, size);
    last += WIRE_HEADER_SIZE + size;
}
