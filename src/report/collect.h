/* SPDX-License-Identifier: Apache-2.0 */
/* Events to a report. */
#ifndef VMTEST_REPORT_COLLECT_H
#define VMTEST_REPORT_COLLECT_H

#include "report/report.h"

struct collector;

/*
 * Fills `report`, which stays the caller's, from the events that collector_take() is given. `again` and `one_liner` as
 * in sink_artifacts_new().
 */
struct collector *collector_new(struct report *report, const char *again, bool one_liner);
void collector_free(struct collector *collector);
void collector_take(struct collector *collector, const struct event *event);

#endif
