/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A writer that keeps what is written, for each descriptor in its order, until it is wanted. Beyond SPOOL_MEMORY it
 * goes to a file without a name in TMPDIR; where there is no place for one, the beginning is dropped, and it is said
 * so.
 */
#ifndef VMTEST_REPORT_SCREEN_SPOOL_H
#define VMTEST_REPORT_SCREEN_SPOOL_H

#include "base/str.h"
#include "event/event.h"

#define SPOOL_MEMORY (64U << 10)

struct spool {
    struct writer writer; /* first, so that a pointer to it is one to this */
    struct buffer memory; /* pieces, each with a header, that are not in the file yet */
    int file;             /* -1: none */
    bool no_file;         /* none can be made */
    uint64_t n_dropped;   /* bytes */
};

void spool_init(struct spool *spool);
void spool_deinit(struct spool *spool);
/* Hands all of it on to `writer`, and forgets it. */
void spool_flush(struct spool *spool, struct writer *writer);

#endif
