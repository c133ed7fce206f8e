/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON sink: every line is parsed back, and the guest's bytes are put together again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/str.h"
#include "report/sink.h"

/* A writer that keeps everything. */
struct recorder {
    struct writer writer;
    struct buffer written;
};

static void record(struct writer *writer, int fd, const void *data, size_t size) {
    struct recorder *recorder = (struct recorder *)writer;

    assert_int_equal(fd, 7);
    buffer_append(&recorder->written, data, size);
}

static void recorder_deinit(struct recorder *recorder) {
    buffer_deinit(&recorder->written);
}

static void sink_free(struct sink **sink) {
    if (*sink)
        (*sink)->free(*sink);
}

#define _cleanup_recorder_ _cleanup_(recorder_deinit)
#define _cleanup_sink_ _cleanup_(sink_free)
#define RECORDER                                                                                                       \
    {                                                                                                                  \
        .writer = { record }                                                                                           \
    }

static void send_bytes(struct sink *sink, const char *target, enum event_type type, enum output_stream stream,
                       const void *data, size_t size) {
    struct event event = {.type = type, .target = target, .stream = stream, .data = data, .size = size};

    sink->handle(sink, &event);
}

static void send_output(struct sink *sink, const char *text) {
    send_bytes(sink, "t", EVENT_OUTPUT, OUTPUT_STDOUT, text, strlen(text));
}

static void send_finished(struct sink *sink, const char *target) {
    struct run_result result = {.reason = "", .console = "", .accel = "", .kernel_release = ""};
    struct event event = {.type = EVENT_FINISHED, .target = target, .result = &result};

    sink->handle(sink, &event);
}

static int digit_value(char digit) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *found = strchr(digits, digit);

    assert_non_null(found);
    return (int)(found - digits);
}

static void append_base64(struct buffer *out, const char *text) {
    assert_int_equal(strlen(text) % 4, 0);
    for (; *text; text += 4) {
        unsigned group = 0;
        size_t size = text[3] != '=' ? 3 : text[2] != '=' ? 2 : 1;

        for (int i = 0; i < 4; i++)
            group = group << 6 | (unsigned)(text[i] == '=' ? 0 : digit_value(text[i]));
        unsigned char bytes[3] = {(unsigned char)(group >> 16), (unsigned char)(group >> 8), (unsigned char)group};
        buffer_append(out, bytes, size);
    }
}

/* What a reader of the lines makes of them. */
struct reading {
    struct buffer streams[3]; /* console, stdout, stderr */
    size_t n_text;
    size_t n_base64;
    size_t n_lines;
};

static void reading_deinit(struct reading *reading) {
    for (size_t i = 0; i < ARRAY_SIZE(reading->streams); i++)
        buffer_deinit(&reading->streams[i]);
}
#define _cleanup_reading_ _cleanup_(reading_deinit)

static void read_line(struct reading *reading, const json_t *object, const char *target) {
    const char *event = json_string_value(json_object_get(object, "event"));
    const char *stream = json_string_value(json_object_get(object, "stream"));
    const json_t *text = json_object_get(object, "text");
    const json_t *base64 = json_object_get(object, "base64");
    size_t index = 0;

    assert_non_null(event);
    assert_true(json_is_number(json_object_get(object, "time")));
    reading->n_lines++;
    if (strcmp(event, "output") == 0)
        index = strcmp(stream, "stderr") == 0 ? 2 : 1;
    else if (strcmp(event, "console") != 0)
        return;
    if (strcmp(json_string_value(json_object_get(object, "target")), target) != 0)
        return;
    assert_true((text == NULL) != (base64 == NULL));
    if (text)
        buffer_append(&reading->streams[index], json_string_value(text), json_string_length(text));
    else
        append_base64(&reading->streams[index], json_string_value(base64));
    reading->n_text += text != NULL;
    reading->n_base64 += base64 != NULL;
}

static struct reading read_all(const struct recorder *recorder, const char *target) {
    struct reading reading = {0};
    const char *line = recorder->written.data;
    const char *end = line + recorder->written.size;

    while (line < end) {
        const char *line_end = memchr(line, '\n', (size_t)(end - line));

        assert_non_null(line_end);
        json_t *object = json_loadb(line, (size_t)(line_end - line), JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
        assert_non_null(object);
        read_line(&reading, object, target);
        json_decref(object);
        line = line_end + 1;
    }
    return reading;
}

static void each_event_is_one_line(void **state) {
    _cleanup_recorder_ struct recorder recorder = RECORDER;
    _cleanup_sink_ struct sink *sink = sink_json_new(7, &recorder.writer);
    struct event event = {.target = "a \"b\"", .nsec = 1500000000, .text = "slow"};

    event.type = EVENT_STARTED;
    sink->handle(sink, &event);
    event.type = EVENT_NOTICE;
    sink->handle(sink, &event);
    event.type = EVENT_STAGE;
    event.stage = STAGE_BOOT;
    sink->handle(sink, &event);
    event.type = EVENT_CONSOLE;
    event.data = "x\n";
    event.size = 2;
    sink->handle(sink, &event);
    event.type = EVENT_OUTPUT;
    event.nsec = 2000001000;
    event.stream = OUTPUT_STDERR;
    event.data = "gr\xc3\xbc\0\x1b";
    event.size = 6;
    sink->handle(sink, &event);
    /* DEL, NEL, the last C1 control, NO-BREAK SPACE, and the separators between two that are none. */
    event.data = "\x7f\xc2\x85-\xc2\x9f\xc2\xa0\xe2\x80\xa7\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa";
    event.size = strlen(event.data);
    sink->handle(sink, &event);
    event.stream = OUTPUT_STDOUT;
    event.data = "\xff\xfe";
    event.size = 2;
    sink->handle(sink, &event);
    sink->finish(sink, &(struct run_summary){.n_targets = 3,
                                             .n_not_passed = 1,
                                             .n_of = {[VERDICT_PASS] = 1, [VERDICT_FLAKY] = 1, [VERDICT_FAIL] = 1}});
    assert_string_equal(
        recorder.written.data,
        "{\"event\":\"started\",\"target\":\"a \\\"b\\\"\",\"time\":1.5}\n"
        "{\"event\":\"notice\",\"target\":\"a \\\"b\\\"\",\"time\":1.5,\"text\":\"slow\"}\n"
        "{\"event\":\"stage\",\"target\":\"a \\\"b\\\"\",\"time\":1.5,\"stage\":\"boot\"}\n"
        "{\"event\":\"console\",\"target\":\"a \\\"b\\\"\",\"time\":1.5,\"text\":\"x\\n\"}\n"
        "{\"event\":\"output\",\"target\":\"a \\\"b\\\"\",\"time\":2.000001,\"stream\":\"stderr\",\"text\":"
        "\"gr\xc3\xbc\\u0000\\u001B\"}\n"
        "{\"event\":\"output\",\"target\":\"a \\\"b\\\"\",\"time\":2.000001,\"stream\":\"stderr\",\"text\":"
        "\"\\u007f\\u0085-\\u009f\xc2\xa0\xe2\x80\xa7\\u2028\\u2029\xe2\x80\xaa\"}\n"
        "{\"event\":\"output\",\"target\":\"a "
        "\\\"b\\\"\",\"time\":2.000001,\"stream\":\"stdout\",\"base64\":\"//4=\"}\n"
        "{\"event\":\"summary\",\"time\":2.000001,\"targets\":3,\"not_passed\":1,"
        "\"verdicts\":{\"pass\":1,\"fail\":1,\"signal\":0,\"timeout\":0,\"panic\":0,\"lost\":0,\"error\":0,"
        "\"cancelled\":0,\"flaky\":1,\"skipped\":0}}\n");
}

static void finished_tells_the_whole_result(void **state) {
    _cleanup_recorder_ struct recorder recorder = RECORDER;
    _cleanup_sink_ struct sink *sink = sink_json_new(7, &recorder.writer);
    struct run_result result = {
        .verdict = VERDICT_SIGNAL,
        .detail = 11,
        .reason = "signal 11",
        .stage = STAGE_COMMAND,
        .console = "last \xff line\n",
        .accel = "tcg",
        .kernel_release = "6.1.0",
        .qemu_version = "7.2.22",
        .kernel_hash = "0123",
        .output = "its \xff end\n",
        .tasks = "task:stuck",
        .n_findings = 1,
        .findings = {{"warn", "WARNING: at \xff", "WARNING: at \nmore\n"}},
        .n_more_findings = 7,
        .nsec = {1000000, 2500000000, 250000000, 125000},
        .user_usec = 1500000,
        .system_usec = 250,
        .max_rss_kib = 2048,
    };
    struct event event = {.type = EVENT_FINISHED, .target = "t", .nsec = 3000000000, .result = &result};

    sink->handle(sink, &event);
    assert_string_equal(recorder.written.data,
                        "{\"event\":\"finished\",\"target\":\"t\",\"time\":3.0,\"verdict\":\"signal\",\"status\":139,"
                        "\"reason\":\"signal 11\",\"stage\":\"command\",\"accel\":\"tcg\",\"kernel\":\"6.1.0\","
                        "\"kernel_xxh128\":\"0123\",\"qemu\":\"7.2.22\","
                        "\"durations\":{\"prepare\":0.001,\"boot\":2.5,\"setup\":0.25,\"command\":0.000125},"
                        "\"usage\":{\"user_seconds\":1.5,\"system_seconds\":0.00025,\"max_rss_kib\":2048},"
                        "\"findings\":[{\"kind\":\"warn\",\"title\":\"WARNING: at \xef\xbf\xbd\","
                        "\"text\":\"WARNING: at \\nmore\\n\"}],\"more_findings\":7,"
                        "\"console\":\"last \xef\xbf\xbd line\\n\",\"output\":\"its \xef\xbf\xbd end\\n\","
                        "\"tasks\":\"task:stuck\"}\n");

    buffer_consume(&recorder.written, recorder.written.size);
    result.verdict = VERDICT_PASS;
    sink->handle(sink, &event);
    assert_null(strstr(recorder.written.data, "console"));
    assert_null(strstr(recorder.written.data, "output"));
    assert_non_null(strstr(recorder.written.data, "\"findings\":[{"));
    assert_non_null(strstr(recorder.written.data, "\"verdict\":\"pass\",\"status\":0"));
}

static void a_character_cut_in_two_stays_whole(void **state) {
    _cleanup_recorder_ struct recorder recorder = RECORDER;
    _cleanup_sink_ struct sink *sink = sink_json_new(7, &recorder.writer);

    send_output(sink, "a\xe2");
    send_bytes(sink, "t", EVENT_OUTPUT, OUTPUT_STDERR, "-", 1);
    send_bytes(sink, "u", EVENT_OUTPUT, OUTPUT_STDOUT, "-", 1);
    send_output(sink, "\x82");
    send_output(sink, "\xac"
                      "b");
    send_finished(sink, "t");
    send_finished(sink, "u");

    _cleanup_reading_ struct reading reading = read_all(&recorder, "t");
    assert_string_equal(reading.streams[1].data, "a\xe2\x82\xac"
                                                 "b");
    assert_string_equal(reading.streams[2].data, "-");
    assert_int_equal(reading.n_base64, 0);
    assert_non_null(strstr(recorder.written.data, "\"text\":\"\xe2\x82\xac\""));
}

static void a_character_that_never_ends_is_told_at_the_end_of_the_stage(void **state) {
    _cleanup_recorder_ struct recorder recorder = RECORDER;
    _cleanup_sink_ struct sink *sink = sink_json_new(7, &recorder.writer);
    struct event stage = {.type = EVENT_STAGE, .target = "t", .stage = STAGE_SETUP};

    send_bytes(sink, "t", EVENT_CONSOLE, 0, "\xf0\x9f", 2);
    assert_int_equal(recorder.written.size, 0);
    sink->handle(sink, &stage);
    send_output(sink, "\xc3");
    send_output(sink, "A\xc3");
    send_finished(sink, "t");

    _cleanup_reading_ struct reading reading = read_all(&recorder, "t");
    assert_string_equal(reading.streams[0].data, "\xf0\x9f");
    assert_string_equal(reading.streams[1].data, "\xc3"
                                                 "A\xc3");
    assert_int_equal(reading.n_base64, 3);
    assert_int_equal(reading.n_text, 1);
}

static void stray_bytes_in_a_text_leave_the_text_readable(void **state) {
    _cleanup_recorder_ struct recorder recorder = RECORDER;
    _cleanup_sink_ struct sink *sink = sink_json_new(7, &recorder.writer);

    send_output(sink, "before\xff\xc0\x80"
                      "after");
    assert_non_null(strstr(recorder.written.data, "\"text\":\"before\""));
    assert_non_null(strstr(recorder.written.data, "\"base64\":\"/8CA\""));
    assert_non_null(strstr(recorder.written.data, "\"text\":\"after\""));
}

static void names_and_reasons_that_are_no_utf8_stay_valid_json(void **state) {
    _cleanup_recorder_ struct recorder recorder = RECORDER;
    _cleanup_sink_ struct sink *sink = sink_json_new(7, &recorder.writer);
    struct event event = {.type = EVENT_NOTICE, .target = "\xffK\xc3", .text = "\x80"};

    sink->handle(sink, &event);
    assert_string_equal(recorder.written.data,
                        "{\"event\":\"notice\",\"target\":\"\xef\xbf\xbdK\xef\xbf\xbd\",\"time\":0.0,"
                        "\"text\":\"\xef\xbf\xbd\"}\n");
}

static uint32_t random_next(uint32_t *seed) {
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 8;
}

/* Bytes of three kinds: any, text with a few stray bytes, and pieces of long sequences. */
static void random_fill(uint32_t *seed, unsigned char *bytes, size_t size) {
    static const char *const characters[] = {
        "a", "\n", "\0", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xff", "\xe2\x82", "\xed\xa0\x80", "\xf4"};
    unsigned kind = random_next(seed) % 3;

    for (size_t i = 0; i < size;) {
        const char *character = characters[random_next(seed) % (kind == 1 ? 6 : ARRAY_SIZE(characters))];
        size_t length = character[0] ? strlen(character) : 1;

        if (kind == 0 || length > size - i) {
            bytes[i++] = (unsigned char)random_next(seed);
        } else {
            for (size_t j = 0; j < length; j++)
                bytes[i++] = (unsigned char)character[j];
        }
    }
}

static void any_bytes_in_any_chunks_come_back_exactly(void **state) {
    static unsigned char bytes[200000];
    static const size_t limits[] = {1, 3, 7, 100, 5000, sizeof(bytes)};

    for (uint32_t round = 1; round <= 24; round++) {
        _cleanup_recorder_ struct recorder recorder = RECORDER;
        _cleanup_sink_ struct sink *sink = sink_json_new(7, &recorder.writer);
        uint32_t seed = round;
        size_t limit = limits[round % ARRAY_SIZE(limits)];
        size_t size = limit < 100 ? 3000 : sizeof(bytes);
        struct buffer expected[3] = {0};

        random_fill(&seed, bytes, size);
        for (size_t i = 0; i < size;) {
            size_t length = 1 + random_next(&seed) % limit;
            unsigned stream = random_next(&seed) % 3;

            if (length > size - i)
                length = size - i;
            send_bytes(sink, "t", stream == 0 ? EVENT_CONSOLE : EVENT_OUTPUT, stream, bytes + i, length);
            buffer_append(&expected[stream], bytes + i, length);
            i += length;
        }
        send_finished(sink, "t");

        _cleanup_reading_ struct reading reading = read_all(&recorder, "t");
        for (unsigned i = 0; i < 3; i++) {
            assert_int_equal(reading.streams[i].size, expected[i].size);
            if (expected[i].size > 0)
                assert_memory_equal(reading.streams[i].data, expected[i].data, expected[i].size);
            buffer_deinit(&expected[i]);
        }
    }
}

static void binary_output_grows_by_little_more_than_base64_does(void **state) {
    _cleanup_recorder_ struct recorder recorder = RECORDER;
    _cleanup_sink_ struct sink *sink = sink_json_new(7, &recorder.writer);
    static unsigned char bytes[100000];
    uint32_t seed = 5;

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)random_next(&seed);
    send_bytes(sink, "t", EVENT_OUTPUT, OUTPUT_STDOUT, bytes, sizeof(bytes));
    assert_in_range(recorder.written.size, 0, sizeof(bytes) * 3 / 2);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_event_is_one_line),
        cmocka_unit_test(finished_tells_the_whole_result),
        cmocka_unit_test(a_character_cut_in_two_stays_whole),
        cmocka_unit_test(a_character_that_never_ends_is_told_at_the_end_of_the_stage),
        cmocka_unit_test(stray_bytes_in_a_text_leave_the_text_readable),
        cmocka_unit_test(names_and_reasons_that_are_no_utf8_stay_valid_json),
        cmocka_unit_test(any_bytes_in_any_chunks_come_back_exactly),
        cmocka_unit_test(binary_output_grows_by_little_more_than_base64_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
