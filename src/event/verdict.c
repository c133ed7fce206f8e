/* SPDX-License-Identifier: Apache-2.0 */
/* The table of verdicts: a name, and how the exit status of a single run comes about. */
#include "event/verdict.h"

#include <assert.h>
#include <signal.h>

#include "base/cleanup.h"

#define EXIT_STATUS_TIMEOUT 124
#define EXIT_STATUS_SIGNAL_BASE 128

enum status_rule {
    STATUS_FIXED,       /* `status` */
    STATUS_FROM_CODE,   /* the command's code; `status` where that is 0, since only a pass may exit 0 */
    STATUS_FROM_SIGNAL, /* 128 + the signal; `status` stands in for a signal that is not known */
};

static const struct verdict_row {
    const char *name;
    enum status_rule rule;
    int status;
} rows[] = {
    [VERDICT_PASS] = {"pass", STATUS_FIXED, 0},
    [VERDICT_FAIL] = {"fail", STATUS_FROM_CODE, 1},
    [VERDICT_SIGNAL] = {"signal", STATUS_FROM_SIGNAL, SIGKILL},
    [VERDICT_TIMEOUT] = {"timeout", STATUS_FIXED, EXIT_STATUS_TIMEOUT},
    [VERDICT_PANIC] = {"panic", STATUS_FIXED, EXIT_STATUS_UNAVAILABLE},
    [VERDICT_LOST] = {"lost", STATUS_FIXED, EXIT_STATUS_UNAVAILABLE},
    [VERDICT_ERROR] = {"error", STATUS_FIXED, EXIT_STATUS_UNAVAILABLE},
    [VERDICT_CANCELLED] = {"cancelled", STATUS_FROM_SIGNAL, SIGINT},
    [VERDICT_FLAKY] = {"flaky", STATUS_FIXED, 0},
    [VERDICT_SKIPPED] = {"skipped", STATUS_FIXED, 1},
};
static_assert(ARRAY_SIZE(rows) == VERDICT_COUNT, "each verdict has a row");

bool verdict_passed(enum verdict verdict) {
    return verdict == VERDICT_PASS || verdict == VERDICT_FLAKY;
}

const char *verdict_name(enum verdict verdict) {
    return rows[verdict].name;
}

int verdict_exit_status(enum verdict verdict, int detail) {
    const struct verdict_row *row = &rows[verdict];

    switch (row->rule) {
    case STATUS_FROM_CODE:
        return (detail & 0xff) != 0 ? detail & 0xff : row->status;
    case STATUS_FROM_SIGNAL:
        return EXIT_STATUS_SIGNAL_BASE + (detail > 0 && detail < EXIT_STATUS_SIGNAL_BASE ? detail : row->status);
    case STATUS_FIXED:
        break;
    }
    return row->status;
}

int verdict_exit_status_of_many(unsigned n_not_passed) {
    return n_not_passed > EXIT_STATUS_MAX_FAILURES ? EXIT_STATUS_MAX_FAILURES : (int)n_not_passed;
}
