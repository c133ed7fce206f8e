/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/history.h"

#include <jansson.h>
#include <time.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "template/digest.h"

#define FILE_LIMIT (64u << 20)
#define VERSION 1
/* Targets that are gone, or have another name, are forgotten after half a year. */
#define KEPT_SECONDS (INT64_C(183) * 24 * 3600)

struct history {
    json_t *targets; /* by name: {"verdict", "seconds", "at"} */
};

char *history_path(const struct config *config) {
    const char *base = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    _cleanup_free_ char *file = NULL;
    _cleanup_free_ char *hash = NULL;

    if (!config->path || !config->directory)
        return NULL;
    file = path_resolve(config->directory, path_basename(config->path));
    hash = digest_buffer(file, strlen(file));
    if (!str_empty(base) && base[0] == '/')
        return xasprintf("%s/vmtest/history/%s.json", base, hash);
    return str_empty(home) ? NULL : xasprintf("%s/.local/state/vmtest/history/%s.json", home, hash);
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

void history_note(struct history *history, const char *target, enum verdict verdict, uint64_t nsec, int64_t now) {
    json_t *entry = json_object();

    (void)json_object_set_new(entry, "verdict", json_string(verdict_name(verdict)));
    (void)json_object_set_new(entry, "seconds", json_real((double)(nsec / NSEC_PER_MSEC) / 1000.0));
    (void)json_object_set_new(entry, "at", json_integer(now));
    (void)json_object_set_new(history->targets, target, entry); /* a name that is not UTF-8 is not kept */
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
        return error_new(ret_error, ENOENT,
                         "--failed: nothing is known of an earlier run of %s; run it without this option first",
                         config->path);
    for (size_t i = 0; i < config->n_targets; i++)
        keep[i] = !history_find(history, config->targets[i]->name, &entry) || !entry.passed;
    config_keep(config, keep);
    return 0;
}

/* What has ended of a target: the worst verdict and the longest time, where it was repeated. */
struct ended {
    const struct target *target; /* NULL: nothing has */
    enum verdict verdict;
    uint64_t nsec;
};

struct history_sink {
    struct sink sink; /* first, so that a pointer to it is one to this */
    char *path;
    uint64_t *started; /* by job */
    struct ended *ended;
    size_t n_jobs;
};

static void history_handle(struct sink *sink, const struct event *event) {
    struct history_sink *history = (struct history_sink *)sink;

    if (event->type == EVENT_STARTED && event->attempt <= 1)
        history->started[event->job->index] = event->nsec;
    if (event->type != EVENT_FINISHED || event->attempt == 0 || event->result->verdict == VERDICT_CANCELLED)
        return;
    history->ended[event->job->index] = (struct ended){
        .target = event->job->target,
        .verdict = event->result->verdict,
        .nsec = event->nsec - history->started[event->job->index],
    };
}

/* The jobs of a repeated target stand one behind the other. */
static void note_ended(struct history *history, const struct history_sink *sink, int64_t now) {
    struct ended of_target = {0};

    for (size_t i = 0; i < sink->n_jobs; i++) {
        const struct ended *ended = &sink->ended[i];

        if (!ended->target)
            continue;
        if (ended->target != of_target.target)
            of_target = *ended;
        if (ended->nsec > of_target.nsec)
            of_target.nsec = ended->nsec;
        if (!verdict_passed(ended->verdict))
            of_target.verdict = ended->verdict;
        history_note(history, ended->target->name, of_target.verdict, of_target.nsec, now);
    }
}

/* Read once more, so that another vmtest that has run other targets meanwhile is not forgotten. */
static void history_finish(struct sink *sink, const struct run_summary *summary) {
    const struct history_sink *ours = (const struct history_sink *)sink;
    _cleanup_history_ struct history *history = history_load(ours->path);
    _cleanup_free_ char *directory = path_parent(ours->path);
    _cleanup_free_ char *text = NULL;
    _cleanup_error_ struct error *error = NULL;
    int64_t now = (int64_t)time(NULL);
    int r;

    (void)summary;
    note_ended(history, ours, now);
    if (history_is_empty(history))
        return;
    text = history_format(history, now - KEPT_SECONDS);
    r = path_make_directories(directory, 0700, &error);
    if (r == 0)
        r = file_write_atomically(ours->path, text, strlen(text), 0600, &error);
    if (r < 0)
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
        .started = xcalloc(plan->n_jobs + 1, sizeof(*history->started)),
        .ended = xcalloc(plan->n_jobs + 1, sizeof(*history->ended)),
        .n_jobs = plan->n_jobs,
    };
    return &history->sink;
}
