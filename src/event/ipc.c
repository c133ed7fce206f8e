/* SPDX-License-Identifier: Apache-2.0 */
#include "event/ipc.h"

/* The fixed part of an event; the text or data follows, for EVENT_FINISHED the fixed part of the result. */
struct event_header {
    uint64_t nsec;
    uint32_t stage;
    uint32_t stream;
    uint32_t from_template;
    uint32_t unused;
};

struct result_header {
    uint32_t verdict;
    int32_t detail;
    uint32_t stage;
    uint32_t unused;
    uint64_t nsec[STAGE_COUNT];
    uint64_t user_usec, system_usec, max_rss_kib;
    uint32_t n_findings, n_more_findings;
    uint32_t n_subresults[SUBRESULT_COUNT];
};

struct subresult_header {
    uint64_t nsec;
    uint32_t status;
    uint32_t unused;
};

static size_t begin(struct buffer *out, uint32_t type) {
    uint32_t head[2] = {0, type};
    size_t start = out->size;

    buffer_append(out, head, sizeof(head));
    return start;
}

static void end(struct buffer *out, size_t start) {
    uint32_t size = (uint32_t)(out->size - start - 8);

    memcpy(out->data + start, &size, sizeof(size));
}

/* A string with its NUL, so that the reader can point at it. */
static void put_string(struct buffer *out, const char *string) {
    buffer_append(out, string ? string : "", strlen(string ? string : "") + 1);
}

static void put_result(struct buffer *out, const struct run_result *result) {
    struct result_header header = {
        .verdict = result->verdict,
        .detail = result->detail,
        .stage = result->stage,
        .user_usec = result->user_usec,
        .system_usec = result->system_usec,
        .max_rss_kib = result->max_rss_kib,
        .n_findings = (uint32_t)result->n_findings,
        .n_more_findings = result->n_more_findings,
    };

    memcpy(header.nsec, result->nsec, sizeof(header.nsec));
    for (size_t i = 0; i < SUBRESULT_COUNT; i++)
        header.n_subresults[i] = result->n_subresults[i];
    buffer_append(out, &header, sizeof(header));
    put_string(out, result->reason);
    put_string(out, result->console);
    put_string(out, result->accel);
    put_string(out, result->kernel_release);
    put_string(out, result->output);
    put_string(out, result->tasks);
    put_string(out, result->qemu_version);
    put_string(out, result->kernel_hash);
    for (size_t i = 0; i < result->n_findings; i++) {
        put_string(out, result->findings[i].kind);
        put_string(out, result->findings[i].title);
        put_string(out, result->findings[i].text);
    }
}

static void put_subresult(struct buffer *out, const struct run_subresult *subresult) {
    struct subresult_header header = {.nsec = subresult->nsec, .status = subresult->status};

    buffer_append(out, &header, sizeof(header));
    put_string(out, subresult->name);
    put_string(out, subresult->message);
    put_string(out, subresult->output);
}

void record_put_event(struct buffer *out, const struct event *event) {
    struct event_header header = {
        .nsec = event->nsec, .stage = event->stage, .stream = event->stream, .from_template = event->from_template};
    size_t start = begin(out, event->type);

    buffer_append(out, &header, sizeof(header));
    if (event->type == EVENT_FINISHED)
        put_result(out, event->result);
    else if (event->type == EVENT_SUBRESULT)
        put_subresult(out, event->subresult);
    else if (event->type == EVENT_NOTICE)
        put_string(out, event->text);
    else if (event->size > 0)
        buffer_append(out, event->data, event->size);
    end(out, start);
}

void record_put_stdin(struct buffer *out, const void *data, size_t size) {
    size_t start = begin(out, RECORD_STDIN);

    buffer_append(out, data, size);
    end(out, start);
}

void record_put_window(struct buffer *out, unsigned rows, unsigned columns) {
    uint32_t numbers[2] = {rows, columns};
    size_t start = begin(out, RECORD_WINDOW);

    buffer_append(out, numbers, sizeof(numbers));
    end(out, start);
}

size_t record_get(const char *data, size_t size, struct record *ret_record) {
    uint32_t head[2];

    if (size < sizeof(head))
        return 0;
    memcpy(head, data, sizeof(head));
    if (size - sizeof(head) < head[0])
        return 0;
    *ret_record = (struct record){.type = head[1], .payload = data + sizeof(head), .size = head[0]};
    return sizeof(head) + head[0];
}

/* Takes a NUL-terminated string off the front, or gives NULL. */
static const char *get_string(const char **data, size_t *size) {
    const char *string = *data;
    size_t length = strnlen(string, *size);

    if (length == *size)
        return NULL;
    *data += length + 1;
    *size -= length + 1;
    return string;
}

static bool get_findings(const char **data, size_t *size, struct run_result *result) {
    if (result->n_findings > RUN_FINDINGS_MAX)
        return false;
    for (size_t i = 0; i < result->n_findings; i++) {
        struct run_finding *finding = &result->findings[i];

        finding->kind = get_string(data, size);
        finding->title = finding->kind ? get_string(data, size) : NULL;
        finding->text = finding->title ? get_string(data, size) : NULL;
        if (!finding->text)
            return false;
    }
    return true;
}

static bool get_result(const char *data, size_t size, struct run_result *ret_result) {
    struct result_header header;
    const char **const strings[] = {
        &ret_result->reason, &ret_result->console, &ret_result->accel,        &ret_result->kernel_release,
        &ret_result->output, &ret_result->tasks,   &ret_result->qemu_version, &ret_result->kernel_hash,
    };

    if (size < sizeof(header))
        return false;
    memcpy(&header, data, sizeof(header));
    data += sizeof(header);
    size -= sizeof(header);
    *ret_result = (struct run_result){
        .verdict = (enum verdict)header.verdict,
        .detail = header.detail,
        .stage = (enum stage)header.stage,
        .user_usec = header.user_usec,
        .system_usec = header.system_usec,
        .max_rss_kib = header.max_rss_kib,
        .n_findings = header.n_findings,
        .n_more_findings = header.n_more_findings,
    };
    memcpy(ret_result->nsec, header.nsec, sizeof(header.nsec));
    for (size_t i = 0; i < SUBRESULT_COUNT; i++)
        ret_result->n_subresults[i] = header.n_subresults[i];
    for (size_t i = 0; i < ARRAY_SIZE(strings); i++) {
        *strings[i] = get_string(&data, &size);
        if (!*strings[i])
            return false;
    }
    return header.verdict < VERDICT_COUNT && header.stage < STAGE_COUNT && get_findings(&data, &size, ret_result);
}

static bool get_subresult(const char *data, size_t size, struct run_subresult *ret_subresult) {
    struct subresult_header header;

    if (size < sizeof(header))
        return false;
    memcpy(&header, data, sizeof(header));
    data += sizeof(header);
    size -= sizeof(header);
    *ret_subresult = (struct run_subresult){.nsec = header.nsec, .status = (enum subresult_status)header.status};
    ret_subresult->name = get_string(&data, &size);
    ret_subresult->message = ret_subresult->name ? get_string(&data, &size) : NULL;
    ret_subresult->output = ret_subresult->message ? get_string(&data, &size) : NULL;
    return header.status < SUBRESULT_COUNT && ret_subresult->output;
}

bool record_to_event(const struct record *record, struct event *ret_event, struct run_result *result,
                     struct run_subresult *subresult) {
    struct event_header header;

    if (record->type >= EVENT_TYPE_COUNT || record->size < sizeof(header))
        return false;
    memcpy(&header, record->payload, sizeof(header));

    const char *rest = record->payload + sizeof(header);
    size_t size = record->size - sizeof(header);
    *ret_event = (struct event){
        .type = (enum event_type)record->type,
        .nsec = header.nsec,
        .stage = (enum stage)header.stage,
        .stream = (enum output_stream)header.stream,
        .from_template = header.from_template != 0,
    };
    /* A retry is the supervisor's own, and no worker's. */
    if (header.stage >= STAGE_COUNT || ret_event->type == EVENT_RETRY)
        return false;
    if (ret_event->type == EVENT_SUBRESULT) {
        ret_event->subresult = subresult;
        return subresult && get_subresult(rest, size, subresult);
    }
    if (ret_event->type == EVENT_FINISHED) {
        ret_event->result = result;
        return get_result(rest, size, result);
    }
    if (ret_event->type == EVENT_NOTICE) {
        ret_event->text = get_string(&rest, &size);
        return ret_event->text != NULL;
    }
    ret_event->data = rest;
    ret_event->size = size;
    return true;
}
