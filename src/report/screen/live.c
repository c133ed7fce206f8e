/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The live view: at the bottom of the terminal a row for each target that runs and one that sums up; above it, scrolled
 * up, the targets that have finished. Each row is clipped to the width, so that it takes one row; the terminal is asked
 * for its size at each redraw, and where it has become narrower and wrapped the old rows, the way up is counted anew.
 * Redraws are bounded (DRAW_INTERVAL); what came since the last one is drawn by the next event or tick.
 */
#include <sys/ioctl.h>

#include "base/clock.h"
#include "report/lines.h"
#include "report/result.h"
#include "report/sink.h"
#include "report/screen/spool.h"
#include "report/screen/window.h"
#include "supervise/schedule.h"

#define DRAW_INTERVAL (NSEC_PER_SEC / 12)
#define LAST_LINE_MAX 4096
#define DEFAULT_COLUMNS 80
#define DEFAULT_ROWS 24

/* A target that runs. */
struct row {
    char *name;
    const struct job *job;
    struct sink *terminal; /* what stays of it, if it does not pass */
    struct spool spool;
    enum stage stage;
    unsigned attempt;
    uint64_t begun;        /* the job */
    uint64_t start;        /* the attempt */
    struct buffer current; /* the line that it writes */
    char *last;            /* the last one that was not blank */
    struct row *next;
};

struct live {
    struct sink sink; /* first, so that a pointer to it is one to this */
    struct live_options options;
    const struct run_plan *plan;
    struct writer *writer;
    struct row *rows; /* in the order of their start */
    struct strv notices;
    bool *finished; /* of each job */
    unsigned n_of[VERDICT_COUNT];
    unsigned n_finished;
    uint64_t finished_nsec; /* how long those took that have finished, and how many of them ran */
    unsigned n_timed;
    uint64_t now; /* since vmtest started */
    uint64_t drawn_at;
    bool dirty;

    struct buffer above; /* lines that go above the region with the next redraw */
    struct buffer drawn; /* the region as it was drawn, without sequences */
};

static struct live *live_of(struct sink *sink) {
    return (struct live *)sink;
}

static void terminal_size(const struct live *live, unsigned *ret_columns, unsigned *ret_rows) {
    struct winsize size;

    *ret_columns = live->options.terminal.columns ? live->options.terminal.columns : DEFAULT_COLUMNS;
    *ret_rows = DEFAULT_ROWS;
    if (live->options.terminal.columns || ioctl(live->options.terminal.out_fd, TIOCGWINSZ, &size) < 0)
        return;
    *ret_columns = size.ws_col ? size.ws_col : DEFAULT_COLUMNS;
    *ret_rows = size.ws_row ? size.ws_row : DEFAULT_ROWS;
}

/* The next character of a safe line; moves *text behind it. */
static wchar_t take_character(const char **text) {
    size_t size = strlen(*text);
    size_t length = 1;

    while (length < UTF8_MAX && length < size && utf8_valid_prefix(*text, length) != length)
        length++;
    wchar_t character = utf8_decode(*text, length);
    *text += length;
    return character;
}

/*
 * Whether it makes one picture of others: how wide that is, each terminal sees in its own way. Joiners, variation
 * selectors and the colours of skins.
 */
static bool is_joining(wchar_t character) {
    return character == 0x200d || character == 0xfe0e || character == 0xfe0f ||
           (character >= 0x1f3fb && character <= 0x1f3ff);
}

/* The text without what joins characters. Caller frees. */
static char *without_joining(const char *text) {
    struct buffer out = {0};

    for (const char *next = text; *text; text = next) {
        if (!is_joining(take_character(&next)))
            buffer_append(&out, text, (size_t)(next - text));
    }
    return buffer_take(&out);
}

/* Rows that a safe line takes: a wide character that does not fit into the rest of a row begins the next one. */
static unsigned line_rows(const char *text, unsigned columns) {
    unsigned rows = 1;
    unsigned column = 0;

    while (*text) {
        int width = utf8_width(take_character(&text));

        if (width <= 0)
            continue;
        if (column > 0 && column + (unsigned)width > columns) {
            rows++;
            column = 0;
        }
        column += (unsigned)width;
    }
    return rows;
}

/* How many rows of the screen the region takes now, the terminal having wrapped what has become too long. */
static unsigned drawn_rows(const struct live *live, unsigned columns) {
    _cleanup_free_ char *copy = xstrdup(live->drawn.data ? live->drawn.data : "");
    char *rest = copy;
    unsigned rows = 0;

    while (rest && *rest)
        rows += line_rows(strsep(&rest, "\n"), columns);
    return rows;
}

/* The rows of the region above the cursor's, which is all that the cursor can reach; it is taken for gone. */
static unsigned take_region(struct live *live) {
    unsigned columns;
    unsigned rows;

    terminal_size(live, &columns, &rows);
    unsigned drawn = drawn_rows(live, columns);
    buffer_consume(&live->drawn, live->drawn.size);
    return drawn < rows ? drawn : rows - 1;
}

/* Takes the region away, and writes what belongs above it. */
static void erase(struct live *live, struct buffer *out) {
    window_clear_rows(out, take_region(live));
    if (live->above.size > 0)
        buffer_append(out, live->above.data, live->above.size);
    buffer_consume(&live->above, live->above.size);
}

static char *duration_text(uint64_t nsec) {
    uint64_t seconds = nsec / NSEC_PER_SEC;

    if (seconds >= 3600)
        return xasprintf("%lluh%02llum", (unsigned long long)(seconds / 3600), (unsigned long long)(seconds / 60 % 60));
    if (seconds >= 60)
        return xasprintf("%llum%02llus", (unsigned long long)(seconds / 60), (unsigned long long)(seconds % 60));
    return xasprintf("%llus", (unsigned long long)seconds);
}

static unsigned n_not_passed(const struct live *live) {
    return live->n_finished - live->n_of[VERDICT_PASS] - live->n_of[VERDICT_FLAKY];
}

/* How long a job that is not known otherwise is likely to take; 0: nothing is known. */
static uint64_t typical_nsec(const struct live *live) {
    return live->n_timed > 0 ? live->finished_nsec / live->n_timed : 0;
}

static uint64_t expected_nsec(const struct live *live, const struct job *job) {
    return job->expected_nsec ? job->expected_nsec : typical_nsec(live);
}

static const struct row *row_of(const struct live *live, const struct job *job) {
    const struct row *row = live->rows;

    while (row && row->job != job)
        row = row->next;
    return row;
}

/* No job starts any more: only those that run are left. */
static bool is_stopping(const struct live *live) {
    return live->n_of[VERDICT_CANCELLED] > 0 || (live->plan->fail_fast && n_not_passed(live) > 0);
}

static double larger(double a, double b) {
    return a > b ? a : b;
}

/* The part of what there is that a job has for itself. One that needs more than there is runs alone. */
static double share(uint64_t needed, uint64_t limit) {
    if (limit == 0)
        return 0;
    return needed < limit ? (double)needed / (double)limit : 1;
}

/*
 * What is left to do: the work spread over the slots, or over the memory or the processors that there are, whichever
 * takes longest, and no less than the longest job. 0 where a part of it is not known.
 */
static uint64_t estimate(const struct live *live) {
    const struct run_plan *plan = live->plan;
    bool stopping = is_stopping(live);
    double by_slots = 0;
    double by_memory = 0;
    double by_cpus = 0;
    double longest = 0;

    for (size_t i = 0; i < plan->n_jobs; i++) {
        const struct job *job = &plan->jobs[i];
        const struct row *row = live->finished[i] ? NULL : row_of(live, job);
        uint64_t expected = expected_nsec(live, job);
        uint64_t elapsed = row && live->now > row->begun ? live->now - row->begun : 0;

        if (live->finished[i] || (stopping && !row))
            continue;
        if (expected == 0)
            return 0;
        double left = expected > elapsed ? (double)(expected - elapsed) : 0;
        by_slots += left / (plan->n_slots > 0 ? plan->n_slots : 1);
        by_memory += left * share(schedule_memory(job->target), plan->memory_limit);
        by_cpus += left * share(job->target->num_cpus, plan->cpu_limit);
        longest = larger(left, longest);
    }
    return (uint64_t)larger(larger(by_slots, longest), larger(by_memory, by_cpus));
}

static void add_row(struct live *live, struct buffer *out, const char *line, unsigned columns, bool dim) {
    _cleanup_free_ char *text = without_joining(line);
    size_t length = text_clip(text, columns);
    bool styled = dim && live->options.terminal.color;

    buffer_append_string(out, styled ? "\033[K\033[2m" : "\033[K");
    buffer_append(out, text, length);
    buffer_append_string(out, styled ? "\033[0m\n" : "\n");
    buffer_append(&live->drawn, text, length);
    buffer_append_string(&live->drawn, "\n");
}

/* "NAME  Booting 3s  LAST LINE", the name clipped to a part of the width. */
static char *row_text(const struct live *live, const struct row *row, unsigned columns) {
    unsigned for_name = columns < 40 ? columns / 2 : columns / 3;
    _cleanup_free_ char *elapsed = duration_text(live->now > row->start ? live->now - row->start : 0);
    _cleanup_free_ char *name = text_sanitize(row->name);
    size_t length = text_clip(name, for_name);
    struct buffer text = {0};

    buffer_append(&text, name, length);
    if (row->attempt > 1)
        buffer_printf(&text, " (attempt %u)", row->attempt);
    buffer_printf(&text, "  %s %s", stage_name(row->stage), elapsed);
    if (row->last)
        buffer_printf(&text, "  %s", row->last);
    return buffer_take(&text);
}

static char *counts_text(const struct live *live, unsigned n_running) {
    unsigned n_flaky = live->n_of[VERDICT_FLAKY];
    uint64_t left = estimate(live);
    struct buffer text = {0};

    buffer_printf(&text, "%u/%zu", live->n_finished, live->plan->n_jobs);
    if (n_not_passed(live) > 0)
        buffer_printf(&text, ", %u not passed", n_not_passed(live));
    if (n_flaky > 0)
        buffer_printf(&text, ", %u flaky", n_flaky);
    buffer_printf(&text, ", %u running", n_running);
    if (left > 0) {
        _cleanup_free_ char *time = duration_text(left + NSEC_PER_SEC - 1);

        buffer_printf(&text, ", about %s left", time);
    }
    return buffer_take(&text);
}

static void draw(struct live *live, struct buffer *out) {
    unsigned columns;
    unsigned rows;
    unsigned n_running = 0;
    unsigned n_shown = 0;

    terminal_size(live, &columns, &rows);
    for (const struct row *row = live->rows; row; row = row->next)
        n_running++;
    if (live->above.size > 0) {
        erase(live, out);
    } else {
        unsigned up = take_region(live);

        if (up > 0)
            buffer_printf(out, "\r\033[%uA", up);
    }
    /* The region and the cursor's row must fit on the screen, or its top could not be reached again. */
    unsigned room = rows > 3 ? rows - 3 : 0;
    for (const struct row *row = live->rows; row && n_shown < room; row = row->next, n_shown++) {
        _cleanup_free_ char *text = row_text(live, row, columns);

        add_row(live, out, text, columns, true);
    }
    _cleanup_free_ char *counts = counts_text(live, n_running);
    _cleanup_free_ char *more =
        n_running > n_shown ? xasprintf("%s (%u more rows)", counts, n_running - n_shown) : xstrdup(counts);
    add_row(live, out, more, columns, false);
    buffer_append_string(out, "\033[J"); /* what the region had more of */
    live->drawn_at = live->now;
    live->dirty = false;
}

static void write_text(struct live *live, const struct buffer *text) {
    if (text->size > 0)
        live->writer->write(live->writer, live->options.terminal.out_fd, text->data, text->size);
}

/* What several workers say is not quite in the order of their times. */
static void set_now(struct live *live, uint64_t nsec) {
    live->now = nsec > live->now ? nsec : live->now;
}

static void draw_if_due(struct live *live) {
    _cleanup_buffer_ struct buffer out = {0};

    if (!live->dirty || live->now - live->drawn_at < DRAW_INTERVAL)
        return;
    draw(live, &out);
    write_text(live, &out);
}

static void row_free(struct row *row) {
    row->terminal->free(row->terminal);
    spool_deinit(&row->spool);
    buffer_deinit(&row->current);
    free(row->last);
    free(row->name);
    free(row);
}

static struct row **find(struct live *live, const char *name) {
    struct row **at = &live->rows;

    while (*at && !str_equal((*at)->name, name))
        at = &(*at)->next;
    return at;
}

static struct row *begin(struct live *live, const struct event *event) {
    struct row **at = find(live, event->target);
    struct terminal_options options = live->options.terminal;

    if (!*at) {
        struct row *row = xcalloc(1, sizeof(*row));

        options.window = false;
        options.held = true;
        row->name = xstrdup(event->target);
        row->job = event->job;
        row->begun = event->nsec;
        spool_init(&row->spool);
        row->terminal = sink_terminal_new(&options, &row->spool.writer);
        *at = row;
    }
    (*at)->start = event->nsec;
    (*at)->attempt = event->attempt;
    (*at)->stage = STAGE_PREPARE;
    free((*at)->last);
    (*at)->last = NULL;
    buffer_consume(&(*at)->current, (*at)->current.size);
    return *at;
}

static void keep_last_line(struct row *row, const char *data, size_t size) {
    for (size_t i = 0; i < size; i++) {
        if (data[i] != '\n') {
            if (row->current.size < LAST_LINE_MAX && data[i] != '\0')
                buffer_append(&row->current, &data[i], 1);
            continue;
        }
        if (row->current.size > 0) {
            char *safe = text_sanitize(row->current.data);

            if (safe[strspn(safe, " ")] != '\0') {
                free(row->last);
                row->last = TAKE_PTR(safe);
            }
            free(safe);
        }
        buffer_consume(&row->current, row->current.size);
    }
}

/*
 * "PASS  NAME  3s", of a plain pass: it comes with the next redraw, so that the region is never seen to go away and
 * come back. Else what the terminal sink says of it, at once.
 */
static void show_finished(struct live *live, struct row *row, const struct event *event) {
    const struct run_result *result = event->result;
    _cleanup_buffer_ struct buffer out = {0};

    if (result->verdict != VERDICT_PASS || (result->n_findings > 0 && !live->options.quiet)) {
        erase(live, &out);
        write_text(live, &out);
        buffer_consume(&out, out.size);
        spool_flush(&row->spool, live->writer);
        draw(live, &out);
        write_text(live, &out);
    } else if (!live->options.quiet) {
        bool color = live->options.terminal.color;
        _cleanup_free_ char *name = text_sanitize(row->name);
        _cleanup_free_ char *took = duration_text(event->nsec - row->start);
        _cleanup_free_ char *tests = subresults_line(result);

        buffer_printf(&live->above, "%sPASS%s  %s  %s%s%s\n", color ? "\033[32m" : "", color ? "\033[0m" : "", name,
                      took, tests ? "  tests: " : "", tests ? tests : "");
    }
}

static void end(struct live *live, struct row **at, const struct event *event) {
    struct row *row = *at;

    *at = row->next;
    live->n_timed++;
    live->finished_nsec += event->nsec > row->begun ? event->nsec - row->begun : 0;
    show_finished(live, row, event);
    row_free(row);
}

static void show_notice(struct live *live, const struct event *event) {
    _cleanup_free_ char *text = text_sanitize(event->text);

    if (strv_contains(&live->notices, text))
        return;
    strv_append(&live->notices, text);
    buffer_printf(&live->above, "note: %s\n", text);
}

static void on_row_event(struct live *live, struct row *row, const struct event *event) {
    if (event->type == EVENT_STAGE)
        row->stage = event->stage;
    if (event->type == EVENT_OUTPUT || (event->type == EVENT_CONSOLE && row->stage != STAGE_COMMAND))
        keep_last_line(row, event->data, event->size);
    /* A notice stays for good, once, not with a target's block. */
    if (event->type == EVENT_NOTICE)
        show_notice(live, event);
    else
        row->terminal->handle(row->terminal, event);
}

static void live_handle(struct sink *sink, const struct event *event) {
    struct live *live = live_of(sink);
    struct row **at;

    set_now(live, event->nsec);
    if (event->type == EVENT_STARTED)
        (void)begin(live, event);
    at = find(live, event->target);
    if (*at)
        on_row_event(live, *at, event);
    if (event->type == EVENT_FINISHED) {
        live->n_of[event->result->verdict]++;
        live->n_finished++;
        if (event->job)
            live->finished[event->job->index] = true;
        if (*at)
            end(live, at, event);
    }
    live->dirty = true;
    draw_if_due(live);
}

static void live_tick(struct sink *sink, uint64_t nsec) {
    struct live *live = live_of(sink);

    set_now(live, nsec);
    live->dirty = live->dirty || live->rows != NULL;
    draw_if_due(live);
}

static void live_finish(struct sink *sink, const struct run_summary *summary) {
    struct live *live = live_of(sink);
    _cleanup_free_ char *line = summary_line(summary);
    _cleanup_buffer_ struct buffer out = {0};

    erase(live, &out);
    buffer_printf(&out, "%s\n", line);
    write_text(live, &out);
}

static void live_free(struct sink *sink) {
    struct live *live = live_of(sink);

    if (!live)
        return;
    while (live->rows) {
        struct row *next = live->rows->next;

        row_free(live->rows);
        live->rows = next;
    }
    strv_deinit(&live->notices);
    buffer_deinit(&live->above);
    buffer_deinit(&live->drawn);
    free(live->finished);
    free(live);
}

struct sink *sink_live_new(const struct live_options *options, const struct run_plan *plan, struct writer *writer) {
    struct live *live = xcalloc(1, sizeof(*live));

    *live = (struct live){
        .sink = {.handle = live_handle, .finish = live_finish, .free = live_free, .tick = live_tick},
        .options = *options,
        .plan = plan,
        .writer = writer,
        .finished = xcalloc(plan->n_jobs + 1, sizeof(*live->finished)),
    };
    return &live->sink;
}
