/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sink for people. Two choices make four ways of showing a run:
 *
 * - With a window, the guest's lines of a stage are held (report/lines.h) and their last ones drawn (report/screen/window.h);
 *   a target that passes leaves its name and PASS, a stage in which it does not is written out whole. Without a window
 *   everything is passed on as it comes.
 * - In a one-liner the command's output goes to standard output and standard error as it is, and all that is ours, the
 *   console included, to standard error (the "UI descriptor"). Else everything goes to standard output, in order.
 *
 * The console is shown up to the command's start; from then on it is kept as evidence only (run_result.console).
 */
#include <sys/stat.h>

#include "report/result.h"
#include "report/sink.h"
#include "report/screen/window.h"

#define STYLE_NONE ""
#define STYLE_DIM "\033[2m"
#define STYLE_RED "\033[31m"
#define STYLE_YELLOW "\033[33m"
#define STYLE_GREEN "\033[32m"
#define STYLE_END "\033[0m"

/* So many failed tests of a command are named. */
#define FAILED_MAX 20

struct terminal {
    struct sink sink; /* first, so that a pointer to it is one to this */
    struct terminal_options options;
    struct writer *writer;
    int ui_fd;
    bool same_file; /* both descriptors are one file, e.g. a terminal: a line begun on one is continued on the other */
    bool mid_line[2];        /* of output, error: the last byte written was no line feed; [0] alone where same_file */
    bool stage_lines;        /* something of the guest was shown in this stage */
    size_t unseen;           /* bytes of the console that came in this stage and were not shown */
    bool started;            /* a target is at hand */
    bool shell_has_terminal; /* an interactive shell has the terminal: nothing may be written */
    enum stage stage;
    struct window window;
    struct lines lines;  /* with a window: what the guest wrote in this stage */
    struct strv titles;  /* with a window, not in a one-liner: stage lines that a pass takes away */
    struct strv notices; /* that came while an interactive shell had the terminal */
    struct strv failed;  /* lines about tests of the command that failed */
    unsigned n_more_failed;
};

static struct terminal *terminal_of(struct sink *sink) {
    return (struct terminal *)sink;
}

/* Whether the guest's lines are kept until it is known whether they are wanted. */
static bool holds(const struct terminal *terminal) {
    return terminal->options.window || terminal->options.held;
}

static bool *mid_line_of(struct terminal *terminal, int fd) {
    return &terminal->mid_line[fd == terminal->options.err_fd && !terminal->same_file];
}

static void write_bytes(struct terminal *terminal, int fd, const void *data, size_t size) {
    if (size == 0)
        return;
    terminal->writer->write(terminal->writer, fd, data, size);
    *mid_line_of(terminal, fd) = ((const char *)data)[size - 1] != '\n';
}

/* Writes what was composed for the UI descriptor; such text always leaves the cursor at column 0. */
static void write_ui(struct terminal *terminal, const struct buffer *text) {
    if (text->size == 0)
        return;
    terminal->writer->write(terminal->writer, terminal->ui_fd, text->data, text->size);
    *mid_line_of(terminal, terminal->ui_fd) = false;
}

/* What a line of ours begins with, so that it stands at column 0. */
static void begin_line(struct terminal *terminal, struct buffer *out) {
    if (*mid_line_of(terminal, terminal->ui_fd))
        buffer_append_string(out, "\n");
    *mid_line_of(terminal, terminal->ui_fd) = false;
}

static void add_line(const struct terminal *terminal, struct buffer *out, const char *style, const char *text) {
    bool styled = terminal->options.color && style[0] != '\0';

    buffer_append_string(out, styled ? style : "");
    buffer_append_string(out, text);
    buffer_append_string(out, styled ? STYLE_END "\n" : "\n");
}

static void draw(struct terminal *terminal, struct buffer *out) {
    if (terminal->options.held)
        return;
    window_draw(&terminal->window, out, &terminal->titles, &terminal->lines);
    write_ui(terminal, out);
}

/* A line that stays, above the window if there is one. */
static void show_line(struct terminal *terminal, const char *style, const char *text) {
    _cleanup_buffer_ struct buffer out = {0};
    bool redraw = terminal->window.n_drawn > 0;

    window_erase(&terminal->window, &out);
    begin_line(terminal, &out);
    add_line(terminal, &out, style, text);
    if (redraw)
        draw(terminal, &out);
    else
        write_ui(terminal, &out);
}

static void on_started(struct terminal *terminal, const struct event *event) {
    _cleanup_free_ char *name = text_sanitize(event->target);
    _cleanup_free_ char *line = xasprintf("=> %s", name);

    terminal->started = true;
    terminal->stage = STAGE_PREPARE;
    terminal->stage_lines = false;
    show_line(terminal, STYLE_NONE, line);
}

static void on_stage(struct terminal *terminal, const struct event *event) {
    _cleanup_free_ char *title =
        xasprintf("===> %s%s", stage_title(event->stage), event->from_template ? " (from template)" : "");
    _cleanup_buffer_ struct buffer out = {0};

    terminal->stage = event->stage;
    terminal->stage_lines = false;
    terminal->unseen = 0;
    lines_clear(&terminal->lines);
    if (event->stage == STAGE_PREPARE)
        return;
    if (holds(terminal) && !terminal->options.one_liner) {
        strv_append(&terminal->titles, title);
        draw(terminal, &out);
    } else {
        window_erase(&terminal->window, &out);
        begin_line(terminal, &out);
        add_line(terminal, &out, STYLE_NONE, title);
        write_ui(terminal, &out);
    }
    terminal->shell_has_terminal = event->stage == STAGE_COMMAND && terminal->options.interactive;
}

/* Bytes of the guest that belong to the stage and go the way of our own lines. */
static void show_guest(struct terminal *terminal, const struct event *event) {
    _cleanup_buffer_ struct buffer out = {0};

    if (event->size == 0)
        return;
    terminal->stage_lines = true;
    if (!holds(terminal)) {
        write_bytes(terminal, terminal->ui_fd, event->data, event->size);
        return;
    }
    lines_feed(&terminal->lines, event->data, event->size);
    draw(terminal, &out);
}

static void on_console(struct terminal *terminal, const struct event *event) {
    if (terminal->stage != STAGE_COMMAND || terminal->options.all_console)
        show_guest(terminal, event);
    else
        terminal->unseen += event->size;
}

static void on_output(struct terminal *terminal, const struct event *event) {
    if (terminal->options.one_liner)
        write_bytes(terminal, event->stream == OUTPUT_STDERR ? terminal->options.err_fd : terminal->options.out_fd,
                    event->data, event->size);
    else
        show_guest(terminal, event);
}

static void on_notice(struct terminal *terminal, const struct event *event) {
    _cleanup_free_ char *text = text_sanitize(event->text);
    _cleanup_free_ char *line = xasprintf("note: %s", text);

    if (terminal->shell_has_terminal)
        strv_append(&terminal->notices, line);
    else
        show_line(terminal, STYLE_NONE, line);
}

/* All lines held of the stage that failed. */
static void add_stage(const struct terminal *terminal, struct buffer *out) {
    if (terminal->lines.n_dropped > 0)
        buffer_printf(out, "(%llu earlier lines were dropped)\n", (unsigned long long)terminal->lines.n_dropped);
    for (size_t i = 0; i < lines_count(&terminal->lines); i++)
        add_line(terminal, out, STYLE_NONE, lines_get(&terminal->lines, i));
}

/* A title, and the lines of a text that is the guest's. */
static void add_text(const struct terminal *terminal, struct buffer *out, const char *title, const char *text) {
    struct lines lines;

    if (str_empty(text))
        return;
    lines_init(&lines);
    lines_feed(&lines, text, strlen(text));
    if (lines_count(&lines) > 0)
        add_line(terminal, out, STYLE_NONE, title);
    for (size_t i = 0; i < lines_count(&lines); i++)
        add_line(terminal, out, STYLE_DIM, lines_get(&lines, i));
    lines_deinit(&lines);
}

static bool is_about_command(const struct run_result *result) {
    return (result->verdict == VERDICT_FAIL && result->detail != 0) || result->verdict == VERDICT_SIGNAL;
}

/*
 * Of the console's last lines those that are not on the screen already; of a command that failed by itself those that
 * came while it ran, since the boot has no part in that.
 */
static const char *console_news(const struct terminal *terminal, const struct run_result *result) {
    bool was_shown = terminal->stage != STAGE_COMMAND && terminal->stage_lines;
    size_t size = strlen(result->console);
    const char *from = result->console;

    if (is_about_command(result) && result->n_findings > 0)
        return ""; /* which is what came */
    if (is_about_command(result) && size > terminal->unseen) {
        from += size - terminal->unseen;
        if (from[-1] != '\n') /* in the midst of a line */
            from = strchr(from, '\n') ? strchr(from, '\n') + 1 : "";
    }
    return was_shown ? "" : from;
}

/* The same of the command's: they went elsewhere, such as to a file. */
static bool output_is_news(const struct terminal *terminal) {
    return terminal->options.one_liner && !terminal->same_file;
}

static void add_findings(struct terminal *terminal, struct buffer *out, const struct run_result *result) {
    for (size_t i = 0; i < result->n_findings; i++) {
        const struct run_finding *finding = &result->findings[i];
        _cleanup_free_ char *title = text_sanitize(finding->title);
        _cleanup_free_ char *line = xasprintf("The guest's kernel reported (%s): %s", finding->kind, title);

        const char *rest = strchr(finding->text, '\n'); /* behind the title */

        begin_line(terminal, out);
        if (!rest || str_empty(rest + 1))
            add_line(terminal, out, STYLE_YELLOW, line);
        else
            add_text(terminal, out, line, rest + 1);
    }
    if (result->n_more_findings > 0) {
        _cleanup_free_ char *line = xasprintf("The guest's kernel reported %u more", result->n_more_findings);

        begin_line(terminal, out);
        add_line(terminal, out, STYLE_YELLOW, line);
    }
}

/* The tests of the command that failed. */
static void add_subresults(const struct terminal *terminal, struct buffer *out) {
    for (size_t i = 0; i < terminal->failed.count; i++)
        add_line(terminal, out, STYLE_NONE, terminal->failed.items[i]);
    if (terminal->n_more_failed > 0)
        buffer_printf(out, "  and %u more\n", terminal->n_more_failed);
}

static void on_subresult(struct terminal *terminal, const struct run_subresult *subresult) {
    if (subresult->status != SUBRESULT_FAIL)
        return;
    if (terminal->failed.count == FAILED_MAX) {
        terminal->n_more_failed++;
        return;
    }
    _cleanup_free_ char *name = text_sanitize(subresult->name);
    _cleanup_free_ char *message = text_sanitize(subresult->message);
    strv_append_printf(&terminal->failed, "  failed: %s%s%s", name, message[0] ? ": " : "", message);
}

/* The reason first, then what bears it out, then how to see it again. */
static void add_failure(struct terminal *terminal, struct buffer *out, const struct event *event) {
    const struct run_result *result = event->result;
    _cleanup_free_ char *reason = result_reason_line(result);

    for (size_t i = 0; i < terminal->titles.count; i++)
        add_line(terminal, out, STYLE_NONE, terminal->titles.items[i]);
    add_stage(terminal, out);
    /* What an interactive shell ended with, its user has just typed. */
    if (terminal->options.interactive && is_about_command(result))
        return;
    begin_line(terminal, out);
    add_line(terminal, out, STYLE_RED, reason);
    add_subresults(terminal, out);
    add_findings(terminal, out, result);
    add_text(terminal, out, "Last lines of the console:", console_news(terminal, result));
    add_text(terminal, out, "The guest's blocked tasks:", result->tasks);
    if (output_is_news(terminal))
        add_text(terminal, out, "Last lines of the command:", result->output);
    if (terminal->options.again) {
        const char *name = terminal->options.one_liner ? NULL : result_target_name(event);
        _cleanup_free_ char *again = result_again_line(terminal->options.again, name);
        _cleanup_free_ char *line = xasprintf("Run it again: %s", again);

        add_line(terminal, out, STYLE_DIM, line);
    }
}

/* Forgets what belongs to an attempt. */
static void clear_attempt(struct terminal *terminal) {
    lines_clear(&terminal->lines);
    strv_deinit(&terminal->titles);
    strv_deinit(&terminal->notices);
    strv_deinit(&terminal->failed);
    terminal->n_more_failed = 0;
}

/* An attempt that did not pass: the next one follows. */
static void on_retry(struct terminal *terminal, const struct event *event) {
    _cleanup_free_ char *reason = result_reason_line(event->result);
    _cleanup_free_ char *line = xasprintf("attempt %u: %s; trying again", event->attempt, reason);

    terminal->shell_has_terminal = false;
    strv_deinit(&terminal->titles);
    lines_clear(&terminal->lines);
    show_line(terminal, STYLE_YELLOW, line);
    clear_attempt(terminal);
}

static void add_verdict(const struct terminal *terminal, struct buffer *out, enum verdict verdict) {
    if (verdict == VERDICT_PASS)
        add_line(terminal, out, STYLE_GREEN, "PASS");
    else if (verdict == VERDICT_FLAKY)
        add_line(terminal, out, STYLE_YELLOW, "FLAKY");
    else if (verdict == VERDICT_SKIPPED)
        add_line(terminal, out, STYLE_YELLOW, "SKIPPED");
    else
        add_line(terminal, out, STYLE_RED, "FAILED");
}

static void on_finished(struct terminal *terminal, const struct event *event) {
    const struct run_result *result = event->result;
    bool passed = verdict_passed(result->verdict);
    _cleanup_free_ char *tests = subresults_line(result);
    _cleanup_buffer_ struct buffer out = {0};

    if (!terminal->started) /* it never was, and is only counted */
        return;
    terminal->started = false;
    terminal->shell_has_terminal = false;
    window_erase(&terminal->window, &out);
    for (size_t i = 0; i < terminal->notices.count; i++) {
        begin_line(terminal, &out);
        add_line(terminal, &out, STYLE_NONE, terminal->notices.items[i]);
    }
    if (passed)
        add_findings(terminal, &out, result);
    else
        add_failure(terminal, &out, event);
    if (tests) {
        _cleanup_free_ char *line = xasprintf("Tests: %s", tests);

        begin_line(terminal, &out);
        add_line(terminal, &out, STYLE_NONE, line);
    }
    if (result->verdict == VERDICT_FLAKY) {
        _cleanup_free_ char *reason = result_reason_line(result);

        begin_line(terminal, &out);
        add_line(terminal, &out, STYLE_YELLOW, reason);
    }
    if (!terminal->options.one_liner) {
        begin_line(terminal, &out);
        add_verdict(terminal, &out, result->verdict);
    }
    write_ui(terminal, &out);
    clear_attempt(terminal);
}

static void terminal_handle(struct sink *sink, const struct event *event) {
    struct terminal *terminal = terminal_of(sink);

    switch (event->type) {
    case EVENT_STARTED:
        on_started(terminal, event);
        break;
    case EVENT_STAGE:
        on_stage(terminal, event);
        break;
    case EVENT_CONSOLE:
        on_console(terminal, event);
        break;
    case EVENT_OUTPUT:
        on_output(terminal, event);
        break;
    case EVENT_NOTICE:
        on_notice(terminal, event);
        break;
    case EVENT_FINISHED:
        on_finished(terminal, event);
        break;
    case EVENT_SUBRESULT:
        on_subresult(terminal, event->subresult);
        break;
    case EVENT_RETRY:
        on_retry(terminal, event);
        break;
    case EVENT_TYPE_COUNT:
        break;
    }
}

static void terminal_finish(struct sink *sink, const struct run_summary *summary) {
    struct terminal *terminal = terminal_of(sink);

    if (summary->n_targets > 1 && summary->n_not_passed > 0 && !terminal->options.one_liner) {
        bool counted = summary->n_of[VERDICT_SKIPPED] > 0 || summary->n_of[VERDICT_CANCELLED] > 0;
        _cleanup_free_ char *line =
            counted ? summary_line(summary)
                    : xasprintf("%u of %u targets did not pass", summary->n_not_passed, summary->n_targets);

        show_line(terminal, STYLE_NONE, line);
    }
}

static void terminal_free(struct sink *sink) {
    struct terminal *terminal = terminal_of(sink);

    if (!terminal)
        return;
    lines_deinit(&terminal->lines);
    strv_deinit(&terminal->titles);
    strv_deinit(&terminal->notices);
    strv_deinit(&terminal->failed);
    free(terminal);
}

static bool is_same_file(int a, int b) {
    struct stat of_a;
    struct stat of_b;

    if (a == b)
        return true;
    return fstat(a, &of_a) == 0 && fstat(b, &of_b) == 0 && of_a.st_dev == of_b.st_dev && of_a.st_ino == of_b.st_ino;
}

struct sink *sink_terminal_new(const struct terminal_options *options, struct writer *writer) {
    struct terminal *terminal = xcalloc(1, sizeof(*terminal));

    terminal->sink = (struct sink){.handle = terminal_handle, .finish = terminal_finish, .free = terminal_free};
    terminal->options = *options;
    terminal->writer = writer;
    terminal->ui_fd = options->one_liner ? options->err_fd : options->out_fd;
    terminal->same_file = is_same_file(options->out_fd, options->err_fd);
    terminal->window = (struct window){.fd = terminal->ui_fd, .columns = options->columns, .dim = options->color};
    lines_init(&terminal->lines);
    return &terminal->sink;
}
