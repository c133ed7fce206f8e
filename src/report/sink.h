/* SPDX-License-Identifier: Apache-2.0 */
/* Constructors of the sinks, one file each. */
#ifndef VMTEST_REPORT_SINK_H
#define VMTEST_REPORT_SINK_H

#include "run/event.h"

struct terminal_options {
    int out_fd;     /* standard output */
    int err_fd;     /* standard error */
    bool window;    /* a moving window of the stage's last lines, on the descriptor that stage lines go to: that one is
                       a terminal and VMTEST_NO_UI is not set */
    bool color;     /* colours and dimming (a terminal, and NO_COLOR not set) */
    bool one_liner; /* the command's output is all that goes to out_fd; stage lines and notices go to err_fd */
    bool interactive; /* one_liner with a shell on the terminal: nothing of ours once the command runs */
    unsigned columns; /* width of the window, 0: ask TIOCGWINSZ of its descriptor at each redraw, 80 if that fails */
};

struct sink *sink_terminal_new(const struct terminal_options *options, struct writer *writer);
/* One JSON object a line to `fd`. docs/events.md describes them. */
struct sink *sink_json_new(int fd, struct writer *writer);

#endif
