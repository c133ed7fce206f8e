/* SPDX-License-Identifier: Apache-2.0 */
/* From the options to the sinks of a run. */
#ifndef VMTEST_CLI_SINKS_H
#define VMTEST_CLI_SINKS_H

#include "cli/options.h"
#include "report/sink.h"

#define SINKS_MAX 16 /* those of sinks_make(), and one of the caller's */

struct sinks {
    struct sink *items[SINKS_MAX];
    size_t n_items;
    struct sink *artifacts; /* one of them, or NULL */
    struct sink *files;     /* the same: of --report */
};

/* Makes the sinks that the options ask for. `again`: see options_again(). Freed with sinks_deinit(). */
int sinks_make(struct sinks *sinks, const struct options *options, const struct run_plan *plan, const char *again,
               struct writer *writer, struct error **ret_error) _must_check_;
/* Says on standard error what of the run could not be told. Returns the exit status, which is no success then. */
int sinks_end(const struct sinks *sinks, int status);
void sinks_deinit(struct sinks *sinks);

#endif
