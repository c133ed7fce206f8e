/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/frame.h"

#include <string.h>

static const char *const type_names[] = {
    [WIRE_HELLO] = "hello",   [WIRE_SETUP] = "setup",   [WIRE_READY] = "ready",       [WIRE_FAILED] = "failed",
    [WIRE_EXEC] = "exec",     [WIRE_STDOUT] = "stdout", [WIRE_STDERR] = "stderr",     [WIRE_STDIN] = "stdin",
    [WIRE_CREDIT] = "credit", [WIRE_WINDOW] = "window", [WIRE_SIGNAL] = "signal",     [WIRE_EXITED] = "exited",
    [WIRE_PING] = "ping",     [WIRE_PONG] = "pong",     [WIRE_POWEROFF] = "poweroff", [WIRE_SYNC] = "sync",
    [WIRE_SYNCED] = "synced", [WIRE_SETTLE] = "settle", [WIRE_SETTLED] = "settled",   [WIRE_CLOCK] = "clock",
    [WIRE_TASKS] = "tasks",   [WIRE_SHOWN] = "shown",   [WIRE_FETCH] = "fetch",       [WIRE_FETCHED] = "fetched",
};
_Static_assert(sizeof(type_names) / sizeof(type_names[0]) == WIRE_TYPE_END, "every frame type has a name");

static void store_u32(unsigned char *bytes, uint32_t value) {
    for (unsigned i = 0; i < 4; i++)
        bytes[i] = (unsigned char)(value >> (8 * i));
}

static uint32_t load_u32(const unsigned char *bytes) {
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

enum wire_status wire_parse(const void *data, size_t size, struct wire_frame *ret_frame, size_t *ret_used) {
    const unsigned char *bytes = data;

    if (size < WIRE_HEADER_SIZE)
        return WIRE_AGAIN;

    uint32_t length = load_u32(bytes);
    uint32_t type = load_u32(bytes + 4);

    if (type == 0 || type >= WIRE_TYPE_END || length > WIRE_PAYLOAD_MAX)
        return WIRE_GARBAGE;
    if (size - WIRE_HEADER_SIZE < length)
        return WIRE_AGAIN;
    *ret_frame = (struct wire_frame){.type = type, .payload = bytes + WIRE_HEADER_SIZE, .size = length};
    *ret_used = WIRE_HEADER_SIZE + length;
    return WIRE_OK;
}

void wire_put_header(unsigned char *header, uint32_t type, size_t payload_size) {
    store_u32(header, (uint32_t)payload_size);
    store_u32(header + 4, type);
}

const char *wire_type_name(uint32_t type) {
    return type > 0 && type < WIRE_TYPE_END ? type_names[type] : "unknown";
}

/* Room for `size` more bytes, or NULL. */
static unsigned char *writer_take(struct wire_writer *writer, size_t size) {
    if (writer->overflow || writer->capacity - writer->size < size) {
        writer->overflow = true;
        return NULL;
    }
    unsigned char *place = writer->data + writer->size;
    writer->size += size;
    return place;
}

void wire_begin(struct wire_writer *writer, void *data, size_t capacity, uint32_t type) {
    *writer = (struct wire_writer){.data = data, .capacity = capacity};

    unsigned char *header = writer_take(writer, WIRE_HEADER_SIZE);
    if (header)
        wire_put_header(header, type, 0);
}

void wire_put_u32(struct wire_writer *writer, uint32_t value) {
    unsigned char *place = writer_take(writer, 4);

    if (place)
        store_u32(place, value);
}

void wire_put_u64(struct wire_writer *writer, uint64_t value) {
    unsigned char *place = writer_take(writer, 8);

    if (place) {
        store_u32(place, (uint32_t)value);
        store_u32(place + 4, (uint32_t)(value >> 32));
    }
}

void wire_put_bytes(struct wire_writer *writer, const void *data, size_t size) {
    if (size > WIRE_PAYLOAD_MAX) {
        writer->overflow = true;
        return;
    }
    wire_put_u32(writer, (uint32_t)size);

    unsigned char *place = writer_take(writer, size);
    if (place && size)
        memcpy(place, data, size);
}

void wire_put_string(struct wire_writer *writer, const char *string) {
    wire_put_bytes(writer, string, strlen(string));
}

size_t wire_end(struct wire_writer *writer) {
    if (writer->overflow || writer->size - WIRE_HEADER_SIZE > WIRE_PAYLOAD_MAX)
        return 0;
    store_u32(writer->data, (uint32_t)(writer->size - WIRE_HEADER_SIZE));
    return writer->size;
}

void wire_reader_init(struct wire_reader *reader, const struct wire_frame *frame) {
    *reader = (struct wire_reader){.data = frame->payload, .size = frame->size};
}

static const unsigned char *reader_take(struct wire_reader *reader, size_t size) {
    if (reader->failed || reader->size - reader->offset < size) {
        reader->failed = true;
        return NULL;
    }
    const unsigned char *place = reader->data + reader->offset;
    reader->offset += size;
    return place;
}

uint32_t wire_get_u32(struct wire_reader *reader) {
    const unsigned char *place = reader_take(reader, 4);

    return place ? load_u32(place) : 0;
}

uint64_t wire_get_u64(struct wire_reader *reader) {
    const unsigned char *place = reader_take(reader, 8);

    return place ? (uint64_t)load_u32(place) | (uint64_t)load_u32(place + 4) << 32 : 0;
}

const unsigned char *wire_get_bytes(struct wire_reader *reader, size_t *ret_size) {
    size_t size = wire_get_u32(reader);
    const unsigned char *place = reader_take(reader, size);

    *ret_size = place ? size : 0;
    return place;
}

void wire_get_string(struct wire_reader *reader, char *string, size_t capacity) {
    size_t size;
    const unsigned char *bytes = wire_get_bytes(reader, &size);

    string[0] = '\0';
    if (!bytes)
        return;
    if (size >= capacity || memchr(bytes, '\0', size)) {
        reader->failed = true;
        return;
    }
    memcpy(string, bytes, size);
    string[size] = '\0';
}

bool wire_reader_done(const struct wire_reader *reader) {
    return !reader->failed && reader->offset == reader->size;
}
