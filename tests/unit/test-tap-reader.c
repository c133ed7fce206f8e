/* SPDX-License-Identifier: Apache-2.0 */
/* What is made of streams of TAP and KTAP: each is fed whole, byte by byte, and with the line ends of a terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "testresults/tap-reader.h"

static void give(void *context, const struct run_subresult *result) {
    static const char *const names[SUBRESULT_COUNT] = {"pass", "fail", "skip", "todo"};
    struct buffer *text = context;
    _cleanup_free_ char *output = xstrdup(result->output);

    for (char *newline = output; (newline = strchr(newline, '\n')) != NULL;)
        *newline = '/';
    buffer_printf(text, "%s %s", names[result->status], result->name);
    if (result->message[0])
        buffer_printf(text, " (%s)", result->message);
    if (output[0])
        buffer_printf(text, " {%s}", output);
    if (result->nsec > 0)
        buffer_printf(text, " %llums", (unsigned long long)result->nsec / 1000000);
    buffer_append_string(text, "\n");
}

/* Each result on a line, at the end "=> FAILURE" if there is one. */
static char *read_whole(const char *input, size_t size, size_t piece) {
    struct buffer text = {0};
    struct tap *tap = tap_new(give, &text);

    for (size_t at = 0; at < size; at += piece)
        tap_feed(tap, input + at, size - at < piece ? size - at : piece);
    tap_end(tap);
    if (tap_failure(tap))
        buffer_printf(&text, "=> %s\n", tap_failure(tap));
    tap_free(tap);
    return buffer_take(&text);
}

static void check(const char *input, const char *expected) {
    _cleanup_buffer_ struct buffer terminal = {0};
    _cleanup_free_ char *whole = read_whole(input, strlen(input), SIZE_MAX / 2);
    _cleanup_free_ char *bytes = read_whole(input, strlen(input), 1);

    assert_string_equal(whole, expected);
    assert_string_equal(bytes, expected);
    for (const char *at = input; *at; at++) {
        if (*at == '\n')
            buffer_append_string(&terminal, "\r");
        buffer_append(&terminal, at, 1);
    }
    _cleanup_free_ char *cooked = read_whole(terminal.data ? terminal.data : "", terminal.size, 7);
    assert_string_equal(cooked, expected);
}

static void streams(void **state) {
    static const struct {
        const char *input;
        const char *expected;
    } cases[] = {
        {"1..2\nok 1 - one\nok 2 - two\n", "pass one\npass two\n"},
        {"ok\nok\n1..2\n", "pass test 1\npass test 2\n"},
        {"TAP version 13\n1..3\nok 1 a\nnot ok 2 b\nok 3 c\n", "pass a\nfail b\npass c\n"},
        {"TAP version 14\nok 1 - last line without an end\n1..1", "pass last line without an end\n"},
        /* Directives. */
        {"1..4\nok 1 a # SKIP no such thing\nnot ok 2 b # TODO later\nok 3 c # todo\nnot ok 4 d # skip: old\n",
         "skip a (no such thing)\ntodo b (later)\npass c\nskip d (old)\n"},
        {"1..2\nok 1 issue #12 is mended\nnot ok 2 - a \\# SKIP that is a name\n",
         "pass issue #12 is mended\nfail a # SKIP that is a name\n"},
        {"1..2\nnot ok 1 x # SKIPPING is no directive\nok 2 y # Skipped: z\n",
         "fail x (SKIPPING is no directive)\nskip y (z)\n"},
        {"1..4\nnot ok 1 - a # skip-list values\nnot ok 2 - b # todo-list\nnot ok 3 - c # skip - why\nnot ok 4 - d # "
         "skip\n",
         "fail a (skip-list values)\nfail b (todo-list)\nskip c (why)\nskip d\n"},
        {"1..2\nok 1 - quick # time=1.5ms\nnot ok 2 - slow # time=1500ms\n", "pass quick 1ms\nfail slow 1500ms\n"},
        {"1..0 # SKIP not on this machine\n", "skip all tests (not on this machine)\n"},
        {"1..0\n", "skip all tests\n"},
        {"1..0 # WWW::Mechanize not installed\n", "skip all tests (WWW::Mechanize not installed)\n"},
        {"  1..0 # SKIP of another's\n", "skip all tests (of another's)\n"},
        /* What is wrong of the whole. */
        {"1..3\nok 1\nok 2\n", "pass test 1\npass test 2\n=> 3 tests were planned, 2 ran\n"},
        {"1..1\nok 1\nok 2\n", "pass test 1\npass test 2\n=> 1 test was planned, 2 ran\n"},
        {"1..2\n", "=> 2 tests were planned, 0 ran\n"},
        {"ok 1 a\n", "pass a\n=> no plan (1..N) came with the tests: some may be missing\n"},
        {"1..3\nok 1 a\nBail out! no disk\n", "pass a\n=> the tests bailed out: no disk\n"},
        {"bail out!\n", "=> the tests bailed out\n"},
        {"", "=> the command wrote no test results (TAP)\n"},
        {"TAP version 13\nhello\n", "=> the command wrote no test results (TAP)\n"},
        {"okay\nok,then\nnotok 1\nnot okay\n1..x\n1..2 tests\nok3\n", "=> the command wrote no test results (TAP)\n"},
        /* Numbers: in any order, but each once, and in the plan. */
        {"1..3\nok 2 a\nok 3 b\nok 1 c\n", "pass a\npass b\npass c\n"},
        {"1..3\nok 2\nok 4\nok 1\n", "pass test 2\npass test 4\npass test 1\n=> test 4 is not in the plan, 1..3\n"},
        {"1..2\nok 1 a\nok 1 b\n", "pass a\npass b\n=> test 1 came twice\n"},
        {"1..2\nok 1 a\nok 7 b\n", "pass a\npass b\n=> test 7 is not in the plan, 1..2\n"},
        {"ok 5\n1..1\n", "pass test 5\n=> test 5 is not in the plan, 1..1\n"},
        {"1..3\nok 2 a\nok b\nok 1 c\n", "pass a\npass b\npass c\n"},
        {"1..2\nok 2 a\nok b\n", "pass a\npass b\n=> test 3 is not in the plan, 1..2\n"},
        {"1..1\n    1..2\n    ok 1 a\n    ok 1 b\nok 1 p\n",
         "pass p / a\npass p / b\nfail p (its subtests: test 1 came twice)\n"},
        /* What is said of a test. */
        {"1..2\nnot ok 1 a\n#   Failed test 'a'\n#   at x.t line 3\nok 2 b\n",
         "fail a {  Failed test 'a'/  at x.t line 3/}\npass b\n"},
        {"1..2\nnot ok 1 a\n  ---\n  message: 'why'\n  ok 7: no test\n  duration_ms: 12.75\n  ...\nok 2 b\n",
         "fail a (why) {message: 'why'/ok 7: no test/duration_ms: 12.75/} 12ms\npass b\n"},
        {"1..2\nok 1 a\n  ---\n  never closed: 1\nok 2 b\n", "pass a {never closed: 1/}\npass b\n"},
        {"---\nok 1 a\n1..1\n", "pass a\n"},
        /* Subtests. */
        {"1..2\n# Subtest: p\n    1..2\n    ok 1 - a\n    not ok 2 - b\nnot ok 1 - p\nok 2 - q\n",
         "pass p / a\nfail p / b\npass q\n"},
        {"1..1\n    1..1\n    not ok 1 - a\nok 1 - a liar\n", "fail a liar / a\n"},
        {"1..1\n    1..1\n    ok 1 - a\nnot ok 1 - p # exit=1\n", "pass p / a\nfail p (exit=1)\n"},
        {"1..1\n    1..3\n    ok 1 - a\nok 1 - p\n",
         "pass p / a\nfail p (its subtests: 3 tests were planned, 1 ran)\n"},
        {"1..1\n    1..1\n    not ok 1 - a\nnot ok 1 - p # TODO soon\n", "todo p / a\n"},
        {"1..1\n    1..0 # SKIP none here\nok 1 - p\n", "skip p (none here)\n"},
        {"1..1\n    1..1\n        1..1\n        not ok 1 - c\n    not ok 1 - b\nnot ok 1 - a\n", "fail a / b / c\n"},
        {"1..1\n    1..2\n    ok 1 - a\n", "pass a\n=> 2 tests were planned, 1 ran\n"},
        {"1..2\nnot ok 1 a\n  ---\n  message: |\n\n    'first'\n    second\n  ...\nok 2 b\n  ---\n  message: >-\n  "
         "...\n",
         "fail a ('first') {message: |//'first'/second/}\npass b {message: >-/}\n"},
        {"ok 1 a\n# of a\n1..1\n# of the whole\n", "pass a {of a/}\n"},
        /* As prove -v shows them. */
        {"a.t ..\n1..1\nok 1 - a\nok\nb.t ..\nok 1 - b\n1..1\nok\nc.t ..\n1..0 # SKIP no\nskipped: no\nAll tests "
         "successful.\n",
         "pass a\npass b\nskip all tests (no)\n"},
        {"a.t ..\n1..2\nok - a\nok - b\nok\n", "pass a\npass b\n"},
        {"1..1\nok\nok\n", "pass test 1\npass test 2\n=> 1 test was planned, 2 ran\n"},
        {"1..1\nok 1\nnot ok\n", "pass test 1\nfail test 2\n=> 1 test was planned, 2 ran\n"},
        {"1..1\nok 1 a\nok 1 b\n", "pass a\npass b\n=> no plan (1..N) came with the tests: some may be missing\n"},
        {"1..1\n    1..1\n    ok 1 a\n    ok 1 b\nok 1 p\n",
         "pass p / a\npass p / b\nfail p (its subtests: 1 test was planned, 2 ran)\n"},
        /* As kselftest_harness.h does without a runner. */
        {"TAP version 13\n1..2\n# Starting 2 tests from 1 test cases.\n#  RUN           g.a ...\n#            OK  "
         "g.a\nok 1 "
         "g.a\n#  RUN           g.b ...\n# b.c:1:b:Expected 0 == 1\nnot ok 2 g.b\n# FAILED: 1 / 2 tests passed.\n",
         "pass g.a { RUN           g.a .../           OK  g.a/}\n"
         "fail g.b { RUN           g.b .../b.c:1:b:Expected 0 == 1/}\n"},
        /* Cut off in front of a test's own line. */
        {"# Subtest: p\n    ok 1 - a\n    1..1\n",
         "pass a\n=> subtests came without the line of their test: some tests may be missing\n"},
        {"ok 1 - a\n1..1\n# Subtest: p\n    1..1\n    ok 1 - b\n",
         "pass a\npass b\n=> subtests came without the line of their test: some tests may be missing\n"},
        {"TAP version 14\n# Subtest: p\n    # Subtest: q\n        ok 1 - a\n        1..1\n    ok 1 - q\n    1..1\n",
         "pass q / a\n=> subtests came without the line of their test: some tests may be missing\n"},
        {"TAP version 14\n    1..1\n    ok 1 - a\n", "pass a\n=> no test came behind \"TAP version\"\n"},
        {"# Subtest: p\n    # Subtest: q\n    ok 1 - q\n    1..1\nok 1 - p\n# Subtest: r\nok 2 - r\n1..2\n",
         "pass p / q\npass r\n"},
        {"  1..2\n  ok 1 - all of it\n  ok 2 - is indented\n", "pass all of it\npass is indented\n"},
        {"  ok 1 - a\n", "pass a\n=> no plan (1..N) came with the tests: some may be missing\n"},
        {"1..1\n    1..1\n    ok 1 a\n    1..2\nok 1 p\n",
         "pass p / a\nfail p (its subtests: 2 tests were planned, 0 ran)\n"},
        /* One behind the other. */
        {"TAP version 13\n1..1\nok 1 a\nTAP version 13\n1..2\nok 1 b\n",
         "pass a\npass b\n=> 2 tests were planned, 1 ran\n"},
        {"1..1\nok 1 a\n1..1\nok 1 b\n", "pass a\npass b\n"},
        {"1..0 # SKIP a\n1..0 # SKIP b\n", "skip all tests (a)\nskip all tests (b)\n"},
        {"1..1\n    1..0 # SKIP a\n    1..0 # SKIP b\nok 1 p\n", "skip p / all tests (a)\nskip p / all tests (b)\n"},
        {"1..1\n    1..0 # SKIP a\n    1..1\n    ok 1 b\nok 1 p\n", "skip p / all tests (a)\npass p / b\n"},
        {"1..1\n    1..0 # SKIP a\n    TAP version 13\n    ok 1 b\nok 1 p\n", "skip p / all tests (a)\npass p / b\n"},
        {"1..1\n    1..1\n    ok 1 a\n    1..0 # SKIP b\nok 1 p\n", "pass p / a\nskip p / all tests (b)\n"},
        {"TAP version 13\nok 1 a\n1..1\nTAP version 13\nok 1 b\n1..1\n", "pass a\npass b\n"},
        {"ok 1\nok 2\n1..2\nok 1\nok 2\n1..2\n", "pass test 1\npass test 2\npass test 1\npass test 2\n"},
        {"ok 1\n1..1\nok 2\n",
         "pass test 1\npass test 2\n=> no plan (1..N) came with the tests: some may be missing\n"},
        {"TAP version 13\n1..1\nok 1 a\nTAP version 13\n# starting\nSegmentation fault\n",
         "pass a\n=> no test came behind \"TAP version\"\n"},
        {"TAP version 13\n# starting\nTAP version 13\n1..1\nok 1 a\n",
         "pass a\n=> no test came behind \"TAP version\"\n"},
        {"KTAP version 1\n1..1\n    KTAP version 1\n    # Subtest: s\nok 1 s\n",
         "fail s (its subtests: no test came behind \"TAP version\")\n"},
        {"KTAP version 1\n1..1\n    KTAP version 1\n    # Subtest: s\nok 1 s # SKIP none\n", "skip s (none)\n"},
        /* Parameters of a KUnit test have no plan. */
        {"KTAP version 1\n1..1\n    KTAP version 1\n    ok 1 x\n    ok 2 y\nok 1 s\n", "pass s / x\npass s / y\n"},
        /* The kernel's. */
        {"[    1.234567][    T1] KTAP version 1\n[    1.234567][   C12] 1..1\n<6>[    1.234567][  T123] not ok 1 s\n",
         "fail s\n"},
        {"TAP version 13\n1..1\n# selftests: x: both.sh\n# TAP version 13\n# 1..1\n# ok 1 a\n# TAP version 13\n# 1..1\n"
         "# ok 1 b\nok 1 selftests: x: both.sh\n",
         "pass selftests: x: both.sh / a {selftests: x: both.sh/}\npass selftests: x: both.sh / b\n"},
        {"TAP version 13\n1..1\n# selftests: x: both.sh\n# TAP version 13\n# 1..2\n# ok 1 a\n# TAP version 13\n# 1..1\n"
         "# ok 1 b\nok 1 selftests: x: both.sh\n",
         "pass selftests: x: both.sh / a {selftests: x: both.sh/}\npass selftests: x: both.sh / b\n"
         "fail selftests: x: both.sh (its subtests: 2 tests were planned, 1 ran)\n"},
        {"KTAP version 1\n1..1\n  KTAP version 1\n  1..2\n    KTAP version 1\n    1..1\n    # t: begins\n    ok 1 t\n"
         "  # more of it\n  ok 1 s1\n  ok 2 s2 # SKIP no\n# totals\nok 1 m\n",
         "pass m / s1 / t {t: begins/}\nskip m / s2 (no)\n"},
        {"[    1.000001] KTAP version 1\n<6>[    1.234567] 1..1\n[    1.345678]     # Subtest: s\n"
         "[    1.4]     1..1\n[    1.456789]     1..1\n[    1.567890]     ok 1 - t\n[    1.678901] ok 1 - s\n",
         "pass s / t\n"},
        {"TAP version 13\n1..3\n# selftests: net: a.sh\n# some output\nok 1 selftests: net: a.sh\n"
         "# selftests: net: b.sh\n# TAP version 13\n# 1..2\n# # said\n# ok 1 x\n# not ok 2 y\n# # Totals: pass:1\n"
         "not ok 2 selftests: net: b.sh # exit=1\n# selftests: net: c.sh\n# ok 1 is no TAP here\n"
         "ok 3 selftests: net: c.sh # SKIP\n",
         "pass selftests: net: a.sh {selftests: net: a.sh/some output/}\n"
         "pass selftests: net: b.sh / x {selftests: net: b.sh/said/}\nfail selftests: net: b.sh / y\n"
         "skip selftests: net: c.sh {selftests: net: c.sh/ok 1 is no TAP here/}\n"},
        /* What else stands in a stream. */
        {"building...\n1..1\n  CC file.o\nok 1 a\npragma +strict\ndone\n", "pass a\n"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        check(cases[i].input, cases[i].expected);
}

static void bytes_that_are_no_text(void **state) {
    static const char input[] = "1..2\nok 1 a\0b\xff\nnot ok 2 \x1b[31mred\n";
    _cleanup_free_ char *text = read_whole(input, sizeof(input) - 1, 3);

    assert_string_equal(text, "pass a b\xff\nfail \x1b[31mred\n");
}

static void what_is_too_much(void **state) {
    _cleanup_buffer_ struct buffer input = {0};
    size_t n_lines = 0;

    /* A line without an end, as deep as can be, with a name that is too long. */
    buffer_append_string(&input, "1..2\nok 1 ");
    for (size_t i = 0; i < 100000; i++)
        buffer_append_string(&input, "long");
    buffer_append_string(&input, "\nok 2 b\n");
    char *text = read_whole(input.data, input.size, 4096);
    assert_true(strlen(text) < 3000);
    assert_non_null(strstr(text, "\npass b\n"));
    assert_null(strstr(text, "=>"));
    free(text);

    input.size = 0;
    for (size_t depth = 0; depth < 40; depth++)
        buffer_printf(&input, "%*sok 1 d\n", (int)depth, "");
    text = read_whole(input.data, input.size, 4096);
    for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++)
        n_lines++;
    assert_int_equal(n_lines, 40 + 1); /* and that there was no plan */
    free(text);

    input.size = 0;
    buffer_printf(&input, "1..%u\n", SUBRESULTS_MAX + 2);
    for (unsigned i = 0; i < SUBRESULTS_MAX + 1; i++)
        buffer_append_string(&input, "ok\n");
    buffer_append_string(&input, "not ok x\n");
    text = read_whole(input.data, input.size, 1U << 16);
    assert_non_null(strstr(text, "=> a test behind the first 100000 failed: x\n"));
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams),
        cmocka_unit_test(bytes_that_are_no_text),
        cmocka_unit_test(what_is_too_much),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
