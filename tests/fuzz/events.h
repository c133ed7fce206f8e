/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events out of an input, for the targets that feed a sink: a byte that says which event, a byte that says how many
 * bytes follow, and these. Two targets run, as they may beside each other.
 */
#ifndef VMTEST_TESTS_FUZZ_EVENTS_H
#define VMTEST_TESTS_FUZZ_EVENTS_H

#include "fuzz.h"
#include "event/event.h"

#define N_TARGETS 2

static const char *const fuzz_target_names[N_TARGETS] = {"one", "two \xff\xc3"};

struct fuzz_events {
    const uint8_t *data;
    size_t size;
    struct run_result result;
    struct run_subresult subresult;
    char *text; /* the bytes of the event, as a string */
};

static inline void fuzz_events_deinit(struct fuzz_events *events) {
    free(events->text);
}

/* Fills in the next event, whose bytes live as long as the input, its strings until the next call. */
static inline bool fuzz_events_next(struct fuzz_events *events, struct event *ret) {
    if (events->size < 2)
        return false;

    uint8_t kind = events->data[0];
    size_t length = events->data[1];
    const uint8_t *bytes = events->data + 2;
    if (length > events->size - 2)
        length = events->size - 2;
    events->data += 2 + length;
    events->size -= 2 + length;
    free(events->text);
    events->text = xstrndup((const char *)bytes, length);
    events->result = (struct run_result){.verdict = (enum verdict)(length % VERDICT_COUNT),
                                         .stage = (enum stage)(kind % STAGE_COUNT),
                                         .reason = events->text,
                                         .console = events->text,
                                         .accel = "tcg",
                                         .kernel_release = events->text};
    events->result.n_subresults[SUBRESULT_PASS] = length % 3;
    events->subresult = (struct run_subresult){.name = events->text,
                                               .status = (enum subresult_status)(length % SUBRESULT_COUNT),
                                               .message = events->text,
                                               .output = ""};
    *ret = (struct event){.type = (enum event_type)(kind % EVENT_TYPE_COUNT),
                          .target = fuzz_target_names[(kind >> 7) % N_TARGETS],
                          .stage = (enum stage)((kind >> 3) % STAGE_COUNT),
                          .from_template = (kind >> 5) & 1,
                          .stream = kind & 0x40 ? OUTPUT_STDERR : OUTPUT_STDOUT,
                          .data = bytes,
                          .size = length,
                          .text = events->text,
                          .attempt = 1 + length % 2,
                          .result = &events->result,
                          .subresult = &events->subresult};
    return true;
}

#endif
