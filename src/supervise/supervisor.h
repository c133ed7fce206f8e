/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The supervisor: starts a worker for each target, hands their events to the sinks, passes signals on, and counts the
 * verdicts to an exit status.
 */
#ifndef VMTEST_SUPERVISE_SUPERVISOR_H
#define VMTEST_SUPERVISE_SUPERVISOR_H

#include "base/error.h"
#include "config/target.h"
#include "event/event.h"
#include "event/run-plan.h"

struct supervisor;

struct supervisor_options {
    const char *artifacts; /* directory for evidence, or NULL */
    int input_fd;          /* standard input, for an interactive target; -1: none */
};

/*
 * Takes over SIGINT, SIGTERM, SIGHUP (unless that is ignored, as after nohup(1)) and SIGWINCH of the process. *ret is
 * freed with supervisor_free().
 */
int supervisor_new(const struct supervisor_options *options, struct supervisor **ret, struct error **ret_error)
    _must_check_;
void supervisor_free(struct supervisor *supervisor);
DEFINE_CLEANUP(cleanup_supervisor, struct supervisor *, supervisor_free)
#define _cleanup_supervisor_ _cleanup_(cleanup_supervisor)

/* Writes for the sinks, handling signals meanwhile. Lives as long as the supervisor. */
struct writer *supervisor_writer(struct supervisor *supervisor);

/* Why output was lost, as a positive errno, or 0. A reader that went away does not count. */
int supervisor_output_error(const struct supervisor *supervisor);

/* Runs the plan; every job gets a finished event. Returns the exit status of vmtest. */
int supervisor_run(struct supervisor *supervisor, const struct run_plan *plan, struct sink *const *sinks,
                   size_t n_sinks);

#endif
