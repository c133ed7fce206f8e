/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of the HTML report. Nothing that comes from outside reaches the document but through html_line() and
 * html_lines(). A target's place in the page is the element `t` and its number in report->entries.
 */
#ifndef VMTEST_REPORT_FORMATS_HTML_H
#define VMTEST_REPORT_FORMATS_HTML_H

#include "report/report-text.h"

/* Any string as one line that is safe as text and within a quoted attribute. */
void html_line(struct buffer *out, const char *text);
/* The same of many lines. */
void html_lines(struct buffer *out, const char *text);
/* A mark and the verdict's name, in its colour. */
void html_verdict(struct buffer *out, enum verdict verdict);
/* The mark alone: a character that tells the verdicts apart where there are no colours. */
const char *html_mark(enum verdict verdict);
double html_seconds(uint64_t nsec);
/* "0.32 s", "3.2 s", "12 min 05 s", "2 h 07 min". */
void html_time(struct buffer *out, uint64_t nsec);
/* From the start of the last attempt to its end; 0 for what never started or never ended. */
uint64_t html_duration(const struct report_entry *entry);

/* The same behind something else; nothing where it is 0. */
void html_small_duration(struct buffer *out, uint64_t nsec);

/*
 * Where a stage of the last attempt was, in nanoseconds since the run's start: to the beginning of the next one that
 * was reached. False where it was not reached.
 */
bool html_stage_span(const struct report_entry *entry, enum stage stage, uint64_t *ret_start, uint64_t *ret_end);
/* The rectangles of the stages within an SVG element that is as wide as the last attempt. */
void html_stages(struct buffer *out, const struct report_entry *entry, unsigned height);

/* A table for each matrix of the run, one for the targets of none. */
void html_tables(struct buffer *out, const struct report *report);
void html_timeline(struct buffer *out, const struct report *report);
void html_targets(struct buffer *out, const struct report *report);

#endif
