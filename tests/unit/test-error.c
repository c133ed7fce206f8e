/* SPDX-License-Identifier: Apache-2.0 */
/* The error idiom: what is returned, what the message becomes on its way up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"

static void the_negative_errno_is_returned_whatever_the_sign(void **state) {
    static const struct {
        int given;
        int returned;
    } cases[] = {{ENOENT, -ENOENT}, {-ENOENT, -ENOENT}, {EPROTO, -EPROTO}, {0, -EIO}};

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_error_ struct error *error = NULL;

        assert_int_equal(error_new(NULL, cases[i].given, "x"), cases[i].returned);
        assert_int_equal(error_new(&error, cases[i].given, "file '%s'", "a"), cases[i].returned);
        assert_int_equal(error->code, -cases[i].returned);
        assert_string_equal(error_message(error), "file 'a'");
    }
}

static void the_first_error_counts(void **state) {
    _cleanup_error_ struct error *error = NULL;

    assert_int_equal(error_new(&error, ENOENT, "first"), -ENOENT);
    assert_int_equal(error_new(&error, EINVAL, "second"), -EINVAL);
    assert_int_equal(error_errno(&error, EINVAL, "third"), -EINVAL);
    assert_int_equal(error->code, ENOENT);
    assert_string_equal(error_message(error), "first");
}

static void the_text_of_an_errno_is_appended(void **state) {
    _cleanup_error_ struct error *positive = NULL;
    _cleanup_error_ struct error *negative = NULL;

    assert_int_equal(error_errno(&positive, EACCES, "%s", "/dev/kvm"), -EACCES);
    assert_int_equal(error_errno(&negative, -EACCES, "100%%"), -EACCES);
    assert_string_equal(error_message(positive), "/dev/kvm: Permission denied");
    assert_string_equal(error_message(negative), "100%: Permission denied");
}

static void each_layer_puts_its_context_in_front(void **state) {
    _cleanup_error_ struct error *error = NULL;

    error_context(&error, "nothing to add to");
    assert_null(error);
    error_context(NULL, "nor here");
    (void)error_new(&error, EINVAL, "bad");
    error_context(&error, "line %d", 3);
    error_context(&error, "vmtest.toml");
    assert_string_equal(error_message(error), "vmtest.toml: line 3: bad");
    assert_int_equal(error->code, EINVAL);
}

static void no_error_has_a_message_all_the_same(void **state) {
    assert_string_equal(error_message(NULL), "unknown error");
    error_free(NULL);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_negative_errno_is_returned_whatever_the_sign),
        cmocka_unit_test(the_first_error_counts),
        cmocka_unit_test(the_text_of_an_errno_is_appended),
        cmocka_unit_test(each_layer_puts_its_context_in_front),
        cmocka_unit_test(no_error_has_a_message_all_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
