/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes and ages as `vmtest cache list` shows them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/str.h"
#include "cli/verb-cache.h"

static void sizes_have_two_or_three_digits(void **state) {
    static const struct {
        uint64_t bytes;
        const char *text;
    } cases[] = {
        {0, "0 bytes"},        {999, "999 bytes"},     {1000, "1.0 kB"},      {1049, "1.0 kB"},
        {1050, "1.1 kB"},      {9949, "9.9 kB"},       {9950, "10 kB"},       {99499, "99 kB"},
        {999499, "999 kB"},    {999500, "1.0 MB"},     {129600000, "130 MB"}, {999499999, "999 MB"},
        {999500000, "1.0 GB"}, {4300000000, "4.3 GB"}, {UINT64_MAX, "18 EB"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_free_ char *text = cache_size_text(cases[i].bytes);

        assert_string_equal(text, cases[i].text);
    }
}

static void ages_are_told_in_their_largest_unit(void **state) {
    static const struct {
        int64_t seconds;
        const char *text;
    } cases[] = {
        {-5, "0 seconds"}, {0, "0 seconds"},      {1, "1 second"},           {59, "59 seconds"},
        {60, "1 minute"},  {3599, "59 minutes"},  {3600, "1 hour"},          {86399, "23 hours"},
        {86400, "1 day"},  {3 * 86400, "3 days"}, {86400 * 400, "400 days"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_free_ char *text = cache_age_text(cases[i].seconds);

        assert_string_equal(text, cases[i].text);
    }
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_have_two_or_three_digits),
        cmocka_unit_test(ages_are_told_in_their_largest_unit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
