/* SPDX-License-Identifier: Apache-2.0 */
/* What several sinks tell of a result in the same way. */
#ifndef VMTEST_REPORT_RESULT_H
#define VMTEST_REPORT_RESULT_H

#include <jansson.h>

#include "event/event.h"

/* One line that says how a run that did not pass ended, safe to show. Caller frees. */
char *result_reason_line(const struct run_result *result);

/* "40 targets: 37 passed, 1 flaky, 2 not passed (1 timeout, 1 panic)". Caller frees. */
char *summary_line(const struct run_summary *summary);

/* "38 passed, 2 failed" of a result's sub-results; NULL when it has none. Caller frees. */
char *subresults_line(const struct run_result *result);

/* Adds to an object what docs/events.md says of `finished`. */
void result_add_to_json(json_t *object, const struct run_result *result);

/* A string that may hold bytes that are not UTF-8: each becomes U+FFFD. */
json_t *json_lossy_string(const char *text);

/* Nanoseconds as seconds, to the microsecond. */
json_t *json_seconds(uint64_t nsec);

/* A regular expression (PCRE2) that matches this name and no other. Caller frees. */
char *result_name_pattern(const char *name);

/*
 * The line that runs a target again: `command` as it is where `name` is NULL, else with a filter for that name. Caller
 * frees.
 */
char *result_again_line(const char *command, const char *name);
/* The name that a filter finds the event's target by: a job of --repeat has one of its own. */
const char *result_target_name(const struct event *event);

#endif
