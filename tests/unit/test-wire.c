/* SPDX-License-Identifier: Apache-2.0 */
/* The frames of the agent's protocol: what is a frame, what is none, and fields that do not fit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/str.h"
#include "wire/frame.h"

/* A frame with one field of each kind. */
static size_t build_sample(unsigned char *data, size_t capacity, uint32_t type) {
    struct wire_writer writer;

    wire_begin(&writer, data, capacity, type);
    wire_put_u32(&writer, 0x01020304);
    wire_put_u64(&writer, UINT64_C(0xfedcba9876543210));
    wire_put_string(&writer, "6.1.0");
    wire_put_bytes(&writer, "a\0b", 3);
    return wire_end(&writer);
}

static void a_frame_has_the_documented_bytes(void **state) {
    static const unsigned char expected[] = {
        28,   0,    0,    0,    1,    0,    0,    0,         /* length, type: hello */
        4,    3,    2,    1,                                 /* u32 */
        0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe,      /* u64 */
        5,    0,    0,    0,    '6',  '.',  '1',  '.',  '0', /* string */
        3,    0,    0,    0,    'a',  0,    'b',             /* bytes */
    };
    unsigned char data[64];

    assert_int_equal(build_sample(data, sizeof(data), WIRE_HELLO), sizeof(expected));
    assert_memory_equal(data, expected, sizeof(expected));
}

static void every_type_comes_back_as_it_was_sent(void **state) {
    for (uint32_t type = 1; type < WIRE_TYPE_END; type++) {
        unsigned char data[64];
        size_t size = build_sample(data, sizeof(data), type);
        struct wire_frame frame;
        struct wire_reader reader;
        const unsigned char *bytes;
        char string[16];
        size_t n_bytes;
        size_t used = 0;

        assert_int_equal(wire_parse(data, size, &frame, &used), WIRE_OK);
        assert_int_equal(used, size);
        assert_int_equal(frame.type, type);
        assert_ptr_equal(frame.payload, data + WIRE_HEADER_SIZE);
        assert_int_equal(frame.size, size - WIRE_HEADER_SIZE);

        wire_reader_init(&reader, &frame);
        assert_int_equal(wire_get_u32(&reader), 0x01020304);
        assert_true(wire_get_u64(&reader) == UINT64_C(0xfedcba9876543210));
        wire_get_string(&reader, string, sizeof(string));
        assert_string_equal(string, "6.1.0");
        assert_false(wire_reader_done(&reader));
        bytes = wire_get_bytes(&reader, &n_bytes);
        assert_int_equal(n_bytes, 3);
        assert_memory_equal(bytes, "a\0b", 3);
        assert_true(wire_reader_done(&reader));
    }
}

static void a_frame_cut_at_any_byte_asks_for_more_and_touches_nothing(void **state) {
    unsigned char data[64];
    size_t size = build_sample(data, sizeof(data), WIRE_EXITED);

    for (size_t cut = 0; cut < size; cut++) {
        struct wire_frame frame = {.type = 77};
        size_t used = 99;
        /* A copy of exactly that size: a sanitizer sees a read behind the end. */
        _cleanup_free_ unsigned char *copy = xmalloc(cut);

        memcpy(copy, data, cut);
        assert_int_equal(wire_parse(copy, cut, &frame, &used), WIRE_AGAIN);
        assert_int_equal(frame.type, 77);
        assert_int_equal(used, 99);
    }
}

static void what_stands_behind_a_frame_is_left_alone(void **state) {
    unsigned char data[64];
    size_t size = build_sample(data, sizeof(data), WIRE_FAILED);
    struct wire_frame frame;
    size_t used;

    memset(data + size, 0xff, sizeof(data) - size);
    assert_int_equal(wire_parse(data, sizeof(data), &frame, &used), WIRE_OK);
    assert_int_equal(used, size);
}

static void lengths_and_types_beyond_the_limits_are_garbage(void **state) {
    static const struct {
        uint32_t type;
        uint32_t length;
        enum wire_status status;
    } cases[] = {
        {WIRE_STDOUT, WIRE_PAYLOAD_MAX, WIRE_AGAIN},
        {WIRE_STDOUT, WIRE_PAYLOAD_MAX + 1, WIRE_GARBAGE},
        {WIRE_STDOUT, UINT32_MAX, WIRE_GARBAGE},
        {WIRE_STDOUT, UINT32_MAX - WIRE_HEADER_SIZE + 1, WIRE_GARBAGE},
        {WIRE_READY, 0, WIRE_OK},
        {0, 0, WIRE_GARBAGE},
        {WIRE_TYPE_END - 1, 0, WIRE_OK},
        {WIRE_TYPE_END, 0, WIRE_GARBAGE},
        {0x100 | WIRE_READY, 0, WIRE_GARBAGE},
        {UINT32_MAX, 0, WIRE_GARBAGE},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        unsigned char header[WIRE_HEADER_SIZE];
        struct wire_frame frame;
        size_t used;

        wire_put_header(header, cases[i].type, cases[i].length);
        assert_int_equal(wire_parse(header, sizeof(header), &frame, &used), cases[i].status);
        /* Nothing is said before the header is whole. */
        assert_int_equal(wire_parse(header, sizeof(header) - 1, &frame, &used), WIRE_AGAIN);
    }
}

static void each_type_has_a_name_of_its_own(void **state) {
    for (uint32_t type = 1; type < WIRE_TYPE_END; type++) {
        assert_string_not_equal(wire_type_name(type), "unknown");
        for (uint32_t other = 1; other < type; other++)
            assert_string_not_equal(wire_type_name(type), wire_type_name(other));
    }
    assert_string_equal(wire_type_name(WIRE_POWEROFF), "poweroff");
    assert_string_equal(wire_type_name(0), "unknown");
    assert_string_equal(wire_type_name(WIRE_TYPE_END), "unknown");
    assert_string_equal(wire_type_name(UINT32_MAX), "unknown");
}

static void reader_over(struct wire_reader *reader, const void *data, size_t size) {
    const struct wire_frame frame = {.type = WIRE_FAILED, .payload = data, .size = size};

    wire_reader_init(reader, &frame);
}

static void a_string_with_a_nul_or_too_long_fails_and_is_empty(void **state) {
    static const struct {
        const char *payload;
        size_t size;
        size_t capacity;
        bool good;
    } cases[] = {
        {"\3\0\0\0abc", 7, 4, true},       {"\3\0\0\0abc", 7, 3, false}, {"\3\0\0\0a\0c", 7, 8, false},
        {"\3\0\0\0ab\0", 7, 8, false},     {"\0\0\0\0", 4, 1, true},     {"\3\0\0\0ab", 6, 8, false},
        {"\377\377\377\377", 4, 8, false}, {"\3\0\0", 3, 8, false},      {"", 0, 8, false},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct wire_reader reader;
        char string[16] = "unchanged";

        reader_over(&reader, cases[i].payload, cases[i].size);
        wire_get_string(&reader, string, cases[i].capacity);
        assert_int_equal(!reader.failed, cases[i].good);
        assert_int_equal(wire_reader_done(&reader), cases[i].good);
        if (!cases[i].good)
            assert_string_equal(string, "");
    }
}

static void reading_too_far_fails_for_good(void **state) {
    struct wire_reader reader;
    size_t size = 7;
    char string[8] = "x";

    reader_over(&reader, "\1\2\3\4\5\6\7", 7);
    assert_int_equal(wire_get_u32(&reader), 0x04030201);
    assert_int_equal(wire_get_u32(&reader), 0);
    assert_true(reader.failed);
    /* Three bytes are left, but nothing is given any more. */
    assert_true(wire_get_u64(&reader) == 0);
    assert_null(wire_get_bytes(&reader, &size));
    assert_int_equal(size, 0);
    wire_get_string(&reader, string, sizeof(string));
    assert_string_equal(string, "");
    assert_false(wire_reader_done(&reader));
}

static void a_writer_that_overflows_writes_nothing_more(void **state) {
    /* 8 header + 4 + 8 + 9 + 7 bytes: every smaller buffer overflows, at another field. */
    for (size_t capacity = 0; capacity <= 36; capacity++) {
        unsigned char data[48];
        size_t size;

        memset(data, 0xaa, sizeof(data));
        size = build_sample(data, capacity, WIRE_FAILED);
        assert_int_equal(size, capacity < 36 ? 0 : 36);
        for (size_t i = capacity; i < sizeof(data); i++)
            assert_int_equal(data[i], 0xaa);
    }
}

static void an_overflow_stays_even_if_a_later_field_would_fit(void **state) {
    unsigned char data[WIRE_HEADER_SIZE + 6];
    struct wire_writer writer;

    wire_begin(&writer, data, sizeof(data), WIRE_PING);
    wire_put_u64(&writer, 1);
    assert_true(writer.overflow);
    wire_put_u32(&writer, 1);
    assert_true(writer.overflow);
    assert_int_equal(writer.size, WIRE_HEADER_SIZE);
    assert_int_equal(wire_end(&writer), 0);
}

static void a_payload_over_the_limit_is_no_frame(void **state) {
    size_t capacity = WIRE_HEADER_SIZE + WIRE_PAYLOAD_MAX + 64;
    _cleanup_free_ unsigned char *data = xcalloc(1, capacity);
    _cleanup_free_ unsigned char *field = xcalloc(1, WIRE_PAYLOAD_MAX);
    struct wire_writer writer;
    struct wire_frame frame;
    size_t used;

    wire_begin(&writer, data, capacity, WIRE_EXEC);
    wire_put_bytes(&writer, field, WIRE_PAYLOAD_MAX - 4);
    assert_int_equal(wire_end(&writer), WIRE_HEADER_SIZE + WIRE_PAYLOAD_MAX);
    assert_int_equal(wire_parse(data, capacity, &frame, &used), WIRE_OK);

    wire_begin(&writer, data, capacity, WIRE_EXEC);
    wire_put_bytes(&writer, field, WIRE_PAYLOAD_MAX - 3);
    assert_false(writer.overflow);
    assert_int_equal(wire_end(&writer), 0);

    wire_begin(&writer, data, capacity, WIRE_EXEC);
    wire_put_bytes(&writer, field, (size_t)WIRE_PAYLOAD_MAX + 1);
    assert_true(writer.overflow);
    wire_begin(&writer, data, capacity, WIRE_EXEC);
    wire_put_bytes(&writer, field, (size_t)1 << 33);
    assert_true(writer.overflow);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frame_has_the_documented_bytes),
        cmocka_unit_test(every_type_comes_back_as_it_was_sent),
        cmocka_unit_test(a_frame_cut_at_any_byte_asks_for_more_and_touches_nothing),
        cmocka_unit_test(what_stands_behind_a_frame_is_left_alone),
        cmocka_unit_test(lengths_and_types_beyond_the_limits_are_garbage),
        cmocka_unit_test(each_type_has_a_name_of_its_own),
        cmocka_unit_test(a_string_with_a_nul_or_too_long_fails_and_is_empty),
        cmocka_unit_test(reading_too_far_fails_for_good),
        cmocka_unit_test(a_writer_that_overflows_writes_nothing_more),
        cmocka_unit_test(an_overflow_stays_even_if_a_later_field_would_fit),
        cmocka_unit_test(a_payload_over_the_limit_is_no_frame),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
