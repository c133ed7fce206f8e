/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each frame that comes is looked up in a table: the states in which it may come, and the request it answers. One that
 * has no place there ends the conversation. The caller reads the outcome from the fields of struct agent_client.
 */
#include "guest/agent-client.h"

#include <stddef.h>
#include <sys/random.h>
#include <time.h>

#include "base/log.h"

#define RELEASE_MAX 128
#define MESSAGE_MAX 4096
#define ENTROPY_SIZE 32

void agent_client_deinit(struct agent_client *client) {
    buffer_deinit(&client->in);
    buffer_deinit(&client->out);
    buffer_deinit(&client->files);
    free(client->release);
    free(client->failure);
    *client = (struct agent_client){0};
}

static int protocol_error(struct error **ret_error, const char *what) {
    return error_new(ret_error, EPROTO, "the agent in the guest sent %s", what);
}

static int take_hello(struct agent_client *client, struct wire_reader *reader, struct error **ret_error) {
    char release[RELEASE_MAX];
    uint32_t version = wire_get_u32(reader);

    wire_get_string(reader, release, sizeof(release));
    if (!wire_reader_done(reader))
        return protocol_error(ret_error, "a malformed hello");
    if (version != WIRE_PROTOCOL_VERSION)
        return error_new(ret_error, EPROTO, "the agent in the guest speaks version %u of the protocol, not %u", version,
                         WIRE_PROTOCOL_VERSION);
    client->release = xstrdup(release);
    client->state = AGENT_HELLO;
    return 0;
}

static int take_exited(struct agent_client *client, struct wire_reader *reader, struct error **ret_error) {
    uint32_t kind = wire_get_u32(reader);

    client->status = wire_get_u32(reader);
    client->user_usec = wire_get_u64(reader);
    client->system_usec = wire_get_u64(reader);
    client->max_rss_kib = wire_get_u64(reader);
    if (!wire_reader_done(reader) || kind > WIRE_EXIT_SIGNAL || client->status > 255)
        return protocol_error(ret_error, "a malformed exit status");
    client->signalled = kind == WIRE_EXIT_SIGNAL;
    client->state = AGENT_EXITED;
    return 0;
}

static int take_failed(struct agent_client *client, struct wire_reader *reader, struct error **ret_error) {
    char message[MESSAGE_MAX];

    wire_get_string(reader, message, sizeof(message));
    if (!wire_reader_done(reader))
        return protocol_error(ret_error, "a malformed failure");
    free(client->failure);
    client->failure = xstrdup(message);
    client->state = AGENT_FAILED;
    return 0;
}

/* The end-of-file character that the agent writes to a terminal counts too, though the host has not sent it. */
static int take_credit(struct agent_client *client, struct wire_reader *reader, struct error **ret_error) {
    uint64_t taken = wire_get_u64(reader);

    if (!wire_reader_done(reader))
        return protocol_error(ret_error, "a malformed credit");
    client->unread -= taken < client->unread ? taken : client->unread;
    return 0;
}

#define IN(state) (1u << (state))
#define IN_ANY (IN(AGENT_HELLO) | IN(AGENT_READY) | IN(AGENT_EXITED) | IN(AGENT_SYNCED) | IN(AGENT_FAILED))
#define AFTER(flag) offsetof(struct agent_client, flag)

/* The frames that the guest may send: in these states, and only after the host's request that sets this flag (0: none).
 */
static const struct {
    unsigned states;
    size_t flag;
} expected[WIRE_TYPE_END] = {
    [WIRE_HELLO] = {IN(AGENT_SILENT), 0},
    [WIRE_READY] = {IN(AGENT_HELLO), 0},
    [WIRE_SETTLED] = {IN(AGENT_HELLO), 0},
    [WIRE_FAILED] = {IN(AGENT_HELLO) | IN(AGENT_READY), 0},
    [WIRE_STDOUT] = {IN(AGENT_READY), AFTER(executing)},
    [WIRE_STDERR] = {IN(AGENT_READY), AFTER(executing)},
    [WIRE_EXITED] = {IN(AGENT_READY), AFTER(executing)},
    [WIRE_CREDIT] = {IN(AGENT_READY), AFTER(executing)},
    [WIRE_SYNCED] = {IN(AGENT_EXITED), AFTER(syncing)},
    [WIRE_FETCHED] = {IN(AGENT_EXITED) | IN(AGENT_SYNCED), AFTER(fetching)},
    [WIRE_PONG] = {IN_ANY, 0},
    [WIRE_SHOWN] = {IN_ANY, 0},
};

static bool is_expected(const struct agent_client *client, uint32_t type) {
    size_t flag = expected[type].flag;

    return expected[type].states & IN(client->state) && (flag == 0 || *(const bool *)((const char *)client + flag));
}

/* The limit counts the files' bytes; with their names and the records' heads they are no more than twice that. */
static int take_fetched(struct agent_client *client, const struct wire_frame *frame, struct error **ret_error) {
    if (frame->size > 2 * client->files_limit - client->files.size)
        return protocol_error(ret_error, "more bytes of files than requested");
    buffer_append(&client->files, frame->payload, frame->size);
    client->fetching = frame->size > 0;
    return 0;
}

static int take_frame(struct agent_client *client, const struct wire_frame *frame, struct error **ret_error) {
    struct wire_reader reader;

    if (!is_expected(client, frame->type))
        return error_new(ret_error, EPROTO, "the agent in the guest sent a frame of type '%s' out of turn",
                         wire_type_name(frame->type));
    client->heard = true;
    log_debug("agent: %s, %zu bytes", wire_type_name(frame->type), (size_t)frame->size);
    wire_reader_init(&reader, frame);
    switch (frame->type) {
    case WIRE_HELLO:
        return take_hello(client, &reader, ret_error);
    case WIRE_READY:
        client->state = AGENT_READY;
        return 0;
    case WIRE_FAILED:
        return take_failed(client, &reader, ret_error);
    case WIRE_STDOUT:
    case WIRE_STDERR:
        if (client->output)
            client->output(client->context, (enum wire_type)frame->type, frame->payload, frame->size);
        return 0;
    case WIRE_EXITED:
        return take_exited(client, &reader, ret_error);
    case WIRE_SYNCED:
        client->state = AGENT_SYNCED;
        return 0;
    case WIRE_SETTLED:
        client->settled = true;
        return 0;
    case WIRE_SHOWN:
        client->shown = true;
        return 0;
    case WIRE_FETCHED:
        return take_fetched(client, frame, ret_error);
    case WIRE_CREDIT:
        return take_credit(client, &reader, ret_error);
    default: /* WIRE_PONG */
        client->pongs++;
        return 0;
    }
}

int agent_client_feed(struct agent_client *client, const void *data, size_t size, struct error **ret_error) {
    size_t offset = 0;

    buffer_append(&client->in, data, size);
    for (;;) {
        struct wire_frame frame;
        size_t used;
        enum wire_status status = wire_parse(client->in.data + offset, client->in.size - offset, &frame, &used);
        int r;

        if (status == WIRE_AGAIN)
            break;
        if (status == WIRE_GARBAGE)
            return protocol_error(ret_error, "bytes that are not a frame");
        r = take_frame(client, &frame, ret_error);
        if (r < 0)
            return r;
        offset += used;
    }
    buffer_consume(&client->in, offset);
    return 0;
}

void agent_client_resume(struct agent_client *client, const char *release) {
    client->state = AGENT_HELLO;
    free(client->release);
    client->release = release ? xstrdup(release) : NULL;
}

/* Starts a frame of at most `size` bytes of payload at the end of client->out. */
static void frame_begin(struct agent_client *client, struct wire_writer *writer, enum wire_type type, size_t size) {
    size_t capacity = size + WIRE_HEADER_SIZE;

    log_debug("agent: sending %s", wire_type_name(type));
    wire_begin(writer, buffer_reserve(&client->out, capacity), capacity, type);
}

static int frame_end(struct agent_client *client, struct wire_writer *writer, const char *what,
                     struct error **ret_error) {
    size_t size = wire_end(writer);

    if (size == 0)
        return error_new(ret_error, E2BIG, "%s would take more than %u bytes", what, WIRE_PAYLOAD_MAX);
    client->out.size += size;
    return 0;
}

static void put_strings(struct wire_writer *writer, char *const *strings, size_t count) {
    wire_put_u32(writer, (uint32_t)count);
    for (size_t i = 0; i < count; i++)
        wire_put_string(writer, strings[i]);
}

/* NULL is an empty list. */
static void put_list(struct wire_writer *writer, const struct strv *list) {
    put_strings(writer, list ? list->items : NULL, list ? list->count : 0);
}

static void put_mount(struct wire_writer *writer, const struct agent_mount *mount) {
    const char *const strings[] = {mount->type, mount->options, mount->source, mount->second, mount->path};

    wire_put_u32(writer, mount->kind);
    wire_put_u32(writer, mount->writable ? WIRE_MOUNT_WRITABLE : 0);
    for (size_t i = 0; i < ARRAY_SIZE(strings); i++)
        wire_put_string(writer, strings[i] ? strings[i] : "");
}

int agent_client_setup(struct agent_client *client, const struct agent_setup *setup, struct error **ret_error) {
    unsigned char entropy[ENTROPY_SIZE];
    struct timespec now;
    struct wire_writer writer;

    if (getrandom(entropy, sizeof(entropy), 0) != (ssize_t)sizeof(entropy))
        return error_errno(ret_error, errno, "getrandom");
    (void)clock_gettime(CLOCK_REALTIME, &now);

    frame_begin(client, &writer, WIRE_SETUP, WIRE_PAYLOAD_MAX);
    wire_put_u64(&writer, setup->keep_clock ? 0 : (uint64_t)now.tv_sec);
    wire_put_u32(&writer, (uint32_t)now.tv_nsec);
    wire_put_bytes(&writer, entropy, sizeof(entropy));
    wire_put_string(&writer, setup->hostname);
    wire_put_u32(&writer, setup->root);
    wire_put_u32(&writer, (uint32_t)setup->n_mounts);
    for (size_t i = 0; i < setup->n_mounts; i++)
        put_mount(&writer, &setup->mounts[i]);
    put_list(&writer, setup->drivers);
    put_list(&writer, setup->shell_environment);
    return frame_end(client, &writer, "the list of mounts", ret_error);
}

int agent_client_exec(struct agent_client *client, const struct agent_exec *exec, struct error **ret_error) {
    struct wire_writer writer;
    size_t n_environment = 0;

    while (exec->environment[n_environment])
        n_environment++;

    frame_begin(client, &writer, WIRE_EXEC, WIRE_PAYLOAD_MAX);
    wire_put_u32(&writer, exec->flags);
    wire_put_u64(&writer, exec->credit);
    wire_put_u32(&writer, exec->rows);
    wire_put_u32(&writer, exec->columns);
    wire_put_string(&writer, exec->directory);
    put_list(&writer, exec->argv);
    put_strings(&writer, exec->environment, n_environment);
    client->executing = true;
    return frame_end(client, &writer, "the command and its environment", ret_error);
}

/* A frame of a few numbers, which always fits. */
static void send_small(struct agent_client *client, enum wire_type type, const uint64_t *wide, const uint32_t *numbers,
                       size_t n_numbers) {
    struct wire_writer writer;

    frame_begin(client, &writer, type, 64);
    if (wide)
        wire_put_u64(&writer, *wide);
    for (size_t i = 0; i < n_numbers; i++)
        wire_put_u32(&writer, numbers[i]);
    client->out.size += wire_end(&writer);
}

void agent_client_credit(struct agent_client *client, uint64_t bytes) {
    send_small(client, WIRE_CREDIT, &bytes, NULL, 0);
}

void agent_client_signal(struct agent_client *client, int number) {
    send_small(client, WIRE_SIGNAL, NULL, (uint32_t[]){(uint32_t)number}, 1);
}

void agent_client_window(struct agent_client *client, unsigned rows, unsigned columns) {
    send_small(client, WIRE_WINDOW, NULL, (uint32_t[]){rows, columns}, 2);
}

void agent_client_ping(struct agent_client *client, uint64_t cookie) {
    send_small(client, WIRE_PING, &cookie, NULL, 0);
    client->pings++;
}

void agent_client_sync(struct agent_client *client) {
    send_small(client, WIRE_SYNC, NULL, NULL, 0);
    client->syncing = true;
}

void agent_client_clock(struct agent_client *client) {
    struct timespec now;
    uint64_t seconds;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    seconds = (uint64_t)now.tv_sec;
    send_small(client, WIRE_CLOCK, &seconds, (uint32_t[]){(uint32_t)now.tv_nsec}, 1);
}

void agent_client_settle(struct agent_client *client, uint32_t limit_msec, const struct strv *drivers) {
    struct wire_writer writer;

    frame_begin(client, &writer, WIRE_SETTLE, WIRE_DATA_MAX);
    wire_put_u32(&writer, limit_msec);
    put_list(&writer, drivers);
    client->out.size += wire_end(&writer);
}

int agent_client_fetch(struct agent_client *client, const char *directory, const char *path, uint64_t limit, bool note,
                       struct error **ret_error) {
    struct wire_writer writer;

    frame_begin(client, &writer, WIRE_FETCH, WIRE_DATA_MAX);
    wire_put_u32(&writer, note ? WIRE_FETCH_NOTE : 0);
    wire_put_u64(&writer, limit);
    wire_put_string(&writer, directory);
    wire_put_string(&writer, path);
    client->files.size = 0;
    client->files_limit = note ? 0 : limit;
    client->fetching = !note;
    return frame_end(client, &writer, "the path of the files", ret_error);
}

void agent_client_tasks(struct agent_client *client) {
    client->shown = false;
    send_small(client, WIRE_TASKS, NULL, NULL, 0);
}

void agent_client_stdin(struct agent_client *client, const void *data, size_t size) {
    const char *bytes = data;

    client->unread += size;
    do {
        size_t piece = size < WIRE_DATA_MAX ? size : WIRE_DATA_MAX;
        unsigned char header[WIRE_HEADER_SIZE];

        wire_put_header(header, WIRE_STDIN, piece);
        buffer_append(&client->out, header, sizeof(header));
        buffer_append(&client->out, bytes, piece);
        bytes += piece;
        size -= piece;
    } while (size > 0);
}
