/* SPDX-License-Identifier: Apache-2.0 */
/* Files as the guest's agent gives them: whole, cut anywhere, and made up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "guest/fetched-files.h"
#include "wire/frame.h"

static void put(struct buffer *out, uint32_t kind, const char *data, size_t size) {
    const unsigned char head[WIRE_HEADER_SIZE] = {(unsigned char)kind, 0, 0, 0, (unsigned char)size, 0, 0, 0};

    buffer_append(out, head, sizeof(head));
    buffer_append(out, data, size);
}

static int parse(const struct buffer *stream, size_t size, struct fetched *fetched, struct error **error) {
    int r = fetched_parse(size > 0 ? stream->data : "", size, fetched, error);

    assert_int_equal(r < 0, *error != NULL);
    return r;
}

static void files_come_back_and_nothing_else(void **state) {
    _cleanup_buffer_ struct buffer stream = {0};

    put(&stream, WIRE_FETCH_NAME, "a.xml", 5);
    put(&stream, WIRE_FETCH_DATA, "one\0", 4);
    put(&stream, WIRE_FETCH_DATA, "two", 3);
    put(&stream, WIRE_FETCH_NAME, "empty", 5);
    for (size_t size = 0; size <= stream.size; size++) {
        _cleanup_error_ struct error *error = NULL;
        _cleanup_fetched_ struct fetched fetched = {0};
        int r = parse(&stream, size, &fetched, &error);
        /* Between two records it ends as a stream may. */
        bool whole = size == 0 || size == 13 || size == 25 || size == 36 || size == stream.size;

        assert_int_equal(r, whole ? 0 : -EPROTO);
        if (size < stream.size)
            continue;
        assert_int_equal(fetched.n_files, 2);
        assert_string_equal(fetched.files[0].name, "a.xml");
        assert_int_equal(fetched.files[0].content.size, 7);
        assert_memory_equal(fetched.files[0].content.data, "one\0two", 7);
        assert_string_equal(fetched.files[1].name, "empty");
        assert_int_equal(fetched.files[1].content.size, 0);
    }
}

static void what_the_guest_says_is_told(void **state) {
    _cleanup_buffer_ struct buffer stream = {0};
    _cleanup_error_ struct error *error = NULL;
    _cleanup_fetched_ struct fetched fetched = {0};

    put(&stream, WIRE_FETCH_NAME, "a", 1);
    put(&stream, WIRE_FETCH_ERROR, "/a: Input/output error\nx", 24);
    assert_int_equal(parse(&stream, stream.size, &fetched, &error), -EIO);
    assert_string_equal(error_message(error), "/a: Input/output error");
}

static void what_is_made_up(void **state) {
    static const struct {
        uint32_t kind;
        size_t size;
    } cases[] = {{0, 1}, {4, 1}, {255, 0}, {WIRE_FETCH_NAME, 0}, {WIRE_FETCH_DATA, 1}, {WIRE_FETCH_ERROR, 0}};

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_buffer_ struct buffer stream = {0};
        _cleanup_error_ struct error *error = NULL;
        _cleanup_fetched_ struct fetched fetched = {0};

        put(&stream, cases[i].kind, "x", cases[i].size);
        assert_int_equal(parse(&stream, stream.size, &fetched, &error), -EPROTO);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_come_back_and_nothing_else),
        cmocka_unit_test(what_the_guest_says_is_told),
        cmocka_unit_test(what_is_made_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
