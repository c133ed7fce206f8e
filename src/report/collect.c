/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Of a job that runs, the ends of its streams are held; of one that has finished, what its entry says. So memory grows
 * with the number of jobs, not with what they write.
 */
#include "report/collect.h"

#include "report/result.h"
#include "base/utf8.h"
#include "event/ipc.h"

struct collector {
    struct report *report;
    char *again;
    bool one_liner;
    struct tail {
        struct buffer console, output;
    } * tails; /* of each entry */
};

struct collector *collector_new(struct report *report, const char *again, bool one_liner) {
    struct collector *collector = xcalloc(1, sizeof(*collector));

    *collector = (struct collector){
        .report = report,
        .again = xstrdup(again),
        .one_liner = one_liner,
        .tails = xcalloc(report->n_entries, sizeof(*collector->tails)),
    };
    return collector;
}

void collector_free(struct collector *collector) {
    if (!collector)
        return;
    for (size_t i = 0; i < collector->report->n_entries; i++) {
        buffer_deinit(&collector->tails[i].console);
        buffer_deinit(&collector->tails[i].output);
    }
    free(collector->tails);
    free(collector->again);
    free(collector);
}

static void tail_add(struct buffer *tail, const void *data, size_t size) {
    if (size > REPORT_TAIL_MAX + 1) {
        data = (const char *)data + (size - (REPORT_TAIL_MAX + 1));
        size = REPORT_TAIL_MAX + 1;
    }
    buffer_append(tail, data, size);
    if (tail->size > (size_t)4 * REPORT_TAIL_MAX)
        buffer_consume(tail, tail->size - (REPORT_TAIL_MAX + 1));
}

/* The tail as a string; what has been cut begins with a whole line. NUL bytes become U+FFFD. */
static char *tail_take(struct buffer *tail) {
    struct buffer text = {0};
    size_t start = 0;

    if (tail->size > REPORT_TAIL_MAX) {
        /* One byte before what may be kept: a line that begins exactly there is whole. */
        start = tail->size - (REPORT_TAIL_MAX + 1);
        const char *end = memchr(tail->data + start, '\n', tail->size - start);
        start = end && end + 1 < tail->data + tail->size ? (size_t)(end + 1 - tail->data) : start + 1;
    }
    for (size_t i = start; i < tail->size; i++) {
        if (tail->data[i] == '\0')
            buffer_append_string(&text, UTF8_REPLACEMENT);
        else
            buffer_append(&text, tail->data + i, 1);
    }
    buffer_deinit(tail);
    *tail = (struct buffer){0};
    return buffer_take(&text);
}

static void set_text(char **field, char *text) {
    free(*field);
    *field = text;
}

static void begin(struct report_entry *entry, struct tail *tail, const struct event *event) {
    buffer_deinit(&tail->console);
    buffer_deinit(&tail->output);
    *tail = (struct tail){0};
    entry->slot = event->slot;
    entry->start_nsec = event->nsec;
    entry->end_nsec = 0;
    entry->from_template = false;
    memset(entry->stage_start_nsec, 0, sizeof(entry->stage_start_nsec));
    for (size_t i = 0; i < entry->n_subresults; i++) {
        free(entry->subresults[i].name);
        free(entry->subresults[i].message);
        free(entry->subresults[i].output);
    }
    entry->n_subresults = 0;
    entry->subresults_size = 0;
    set_text(&entry->artifacts, xstrdup(event->text ? event->text : ""));
}

static void add_attempt(struct report_entry *entry, const struct event *event) {
    struct report_attempt *attempt;

    entry->attempts = xreallocarray(entry->attempts, entry->n_attempts + 1, sizeof(*entry->attempts));
    attempt = &entry->attempts[entry->n_attempts++];
    *attempt = (struct report_attempt){
        .verdict = event->result->verdict,
        .reason = result_reason_line(event->result),
        .start_nsec = entry->start_nsec,
        .end_nsec = event->nsec,
    };
}

/* What a sub-result says, while there is room for it. */
static char *take_text(struct report_entry *entry, const struct run_subresult *subresult, const char *text) {
    size_t max = subresult->status == SUBRESULT_FAIL ? REPORT_FAILURES_MAX : REPORT_SUBRESULTS_MAX;
    size_t size = text ? strlen(text) : 0;

    if (size == 0 || entry->subresults_size + size > max)
        return xstrdup("");
    entry->subresults_size += size;
    return xstrdup(text);
}

static void add_subresult(struct report_entry *entry, const struct run_subresult *subresult) {
    if ((entry->n_subresults & (entry->n_subresults + 1)) == 0) /* room for 2^n - 1 of them is used up */
        entry->subresults = xreallocarray(entry->subresults, 2 * entry->n_subresults + 1, sizeof(*entry->subresults));
    entry->subresults[entry->n_subresults++] = (struct report_subresult){
        .name = xstrdup(subresult->name),
        .status = subresult->status,
        .message = take_text(entry, subresult, subresult->message),
        .output = take_text(entry, subresult, subresult->output),
        .nsec = subresult->nsec,
    };
}

/* A result of one's own: the record that carries it from a worker is a copy as well. */
static void set_result(struct report_entry *entry, const struct run_result *result) {
    const struct event event = {.type = EVENT_FINISHED, .result = result};
    struct event copy;
    struct record record;

    buffer_deinit(&entry->record);
    entry->record = (struct buffer){0};
    record_put_event(&entry->record, &event);
    if (record_get(entry->record.data, entry->record.size, &record) == 0 ||
        !record_to_event(&record, &copy, &entry->result, NULL))
        abort(); /* it was written two lines above */
}

static void finish(const struct collector *collector, struct report_entry *entry, struct tail *tail,
                   const struct event *event) {
    set_result(entry, event->result);
    entry->finished = true;
    if (event->attempt > 0)
        entry->end_nsec = event->nsec;
    set_text(&entry->console, tail_take(&tail->console));
    set_text(&entry->output, tail_take(&tail->output));
    set_text(&entry->again, result_again_line(collector->again, collector->one_liner ? NULL : entry->target));
}

void collector_take(struct collector *collector, const struct event *event) {
    struct report *report = collector->report;

    if (!event->job || event->job->index >= report->n_entries)
        return;
    struct report_entry *entry = &report->entries[event->job->index];
    struct tail *tail = &collector->tails[event->job->index];
    report->summary.nsec = event->nsec;
    switch (event->type) {
    case EVENT_STARTED:
        begin(entry, tail, event);
        break;
    case EVENT_STAGE:
        entry->stage_start_nsec[event->stage] = event->nsec;
        entry->from_template = entry->from_template || event->from_template;
        break;
    case EVENT_CONSOLE:
        tail_add(&tail->console, event->data, event->size);
        break;
    case EVENT_OUTPUT:
        tail_add(&tail->output, event->data, event->size);
        break;
    case EVENT_SUBRESULT:
        add_subresult(entry, event->subresult);
        break;
    case EVENT_RETRY:
        add_attempt(entry, event);
        break;
    case EVENT_FINISHED:
        finish(collector, entry, tail, event);
        break;
    case EVENT_NOTICE:
    case EVENT_TYPE_COUNT:
        break;
    }
}
