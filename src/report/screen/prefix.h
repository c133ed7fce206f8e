/* SPDX-License-Identifier: Apache-2.0 */
/* A writer that puts a name in front of each line, and hands on whole lines only. */
#ifndef VMTEST_REPORT_SCREEN_PREFIX_H
#define VMTEST_REPORT_SCREEN_PREFIX_H

#include "base/str.h"
#include "event/event.h"

struct prefix {
    struct writer writer; /* first, so that a pointer to it is one to this */
    struct writer *onward;
    char *text;               /* "NAME | " */
    struct buffer pending[2]; /* the line that has not ended, of standard output and of all others */
    int fds[2];
};

/* `onward` stays the caller's. */
void prefix_init(struct prefix *prefix, const char *name, struct writer *onward);
/* Ends a line that has not ended. */
void prefix_flush(struct prefix *prefix);
void prefix_deinit(struct prefix *prefix);

#endif
