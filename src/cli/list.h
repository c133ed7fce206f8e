/* SPDX-License-Identifier: Apache-2.0 */
/* The verb `list`: the targets that a run would run, and none is run. */
#ifndef VMTEST_CLI_LIST_H
#define VMTEST_CLI_LIST_H

#include <jansson.h>

#include "base/error.h"
#include "config/config.h"

/*
 * Runs `vmtest list ...`; argv[0] is "list". Gives the exit status: 0, EXIT_STATUS_UNAVAILABLE, or EXIT_STATUS_USAGE
 * for a wrong command line. Where there is something to say about it, *ret_error holds it, for the caller to show.
 */
int list_main(int argc, char *const argv[], struct error **ret_error) _must_check_;

/* The targets as a CI system's job matrix takes them: {"include": [{"name": ...}, ...]}. The caller's. */
json_t *list_to_json(const struct config *config);
/* One name on each line, safe to show. Caller frees. */
char *list_to_text(const struct config *config);

#endif
