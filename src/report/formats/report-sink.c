/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sink of --report. The files are written before anything runs, so that one that cannot be is told at once; now
 * and then while targets finish, so that a run which is killed leaves what there was; and at the end.
 */
#include <fcntl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "report/collect.h"
#include "report/formats/github.h"
#include "report/sink.h"
#include "report/formats/report-request.h"

#define REQUESTS_MAX 16
/*
 * How often they are written: not more often than this, but a failure at once, so that it is not lost with a run that
 * is killed; and at most a twentieth of the time goes there.
 */
#define INTERVAL (5 * NSEC_PER_SEC)
#define INTERVAL_FACTOR 20

struct files_sink {
    struct sink sink; /* first, so that a pointer to it is one to this */
    struct writer *writer;
    int github_fd;
    bool github;                   /* it is asked for */
    char token[GITHUB_TOKEN_SIZE]; /* "" unless the runner takes no commands until it comes */
    const struct run_plan *plan;
    struct report *report;
    struct collector *collector;
    char *texts[REQUESTS_MAX]; /* what the requests' paths point into */
    struct report_request requests[REQUESTS_MAX];
    size_t n_requests;
    uint64_t next_write;  /* clock_now() of it */
    uint64_t next_urgent; /* of a failure's */
    bool unwritten;       /* there is something to write, */
    bool urgent;          /* and it is a failure */
    struct error *error;  /* the first one */
};

static struct files_sink *files_of(struct sink *sink) {
    return (struct files_sink *)sink;
}

/* One that fails does not hold the others up. */
static int write_files(struct files_sink *files, struct error **ret_error) {
    uint64_t begin = clock_now();
    int result = 0;

    for (size_t i = 0; i < files->n_requests; i++) {
        int r = files->requests[i].writer->has_file
                    ? report_request_write(&files->requests[i], files->report, ret_error)
                    : 0;

        result = result < 0 ? result : r;
    }
    uint64_t end = clock_now();
    uint64_t taken = (end - begin) * INTERVAL_FACTOR;
    files->next_write = end + (taken > INTERVAL ? taken : INTERVAL);
    files->next_urgent = end + taken;
    files->unwritten = result < 0; /* again with the next interval */
    files->urgent = false;
    return result;
}

static void write_to_github(struct files_sink *files, const struct buffer *text) {
    files->writer->write(files->writer, files->github_fd, text->data ? text->data : "", text->size);
}

/* While targets run the guests' output goes to the runner as well, which would take their commands. */
static void stop_github(struct files_sink *files) {
    _cleanup_buffer_ struct buffer text = {0};

    github_token(files->token);
    github_stop(files->token, &text);
    write_to_github(files, &text);
}

static void resume_github(struct files_sink *files, struct buffer *out) {
    if (files->token[0] == '\0')
        return;
    buffer_append_string(out, "\n"); /* a guest may have left a line open */
    github_resume(files->token, out);
    files->token[0] = '\0';
}

static void write_github(struct files_sink *files, struct error **ret_error) {
    const char **where = xcalloc(files->plan->n_jobs, sizeof(*where));
    _cleanup_buffer_ struct buffer text = {0};

    for (size_t i = 0; i < files->plan->n_jobs; i++)
        where[i] = files->plan->jobs[i].target->where[KEY_NAME];
    resume_github(files, &text);
    report_write_github(files->report, where, &text);
    free(where);
    write_to_github(files, &text);
    (void)!report_append_step_summary(files->report, ret_error);
}

static void write_if_due(struct files_sink *files) {
    _cleanup_error_ struct error *error = NULL;

    if (!files->unwritten || clock_now() < (files->urgent ? files->next_urgent : files->next_write))
        return;
    files->report->summary = report_count(files->report);
    (void)!write_files(files, &error); /* what matters is the last time */
}

static void files_handle(struct sink *sink, const struct event *event) {
    struct files_sink *files = files_of(sink);

    collector_take(files->collector, event);
    if (event->type == EVENT_FINISHED || event->type == EVENT_RETRY) {
        files->unwritten = true;
        files->urgent = files->urgent || !verdict_passed(event->result->verdict);
    }
    write_if_due(files);
}

/* What came too early to be written is not to wait for the next target's end, which may take hours. */
static void files_tick(struct sink *sink, uint64_t nsec) {
    (void)nsec;
    write_if_due(files_of(sink));
}

static void files_finish(struct sink *sink, const struct run_summary *summary) {
    struct files_sink *files = files_of(sink);

    files->report->summary = *summary;
    (void)!write_files(files, &files->error);
    if (files->github)
        write_github(files, &files->error);
}

static void files_free(struct sink *sink) {
    struct files_sink *files = files_of(sink);

    if (!files)
        return;
    if (files->token[0]) { /* it was never finished */
        _cleanup_buffer_ struct buffer text = {0};

        resume_github(files, &text);
        write_to_github(files, &text);
    }
    collector_free(files->collector);
    report_free(files->report);
    error_free(files->error);
    for (size_t i = 0; i < files->n_requests; i++) {
        report_request_close(&files->requests[i]);
        free(files->texts[i]);
    }
    free(files);
}

static int add_request(struct files_sink *files, const char *text, struct error **ret_error) {
    struct report_request request;

    if (files->n_requests == REQUESTS_MAX)
        return error_new(ret_error, EINVAL, "there may be at most %d reports", REQUESTS_MAX);
    char *copy = xstrdup(text);
    int r = report_request_parse(copy, &request, ret_error);
    for (size_t i = 0; r == 0 && i < files->n_requests; i++) {
        if (report_request_same(&files->requests[i], &request))
            r = error_new(ret_error, EINVAL, "'%s' is asked for twice", request.path ? request.path : text);
    }
    if (r == 0 && request.writer->has_file) {
        r = report_request_open(&request, ret_error);
        if (r < 0)
            report_request_close(&request);
    }
    if (r < 0) {
        free(copy);
        return r;
    }
    files->github = files->github || !request.writer->has_file;
    files->texts[files->n_requests] = copy;
    files->requests[files->n_requests++] = request;
    return 0;
}

int sink_files_new(const struct report_options *options, const struct run_plan *plan, struct writer *writer,
                   struct sink **ret_sink, struct error **ret_error) {
    struct files_sink *files = xcalloc(1, sizeof(*files));
    int r = 0;

    *files = (struct files_sink){
        .sink = {.handle = files_handle, .finish = files_finish, .free = files_free, .tick = files_tick},
        .writer = writer,
        .github_fd = options->github_fd,
        .plan = plan,
        .report = report_new(plan),
    };
    files->collector = collector_new(files->report, options->again, options->one_liner);
    for (size_t i = 0; r == 0 && i < options->requests->count; i++)
        r = add_request(files, options->requests->items[i], ret_error);
    if (r == 0)
        r = write_files(files, ret_error);
    if (r < 0) {
        error_context(ret_error, "--report");
        files_free(&files->sink);
        return r;
    }
    if (files->github)
        stop_github(files);
    *ret_sink = &files->sink;
    return 0;
}

const struct error *sink_files_error(struct sink *sink) {
    return files_of(sink)->error;
}
