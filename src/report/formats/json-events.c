/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sink for programs: one JSON object a line, as docs/events.md describes them. Bytes of the guest are cut into
 * pieces that are valid UTF-8 ("text") and pieces that are not ("base64"); the decoded pieces of a stream, one behind
 * the other, are exactly its bytes. A character that is cut off at the end of an event waits for the stream's next.
 */
#include <jansson.h>

#include "base/base64.h"
#include "base/str.h"
#include "base/utf8.h"
#include "report/result.h"
#include "report/sink.h"

/* Compact, UTF-8 as it is, and microseconds where there are fractions. */
#define DUMP_FLAGS (JSON_COMPACT | JSON_REAL_PRECISION(12))

/* No event carries more of the guest's bytes than this, so that a reader's lines stay small. */
#define PIECE_MAX (64U << 10)
/* A chunk that falls into more than so many pieces is binary data, and one piece of base64. */
#define PIECES_MAX 32

enum stream { STREAM_CONSOLE, STREAM_STDOUT, STREAM_STDERR, STREAM_COUNT };

/* A target that is running: what each of its streams waits to see completed. */
struct running {
    char *name;
    unsigned char held[STREAM_COUNT][UTF8_MAX];
    size_t n_held[STREAM_COUNT];
    struct running *next;
};

struct json_sink {
    struct sink sink; /* first, so that a pointer to it is one to this */
    struct writer *writer;
    int fd;
    uint64_t nsec; /* the time of the event at hand */
    struct buffer line;
    struct running *running;
};

static struct json_sink *json_of(struct sink *sink) {
    return (struct json_sink *)sink;
}

/*
 * The length of the character at `text` if a reader may take it for the end of a line or a terminal for a command: DEL,
 * the C1 controls (NEL among them), LINE SEPARATOR, PARAGRAPH SEPARATOR; else 0. JSON allows them in a string as they
 * are (RFC 8259, section 7).
 */
static size_t unsafe_length(const unsigned char *text, size_t size) {
    if (text[0] == 0x7f)
        return 1;
    if (size >= 2 && text[0] == 0xc2 && text[1] < 0xa0)
        return 2;
    if (size >= 3 && text[0] == 0xe2 && text[1] == 0x80 && (text[2] == 0xa8 || text[2] == 0xa9))
        return 3;
    return 0;
}

/* Takes a piece of the JSON text, which ends between two characters, and escapes what jansson leaves alone. */
static int append_piece(const char *data, size_t size, void *buffer) {
    const unsigned char *text = (const unsigned char *)data;
    size_t start = 0;

    for (size_t i = 0; i < size; i++) {
        size_t length = unsafe_length(text + i, size - i);

        if (length == 0)
            continue;
        buffer_append(buffer, data + start, i - start);
        buffer_printf(buffer, "\\u%04x",
                      length == 1   ? text[i]
                      : length == 2 ? text[i + 1]
                                    : 0x2000U + (text[i + 2] - 0x80U));
        start = i + length;
        i = start - 1;
    }
    buffer_append(buffer, data + start, size - start);
    return 0;
}

/* Writes one line and releases `object`. */
static void write_object(struct json_sink *json, json_t *object) {
    buffer_consume(&json->line, json->line.size);
    if (json_dump_callback(object, append_piece, &json->line, DUMP_FLAGS) < 0)
        abort(); /* out of memory: every string was made valid before */
    buffer_append(&json->line, "\n", 1);
    json->writer->write(json->writer, json->fd, json->line.data, json->line.size);
    json_decref(object);
}

/* An object with what every event has; `target` may be NULL. */
static json_t *new_object(const struct json_sink *json, const char *event, const char *target) {
    json_t *object = json_object();

    (void)json_object_set_new(object, "event", json_string(event));
    if (target)
        (void)json_object_set_new(object, "target", json_lossy_string(target));
    (void)json_object_set_new(object, "time", json_seconds(json->nsec));
    return object;
}

static json_t *base64_string(const void *data, size_t size) {
    _cleanup_buffer_ struct buffer text = {0};

    base64_encode(&text, data, size);
    return json_stringn(text.data ? text.data : "", text.size);
}

static void write_piece(struct json_sink *json, const char *target, enum stream stream, const unsigned char *data,
                        size_t size, bool valid) {
    json_t *object = new_object(json, stream == STREAM_CONSOLE ? "console" : "output", target);

    if (stream != STREAM_CONSOLE)
        (void)json_object_set_new(object, "stream", json_string(stream == STREAM_STDERR ? "stderr" : "stdout"));
    if (valid)
        (void)json_object_set_new(object, "text", json_stringn_nocheck((const char *)data, size));
    else
        (void)json_object_set_new(object, "base64", base64_string(data, size));
    write_object(json, object);
}

/* How many bytes at the beginning are of one kind, valid UTF-8 or not. */
static size_t piece_size(const unsigned char *data, size_t size, bool *ret_valid) {
    size_t length = utf8_valid_prefix(data, size);

    *ret_valid = length > 0;
    if (length > 0)
        return length;
    for (length = 1; length < size; length++) {
        size_t ahead = size - length < UTF8_MAX ? size - length : UTF8_MAX;

        if (utf8_valid_prefix(data + length, ahead) > 0)
            break;
    }
    return length;
}

static bool is_binary(const unsigned char *data, size_t size) {
    unsigned n_pieces = 0;
    bool valid;

    while (size > 0) {
        size_t length = piece_size(data, size, &valid);

        if (++n_pieces > PIECES_MAX)
            return true;
        data += length;
        size -= length;
    }
    return false;
}

/* Writes all of a chunk of at most PIECE_MAX bytes. */
static void write_chunk(struct json_sink *json, const char *target, enum stream stream, const unsigned char *data,
                        size_t size) {
    bool valid;

    if (size > 0 && is_binary(data, size)) {
        write_piece(json, target, stream, data, size, false);
        return;
    }
    while (size > 0) {
        size_t length = piece_size(data, size, &valid);

        write_piece(json, target, stream, data, length, valid);
        data += length;
        size -= length;
    }
}

static struct running *find_running(struct json_sink *json, const char *target) {
    struct running *running = json->running;

    while (running && strcmp(running->name, target) != 0)
        running = running->next;
    if (running)
        return running;
    running = xcalloc(1, sizeof(*running));
    running->name = xstrdup(target);
    running->next = json->running;
    json->running = running;
    return running;
}

static void running_free(struct running *running) {
    free(running->name);
    free(running);
}

static void forget_running(struct json_sink *json, const char *target) {
    for (struct running **link = &json->running; *link; link = &(*link)->next) {
        struct running *running = *link;

        if (strcmp(running->name, target) != 0)
            continue;
        *link = running->next;
        running_free(running);
        return;
    }
}

/* Completes what is held with the first bytes of new data and writes it; returns how many bytes that took. */
static size_t complete_held(struct json_sink *json, const struct event *event, enum stream stream,
                            struct running *running) {
    unsigned char *held = running->held[stream];
    size_t *n_held = &running->n_held[stream];
    const unsigned char *data = event->data;
    size_t used = 0;

    while (*n_held > 0 && used < event->size && utf8_is_incomplete(held, *n_held)) {
        held[(*n_held)++] = data[used++];
        if (utf8_is_incomplete(held, *n_held))
            continue;
        if (utf8_valid_prefix(held, *n_held) != *n_held) {
            (*n_held)--; /* the new byte does not belong to it */
            used--;
        }
        write_chunk(json, event->target, stream, held, *n_held);
        *n_held = 0;
    }
    return used;
}

static void on_bytes(struct json_sink *json, const struct event *event, enum stream stream) {
    struct running *running = find_running(json, event->target);
    size_t used = complete_held(json, event, stream, running);
    const unsigned char *data = (const unsigned char *)event->data + used;
    size_t size = event->size - used;

    while (size > 0) {
        size_t length = size < PIECE_MAX ? size : PIECE_MAX;
        size_t tail = utf8_incomplete_tail(data, length);

        if (length == size) {
            memcpy(running->held[stream], data + length - tail, tail);
            running->n_held[stream] = tail;
            write_chunk(json, event->target, stream, data, length - tail);
            return;
        }
        write_chunk(json, event->target, stream, data, length - tail);
        data += length - tail;
        size -= length - tail;
    }
}

/* What is still held when a stage or a target ends is never going to be completed. */
static void flush_held(struct json_sink *json, const char *target) {
    struct running *running = find_running(json, target);

    for (enum stream stream = 0; stream < STREAM_COUNT; stream++) {
        write_chunk(json, target, stream, running->held[stream], running->n_held[stream]);
        running->n_held[stream] = 0;
    }
}

/* Which attempt of the target it is about; none for one that never started. */
static void add_attempt(json_t *object, const struct event *event) {
    if (event->attempt > 0)
        (void)json_object_set_new(object, "attempt", json_integer(event->attempt));
}

/* The end of the target, or of an attempt that another one follows. */
static void on_end(struct json_sink *json, const struct event *event, const char *name) {
    json_t *object = new_object(json, name, event->target);

    add_attempt(object, event);
    result_add_to_json(object, event->result);
    write_object(json, object);
}

static void on_started(struct json_sink *json, const struct event *event) {
    json_t *object = new_object(json, "started", event->target);

    add_attempt(object, event);
    write_object(json, object);
}

static void on_named(struct json_sink *json, const struct event *event, const char *name, const char *key,
                     const char *value) {
    json_t *object = new_object(json, name, event->target);

    (void)json_object_set_new(object, key, json_lossy_string(value));
    write_object(json, object);
}

static void on_subresult(struct json_sink *json, const struct event *event) {
    const struct run_subresult *subresult = event->subresult;
    json_t *object = new_object(json, "subresult", event->target);

    (void)json_object_set_new(object, "name", json_lossy_string(subresult->name));
    (void)json_object_set_new(object, "status", json_string(subresult_status_name(subresult->status)));
    if (!str_empty(subresult->message))
        (void)json_object_set_new(object, "message", json_lossy_string(subresult->message));
    if (!str_empty(subresult->output))
        (void)json_object_set_new(object, "output", json_lossy_string(subresult->output));
    if (subresult->nsec > 0)
        (void)json_object_set_new(object, "seconds", json_seconds(subresult->nsec));
    write_object(json, object);
}

static void on_stage(struct json_sink *json, const struct event *event) {
    json_t *object = new_object(json, "stage", event->target);

    (void)json_object_set_new(object, "stage", json_string(stage_name(event->stage)));
    if (event->from_template)
        (void)json_object_set_new(object, "from_template", json_true());
    write_object(json, object);
}

static void json_handle(struct sink *sink, const struct event *event) {
    struct json_sink *json = json_of(sink);

    json->nsec = event->nsec;
    switch (event->type) {
    case EVENT_STARTED:
        on_started(json, event);
        break;
    case EVENT_STAGE:
        flush_held(json, event->target);
        on_stage(json, event);
        break;
    case EVENT_CONSOLE:
        on_bytes(json, event, STREAM_CONSOLE);
        break;
    case EVENT_OUTPUT:
        on_bytes(json, event, event->stream == OUTPUT_STDERR ? STREAM_STDERR : STREAM_STDOUT);
        break;
    case EVENT_NOTICE:
        on_named(json, event, "notice", "text", event->text);
        break;
    case EVENT_FINISHED:
    case EVENT_RETRY:
        flush_held(json, event->target);
        on_end(json, event, event->type == EVENT_RETRY ? "retry" : "finished");
        forget_running(json, event->target);
        break;
    case EVENT_SUBRESULT:
        on_subresult(json, event);
        break;
    case EVENT_TYPE_COUNT:
        break;
    }
}

static void json_finish(struct sink *sink, const struct run_summary *summary) {
    struct json_sink *json = json_of(sink);
    json_t *object = new_object(json, "summary", NULL);
    json_t *verdicts = json_object();

    for (enum verdict verdict = 0; verdict < VERDICT_COUNT; verdict++)
        (void)json_object_set_new(verdicts, verdict_name(verdict), json_integer(summary->n_of[verdict]));
    (void)json_object_set_new(object, "targets", json_integer(summary->n_targets));
    (void)json_object_set_new(object, "not_passed", json_integer(summary->n_not_passed));
    (void)json_object_set_new(object, "verdicts", verdicts);
    write_object(json, object);
}

static void json_free(struct sink *sink) {
    struct json_sink *json = json_of(sink);

    if (!json)
        return;
    while (json->running) {
        struct running *next = json->running->next;

        running_free(json->running);
        json->running = next;
    }
    buffer_deinit(&json->line);
    free(json);
}

struct sink *sink_json_new(int fd, struct writer *writer) {
    struct json_sink *json = xcalloc(1, sizeof(*json));

    json->sink = (struct sink){.handle = json_handle, .finish = json_finish, .free = json_free};
    json->writer = writer;
    json->fd = fd;
    return &json->sink;
}
