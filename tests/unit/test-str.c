/* SPDX-License-Identifier: Apache-2.0 */
/* Strings, byte buffers and string vectors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/str.h"

static void strings_are_compared_with_null_as_a_value(void **state) {
    assert_true(str_equal("a", "a"));
    assert_false(str_equal("a", "b"));
    assert_false(str_equal("a", NULL));
    assert_false(str_equal(NULL, ""));
    assert_true(str_equal(NULL, NULL));
    assert_true(str_empty(NULL));
    assert_true(str_empty(""));
    assert_false(str_empty(" "));
}

static void prefixes_and_suffixes_are_found(void **state) {
    const char *string = "console=ttyS0";

    assert_ptr_equal(str_skip_prefix(string, "console="), string + 8);
    assert_ptr_equal(str_skip_prefix(string, ""), string);
    assert_null(str_skip_prefix(string, "consoles"));
    assert_null(str_skip_prefix("con", "console"));
    assert_true(str_has_suffix("a.ko.xz", ".xz"));
    assert_true(str_has_suffix("a", ""));
    assert_false(str_has_suffix("xz", ".xz"));
    assert_false(str_has_suffix("a.xz ", ".xz"));
}

static void the_distance_counts_edits(void **state) {
    static const struct {
        const char *a;
        const char *b;
        unsigned distance;
    } cases[] = {
        {"", "", 0},
        {"", "abc", 3},
        {"abc", "", 3},
        {"kernel", "kernel", 0},
        {"kernel", "kernal", 1},
        {"kernel", "krenel", 2},
        {"kitten", "sitting", 3},
        {"a", "b", 1},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_int_equal(str_distance(cases[i].a, cases[i].b), cases[i].distance);
        assert_int_equal(str_distance(cases[i].b, cases[i].a), cases[i].distance);
    }
}

static void the_distance_of_long_strings_stays_within_its_table(void **state) {
    char a[1000];
    char b[1000];

    memset(a, 'a', sizeof(a) - 1);
    memset(b, 'b', sizeof(b) - 1);
    a[999] = b[999] = '\0';
    assert_int_equal(str_distance(a, b), 255);
    assert_int_equal(str_distance(a, a), 0);
}

static void the_nearest_candidate_is_the_one_meant(void **state) {
    static const char *const candidates[] = {"kernel", "kernel_args", "command", "name", "image", NULL};
    static const char *const none[] = {NULL};
    static const struct {
        const char *string;
        const char *nearest;
    } cases[] = {
        {"kernle", "kernel"},  {"kernel", "kernel"}, {"kernel_arg", "kernel_args"},
        {"comand", "command"}, {"nmae", "name"},     {"imagine", "image"},
        {"zzz", NULL},         {"", NULL},           {"rootfs_mode", NULL},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const char *nearest = str_nearest(cases[i].string, candidates);

        if (cases[i].nearest)
            assert_string_equal(nearest, cases[i].nearest);
        else
            assert_null(nearest);
    }
    assert_null(str_nearest("kernel", none));
}

static void a_nearer_candidate_wins_wherever_it_stands(void **state) {
    static const char *const candidates[] = {"mounts", "mount", "amount", NULL};
    static const char *const reversed[] = {"amount", "mount", "mounts", NULL};

    assert_string_equal(str_nearest("mount", candidates), "mount");
    assert_string_equal(str_nearest("mount", reversed), "mount");
    assert_string_equal(str_nearest("mountss", candidates), "mounts");
    assert_string_equal(str_nearest("mountss", reversed), "mounts");
}

static void a_quoted_string_is_one_word_for_a_shell(void **state) {
    static const struct {
        const char *string;
        const char *quoted;
    } cases[] = {
        {"", "''"},
        {"plain", "plain"},
        {"/usr/bin/qemu-system-x86_64", "/usr/bin/qemu-system-x86_64"},
        {"a=b,c:d@e+f%g", "a=b,c:d@e+f%g"},
        {"two words", "'two words'"},
        {"it's", "'it'\\''s'"},
        {"'", "''\\'''"},
        {"$HOME", "'$HOME'"},
        {"a\nb", "'a\nb'"},
        {"~", "'~'"},
        {"*", "'*'"},
        {"#c", "'#c'"},
        {"a;b", "'a;b'"},
        {"\\", "'\\'"},
        {"\303\244", "'\303\244'"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_free_ char *quoted = str_shell_quote(cases[i].string);

        assert_string_equal(quoted, cases[i].quoted);
    }
}

static void a_shell_reads_back_what_was_quoted(void **state) {
    static const char *const strings[] = {"", "a b", "it's", "''", "$(id) `id`", "\\n\t!", "a\"b", "x\n"};

    for (size_t i = 0; i < ARRAY_SIZE(strings); i++) {
        _cleanup_free_ char *quoted = str_shell_quote(strings[i]);
        _cleanup_free_ char *command = xasprintf("printf '%%s.' %s", quoted);
        FILE *pipe = popen(command, "r");
        char back[64] = "";
        size_t got;

        assert_non_null(pipe);
        got = fread(back, 1, sizeof(back) - 1, pipe);
        assert_int_equal(pclose(pipe), 0);
        assert_int_equal(got, strlen(strings[i]) + 1);
        assert_memory_equal(back, strings[i], strlen(strings[i]));
        assert_int_equal(back[got - 1], '.');
    }
}

static void valid_utf8_is_counted_up_to_the_first_fault(void **state) {
    static const struct {
        const char *bytes;
        size_t size;
        size_t valid;
    } cases[] = {
        {"", 0, 0},
        {"ascii", 5, 5},
        {"a\0b", 3, 3},
        {"\x7f", 1, 1},
        {"\x80", 1, 0}, /* a continuation alone */
        {"a\xbf", 2, 1},
        {"\xc0\x80", 2, 0}, /* overlong */
        {"\xc1\xbf", 2, 0},
        {"\xc2\x80", 2, 2}, /* U+0080, the first of two bytes */
        {"\xdf\xbf", 2, 2},
        {"\xc2", 1, 0}, /* cut off */
        {"ab\xc3", 3, 2},
        {"\xc3(", 2, 0},
        {"\xe0\x80\x80", 3, 0}, /* overlong */
        {"\xe0\x9f\xbf", 3, 0},
        {"\xe0\xa0\x80", 3, 3}, /* U+0800 */
        {"\xe2\x82\xac", 3, 3}, /* euro */
        {"\xe2\x82", 2, 0},
        {"\xe2\x82(", 3, 0},
        {"\xed\x9f\xbf", 3, 3}, /* U+D7FF */
        {"\xed\xa0\x80", 3, 0}, /* a surrogate */
        {"\xed\xbf\xbf", 3, 0},
        {"\xee\x80\x80", 3, 3},
        {"\xef\xbf\xbf", 3, 3},     /* U+FFFF */
        {"\xf0\x80\x80\x80", 4, 0}, /* overlong */
        {"\xf0\x8f\xbf\xbf", 4, 0},
        {"\xf0\x90\x80\x80", 4, 4}, /* U+10000 */
        {"\xf0\x9f\x98\x80", 4, 4},
        {"\xf0\x9f\x98", 3, 0},
        {"\xf0\x9f\x98(", 4, 0},
        {"\xf4\x8f\xbf\xbf", 4, 4}, /* U+10FFFF, the last */
        {"\xf4\x90\x80\x80", 4, 0},
        {"\xf5\x80\x80\x80", 4, 0},
        {"\xff", 1, 0},
        {"\xc3\xa4\xc3\xb6\xff\xc3", 6, 4},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        /* A copy of exactly that size: a sanitizer sees a read behind the end. */
        _cleanup_free_ char *copy = xmalloc(cases[i].size);

        memcpy(copy, cases[i].bytes, cases[i].size);
        assert_int_equal(utf8_valid_prefix(copy, cases[i].size), cases[i].valid);
    }
}

static void a_buffer_grows_and_stays_terminated(void **state) {
    _cleanup_buffer_ struct buffer buffer = {0};

    for (unsigned i = 0; i < 10000; i++) {
        char byte = (char)('a' + i % 26);

        buffer_append(&buffer, &byte, 1);
        assert_int_equal(buffer.size, i + 1);
        assert_int_equal(buffer.data[i + 1], '\0');
        assert_true(buffer.capacity > buffer.size);
    }
    for (unsigned i = 0; i < 10000; i++)
        assert_int_equal(buffer.data[i], 'a' + i % 26);
}

static void a_buffer_holds_any_byte_and_formats(void **state) {
    _cleanup_buffer_ struct buffer buffer = {0};

    buffer_append(&buffer, "a\0b", 3);
    buffer_append(&buffer, NULL, 0);
    buffer_append_string(&buffer, "c");
    buffer_printf(&buffer, "%d-%s", 7, "x");
    assert_int_equal(buffer.size, 7);
    assert_memory_equal(buffer.data, "a\0bc7-x", 8);
}

static void bytes_are_consumed_at_the_front(void **state) {
    _cleanup_buffer_ struct buffer buffer = {0};

    buffer_consume(&buffer, 0);
    buffer_consume(&buffer, 5);
    assert_int_equal(buffer.size, 0);
    buffer_append_string(&buffer, "abcdef");
    buffer_consume(&buffer, 0);
    assert_string_equal(buffer.data, "abcdef");
    buffer_consume(&buffer, 2);
    assert_string_equal(buffer.data, "cdef");
    assert_int_equal(buffer.size, 4);
    buffer_consume(&buffer, 4);
    assert_int_equal(buffer.size, 0);
    assert_string_equal(buffer.data, "");
    buffer_append_string(&buffer, "xy");
    buffer_consume(&buffer, 100);
    assert_int_equal(buffer.size, 0);
    assert_string_equal(buffer.data, "");
}

static void room_is_reserved_behind_the_content(void **state) {
    _cleanup_buffer_ struct buffer buffer = {0};

    buffer_append_string(&buffer, "abc");
    char *end = buffer_reserve(&buffer, 100000);
    assert_ptr_equal(end, buffer.data + 3);
    assert_int_equal(buffer.size, 3);
    memset(end, 'x', 100000);
    assert_memory_equal(buffer.data, "abcx", 4);
}

static void a_buffer_is_handed_over_as_a_string(void **state) {
    struct buffer buffer = {0};
    _cleanup_free_ char *empty = buffer_take(&buffer);

    assert_string_equal(empty, "");
    buffer_append_string(&buffer, "abc");
    _cleanup_free_ char *full = buffer_take(&buffer);
    assert_string_equal(full, "abc");
    assert_null(buffer.data);
    assert_int_equal(buffer.size, 0);
    assert_int_equal(buffer.capacity, 0);
}

static void a_vector_owns_its_strings_and_ends_with_null(void **state) {
    _cleanup_strv_ struct strv strv = {0};
    _cleanup_strv_ struct strv copy = {0};
    char word[] = "one";

    _cleanup_free_ char *nothing = strv_join(&strv, ",");
    assert_string_equal(nothing, "");
    assert_false(strv_contains(&strv, "one"));
    strv_append(&strv, word);
    word[0] = 'X';
    strv_append_take(&strv, xstrdup("two"));
    strv_append_printf(&strv, "%d%s", 3, "rd");
    assert_int_equal(strv.count, 3);
    assert_string_equal(strv.items[0], "one");
    assert_null(strv.items[3]);
    assert_true(strv_contains(&strv, "3rd"));
    assert_false(strv_contains(&strv, "3r"));

    strv_append(&copy, "zero");
    strv_copy(&copy, &strv);
    _cleanup_free_ char *joined = strv_join(&copy, ", ");
    assert_string_equal(joined, "zero, one, two, 3rd");
    assert_ptr_not_equal(copy.items[1], strv.items[0]);
    strv_deinit(&copy);
    assert_int_equal(copy.count, 0);
    assert_null(copy.items);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings_are_compared_with_null_as_a_value),
        cmocka_unit_test(prefixes_and_suffixes_are_found),
        cmocka_unit_test(the_distance_counts_edits),
        cmocka_unit_test(the_distance_of_long_strings_stays_within_its_table),
        cmocka_unit_test(the_nearest_candidate_is_the_one_meant),
        cmocka_unit_test(a_nearer_candidate_wins_wherever_it_stands),
        cmocka_unit_test(a_quoted_string_is_one_word_for_a_shell),
        cmocka_unit_test(a_shell_reads_back_what_was_quoted),
        cmocka_unit_test(valid_utf8_is_counted_up_to_the_first_fault),
        cmocka_unit_test(a_buffer_grows_and_stays_terminated),
        cmocka_unit_test(a_buffer_holds_any_byte_and_formats),
        cmocka_unit_test(bytes_are_consumed_at_the_front),
        cmocka_unit_test(room_is_reserved_behind_the_content),
        cmocka_unit_test(a_buffer_is_handed_over_as_a_string),
        cmocka_unit_test(a_vector_owns_its_strings_and_ends_with_null),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
