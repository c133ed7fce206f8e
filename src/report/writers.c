/* SPDX-License-Identifier: Apache-2.0 */
#include "report/writers.h"

const struct report_writer report_writers[] = {
    {"json", report_write_json},
};
const size_t n_report_writers = ARRAY_SIZE(report_writers);

const struct report_writer *report_writer_find(const char *name) {
    for (size_t i = 0; i < n_report_writers; i++) {
        if (str_equal(report_writers[i].name, name))
            return &report_writers[i];
    }
    return NULL;
}
