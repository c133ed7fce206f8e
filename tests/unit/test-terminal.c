/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The terminal sink against golden texts, in its four ways: with and without a window, a file's targets and one-liners.
 * With a window, what counts is what is on the screen in the end, so the bytes go through a small screen (below) that
 * knows the few sequences that the sink may use and fails on any other.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/file.h"
#include "report/lines.h"
#include "report/sink.h"
#include "screen.h"

/* Numbers of descriptors that are not open, so that nothing real is behind them. */
#define OUT 901
#define ERR 902

struct recorder {
    struct writer writer;
    struct buffer out;
    struct buffer err;
};

static void record(struct writer *writer, int fd, const void *data, size_t size) {
    struct recorder *recorder = (struct recorder *)writer;

    assert_true(fd == OUT || fd == ERR);
    buffer_append(fd == OUT ? &recorder->out : &recorder->err, data, size);
}

/* A sink under test and what it wrote. */
struct fixture {
    struct recorder recorder;
    struct sink *sink;
};

static struct fixture *fixture_new(const struct terminal_options *options) {
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));
    struct terminal_options complete = *options;

    complete.out_fd = options->out_fd ? options->out_fd : OUT;
    complete.err_fd = options->err_fd ? options->err_fd : ERR;
    fixture->recorder.writer.write = record;
    fixture->sink = sink_terminal_new(&complete, &fixture->recorder.writer);
    return fixture;
}

static void fixture_free(struct fixture *fixture) {
    fixture->sink->free(fixture->sink);
    buffer_deinit(&fixture->recorder.out);
    buffer_deinit(&fixture->recorder.err);
    free(fixture);
}
DEFINE_CLEANUP(cleanup_fixture, struct fixture *, fixture_free)
#define _cleanup_fixture_ _cleanup_(cleanup_fixture)

static const char *out_of(const struct fixture *fixture) {
    return fixture->recorder.out.data ? fixture->recorder.out.data : "";
}

static const char *err_of(const struct fixture *fixture) {
    return fixture->recorder.err.data ? fixture->recorder.err.data : "";
}

static void started(struct fixture *fixture, const char *name) {
    struct event event = {.type = EVENT_STARTED, .target = name};

    fixture->sink->handle(fixture->sink, &event);
}

static void stage(struct fixture *fixture, enum stage stage) {
    struct event event = {.type = EVENT_STAGE, .target = "t", .stage = stage};

    fixture->sink->handle(fixture->sink, &event);
}

static void bytes(struct fixture *fixture, enum event_type type, enum output_stream stream, const char *text) {
    struct event event = {.type = type, .target = "t", .stream = stream, .data = text, .size = strlen(text)};

    fixture->sink->handle(fixture->sink, &event);
}

static void console(struct fixture *fixture, const char *text) {
    bytes(fixture, EVENT_CONSOLE, 0, text);
}

static void output(struct fixture *fixture, const char *text) {
    bytes(fixture, EVENT_OUTPUT, OUTPUT_STDOUT, text);
}

static void errors(struct fixture *fixture, const char *text) {
    bytes(fixture, EVENT_OUTPUT, OUTPUT_STDERR, text);
}

static void notice(struct fixture *fixture, const char *text) {
    struct event event = {.type = EVENT_NOTICE, .target = "t", .text = text};

    fixture->sink->handle(fixture->sink, &event);
}

static void finished(struct fixture *fixture, enum verdict verdict, int detail, const char *reason, const char *tail) {
    struct run_result result = {.verdict = verdict, .detail = detail, .reason = reason, .console = tail};
    struct event event = {.type = EVENT_FINISHED, .target = "t", .result = &result};

    fixture->sink->handle(fixture->sink, &event);
}

/* A target up to its command, without output yet. */
static void run_to_command(struct fixture *fixture) {
    started(fixture, "t");
    stage(fixture, STAGE_PREPARE);
    stage(fixture, STAGE_BOOT);
    console(fixture, "Linux version\n");
    stage(fixture, STAGE_SETUP);
    stage(fixture, STAGE_COMMAND);
}

static const struct terminal_options plain = {0};
static const struct terminal_options plain_one_liner = {.one_liner = true};
static const struct terminal_options window = {.window = true, .columns = 80};
static const struct terminal_options window_one_liner = {.window = true, .one_liner = true, .columns = 80};

static void without_a_terminal_everything_passes_as_it_comes(void **state) {
    _cleanup_fixture_ struct fixture *fixture = fixture_new(&plain);

    started(fixture, "first");
    stage(fixture, STAGE_PREPARE);
    notice(fixture, "emulated");
    stage(fixture, STAGE_BOOT);
    console(fixture, "\033[2JBIOS\r\n[0.1] Linux");
    stage(fixture, STAGE_SETUP);
    stage(fixture, STAGE_COMMAND);
    console(fixture, "not shown\n");
    output(fixture, "a\tb\n");
    errors(fixture, "c\xff");
    finished(fixture, VERDICT_PASS, 0, "", "");
    assert_string_equal(out_of(fixture), "=> first\n"
                                         "note: emulated\n"
                                         "===> Booting\n"
                                         "\033[2JBIOS\r\n[0.1] Linux\n"
                                         "===> Setting up VM\n"
                                         "===> Running command\n"
                                         "a\tb\nc\xff\n"
                                         "PASS\n");
    assert_string_equal(err_of(fixture), "");
}

static void without_a_terminal_each_byte_is_passed_at_once(void **state) {
    _cleanup_fixture_ struct fixture *fixture = fixture_new(&plain);

    run_to_command(fixture);
    size_t before = fixture->recorder.out.size;
    output(fixture, "x");
    assert_string_equal(out_of(fixture) + before, "x");
}

static void a_failing_command_says_its_code(void **state) {
    _cleanup_fixture_ struct fixture *fixture = fixture_new(&plain);

    run_to_command(fixture);
    output(fixture, "oh no");
    finished(fixture, VERDICT_FAIL, 1, "the command exited with code 1", "tail\n");
    assert_string_equal(out_of(fixture), "=> t\n"
                                         "===> Booting\n"
                                         "Linux version\n"
                                         "===> Setting up VM\n"
                                         "===> Running command\n"
                                         "oh no\n"
                                         "Command failed with exit code: 1\n"
                                         "FAILED\n");
}

static void each_verdict_has_its_line(void **state) {
    static const struct {
        enum verdict verdict;
        int detail;
        const char *reason;
        const char *lines;
    } cases[] = {
        {VERDICT_PASS, 0, "", "PASS\n"},
        {VERDICT_FAIL, 255, "", "Command failed with exit code: 255\nFAILED\n"},
        {VERDICT_FAIL, 0, "a warning was found", "fail: a warning was found\nFAILED\n"},
        {VERDICT_SIGNAL, 11, "", "Command was ended by signal: 11 (SIGSEGV)\nFAILED\n"},
        {VERDICT_SIGNAL, 99, "", "Command was ended by signal: 99\nFAILED\n"},
        {VERDICT_TIMEOUT, 0, "the boot took longer than 60s", "timeout: the boot took longer than 60s\nFAILED\n"},
        {VERDICT_PANIC, 0, "Fatal exception", "panic: Fatal exception\nFAILED\n"},
        {VERDICT_LOST, 0, "QEMU went away", "lost: QEMU went away\nFAILED\n"},
        {VERDICT_ERROR, 0, "no\033[2J such\nfile", "error: no such file\nFAILED\n"},
        {VERDICT_CANCELLED, 2, "", "cancelled\nFAILED\n"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_fixture_ struct fixture *fixture = fixture_new(&plain);

        started(fixture, "t");
        stage(fixture, STAGE_PREPARE);
        size_t before = fixture->recorder.out.size;
        finished(fixture, cases[i].verdict, cases[i].detail, cases[i].reason, "");
        assert_string_equal(out_of(fixture) + before, cases[i].lines);
    }
}

static void the_consoles_last_lines_are_shown_unless_they_were(void **state) {
    _cleanup_fixture_ struct fixture *fixture = fixture_new(&plain);

    run_to_command(fixture);
    size_t before = fixture->recorder.out.size;
    finished(fixture, VERDICT_LOST, 0, "gone", "one\ntwo\n");
    assert_string_equal(out_of(fixture) + before, "lost: gone\nLast lines of the console:\none\ntwo\nFAILED\n");

    started(fixture, "t");
    stage(fixture, STAGE_BOOT);
    console(fixture, "one\ntwo\n");
    before = fixture->recorder.out.size;
    finished(fixture, VERDICT_TIMEOUT, 0, "slow", "one\ntwo\n");
    assert_string_equal(out_of(fixture) + before, "timeout: slow\nFAILED\n");

    started(fixture, "t");
    stage(fixture, STAGE_BOOT);
    before = fixture->recorder.out.size;
    finished(fixture, VERDICT_ERROR, 0, "bad", "one\n");
    assert_string_equal(out_of(fixture) + before, "error: bad\nLast lines of the console:\none\nFAILED\n");
}

static void of_a_command_that_failed_the_console_is_shown_as_far_as_it_is_of_its_time(void **state) {
    static const struct {
        enum verdict verdict;
        const char *during;
        const char *tail; /* of the whole console */
        const char *shown;
    } cases[] = {
        {VERDICT_FAIL, "", "Linux version\n", ""},
        {VERDICT_FAIL, "eth0: link down\n", "Linux version\neth0: link down\n",
         "Last lines of the console:\neth0: link down\n"},
        {VERDICT_SIGNAL, "eth0: link down\n", "Linux version\neth0: link down\n",
         "Last lines of the console:\neth0: link down\n"},
        {VERDICT_FAIL, "\neth0: ", "Linux version\neth0: ", "Last lines of the console:\neth0: \n"},
        {VERDICT_FAIL, "sion\neth0: up\n", "Linux version\neth0: up\n", "Last lines of the console:\neth0: up\n"},
        {VERDICT_FAIL, "sion\n", "Linux version\n", ""},
        {VERDICT_FAIL, "sion", "Linux version", ""},
        {VERDICT_FAIL, "1\n2\n3\n", "2\n3\n", "Last lines of the console:\n2\n3\n"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_fixture_ struct fixture *fixture = fixture_new(&plain);
        _cleanup_free_ char *wanted = xasprintf("%sFAILED\n", cases[i].shown);

        run_to_command(fixture);
        console(fixture, cases[i].during);
        finished(fixture, cases[i].verdict, 9, "", cases[i].tail);
        const char *said = strstr(out_of(fixture), "Command ");
        assert_non_null(said);
        assert_string_equal(strchr(said, '\n') + 1, wanted);
    }
}

static void a_console_that_was_shown_during_the_command_is_not_shown_again(void **state) {
    static const struct terminal_options all = {.all_console = true};
    _cleanup_fixture_ struct fixture *fixture = fixture_new(&all);

    run_to_command(fixture);
    size_t before = fixture->recorder.out.size;
    console(fixture, "eth0: link down\n");
    finished(fixture, VERDICT_FAIL, 1, "", "Linux version\neth0: link down\n");
    assert_string_equal(out_of(fixture) + before, "eth0: link down\nCommand failed with exit code: 1\nFAILED\n");
}

static void several_targets_are_counted_when_some_did_not_pass(void **state) {
    _cleanup_fixture_ struct fixture *fixture = fixture_new(&plain);

    fixture->sink->finish(fixture->sink, &(struct run_summary){.n_targets = 1, .n_not_passed = 1});
    fixture->sink->finish(fixture->sink, &(struct run_summary){.n_targets = 2, .n_not_passed = 0});
    assert_string_equal(out_of(fixture), "");
    fixture->sink->finish(fixture->sink, &(struct run_summary){.n_targets = 3, .n_not_passed = 1});
    assert_string_equal(out_of(fixture), "1 of 3 targets did not pass\n");
}

static void a_one_liner_keeps_standard_output_for_the_command(void **state) {
    _cleanup_fixture_ struct fixture *fixture = fixture_new(&plain_one_liner);
    struct event zeros = {.type = EVENT_OUTPUT, .target = "t", .stream = OUTPUT_STDOUT, .data = "\0\0", .size = 2};

    run_to_command(fixture);
    notice(fixture, "emulated");
    output(fixture, "out");
    errors(fixture, "err\n");
    fixture->sink->handle(fixture->sink, &zeros);
    finished(fixture, VERDICT_PASS, 0, "", "");
    fixture->sink->finish(fixture->sink, &(struct run_summary){.n_targets = 1, .n_not_passed = 0});
    assert_int_equal(fixture->recorder.out.size, 5);
    assert_memory_equal(fixture->recorder.out.data, "out\0\0", 5);
    assert_string_equal(err_of(fixture), "=> t\n"
                                         "===> Booting\n"
                                         "Linux version\n"
                                         "===> Setting up VM\n"
                                         "===> Running command\n"
                                         "note: emulated\n"
                                         "err\n");
}

static void a_failing_one_liner_gives_its_reason_on_standard_error(void **state) {
    _cleanup_fixture_ struct fixture *fixture = fixture_new(&plain_one_liner);

    run_to_command(fixture);
    output(fixture, "out");
    size_t before = fixture->recorder.err.size;
    finished(fixture, VERDICT_FAIL, 3, "", "");
    assert_string_equal(err_of(fixture) + before, "Command failed with exit code: 3\n");
    assert_string_equal(out_of(fixture), "out");
}

static void our_lines_begin_at_column_0_where_both_outputs_are_one_file(void **state) {
    struct terminal_options options = plain_one_liner;

    options.out_fd = ERR;
    _cleanup_fixture_ struct fixture *fixture = fixture_new(&options);
    run_to_command(fixture);
    size_t before = fixture->recorder.err.size;
    output(fixture, "out");
    finished(fixture, VERDICT_FAIL, 3, "", "");
    assert_string_equal(err_of(fixture) + before, "out\nCommand failed with exit code: 3\n");
}

static void a_window_collapses_when_the_target_passes(void **state) {
    _cleanup_fixture_ struct fixture *fixture = fixture_new(&window);

    run_to_command(fixture);
    output(fixture, "x\ny");
    notice(fixture, "emulated");
    assert_screen(out_of(fixture), "=> t\n"
                                   "note: emulated\n"
                                   "===> Booting\n"
                                   "===> Setting up VM\n"
                                   "===> Running command\n"
                                   "x\n"
                                   "y\n");
    finished(fixture, VERDICT_PASS, 0, "", "");
    assert_screen(out_of(fixture), "=> t\nnote: emulated\nPASS\n");

    started(fixture, "next");
    stage(fixture, STAGE_BOOT);
    finished(fixture, VERDICT_PASS, 0, "", "");
    assert_screen(out_of(fixture), "=> t\nnote: emulated\nPASS\n=> next\nPASS\n");
    assert_string_equal(err_of(fixture), "");
}

static void a_window_holds_the_last_ten_lines_of_its_stage(void **state) {
    _cleanup_fixture_ struct fixture *fixture = fixture_new(&window);

    started(fixture, "t");
    stage(fixture, STAGE_BOOT);
    for (int i = 1; i <= 12; i++) {
        _cleanup_free_ char *line = xasprintf("line %d\n", i);

        console(fixture, line);
    }
    assert_screen(out_of(fixture), "=> t\n===> Booting\nline 3\nline 4\nline 5\nline 6\nline 7\nline 8\nline 9\n"
                                   "line 10\nline 11\nline 12\n");
    console(fixture, "line 13");
    console(fixture, "th\n");
    assert_screen(out_of(fixture), "=> t\n===> Booting\nline 4\nline 5\nline 6\nline 7\nline 8\nline 9\nline 10\n"
                                   "line 11\nline 12\nline 13th\n");
    stage(fixture, STAGE_SETUP);
    assert_screen(out_of(fixture), "=> t\n===> Booting\n===> Setting up VM\n");
}

static void a_failed_stage_is_expanded_whole(void **state) {
    _cleanup_fixture_ struct fixture *fixture = fixture_new(&window);
    _cleanup_buffer_ struct buffer expected = {0};

    run_to_command(fixture);
    buffer_append_string(&expected, "=> t\n===> Booting\n===> Setting up VM\n===> Running command\n");
    for (int i = 1; i <= 30; i++) {
        _cleanup_free_ char *line = xasprintf("line %d\n", i);

        output(fixture, line);
        buffer_append_string(&expected, line);
    }
    errors(fixture, "end");
    buffer_append_string(&expected, "end\nCommand failed with exit code: 2\nFAILED\n");
    finished(fixture, VERDICT_FAIL, 2, "", "");
    assert_screen(out_of(fixture), expected.data);
}

static void a_stage_with_too_many_lines_says_that_some_were_dropped(void **state) {
    _cleanup_fixture_ struct fixture *fixture = fixture_new(&window);

    run_to_command(fixture);
    for (int i = 0; i < LINES_MAX + 5; i++)
        output(fixture, i == 5 ? "sixth\n" : "x\n");
    size_t before = fixture->recorder.out.size;
    finished(fixture, VERDICT_FAIL, 1, "", "");
    assert_non_null(
        strstr(out_of(fixture) + before, "===> Running command\n(5 earlier lines were dropped)\nsixth\nx\n"));
}

/* The text of a finding begins with its title, and may be no more than that. */
static void a_finding_is_shown_with_what_is_said_behind_its_first_line(void **state) {
    static const struct {
        const char *text, *shown;
    } cases[] = {
        {"Out of memory: Killed process 1", "The guest's kernel reported (oom): TITLE\n"},
        {"Out of memory: Killed process 1\n", "The guest's kernel reported (oom): TITLE\n"},
        {"WARNING: at x\nCPU: 0\nRIP: y\n", "The guest's kernel reported (oom): TITLE\nCPU: 0\nRIP: y\n"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_fixture_ struct fixture *fixture = fixture_new(&plain);
        struct run_result result = RUN_RESULT_EMPTY;

        result.n_findings = 1;
        result.findings[0] = (struct run_finding){.kind = "oom", .title = "TITLE", .text = cases[i].text};
        started(fixture, "t");
        fixture->sink->handle(fixture->sink, &(struct event){.type = EVENT_FINISHED, .target = "t", .result = &result});
        if (!strstr(out_of(fixture), cases[i].shown))
            fail_msg("case %zu: %s", i, out_of(fixture));
    }
}

static void colours_dim_the_window_and_redden_the_error(void **state) {
    struct terminal_options options = window;

    options.color = true;
    _cleanup_fixture_ struct fixture *fixture = fixture_new(&options);
    started(fixture, "t");
    stage(fixture, STAGE_BOOT);
    console(fixture, "hi\n");
    assert_string_equal(out_of(fixture), "=> t\n"
                                         "\033[K===> Booting\n\033[J"
                                         "\r\033[1A\033[K===> Booting\n\033[K\033[2mhi\033[0m\n\033[J");
    size_t before = fixture->recorder.out.size;
    finished(fixture, VERDICT_ERROR, 0, "bad", "");
    assert_string_equal(out_of(fixture) + before,
                        "\r\033[2A\033[K\n\033[K\n\033[2A===> Booting\nhi\n\033[31merror: bad\033[0m\n"
                        "\033[31mFAILED\033[0m\n");
    started(fixture, "u");
    before = fixture->recorder.out.size;
    finished(fixture, VERDICT_PASS, 0, "", "");
    assert_string_equal(out_of(fixture) + before, "\033[32mPASS\033[0m\n");
}

static void a_one_liners_window_is_on_standard_error_and_goes_with_its_stage(void **state) {
    _cleanup_fixture_ struct fixture *fixture = fixture_new(&window_one_liner);

    started(fixture, "t");
    stage(fixture, STAGE_BOOT);
    console(fixture, "Linux\n");
    assert_screen(err_of(fixture), "=> t\n===> Booting\nLinux\n");
    stage(fixture, STAGE_SETUP);
    stage(fixture, STAGE_COMMAND);
    console(fixture, "not shown\n");
    assert_screen(err_of(fixture), "=> t\n===> Booting\n===> Setting up VM\n===> Running command\n");
    output(fixture, "\033[1mraw\r");
    assert_string_equal(out_of(fixture), "\033[1mraw\r");
    finished(fixture, VERDICT_PASS, 0, "", "");
    assert_screen(err_of(fixture), "=> t\n===> Booting\n===> Setting up VM\n===> Running command\n");
}

static void a_one_liner_whose_boot_fails_shows_all_of_it(void **state) {
    _cleanup_fixture_ struct fixture *fixture = fixture_new(&window_one_liner);

    started(fixture, "t");
    stage(fixture, STAGE_BOOT);
    for (int i = 0; i < 12; i++)
        console(fixture, "x\n");
    finished(fixture, VERDICT_PANIC, 0, "Oops", "x\nx\n");
    assert_screen(err_of(fixture), "=> t\n===> Booting\nx\nx\nx\nx\nx\nx\nx\nx\nx\nx\nx\nx\npanic: Oops\n");
    assert_string_equal(out_of(fixture), "");
}

static void an_interactive_shell_has_the_terminal_to_itself(void **state) {
    struct terminal_options options = window_one_liner;

    options.interactive = true;
    _cleanup_fixture_ struct fixture *fixture = fixture_new(&options);
    run_to_command(fixture);
    size_t before = fixture->recorder.err.size;
    output(fixture, "$ ");
    notice(fixture, "late");
    assert_string_equal(err_of(fixture) + before, "");
    output(fixture, "exit\r\n");
    finished(fixture, VERDICT_FAIL, 1, "", "");
    assert_string_equal(err_of(fixture) + before, "note: late\n");
    assert_string_equal(out_of(fixture), "$ exit\r\n");
}

/* What a window of 20 columns makes of output. */
static void narrow_windows_clip_and_disarm(void **state) {
    static const struct {
        const char *output;
        const char *rows;
    } cases[] = {
        {"123456789012345678901234567890\n", "12345678901234567890\n"},
        {"12345678901234567890\n", "12345678901234567890\n"},
        {"a\tb\n\tc\n", "a       b\n        c\n"},
        {"1234567\t8\n12345678\t9\n", "1234567 8\n12345678        9\n"},
        /* Wide characters take two columns; one that does not fit is not shown. */
        {"\xe6\xbc\xa2\xe5\xad\x97\n", "\xe6\xbc\xa2\xe5\xad\x97\n"},
        {"123456789012345678\xe6\xbc\xa2x\n", "123456789012345678\xe6\xbc\xa2\n"},
        {"1234567890123456789\xe6\xbc\xa2x\n", "1234567890123456789\n"},
        /* Combining characters take none, and stay with what they combine with. */
        {"1234567890123456789e\xcc\x81xyz\n", "1234567890123456789e\xcc\x81\n"},
        {"\xe6\xbc\xa2\tx\n", "\xe6\xbc\xa2      x\n"},
        /* Control characters and escape sequences. */
        {"a\033[31mred\033[0mb\n", "aredb\n"},
        {"a\033[2J\033[H\033cb\n", "ab\n"},
        {"\033]0;title\007x\033]8;;http://a\033\\y\n", "xy\n"},
        {"\033P1$r\033\\dcs\033(Bz\n", "dcsz\n"},
        {"\033]never closed\nnext\n", "\nnext\n"},
        {"\033[1;\nnext\n", "\nnext\n"},
        {"bell\a\001\177\xc2\x9b"
         "31m\n",
         "bell31m\n"},
        {"10%\r20%\r30%\n", "30%\n"},
        {"dos\r\nline\r\n", "dos\nline\n"},
        {"spin|\b/\b-\n", "spin-\n"},
        {"\xe6\xbc\xa2\b\be\xcc\x81\bx\b\b\b\b\ty\n", "        y\n"},
        /* Bytes that are not UTF-8. */
        {"a\xff\xe2\x82"
         "b\n",
         "a\xef\xbf\xbd\xef\xbf\xbd"
         "b\n"},
        {"\xc3\n", "\xef\xbf\xbd\n"},
    };
    struct terminal_options options = window;

    options.columns = 20;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_fixture_ struct fixture *fixture = fixture_new(&options);
        _cleanup_fixture_ struct fixture *by_bytes = fixture_new(&options);
        _cleanup_free_ char *expected =
            xasprintf("=> t\n===> Booting\n===> Setting up VM\n===> Running command\n%s", cases[i].rows);

        run_to_command(fixture);
        output(fixture, cases[i].output);
        assert_screen(out_of(fixture), expected);

        run_to_command(by_bytes);
        for (const char *byte = cases[i].output; *byte; byte++) {
            char one[2] = {*byte, '\0'};

            output(by_bytes, one);
        }
        assert_screen(out_of(by_bytes), expected);
    }
}

static void lines_stay_within_their_memory(void **state) {
    static char text[1 << 20];
    struct lines lines;

    memset(text, 'x', sizeof(text));
    lines_init(&lines);
    for (int i = 0; i < 20; i++)
        lines_feed(&lines, text, sizeof(text));
    assert_in_range(lines.bytes, 1 << 20, LINES_MAX_BYTES);
    assert_true(lines.n_dropped > 0);
    lines_clear(&lines);
    for (int i = 0; i < 3 * LINES_MAX; i++) {
        _cleanup_free_ char *line = xasprintf("%d\n", i);

        lines_feed(&lines, line, strlen(line));
    }
    assert_int_equal(lines_count(&lines), LINES_MAX);
    assert_int_equal(lines.n_dropped, 2 * LINES_MAX);
    assert_string_equal(lines_get(&lines, 0), "20000");
    assert_string_equal(lines_get(&lines, LINES_MAX - 1), "29999");
    lines_deinit(&lines);
}

static void names_are_shown_without_control_characters(void **state) {
    _cleanup_fixture_ struct fixture *fixture = fixture_new(&plain);

    started(fixture, "a\033[31mb\nc");
    assert_string_equal(out_of(fixture), "=> ab c\n");
}

static void what_was_never_started_is_only_counted(void **state) {
    _cleanup_fixture_ struct fixture *fixture = fixture_new(&(struct terminal_options){.again = "vmtest"});

    run_to_command(fixture);
    finished(fixture, VERDICT_FAIL, 1, "", "");
    size_t before = strlen(out_of(fixture));
    finished(fixture, VERDICT_SKIPPED, 0, "not started, since 't' did not pass (--fail-fast)", "");
    assert_int_equal(strlen(out_of(fixture)), before);
    fixture->sink->finish(
        fixture->sink,
        &(struct run_summary){.n_targets = 2, .n_not_passed = 2, .n_of = {[VERDICT_FAIL] = 1, [VERDICT_SKIPPED] = 1}});
    assert_string_equal(out_of(fixture) + before, "2 targets: 0 passed, 2 not passed (1 fail, 1 skipped)\n");
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_terminal_everything_passes_as_it_comes),
        cmocka_unit_test(without_a_terminal_each_byte_is_passed_at_once),
        cmocka_unit_test(a_failing_command_says_its_code),
        cmocka_unit_test(each_verdict_has_its_line),
        cmocka_unit_test(the_consoles_last_lines_are_shown_unless_they_were),
        cmocka_unit_test(of_a_command_that_failed_the_console_is_shown_as_far_as_it_is_of_its_time),
        cmocka_unit_test(a_console_that_was_shown_during_the_command_is_not_shown_again),
        cmocka_unit_test(several_targets_are_counted_when_some_did_not_pass),
        cmocka_unit_test(a_one_liner_keeps_standard_output_for_the_command),
        cmocka_unit_test(a_failing_one_liner_gives_its_reason_on_standard_error),
        cmocka_unit_test(our_lines_begin_at_column_0_where_both_outputs_are_one_file),
        cmocka_unit_test(a_window_collapses_when_the_target_passes),
        cmocka_unit_test(a_window_holds_the_last_ten_lines_of_its_stage),
        cmocka_unit_test(a_failed_stage_is_expanded_whole),
        cmocka_unit_test(what_was_never_started_is_only_counted),
        cmocka_unit_test(a_stage_with_too_many_lines_says_that_some_were_dropped),
        cmocka_unit_test(a_finding_is_shown_with_what_is_said_behind_its_first_line),
        cmocka_unit_test(colours_dim_the_window_and_redden_the_error),
        cmocka_unit_test(a_one_liners_window_is_on_standard_error_and_goes_with_its_stage),
        cmocka_unit_test(a_one_liner_whose_boot_fails_shows_all_of_it),
        cmocka_unit_test(an_interactive_shell_has_the_terminal_to_itself),
        cmocka_unit_test(narrow_windows_clip_and_disarm),
        cmocka_unit_test(lines_stay_within_their_memory),
        cmocka_unit_test(names_are_shown_without_control_characters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
