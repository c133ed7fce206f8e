/* SPDX-License-Identifier: Apache-2.0 */
/* The sink for people, in all its ways of showing a run. With a window, nothing of the guest's reaches the terminal. */
#include "events.h"
#include "report/sink.h"

struct checker {
    struct writer writer; /* first, so that a pointer to it is one to this */
    bool window;
    size_t size;
};

/* Ours are CSI sequences alone. */
static void take_bytes(struct writer *writer, int fd, const void *data, size_t size) {
    struct checker *checker = (struct checker *)writer;
    const unsigned char *bytes = data;

    FUZZ_CHECK(size > 0);
    checker->size += size;
    for (size_t i = 0; checker->window && i < size; i++)
        FUZZ_CHECK(bytes[i] != '\033' || (i + 1 < size && bytes[i + 1] == '['));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t choice = fuzz_choice(&data, &size);
    struct terminal_options options = {
        .out_fd = 1,
        .err_fd = choice & 1 ? 2 : 1,
        .window = (choice & 2) != 0,
        .color = (choice & 4) != 0,
        .one_liner = (choice & 8) != 0,
        .interactive = (choice & 24) == 24,
        .columns = (choice >> 5) * 20 + 1,
    };
    struct checker checker = {.writer = {take_bytes}, .window = options.window && !options.one_liner};
    struct sink *sink = sink_terminal_new(&options, &checker.writer);
    struct fuzz_events events = {.data = data, .size = size};
    struct event event;
    unsigned n_finished = 0;

    while (fuzz_events_next(&events, &event)) {
        event.target = fuzz_target_names[0]; /* one run at a time */
        n_finished += event.type == EVENT_FINISHED;
        sink->handle(sink, &event);
    }
    sink->finish(sink, &(struct run_summary){.n_targets = n_finished, .n_not_passed = 0});
    sink->free(sink);
    fuzz_events_deinit(&events);
    return 0;
}
