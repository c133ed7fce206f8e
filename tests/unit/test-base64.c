/* SPDX-License-Identifier: Apache-2.0 */
/* Base64 there and back, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/base64.h"

static const struct {
    const char *data;
    size_t size;
    const char *text;
} pairs[] = {
    /* RFC 4648, section 10 */
    {"", 0, ""},
    {"f", 1, "Zg=="},
    {"fo", 2, "Zm8="},
    {"foo", 3, "Zm9v"},
    {"foob", 4, "Zm9vYg=="},
    {"fooba", 5, "Zm9vYmE="},
    {"foobar", 6, "Zm9vYmFy"},
    /* every character of the alphabet */
    {"\x00\x10\x83\x10\x51\x87\x20\x92\x8b\x30\xd3\x8f\x41\x14\x93\x51\x55\x97\x61\x96\x9b\x71\xd7\x9f\x82\x18\xa3\x92"
     "\x59\xa7\xa2\x9a\xab\xb2\xdb\xaf\xc3\x1c\xb3\xd3\x5d\xb7\xe3\x9e\xbb\xf3\xdf\xbf",
     48, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"},
    {"\0", 1, "AA=="},
    {"\0\0\0", 3, "AAAA"},
    {"\xff", 1, "/w=="},
    {"\xff\xff", 2, "//8="},
    {"\xff\xff\xff", 3, "////"},
};

static void known_values_are_encoded(void **state) {
    for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
        _cleanup_buffer_ struct buffer text = {0};

        base64_encode(&text, pairs[i].data, pairs[i].size);
        assert_int_equal(text.size, strlen(pairs[i].text));
        assert_string_equal(text.data, pairs[i].text);
    }
}

static void known_values_are_decoded(void **state) {
    for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
        _cleanup_buffer_ struct buffer data = {0};

        assert_int_equal(base64_decode(&data, pairs[i].text, strlen(pairs[i].text), NULL), 0);
        assert_int_equal(data.size, pairs[i].size);
        if (data.size > 0) {
            assert_memory_equal(data.data, pairs[i].data, pairs[i].size);
            assert_int_equal(data.data[data.size], 0);
        }
    }
}

static void both_append(void **state) {
    _cleanup_buffer_ struct buffer buffer = {0};

    buffer_append_string(&buffer, "x");
    base64_encode(&buffer, "foo", 3);
    base64_encode(&buffer, "", 0);
    assert_int_equal(base64_decode(&buffer, "Zm8=", 4, NULL), 0);
    assert_int_equal(base64_decode(&buffer, "", 0, NULL), 0);
    assert_string_equal(buffer.data, "xZm9vfo");
    assert_int_equal(buffer.size, 7);
}

static void what_is_no_base64_is_refused(void **state) {
    static const struct {
        const char *text;
        size_t length;
        const char *message;
    } cases[] = {
        {"Z", 1, "1 characters"},      {"Zg", 2, "2 characters"}, {"Zg=", 3, "3 characters"},
        {"Zm9vY", 5, "5 characters"},  {"=", 1, "1 characters"},  {"====", 4, "0x3d"},
        {"Z===", 4, "0x3d"},           {"=Zg=", 4, "0x3d"},       {"Zg=v", 4, "0x3d"},
        {"Zg==Zg==", 8, "0x3d"},       {"Zm8=Zm9v", 8, "0x3d"},   {"Zm9v====", 8, "0x3d"},
        {"Zm9v\n", 5, "5 characters"}, {"Zm9\n", 4, "0x0a"},      {" m9v", 4, "0x20"},
        {"Zm-v", 4, "0x2d"},           {"Zm_v", 4, "0x5f"},       {"Zm9v!m9v", 8, "0x21"},
        {"Zm\0v", 4, "0x00"},          {"Zm9\xff", 4, "0xff"},    {"\x80===", 4, "0x80"},
        {"Zh==", 4, "bits after"},     {"Zo==", 4, "bits after"}, {"Zm9vZh==", 8, "bits after"},
        {"Zv==", 4, "bits after"},     {"Zm9=", 4, "bits after"}, {"Zm+=", 4, "bits after"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_error_ struct error *error = NULL;
        _cleanup_buffer_ struct buffer buffer = {0};

        buffer_append_string(&buffer, "before");
        assert_int_equal(base64_decode(&buffer, cases[i].text, cases[i].length, &error), -EINVAL);
        assert_non_null(strstr(error_message(error), cases[i].message));
        assert_int_equal(buffer.size, 6);
        assert_string_equal(buffer.data, "before");
    }
}

/* Each byte that is not in the alphabet, at each place of a group. */
static void every_foreign_byte_is_refused(void **state) {
    for (unsigned byte = 0; byte < 256; byte++) {
        static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        bool known = memchr(alphabet, (int)byte, sizeof(alphabet) - 1) != NULL;

        for (size_t place = 0; place < 4; place++) {
            _cleanup_buffer_ struct buffer buffer = {0};
            char text[] = "AAAAAAAA";

            text[place] = (char)byte;
            assert_int_equal(base64_decode(&buffer, text, 8, NULL), known ? 0 : -EINVAL);
        }
    }
}

static void any_bytes_come_back(void **state) {
    srandom(1);
    for (size_t size = 0; size < 300; size++) {
        _cleanup_buffer_ struct buffer text = {0};
        _cleanup_buffer_ struct buffer data = {0};
        unsigned char bytes[300];

        for (size_t i = 0; i < size; i++)
            bytes[i] = (unsigned char)random();
        base64_encode(&text, bytes, size);
        assert_int_equal(text.size, (size + 2) / 3 * 4);
        assert_int_equal(base64_decode(&data, text.data, text.size, NULL), 0);
        assert_int_equal(data.size, size);
        if (size > 0)
            assert_memory_equal(data.data, bytes, size);
    }
}

/* What is decoded has exactly one text: encoding it again gives the text. */
static void random_text_is_refused_or_comes_back(void **state) {
    static const char letters[] = "AQgw/+=Z=zB9";
    unsigned accepted = 0;

    srandom(2);
    for (unsigned round = 0; round < 20000; round++) {
        _cleanup_buffer_ struct buffer data = {0};
        _cleanup_buffer_ struct buffer text = {0};
        char random_text[8];
        size_t length = (size_t)random() % (sizeof(random_text) + 1);

        for (size_t i = 0; i < length; i++)
            random_text[i] = letters[(size_t)random() % (sizeof(letters) - 1)];
        if (base64_decode(&data, random_text, length, NULL) < 0)
            continue;
        accepted++;
        base64_encode(&text, data.data, data.size);
        assert_int_equal(text.size, length);
        assert_memory_equal(text.data, random_text, length);
    }
    assert_true(accepted > 1000);
    assert_true(accepted < 19000);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_values_are_encoded),
        cmocka_unit_test(known_values_are_decoded),
        cmocka_unit_test(both_append),
        cmocka_unit_test(what_is_no_base64_is_refused),
        cmocka_unit_test(every_foreign_byte_is_refused),
        cmocka_unit_test(any_bytes_come_back),
        cmocka_unit_test(random_text_is_refused_or_comes_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
