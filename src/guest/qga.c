/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Synchronisation. The channel may hold anything: half a request of a former client, replies to it, answers to syncs
 * that were sent before the agent started. 0xFF, which UTF-8 never has, makes the agent's parser begin anew (it answers
 * what stood before with an error), and leads the answer to guest-sync-delimited, so that this parser begins anew too.
 * As the agent answers in order, everything after the answer with the newest id is a reply to a request after that
 * sync.
 *
 * A request carries no "id" of its own: older agents refuse it. Hence one request at a time.
 */
#include "guest/qga.h"

#include "base/log.h"

#define SENTINEL 0xff
/* Bytes of a line that are logged. */
#define LOG_MAX 1000
/* A longer line gives its memory back at once. */
#define IN_KEEP (1u << 20)

static void forget_reply(struct qga *qga) {
    json_decref(qga->reply);
    qga->reply = NULL;
    free(qga->error_class);
    qga->error_class = NULL;
    free(qga->error);
    qga->error = NULL;
}

void qga_deinit(struct qga *qga) {
    buffer_deinit(&qga->in);
    buffer_deinit(&qga->out);
    forget_reply(qga);
    *qga = (struct qga){0};
}

/* Appends a request to qga->out; steals `arguments`. */
static void send_request(struct qga *qga, const char *command, json_t *arguments) {
    json_t *request = json_pack("{s:s, s:o*}", "execute", command, "arguments", arguments);
    _cleanup_free_ char *text = request ? json_dumps(request, JSON_COMPACT) : NULL;

    json_decref(request);
    /* Out of memory, or a name that is no UTF-8. */
    if (!text)
        abort();
    /* The arguments of guest-exec may hold the command's environment, which no log does. */
    log_debug("qga: sent %s, %zu bytes", command, strlen(text));
    buffer_append_string(&qga->out, text);
    buffer_append(&qga->out, "\n", 1);
}

static void begin_line(struct qga *qga, bool delimited) {
    qga->in.size = 0;
    if (qga->in.capacity > IN_KEEP)
        buffer_deinit(&qga->in);
    qga->delimited = delimited;
    qga->overlong = false;
}

void qga_sync(struct qga *qga, uint64_t id) {
    static const unsigned char sentinel = SENTINEL;

    if (id < 1 || id > QGA_ID_MAX)
        id = id % QGA_ID_MAX + 1;
    begin_line(qga, false);
    /* A request of which a part has been written is cut off by the 0xFF. */
    buffer_deinit(&qga->out);
    forget_reply(qga);
    qga->waiting = false;
    qga->synced = false;
    qga->sync_id = id;
    buffer_append(&qga->out, &sentinel, 1);
    send_request(qga, "guest-sync-delimited", json_pack("{s:I}", "id", (json_int_t)id));
}

void qga_request(struct qga *qga, const char *command, json_t *arguments) {
    forget_reply(qga);
    qga->waiting = true;
    send_request(qga, command, arguments);
}

bool qga_answered(const struct qga *qga) {
    return !qga->waiting && (qga->reply || qga->error);
}

static void drop_line(struct qga *qga, const char *why) {
    qga->dropped++;
    log_debug("qga: dropped as %s: %.*s", why, (int)(qga->in.size < LOG_MAX ? qga->in.size : LOG_MAX),
              qga->in.data ? qga->in.data : "");
}

/* The stream is out of step: nothing counts until qga_sync() has been called and answered. */
static int lose_sync(struct qga *qga, struct error **ret_error, const char *what) {
    qga->synced = false;
    qga->sync_id = 0;
    qga->waiting = false;
    return error_new(ret_error, EPROTO, "the QEMU guest agent sent %s", what);
}

static bool answers_sync(const struct qga *qga, const json_t *message) {
    /* Not an integer: 0, which is no sync's id. */
    json_int_t id = json_integer_value(json_object_get(message, "return"));

    return qga->delimited && qga->sync_id != 0 && id == (json_int_t)qga->sync_id;
}

static int take_reply(struct qga *qga, json_t *message, struct error **ret_error) {
    json_t *value = json_object_get(message, "return");
    const json_t *failure = json_object_get(message, "error");

    if (!value == !failure || (failure && !json_is_object(failure)))
        return lose_sync(qga, ret_error, "unexpected JSON: neither a value nor an error");
    if (!qga->waiting)
        return lose_sync(qga, ret_error, "a reply without a request");
    if (value) {
        qga->reply = json_incref(value);
    } else {
        const char *class = json_string_value(json_object_get(failure, "class"));
        const char *text = json_string_value(json_object_get(failure, "desc"));

        qga->error_class = xstrdup(class ? class : "GenericError");
        qga->error = xstrdup(text ? text : "unknown error");
    }
    qga->waiting = false;
    return 0;
}

static int take_message(struct qga *qga, json_t *message, struct error **ret_error) {
    if (qga->synced) {
        if (!qga->delimited)
            return take_reply(qga, message, ret_error);
        /* Only the answer to a sync is led by 0xFF; this is one to the same id that was sent twice. */
        drop_line(qga, "stale");
    } else if (answers_sync(qga, message)) {
        qga->synced = true;
    } else {
        drop_line(qga, "stale");
    }
    return 0;
}

static int take_line(struct qga *qga, struct error **ret_error) {
    size_t size = qga->in.size;
    json_t *message;
    json_error_t where;
    int r;

    if (size > 0 && qga->in.data[size - 1] == '\r')
        size--;
    /* An empty line, or the end of an overlong one, which has been counted. */
    if (size == 0)
        return 0;

    message = json_loadb(qga->in.data, size, JSON_REJECT_DUPLICATES, &where);
    if (json_is_object(message)) {
        log_debug("qga: %.*s", (int)(size < LOG_MAX ? size : LOG_MAX), qga->in.data);
        r = take_message(qga, message, ret_error);
    } else if (qga->synced) {
        _cleanup_free_ char *what =
            xasprintf("something other than a JSON object (%s)", message ? "another value" : where.text);

        r = lose_sync(qga, ret_error, what);
    } else {
        drop_line(qga, "garbage");
        r = 0;
    }
    json_decref(message);
    return r;
}

static int take_text(struct qga *qga, const char *text, size_t size, struct error **ret_error) {
    if (qga->overlong || size == 0)
        return 0;
    if (size <= QGA_LINE_MAX - qga->in.size) {
        buffer_append(&qga->in, text, size);
        return 0;
    }
    qga->overlong = true;
    drop_line(qga, "too long");
    buffer_deinit(&qga->in);
    return qga->synced ? lose_sync(qga, ret_error, "a line that is too long") : 0;
}

/* The number of bytes before a newline or a 0xFF. */
static size_t text_length(const char *data, size_t size) {
    size_t i = 0;

    while (i < size && data[i] != '\n' && (unsigned char)data[i] != SENTINEL)
        i++;
    return i;
}

int qga_feed(struct qga *qga, const void *data, size_t size, struct error **ret_error) {
    const char *bytes = data;

    while (size > 0) {
        size_t length = text_length(bytes, size);
        int r = take_text(qga, bytes, length, ret_error);

        if (r == 0 && length < size) {
            bool newline = bytes[length] == '\n';

            if (newline)
                r = take_line(qga, ret_error);
            else if (qga->in.size > 0 && !qga->overlong)
                drop_line(qga, "cut off");
            begin_line(qga, !newline);
            length++;
        }
        if (r < 0)
            return r;
        bytes += length;
        size -= length;
    }
    return 0;
}
