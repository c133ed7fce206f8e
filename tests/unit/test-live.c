/* SPDX-License-Identifier: Apache-2.0 */
/* Several targets at once: the live view on a screen, blocks, prefixed lines, and where blocks are kept meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "report/lines.h"
#include "report/sink.h"
#include "report/screen/spool.h"
#include "supervise/schedule.h"
#include "screen.h"

#define OUT 901
#define ERR 902
#define N_JOBS 5

struct recorder {
    struct writer writer;
    struct buffer out;
};

static void record(struct writer *writer, int fd, const void *data, size_t size) {
    buffer_append(&((struct recorder *)writer)->out, data, size);
}

struct fixture {
    struct recorder recorder;
    struct target *targets[N_JOBS];
    struct run_plan *plan;
    struct sink *sink;
    uint64_t now;
};

static const struct terminal_options terminal = {.out_fd = OUT, .err_fd = ERR, .columns = 60};

static struct fixture *fixture_new(void) {
    static const char *const names[N_JOBS] = {"one", "two", "three", "four", "five"};
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));

    for (size_t i = 0; i < N_JOBS; i++) {
        fixture->targets[i] = target_new();
        free(fixture->targets[i]->name);
        fixture->targets[i]->name = xstrdup(names[i]);
    }
    fixture->plan = run_plan_new(fixture->targets, N_JOBS, 0);
    fixture->plan->n_slots = 2;
    fixture->recorder.writer.write = record;
    return fixture;
}

static void fixture_free(struct fixture *fixture) {
    if (fixture->sink)
        fixture->sink->free(fixture->sink);
    run_plan_free(fixture->plan);
    for (size_t i = 0; i < N_JOBS; i++)
        target_free(fixture->targets[i]);
    buffer_deinit(&fixture->recorder.out);
    free(fixture);
}
DEFINE_CLEANUP(cleanup_fixture, struct fixture *, fixture_free)
#define _cleanup_fixture_ _cleanup_(cleanup_fixture)

static struct fixture *live_new(unsigned columns) {
    struct fixture *fixture = fixture_new();
    struct live_options options = {.terminal = terminal};

    options.terminal.columns = columns;
    fixture->sink = sink_live_new(&options, fixture->plan, &fixture->recorder.writer);
    return fixture;
}

static struct fixture *many_new(enum many_style style) {
    struct fixture *fixture = fixture_new();
    const struct many_options options = {.terminal = terminal, .style = style};

    fixture->sink = sink_many_new(&options, &fixture->recorder.writer);
    return fixture;
}

/* One second after the last event. */
static void tell(struct fixture *fixture, size_t job, struct event event) {
    fixture->now += NSEC_PER_SEC;
    event.nsec = fixture->now;
    event.job = &fixture->plan->jobs[job];
    event.target = event.job->name;
    event.attempt = event.attempt ? event.attempt : 1;
    fixture->sink->handle(fixture->sink, &event);
}

static void start(struct fixture *fixture, size_t job) {
    tell(fixture, job, (struct event){.type = EVENT_STARTED});
    tell(fixture, job, (struct event){.type = EVENT_STAGE, .stage = STAGE_BOOT});
    tell(fixture, job, (struct event){.type = EVENT_STAGE, .stage = STAGE_COMMAND});
}

static void say(struct fixture *fixture, size_t job, const char *text) {
    tell(fixture, job,
         (struct event){.type = EVENT_OUTPUT, .stream = OUTPUT_STDOUT, .data = text, .size = strlen(text)});
}

static void result(struct fixture *fixture, size_t job, enum event_type type, enum verdict verdict, int detail) {
    struct run_result ended = RUN_RESULT_EMPTY;

    ended.verdict = verdict;
    ended.detail = detail;
    ended.stage = STAGE_COMMAND;
    tell(fixture, job, (struct event){.type = type, .result = &ended});
}

static void summary(struct fixture *fixture) {
    const struct run_summary counts = {
        .n_targets = 5,
        .n_not_passed = 2,
        .n_of = {[VERDICT_PASS] = 2, [VERDICT_FLAKY] = 1, [VERDICT_FAIL] = 1, [VERDICT_PANIC] = 1}};

    fixture->sink->finish(fixture->sink, &counts);
}

#define SUMMARY "5 targets: 2 passed, 1 flaky, 2 not passed (1 fail, 1 panic)\n"

static void assert_shown(const struct fixture *fixture, const char *expected) {
    assert_screen(fixture->recorder.out.data, expected);
}

static void the_live_view_has_a_row_for_each_that_runs(void **state) {
    _cleanup_fixture_ struct fixture *fixture = live_new(60);

    start(fixture, 0);
    start(fixture, 1);
    say(fixture, 1, "building\n\n  \nhalf a l");
    assert_shown(fixture, "one  command 6s\n"
                          "two  command 3s  building\n"
                          "0/5, 2 running\n");
    result(fixture, 0, EVENT_FINISHED, VERDICT_PASS, 0);
    assert_shown(fixture, "PASS  one  7s\n"
                          "two  command 4s  building\n"
                          "1/5, 1 running, about 12s left\n");
    say(fixture, 1, "ine\n");
    result(fixture, 1, EVENT_FINISHED, VERDICT_FAIL, 3);
    assert_shown(fixture, "PASS  one  7s\n"
                          "=> two\n"
                          "===> Booting\n"
                          "===> Running command\n"
                          "building\n"
                          "\n"
                          "  \n"
                          "half a line\n"
                          "Command failed with exit code: 3\n"
                          "FAILED\n"
                          "2/5, 1 not passed, 0 running, about 10s left\n");
    summary(fixture);
    _cleanup_free_ char *shown = screen_show(fixture->recorder.out.data);
    assert_true(str_has_suffix(shown, "FAILED\n" SUMMARY));
}

static void a_retry_and_a_flaky_end_are_shown(void **state) {
    _cleanup_fixture_ struct fixture *fixture = live_new(60);

    start(fixture, 0);
    result(fixture, 0, EVENT_RETRY, VERDICT_FAIL, 1);
    tell(fixture, 0, (struct event){.type = EVENT_STARTED, .attempt = 2});
    assert_shown(fixture, "one (attempt 2)  prepare 0s\n0/5, 1 running\n");
    result(fixture, 0, EVENT_FINISHED, VERDICT_FLAKY, 0);
    assert_shown(fixture, "=> one\n"
                          "attempt 1: Command failed with exit code: 1; trying again\n"
                          "=> one\n"
                          "flaky\n"
                          "FLAKY\n"
                          "1/5, 1 flaky, 0 running, about 10s left\n"); /* both attempts took 5 s */
}

/* Every row fits, whatever the guest writes: wide and combining characters, sequences, control characters. */
static void a_row_is_never_wider_than_the_terminal(void **state) {
    static const char *const lines[] = {
        "plain and much longer than the width of the terminal\n",
        "\xe6\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2"
        "\n",
        "o\xcc\x81o\xcc\x81o\xcc\x81o\xcc\x81o\xcc\x81o\xcc\x81o\xcc\x81o\xcc\x81o\xcc\x81\n",
        "\033[2J\033[999A\033]0;title\007gone\n",
        "a\rb\tc\x01\x7f\xff\xc2\x9b"
        "31m\n",
    };

    for (unsigned columns = 20; columns <= 24; columns++) {
        for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
            _cleanup_fixture_ struct fixture *fixture = live_new(columns);
            const char *p;

            start(fixture, 0);
            say(fixture, 0, lines[i]);
            _cleanup_free_ char *shown = screen_show(fixture->recorder.out.data);
            assert_non_null(strstr(shown, "one  command 3s"));
            for (p = shown; *p; p += strcspn(p, "\n") + 1) {
                _cleanup_free_ char *row = xstrndup(p, strcspn(p, "\n"));

                assert_int_equal(text_clip(row, columns), strlen(row));
            }
        }
    }
}

/* What joins characters to one picture is as wide as a terminal thinks: it is not shown. */
static void a_row_has_nothing_of_unknown_width(void **state) {
    _cleanup_fixture_ struct fixture *fixture = live_new(60);

    start(fixture, 0);
    say(fixture, 0,
        "\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x91\xa7 \xe2\x9d\xa4\xef\xb8\x8f \xf0\x9f\x91\x8d\xf0\x9f\x8f\xbd!\n");
    assert_shown(fixture, "one  command 3s  \xf0\x9f\x91\xa9\xf0\x9f\x91\xa7 \xe2\x9d\xa4 \xf0\x9f\x91\x8d!\n"
                          "0/5, 1 running\n");
}

/* A pseudo terminal, so that there is a size that changes. */
static struct fixture *live_on_terminal(int *ret_fd, int *ret_other) {
    struct fixture *fixture = fixture_new();
    struct live_options options = {.terminal = terminal};

    assert_int_equal(openpty(ret_fd, ret_other, NULL, NULL, NULL), 0);
    options.terminal.columns = 0;
    options.terminal.out_fd = *ret_other;
    fixture->sink = sink_live_new(&options, fixture->plan, &fixture->recorder.writer);
    return fixture;
}

static void resize(int fd, unsigned short columns, unsigned short rows) {
    const struct winsize size = {.ws_col = columns, .ws_row = rows};

    assert_int_equal(ioctl(fd, TIOCSWINSZ, &size), 0);
}

/* Where a terminal has wrapped the rows, the way up is that of the rows that there are now. */
static void rows_that_were_wrapped_are_counted_as_the_terminal_wraps_them(void **state) {
#define WIDE "\xe6\xbc\xa2"
    static const struct {
        const char *line;
        unsigned short columns;
        const char *up; /* of "one  command 3s  LINE" and the counts */
    } cases[] = {
        {"plain", 80, "\r\033[2A"},
        {"plain", 22, "\r\033[2A"},
        {"plain", 21, "\r\033[3A"},
        /* 17 columns, and wide characters behind them: 23 in all. The last place of a row of 20 stays empty. */
        {WIDE WIDE WIDE, 20, "\r\033[3A"},
        {WIDE WIDE WIDE, 9, "\r\033[5A"},
        {WIDE WIDE WIDE WIDE WIDE WIDE WIDE WIDE WIDE, 5, "\r\033[11A"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        int fd;
        int other;
        _cleanup_fixture_ struct fixture *fixture = live_on_terminal(&fd, &other);
        _cleanup_free_ char *line = xasprintf("%s\n", cases[i].line);

        resize(fd, 80, 24);
        start(fixture, 0);
        say(fixture, 0, line);
        size_t drawn = fixture->recorder.out.size;
        resize(fd, cases[i].columns, 24);
        fixture->sink->tick(fixture->sink, fixture->now + NSEC_PER_SEC);
        const char *redraw = fixture->recorder.out.data + drawn;
        if (!str_skip_prefix(redraw, cases[i].up))
            fail_msg("case %zu: %.12s", i, redraw + 1);
        (void)close(fd);
        (void)close(other);
    }
#undef WIDE
}

static void redraws_are_bounded(void **state) {
    _cleanup_fixture_ struct fixture *fixture = live_new(60);
    struct event event = {.type = EVENT_OUTPUT, .stream = OUTPUT_STDOUT, .data = "x\n", .size = 2};
    size_t before;

    start(fixture, 0);
    before = fixture->recorder.out.size;
    event.job = &fixture->plan->jobs[0];
    event.target = event.job->name;
    event.nsec = fixture->now;
    for (int i = 0; i < 1000; i++)
        fixture->sink->handle(fixture->sink, &event);
    assert_int_equal(fixture->recorder.out.size, before);
    fixture->sink->tick(fixture->sink, fixture->now + NSEC_PER_SEC);
    assert_true(fixture->recorder.out.size > before);
    assert_shown(fixture, "one  command 3s  x\n0/5, 1 running\n");
}

/* Workers do not speak in the order of their clocks. */
static void an_event_from_before_is_no_reason_to_draw(void **state) {
    _cleanup_fixture_ struct fixture *fixture = live_new(60);
    struct event event = {.type = EVENT_OUTPUT, .stream = OUTPUT_STDOUT, .data = "x\n", .size = 2};
    size_t before;

    start(fixture, 0);
    start(fixture, 1);
    before = fixture->recorder.out.size;
    for (size_t i = 0; i < 1000; i++) {
        event.job = &fixture->plan->jobs[i % 2];
        event.target = event.job->name;
        event.nsec = fixture->now - i % 2;
        fixture->sink->handle(fixture->sink, &event);
    }
    assert_int_equal(fixture->recorder.out.size, before);
}

/* However soon after a redraw a target ends, its verdict and the rows of the others are seen together. */
static void the_rows_are_there_behind_every_verdict(void **state) {
    _cleanup_fixture_ struct fixture *fixture = live_new(60);

    start(fixture, 0);
    start(fixture, 1);
    start(fixture, 2);
    for (size_t i = 0; i < 3; i++) {
        size_t before = fixture->recorder.out.size;

        fixture->now -= NSEC_PER_SEC; /* it comes at the same time as the last event */
        result(fixture, i, EVENT_FINISHED, i == 1 ? VERDICT_FAIL : VERDICT_PASS, 1);
        assert_true(i == 1 || fixture->recorder.out.size == before);
        _cleanup_free_ char *shown = screen_show(fixture->recorder.out.data);
        if (!strstr(strrchr(shown, '/'), " running"))
            fail_msg("job %zu: %s", i, shown);
    }
    fixture->sink->tick(fixture->sink, fixture->now + NSEC_PER_SEC);
    _cleanup_free_ char *shown = screen_show(fixture->recorder.out.data);
    assert_true(str_has_suffix(shown, "FAILED\nPASS  three  2s\n3/5, 1 not passed, 0 running, about 5s left\n"));
    assert_true(strstr(shown, "PASS  one  8s\n=> two\n") == shown);
}

static void assert_estimate(const struct fixture *fixture, const char *expected) {
    _cleanup_free_ char *shown = screen_show(fixture->recorder.out.data);
    const char *row = strrchr(shown, '/');

    assert_non_null(row);
    if (!strstr(row, expected))
        fail_msg("no '%s' in '%s'", expected, row);
}

/* Five jobs of 100 seconds, one of which has run for three. */
static struct fixture *live_with_times(void) {
    struct fixture *fixture = live_new(60);

    for (size_t i = 0; i < N_JOBS; i++)
        fixture->plan->jobs[i].expected_nsec = 100 * NSEC_PER_SEC;
    return fixture;
}

static void the_estimate_counts_slots_memory_and_processors(void **state) {
    _cleanup_fixture_ struct fixture *slots = live_with_times();
    _cleanup_fixture_ struct fixture *memory = live_with_times();
    _cleanup_fixture_ struct fixture *cpus = live_with_times();
    _cleanup_fixture_ struct fixture *large = live_with_times();

    start(slots, 0); /* 498 s of work on two slots */
    assert_estimate(slots, "about 4m09s left");
    /* Four slots for the small ones, but most of them fill the host. */
    memory->plan->n_slots = 4;
    memory->plan->memory_limit = schedule_memory(memory->targets[0]);
    start(memory, 0);
    assert_estimate(memory, "about 8m18s left");
    cpus->plan->n_slots = 4;
    cpus->plan->cpu_limit = 2 * cpus->targets[0]->num_cpus;
    start(cpus, 0);
    assert_estimate(cpus, "about 4m09s left");
    /* One that is larger than the host takes no more than the host. */
    large->plan->n_slots = 4;
    large->plan->memory_limit = 1;
    start(large, 0);
    assert_estimate(large, "about 8m18s left");
}

static void the_estimate_leaves_out_what_will_not_start(void **state) {
    _cleanup_fixture_ struct fixture *fixture = live_with_times();
    _cleanup_fixture_ struct fixture *cancelled = live_with_times();

    fixture->plan->fail_fast = true;
    start(fixture, 0);
    start(fixture, 1);
    result(fixture, 0, EVENT_FINISHED, VERDICT_FAIL, 1);
    assert_estimate(fixture, "1 not passed, 1 running, about 1m37s left");
    result(fixture, 1, EVENT_FINISHED, VERDICT_PASS, 0);
    assert_estimate(fixture, "1 not passed, 0 running\n");

    start(cancelled, 0);
    start(cancelled, 1);
    result(cancelled, 0, EVENT_FINISHED, VERDICT_CANCELLED, 2);
    assert_estimate(cancelled, "1 running, about 1m37s left");
}

static void what_was_never_started_is_only_counted(void **state) {
    _cleanup_fixture_ struct fixture *fixture = live_new(60);

    result(fixture, 3, EVENT_FINISHED, VERDICT_SKIPPED, 0);
    assert_shown(fixture, "1/5, 1 not passed, 0 running\n");
}

static void blocks_come_whole_and_in_the_order_of_the_ends(void **state) {
    _cleanup_fixture_ struct fixture *fixture = many_new(MANY_BLOCKS);

    start(fixture, 0);
    start(fixture, 1);
    say(fixture, 0, "from one\n");
    say(fixture, 1, "from two\n");
    assert_int_equal(fixture->recorder.out.size, 0);
    result(fixture, 1, EVENT_FINISHED, VERDICT_PASS, 0);
    say(fixture, 0, "more from one");
    result(fixture, 0, EVENT_FINISHED, VERDICT_FAIL, 1);
    summary(fixture);
    assert_string_equal(fixture->recorder.out.data, "=> two\n"
                                                    "===> Booting\n"
                                                    "===> Running command\n"
                                                    "from two\n"
                                                    "PASS\n"
                                                    "=> one\n"
                                                    "===> Booting\n"
                                                    "===> Running command\n"
                                                    "from one\n"
                                                    "more from one\n"
                                                    "Command failed with exit code: 1\n"
                                                    "FAILED\n" SUMMARY);
}

static void quiet_shows_what_did_not_pass(void **state) {
    _cleanup_fixture_ struct fixture *fixture = many_new(MANY_FAILED_BLOCKS);

    start(fixture, 0);
    result(fixture, 0, EVENT_FINISHED, VERDICT_PASS, 0);
    assert_int_equal(fixture->recorder.out.size, 0);
    start(fixture, 1);
    result(fixture, 1, EVENT_FINISHED, VERDICT_TIMEOUT, 0);
    summary(fixture);
    assert_string_equal(fixture->recorder.out.data, "=> two\n"
                                                    "===> Booting\n"
                                                    "===> Running command\n"
                                                    "timeout\n"
                                                    "FAILED\n" SUMMARY);
}

static void verbose_puts_the_name_in_front_of_each_line(void **state) {
    _cleanup_fixture_ struct fixture *fixture = many_new(MANY_PREFIXED);

    start(fixture, 0);
    start(fixture, 1);
    say(fixture, 0, "begun ");
    say(fixture, 1, "a\nb\n");
    say(fixture, 0, "and ended\nrest");
    result(fixture, 0, EVENT_FINISHED, VERDICT_PASS, 0);
    assert_string_equal(fixture->recorder.out.data, "one | => one\n"
                                                    "one | ===> Booting\n"
                                                    "one | ===> Running command\n"
                                                    "two | => two\n"
                                                    "two | ===> Booting\n"
                                                    "two | ===> Running command\n"
                                                    "two | a\n"
                                                    "two | b\n"
                                                    "one | begun and ended\n"
                                                    "one | rest\n"
                                                    "one | PASS\n");
}

static void spool(const char *directory, size_t size, struct recorder *recorder) {
    struct spool kept;

    assert_int_equal(setenv("TMPDIR", directory, 1), 0);
    spool_init(&kept);
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)(i * 7 + i / 251);

        kept.writer.write(&kept.writer, OUT, &byte, 1);
    }
    assert_true(kept.memory.size <= SPOOL_MEMORY);
    spool_flush(&kept, &recorder->writer);
    spool_deinit(&kept);
}

static void a_spool_keeps_every_byte_however_many(void **state) {
    static const size_t sizes[] = {0, 1, SPOOL_MEMORY / 9, SPOOL_MEMORY, 10 * SPOOL_MEMORY + 1};

    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        struct recorder recorder = {.writer = {record}};

        spool("/tmp", sizes[i], &recorder);
        assert_int_equal(recorder.out.size, sizes[i]);
        for (size_t k = 0; k < sizes[i]; k++)
            assert_int_equal((unsigned char)recorder.out.data[k], (unsigned char)(k * 7 + k / 251));
        buffer_deinit(&recorder.out);
    }
}

static void a_spool_without_a_place_keeps_the_end_and_says_so(void **state) {
    struct recorder recorder = {.writer = {record}};
    size_t size = 10 * (size_t)SPOOL_MEMORY;

    spool("/nonexistent", size, &recorder);
    assert_non_null(strstr(recorder.out.data, " earlier bytes were dropped"));
    assert_true(recorder.out.size < SPOOL_MEMORY);
    for (size_t i = 1; i < 1000; i++) {
        size_t k = size - i;

        assert_int_equal((unsigned char)recorder.out.data[recorder.out.size - i], (unsigned char)(k * 7 + k / 251));
    }
    buffer_deinit(&recorder.out);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_live_view_has_a_row_for_each_that_runs),
        cmocka_unit_test(a_retry_and_a_flaky_end_are_shown),
        cmocka_unit_test(a_row_is_never_wider_than_the_terminal),
        cmocka_unit_test(a_row_has_nothing_of_unknown_width),
        cmocka_unit_test(rows_that_were_wrapped_are_counted_as_the_terminal_wraps_them),
        cmocka_unit_test(redraws_are_bounded),
        cmocka_unit_test(an_event_from_before_is_no_reason_to_draw),
        cmocka_unit_test(the_rows_are_there_behind_every_verdict),
        cmocka_unit_test(the_estimate_counts_slots_memory_and_processors),
        cmocka_unit_test(the_estimate_leaves_out_what_will_not_start),
        cmocka_unit_test(what_was_never_started_is_only_counted),
        cmocka_unit_test(blocks_come_whole_and_in_the_order_of_the_ends),
        cmocka_unit_test(quiet_shows_what_did_not_pass),
        cmocka_unit_test(verbose_puts_the_name_in_front_of_each_line),
        cmocka_unit_test(a_spool_keeps_every_byte_however_many),
        cmocka_unit_test(a_spool_without_a_place_keeps_the_end_and_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
