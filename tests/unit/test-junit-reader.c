/* SPDX-License-Identifier: Apache-2.0 */
/* What is made of JUnit files, as the tools write them and as nobody should. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "testresults/junit-reader.h"

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
        buffer_printf(text, " %lluus", (unsigned long long)result->nsec / 1000);
    buffer_append_string(text, "\n");
}

/* Each result on a line, or "=> CODE: MESSAGE". Caller frees. */
static char *read_whole(const char *input, size_t size) {
    _cleanup_error_ struct error *error = NULL;
    struct buffer text = {0};
    int r = junit_read(input, size, give, &text, &error);

    assert_int_equal(r < 0, error != NULL);
    if (r < 0) {
        assert_int_equal(text.size, 0); /* nothing is given of a file that is not good */
        buffer_printf(&text, "=> %s: %s\n",
                      r == -EBADMSG  ? "bad"
                      : r == -ENOENT ? "none"
                      : r == -E2BIG  ? "big"
                                     : "?",
                      error_message(error));
    }
    return buffer_take(&text);
}

static void files(void **state) {
    static const struct {
        const char *input;
        const char *expected;
    } cases[] = {
        /* As pytest does. */
        {"<?xml version=\"1.0\" encoding=\"utf-8\"?><testsuites><testsuite name=\"pytest\" errors=\"0\" failures=\"1\" "
         "skipped=\"1\" tests=\"3\" time=\"0.03\"><testcase classname=\"test_a\" name=\"test_ok\" time=\"0.001\" />"
         "<testcase classname=\"test_a\" name=\"test_bad[1]\" time=\"0.002\"><failure message=\"assert 1 == 2\">def "
         "test_bad():\n&gt;  assert</failure></testcase><testcase classname=\"test_a\" name=\"test_no\"><skipped "
         "type=\"pytest.skip\" message=\"no root\">here</skipped></testcase></testsuite></testsuites>",
         "pass test_a / test_ok 1000us\nfail test_a / test_bad[1] (assert 1 == 2) {def test_bad():/>  assert/} 2000us\n"
         "skip test_a / test_no (no root) {here/}\n"},
        /* As googletest does: a status of its own, several failures, CDATA. */
        {"<testsuites tests=\"2\" failures=\"1\" name=\"AllTests\"><testsuite name=\"Math\" tests=\"2\" failures=\"1\">"
         "<testcase name=\"Adds\" status=\"run\" result=\"completed\" time=\"0.\" classname=\"Math\">"
         "<failure message=\"a.cc:3&#x0A;Expected\" type=\"\"><![CDATA[a.cc:3\nExpected <1>]]></failure>"
         "<failure message=\"second\"></failure></testcase><testcase name=\"Off\" status=\"notrun\" "
         "classname=\"Math\"/>"
         "</testsuite></testsuites>",
         "fail Math / Adds (a.cc:3\nExpected) {a.cc:3/Expected <1>/}\nskip Math / Off\n"},
        /* As Go's and Rust's tools do: a suite as the root, no class, nested suites, an error. */
        {"<testsuite name=\"pkg\"><testcase name=\"TestA\" time=\"1.5\"/><testsuite name=\"\"><testcase name=\"TestB\">"
         "<error type=\"panic\">runtime error\nmore</error><system-out>said</system-out></testcase></testsuite>"
         "</testsuite>",
         "pass pkg / TestA 1500000us\nfail pkg / TestB (panic) {runtime error/more/said/}\n"},
        {"<testsuite><testcase name=\"a\"/><testcase/></testsuite>", "pass a\npass (no name)\n"},
        {"<j:testsuites xmlns:j=\"urn:x\"><j:testsuite name=\"s\"><j:testcase name=\"a\"><j:failure/></j:testcase>"
         "</j:testsuite></j:testsuites>",
         "fail s / a\n"},
        {"<testsuite><testcase name=\"a\"><skipped/><failure message=\"f\"/></testcase><testcase name=\"b\"><failure "
         "message=\"f\"/><skipped message=\"s\"/></testcase></testsuite>",
         "fail a (f)\nfail b (f)\n"},
        {"<testsuite><testcase name=\"a\"><failure>first\nsecond</failure></testcase></testsuite>",
         "fail a (first) {first/second/}\n"},
        {"<testsuite><testcase name=\"a\"><flakyFailure message=\"f\"/><rerunFailure/></testcase></testsuite>",
         "pass a\n"},
        {"<testsuite><properties><failure/><testcase name=\"a\"/></properties><system-out>x</system-out></testsuite>",
         "pass a\n"},
        {"<testsuite><testcase name=\"a\"><testcase name=\"b\"><failure/></testcase><testsuite "
         "failures=\"1\"/></testcase>"
         "</testsuite>",
         "pass a\n"},
        /* As CTest does with what is disabled and what it could not run. */
        {"<testsuite name=\"c\" disabled=\"1\"><testcase name=\"a\" status=\"disabled\"/><testcase name=\"b\" "
         "status=\"notrun\"><skipped message=\"SKIP_RETURN_CODE=77\"/></testcase><testcase name=\"d\" "
         "status=\"notrun\"><failure message=\"f\"/></testcase><testcase name=\"e\" status=\"run\"/></testsuite>",
         "skip c / a\nskip c / b (SKIP_RETURN_CODE=77)\nfail c / d (f)\npass c / e\n"},
        /* Of a suite, and in none of its test cases, as Jenkins reads it as well. */
        {"<testsuites><testsuite name=\"s\"><error message=\"no setup\">trace</error><testcase name=\"a\"/></testsuite>"
         "</testsuites>",
         "fail s (no setup) {trace/}\npass s / a\n"},
        {"<testsuites><failure type=\"t\"/><testsuite failures=\"1\"><failure>why\nstory</failure></testsuite>"
         "</testsuites>",
         "fail suite (t)\nfail suite (why) {why/story/}\n"},
        /* What only the counts tell. */
        {"<testsuites><testsuite name=\"s\" errors=\"2\" failures=\"1\"><testcase "
         "name=\"a\"/></testsuite></testsuites>",
         "pass s / a\nfail s (the suite counts 3 failures and errors, and none of its test cases shows one)\n"},
        {"<testsuites errors=\"1\"></testsuites>",
         "fail suite (the suite counts 1 failures and errors, and none of its test cases shows one)\n"},
        {"<testsuite errors=\"-1\" failures=\"x\"><testcase name=\"a\"/></testsuite>", "pass a\n"},
        /* Times. */
        {"<testsuite><testcase name=\"a\" time=\"1,234.5\"/><testcase name=\"b\" time=\"-1\"/><testcase name=\"c\" "
         "time=\"1e3\"/><testcase name=\"d\" time=\"99999999999999999999\"/><testcase name=\"e\" time=\"0.000001\"/>"
         "<testcase name=\"f\" time=\"1.2.3\"/></testsuite>",
         "pass a 1234500000us\npass b\npass c\npass d\npass e 1us\npass f\n"},
        /* Other bytes. */
        {"\xef\xbb\xbf<testsuite><testcase name=\"\xc3\xa4\"/></testsuite>", "pass \xc3\xa4\n"},
        {"<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><testsuite><testcase name=\"\xe4\"/></testsuite>",
         "pass \xc3\xa4\n"},
        {"<testsuite><testcase name=\"\xe4\"/></testsuite>", "=> bad: line 1: not well-formed (invalid token)\n"},
        {"<testsuite>\n<testcase name=\"a\x01\"/></testsuite>", "=> bad: line 2: not well-formed (invalid token)\n"},
        {"<testsuite><testcase name=\"a\"/>", "=> bad: line 1: no element found\n"},
        {"", "=> bad: line 1: no element found\n"},
        {"TAP version 13\n", "=> bad: line 1: syntax error\n"},
        {"<html><testsuite/></html>",
         "=> bad: line 1: it is no JUnit file: its root is neither testsuites nor testsuite\n"},
        {"<testsuites/>", "=> none: it holds no test case\n"},
        {"<testsuite tests=\"3\"></testsuite>", "=> none: it holds no test case\n"},
        /* What only an attacker writes. */
        {"<!DOCTYPE testsuite [<!ENTITY a \"b\"><!ENTITY c \"&a;&a;\">]><testsuite><testcase "
         "name=\"&c;\"/></testsuite>",
         "=> bad: line 1: it declares entities, which no JUnit file needs\n"},
        {"<!DOCTYPE testsuite [<!ENTITY a SYSTEM \"file:///etc/passwd\">]><testsuite><testcase "
         "name=\"x\"/></testsuite>",
         "=> bad: line 1: it declares entities, which no JUnit file needs\n"},
        {"<!DOCTYPE testsuite><testsuite><testcase name=\"a\"/></testsuite>", "pass a\n"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_free_ char *text = read_whole(cases[i].input, strlen(cases[i].input));

        assert_string_equal(text, cases[i].expected);
    }
}

static void two_bytes_a_character(void **state) {
    static const char text[] = "<testsuite><testcase name=\"a\"/></testsuite>";
    char wide[2 * sizeof(text)] = "\xff\xfe";

    for (size_t i = 0; i + 1 < sizeof(text); i++) {
        wide[2 + 2 * i] = text[i];
        wide[3 + 2 * i] = '\0';
    }
    _cleanup_free_ char *read = read_whole(wide, 2 * sizeof(text));
    assert_string_equal(read, "pass a\n");
}

static void what_is_too_much(void **state) {
    _cleanup_buffer_ struct buffer input = {0};

    for (size_t i = 0; i < 1000; i++)
        buffer_append_string(&input, "<testsuite>");
    char *text = read_whole(input.data, input.size);
    assert_string_equal(text, "=> bad: line 1: its elements are nested too deep\n");
    free(text);

    input.size = 0;
    buffer_append_string(&input, "<testsuite name=\"");
    for (size_t i = 0; i < 1000; i++)
        buffer_append_string(&input, "\xc3\xa4");
    buffer_append_string(&input, "\"><testcase name=\"n\"><failure>");
    for (size_t i = 0; i < 100000; i++)
        buffer_append_string(&input, "\xc3\xa4");
    buffer_append_string(&input, "</failure></testcase></testsuite>");
    text = read_whole(input.data, input.size);
    assert_true(strlen(text) < 10000);
    assert_int_equal(utf8_valid_prefix(text, strlen(text)), strlen(text));
    free(text);

    input.size = 0;
    buffer_append_string(&input, "<testsuite>");
    for (unsigned i = 0; i <= SUBRESULTS_MAX; i++)
        buffer_append_string(&input, "<testcase/>");
    text = read_whole(input.data, input.size);
    assert_string_equal(text, "=> big: line 1: it has too many test cases\n");
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files),
        cmocka_unit_test(two_bytes_a_character),
        cmocka_unit_test(what_is_too_much),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
