/* SPDX-License-Identifier: Apache-2.0 */
/* Constructors of the sinks, one file each. */
#ifndef VMTEST_REPORT_SINK_H
#define VMTEST_REPORT_SINK_H

#include "base/error.h"
#include "event/event.h"

struct terminal_options {
    int out_fd;     /* standard output */
    int err_fd;     /* standard error */
    bool window;    /* a moving window of the stage's last lines, on the descriptor that stage lines go to: that one is
                       a terminal and VMTEST_NO_UI is not set */
    bool color;     /* colours and dimming (a terminal, and NO_COLOR not set) */
    bool one_liner; /* the command's output is all that goes to out_fd; stage lines and notices go to err_fd */
    bool interactive; /* one_liner with a shell on the terminal: nothing of ours once the command runs */
    const char
        *again; /* the command line that runs a one-liner again, or a file's target with a filter; NULL: not shown */
    bool all_console; /* the console is shown while the command runs, too */
    bool held;        /* as with a window, but nothing is drawn: only what stays is written */
    unsigned columns; /* width of the window, 0: ask TIOCGWINSZ of its descriptor at each redraw, 80 if that fails */
};

struct sink *sink_terminal_new(const struct terminal_options *options, struct writer *writer);

enum many_style {
    MANY_BLOCKS,        /* each target as a whole when it has finished */
    MANY_FAILED_BLOCKS, /* the same of those that are no plain pass */
    MANY_PREFIXED,      /* everything as it comes, with the target's name in front of each line */
};

struct many_options {
    struct terminal_options terminal; /* how a target is shown; `window` is not looked at */
    enum many_style style;
};

/* Targets that run at once, without a window; at the end a summary. */
struct sink *sink_many_new(const struct many_options *options, struct writer *writer);

struct live_options {
    struct terminal_options terminal; /* how a target that does not pass is shown; `window` is not looked at */
    bool quiet;                       /* a target that passes leaves nothing */
};

/* Targets that run at once, on a terminal: a line for each of them, kept up to date below those that have finished. */
struct sink *sink_live_new(const struct live_options *options, const struct run_plan *plan, struct writer *writer);

/* One JSON object a line to `fd`. docs/events.md describes them. */
struct sink *sink_json_new(int fd, struct writer *writer);
/*
 * The files of --artifacts, in the directories that EVENT_STARTED names. `again`: as in struct terminal_options, but
 * not NULL.
 */
struct sink *sink_artifacts_new(const char *again, bool one_liner);
/* The first thing that could not be written, or NULL. */
const struct error *sink_artifacts_error(struct sink *sink);

struct report_options {
    const struct strv *requests; /* the arguments of --report */
    const char *again;           /* as in sink_artifacts_new() */
    bool one_liner;
    int github_fd; /* where workflow commands for GitHub go */
};

/*
 * The sink of --report, which has written each file once when it is made. -EINVAL for what is no request; else the
 * error of writing. The plan stays the caller's and outlives the sink.
 */
int sink_files_new(const struct report_options *options, const struct run_plan *plan, struct writer *writer,
                   struct sink **ret_sink, struct error **ret_error) _must_check_;
/* The first report that could not be written at the end, or NULL. */
const struct error *sink_files_error(struct sink *sink);

#endif
