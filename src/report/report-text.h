/* SPDX-License-Identifier: Apache-2.0 */
/* What the writers of the report formats share: the guest's bytes made text, and lines that each of them says. */
#ifndef VMTEST_REPORT_REPORT_TEXT_H
#define VMTEST_REPORT_REPORT_TEXT_H

#include <time.h>

#include "report/lines.h"
#include "report/report.h"
#include "report/result.h"

#define REPORT_TIME_SIZE 32

/*
 * Appends `text` as UTF-8 without control characters but LF and TAB and without noncharacters, as XML 1.0 allows it;
 * U+FFFD stands for what is not. A carriage return is dropped.
 */
void report_valid_text(struct buffer *out, const char *text);
/* The guest's bytes as such text, its lines ended by LF, without the escape sequences for a terminal. Caller frees. */
char *report_plain_text(const char *text);
/* Any string as one line of such text. Caller frees. */
char *report_plain_line(const char *text);
/* Why it did not pass, or passed late, in one line; "" for a pass. Caller frees. */
char *report_reason(const struct report_entry *entry);
/* "40 targets: 37 pass, 1 flaky, 2 timeout". Caller frees. */
char *report_summary_line(const struct report *report);
/* ISO 8601, in UTC; `usec` since the epoch. */
void report_time(char text[REPORT_TIME_SIZE], int64_t usec);

#endif
