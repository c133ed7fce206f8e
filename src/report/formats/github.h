/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMTEST_REPORT_FORMATS_GITHUB_H
#define VMTEST_REPORT_FORMATS_GITHUB_H

#include "report/report.h"

#define GITHUB_TOKEN_SIZE 33

/* Makes a token that no guest can guess. */
void github_token(char ret_token[GITHUB_TOKEN_SIZE]);
/* Appends what stops the runner from taking workflow commands, until that which lets it do so again. */
void github_stop(const char *token, struct buffer *out);
/* To be appended at the beginning of a line. */
void github_resume(const char *token, struct buffer *out);

/*
 * Appends the workflow commands of a report. `where`: for each entry "FILE:LINE:COLUMN" of its target or NULL; may be
 * NULL itself. The text is valid UTF-8 but not the same twice: it has a random token in it.
 */
void report_write_github(const struct report *report, const char *const *where, struct buffer *out);

/* Appends the report as Markdown to the file that GITHUB_STEP_SUMMARY names; does nothing where there is none. */
int report_append_step_summary(const struct report *report, struct error **ret_error) _must_check_;

#endif
