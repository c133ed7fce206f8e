/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several targets at once without a terminal's window: each that runs has a terminal sink and a writer of its own. With
 * a spool for a writer, a target comes out as a whole block when it has finished (with `quiet`, only if it did not
 * pass); with a prefix, each of its lines as it comes. What is said of the run itself comes in any case.
 */
#include "report/lines.h"
#include "report/screen/prefix.h"
#include "report/result.h"
#include "report/sink.h"
#include "report/screen/spool.h"

struct running {
    char *name;
    struct sink *terminal;
    struct spool spool;
    struct prefix prefix;
    bool prepared; /* its first stage has begun: what is said from here on is of the target alone */
    struct running *next;
};

struct many {
    struct sink sink; /* first, so that a pointer to it is one to this */
    struct many_options options;
    struct writer *writer;
    struct running *running;
};

static struct many *many_of(struct sink *sink) {
    return (struct many *)sink;
}

static void running_free(struct running *running) {
    running->terminal->free(running->terminal);
    spool_deinit(&running->spool);
    prefix_deinit(&running->prefix);
    free(running->name);
    free(running);
}

static struct running **find(struct many *many, const char *name) {
    struct running **at = &many->running;

    while (*at && !str_equal((*at)->name, name))
        at = &(*at)->next;
    return at;
}

static struct running *begin(struct many *many, const char *name) {
    struct running *running = xcalloc(1, sizeof(*running));
    struct terminal_options options = many->options.terminal;
    bool verbose = many->options.style == MANY_PREFIXED;

    options.window = false;
    options.all_console = verbose;
    running->name = xstrdup(name);
    spool_init(&running->spool);
    prefix_init(&running->prefix, name, many->writer);
    running->terminal = sink_terminal_new(&options, verbose ? &running->prefix.writer : &running->spool.writer);
    running->next = many->running;
    many->running = running;
    return running;
}

static void end(struct many *many, struct running *running, const struct event *event) {
    *find(many, running->name) = running->next;
    prefix_flush(&running->prefix);
    if (many->options.style == MANY_BLOCKS ||
        (many->options.style == MANY_FAILED_BLOCKS && event->result->verdict != VERDICT_PASS))
        spool_flush(&running->spool, many->writer);
    running_free(running);
}

/* A line that is no target's. */
static void write_line(const struct many *many, const char *prefix, const char *line) {
    const struct terminal_options *terminal = &many->options.terminal;
    _cleanup_free_ char *clean = text_sanitize(line);
    _cleanup_free_ char *text = xasprintf("%s%s\n", prefix, clean);

    many->writer->write(many->writer, terminal->one_liner ? terminal->err_fd : terminal->out_fd, text, strlen(text));
}

static void many_handle(struct sink *sink, const struct event *event) {
    struct many *many = many_of(sink);
    struct running **at = find(many, event->target);

    /* One that was never started is counted in the summary, and has nothing to show. */
    if (!*at && event->type != EVENT_STARTED)
        return;
    struct running *running = *at ? *at : begin(many, event->target);
    running->prepared = running->prepared || event->type == EVENT_STAGE;
    if (event->type == EVENT_NOTICE && !running->prepared && many->options.style == MANY_FAILED_BLOCKS)
        write_line(many, "note: ", event->text);
    else
        running->terminal->handle(running->terminal, event);
    if (event->type == EVENT_FINISHED)
        end(many, running, event);
}

static void many_finish(struct sink *sink, const struct run_summary *summary) {
    struct many *many = many_of(sink);
    _cleanup_free_ char *line = summary_line(summary);

    if (!many->options.terminal.one_liner)
        write_line(many, "", line);
}

static void many_free(struct sink *sink) {
    struct many *many = many_of(sink);

    if (!many)
        return;
    while (many->running) {
        struct running *next = many->running->next;

        running_free(many->running);
        many->running = next;
    }
    free(many);
}

struct sink *sink_many_new(const struct many_options *options, struct writer *writer) {
    struct many *many = xcalloc(1, sizeof(*many));

    *many = (struct many){.sink = {.handle = many_handle, .finish = many_finish, .free = many_free},
                          .options = *options,
                          .writer = writer};
    return &many->sink;
}
