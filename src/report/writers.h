/* SPDX-License-Identifier: Apache-2.0 */
/* The kinds of reports that are written to a file, by their names. */
#ifndef VMTEST_REPORT_WRITERS_H
#define VMTEST_REPORT_WRITERS_H

#include "report/report.h"

struct report_writer {
    const char *name; /* "json" ... */
    void (*write)(const struct report *report, struct buffer *out);
};

extern const struct report_writer report_writers[];
extern const size_t n_report_writers;

/* The writer of a kind, or NULL. */
const struct report_writer *report_writer_find(const char *name);

#endif
