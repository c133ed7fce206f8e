/* SPDX-License-Identifier: Apache-2.0 */
/* The table of the detectors, between findings-table.c and findings.c. */
#ifndef VMTEST_CONSOLE_FINDINGS_INTERNAL_H
#define VMTEST_CONSOLE_FINDINGS_INTERNAL_H

#include "console/findings.h"

/* The end of a report, if no end mark comes first. */
enum report_end {
    END_LINE,  /* its title is all of it */
    END_TRACE, /* behind its stack trace, with the first line that cannot be part of it */
    END_BAR,   /* with a line of "=" or an end mark */
};

struct detector {
    const char *pattern; /* of kmsg_match(), for the report's title */
    enum finding_kind kind;
    enum report_end end;
    unsigned n_free;  /* END_TRACE: how many lines of any text may come before the stack trace */
    uint32_t part_of; /* within an open report of these kinds it is a line of that report */
    bool weak;        /* words that a program might use too: only with a time stamp, where the console has them */
};

/* The detector whose title `line` is, or NULL. */
const struct detector *detector_find(const char *line);

/* Lines that come before the title of the same report. */
bool line_is_prelude(const char *line);
/* A frame's edge: a line of "=". */
bool line_is_bar(const char *line);
/* The last line of a report. */
bool line_is_end_mark(const char *line);
/* Lines of a kernel's state: registers, stack traces. */
bool line_is_state(const char *line);
/* Those of them that are not worth keeping. */
bool line_is_noise(const char *line);
/* The head of a stack trace. */
bool line_begins_trace(const char *line);

#endif
