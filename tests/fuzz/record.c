/* SPDX-License-Identifier: Apache-2.0 */
/* Records from a worker: what the supervisor takes for an event is one, and can be written again. */
#include "event/ipc.h"
#include "fuzz.h"

static void take_event(const struct event *event) {
    _cleanup_buffer_ struct buffer again = {0};
    struct run_result result;
    struct run_subresult subresult;
    struct event second;
    struct record record;

    record_put_event(&again, event);
    FUZZ_CHECK(record_get(again.data, again.size, &record) == again.size);
    FUZZ_CHECK(record_to_event(&record, &second, &result, &subresult));
    FUZZ_CHECK(event->type == second.type && event->nsec == second.nsec && event->stage == second.stage);
    FUZZ_CHECK(event->from_template == second.from_template && event->size == second.size);
    FUZZ_CHECK(event->size == 0 || memcmp(event->data, second.data, event->size) == 0);
    FUZZ_CHECK(str_equal(event->text, second.text) && !event->result == !second.result);
    FUZZ_CHECK(!event->subresult == !second.subresult);
    if (event->subresult) {
        FUZZ_CHECK(subresult_status_name(subresult.status) && event->subresult->nsec == subresult.nsec);
        FUZZ_CHECK(str_equal(event->subresult->name, subresult.name));
        FUZZ_CHECK(str_equal(event->subresult->output, subresult.output));
    }
    if (event->result) {
        FUZZ_CHECK(verdict_name(result.verdict) && stage_name(result.stage));
        FUZZ_CHECK(str_equal(event->result->reason, result.reason));
        FUZZ_CHECK(str_equal(event->result->console, result.console));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct record record;
    size_t used;

    for (; (used = record_get((const char *)data, size, &record)) > 0; data += used, size -= used) {
        struct run_result result;
        struct run_subresult subresult;
        struct event event;

        FUZZ_CHECK(used <= size);
        if (record_to_event(&record, &event, &result, &subresult))
            take_event(&event);
    }
    return 0;
}
