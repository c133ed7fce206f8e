/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report-sample KIND SEED [TARGETS [FACTOR]]: prints the report of a made-up run whose guests write the worst that SEED
 * can think of, for tests/peers/test_reports.py to read. TARGETS bounds their number; FACTOR makes reasons, messages
 * and the like so much longer. Where the seed is odd, the targets are those of a matrix. Its first line on standard
 * error counts what the report has to say: "TARGETS NOT-PASSED SUBRESULTS FAILED-SUBRESULTS".
 */
#include <stdio.h>

#include "report/collect.h"
#include "report/formats/github.h"
#include "report/formats/report-request.h"

static unsigned long long state;
static unsigned factor = 1;

static unsigned draw(unsigned below) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (unsigned)(state >> 33) % below;
}

static char *draw_text(unsigned pieces) {
    static const char *const nasty[] = {
        "]]>",
        "<b>&amp;</b>",
        "\033[31mred\033[0m",
        "\r\n",
        "\n",
        "\xff\xfe",
        "\xed\xa0\x80",
        "\xef\xbf\xbf",
        "\xef\xbf\xbe",
        "```",
        "\"quoted\"",
        "back\\slash",
        "# hash",
        "1..5\nnot ok 1",
        "::error::x",
        "\t",
        "\x01\x02",
        "\x7f",
        "\xc2\x85",
        "\xe2\x80\xa8",
        "| pipe",
        "<!-- ",
        "--> <![CDATA[",
        "\xc3\xa4",
        "\xf0\x9f\x98\x80",
        "\xf0\x9f",
        "- ",
        "...\n---\n",
        " ",
        "plain text",
        "<script>",
        "'",
        "%0A",
        "oops: BUG",
        " : ",
        ": ",
        "\xef\xbb\xbf",
    };
    struct buffer text = {0};

    for (unsigned n = draw(pieces + 1); n > 0; n--)
        buffer_append_string(&text, nasty[draw(ARRAY_SIZE(nasty))]);
    return buffer_take(&text);
}

static void take(struct collector *collector, struct event event, const struct job *job) {
    static uint64_t now;

    now += draw(2000000000);
    event.nsec = now;
    event.job = job;
    event.target = job->name;
    event.attempt = 1;
    collector_take(collector, &event);
}

static void take_result(struct collector *collector, const struct job *job, enum event_type type,
                        enum verdict verdict) {
    struct run_result result = RUN_RESULT_EMPTY;
    char *texts[6];

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        texts[i] = draw_text(8 * factor);
    result.verdict = verdict;
    result.detail = verdict == VERDICT_SIGNAL ? 11 : (int)draw(2);
    result.reason = texts[0];
    result.tasks = texts[1];
    result.kernel_release = texts[2];
    result.n_findings = draw(3);
    for (size_t i = 0; i < result.n_findings; i++)
        result.findings[i] = (struct run_finding){"warn", texts[3], texts[4]};
    result.nsec[STAGE_BOOT] = draw(1000000000);
    take(collector, (struct event){.type = type, .result = &result}, job);
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        free(texts[i]);
}

static void take_job(struct collector *collector, const struct job *job, unsigned *n_failed_subresults,
                     unsigned *n_subresults) {
    enum verdict verdict = draw(VERDICT_COUNT);

    take(collector, (struct event){.type = EVENT_STARTED}, job);
    if (verdict == VERDICT_FLAKY) {
        take_result(collector, job, EVENT_RETRY, VERDICT_TIMEOUT);
        take(collector, (struct event){.type = EVENT_STARTED}, job);
    }
    for (unsigned n = draw(4); n > 0; n--) {
        char *output = draw_text(3000);

        take(collector,
             (struct event){.type = draw(2) ? EVENT_OUTPUT : EVENT_CONSOLE, .data = output, .size = strlen(output)},
             job);
        free(output);
    }
    for (unsigned n = draw(2) * draw(9); n > 0; n--) {
        char *name = draw_text(3);
        char *message = draw_text(5 * factor);
        char *output = draw_text(5);
        const struct run_subresult subresult = {
            .name = name, .status = draw(SUBRESULT_COUNT), .message = message, .output = draw(2) ? output : NULL};

        take(collector, (struct event){.type = EVENT_SUBRESULT, .subresult = &subresult}, job);
        *n_failed_subresults += subresult.status == SUBRESULT_FAIL;
        ++*n_subresults;
        free(name);
        free(message);
        free(output);
    }
    if (draw(10) > 0) /* else the run is killed before */
        take_result(collector, job, EVENT_FINISHED, verdict);
}

static struct target *make_target(size_t index, bool in_matrix) {
    struct target *target = target_new();
    char *name = draw_text(4);

    free(target->name);
    target->name = xasprintf("%zu%s", index, name);
    free(name);
    if (in_matrix) {
        target->n_axes = 2;
        target->axes = xcalloc(target->n_axes, sizeof(*target->axes));
        for (size_t i = 0; i < target->n_axes; i++)
            target->axes[i] = (struct target_axis){.name = xstrdup(i == 0 ? "test" : "kernel"),
                                                   .value = xstrdup("x"),
                                                   .label = xasprintf("%zu]|`<b>", i == 0 ? index / 4 : index % 4)};
    }
    return target;
}

int main(int argc, char **argv) {
    struct target *targets[400];
    _cleanup_buffer_ struct buffer out = {0};
    unsigned n_failed_subresults = 0;
    unsigned n_subresults = 0;
    unsigned long targets_max = argc > 3 ? strtoul(argv[3], NULL, 10) : 20;
    size_t n_targets;

    if (argc < 3 || argc > 5 || targets_max > ARRAY_SIZE(targets))
        return 2;
    state = strtoull(argv[2], NULL, 10);
    factor = argc > 4 ? (unsigned)strtoul(argv[4], NULL, 10) : 1;
    bool in_matrix = state % 2 == 1;
    n_targets = draw((unsigned)targets_max + 1);
    for (size_t i = 0; i < n_targets; i++)
        targets[i] = make_target(i, in_matrix);
    _cleanup_run_plan_ struct run_plan *plan = run_plan_new(targets, n_targets, 0);
    _cleanup_report_ struct report *report = report_new(plan);
    struct collector *collector = collector_new(report, "vmtest", false);
    for (size_t i = 0; i < n_targets; i++)
        take_job(collector, &plan->jobs[i], &n_failed_subresults, &n_subresults);
    collector_free(collector);
    report->summary = report_count(report);

    if (str_equal(argv[1], "github")) {
        report_write_github(report, NULL, &out);
    } else {
        struct report_request request;
        _cleanup_free_ char *text = xasprintf("%s=x", argv[1]);

        if (report_request_parse(text, &request, NULL) < 0)
            return 2;
        request.writer->write(report, &out);
    }
    (void)fwrite(out.data, 1, out.size, stdout);
    (void)fprintf(stderr, "%zu %u %u %u\n", n_targets, report->summary.n_not_passed, n_subresults, n_failed_subresults);
    for (size_t i = 0; i < n_targets; i++)
        target_free(targets[i]);
    return 0;
}
