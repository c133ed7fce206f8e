/* SPDX-License-Identifier: Apache-2.0 */
/* The kinds of reports that --report knows, and how each of them is written. */
#ifndef VMTEST_REPORT_FORMATS_REPORT_REQUEST_H
#define VMTEST_REPORT_FORMATS_REPORT_REQUEST_H

#include "report/report.h"

struct report_writer {
    const char *kind; /* "junit" ... */
    bool has_file;    /* false: it goes to standard output, and `write` is NULL */
    void (*write)(const struct report *report, struct buffer *out);
};

/* What a --report asks for. */
struct report_request {
    const struct report_writer *writer;
    const char *path; /* points into the option's argument; NULL without a file */
    int directory;    /* that of the file, while it is open; else -1 */
};

/* Takes "KIND=FILE" or "KIND" apart. -EINVAL with what there is. */
int report_request_parse(const char *text, struct report_request *ret_request, struct error **ret_error) _must_check_;

/* Whether both ask for the same file, whatever they call it, or both for the same writer without one. */
bool report_request_same(const struct report_request *a, const struct report_request *b);

/*
 * Opens the file's directory, so that the report comes to lie there whatever becomes of its name. A file that is there
 * and is no regular one, or is this process' own output, is an error and stays as it is; so is a symbolic link, which a
 * guest may have made where its directory is shared. To be closed in any case.
 */
int report_request_open(struct report_request *request, struct error **ret_error) _must_check_;
void report_request_close(struct report_request *request);

/* Writes a report to its file, whole or not at all: what has that name is replaced, and no link is followed. */
int report_request_write(const struct report_request *request, const struct report *report, struct error **ret_error)
    _must_check_;

#endif
