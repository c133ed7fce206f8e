/* SPDX-License-Identifier: Apache-2.0 */
/* The names of the stages and of the sub-results' statuses. */
#include "event/event.h"

#include <assert.h>

#include "base/cleanup.h"

static const struct stage_row {
    const char *name;
    const char *title;
} rows[] = {
    [STAGE_PREPARE] = {"prepare", "Preparing"},
    [STAGE_BOOT] = {"boot", "Booting"},
    [STAGE_SETUP] = {"setup", "Setting up VM"},
    [STAGE_COMMAND] = {"command", "Running command"},
};
static_assert(ARRAY_SIZE(rows) == STAGE_COUNT, "each stage has a row");

static const char *const subresult_names[] = {
    [SUBRESULT_PASS] = "pass",
    [SUBRESULT_FAIL] = "fail",
    [SUBRESULT_SKIP] = "skip",
    [SUBRESULT_TODO] = "todo",
};
static_assert(ARRAY_SIZE(subresult_names) == SUBRESULT_COUNT, "each status has a name");

const char *subresult_status_name(enum subresult_status status) {
    return subresult_names[status];
}

const char *stage_name(enum stage stage) {
    return rows[stage].name;
}

const char *stage_title(enum stage stage) {
    return rows[stage].title;
}
