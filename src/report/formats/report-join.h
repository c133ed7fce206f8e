/* SPDX-License-Identifier: Apache-2.0 */
/* The reports of the shards of a run, checked against each other and made one. Pure. */
#ifndef VMTEST_REPORT_FORMATS_REPORT_JOIN_H
#define VMTEST_REPORT_FORMATS_REPORT_JOIN_H

#include "report/report.h"

struct join_input {
    const char *path; /* for messages */
    struct report *report;
};

/*
 * Checks that the reports are all the shards of one run, and each once. What is wrong is appended to `problems`, a line
 * each; what is merely worth knowing, to `notes`. Of a shard that was interrupted and ran again, the interrupted
 * reports are dropped: they move to the end of `inputs`. Returns how many are left, one for each shard when there is no
 * problem.
 */
size_t join_check(struct join_input *inputs, size_t count, struct strv *problems, struct strv *notes);

/*
 * Makes one report of those of the shards, whose entries it takes. Entries are in the order of their names; times count
 * from the earliest start, and each shard has slots of its own.
 */
struct report *join_reports(struct join_input *inputs, size_t count);

#endif
