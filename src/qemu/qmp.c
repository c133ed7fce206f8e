/* SPDX-License-Identifier: Apache-2.0 */
#include "qemu/qmp.h"

#include "base/log.h"

#define BEAT_ID "alive"

void qmp_deinit(struct qmp *qmp) {
    buffer_deinit(&qmp->in);
    free(qmp->shutdown);
    free(qmp->failure);
    free(qmp->io_error);
    free(qmp->dump_failure);
    free(qmp->migration);
    *qmp = (struct qmp){0};
}

void qmp_execute(struct qmp *qmp, struct buffer *out, const char *command, json_t *arguments) {
    json_t *message = json_pack("{s:s,s:i}", "execute", command, "id", (int)++qmp->id);

    if (arguments)
        (void)json_object_set_new(message, "arguments", arguments);

    char *text = json_dumps(message, JSON_COMPACT);
    json_decref(message);
    if (!text)
        abort(); /* nothing of ours is no JSON */
    buffer_printf(out, "%s\n", text);
    free(text);
    free(qmp->failure);
    qmp->failure = NULL;
    qmp->answered = false;
}

bool qmp_is_busy(const struct qmp *qmp) {
    return qmp->id > 0 && !qmp->answered;
}

void qmp_heartbeat(struct qmp *qmp, struct buffer *out) {
    buffer_append_string(out, "{\"execute\":\"query-status\",\"id\":\"" BEAT_ID "\"}\n");
    qmp->heartbeats_sent++;
}

static int take_greeting(struct qmp *qmp, json_t *greeting, struct error **ret_error) {
    if (json_unpack(greeting, "{s{s{s:i,s:i,s:i}}}", "version", "qemu", "major", &qmp->version[0], "minor",
                    &qmp->version[1], "micro", &qmp->version[2]) < 0)
        return error_new(ret_error, EPROTO, "QMP: a greeting without QEMU's version");
    qmp->greeted = true;
    return 0;
}

static void take_port_change(struct qmp *qmp, const json_t *data) {
    const char *id = json_string_value(json_object_get(data, "id"));
    bool open = json_is_true(json_object_get(data, "open"));

    if (str_equal(id, QMP_AGENT_ID))
        qmp->agent_closed = !open;
    if (!str_equal(id, QMP_QGA_ID))
        return;
    qmp->qga_open = open;
    if (open)
        qmp->qga_opened++;
}

static void take_io_error(struct qmp *qmp, const json_t *data) {
    const char *reason = json_string_value(json_object_get(data, "reason"));

    if (qmp->io_error || str_equal(json_string_value(json_object_get(data, "action")), "ignore"))
        return;
    qmp->io_error = xstrdup(reason ? reason : "unknown error");
    qmp->no_space = json_is_true(json_object_get(data, "nospace"));
}

static void take_dump_end(struct qmp *qmp, const json_t *data) {
    const char *status = json_string_value(json_object_get(json_object_get(data, "result"), "status"));
    const char *failure = json_string_value(json_object_get(data, "error"));

    qmp->dump_ended = true;
    if (!qmp->dump_failure && !str_equal(status, "completed"))
        qmp->dump_failure = xstrdup(failure ? failure : "it failed");
}

static void take_event(struct qmp *qmp, const char *event, const json_t *message) {
    const json_t *data = json_object_get(message, "data");

    if (str_equal(event, "SHUTDOWN")) {
        const char *reason = json_string_value(json_object_get(data, "reason"));

        free(qmp->shutdown);
        qmp->shutdown = xstrdup(reason ? reason : "unknown");
    } else if (str_equal(event, "RESET")) {
        if (json_is_true(json_object_get(data, "guest")))
            qmp->resets++;
    } else if (str_equal(event, "VSERPORT_CHANGE")) {
        take_port_change(qmp, data);
    } else if (str_equal(event, "MIGRATION")) {
        const char *status = json_string_value(json_object_get(data, "status"));

        free(qmp->migration);
        qmp->migration = xstrdup(status ? status : "unknown");
    } else if (str_equal(event, "DUMP_COMPLETED")) {
        take_dump_end(qmp, data);
    } else if (str_equal(event, "BLOCK_IO_ERROR")) {
        take_io_error(qmp, data);
    } else if (str_equal(event, "GUEST_PANICKED") || str_equal(event, "GUEST_CRASHLOADED")) {
        qmp->panicked = true;
    }
}

static int take_line(struct qmp *qmp, const char *line, size_t size, struct error **ret_error) {
    json_error_t where;
    json_t *message = json_loadb(line, size, JSON_REJECT_DUPLICATES, &where);
    int r = 0;

    log_debug("qmp: %.*s", (int)size, line);
    if (!json_is_object(message)) {
        const char *what = message ? "another value" : where.text;

        json_decref(message);
        return error_new(ret_error, EPROTO, "QMP: not a JSON object (%s)", what);
    }

    json_t *greeting = json_object_get(message, "QMP");
    const char *event = json_string_value(json_object_get(message, "event"));
    json_t *failure = json_object_get(message, "error");
    json_t *id = json_object_get(message, "id");

    if (str_equal(json_string_value(id), BEAT_ID)) {
        qmp->heartbeats_answered =
            qmp->heartbeats_sent; /* an error is an answer too, and a late one as good as the newest */
    } else if (greeting) {
        r = take_greeting(qmp, greeting, ret_error);
    } else if (event) {
        take_event(qmp, event, message);
    } else if (failure && !qmp->failure) {
        const char *text = json_string_value(json_object_get(failure, "desc"));

        qmp->failure = xstrdup(text ? text : "unknown error");
    }
    if (json_is_integer(id) && json_integer_value(id) == (json_int_t)qmp->id)
        qmp->answered = true;
    json_decref(message);
    return r;
}

int qmp_feed(struct qmp *qmp, const void *data, size_t size, struct error **ret_error) {
    char *newline;

    buffer_append(&qmp->in, data, size);
    while (qmp->in.size > 0 && (newline = memchr(qmp->in.data, '\n', qmp->in.size)) != NULL) {
        size_t length = (size_t)(newline - qmp->in.data);
        size_t text = length > 0 && newline[-1] == '\r' ? length - 1 : length;
        int r = text > 0 ? take_line(qmp, qmp->in.data, text, ret_error) : 0;

        if (r < 0)
            return r;
        buffer_consume(&qmp->in, length + 1);
    }
    if (qmp->in.size > QMP_LINE_MAX)
        return error_new(ret_error, EPROTO, "QMP: a line of over %u bytes", QMP_LINE_MAX);
    return 0;
}
