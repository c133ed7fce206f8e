/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sink that keeps evidence: the streams of each target as files, its events and its result as JSON. A file that
 * cannot be written to the end is removed, so that none looks whole and is not; the first such failure is remembered.
 * What only the worker has (QEMU's command line, the guest's memory) it writes itself, into the same directory.
 */
#include <fcntl.h>
#include <jansson.h>
#include <unistd.h>

#include "base/file.h"
#include "report/result.h"
#include "report/sink.h"
#include "event/artifact-directory.h"

enum stream_file { FILE_CONSOLE, FILE_STDOUT, FILE_STDERR, FILE_EVENTS, FILE_COUNT };

static const char *const file_names[FILE_COUNT] = {
    [FILE_CONSOLE] = ARTIFACT_CONSOLE,
    [FILE_STDOUT] = ARTIFACT_STDOUT,
    [FILE_STDERR] = ARTIFACT_STDERR,
    [FILE_EVENTS] = ARTIFACT_EVENTS,
};

/* A target that is running. */
struct kept {
    struct writer writer; /* the first member: the writer of its events is this */
    struct artifacts_sink *artifacts;
    char *name;
    char *target;        /* whose run it is */
    char *shown;         /* the directory, as the user knows it */
    int directory;       /* the event's: open as long as the attempt is under way */
    int fds[FILE_COUNT]; /* -1: not open, or failed */
    struct sink *events;
    struct kept *next;
};

struct artifacts_sink {
    struct sink sink; /* first, so that a pointer to it is one to this */
    char *again;
    bool one_liner;
    struct error *error; /* the first one */
    struct kept *kept;
};

static struct artifacts_sink *artifacts_of(struct sink *sink) {
    return (struct artifacts_sink *)sink;
}

static void note_error(struct artifacts_sink *artifacts, struct error *error) {
    if (artifacts->error)
        error_free(error);
    else
        artifacts->error = error;
}

static void fail_file(struct kept *kept, enum stream_file file, int code) {
    struct error *error = NULL;

    kept->fds[file] = fd_close(kept->fds[file]);
    (void)unlinkat(kept->directory, file_names[file], 0);
    (void)error_errno(&error, code, "%s/%s", kept->shown, file_names[file]);
    note_error(kept->artifacts, error);
}

static void write_file(struct kept *kept, enum stream_file file, const void *data, size_t size) {
    int r = kept->fds[file] >= 0 ? fd_write_all(kept->fds[file], data, size) : 0;

    if (r < 0)
        fail_file(kept, file, r);
}

/* For the sink of the events. */
static void write_event(struct writer *writer, int fd, const void *data, size_t size) {
    (void)fd;
    write_file((struct kept *)writer, FILE_EVENTS, data, size);
}

static void begin(struct artifacts_sink *artifacts, const struct event *event) {
    struct kept *kept = xcalloc(1, sizeof(*kept));

    *kept = (struct kept){
        .writer.write = write_event,
        .artifacts = artifacts,
        .name = xstrdup(event->target),
        .target = xstrdup(result_target_name(event)),
        .shown = xstrdup(event->text),
        .directory = event->directory,
        .next = artifacts->kept,
    };
    for (enum stream_file file = 0; file < FILE_COUNT; file++) {
        kept->fds[file] = openat(kept->directory, file_names[file], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (kept->fds[file] < 0)
            fail_file(kept, file, errno);
    }
    kept->events = sink_json_new(-1, &kept->writer);
    artifacts->kept = kept;
}

static void kept_free(struct kept *kept) {
    for (enum stream_file file = 0; file < FILE_COUNT; file++)
        (void)fd_close(kept->fds[file]);
    kept->events->free(kept->events);
    free(kept->name);
    free(kept->target);
    free(kept->shown);
    free(kept);
}

static void write_text(struct kept *kept, const char *name, const char *text) {
    _cleanup_free_ char *path = xasprintf("/proc/self/fd/%d/%s", kept->directory, name);
    struct error *error = NULL;
    int r = file_write_atomically(path, text, strlen(text), 0666, NULL);

    if (r < 0) {
        (void)error_errno(&error, r, "%s/%s", kept->shown, name);
        note_error(kept->artifacts, error);
    }
}

static void write_result(struct kept *kept, const struct run_result *result) {
    json_t *object = json_object();
    _cleanup_free_ char *again =
        result_again_line(kept->artifacts->again, kept->artifacts->one_liner ? NULL : kept->target);
    _cleanup_free_ char *again_line = xasprintf("%s\n", again);

    (void)json_object_set_new(object, "target", json_lossy_string(kept->name));
    result_add_to_json(object, result);
    (void)json_object_set_new(object, "run_again", json_lossy_string(again));
    char *text = json_dumps(object, JSON_INDENT(2) | JSON_REAL_PRECISION(12));
    json_decref(object);
    if (!text)
        abort(); /* every string was made valid before */
    _cleanup_free_ char *line = xasprintf("%s\n", text);
    free(text);
    write_text(kept, ARTIFACT_RESULT, line);
    write_text(kept, ARTIFACT_AGAIN, again_line);
}

static struct kept *find(struct artifacts_sink *artifacts, const char *target) {
    struct kept *kept = artifacts->kept;

    while (kept && !str_equal(kept->name, target))
        kept = kept->next;
    return kept;
}

static void end(struct artifacts_sink *artifacts, struct kept *kept, const struct run_result *result) {
    write_result(kept, result);
    for (struct kept **link = &artifacts->kept; *link; link = &(*link)->next) {
        if (*link != kept)
            continue;
        *link = kept->next;
        kept_free(kept);
        return;
    }
}

static void artifacts_handle(struct sink *sink, const struct event *event) {
    struct artifacts_sink *artifacts = artifacts_of(sink);
    struct kept *kept = find(artifacts, event->target);

    if (event->type == EVENT_STARTED && !kept && event->text) {
        begin(artifacts, event);
        kept = artifacts->kept;
    }
    if (!kept)
        return;
    kept->events->handle(kept->events, event);
    if (event->type == EVENT_CONSOLE)
        write_file(kept, FILE_CONSOLE, event->data, event->size);
    else if (event->type == EVENT_OUTPUT)
        write_file(kept, event->stream == OUTPUT_STDERR ? FILE_STDERR : FILE_STDOUT, event->data, event->size);
    else if (event->type == EVENT_FINISHED || event->type == EVENT_RETRY)
        end(artifacts, kept, event->result);
}

static void artifacts_finish(struct sink *sink, const struct run_summary *summary) {
    (void)sink;
    (void)summary;
}

static void artifacts_free(struct sink *sink) {
    struct artifacts_sink *artifacts = artifacts_of(sink);

    if (!artifacts)
        return;
    while (artifacts->kept) {
        struct kept *next = artifacts->kept->next;

        kept_free(artifacts->kept);
        artifacts->kept = next;
    }
    error_free(artifacts->error);
    free(artifacts->again);
    free(artifacts);
}

struct sink *sink_artifacts_new(const char *again, bool one_liner) {
    struct artifacts_sink *artifacts = xcalloc(1, sizeof(*artifacts));

    artifacts->sink = (struct sink){.handle = artifacts_handle, .finish = artifacts_finish, .free = artifacts_free};
    artifacts->again = xstrdup(again);
    artifacts->one_liner = one_liner;
    return &artifacts->sink;
}

const struct error *sink_artifacts_error(struct sink *sink) {
    return artifacts_of(sink)->error;
}
