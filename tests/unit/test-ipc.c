/* SPDX-License-Identifier: Apache-2.0 */
/* Records between worker and supervisor: what goes in comes out, and what a broken worker writes is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "event/ipc.h"

static const struct run_result sample_result = {
    .verdict = VERDICT_SIGNAL,
    .detail = 11,
    .reason = "the command was ended by signal 11",
    .stage = STAGE_COMMAND,
    .console = "line\n\377 no utf-8\n",
    .accel = "kvm",
    .kernel_release = "6.1.0-50-amd64",
    .output = "its end\n",
    .tasks = "task:stuck\n",
    .qemu_version = "7.2.22",
    .kernel_hash = "0123",
    .findings = {{"warn", "WARNING: here", "WARNING: here\nmore\n"}, {"oom", "Out of memory", ""}},
    .n_findings = 2,
    .n_more_findings = 3,
    .nsec = {1, 2, UINT64_MAX, 4},
    .user_usec = 5,
    .system_usec = UINT64_C(1) << 40,
    .max_rss_kib = 7,
    .n_subresults = {40, 2, 1, 3},
};

static const struct run_subresult sample_subresult = {
    .name = "net / a",
    .status = SUBRESULT_TODO,
    .message = "later\377",
    .output = "said\n",
    .nsec = UINT64_C(1) << 50,
};

static struct run_subresult subresult; /* what records are decoded to */

static size_t get(const struct buffer *buffer, struct record *ret_record) {
    return record_get(buffer->data, buffer->size, ret_record);
}

static void every_event_comes_back(void **state) {
    static const struct event events[] = {
        {.type = EVENT_STARTED, .nsec = 1},
        {.type = EVENT_STAGE, .nsec = 2, .stage = STAGE_SETUP},
        {.type = EVENT_CONSOLE, .nsec = 3, .stage = STAGE_BOOT, .data = "a\0b\n", .size = 4},
        {.type = EVENT_OUTPUT, .nsec = 4, .stage = STAGE_COMMAND, .stream = OUTPUT_STDERR, .data = "\377", .size = 1},
        {.type = EVENT_OUTPUT, .nsec = 5, .stage = STAGE_COMMAND, .stream = OUTPUT_STDOUT, .data = "", .size = 0},
        {.type = EVENT_NOTICE, .nsec = UINT64_MAX, .stage = STAGE_PREPARE, .text = "emulating"},
        {.type = EVENT_SUBRESULT, .nsec = 6, .stage = STAGE_COMMAND, .subresult = &sample_subresult},
        {.type = EVENT_FINISHED, .nsec = 7, .stage = STAGE_COMMAND, .result = &sample_result},
    };
    _cleanup_buffer_ struct buffer buffer = {0};

    for (size_t i = 0; i < ARRAY_SIZE(events); i++)
        record_put_event(&buffer, &events[i]);
    for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
        struct record record;
        struct event event;
        struct run_result result;
        size_t used = get(&buffer, &record);

        assert_true(used > 0);
        assert_true(record_to_event(&record, &event, &result, &subresult));
        assert_int_equal(event.type, events[i].type);
        assert_true(event.nsec == events[i].nsec);
        assert_int_equal(event.stage, events[i].stage);
        assert_int_equal(event.stream, events[i].stream);
        if (events[i].data) {
            assert_int_equal(event.size, events[i].size);
            assert_memory_equal(event.data, events[i].data, events[i].size);
        }
        if (events[i].text)
            assert_string_equal(event.text, events[i].text);
        buffer_consume(&buffer, used);
    }
    assert_int_equal(buffer.size, 0);
}

static void a_result_comes_back_whole(void **state) {
    _cleanup_buffer_ struct buffer buffer = {0};
    struct record record;
    struct event event;
    struct run_result result;

    record_put_event(&buffer, &(struct event){.type = EVENT_FINISHED, .result = &sample_result});
    assert_int_equal(get(&buffer, &record), buffer.size);
    assert_true(record_to_event(&record, &event, &result, &subresult));
    assert_ptr_equal(event.result, &result);
    assert_int_equal(result.verdict, VERDICT_SIGNAL);
    assert_int_equal(result.detail, 11);
    assert_int_equal(result.stage, STAGE_COMMAND);
    assert_string_equal(result.reason, sample_result.reason);
    assert_string_equal(result.output, sample_result.output);
    assert_string_equal(result.tasks, sample_result.tasks);
    assert_string_equal(result.qemu_version, sample_result.qemu_version);
    assert_string_equal(result.kernel_hash, sample_result.kernel_hash);
    assert_int_equal(result.n_findings, 2);
    assert_int_equal(result.n_more_findings, 3);
    for (size_t i = 0; i < 2; i++) {
        assert_string_equal(result.findings[i].kind, sample_result.findings[i].kind);
        assert_string_equal(result.findings[i].title, sample_result.findings[i].title);
        assert_string_equal(result.findings[i].text, sample_result.findings[i].text);
    }
    assert_string_equal(result.console, sample_result.console);
    assert_string_equal(result.accel, sample_result.accel);
    assert_string_equal(result.kernel_release, sample_result.kernel_release);
    assert_memory_equal(result.n_subresults, sample_result.n_subresults, sizeof(result.n_subresults));
    assert_memory_equal(result.nsec, sample_result.nsec, sizeof(result.nsec));
    assert_true(result.user_usec == 5 && result.system_usec == UINT64_C(1) << 40 && result.max_rss_kib == 7);
}

static void a_subresult_comes_back_whole(void **state) {
    static const struct run_subresult bare = {.name = "", .status = SUBRESULT_PASS};
    _cleanup_buffer_ struct buffer buffer = {0};
    struct record record;
    struct event event;
    struct run_result result;

    record_put_event(&buffer, &(struct event){.type = EVENT_SUBRESULT, .subresult = &sample_subresult});
    assert_int_equal(get(&buffer, &record), buffer.size);
    assert_true(record_to_event(&record, &event, &result, &subresult));
    assert_ptr_equal(event.subresult, &subresult);
    assert_string_equal(subresult.name, sample_subresult.name);
    assert_int_equal(subresult.status, SUBRESULT_TODO);
    assert_string_equal(subresult.message, sample_subresult.message);
    assert_string_equal(subresult.output, sample_subresult.output);
    assert_true(subresult.nsec == sample_subresult.nsec);
    assert_false(record_to_event(&record, &event, &result, NULL));

    buffer.size = 0;
    record_put_event(&buffer, &(struct event){.type = EVENT_SUBRESULT, .subresult = &bare});
    assert_true(get(&buffer, &record) > 0);
    assert_true(record_to_event(&record, &event, &result, &subresult));
    assert_string_equal(subresult.message, "");
    assert_string_equal(subresult.output, "");
}

static void negative_details_survive(void **state) {
    _cleanup_buffer_ struct buffer buffer = {0};
    struct run_result given = sample_result;
    struct record record;
    struct event event;
    struct run_result result;

    given.detail = -1;
    given.reason = NULL;
    record_put_event(&buffer, &(struct event){.type = EVENT_FINISHED, .result = &given});
    assert_true(get(&buffer, &record) > 0);
    assert_true(record_to_event(&record, &event, &result, &subresult));
    assert_int_equal(result.detail, -1);
    assert_string_equal(result.reason, "");
}

static void input_comes_back(void **state) {
    _cleanup_buffer_ struct buffer buffer = {0};
    struct record record;
    uint32_t size[2];

    record_put_stdin(&buffer, "ls\0\n", 4);
    record_put_stdin(&buffer, "", 0);
    record_put_window(&buffer, 24, 80);

    size_t used = get(&buffer, &record);
    assert_int_equal(record.type, RECORD_STDIN);
    assert_int_equal(record.size, 4);
    assert_memory_equal(record.payload, "ls\0\n", 4);
    buffer_consume(&buffer, used);
    used = get(&buffer, &record);
    assert_int_equal(record.type, RECORD_STDIN);
    assert_int_equal(record.size, 0);
    buffer_consume(&buffer, used);
    used = get(&buffer, &record);
    assert_int_equal(record.type, RECORD_WINDOW);
    assert_int_equal(record.size, sizeof(size));
    memcpy(size, record.payload, sizeof(size));
    assert_int_equal(size[0], 24);
    assert_int_equal(size[1], 80);
    assert_int_equal(used, buffer.size);

    /* Input is no event. */
    struct event event;
    struct run_result result;
    assert_false(record_to_event(&record, &event, &result, &subresult));
}

static void a_record_cut_at_any_byte_is_not_complete(void **state) {
    _cleanup_buffer_ struct buffer buffer = {0};
    struct record record = {.type = 77};

    record_put_event(&buffer, &(struct event){.type = EVENT_FINISHED, .result = &sample_result});
    for (size_t cut = 0; cut < buffer.size; cut++) {
        _cleanup_free_ char *copy = xmalloc(cut);

        memcpy(copy, buffer.data, cut);
        assert_int_equal(record_get(copy, cut, &record), 0);
        assert_int_equal(record.type, 77);
    }
    assert_int_equal(record_get(buffer.data, buffer.size, &record), buffer.size);
}

static void a_payload_cut_at_any_byte_is_malformed(void **state) {
    const struct event events[] = {
        {.type = EVENT_FINISHED, .result = &sample_result},
        {.type = EVENT_NOTICE, .text = "emulating"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
        _cleanup_buffer_ struct buffer buffer = {0};
        struct record record;

        record_put_event(&buffer, &events[i]);
        assert_true(get(&buffer, &record) > 0);
        for (size_t cut = 0; cut < record.size; cut++) {
            /* A copy of exactly that size: a sanitizer sees a read behind the end. */
            _cleanup_free_ char *copy = xmalloc(cut);
            const struct record part = {.type = record.type, .payload = copy, .size = cut};
            struct event event;
            struct run_result result;

            memcpy(copy, record.payload, cut);
            assert_false(record_to_event(&part, &event, &result, &subresult));
        }
    }
}

/* Offsets of the fields, as ipc.c lays them out: nsec, stage, stream, two more; then verdict, detail, stage. */
static void values_outside_their_tables_are_malformed(void **state) {
    static const struct {
        size_t offset;
        uint32_t value;
        bool good;
    } cases[] = {
        {8, STAGE_COUNT - 1, true},    {8, STAGE_COUNT, false},    {8, UINT32_MAX, false},
        {24, VERDICT_COUNT - 1, true}, {24, VERDICT_COUNT, false}, {24, UINT32_MAX, false},
        {32, STAGE_COUNT - 1, true},   {32, STAGE_COUNT, false},   {32, UINT32_MAX, false},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_buffer_ struct buffer buffer = {0};
        struct record record;
        struct event event;
        struct run_result result;

        record_put_event(&buffer, &(struct event){.type = EVENT_FINISHED, .result = &sample_result});
        memcpy(buffer.data + 8 + cases[i].offset, &cases[i].value, sizeof(cases[i].value));
        assert_true(get(&buffer, &record) > 0);
        assert_int_equal(record_to_event(&record, &event, &result, &subresult), cases[i].good);
    }
}

static void unknown_types_are_no_events(void **state) {
    static const char payload[64];
    static const uint32_t types[] = {EVENT_TYPE_COUNT, EVENT_RETRY, 99, RECORD_STDIN, RECORD_WINDOW, UINT32_MAX};

    for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
        const struct record record = {.type = types[i], .payload = payload, .size = sizeof(payload)};
        struct event event;
        struct run_result result;

        assert_false(record_to_event(&record, &event, &result, &subresult));
    }
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_event_comes_back),
        cmocka_unit_test(a_result_comes_back_whole),
        cmocka_unit_test(a_subresult_comes_back_whole),
        cmocka_unit_test(negative_details_survive),
        cmocka_unit_test(input_comes_back),
        cmocka_unit_test(a_record_cut_at_any_byte_is_not_complete),
        cmocka_unit_test(a_payload_cut_at_any_byte_is_malformed),
        cmocka_unit_test(values_outside_their_tables_are_malformed),
        cmocka_unit_test(unknown_types_are_no_events),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
