/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON sink: whatever a guest writes, each line is JSON, and together they hold the guest's bytes. */
#include <jansson.h>

#include "base/base64.h"
#include "events.h"
#include "report/sink.h"

/* Per target: console, standard output, standard error. */
#define N_STREAMS 3

struct reader {
    struct writer writer; /* first, so that a pointer to it is one to this */
    struct buffer told[N_TARGETS][N_STREAMS];
    size_t target; /* of the event at hand */
    size_t n_lines;
};

static size_t stream_of(const json_t *object) {
    const char *stream = json_string_value(json_object_get(object, "stream"));

    if (!stream)
        return 0;
    return str_equal(stream, "stdout") ? 1 : 2;
}

static void take_line(struct writer *writer, int fd, const void *data, size_t size) {
    struct reader *reader = (struct reader *)writer;
    const char *newline = memchr(data, '\n', size);
    json_t *object = json_loadb(data, size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    const json_t *text = json_object_get(object, "text");
    const json_t *base64 = json_object_get(object, "base64");
    const char *event = json_string_value(json_object_get(object, "event"));

    FUZZ_CHECK(newline == (const char *)data + size - 1 && json_is_object(object) && event);
    if (str_equal(event, "console") || str_equal(event, "output")) {
        struct buffer *told = &reader->told[reader->target][stream_of(object)];

        FUZZ_CHECK(!text != !base64);
        if (text)
            buffer_append(told, json_string_value(text), json_string_length(text));
        else
            FUZZ_CHECK(base64_decode(told, json_string_value(base64), json_string_length(base64), NULL) == 0);
    }
    json_decref(object);
    reader->n_lines++;
}

/* Every byte has been told, and nothing else. */
static void check_told(struct reader *reader, struct buffer given[N_TARGETS][N_STREAMS]) {
    for (size_t i = 0; i < N_TARGETS; i++) {
        for (size_t j = 0; j < N_STREAMS; j++) {
            FUZZ_CHECK(reader->told[i][j].size == given[i][j].size);
            FUZZ_CHECK(given[i][j].size == 0 ||
                       memcmp(reader->told[i][j].data, given[i][j].data, given[i][j].size) == 0);
            buffer_deinit(&reader->told[i][j]);
            buffer_deinit(&given[i][j]);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fuzz_events events = {.data = data, .size = size};
    struct reader reader = {.writer = {take_line}};
    struct buffer given[N_TARGETS][N_STREAMS] = {0};
    struct sink *sink = sink_json_new(1, &reader.writer);
    struct event event;

    while (fuzz_events_next(&events, &event)) {
        reader.target = str_equal(event.target, fuzz_target_names[1]);
        if (event.type == EVENT_CONSOLE)
            buffer_append(&given[reader.target][0], event.data, event.size);
        else if (event.type == EVENT_OUTPUT)
            buffer_append(&given[reader.target][event.stream], event.data, event.size);
        sink->handle(sink, &event);
    }
    for (reader.target = 0; reader.target < N_TARGETS; reader.target++) {
        event = (struct event){
            .type = EVENT_FINISHED, .target = fuzz_target_names[reader.target], .result = &events.result};
        events.result = (struct run_result){.reason = "", .console = "", .accel = "", .kernel_release = ""};
        sink->handle(sink, &event);
    }
    sink->finish(sink, &(struct run_summary){.n_targets = N_TARGETS, .n_not_passed = 0});
    FUZZ_CHECK(reader.n_lines >= N_TARGETS + 1);
    check_told(&reader, given);
    sink->free(sink);
    fuzz_events_deinit(&events);
    return 0;
}
