/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/history.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/log.h"

#define FILE_LIMIT (64u << 20)
#define VERSION 1
/* Targets that are gone, or have another name, are forgotten after half a year. */
#define KEPT_SECONDS (INT64_C(183) * 24 * 3600)
/* Of a target whose run has begun and has not, or not yet, come to a verdict: it did not pass. */
#define UNFINISHED "unfinished"
/* As long as another vmtest is waited for that is writing: it needs milliseconds, unless it is stopped. */
#define LOCK_WAIT (2 * NSEC_PER_SEC)
#define LOCK_POLL_USEC 10000

struct history {
    json_t *targets; /* by name: {"verdict", "seconds", "at"}; "verdict" is a verdict's name or UNFINISHED */
};

char *history_path(const struct config *config) {
    _cleanup_free_ char *file = NULL;
    _cleanup_free_ char *hash = NULL;
    _cleanup_free_ char *name = NULL;

    if (!config->path || !config->directory)
        return NULL;
    file = path_resolve(config->directory, path_basename(config->path));
    hash = digest_buffer(file, strlen(file));
    name = xasprintf("history/%s.json", hash);
    return path_state(name);
}

struct history *history_parse(const char *text, size_t size) {
    struct history *history = xcalloc(1, sizeof(*history));
    json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
    json_t *targets = json_object_get(root, "targets");

    if (json_integer_value(json_object_get(root, "version")) == VERSION && json_is_object(targets))
        history->targets = json_incref(targets);
    else
        history->targets = json_object();
    json_decref(root);
    return history;
}

struct history *history_load(const char *path) {
    _cleanup_buffer_ struct buffer text = {0};
    _cleanup_error_ struct error *error = NULL;

    if (path && file_read(path, FILE_LIMIT, &text, &error) < 0)
        log_debug("history: %s", error_message(error));
    return history_parse(text.data ? text.data : "", text.size);
}

void history_free(struct history *history) {
    if (!history)
        return;
    json_decref(history->targets);
    free(history);
}

bool history_is_empty(const struct history *history) {
    return json_object_size(history->targets) == 0;
}

bool history_find(const struct history *history, const char *target, struct history_entry *ret_entry) {
    const json_t *entry = json_object_get(history->targets, target);
    const char *verdict = json_string_value(json_object_get(entry, "verdict"));
    double seconds = json_number_value(json_object_get(entry, "seconds"));

    if (!verdict)
        return false;
    *ret_entry = (struct history_entry){
        .passed = str_equal(verdict, verdict_name(VERDICT_PASS)) || str_equal(verdict, verdict_name(VERDICT_FLAKY)),
        /* A file that somebody has edited may say anything. */
        .nsec = seconds > 0 && seconds < 1e9 ? (uint64_t)(seconds * (double)NSEC_PER_SEC) : 0,
    };
    return true;
}

static void entry_note(struct history *history, const char *target, const char *verdict, double seconds, int64_t now) {
    json_t *entry = json_object();

    (void)json_object_set_new(entry, "verdict", json_string(verdict));
    (void)json_object_set_new(entry, "seconds", json_real(seconds));
    (void)json_object_set_new(entry, "at", json_integer(now));
    (void)json_object_set_new(history->targets, target, entry); /* a name that is not UTF-8 is not kept */
}

void history_note(struct history *history, const char *target, enum verdict verdict, uint64_t nsec, int64_t now) {
    uint64_t whole_msec = nsec / NSEC_PER_MSEC;

    entry_note(history, target, verdict_name(verdict), (double)whole_msec / 1000.0, now);
}

void history_note_unfinished(struct history *history, const char *target, int64_t now) {
    const json_t *before = json_object_get(history->targets, target);

    entry_note(history, target, UNFINISHED, json_number_value(json_object_get(before, "seconds")), now);
}

char *history_format(const struct history *history, int64_t oldest) {
    json_t *root = json_object();
    json_t *targets = json_object();
    const char *name;
    json_t *entry;
    char *text;

    json_object_foreach(history->targets, name, entry) {
        if (json_integer_value(json_object_get(entry, "at")) >= oldest)
            (void)json_object_set(targets, name, entry);
    }
    (void)json_object_set_new(root, "version", json_integer(VERSION));
    (void)json_object_set_new(root, "targets", targets);
    text = json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(12));
    json_decref(root);
    if (!text)
        abort(); /* out of memory: all of it was JSON before */
    _cleanup_free_ char *owned = text;
    return xasprintf("%s\n", owned);
}

int history_keep_failed(const struct history *history, struct config *config, struct error **ret_error) {
    _cleanup_free_ bool *keep = xcalloc(config->n_targets + 1, sizeof(*keep));
    struct history_entry entry;

    if (history_is_empty(history))
        return error_new(ret_error, ENOENT, "--failed: no earlier run of %s is recorded; run it without --failed first",
                         config->path);
    for (size_t i = 0; i < config->n_targets; i++)
        keep[i] = !history_find(history, config->targets[i]->name, &entry) || !entry.passed;
    config_keep(config, keep);
    return 0;
}

/*
 * The directory's descriptor, locked against others that read, change and write a file in it; -1 when there is none.
 * Where no lock is to be had in time, the descriptor comes without it: a run does not wait for another that is stopped.
 */
static int lock_directory(const char *directory) {
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    deadline_t deadline = deadline_in(LOCK_WAIT);

    while (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK && !deadline_passed(deadline))
        (void)usleep(LOCK_POLL_USEC);
    return fd;
}

/* Reads the file once more, so that another vmtest that runs other targets is not forgotten, and writes it changed. */
static int file_update(const char *path, void (*change)(struct history *history, const void *argument, int64_t now),
                       const void *argument, struct error **ret_error) {
    _cleanup_free_ char *directory = path_parent(path);
    int64_t now = (int64_t)time(NULL);
    int r = path_make_directories(directory, 0700, ret_error);

    if (r < 0)
        return r;
    int lock = lock_directory(directory);
    file_sweep(directory);
    _cleanup_history_ struct history *history = history_load(path);
    change(history, argument, now);
    _cleanup_free_ char *text = history_format(history, now - KEPT_SECONDS);
    r = file_write_atomically(path, text, strlen(text), 0600, ret_error);
    (void)fd_close(lock);
    return r;
}

static void note_begun(struct history *history, const void *argument, int64_t now) {
    const struct run_plan *plan = argument;

    for (size_t i = 0; i < plan->n_jobs; i++)
        history_note_unfinished(history, plan->jobs[i].target->name, now);
}

int history_begin(const char *path, const struct run_plan *plan, struct error **ret_error) {
    _cleanup_error_ struct error *error = NULL;
    int r = plan->n_jobs > 0 ? file_update(path, note_begun, plan, &error) : 0;

    if (r == 0 || unlink(path) == 0 || errno == ENOENT || errno == ENOTDIR) {
        if (r < 0)
            log_debug("history: %s", error_message(error));
        return 0;
    }
    return error_new(ret_error, -r, "%s; --failed will use the runs before this one", error_message(error));
}

/* What came of a job. */
struct ended {
    bool begun;  /* an attempt has come to a verdict */
    bool ended;  /* no attempt follows, and it was not cancelled */
    bool passed; /* of the last attempt that came to one */
    enum verdict verdict;
    uint64_t nsec;
};

struct history_sink {
    struct sink sink; /* first, so that a pointer to it is one to this */
    char *path;
    const struct run_plan *plan;
    uint64_t *started; /* by job */
    struct ended *ended;
};

static void history_handle(struct sink *sink, const struct event *event) {
    struct history_sink *history = (struct history_sink *)sink;
    bool ends = event->type == EVENT_FINISHED;

    if (event->type == EVENT_STARTED && event->attempt <= 1)
        history->started[event->job->index] = event->nsec;
    if ((!ends && event->type != EVENT_RETRY) || event->attempt == 0 || event->result->verdict == VERDICT_CANCELLED)
        return;
    history->ended[event->job->index] = (struct ended){
        .begun = true,
        .ended = ends,
        .passed = verdict_passed(event->result->verdict),
        .verdict = event->result->verdict,
        .nsec = event->nsec - history->started[event->job->index],
    };
}

/*
 * A target's jobs stand one behind the other where it is repeated: the worst verdict and the longest time count. One
 * that failed is known to, whatever became of the others; one that has not failed has passed only when all have ended.
 */
static void note_target(struct history *history, const struct history_sink *sink, size_t first, size_t end,
                        int64_t now) {
    const char *name = sink->plan->jobs[first].target->name;
    struct ended of_target = {.ended = true};

    for (size_t i = first; i < end; i++) {
        const struct ended *ended = &sink->ended[i];

        of_target.ended = of_target.ended && ended->ended;
        if (ended->nsec > of_target.nsec)
            of_target.nsec = ended->nsec;
        if (ended->begun && (!of_target.begun || !ended->passed))
            of_target.verdict = ended->verdict;
        of_target.begun = of_target.begun || ended->begun;
    }
    if (of_target.begun && (of_target.ended || !verdict_passed(of_target.verdict)))
        history_note(history, name, of_target.verdict, of_target.nsec, now);
    else
        history_note_unfinished(history, name, now);
}

static void note_ended(struct history *history, const void *argument, int64_t now) {
    const struct history_sink *sink = argument;
    const struct run_plan *plan = sink->plan;
    size_t end;

    for (size_t first = 0; first < plan->n_jobs; first = end) {
        for (end = first + 1; end < plan->n_jobs && plan->jobs[end].target == plan->jobs[first].target; end++)
            ;
        note_target(history, sink, first, end, now);
    }
}

/* Where it fails, the file still says that nothing of this run has passed. */
static void history_finish(struct sink *sink, const struct run_summary *summary) {
    const struct history_sink *history = (const struct history_sink *)sink;
    _cleanup_error_ struct error *error = NULL;

    (void)summary;
    if (history->plan->n_jobs > 0 && file_update(history->path, note_ended, history, &error) < 0)
        log_debug("history: %s", error_message(error));
}

static void history_sink_free(struct sink *sink) {
    struct history_sink *history = (struct history_sink *)sink;

    free(history->path);
    free(history->started);
    free(history->ended);
    free(history);
}

struct sink *sink_history_new(const char *path, const struct run_plan *plan) {
    struct history_sink *history = xcalloc(1, sizeof(*history));

    *history = (struct history_sink){
        .sink = {history_handle, history_finish, history_sink_free},
        .path = xstrdup(path),
        .plan = plan,
        .started = xcalloc(plan->n_jobs + 1, sizeof(*history->started)),
        .ended = xcalloc(plan->n_jobs + 1, sizeof(*history->ended)),
    };
    return &history->sink;
}
