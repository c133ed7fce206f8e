/* SPDX-License-Identifier: Apache-2.0 */
/* Durations and amounts of memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "config/config.h"

#define MIB (UINT64_C(1) << 20)

static void durations_are_read(void **state) {
    static const struct {
        const char *text;
        uint64_t nsec;
    } cases[] = {
        {"90s", 90 * NSEC_PER_SEC},
        {"5m", 300 * NSEC_PER_SEC},
        {"1h", 3600 * NSEC_PER_SEC},
        {"250ms", 250 * NSEC_PER_MSEC},
        {"1m30s", 90 * NSEC_PER_SEC},
        {"1h2m3s4ms", 3723 * NSEC_PER_SEC + 4 * NSEC_PER_MSEC},
        {"1.5h", 5400 * NSEC_PER_SEC},
        {"7", 7 * NSEC_PER_SEC},
        {"0.25", 250 * NSEC_PER_MSEC},
        {"0.000000001", 1},
        {"0.5000000000000000000000000000001", 500 * NSEC_PER_MSEC},
        {"18446744073", UINT64_C(18446744073000000000)},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint64_t nsec = 0;

        if (config_parse_duration(cases[i].text, &nsec, NULL) < 0 || nsec != cases[i].nsec)
            fail_msg("'%s' became %llu", cases[i].text, (unsigned long long)nsec);
    }
}

static void what_is_no_duration_is_refused(void **state) {
    static const char hint[] = "is not a duration; write it as 90s, 5m, 1h30m, 250ms or a number of seconds";
    static const char none[] = "is zero; a duration must be more than zero";
    static const char large[] = "is too long; the most is 500 years";
    static const struct {
        const char *text;
        const char *reason;
    } cases[] = {
        {"", hint},
        {"s", hint},
        {"-1", hint},
        {"+1", hint},
        {" 1", hint},
        {"1 s", hint},
        {"1s ", hint},
        {"1d", hint},
        {"1S", hint},
        {"1sec", hint},
        {"30s1m", hint},
        {"1s1s", hint},
        {"1m30", hint},
        {".5", hint},
        {"5.", hint},
        {"1e3", hint},
        {"nan", hint},
        {"inf", hint},
        {"0", none},
        {"0s", none},
        {"0h0m", none},
        {"0.0000000001", none},
        {"18446744074", large},
        {"99999999999999999999999", large},
        {"6000000h", large},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_error_ struct error *error = NULL;
        _cleanup_free_ char *expected = xasprintf("'%s' %s", cases[i].text, cases[i].reason);
        uint64_t nsec = 42;

        assert_true(config_parse_duration(cases[i].text, &nsec, &error) < 0);
        assert_string_equal(error_message(error), expected);
        assert_true(nsec == 42);
    }
}

static void memory_is_read_as_qemu_does(void **state) {
    static const struct {
        const char *text;
        uint64_t bytes;
    } cases[] = {
        {"64", 64 * MIB},        {"4096", 4096 * MIB},      {"512M", 512 * MIB},          {"512m", 512 * MIB},
        {"4G", 4096 * MIB},      {"4g", 4096 * MIB},        {"1T", 1024 * 1024 * MIB},    {"65536k", 64 * MIB},
        {"67108864B", 64 * MIB}, {"1.5G", 1536 * MIB},      {"64.5M", 67633152},          {"size=4G", 4096 * MIB},
        {"67108865b", 67117056}, {"1P", UINT64_C(1) << 50}, {"1024T", UINT64_C(1) << 50},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint64_t bytes = 0;

        if (config_parse_memory(cases[i].text, &bytes, NULL) < 0 || bytes != cases[i].bytes)
            fail_msg("'%s' became %llu", cases[i].text, (unsigned long long)bytes);
    }
}

static void what_is_no_memory_is_refused(void **state) {
    static const char hint[] =
        "is not an amount of memory; write a number with one of the suffixes K, M, G, T, such as 512M or 4G";
    static const char little[] = "is too little memory; the least is 64M";
    static const char much[] = "is too much memory; the most is 1024T";
    static const struct {
        const char *text;
        const char *reason;
    } cases[] = {
        {"", hint},           {"G", hint},
        {"-1G", hint},        {"4GB", hint},
        {"4GiB", hint},       {"4 G", hint},
        {" 4G", hint},        {"1e3", hint},
        {"0x100", hint},      {"lots", hint},
        {"1G,slots=2", hint}, {"size=", hint},
        {"maxmem=4G", hint},  {"0", little},
        {"63M", little},      {"64K", little},
        {"64b", little},      {"63.999", little},
        {"1025T", much},      {"1E", much},
        {"99999999T", much},  {"99999999999999999999", much},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_error_ struct error *error = NULL;
        _cleanup_free_ char *expected = xasprintf("'%s' %s", cases[i].text, cases[i].reason);
        uint64_t bytes = 42;

        assert_true(config_parse_memory(cases[i].text, &bytes, &error) < 0);
        assert_string_equal(error_message(error), expected);
        assert_true(bytes == 42);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_are_read),
        cmocka_unit_test(what_is_no_duration_is_refused),
        cmocka_unit_test(memory_is_read_as_qemu_does),
        cmocka_unit_test(what_is_no_memory_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
