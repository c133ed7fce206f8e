/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON report (docs/report-format.md): what its writer and its reader agree on. */
#ifndef VMTEST_REPORT_FORMATS_REPORT_JSON_H
#define VMTEST_REPORT_FORMATS_REPORT_JSON_H

#include "report/formats/fields.h"
#include "report/report.h"

#define REPORT_FORMAT "vmtest report"
#define REPORT_VERSION 1
/* Of anything that a report has many of. */
#define REPORT_ITEMS_MAX 1000000U

/* Of struct run_result, whose strings are borrowed from the JSON value, and of struct report_entry without its result.
 */
extern const struct field report_result_fields[];
extern const struct field report_entry_fields[];

/* As report_read_json(), of a text. */
int report_parse_json(const char *text, size_t size, struct report **ret_report, struct error **ret_error) _must_check_;

#endif
