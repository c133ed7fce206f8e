/* SPDX-License-Identifier: Apache-2.0 */
/* The names of the stages. */
#include "run/event.h"

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

const char *stage_name(enum stage stage) {
    return rows[stage].name;
}

const char *stage_title(enum stage stage) {
    return rows[stage].title;
}
