/* SPDX-License-Identifier: Apache-2.0 */
/* The verb `list`: shows the targets that a run would run. */
#ifndef VMTEST_CLI_VERB_LIST_H
#define VMTEST_CLI_VERB_LIST_H

#include <jansson.h>

#include "config/config.h"

/* The targets as a CI system's job matrix takes them: {"include": [{"name": ...}, ...]}. The caller's. */
json_t *list_to_json(const struct config *config);
/* One name on each line, safe to show. Caller frees. */
char *list_to_text(const struct config *config);

#endif
