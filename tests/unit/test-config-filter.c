/* SPDX-License-Identifier: Apache-2.0 */
/* Filters: which targets are left, and what is said when none is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config/config.h"

static struct config *make_config(size_t count, const char *const *names) {
    _cleanup_buffer_ struct buffer text = {0};
    struct config *config = NULL;

    for (size_t i = 0; i < count; i++)
        buffer_printf(&text, "[[target]]\nname = '%s'\nkernel = 'k'\ncommand = 'c'\n", names[i]);
    assert_int_equal(config_parse(text.data, text.size, "f.toml", "/", false, &config, NULL), 0);
    return config;
}

/* The targets that one --filter leaves. */
static int filter(struct config *config, const char *expression, struct error **ret_error) {
    _cleanup_strv_ struct strv filters = {0};

    strv_append(&filters, expression);
    return config_select(config, &filters, &(struct strv){0}, ret_error);
}

static const char *const names[] = {"debian 12", "fedora-40", "gr\xc3\xbc\xc3\x9f", "Debian 13"};

static void the_matching_targets_are_kept_in_order(void **state) {
    static const struct {
        const char *filter;
        const char *left;
    } cases[] = {
        {"debian", "debian 12"},
        {"ebian", "debian 12,Debian 13"},
        {"(?i)^debian", "debian 12,Debian 13"},
        {"\\d$", "debian 12,fedora-40,Debian 13"},
        {"^gr..$", "gr\xc3\xbc\xc3\x9f"},
        {"^(?!.*ebian)", "fedora-40,gr\xc3\xbc\xc3\x9f"},
        {"", "debian 12,fedora-40,gr\xc3\xbc\xc3\x9f,Debian 13"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_config_ struct config *config = make_config(ARRAY_SIZE(names), names);
        _cleanup_strv_ struct strv left = {0};

        assert_int_equal(filter(config, cases[i].filter, NULL), 0);
        for (size_t j = 0; j < config->n_targets; j++)
            strv_append(&left, config->targets[j]->name);
        _cleanup_free_ char *joined = strv_join(&left, ",");
        assert_string_equal(joined, cases[i].left);
    }
}

static void a_bad_expression_is_an_error_with_its_offset(void **state) {
    _cleanup_config_ struct config *config = make_config(ARRAY_SIZE(names), names);
    _cleanup_error_ struct error *error = NULL;

    assert_int_equal(filter(config, "a(b", &error), -EINVAL);
    assert_string_equal(
        error_message(error),
        "--filter: the filter 'a(b' is not a regular expression: missing closing parenthesis at offset 3; put a "
        "backslash before a character that stands for itself");
    assert_int_equal(config->n_targets, ARRAY_SIZE(names));
    assert_int_equal(filter(config, "\xff", NULL), -EINVAL);
}

static void no_match_names_the_targets(void **state) {
    _cleanup_config_ struct config *config = make_config(ARRAY_SIZE(names), names);
    _cleanup_error_ struct error *error = NULL;

    assert_int_equal(filter(config, "suse", &error), -ENOENT);
    assert_string_equal(error_message(error),
                        "--filter: no target of f.toml matches the filter 'suse'; there are debian 12, "
                        "fedora-40, gr\xc3\xbc\xc3\x9f, Debian 13");
    assert_int_equal(config->n_targets, ARRAY_SIZE(names));
}

static void no_match_names_ten_targets_at_most(void **state) {
    static const char *const many[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"};
    _cleanup_config_ struct config *config = make_config(ARRAY_SIZE(many), many);
    _cleanup_config_ struct config *one = make_config(1, many);
    _cleanup_error_ struct error *error = NULL;
    _cleanup_error_ struct error *error_of_one = NULL;

    assert_int_equal(filter(config, "x", &error), -ENOENT);
    assert_string_equal(error_message(error),
                        "--filter: no target of f.toml matches the filter 'x'; there are a, b, c, d, e, f, "
                        "g, h, i, j and 2 more");
    assert_int_equal(filter(one, "x", &error_of_one), -ENOENT);
    assert_string_equal(error_message(error_of_one),
                        "--filter: no target of f.toml matches the filter 'x'; there is a");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_matching_targets_are_kept_in_order),
        cmocka_unit_test(a_bad_expression_is_an_error_with_its_offset),
        cmocka_unit_test(no_match_names_the_targets),
        cmocka_unit_test(no_match_names_ten_targets_at_most),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
